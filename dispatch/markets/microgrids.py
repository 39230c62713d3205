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
    The microgrids' optimality conditions as one convex mixed-integer program, solved to a proven gap.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pandas as pd

from dispatch.case_microgrids import MicrogridsCase
from dispatch.certificate import Certificate
from dispatch.errors import InfeasibleError, SolverError
from dispatch.markets.microgrids_certificate import certify_microgrids
from dispatch.markets.microgrids_exact import build_exact
from dispatch.markets.microgrids_inputs import MarketInputs, market_inputs
from dispatch.markets.microgrids_solution import MicrogridsSolution, answered, compared, read_exact
from dispatch.schedule import Schedule
from dispatch.solver import SolveResult, SolverOptions
from dispatch.solver import solve as solve_cones

VARIANTS = {"game": "the operator sets both tariffs", "grid_tariffs": "the grid's tariffs are passed on"}
DEFAULT_VARIANT = "game"
METHODS = ("exact",)


def solve(case: MicrogridsCase, variant: str, method: str, options: SolverOptions) -> Schedule:
    """The operator's tariffs with the microgrids' answers and a certificate; see the module for variants and methods.

    Raises
    ------
    SolverError
        If time ran out before any tariffs were found.
    """
    clock = time.perf_counter()
    inputs = market_inputs(case)
    baseline = answered(case, inputs, inputs.grid_buy, inputs.feed_in)
    if variant == "grid_tariffs":
        seconds = {"solve": time.perf_counter() - clock}
        clock = time.perf_counter()
        certificate = certify_microgrids(baseline, baseline.profit)
        seconds["certify"] = time.perf_counter() - clock
        return _schedule(case, variant, method, options, baseline, certificate, seconds)
    solution, result, ratio = solve_exactly(case, inputs, options)
    seconds = {"solve": time.perf_counter() - clock}
    clock = time.perf_counter()
    certificate = certify_microgrids(solution, result.objective, result.gap, ratio)
    seconds["certify"] = time.perf_counter() - clock
    notes = [] if result.status == "optimal" else [f"The solver stopped early ({result.status}): {result.message}."]
    return _schedule(case, variant, method, options, solution, certificate, seconds, result, baseline, notes)


def solve_exactly(
    case: MicrogridsCase, inputs: MarketInputs, options: SolverOptions
) -> tuple[MicrogridsSolution, SolveResult, float]:
    """The optimum of the game, what the solver says about it, and the dual bound ratio."""
    built = build_exact(inputs)
    result = solve_cones(built.model, built.cones, replace(options, heuristics=True))
    if not result.has_solution:
        if result.status == "infeasible":
            raise InfeasibleError(f"case {case.name}: no tariffs let every microgrid serve its load")
        raise SolverError(f"case {case.name}: no tariffs found ({result.status}: {result.message}); allow more time")
    return read_exact(built, case), result, built.dual_bound_ratio


def _schedule(
    case: MicrogridsCase,
    variant: str,
    method: str,
    options: SolverOptions,
    solution: MicrogridsSolution,
    certificate: Certificate,
    seconds: dict[str, float],
    result: SolveResult | None = None,
    baseline: MicrogridsSolution | None = None,
    notes: list[str] | None = None,
) -> Schedule:
    return Schedule(
        market="microgrids",
        case=case.name,
        variant=variant,
        method=method,
        solver=options.solver,
        currency=case.currency,
        index=_utc(case),
        step_hours=case.step_hours,
        table=solution.table(),
        money=solution.money(),
        objective=solution.profit,
        bound=result.bound if result is not None else None,
        gap=result.gap if result is not None else None,
        sense="max",
        certificate=certificate,
        seconds=seconds,
        extras={"against_grid_tariffs": compared(solution, baseline)} if baseline is not None else {},
        notes=tuple(notes or ()),
    )


def _utc(case: MicrogridsCase) -> pd.Index:
    if case.index is None:
        return pd.RangeIndex(case.steps)
    return case.index if case.index.tz is None else case.index.tz_convert("UTC")
