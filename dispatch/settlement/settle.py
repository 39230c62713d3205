"""Settle a plan against many realisations: the vectorised merit order where it is proved, the linear programme elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from dispatch.settlement.linear_program import RecourseProgram
from dispatch.settlement.merit_order import (
    HourlyDispatch,
    dispatch_hours,
    ramps_respected,
    storage_plan_optimal,
)
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets, Settlement


class Engine(StrEnum):
    """How recourse is found. ``AUTO``: merit order for every day where it is provably optimal, LP for the others."""

    AUTO = "auto"
    LINEAR_PROGRAM = "lp"


def settle(
    assets: RecourseAssets,
    plan: FirstStage,
    days: Realisations,
    engine: Engine | str = Engine.AUTO,
    program: RecourseProgram | None = None,
) -> Settlement:
    """Money of the cheapest real-time operation of every realisation, first stage fixed (Shi et al. 2023, Eqs 24-26).

    The paper prices deviations by reason; here they are the cost of an optimal recourse, from which the reasons are split
    afterwards.

    The feeder is a copper plate with the plan's losses and ``loss_share`` of the load. Energy bought the day before is settled
    at the realised spot price. ``plan`` is one for all, or one for each realisation. ``program`` is a model of the same assets
    and steps to go on with. Returns a ``Settlement`` with arrays ``[K]``. Raises ``SolverError`` if a plan contradicts itself.
    """
    return account(assets, plan, days, redispatch(assets, plan, days, engine, program))


@dataclass(frozen=True, eq=False)
class Redispatch:
    """Real-time operation: gas_mw ``[K, T, I]``; charge_mw, discharge_mw ``[K, S, T]``; the rest ``[K, T]``."""

    gas_mw: FloatArray
    charge_mw: FloatArray
    discharge_mw: FloatArray
    buy_mw: FloatArray
    sell_mw: FloatArray
    curtail_mw: FloatArray
    shed_mw: FloatArray


def redispatch(
    assets: RecourseAssets,
    plan: FirstStage,
    days: Realisations,
    engine: Engine | str = Engine.AUTO,
    program: RecourseProgram | None = None,
) -> Redispatch:
    """The cheapest real-time operation itself; arguments as in ``settle``."""
    count, T = len(days), plan.steps
    gas = np.zeros((count, T, assets.gas_units))
    flows = {name: np.zeros((count, T)) for name in ("buy", "sell", "curtail", "shed")}
    charge = np.broadcast_to(plan.charge_mw, (count, assets.storages, T)).copy()
    discharge = np.broadcast_to(plan.discharge_mw, (count, assets.storages, T)).copy()
    proved = np.zeros(count, dtype=bool)
    if Engine(engine) is Engine.AUTO:
        hours = dispatch_hours(assets, plan, days)
        proved = merit_order_is_optimal(assets, plan, days, hours)
        gas[proved] = hours.gas_mw[proved]
        for name, flow in flows.items():
            flow[proved] = getattr(hours, f"{name}_mw")[proved]
    rest = np.flatnonzero(~proved)
    if len(rest):
        program = program or RecourseProgram(assets, T)
        for k in rest:
            day = program.solve(plan, days, int(k))
            gas[k] = day.gas_mw.T
            charge[k], discharge[k] = day.charge_mw, day.discharge_mw
            for name, flow in flows.items():
                flow[k] = getattr(day, f"{name}_mw")
    return Redispatch(gas, charge, discharge, **{f"{name}_mw": flow for name, flow in flows.items()})


def merit_order_is_optimal(
    assets: RecourseAssets, plan: FirstStage, days: Realisations, hours: HourlyDispatch
) -> NDArray[np.bool_]:
    """Which realisations the hourly merit order provably solves, ``[K]``."""
    proved: NDArray[np.bool_] = hours.feasible.all(axis=1) & ramps_respected(assets, plan, hours.gas_mw)
    return proved & storage_plan_optimal(assets, plan, days, hours)


def account(assets: RecourseAssets, plan: FirstStage, days: Realisations, done: Redispatch) -> Settlement:
    """The money of a day as it was operated."""
    hours, count = assets.step_hours, len(days)
    buy_price, sell_price = assets.imbalance_prices(days.price_per_mwh)
    throughput = (
        assets.storage_efficiency_in[:, None] * done.charge_mw
        + done.discharge_mw / assets.storage_efficiency_out[:, None]
    )
    delivered = days.load_mw - done.shed_mw
    curtailed = done.curtail_mw.sum(axis=1) * hours
    return Settlement(
        income=(delivered * plan.income_per_mwh).sum(axis=1) * hours + plan.flexible_income,
        purchase_cost=(days.price_per_mwh * plan.purchase_mw).sum(axis=1) * hours + plan.sale_fee,
        imbalance_cost=(buy_price * done.buy_mw - sell_price * done.sell_mw).sum(axis=1) * hours,
        gas_cost=(done.gas_mw * assets.gas_cost_per_mwh).sum(axis=(1, 2)) * hours,
        start_cost=np.broadcast_to(plan.start_cost, count).astype(float),
        wear_cost=(throughput.sum(axis=2) @ assets.storage_wear_per_mwh) * hours,
        subsidy_cost=np.broadcast_to(plan.subsidy_cost, count).astype(float),
        curtailment_cost=curtailed * assets.curtailment_cost_per_mwh,
        shed_cost=done.shed_mw.sum(axis=1) * assets.shed_cost_per_mwh * hours,
        shed_mwh=done.shed_mw.sum(axis=1) * hours,
        curtailed_mwh=curtailed,
        bought_mwh=done.buy_mw.sum(axis=1) * hours,
        sold_mwh=done.sell_mw.sum(axis=1) * hours,
    )
