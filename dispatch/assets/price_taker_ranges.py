"""What the data alone say about a price-taker's answer: which limits can bind, and how large its duals can be.

``y`` is its marginal value of energy in a step, ``sigma`` that of a reservoir's content. Some optimal duals lie
in the ranges given here: the dual objective is concave, each of its terms is largest on a dead band between the cheapest
way up and the dearest way down, so clipping all duals to an interval that holds every dead band never lowers it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.assets.price_taker import Channel, PriceTaker, Reservoir

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ROUNDING = 1e-9


@dataclass(frozen=True)
class RampLimit:
    """A ramp between ``step - 1`` and ``step`` that can bind; ``sign`` +1 upwards, -1 downwards; ``dual_max``: its price."""

    step: int
    sign: float
    change_max: float
    dual_max: float


@dataclass(frozen=True, eq=False)
class AnswerRanges:
    """Ranges of one answer over all tariffs, ``[T]``.

    value_low, value_high: of ``y``. bought_max, sold_max: MW. buy_binds, sell_binds: the limit of trade can be reached.
    turbine_low, turbine_high: MW. full_binds: the turbine can reach its limit. ramps: those that can bind.
    content_value: range of ``sigma`` of each reservoir.
    """

    value_low: FloatArray
    value_high: FloatArray
    bought_max: FloatArray
    sold_max: FloatArray
    buy_binds: BoolArray
    sell_binds: BoolArray
    turbine_low: FloatArray
    turbine_high: FloatArray
    full_binds: BoolArray
    ramps: tuple[RampLimit, ...]
    content_value: tuple[tuple[float, float], ...]


def answer_ranges(grid: PriceTaker, lowest: FloatArray, highest: FloatArray) -> AnswerRanges:
    """Ranges of the answer to any tariffs between ``lowest`` and ``highest``, ``[T]``."""
    T, unit = grid.steps, grid.turbine
    flows_out, flows_in = np.zeros(T), np.zeros(T)
    for reservoir in grid.reservoirs:
        for channel in reservoir.channels:
            ends = np.stack([channel.output * channel.lower, channel.output * channel.upper])
            flows_out += ends.max(axis=0)
            flows_in -= ends.min(axis=0)
    made = unit.power_max_mw if unit is not None else 0.0
    need, surplus = grid.net_load + flows_in, flows_out + made - grid.net_load
    buy_binds, sell_binds = need > grid.trade_limit + ROUNDING, surplus > grid.trade_limit + ROUNDING
    value_low, value_high = lowest.copy(), highest.copy()
    if buy_binds.any() or sell_binds.any():
        dearest = unit.cost_linear_per_mwh + 2 * unit.cost_quadratic_per_mw2h * made if unit is not None else 0.0
        low, high = min(0.0, float(lowest.min())), max(float(highest.max()), dearest)
        if unit is not None and (unit.ramp_up_mw_per_hour or unit.ramp_down_mw_per_hour):
            low, high = low - T * (high - low), high + T * (high - low)
        value_low = np.where(sell_binds, low, value_low)
        value_high = np.where(buy_binds, high, value_high)
    turbine_low, turbine_high = _turbine_range(grid, value_low, value_high)
    if grid.committed:
        turbine_low = np.zeros(T)
        if not (buy_binds.any() or sell_binds.any()):
            turbine_high = np.where(pays_to_run(grid, highest), turbine_high, 0.0)
    full = np.zeros(T, dtype=bool)
    if unit is not None:
        full = value_high > unit.cost_linear_per_mwh + 2 * unit.cost_quadratic_per_mw2h * made + ROUNDING
    sold = np.clip(flows_out + turbine_high - grid.net_load, 0, grid.trade_limit)
    bought = np.clip(need - turbine_low, 0, grid.trade_limit)
    return AnswerRanges(
        value_low=value_low,
        value_high=value_high,
        bought_max=bought,
        sold_max=sold,
        buy_binds=buy_binds,
        sell_binds=sell_binds,
        turbine_low=turbine_low,
        turbine_high=turbine_high,
        full_binds=full,
        ramps=_binding_ramps(grid, turbine_low, turbine_high, value_low, value_high),
        content_value=tuple(_content_value(reservoir, value_low, value_high) for reservoir in grid.reservoirs),
    )


def _turbine_range(grid: PriceTaker, value_low: FloatArray, value_high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Output between the free answers ``(y - b) / 2a``, widened to what a neighbouring hour can pull along by its ramp."""
    T, unit = grid.steps, grid.turbine
    if unit is None:
        return np.zeros(T), np.zeros(T)
    low, high = (
        np.clip((v - unit.cost_linear_per_mwh) / (2 * unit.cost_quadratic_per_mw2h), 0, unit.power_max_mw)
        for v in (value_low, value_high)
    )
    up, down = _ramps(grid)
    distance = np.arange(T)[None, :] - np.arange(T)[:, None]
    # pulled[s, t]: how far the ramps let the output move between step s and step t, upwards and downwards
    rise = np.where(distance > 0, distance * up if np.isfinite(up) else np.inf, 0.0)
    rise_back = np.where(distance < 0, -distance * down if np.isfinite(down) else np.inf, 0.0)
    fall = np.where(distance > 0, distance * down if np.isfinite(down) else np.inf, 0.0)
    fall_back = np.where(distance < 0, -distance * up if np.isfinite(up) else np.inf, 0.0)
    highest = (high[:, None] - fall - fall_back).max(axis=0)
    lowest = (low[:, None] + rise + rise_back).min(axis=0)
    return np.clip(lowest, 0, None), np.clip(highest, 0, unit.power_max_mw)


def pays_to_run(grid: PriceTaker, highest: FloatArray) -> NDArray[np.bool_]:
    """Hours ``[T]`` in which running could be worth its cost at some tariff up to ``highest``; all of them where in doubt.

    While no limit of trade binds, output can always be bought at ``highest`` or less instead, and while no ramp binds, so can
    that of a single hour.
    """
    unit = grid.turbine
    assert unit is not None
    best = np.clip((highest - unit.cost_linear_per_mwh) / (2 * unit.cost_quadratic_per_mw2h), 0.0, unit.power_max_mw)
    gain = (highest - unit.cost_linear_per_mwh) * best - unit.cost_quadratic_per_mw2h * best**2
    pays: NDArray[np.bool_] = gain > grid.running_cost_per_hour
    ramps = [
        ramp * grid.step_hours for ramp in (unit.ramp_up_mw_per_hour, unit.ramp_down_mw_per_hour) if ramp is not None
    ]
    if pays.any() and best.max() > min(ramps, default=np.inf):
        return np.ones(grid.steps, dtype=bool)
    return pays


def _ramps(grid: PriceTaker) -> tuple[float, float]:
    """Largest rise and fall of the output from one step to the next, MW."""
    unit, dt = grid.turbine, grid.step_hours
    assert unit is not None
    limits = (unit.ramp_up_mw_per_hour, unit.ramp_down_mw_per_hour)
    up, down = (limit * dt if limit is not None else np.inf for limit in limits)
    return up, down


def _binding_ramps(
    grid: PriceTaker, low: FloatArray, high: FloatArray, value_low: FloatArray, value_high: FloatArray
) -> tuple[RampLimit, ...]:
    """Ramps that the output's ranges do not rule out.

    The price of a ramp is the sum of ``y - marginal cost`` over the hours on one side of it that are coupled to it, so its
    bound grows with the length of the chain of binding ramps.
    """
    unit = grid.turbine
    if unit is None:
        return ()
    up, down = _ramps(grid)
    found = [
        (t, sign, ramp)
        for t in range(1, grid.steps)
        for sign, ramp, change in ((1.0, up, high[t] - low[t - 1]), (-1.0, down, high[t - 1] - low[t]))
        if change > ramp + ROUNDING
    ]
    dearest = unit.cost_linear_per_mwh + 2 * unit.cost_quadratic_per_mw2h * float(high.max())
    residual = max(float(value_high.max()) - unit.cost_linear_per_mwh, dearest - float(value_low.min()), 0.0)
    steps = {t for t, _, _ in found}
    limits = []
    for t, sign, ramp in found:
        first, last = t, t
        while first - 1 in steps:
            first -= 1
        while last + 1 in steps:
            last += 1
        limits.append(RampLimit(t, sign, ramp, (last - first + 1) * residual))
    return tuple(limits)


def _content_value(reservoir: Reservoir, value_low: FloatArray, value_high: FloatArray) -> tuple[float, float]:
    """``sigma`` between the least and the largest ``(output y - price) / draw``: what moving energy in or out is worth."""
    ends = [
        (channel.output * value - channel.price) / channel.draw
        for channel in reservoir.channels
        for value in (value_low, value_high)
    ]
    return float(np.min(ends)), float(np.max(ends))


def channel_dual_max(
    channel: Channel, value_low: FloatArray, value_high: FloatArray, content_value: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Largest duals of ``x <= upper`` and ``x >= lower``, ``[T]``: residuals of ``2 w x + price + draw sigma - output y``."""
    worth = np.stack([channel.output * value_low, channel.output * value_high]) - channel.price
    held = channel.draw * np.array(content_value)
    at_upper = worth.max(axis=0) - held.min() - 2 * channel.wear * channel.upper
    at_lower = held.max() - worth.min(axis=0) + 2 * channel.wear * channel.lower
    return np.clip(at_upper, 0, None), np.clip(at_lower, 0, None)
