"""Clearing of electricity and heat between a supplier and parks: Wu et al. 2024, doi 10.3389/fenrg.2024.1342516.

A supplier runs a gas turbine with waste heat, a boiler, renewables, storage and exchange with the grid; parks move part of
their electricity and heat within the day; the market operator posts prices. Variants are the paper's three scenarios:

``equilibrium``
    Scenario 3 (the default): prices at which everyone's own best plan is the plan of least cost.
``fixed_prices``
    Scenario 1: fixed retail prices, parks do not respond.
``responsive_fixed_prices``
    Scenario 2: fixed retail prices, parks respond.

Methods for the equilibrium: ``exact`` (the welfare problem and its duals), ``best_response`` (see ``iteration`` of the case) and
``pso`` (the paper's swarm). Departures from the paper: its operator's objective does not contain the price, so welfare takes
its place; parks' reduction is a transfer within the day at a quadratic discomfort, as a paid reduction at no discomfort
would always be taken in full; heat may be dumped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.case_clearing import EnergyClearingCase
from dispatch.conic.cones import QuadraticEpigraph
from dispatch.errors import SolverError
from dispatch.markets.energy_clearing_certificate import certify_clearing
from dispatch.markets.energy_clearing_inputs import clearing_inputs
from dispatch.markets.energy_clearing_iteration import UPDATES, Answer, cycle_notes
from dispatch.markets.energy_clearing_prices import price_ranges
from dispatch.markets.energy_clearing_program import ClearingProgram, clearing_model
from dispatch.markets.energy_clearing_response import reductions
from dispatch.markets.energy_clearing_solution import ENERGIES, ClearingSolution, price_table, read_solution
from dispatch.markets.energy_clearing_swarm import swarm
from dispatch.schedule import Schedule
from dispatch.solver import SolverOptions
from dispatch.solver import solve as solve_cones

FloatArray = NDArray[np.float64]

VARIANTS = ("equilibrium", "fixed_prices", "responsive_fixed_prices")
DEFAULT_VARIANT = "equilibrium"
METHODS = ("exact", "best_response", "pso")

#: Scenario of the paper by variant, in its order.
SCENARIOS = {"fixed_prices": 1, "responsive_fixed_prices": 2, "equilibrium": 3}


@dataclass(frozen=True, eq=False)
class Cleared:
    """A cleared market; proof: prices that prove it to be of least cost, ``None`` if that is not claimed."""

    solution: ClearingSolution
    proof: FloatArray | None = None
    extras: dict[str, pd.DataFrame] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def solve(case: EnergyClearingCase, variant: str, method: str, options: SolverOptions) -> Schedule:
    """The cleared market with its certificate; see the module for variants and methods.

    Raises
    ------
    SolverError
        If the market could not be cleared.
    """
    clock = time.perf_counter()
    program = ClearingProgram(case, clearing_inputs(case))
    seconds = {"build": time.perf_counter() - clock}
    clock = time.perf_counter()
    cleared = _clear(program, variant, method, options)
    seconds["solve"] = time.perf_counter() - clock
    clock = time.perf_counter()
    check = certify_clearing(cleared.solution, cleared.proof, parks_respond=variant != "fixed_prices")
    seconds["certify"] = time.perf_counter() - clock
    clock = time.perf_counter()
    exact = program.welfare()
    least = exact.supplier_cost + program.discomfort(exact.reduction_mw)
    if variant == "equilibrium" and method == "exact":
        cleared = _with_price_ends(program, cleared)
    scenarios = scenario_table(program, cleared.solution, variant)
    seconds["compare"] = time.perf_counter() - clock
    cost = cleared.solution.cost()
    bound = check.bound
    if bound is None:
        bound = min(least, cost) if variant == "equilibrium" else cost
    notes = [*cleared.notes, *_notes(cleared, variant, cost, least), *_band_notes(cleared.solution)]
    return Schedule.of(
        case,
        cleared.solution,
        market="energy_clearing",
        variant=variant,
        method=method,
        solver=options.solver,
        objective=cost,
        bound=bound,
        gap=max(0.0, cost - bound) / max(1.0, abs(cost)),
        sense="min",
        certificate=check.certificate,
        seconds=seconds,
        extras={**cleared.extras, "scenarios": scenarios},
        notes=tuple(notes),
    )


def _clear(program: ClearingProgram, variant: str, method: str, options: SolverOptions) -> Cleared:
    if variant != "equilibrium":
        return Cleared(at_retail_prices(program, responsive=variant == "responsive_fixed_prices"))
    if method == "exact":
        return _exact(program, options)
    if method == "pso":
        answer = swarm(program, options.seed)
        return _from_answer(program, answer)
    update = program.case.iteration.update
    answer = UPDATES[update](program)
    notes = list(cycle_notes(answer, program.case.currency)) if update == "undamped" else []
    return _from_answer(program, answer, notes)


def _from_answer(program: ClearingProgram, answer: Answer, notes: Sequence[str] = ()) -> Cleared:
    solution = read_solution(program, answer.point, answer.price, answer.reduction_mw)
    text = f"{len(answer.tables['convergence'])} rounds, {answer.calls} times that parks and supplier were asked."
    return Cleared(solution, answer.proof, answer.tables, [*notes, text])


def _exact(program: ClearingProgram, options: SolverOptions) -> Cleared:
    """The welfare problem by HiGHS; with ``solver=scip`` its quantities come from SCIP, which has no duals of a quadratic."""
    point = program.welfare()
    if options.solver == "highs":
        return Cleared(read_solution(program, point, point.price, point.reduction_mw), point.price)
    moved = _reductions_by_cones(program, options)
    note = "Quantities by SCIP; it has no duals of a quadratic problem, so that prices are those of HiGHS."
    return Cleared(read_solution(program, program.serve(moved), point.price, moved), point.price, notes=[note])


def _reductions_by_cones(program: ClearingProgram, options: SolverOptions) -> FloatArray:
    """Reductions ``[2, I, T]`` of the welfare problem as the solver of ``options`` finds them."""
    model = clearing_model(program.case, program.inputs)
    model.discomfort = pyo.Var(bounds=(0, None))
    model.total_cost.set_value(model.total_cost.expr + model.discomfort)
    blocks = (model.reduction_mw, model.heat_reduction_mw)
    variables = [variable for block in blocks for variable in block.values()]
    weights = 0.5 * program.hessian[program.columns].ravel()
    cone = QuadraticEpigraph(
        "discomfort of parks", tuple(zip(weights.tolist(), variables, strict=True)), model.discomfort
    )
    result = solve_cones(model, [cone], replace(options, gap=min(options.gap, 1e-9)))
    if not result.has_solution:
        raise SolverError(f"case {program.case.name}: the market was not cleared ({result.status}: {result.message})")
    return np.array([variable.value for variable in variables]).reshape(program.columns.shape)


def at_retail_prices(program: ClearingProgram, responsive: bool) -> ClearingSolution:
    """Scenarios 1 and 2: fixed retail prices, the supplier serves at least cost what parks then take."""
    inputs = program.inputs
    price = np.array([energy.retail_price for energy in inputs.energies])
    moved = reductions(inputs, price) if responsive else np.zeros(program.columns.shape)
    return read_solution(program, program.serve(moved), price, moved)


def scenario_table(program: ClearingProgram, solution: ClearingSolution, variant: str) -> pd.DataFrame:
    """Cost, profit and surplus of the three scenarios, currency; the third is the equilibrium."""
    if variant == "equilibrium":
        third = solution
    else:
        point = program.welfare()
        third = read_solution(program, point, point.price, point.reduction_mw)
    solved = {1: at_retail_prices(program, False), 2: at_retail_prices(program, True), 3: third}
    names = {number: name for name, number in SCENARIOS.items()}
    rows = [{"scenario": f"{k} {names[k].replace('_', ' ')}", **solved[k].surplus()} for k in sorted(solved)]
    return pd.DataFrame(rows)


def _with_price_ends(program: ClearingProgram, cleared: Cleared) -> Cleared:
    low, high = price_ranges(program, program.welfare())
    solution = replace(cleared.solution, price_low=low, price_high=high)
    parts = [
        price_table(energy, name, low[e], high[e])
        for e, (name, energy) in enumerate(zip(ENERGIES, program.inputs.energies, strict=True))
    ]
    table = pd.concat(parts, ignore_index=True)
    extras = {**cleared.extras, "prices_not_unique_or_outside_band": table} if len(table) else cleared.extras
    return replace(cleared, solution=solution, extras=extras)


def _notes(cleared: Cleared, variant: str, cost: float, least: float) -> list[str]:
    excess, share = f"{cost - least:,.2f} {cleared.solution.case.currency}", 100 * (cost - least) / max(1.0, abs(least))
    if variant != "equilibrium":
        text = f"Fixed prices leave the operator no decision; the market costs {excess} more than in equilibrium."
    elif cleared.proof is None:
        text = (
            "Parks and supplier answer these prices truly, but nothing claims that they are the best: the market costs "
            f"{excess} more than in equilibrium ({share:.3g}%)."
        )
    else:
        text = (
            "Theorem: within the proven gap no operator can better the cost at these prices, so that social surplus is at "
            "least that of both fixed-price scenarios. That the supplier's profit rises too, as Wu et al. 2024 report, is not "
            "a theorem."
        )
    return [text]


def _band_notes(solution: ClearingSolution) -> list[str]:
    """What clipping to the bid bands would do: parks would answer the posted price differently, so they are rationed."""
    clipped = np.abs(solution.posted_price - solution.price) > 1e-6
    if not clipped.any():
        return []
    wanted = reductions(solution.inputs, solution.posted_price)
    moved = float(np.abs(wanted - solution.reduction_mw).sum()) * solution.inputs.step_hours / 2
    where = " and ".join(
        f"{name} in {int(clipped[e].sum())} steps" for e, name in enumerate(ENERGIES) if clipped[e].any()
    )
    text = (
        f"The cleared price lies outside its bid band: {where}. Clipped to the band, parks would move {moved:.3f} MWh "
        "otherwise than planned and are rationed to the plan; the certificate holds at the cleared price."
    )
    return [text]
