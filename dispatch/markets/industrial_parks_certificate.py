"""The certificate of a schedule of industrial parks, from its values and the case's data alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dispatch.case_parks import CountedBattery
from dispatch.certificate import Certificate
from dispatch.certify import largest
from dispatch.markets.industrial_parks_response import park_cost, park_dual_value, park_response
from dispatch.markets.industrial_parks_solution import AgentSolution, ParksSolution
from dispatch.markets.industrial_parks_ties import TieReport, tie_report
from dispatch.solver import SolveResult

FloatArray = NDArray[np.float64]


def certify_parks(solution: ParksSolution, result: SolveResult) -> tuple[Certificate, TieReport]:
    """Every check that applies, and what ties are worth; see ``Certificate`` for the meaning of each figure."""
    scale = max(1.0, abs(solution.profit))
    response_gaps, duality_gaps = [], []
    for agent in solution.agents:
        for i in range(len(agent.parks)):
            cost, best, bound = park_figures(agent, i)
            response_gaps.append(max(0.0, cost - best) / max(1.0, abs(best)))
            duality_gaps.append(abs(cost - bound) / max(1.0, abs(cost)))
    ties = tie_report(solution)
    return Certificate(
        balance_max=largest(*(v for agent in solution.agents for v in violations(agent))),
        best_response_gap=max(response_gaps),
        duality_gap=max(duality_gaps),
        objective_identity=abs(solution.profit - solution.linear_profit) / scale,
        dual_bound_ratio=max(agent.dual_bound_ratio for agent in solution.agents),
        mip_gap=result.gap,
        tie_width=ties.width,
    ), ties


def park_figures(agent: AgentSolution, i: int) -> tuple[float, float, float]:
    """A park's cost as planned, its least cost when asked alone, and the bound proved by its dual, currency."""
    inputs, price = agent.inputs, agent.price[i]
    alone = park_response(inputs, i, price)
    bound = park_dual_value(inputs, i, price, agent.energy_value[i], float(agent.shift_value[i]))
    return agent.park_cost(i), park_cost(inputs, i, price, alone), bound


def violations(agent: AgentSolution) -> Iterator[FloatArray]:
    """How far each balance and limit is missed, MW, MWh or currency per MWh; nothing is positive in a feasible schedule."""
    inputs, prices, dt = agent.inputs, agent.inputs.prices, agent.inputs.step_hours
    stored = (agent.discharge_mw - agent.charge_mw).sum(axis=0)
    yield np.abs(agent.bought_mw + stored - agent.net_sale_mw)
    yield from _outside(agent.day_ahead_mw, 0.0, inputs.day_ahead_max_mw)
    yield from _outside(agent.real_time_buy_mw, 0.0, inputs.real_time_max_mw)
    yield from _outside(agent.real_time_sell_mw, 0.0, inputs.real_time_max_mw)
    yield np.minimum(agent.real_time_buy_mw, agent.real_time_sell_mw)
    yield from _outside(agent.neighbour_buy_mw, 0.0, inputs.neighbour_buy_max_mw)
    yield from _outside(agent.neighbour_sell_mw, 0.0, inputs.neighbour_sell_max_mw)
    if inputs.sale_within_discharge:
        yield agent.real_time_sell_mw - agent.discharge_mw.sum(axis=0)
    yield from _outside(agent.price, prices.floor, prices.ceiling)
    yield agent.price.mean(axis=1) - prices.average_cap
    for i, park in enumerate(agent.parks):
        shift = park.shift_mw
        yield np.abs(park.net_purchase_mw + park.generation_mw + park.renewable_used_mw - inputs.load_mw[i] - shift)
        yield from _outside(park.purchase_mw, 0.0, inputs.purchase_max_mw[i])
        yield from _outside(park.sale_mw, 0.0, inputs.sale_max_mw[i])
        yield from _outside(park.generation_mw, inputs.generator_min_mw[i], inputs.generator_top_mw[i])
        yield from _outside(park.renewable_used_mw, 0.0, inputs.renewable_mw[i])
        yield from _outside(shift, -inputs.shift_max_mw[i], inputs.shift_max_mw[i])
        yield np.abs(shift.sum(keepdims=True))
    for s, unit in enumerate(inputs.storage):
        yield from _storage_violations(unit, agent.charge_mw[s], agent.discharge_mw[s], agent.stored_mwh[s], dt)


def _storage_violations(
    unit: CountedBattery, charge: FloatArray, discharge: FloatArray, stored: FloatArray, dt: float
) -> Iterator[FloatArray]:
    before = np.concatenate([[unit.energy_start_mwh], stored[:-1]]) * (1 - unit.self_discharge_per_hour * dt)
    yield np.abs(stored - before - (unit.charge_efficiency * charge - discharge / unit.discharge_efficiency) * dt)
    yield from _outside(stored, unit.energy_min_mwh, unit.energy_max_mwh)
    yield from _outside(charge, 0.0, unit.charge_max_mw)
    yield from _outside(discharge, 0.0, unit.discharge_max_mw)
    yield np.minimum(charge, discharge)
    short = unit.energy_start_mwh - stored[-1:]
    if unit.energy_end != "free":
        yield np.abs(short) if unit.energy_end == "equal" else short
    for used, other, limit in ((charge, discharge, unit.charge_limit), (discharge, charge, unit.discharge_limit)):
        if limit is not None:
            counted = starts(used, other) if unit.limit_counts == "starts" else dt * float((used > 1e-6).sum())
            yield np.array([counted - limit])


def starts(power_mw: FloatArray, opposite_mw: FloatArray, nothing_mw: float = 1e-6) -> int:
    """How often a battery turns to one direction: runs of steps with power in it, pauses within a run not counted."""
    direction = np.where(power_mw > nothing_mw, 1, np.where(opposite_mw > nothing_mw, -1, 0))
    working = direction[direction != 0]
    return int(((working == 1) & (np.concatenate([[-1], working[:-1]]) == -1)).sum())


def _outside(value: FloatArray, low: FloatArray | float, high: FloatArray | float) -> Iterator[FloatArray]:
    yield np.asarray(low - value)
    yield np.asarray(value - high)
