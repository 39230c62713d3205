"""The certificate of an ADNO schedule, from its values alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.case_adno import GasUnit
from dispatch.certificate import TOLERANCES, Certificate
from dispatch.certify import (
    FollowerFigures,
    box_duality_gap,
    cheapest_fill,
    largest,
    replay_ac,
    response_cost,
    shifting_response,
    utility_response,
)
from dispatch.markets.adno_faithful import limit_line
from dispatch.markets.adno_solution import AdnoSolution
from dispatch.markets.adno_ties import tie_width
from dispatch.solver import SolveResult

FloatArray = NDArray[np.float64]


def certify_adno(
    solution: AdnoSolution, variant: str, result: SolveResult, largest_gap: float = TOLERANCES["mip_gap"]
) -> Certificate:
    """Every check that applies to the variant; see ``Certificate`` for what each figure means.

    largest_gap: proven gap that was asked for; a coarser one than the default passes and stands in the tolerances.
    """
    check = check_customers(solution, variant)
    scale = max(1.0, abs(solution.profit))
    shift = profit_from(solution, check.answers) - result.objective
    voltage = loss = gap = None
    if solution.network is not None and solution.feeder is not None and solution.case.network is not None:
        p, q = solution.net_consumption()
        planned = np.sqrt(solution.network.voltage_sq)
        replay = replay_ac(
            solution.feeder, p, q, solution.case.network.root_voltage_pu, planned, solution.loss_mw.sum(axis=1)
        )
        voltage, loss, gap = replay.voltage_error_pu, replay.loss_error_mw, cone_gap(solution)
    return Certificate(
        balance_max=largest(*violations(solution)),
        best_response_gap=check.figures.best_response_gap,
        duality_gap=check.figures.duality_gap,
        objective_identity=abs(shift) / scale,
        cone_gap=gap,
        dual_bound_ratio=solution.customers.dual_bound_ratio,
        mip_gap=result.gap,
        tie_width=tie_width(solution),
        ac_voltage_error_pu=voltage,
        ac_loss_error_mw=loss,
        tolerances={**TOLERANCES, "mip_gap": max(largest_gap, TOLERANCES["mip_gap"])},
    )


@dataclass(frozen=True, eq=False)
class CustomerCheck:
    """Customers asked again alone: their own answers ``[T, J]`` where unique, and how far the plan is from them."""

    answers: FloatArray
    figures: FollowerFigures


def check_customers(solution: AdnoSolution, variant: str) -> CustomerCheck:
    """Every customer's own optimum at the subsidies offered, by a route that the variant's model does not use."""
    if variant == "faithful":
        return CustomerCheck(solution.customers.flexible_mw, _bill_figures(solution))
    inputs, demand = solution.inputs, solution.customers.flexible_mw
    elastic = inputs.elasticity > 0
    net = inputs.retail_price - solution.customers.subsidy_per_mwh
    utility = inputs.retail_price + inputs.surplus_at_zero
    slope, top = np.where(elastic, inputs.slope, 1.0), inputs.flexible_max_mw
    answers, value = utility_response(net, utility, slope, top), np.zeros_like(demand)
    free = np.clip(inputs.flexible_free_mw, 0, None)
    for j in np.flatnonzero(inputs.shiftable & elastic.any(axis=0)) if variant == "responsive_shiftable" else ():
        on = elastic[:, j]
        answers[on, j], value[on, j] = shifting_response(
            net[on, j], utility[on, j], slope[on, j], top[on, j], float(free[on, j].sum())
        )
    answers = np.where(elastic, answers, free)
    used, best = np.where(elastic, demand, 0.0), np.where(elastic, answers, 0.0)
    planned_cost = response_cost(used, net, utility, slope, inputs.step_hours)
    best_cost = response_cost(best, net, utility, slope, inputs.step_hours)
    scale = np.maximum(1.0, np.abs(best_cost))
    gap = box_duality_gap(used, net + value, utility, slope, np.where(elastic, top, 0.0), inputs.step_hours)
    return CustomerCheck(answers, FollowerFigures(largest((planned_cost - best_cost) / scale), largest(gap / scale)))


def _bill_figures(solution: AdnoSolution) -> FollowerFigures:
    """The printed follower of each step as a plain linear program at the limits that the lump sums buy."""
    inputs, used = solution.inputs, solution.customers.flexible_mw
    constant, slope = limit_line(solution.case, inputs)
    limit = np.clip(constant + slope * solution.customers.lump_sum_per_hour, 0, inputs.flexible_max_mw)
    worst_gain = worst_gap = 0.0
    for t in range(inputs.steps):
        bill = float(inputs.retail_price[t] @ used[t])
        least, bound = cheapest_fill(inputs.retail_price[t], np.maximum(limit[t], 0.0), float(used[t].sum()))
        worst_gain = max(worst_gain, (bill - least) / max(1.0, abs(least)))
        worst_gap = max(worst_gap, abs(bill - bound) / max(1.0, abs(least)))
    return FollowerFigures(worst_gain, worst_gap)


def profit_from(solution: AdnoSolution, answers: FloatArray) -> float:
    """The operator's profit with customers' own answers in place of planned demand, purchases as planned."""
    inputs, dt = solution.inputs, solution.inputs.step_hours
    margin = inputs.retail_price - solution.customers.subsidy_per_mwh
    return solution.profit + float((margin * (answers - solution.customers.flexible_mw)).sum() * dt)


def cone_gap(solution: AdnoSolution) -> float:
    """Largest ``|l u - P^2 - Q^2|`` over lines and steps, p.u."""
    assert solution.network is not None and solution.feeder is not None
    state, feeder = solution.network, solution.feeder
    sending = [feeder.position[i] for i, _ in feeder.line_keys]
    gap = state.current_sq * state.voltage_sq[:, sending] - state.flow_p**2 - state.flow_q**2
    return float(np.abs(gap).max(initial=0.0))


def violations(solution: AdnoSolution) -> Iterator[FloatArray]:
    """How far each balance and limit is missed, in MW, MWh, Mvar or p.u.; nothing is positive in a feasible schedule."""
    case, inputs, dt = solution.case, solution.inputs, solution.inputs.step_hours
    for s, store in enumerate(case.storage):
        charge, discharge, stored = solution.charge_mw[s], solution.discharge_mw[s], solution.stored_mwh[s]
        before = np.concatenate([[store.energy_start_mwh], stored[:-1]]) * (1 - store.self_discharge_per_hour * dt)
        gain = (store.charge_efficiency * charge - discharge / store.discharge_efficiency) * dt
        yield np.abs(stored - before - gain)
        yield from _outside(stored, store.energy_min_mwh, store.energy_max_mwh)
        yield from _outside(charge, 0.0, store.charge_max_mw)
        yield from _outside(discharge, 0.0, store.discharge_max_mw)
        yield from _outside(solution.storage_mvar[s], -store.reactive_max_mvar, store.reactive_max_mvar)
        if store.charge_efficiency * store.discharge_efficiency < 1:
            yield np.minimum(charge, discharge)
        short = store.energy_start_mwh - stored[-1:]
        if store.energy_end != "free":
            yield np.abs(short) if store.energy_end == "equal" else short
    for i, unit in enumerate(case.gas):
        yield from _gas_violations(unit, solution.gas_mw[i], solution.gas_mvar[i], solution.gas_on[i], dt)
    for v, farm in enumerate(case.wind):
        yield from _outside(solution.wind_mw[v], 0.0, inputs.wind_mw[v])
        yield from _outside(solution.wind_mvar[v], -farm.reactive_max_mvar, farm.reactive_max_mvar)
    limit = solution.customers.limit_mw
    yield from _outside(solution.customers.flexible_mw, 0.0, inputs.flexible_max_mw if limit is None else limit)
    yield from _outside(solution.customers.subsidy_per_mwh, 0.0, case.subsidy.rate_max_per_mwh)
    yield from _outside(solution.customers.lump_sum_per_hour, 0.0, inputs.lump_sum_max)
    yield from _exchange_violations(solution)
    yield from _network_violations(solution)


def _gas_violations(
    unit: GasUnit, power: FloatArray, reactive: FloatArray, on: FloatArray, dt: float
) -> Iterator[FloatArray]:
    yield from _outside(power, unit.power_min_mw * on, unit.power_max_mw * on)
    yield from _outside(reactive, -unit.reactive_max_mvar * on, unit.reactive_max_mvar * on)
    change = np.diff(power, prepend=unit.initial_power_mw)
    was_on = np.concatenate([[float(unit.initially_on)], on[:-1]])
    if unit.ramp_up_mw_per_hour is not None:
        ramp = unit.ramp_up_mw_per_hour * dt
        yield change - np.where(was_on > 0, ramp, max(ramp, unit.power_min_mw))
    if unit.ramp_down_mw_per_hour is not None:
        ramp = unit.ramp_down_mw_per_hour * dt
        yield -change - np.where(on > 0, ramp, max(ramp, unit.power_min_mw))


def _exchange_violations(solution: AdnoSolution) -> Iterator[FloatArray]:
    case = solution.case
    top = np.inf if case.import_max_mw is None else case.import_max_mw
    yield from _outside(solution.bought_mw, 0.0, top)
    sale = 0.0 if not case.export.allowed else np.inf if case.export.max_mw is None else case.export.max_mw
    yield from _outside(solution.sold_mw, 0.0, sale)
    taken = solution.net_consumption()[0].sum(axis=1) + solution.loss_mw.sum(axis=1)
    exchange = solution.bought_mw - solution.sold_mw
    yield np.abs(exchange - taken)
    if case.import_step_max_mw is not None:
        yield np.abs(np.diff(exchange)) - case.import_step_max_mw


def _network_violations(solution: AdnoSolution) -> Iterator[FloatArray]:
    """Nodal balances, voltage drops and limits of the branch-flow model (Shi et al. 2023, Eqs. 19-20)."""
    feeder, state, network = solution.feeder, solution.network, solution.case.network
    if feeder is None or state is None or network is None:
        return
    start = [feeder.position[i] for i, _ in feeder.line_keys]
    end = [feeder.position[j] for _, j in feeder.line_keys]
    r, x, root = feeder.r_pu, feeder.x_pu, feeder.position[feeder.root]
    p_net, q_net = solution.net_consumption()
    for flow, net, impedance, exchange in (
        (state.flow_p, p_net, r, solution.bought_mw - solution.sold_mw),
        (state.flow_q, q_net, x, solution.import_mvar),
    ):
        surplus = -net / feeder.base_mva
        surplus[:, root] += exchange / feeder.base_mva
        np.add.at(surplus.T, end, (flow - impedance * state.current_sq).T)
        np.subtract.at(surplus.T, start, flow.T)
        yield np.abs(surplus)
    u = state.voltage_sq
    drop = 2 * (r * state.flow_p + x * state.flow_q) - (r**2 + x**2) * state.current_sq
    yield np.abs(u[:, end] - u[:, start] + drop)
    yield np.abs(u[:, root] - network.root_voltage_pu**2)
    yield from _outside(np.sqrt(u[:, end]), network.voltage_min_pu, network.voltage_max_pu)
    yield np.sqrt(np.clip(state.current_sq, 0, None)) - feeder.current_limit_pu


def _outside(value: FloatArray, low: FloatArray | float, high: FloatArray | float) -> Iterator[FloatArray]:
    yield np.asarray(low - value)
    yield np.asarray(value - high)
