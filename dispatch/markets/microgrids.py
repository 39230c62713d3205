"""An operator that prices the trade of several microgrids: Chen et al. 2024, doi 10.3389/fenrg.2024.1450731, top to bottom.

The operator sets a buy and a sell tariff for every step between the grid's own (Eq. 4), nets what the microgrids exchange,
and trades the rest with the grid (Eqs. 3, 5). Each microgrid answers with its cheapest plan of turbine, battery and shifted
load (Eqs. 6-18). Variants:

``game``
    The operator chooses both tariffs (the paper's scheme 2, the default).
``grid_tariffs``
    The grid's tariffs are passed on (scheme 1): the baseline, no choice at all.

Methods for ``game``:

``exact``
    The microgrids' optimality conditions as one convex mixed-integer program, solved to a proven gap; value-function cuts
    where the case switches turbines (``mt_commitment``).
``kriging``
    The metamodel (section 4): sees only what the microgrids answer; regions, Kriging, swarm, true answers. By default with
    Kriging of the samples near each region; ``search.kriging: paper`` is the paper's plain loop.
``pso``, ``ga``
    Particle swarm and genetic algorithm on the true answers, with which the paper compares it (Table 4).

The last three prove nothing by themselves; each is scored against the bound of ``exact``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from dispatch.case_microgrids import MicrogridsCase
from dispatch.errors import InfeasibleError, OptionError, SolverError
from dispatch.markets.microgrids_certificate import certify_microgrids
from dispatch.markets.microgrids_commitment import solve_committed
from dispatch.markets.microgrids_exact import ExactModel, build_exact
from dispatch.markets.microgrids_inputs import MarketInputs, market_inputs
from dispatch.markets.microgrids_search import search
from dispatch.markets.microgrids_solution import MicrogridsSolution, answered, compared, read_exact
from dispatch.schedule import Schedule
from dispatch.solver import SolveResult, SolverOptions
from dispatch.solver import solve as solve_cones

VARIANTS = {"game": "the operator sets both tariffs", "grid_tariffs": "the grid's tariffs are passed on"}
DEFAULT_VARIANT = "game"
METHODS = ("exact", "kriging", "pso", "ga")

#: Prices, duals and powers of the exact model are of order one.
SCIP_TOLERANCE = 1e-6


def solve(case: MicrogridsCase, variant: str, method: str, options: SolverOptions) -> Schedule:
    """The operator's tariffs with the microgrids' answers and a certificate; see the module for variants and methods.

    Raises
    ------
    OptionError
        If a search is asked for where nothing can be chosen.
    SolverError
        If time ran out before any tariffs were found.
    """
    clock = time.perf_counter()
    inputs = market_inputs(case)
    baseline = answered(case, inputs, inputs.grid_buy, inputs.feed_in)
    if variant == "grid_tariffs":
        if method != "exact":
            raise OptionError(f"variant grid_tariffs leaves nothing to search for; method {method} is for variant game")
        found = Found(baseline, baseline.profit, seconds={"solve": time.perf_counter() - clock})
    elif method == "exact":
        found = solve_exactly(case, inputs, options)
    else:
        found = solve_by_asking(case, inputs, method, options)
    clock = time.perf_counter()
    solution = found.solution
    certificate = certify_microgrids(solution, found.claimed, found.mip_gap, found.dual_bound_ratio)
    gap = None if found.bound is None else max(found.bound - solution.profit, 0.0) / max(1.0, abs(solution.profit))
    comparison = {"against_grid_tariffs": compared(solution, baseline)} if variant == "game" else {}
    return Schedule.of(
        case,
        solution,
        market="microgrids",
        variant=variant,
        method=method,
        solver=options.solver,
        objective=solution.profit,
        bound=found.bound,
        gap=gap,
        sense="max",
        certificate=certificate,
        seconds={**found.seconds, "certify": time.perf_counter() - clock},
        extras={**found.extras, **comparison},
        notes=(*found.notes, *_idle_cost(case)),
        status=found.status,
    )


def settle(case: MicrogridsCase, schedule: Schedule) -> Mapping[str, Mapping[str, float]]:
    """Money by party and item if the tariffs of ``schedule`` stand and the day of ``case`` comes true.

    The microgrids answer with their own load, wind and PV of that day, and the operator trades the rest at its grid tariffs.
    """
    tariffs = schedule.wide("price_per_mwh", "tariff")
    buy, sell = (tariffs[name].to_numpy(dtype=float) for name in ("buy", "sell"))
    return answered(case, market_inputs(case), buy, sell).money()


@dataclass(frozen=True, eq=False)
class Found:
    """What a method hands over: tariffs and plans, the profit that it claims, what it proves, and how it ended."""

    solution: MicrogridsSolution
    claimed: float
    bound: float | None = None
    mip_gap: float | None = None
    dual_bound_ratio: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    extras: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    status: str = "optimal"


def solve_exactly(case: MicrogridsCase, inputs: MarketInputs, options: SolverOptions) -> Found:
    """The optimum of the game."""
    if any(grid.committed for grid in inputs.grids):
        return solve_with_commitment(case, inputs, options)
    built, result = _solved(inputs, options)
    if not result.has_solution:
        if result.status == "infeasible":
            raise InfeasibleError(f"case {case.name}: no tariffs let every microgrid serve its load")
        raise SolverError(f"case {case.name}: no tariffs found ({result.status}: {result.message}); allow more time")
    early = f"The solver stopped early ({result.status}): {result.message}."
    return Found(
        solution=read_exact(built, case),
        claimed=result.objective,
        bound=result.bound,
        mip_gap=result.gap,
        dual_bound_ratio=built.conditions.dual_bound_ratio,
        seconds={"solve": result.seconds["total"]},
        notes=() if result.status == "optimal" else (early,),
        status=result.status,
    )


def solve_with_commitment(case: MicrogridsCase, inputs: MarketInputs, options: SolverOptions) -> Found:
    """The best tariffs found where turbines are switched, with the bound that was proven."""
    clock = time.perf_counter()
    game = solve_committed(case, inputs, options)
    early = (
        f"The search stopped after {options.time_limit_s:g} s: its bound holds, but the gap of {game.gap:.1e} is open."
    )
    return Found(
        solution=game.solution,
        claimed=game.solution.profit,
        bound=game.bound,
        mip_gap=game.gap,
        dual_bound_ratio=game.dual_bound_ratio,
        seconds={"solve": time.perf_counter() - clock},
        extras={"value_function_cuts": game.progress},
        notes=() if game.gap <= options.gap else (early,),
        status="optimal" if game.gap <= options.gap else "time_limit",
    )


def solve_by_asking(case: MicrogridsCase, inputs: MarketInputs, method: str, options: SolverOptions) -> Found:
    """The best tariffs that were asked, and how far they are from the bound that only the exact model can prove."""
    clock = time.perf_counter()
    record = search(case, inputs, method, options.seed)
    solution = answered(case, inputs, *record.space.tariffs(record.points[record.best]))
    searched = time.perf_counter() - clock
    clock = time.perf_counter()
    bound = _bound(case, inputs, options)
    proving = time.perf_counter() - clock
    reached = f"; the best of them reaches {solution.profit / bound:.1%} of the certified bound" if bound else ""
    return Found(
        solution=solution,
        claimed=float(record.profits[record.best]),
        bound=bound,
        seconds={"search": searched, "bound": proving},
        extras={"convergence": record.convergence(bound)},
        notes=(f"The microgrids answered {record.calls} tariffs{reached}.",),
    )


def _bound(case: MicrogridsCase, inputs: MarketInputs, options: SolverOptions) -> float | None:
    """What no tariffs can exceed; ``None`` if time ran out before anything was proven."""
    if any(grid.committed for grid in inputs.grids):
        return solve_committed(case, inputs, options).bound
    bound = _solved(inputs, options)[1].bound
    return bound if math.isfinite(bound) else None


def _solved(inputs: MarketInputs, options: SolverOptions) -> tuple[ExactModel, SolveResult]:
    built = build_exact(inputs)
    options = replace(options, heuristics=True, scip_tolerance=SCIP_TOLERANCE)
    stages = built.stages if options.solver == "scip" else ()  # HiGHS finds points by its own heuristics
    return built, solve_cones(built.model, built.conditions.cones, options, stages=stages)


def _idle_cost(case: MicrogridsCase) -> tuple[str, ...]:
    fixed = sum(grid.turbine.cost_fixed_per_hour for grid in case.microgrids if grid.turbine is not None)
    if fixed == 0 or case.mt_commitment:
        return ()
    return (f"Idling turbines would add {fixed * case.horizon_hours:,.0f} {case.currency}, which no tariff changes.",)
