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

    Blocks: wind, gas above its minimum, giving up a sale, buying, shedding. "Giving up a sale" starts from selling
    everything that could be sold, so that one ascending order serves purchase and surplus alike.
    """
    buy_price, sell_price = assets.imbalance_prices(days.price_per_mwh)
    on = np.swapaxes(plan.commitment, -1, -2)  # [(K,) T, I]
    running, headroom = on * assets.gas_min_mw, on * (assets.gas_max_mw - assets.gas_min_mw)
    charge, discharge = plan.charge_mw.sum(axis=-2), plan.discharge_mw.sum(axis=-2)
    served = days.load_mw + plan.flexible_mw
    losses = plan.losses_mw + assets.loss_share * days.load_mw
    need = served + losses + charge - discharge - plan.purchase_mw - running.sum(axis=-1)
    most_sold = plan.purchase_mw + on @ assets.gas_max_mw + discharge + days.wind_mw
    most_bought = np.minimum(served + losses + charge, np.clip(assets.import_max_mw - plan.purchase_mw, 0.0, None))
    shape = (*need.shape, assets.gas_units)
    size = _blocks(need, days.wind_mw, np.broadcast_to(headroom, shape), most_sold, most_bought, served)
    price = _blocks(
        need,
        np.full(need.shape, -assets.curtailment_cost_per_mwh),
        np.broadcast_to(assets.gas_cost_per_mwh, shape),
        sell_price,
        buy_price,
        np.broadcast_to(assets.shed_cost_per_mwh + plan.income_per_mwh, need.shape),
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


def _blocks(
    like: FloatArray, wind: FloatArray, gas: FloatArray, sale: FloatArray, buy: FloatArray, shed: FloatArray
) -> FloatArray:
    """Blocks side by side, ``[K, T, I + 4]``."""
    columns = [np.broadcast_to(block, like.shape)[..., None] for block in (wind, sale, buy, shed)]
    return np.concatenate([columns[0], gas, *columns[1:]], axis=-1)


def ramps_respected(assets: RecourseAssets, plan: FirstStage, gas_mw: FloatArray) -> NDArray[np.bool_]:
    """Which realisations keep every gas unit within its ramp; ``gas_mw`` is ``[K, T, I]``, the answer ``[K]``."""
    before_mw = np.concatenate([np.broadcast_to(assets.gas_initial_mw, gas_mw[:, :1].shape), gas_mw[:, :-1]], axis=1)
    up, down = ramp_limits(assets, plan)
    change = gas_mw - before_mw
    within: NDArray[np.bool_] = ((change <= up + _TOLERANCE) & (change >= -down - _TOLERANCE)).all(axis=(1, 2))
    return within


def ramp_limits(assets: RecourseAssets, plan: FirstStage) -> tuple[FloatArray, FloatArray]:
    """Largest rise and fall from the step before, ``[(K,) T, I]`` each: the ramp, or ``max(ramp, minimum)`` at start and stop."""
    on = np.swapaxes(plan.commitment, -1, -2)
    first = np.broadcast_to(assets.gas_initial_on, on[..., :1, :].shape)
    was_on = np.concatenate([first, on[..., :-1, :]], axis=-2)
    jump_up = np.maximum(assets.gas_ramp_up_mw, assets.gas_min_mw)
    jump_down = np.maximum(assets.gas_ramp_down_mw, assets.gas_min_mw)
    up = np.where(was_on > 0, assets.gas_ramp_up_mw, jump_up)
    down = np.where(on > 0, assets.gas_ramp_down_mw, jump_down)
    return up, down


def storage_energy(assets: RecourseAssets, plan: FirstStage) -> FloatArray:
    """Energy after each step of the planned use, MWh, ``[(K,) S, T]``, for stores that lose nothing over time."""
    inflow = assets.storage_efficiency_in[:, None] * plan.charge_mw
    outflow = plan.discharge_mw / assets.storage_efficiency_out[:, None]
    return assets.storage_start_mwh[:, None] + np.cumsum(inflow - outflow, axis=-1) * assets.step_hours


def storage_plan_optimal(
    assets: RecourseAssets, plan: FirstStage, days: Realisations, hours: HourlyDispatch
) -> NDArray[np.bool_]:
    """Which realisations provably leave the planned use of storage optimal, ``[K]``.

    Sufficient optimality conditions of the day's linear programme at one value of energy per hour, ``y``: the spot price
    clipped to the hour's interval of marginal values. The value of stored energy ``sigma`` must satisfy ``sigma >= y /
    eta_in + wear`` where the store charges, ``<=`` where it could charge more, ``sigma <= y eta_out - wear`` where it
    discharges and ``>=`` where it could discharge more. From one step to the next ``sigma`` stays put, may rise where the
    store is full, fall where it is empty; at the end it is zero unless a limit of the final energy binds. Stores that lose
    energy over time are left to the linear programme.
    """
    optimal = np.full(len(days), not assets.storage_loss_per_step.any())
    if not optimal.any():
        return optimal
    value = np.clip(days.price_per_mwh, hours.value_low, hours.value_high)
    energy = storage_energy(assets, plan)
    for s in range(assets.storages):
        optimal &= _duals_exist(assets, plan, value, s, energy[..., s, :])
    return optimal


def _duals_exist(
    assets: RecourseAssets, plan: FirstStage, value: FloatArray, s: int, energy: FloatArray
) -> NDArray[np.bool_]:
    wear = assets.storage_wear_per_mwh[s]
    low, high = np.full(len(value), -np.inf), np.full(len(value), np.inf)
    exist = np.ones(len(value), dtype=bool)
    last = plan.steps - 1
    for t in range(plan.steps):
        charge, discharge = plan.charge_mw[..., s, t], plan.discharge_mw[..., s, t]
        worth_charging = value[:, t] / assets.storage_efficiency_in[s] + wear
        worth_keeping = value[:, t] * assets.storage_efficiency_out[s] - wear
        low = np.where(charge > _TOLERANCE, np.maximum(low, worth_charging), low)
        high = np.where(charge < assets.storage_charge_mw[s] - _TOLERANCE, np.minimum(high, worth_charging), high)
        high = np.where(discharge > _TOLERANCE, np.minimum(high, worth_keeping), high)
        low = np.where(discharge < assets.storage_discharge_mw[s] - _TOLERANCE, np.maximum(low, worth_keeping), low)
        exist &= low <= high + _TOLERANCE
        floor, roof = assets.storage_min_mwh[s], assets.storage_max_mwh[s]
        if t == last:
            floor = max(floor, assets.storage_end_min_mwh[s])
            roof = min(roof, assets.storage_end_max_mwh[s])
        high = np.where(energy[..., t] >= roof - _TOLERANCE, np.inf, high)
        low = np.where(energy[..., t] <= floor + _TOLERANCE, -np.inf, low)
    found: NDArray[np.bool_] = exist & (low <= _TOLERANCE) & (high >= -_TOLERANCE)
    return found
