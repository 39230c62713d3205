"""From a soft open point case in words to the arrays that its models compute with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.assets.price_taker import Channel, PriceTaker, Reservoir
from dispatch.case_inputs import feeder_of
from dispatch.case_soft_open_point import Prosumer, SoftOpenPoint, SoftOpenPointCase, Weights
from dispatch.network.feeder import Feeder

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OperatorInputs:
    """What the operator faces.

    feeder_mw, feeder_mvar: ``[T, bus]``, load that is nobody's but the feeder's (prosumers' buses keep their reactive load).
    hv_buy, hv_sell, price_low, price_high: ``[T]``, currency/MWh. buses: of each prosumer.
    sop: None without converters.
    """

    step_hours: float
    feeder: Feeder
    root_voltage_pu: float
    voltage_min_pu: float
    voltage_max_pu: float
    voltage_reference_pu: float
    feeder_mw: FloatArray
    feeder_mvar: FloatArray
    hv_buy: FloatArray
    hv_sell: FloatArray
    price_low: FloatArray
    price_high: FloatArray
    weights: Weights
    sop: SoftOpenPoint | None
    buses: tuple[int, ...]
    prosumers: tuple[PriceTaker, ...]

    @property
    def steps(self) -> int:
        """Number of steps ``T``."""
        return len(self.hv_buy)

    @property
    def chooses_terminals(self) -> bool:
        """True if only some of the soft open point's buses get a converter."""
        return self.sop is not None and self.sop.terminals_max is not None

    @property
    def uncontrolled_cost(self) -> float:
        """Weighted purchase of the feeder's own load, currency: the part of the objective that no decision can change."""
        return float(self.weights.cost * (self.hv_buy * self.feeder_mw.sum(axis=1)).sum() * self.step_hours)


def operator_inputs(case: SoftOpenPointCase) -> OperatorInputs:
    """The arrays of a checked case."""
    feeder = feeder_of(case.network)
    shape = np.asarray(case.load_shape, dtype=float)
    load_mw, load_mvar = np.outer(shape, feeder.load_mw), np.outer(shape, feeder.load_mvar)
    for prosumer in case.prosumers:
        load_mw[:, feeder.position[prosumer.bus]] = 0.0
    buy, sell, low, high = price_series(case)
    return OperatorInputs(
        step_hours=case.step_hours,
        feeder=feeder,
        root_voltage_pu=case.network.root_voltage_pu,
        voltage_min_pu=case.network.voltage_min_pu,
        voltage_max_pu=case.network.voltage_max_pu,
        voltage_reference_pu=case.voltage_reference_pu,
        feeder_mw=load_mw,
        feeder_mvar=load_mvar,
        hv_buy=buy,
        hv_sell=sell,
        price_low=low,
        price_high=high,
        weights=case.weights,
        sop=case.soft_open_point,
        buses=tuple(prosumer.bus for prosumer in case.prosumers),
        prosumers=tuple(_price_taker(case, prosumer) for prosumer in case.prosumers),
    )


def price_series(case: SoftOpenPointCase) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """The grid's purchase and sale price and the lowest and highest price for prosumers, ``[T]`` each, currency/MWh."""
    buy, sell = _over(case.hv_buy_per_mwh, case.steps), _over(case.hv_sell_per_mwh, case.steps)
    low, high = case.price_band.low_per_mwh, case.price_band.high_per_mwh
    return buy, sell, sell if low is None else _over(low, case.steps), buy if high is None else _over(high, case.steps)


def nominal_load_mw(case: SoftOpenPointCase) -> float:
    """Nominal load of the feeder, MW."""
    return float(feeder_of(case.network).load_mw.sum())


def prosumer_series(case: SoftOpenPointCase, prosumer: Prosumer) -> tuple[FloatArray, FloatArray]:
    """Load and available PV of one prosumer, ``[T]`` each, MW."""
    load = prosumer.load_mw
    if load is None:
        load = tuple(prosumer.load_peak_mw * share for share in case.prosumer_load_shape or (0.0,) * case.steps)
    pv = prosumer.pv_mw
    if pv is None:
        pv = tuple(prosumer.pv_capacity_mw * share for share in case.pv_shape or (0.0,) * case.steps)
    return np.asarray(load, dtype=float), case.pv_scale * np.asarray(pv, dtype=float)


def _price_taker(case: SoftOpenPointCase, prosumer: Prosumer) -> PriceTaker:
    load, pv = prosumer_series(case, prosumer)
    T, unit = case.steps, prosumer.battery
    one, zero = np.ones(T), np.zeros(T)
    reservoirs: list[Reservoir] = []
    trade = float(np.abs(load - pv).max(initial=0.0)) + 1.0
    if unit is not None:
        out = Channel("discharge", 1.0, 1 / unit.discharge_efficiency, zero, unit.discharge_max_mw * one, 0.0,
                      unit.wear_per_mwh / unit.discharge_efficiency)  # fmt: skip
        into = Channel("charge", -1.0, -unit.charge_efficiency, zero, unit.charge_max_mw * one, 0.0,
                       unit.wear_per_mwh * unit.charge_efficiency)  # fmt: skip
        reservoirs.append(
            Reservoir("battery", (out, into), unit.energy_min_mwh, unit.energy_max_mwh, unit.energy_start_mwh)
        )
        trade += unit.charge_max_mw + unit.discharge_max_mw
    if case.flexibility is not None and case.flexibility.share > 0 and load.any():
        room = case.flexibility.share * load
        shift = Channel("shifted load", -1.0, -1.0, -room, room, case.flexibility.discomfort_per_mw2h)
        reservoirs.append(Reservoir("shifted load", (shift,), -np.inf, np.inf, 0.0))
        trade += float(room.max())
    return PriceTaker(prosumer.id, case.step_hours, load, pv, zero, trade, None, tuple(reservoirs))


def _over(values: float | tuple[float, ...], steps: int) -> FloatArray:
    array = np.asarray(values, dtype=float)
    return np.full(steps, float(array)) if array.ndim == 0 else array
