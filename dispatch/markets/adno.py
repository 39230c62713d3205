"""The active distribution network operator: Shi et al., Energies 2023, 16(11), 4507, section 4, top to bottom.

The operator buys at the spot price, runs gas units, storage and wind farms, sells at a fixed retail price, and subsidises
its customers' flexible demand. Customers answer. Variants:

``responsive``
    Customers answer individual subsidy rates by maximising their utility (the default). Single level, exact.
``responsive_uniform``
    One subsidy rate per step for all customers.
``responsive_shiftable``
    Individual rates, and each shiftable customer's energy of the day is fixed.
``faithful``
    The paper's own follower: a lump sum widens the limit of flexible demand (Eqs. 16-18), and customers minimise their
    bill; with different retail prices they fill the cheap demand first.
``no_subsidy``
    The single-level comparison of Table 6.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo

from dispatch.assets.generator import declare_generator
from dispatch.assets.storage import declare_net_charge, declare_storage, needs_binaries
from dispatch.assets.wind import declare_wind
from dispatch.case_adno import AdnoCase
from dispatch.case_adno_checks import supply_faults
from dispatch.case_inputs import AdnoInputs, adno_inputs, feeder_of
from dispatch.conic.cones import Cone
from dispatch.errors import InfeasibleError, SolverError, UnboundedError
from dispatch.exactness import solve_exact
from dispatch.infeasibility import MOST_ROWS, describe, explain
from dispatch.markets.adno_certificate import certify_adno
from dispatch.markets.adno_faithful import LumpSumFollower
from dispatch.markets.adno_followers import CustomerModel, IndividualResponse, NoSubsidy
from dispatch.markets.adno_network import NetPower, declare_network
from dispatch.markets.adno_shiftable import ShiftingResponse
from dispatch.markets.adno_solution import AdnoSolution, on_ac_state, read_solution
from dispatch.markets.adno_uniform import UniformResponse
from dispatch.network.feeder import Feeder
from dispatch.schedule import Schedule
from dispatch.solver import SolveResult, SolverOptions
from dispatch.solver import solve as solve_cones

VARIANTS: dict[str, Callable[[], CustomerModel]] = {
    "responsive": IndividualResponse,
    "responsive_uniform": UniformResponse,
    "responsive_shiftable": ShiftingResponse,
    "faithful": LumpSumFollower,
    "no_subsidy": NoSubsidy,
}
DEFAULT_VARIANT = "responsive"
METHODS = ("exact",)

#: Charging and discharging in one step above this is worth a second solve with binaries, MW.
BOTH_WAYS_MW = 1e-6


@dataclass(frozen=True, eq=False)
class AdnoModel:
    """A built model, ready to be solved.

    model: the Pyomo model; cones: its cones and convex quadratics; customers: the variant of the follower.
    """

    case: AdnoCase
    inputs: AdnoInputs
    feeder: Feeder | None
    customers: CustomerModel
    model: Any
    cones: list[Cone]


def solve(case: AdnoCase, variant: str, method: str, options: SolverOptions) -> Schedule:
    """The operator's best schedule with its certificate; see the module for variants.

    Raises
    ------
    InfeasibleError
        If no schedule meets all limits; the text names the rows that conflict.
    SolverError
        If time ran out before any schedule was found.
    """
    clock = time.perf_counter()
    built = build(case, variant)
    seconds = {"build": time.perf_counter() - clock}
    clock = time.perf_counter()
    solution, result, notes = _solve_built(built, variant, options)
    seconds["solve"] = time.perf_counter() - clock
    clock = time.perf_counter()
    certificate = certify_adno(solution, variant, result, largest_gap=options.gap)
    seconds["certify"] = time.perf_counter() - clock
    return Schedule.of(
        case,
        solution,
        market="adno",
        variant=variant,
        method=method,
        solver=options.solver,
        objective=solution.profit,
        bound=result.bound,
        gap=result.gap,
        sense="max",
        certificate=certificate,
        seconds=seconds,
        extras={"customers": solution.customer_table()},
        notes=tuple(notes),
        status=result.status,
    )


def _solve_built(built: AdnoModel, variant: str, options: SolverOptions) -> tuple[AdnoSolution, SolveResult, list[str]]:
    """Solve; once more with storage binaries if a store was found charging and discharging at once."""
    for storage_binaries in (False, True):
        if storage_binaries:
            built = build(built.case, variant, storage_binaries=True)
        result, repaired = _solve_physical(built, options)
        _refuse(built, result)
        decision = built.customers.decision(built.model, built.case, built.inputs)
        solution = read_solution(built.model, built.case, built.inputs, built.feeder, decision)
        solution = on_ac_state(solution) if repaired else solution
        both = [
            np.minimum(solution.charge_mw[s], solution.discharge_mw[s]).max()
            for s, unit in enumerate(built.case.storage)
            if unit.charge_efficiency * unit.discharge_efficiency < 1
        ]
        if max(both, default=0.0) <= BOTH_WAYS_MW:
            break
    notes = []
    if repaired:
        notes.append(
            "Losses pay in some steps, so that the relaxed network was mended to an AC state; the bound is the relaxed one."
        )
    if result.status != "optimal":
        notes.append(
            f"Best schedule found, not proven optimal ({result.status}): a better one could gain at most "
            f"{abs(result.bound - result.objective):.4g} {built.case.currency}, {result.gap:.1e} of the profit."
        )
    if variant == "faithful":
        notes.append("Optimistic value: among demands that cost customers the same, the operator's best is taken.")
    return solution, result, notes


def _solve_physical(built: AdnoModel, options: SolverOptions) -> tuple[SolveResult, bool]:
    """The result, and whether slack cones had to be mended; SCIP gives a second opinion on the relaxation alone."""
    if built.feeder is None or options.solver != "highs":
        return solve_cones(built.model, built.cones, options), False
    result, report = solve_exact(built.model, built.cones, built.model.network, options)
    return result, report.repaired


def _refuse(built: AdnoModel, result: SolveResult) -> None:
    if result.has_solution:
        return
    name = built.case.name
    if result.status == "infeasible":
        free = np.clip(built.inputs.flexible_free_mw, 0, None)
        certain = tuple(supply_faults(built.case, built.inputs, built.feeder, free))
        rows = certain or explain(built.model, built.cones)
        listed = [f"  - {_with_clock(row, built.case)}" for row in rows[:MOST_ROWS]]
        if len(rows) > MOST_ROWS:
            listed.append(f"  ... and {len(rows) - MOST_ROWS} more")
        raise InfeasibleError(
            "\n".join([f"case {name}: no schedule meets all limits; the nearest would miss", *listed])
        )
    if result.status == "unbounded":
        raise UnboundedError(f"case {name}: profit can grow without limit; bound import and export")
    raise SolverError(f"case {name}: no schedule found ({result.status}: {result.message}); allow more time")


def _with_clock(row: str, case: AdnoCase) -> str:
    """The sentence with the clock time at which its step begins."""

    def clock(found: re.Match[str]) -> str:
        step = int(found[1])
        if case.index is not None:
            return f"{found[0]} ({case.index[step]:%d %b %H:%M})"
        minutes = round(60 * step * case.step_hours)
        return f"{found[0]} ({minutes // 60:02d}:{minutes % 60:02d})"

    return re.sub(r"\bstep (\d+)", clock, row, count=1)


def build(case: AdnoCase, variant: str = DEFAULT_VARIANT, storage_binaries: bool = False) -> AdnoModel:
    """The operator's problem (Shi et al. 2023, Eq. 23) with the follower replaced by its exact equivalent.

    Parameters
    ----------
    storage_binaries: forbid charging and discharging in one step by binaries even where theory says they cannot pay.
    """
    inputs = adno_inputs(case)
    feeder = feeder_of(case.network) if case.network is not None else None
    customers = VARIANTS[variant]()
    model = pyo.ConcreteModel(name=f"adno {case.name} {variant}")

    # Leader: assets (Eqs. 9-14)
    declare_storage(model, case.storage, inputs.steps, inputs.step_hours, _exclusive(case, inputs, storage_binaries))
    declare_net_charge(model, case.storage, inputs.steps, inputs.step_hours)
    declare_generator(model, case.gas, inputs.steps, inputs.step_hours)
    declare_wind(
        model,
        inputs.wind_mw,
        inputs.step_hours,
        case.curtailment_price_per_mwh,
        [farm.reactive_max_mvar for farm in case.wind],
    )
    # Followers (Eqs. 15-18)
    cones = customers.declare(model, case, inputs)
    # Network and balance (Eqs. 19-22)
    cones += declare_network(model, case, inputs, feeder, NetPower(model, case, inputs))
    declare_grid(model, case, inputs)
    # Objective (Eq. 23)
    declare_profit(model, inputs)
    return AdnoModel(case, inputs, feeder, customers, model, cones)


def declare_grid(model: Any, case: AdnoCase, inputs: AdnoInputs) -> None:
    """Purchase ``bought_mw[t] >= 0`` and sale ``sold_mw[t] >= 0`` at the root; ``import = bought - sold``.

    Adds ``purchase_cost[t]`` and ``sale_income[t]`` (currency): purchase at the spot price, sale at the spot price minus a fee.
    Shi et al. 2023 allow no sale; neither does a case unless it says so.
    """
    times = list(range(inputs.steps))
    dt, spot = inputs.step_hours, inputs.spot_price.tolist()
    most_used = 2 * float((inputs.rigid_mw + inputs.flexible_max_mw).sum(axis=1).max(initial=0.0))
    most_used += sum(unit.charge_max_mw for unit in case.storage)
    most_made = sum(u.power_max_mw for u in case.gas) + sum(u.discharge_max_mw for u in case.storage)
    most_made += float(inputs.wind_mw.sum(axis=0).max(initial=0.0))
    buy_limit = case.import_max_mw if case.import_max_mw is not None else most_used
    sell_limit = min(most_made, case.export.max_mw or most_made) if case.export.allowed else 0.0
    model.bought_mw = pyo.Var(times, bounds=(0, buy_limit))
    model.sold_mw = pyo.Var(times, bounds=(0, sell_limit))
    describe(model.bought_mw, lambda at, by: _exchange_text(at[0], by, buy_limit))
    model.exchange = pyo.Constraint(
        times, rule=lambda m, t: m.network.import_mw[t] - m.bought_mw[t] + m.sold_mw[t] == 0.0
    )
    if case.import_step_max_mw is not None:
        step = case.import_step_max_mw
        model.exchange_step = pyo.Constraint(
            times[1:],
            rule=lambda m, t: pyo.inequality(-step, m.network.import_mw[t] - m.network.import_mw[t - 1], step),
        )
    model.purchase_cost = pyo.Expression(times, rule=lambda m, t: dt * spot[t] * m.bought_mw[t])
    model.sale_income = pyo.Expression(times, rule=lambda m, t: dt * (spot[t] - case.export.fee_per_mwh) * m.sold_mw[t])


def _exchange_text(step: int, by: float, limit: float) -> str:
    if by < 0:
        return f"grid, step {step}: {-by:.4f} MW of surplus with nowhere to go; allow export or curtailment"
    return f"grid, step {step}: import above its limit of {limit:g} MW by {by:.4f} MW"


def declare_profit(model: Any, inputs: AdnoInputs) -> None:
    """Retail income minus purchase, fuel, starts, subsidies, wear and curtailment (Shi et al. 2023, Eq. 23), maximised.

    Departures: prices are per MWh times ``dt``; the subsidy of a rate is paid per MWh used, not as a lump sum, except in
    ``faithful``; wear, curtailment and sale to the grid are added.
    """
    customers = range(len(inputs.customer_ids))
    price = (inputs.retail_price * inputs.step_hours).tolist()
    fixed = (inputs.retail_price * inputs.rigid_mw).sum(axis=1) * inputs.step_hours

    def retail(m: Any, t: int) -> Any:
        return float(fixed[t]) + pyo.quicksum(price[t][j] * m.flexible_mw[j, t] for j in customers)

    model.retail_income = pyo.Expression(list(range(inputs.steps)), rule=retail)
    model.profit = pyo.Objective(
        sense=pyo.maximize,
        expr=pyo.quicksum(
            model.retail_income[t]
            + model.sale_income[t]
            - model.purchase_cost[t]
            - model.fuel_cost[t]
            - model.start_cost[t]
            - model.subsidy_bill[t]
            - model.wear_cost[t]
            - model.curtailment_cost[t]
            for t in range(inputs.steps)
        ),
    )


def _exclusive(case: AdnoCase, inputs: AdnoInputs, always: bool) -> list[bool]:
    """Which stores need binaries: energy has no value below the lowest spot price, or zero where wind can be curtailed.

    An upper voltage limit that binds can still push a local value below that; the solved model is checked for it.
    """
    lowest = min(0.0, float(inputs.spot_price.min(initial=0.0)))
    return [always or needs_binaries(unit, lowest) for unit in case.storage]
