"""From a microgrids case in words to the arrays that its models compute with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.assets.price_taker import Channel, PriceTaker, Reservoir
from dispatch.case_microgrids import Microgrid, MicrogridsCase

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MarketInputs:
    """Grid tariffs ``[T]`` and the followers."""

    step_hours: float
    grid_buy: FloatArray
    feed_in: FloatArray
    grids: tuple[PriceTaker, ...]

    @property
    def steps(self) -> int:
        """Number of steps ``T``."""
        return len(self.grid_buy)

    def profit(self, buy: FloatArray, sell: FloatArray, exchange: FloatArray) -> float:
        """The operator's profit at tariffs ``[T]`` and exchanges ``[J, T]``, currency."""
        return float(self.profits(buy[None], sell[None], exchange[None])[0])

    def profits(self, buy: FloatArray, sell: FloatArray, exchange: FloatArray) -> FloatArray:
        """Profits ``[n]`` at tariffs ``[n, T]`` and exchanges ``[n, J, T]`` (Chen et al. 2024, Eqs. 3 and 5), currency."""
        taken, given = np.clip(exchange, 0, None).sum(axis=1), np.clip(-exchange, 0, None).sum(axis=1)
        total = exchange.sum(axis=1)
        market = self.feed_in * np.clip(-total, 0, None) - self.grid_buy * np.clip(total, 0, None)
        profits: FloatArray = (market + buy * taken - sell * given).sum(axis=1) * self.step_hours
        return profits


def market_inputs(case: MicrogridsCase) -> MarketInputs:
    """The arrays of a checked case."""
    return MarketInputs(
        step_hours=case.step_hours,
        grid_buy=np.asarray(case.grid_buy_per_mwh, dtype=float),
        feed_in=np.asarray(case.feed_in_per_mwh, dtype=float),
        grids=tuple(price_taker(case, grid) for grid in case.microgrids),
    )


def price_taker(case: MicrogridsCase, grid: Microgrid) -> PriceTaker:
    """The arrays of one microgrid of a case."""
    steps = case.steps
    if grid.net_load_mw is not None:
        net = np.asarray(grid.net_load_mw, dtype=float)
        load, available = np.clip(net, 0, None), np.clip(-net, 0, None)
    else:
        load = np.asarray(grid.load_mw, dtype=float)
        available = np.zeros(steps)
        for series in (grid.wind_mw, grid.pv_mw):
            if series is not None:
                available = available + np.asarray(series, dtype=float)
    reservoirs = (*_battery(grid, steps), *_shiftable(grid, load))
    return PriceTaker(
        name=grid.id,
        step_hours=case.step_hours,
        load=load,
        available=available,
        curtailable=available if _may_overflow(grid, load - available, reservoirs) else np.zeros(steps),
        trade_limit=grid.trade_limit_mw,
        turbine=grid.turbine,
        reservoirs=reservoirs,
        running_cost_per_hour=grid.turbine.cost_fixed_per_hour
        if case.mt_commitment and grid.turbine is not None
        else 0.0,
    )


def _may_overflow(grid: Microgrid, net_load: FloatArray, reservoirs: tuple[Reservoir, ...]) -> bool:
    """Whether surplus could ever exceed the limit of trade; below it selling is never worse than curtailing."""
    output = -net_load + (grid.turbine.power_max_mw if grid.turbine is not None else 0.0)
    for reservoir in reservoirs:
        for channel in reservoir.channels:
            output = output + np.maximum(channel.output * channel.lower, channel.output * channel.upper)
    return bool(output.max() > grid.trade_limit_mw)


def _battery(grid: Microgrid, steps: int) -> tuple[Reservoir, ...]:
    """One signed flow without losses, two flows with losses."""
    unit = grid.battery
    if unit is None:
        return ()
    zero, one = np.zeros(steps), np.ones(steps)
    if unit.charge_efficiency == unit.discharge_efficiency == 1.0:
        flow = (-unit.charge_max_mw * one, unit.discharge_max_mw * one)
        channels: tuple[Channel, ...] = (Channel("battery", 1.0, 1.0, *flow, unit.wear_per_mw2h),)
    else:
        out, into = unit.discharge_max_mw * one, unit.charge_max_mw * one
        channels = (
            Channel("discharge", 1.0, 1.0 / unit.discharge_efficiency, zero, out, unit.wear_per_mw2h),
            Channel("charge", -1.0, -unit.charge_efficiency, zero, into, unit.wear_per_mw2h),
        )
    return (Reservoir("battery", channels, unit.energy_min_mwh, unit.energy_max_mwh, unit.energy_start_mwh),)


def _shiftable(grid: Microgrid, load: FloatArray) -> tuple[Reservoir, ...]:
    if grid.shiftable is None or grid.shiftable.share == 0:
        return ()
    room = grid.shiftable.share * load
    flow = Channel("shifted load", -1.0, -1.0, -room, room, grid.shiftable.discomfort_per_mw2h)
    return (Reservoir("shifted load", (flow,), -np.inf, np.inf, 0.0),)
