"""Hour-by-hour merit order for all realisations at once, and the proof that it is the optimum.

With storage held at its plan the hours separate: each is met by blocks of energy in order of price. That is the optimum
of the whole day if (a) no ramp binds, and (b) the planned use of storage is still optimal at the hourly values of energy.
Both are checked day by day: (b) by propagating the interval of storage duals through the day (the conditions are those of
a linear programme, so a non-empty interval at every step is a proof).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets

_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class HourlyDispatch:
    """Recourse of every realisation and step.

    gas_mw ``[K, T, I]``; buy_mw, sell_mw, curtail_mw, shed_mw ``[K, T]``; value_low, value_high ``[K, T]``: the interval
    of the marginal value of energy per MWh; feasible ``[K, T]``: the blocks met the demand.
    """

    gas_mw: FloatArray
    buy_mw: FloatArray
    sell_mw: FloatArray
    curtail_mw: FloatArray
    shed_mw: FloatArray
    value_low: FloatArray
    value_high: FloatArray
    feasible: NDArray[np.bool_]


def dispatch_hours(assets: RecourseAssets, plan: FirstStage, days: Realisations) -> HourlyDispatch:
    """Meet every hour from the cheapest blocks, storage as planned.

    Blocks: wind (price 0), gas above its minimum, giving up a sale, buying, shedding. "Giving up a sale" starts from
    selling everything that could be sold, so that one ascending order serves purchase and surplus alike.
    """
    buy_price, sell_price = assets.imbalance_prices(days.price_per_mwh)
    running = plan.commitment.T * assets.gas_min_mw  # [T, I]
    headroom = plan.commitment.T * (assets.gas_max_mw - assets.gas_min_mw)
    storage = (plan.charge_mw - plan.discharge_mw).sum(axis=0)
    served = days.load_mw + plan.flexible_mw
    need = served + plan.losses_mw + storage - plan.purchase_mw - running.sum(axis=1)
    capacity = plan.purchase_mw + plan.commitment.T @ assets.gas_max_mw + plan.discharge_mw.sum(axis=0)
    most_sold = capacity + days.wind_mw
    shape = (*need.shape, assets.gas_units)
    size = np.concatenate(
        [
            days.wind_mw[..., None],
            np.broadcast_to(headroom, shape),
            most_sold[..., None],
            (served + plan.losses_mw + plan.charge_mw.sum(axis=0))[..., None],
            served[..., None],
        ],
        axis=-1,
    )
    price = np.concatenate(
        [
            np.zeros((*need.shape, 1)),
            np.broadcast_to(assets.gas_cost_per_mwh, shape),
            sell_price[..., None],
            buy_price[..., None],
            np.full((*need.shape, 1), assets.shed_cost_per_mwh),
        ],
        axis=-1,
    )
    order = np.argsort(price, axis=-1, kind="stable")
    sorted_size = np.take_along_axis(size, order, axis=-1)
    sorted_price = np.take_along_axis(price, order, axis=-1)
    demand = need + most_sold
    before = np.cumsum(sorted_size, axis=-1) - sorted_size
    used_sorted = np.clip(demand[..., None] - before, 0.0, sorted_size)
    used = np.empty_like(used_sorted)
    np.put_along_axis(used, order, used_sorted, axis=-1)
    started = used_sorted > _TOLERANCE
    spare = sorted_size - used_sorted > _TOLERANCE
    low = np.where(started, sorted_price, -np.inf).max(axis=-1)
    high = np.where(spare, sorted_price, np.inf).min(axis=-1)
    units = assets.gas_units
    return HourlyDispatch(
        gas_mw=running + used[..., 1 : 1 + units],
        buy_mw=used[..., 2 + units],
        sell_mw=most_sold - used[..., 1 + units],
        curtail_mw=days.wind_mw - used[..., 0],
        shed_mw=used[..., 3 + units],
        value_low=low,
        value_high=high,
        feasible=(demand >= -_TOLERANCE) & (demand <= sorted_size.sum(axis=-1) + _TOLERANCE),
    )


def ramps_respected(assets: RecourseAssets, plan: FirstStage, gas_mw: FloatArray) -> NDArray[np.bool_]:
    """Which realisations keep every gas unit within its ramp; ``gas_mw`` is ``[K, T, I]``, the answer ``[K]``."""
    before_mw = np.concatenate([np.broadcast_to(assets.gas_initial_mw, gas_mw[:, :1].shape), gas_mw[:, :-1]], axis=1)
    up, down = ramp_limits(assets, plan)
    change = gas_mw - before_mw
    within: NDArray[np.bool_] = ((change <= up + _TOLERANCE) & (change >= -down - _TOLERANCE)).all(axis=(1, 2))
    return within


def ramp_limits(assets: RecourseAssets, plan: FirstStage) -> tuple[FloatArray, FloatArray]:
    """Largest rise and fall from the step before, ``[T, I]`` each: the ramp, or ``max(ramp, minimum)`` at start and stop."""
    on = plan.commitment.T
    was_on = np.vstack([assets.gas_initial_on, on[:-1]])
    jump = np.maximum(assets.gas_ramp_mw, assets.gas_min_mw)
    up = was_on * assets.gas_ramp_mw + (1 - was_on) * jump
    down = on * assets.gas_ramp_mw + (1 - on) * jump
    return up, down


def storage_energy(assets: RecourseAssets, plan: FirstStage) -> FloatArray:
    """Energy after each step of the planned use, MWh, ``[S, T]``."""
    inflow = assets.storage_efficiency_in[:, None] * plan.charge_mw
    outflow = plan.discharge_mw / assets.storage_efficiency_out[:, None]
    return assets.storage_start_mwh[:, None] + np.cumsum(inflow - outflow, axis=1) * assets.step_hours


def storage_plan_optimal(
    assets: RecourseAssets, plan: FirstStage, days: Realisations, hours: HourlyDispatch
) -> NDArray[np.bool_]:
    """Which realisations provably leave the planned use of storage optimal, ``[K]``.

    Sufficient optimality conditions of the day's linear programme at one value of energy per hour, ``y``: the spot price
    clipped to the hour's interval of marginal values. The value of stored energy ``sigma`` must satisfy ``sigma >= y /
    eta_in + wear`` where the store charges, ``<=`` where it could charge more, ``sigma <= y eta_out - wear`` where it
    discharges and ``>=`` where it could discharge more. From one step to the next ``sigma`` stays put, may rise where the
    store is full, fall where it is empty; at the end it is zero unless the floor binds (then it may be positive).
    """
    value = np.clip(days.price_per_mwh, hours.value_low, hours.value_high)
    energy = storage_energy(assets, plan)
    optimal = np.ones(len(days), dtype=bool)
    for s in range(assets.storages):
        optimal &= _duals_exist(assets, plan, value, s, energy[s])
    return optimal


def _duals_exist(
    assets: RecourseAssets, plan: FirstStage, value: FloatArray, s: int, energy: FloatArray
) -> NDArray[np.bool_]:
    wear, power = assets.storage_wear_per_mwh[s], assets.storage_power_mw[s]
    low, high = np.full(len(value), -np.inf), np.full(len(value), np.inf)
    exist = np.ones(len(value), dtype=bool)
    last = plan.steps - 1
    for t in range(plan.steps):
        charge, discharge = plan.charge_mw[s, t], plan.discharge_mw[s, t]
        worth_charging = value[:, t] / assets.storage_efficiency_in[s] + wear
        worth_keeping = value[:, t] * assets.storage_efficiency_out[s] - wear
        if charge > _TOLERANCE:
            low = np.maximum(low, worth_charging)
        if charge < power - _TOLERANCE:
            high = np.minimum(high, worth_charging)
        if discharge > _TOLERANCE:
            high = np.minimum(high, worth_keeping)
        if discharge < power - _TOLERANCE:
            low = np.maximum(low, worth_keeping)
        exist &= low <= high + _TOLERANCE
        floor = assets.storage_end_mwh[s] if t == last else assets.storage_min_mwh[s]
        may_rise = energy[t] >= assets.storage_max_mwh[s] - _TOLERANCE
        may_fall = energy[t] <= floor + _TOLERANCE
        high = np.full_like(high, np.inf) if may_rise else high
        low = np.full_like(low, -np.inf) if may_fall else low
    found: NDArray[np.bool_] = exist & (low <= _TOLERANCE) & (high >= -_TOLERANCE)
    return found
