"""Settlement on the feeder: what was redispatched is replayed in an AC power flow, and its true losses are paid for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import adno_inputs, feeder_of
from dispatch.errors import DispatchError
from dispatch.network.power_flow import solve_power_flow
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets, Settlement
from dispatch.settlement.settle import Redispatch, account, redispatch

#: Losses are settled when they change by less than this from one round to the next, MW.
SETTLED_MW = 1e-6
MOST_ROUNDS = 20


@dataclass(frozen=True, eq=False)
class FeederSettlement:
    """``K`` days settled with their AC losses.

    settled: their money; loss_mwh ``[K]``; voltage_min_pu, voltage_max_pu ``[K]``: extremes over buses and steps;
    outside_hours ``[K]``: hours in which some bus is outside its limits (reported, not priced); rounds: power flows made.
    """

    settled: Settlement
    loss_mwh: FloatArray
    voltage_min_pu: FloatArray
    voltage_max_pu: FloatArray
    outside_hours: FloatArray
    rounds: int


def settle_on_feeder(case: AdnoCase, assets: RecourseAssets, plan: FirstStage, days: Realisations) -> FeederSettlement:
    """Redispatch as on a copper plate, replay the set-points, and redispatch again with the losses found, until they agree.

    Load, flexible demand and shedding are shared by the customers, wind and curtailment by the farms, as on the case's day.

    Raises
    ------
    DispatchError
        If the case has no network, or the losses do not settle (the feeder is close to collapse).
    """
    if case.network is None:
        raise DispatchError(f"case {case.name} has no network to settle on; settle it as a copper plate")
    feeder, plans = feeder_of(case.network), plan.for_each(len(days))
    bare = replace(assets, loss_share=0.0)
    losses = plans.losses_mw + assets.loss_share * days.load_mw
    rounds, change = 0, np.inf
    while change > SETTLED_MW:
        if rounds == MOST_ROUNDS:
            raise DispatchError(f"case {case.name}: losses still change by {change:.1e} MW after {rounds} rounds")
        rounds += 1
        told = replace(plans, losses_mw=losses)
        done = redispatch(bare, told, days)
        flow = solve_power_flow(feeder, *_net_consumption(case, plans, days, done), case.network.root_voltage_pu)
        found = flow.loss_mw.reshape(losses.shape)
        change, losses = float(np.abs(found - losses).max()), found
    voltage = flow.voltage_pu.reshape(*losses.shape, -1)
    outside = (voltage < case.network.voltage_min_pu - 1e-6) | (voltage > case.network.voltage_max_pu + 1e-6)
    return FeederSettlement(
        settled=account(bare, told, days, done),
        loss_mwh=losses.sum(axis=1) * assets.step_hours,
        voltage_min_pu=voltage.min(axis=(1, 2)),
        voltage_max_pu=voltage.max(axis=(1, 2)),
        outside_hours=outside.any(axis=2).sum(axis=1) * assets.step_hours,
        rounds=rounds,
    )


def _net_consumption(
    case: AdnoCase, plans: FirstStage, days: Realisations, done: Redispatch
) -> tuple[FloatArray, FloatArray]:
    """Active and reactive net consumption of every bus, ``[K * T, bus]``."""
    assert case.network is not None
    feeder, inputs = feeder_of(case.network), adno_inputs(case)
    place, count = feeder.position, len(days)
    p = np.zeros((count, plans.steps, len(feeder.bus_ids)))
    q = np.zeros_like(p)
    rigid, flexible = _shares(inputs.rigid_mw), _shares(inputs.flexible_max_mw)
    mvar = np.divide(inputs.rigid_mvar, inputs.rigid_mw, out=np.zeros_like(inputs.rigid_mw), where=inputs.rigid_mw > 0)
    for j, bus in enumerate(inputs.customer_buses):
        steady = (days.load_mw - done.shed_mw) * rigid[:, j]
        moved = plans.flexible_mw * flexible[:, j]
        p[:, :, place[bus]] += steady + moved
        q[:, :, place[bus]] += mvar[:, j] * steady + inputs.flexible_mvar_per_mw[:, j] * moved
    for i, unit in enumerate(case.gas):
        p[:, :, place[unit.bus]] -= done.gas_mw[:, :, i]
    for s, store in enumerate(case.storage):
        p[:, :, place[store.bus]] += done.charge_mw[:, s] - done.discharge_mw[:, s]
    wind = _shares(inputs.wind_mw.T)
    for v, farm in enumerate(case.wind):
        p[:, :, place[farm.bus]] -= (days.wind_mw - done.curtail_mw) * wind[:, v]
    shape = (count * plans.steps, len(feeder.bus_ids))
    return p.reshape(shape), q.reshape(shape)


def _shares(values: FloatArray) -> FloatArray:
    """Each column's share of its row, even where a row is zero."""
    total = values.sum(axis=1, keepdims=True)
    even = np.full_like(values, 1.0 / max(values.shape[1], 1))
    share: FloatArray = np.divide(values, total, out=even, where=total > 0)
    return share
