"""The certificate of a cleared market, from its values and the case's data alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.case_clearing import Store
from dispatch.certificate import Certificate
from dispatch.certify import largest
from dispatch.markets.energy_clearing_response import park_costs, reductions, supplier_least_cost, supplier_value
from dispatch.markets.energy_clearing_solution import ClearingSolution, StoreValues

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ClearingCheck:
    """bound: least cost that any plan can have, proved by prices alone, if that was asked; certificate: every figure."""

    bound: float | None
    certificate: Certificate


def certify_clearing(solution: ClearingSolution, proof: FloatArray | None, parks_respond: bool = True) -> ClearingCheck:
    """Every check that applies; see ``Certificate`` for the meaning of each figure.

    The bound is the Lagrangian dual at some prices: what the supplier would lose least and each park would pay least if
    nothing forced their plans to match. No plan of the market costs less, whatever these prices are.

    Parameters
    ----------
    proof: prices ``[2, T]`` whose bound is to prove the plan; ``None`` if the plan does not claim to be of least cost.
    parks_respond: whether parks were free to answer.
    """
    case, inputs, price = solution.case, solution.inputs, solution.price
    cost = solution.cost()
    scale = max(1.0, abs(cost))
    alone = reductions(inputs, price)
    best = park_costs(inputs, price, alone)
    reported = park_costs(inputs, price, solution.reduction_mw)
    supply = sum(solution.supplier_costs().values()) + solution.lost_load()
    least = supplier_least_cost(case, inputs, solution.demand_mw.sum(axis=1))
    gaps = [(supply - least) / max(1.0, abs(least))]
    if parks_respond:
        gaps += [float(gap) for gap in (reported - best) / np.maximum(1.0, np.abs(best))]
    bound = None if proof is None else min(cost, dual_bound(solution, proof))
    money = solution.money()
    parties = sum(sum(items.values()) for party, items in money.items() if party != "whole_market")
    gap = None if bound is None else (cost - bound) / scale
    certificate = Certificate(
        balance_max=largest(*violations(solution)),
        best_response_gap=max(0.0, *gaps),
        duality_gap=gap if proof is price else None,
        objective_identity=abs(parties + cost) / scale,
        mip_gap=gap,
    )
    return ClearingCheck(bound, certificate)


def dual_bound(solution: ClearingSolution, price: FloatArray) -> float:
    """What no plan of the market can cost less than, proved by any prices ``[2, T]``, currency."""
    parks = park_costs(solution.inputs, price, reductions(solution.inputs, price))
    return supplier_value(solution.case, solution.inputs, price) + float(parks.sum())


def violations(solution: ClearingSolution) -> Iterator[FloatArray]:
    """How far each balance and limit is missed, MW or MWh; nothing is positive in a feasible schedule."""
    case, inputs = solution.case, solution.inputs
    demand = solution.demand_mw.sum(axis=1)
    power = solution.exchange_mw + solution.renewable_mw.sum(axis=0) + solution.turbine_mw.sum(axis=0)
    heat = solution.recovered_heat_mw.sum(axis=0) + solution.boiler_heat_mw.sum(axis=0)
    yield np.abs(power + _given(solution.storage) + solution.unserved_mw[0] - demand[0])
    yield np.abs(heat + _given(solution.heat_storage) + solution.unserved_mw[1] - demand[1])
    yield -solution.unserved_mw
    yield from _outside(solution.exchange_mw, -case.exchange.sell_max_mw, case.exchange.buy_max_mw)
    yield from _outside(solution.renewable_mw, 0.0, inputs.renewable_mw)
    for k, turbine in enumerate(case.turbines):
        yield from _outside(solution.turbine_mw[k], 0.0, turbine.power_max_mw)
        yield from _outside(solution.recovered_heat_mw[k], 0.0, turbine.heat_ratio * solution.turbine_mw[k])
    for k, boiler in enumerate(case.boilers):
        yield from _outside(solution.boiler_heat_mw[k], 0.0, boiler.heat_max_mw)
    for units, values in ((case.storage, solution.storage), (case.heat_storage, solution.heat_storage)):
        for s, unit in enumerate(units):
            yield from _store_violations(unit, values, s, inputs.step_hours)
    for e, energy in enumerate(inputs.energies):
        yield from _outside(solution.reduction_mw[e], -energy.shift_max_mw, energy.shift_max_mw)
        yield np.abs(solution.reduction_mw[e].sum(axis=1))


def _store_violations(unit: Store, values: StoreValues, s: int, dt: float) -> Iterator[FloatArray]:
    charge, discharge, stored = values.charge_mw[s], values.discharge_mw[s], values.stored_mwh[s]
    before = np.concatenate([[unit.energy_start_mwh], stored[:-1]]) * (1 - unit.self_discharge_per_hour * dt)
    yield np.abs(stored - before - (unit.charge_efficiency * charge - discharge / unit.discharge_efficiency) * dt)
    yield from _outside(stored, unit.energy_min_mwh, unit.energy_max_mwh)
    yield from _outside(charge, 0.0, unit.charge_max_mw)
    yield from _outside(discharge, 0.0, unit.discharge_max_mw)
    if unit.charge_efficiency * unit.discharge_efficiency < 1 and unit.wear_per_mwh > 0:
        yield np.minimum(charge, discharge)
    short = unit.energy_start_mwh - stored[-1:]
    if unit.energy_end != "free":
        yield np.abs(short) if unit.energy_end == "equal" else short


def _given(values: StoreValues) -> FloatArray:
    total: FloatArray = (values.discharge_mw - values.charge_mw).sum(axis=0)
    return total


def _outside(value: FloatArray, low: FloatArray | float, high: FloatArray | float) -> Iterator[FloatArray]:
    yield np.asarray(low - value)
    yield np.asarray(value - high)
