"""Solve a Pyomo model with cones beside it: to a proven gap, or say why not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from dispatch.conic.clarabel_oracle import OracleAnswer, solve_continuous
from dispatch.conic.compiled import Compiled, compile_model
from dispatch.conic.cones import Cone, NormCone, QuadraticEpigraph, RotatedCone
from dispatch.conic.options import SolveResult, SolverOptions, result_of
from dispatch.conic.outer_approximation import OuterApproximation
from dispatch.conic.relax_and_fix import relax_and_fix
from dispatch.conic.tangents import CutPool
from dispatch.errors import SolverError

__all__ = [
    "Cone",
    "CutPool",
    "NormCone",
    "QuadraticEpigraph",
    "RotatedCone",
    "SolveResult",
    "SolverOptions",
    "solve",
]

#: Part of the time limit that a first answer by stages may take.
FIRST_ANSWER_SHARE = 0.3


def solve(
    model: Any,
    cones: Sequence[Cone] = (),
    options: SolverOptions | None = None,
    warm_cuts: CutPool | None = None,
    stages: Sequence[Sequence[Any]] = (),
) -> SolveResult:
    """Minimise or maximise a Pyomo model subject to its linear rows and to ``cones``.

    The objective may be linear or convex quadratic; integers are allowed everywhere. The incumbent is written into the
    model's variables; without one they are left alone.

    Parameters
    ----------
    model: a ``ConcreteModel`` (or block) with one active objective.
    cones: convex constraints over its variables.
    options: gap, time limit, solver; see :class:`SolverOptions`.
    warm_cuts: tangents of an earlier solve of a model whose cones have the same names.
    stages: integer variables in the order in which a first answer may decide them, such as hours of a day; without any, the
        branch and bound finds its own first answer.

    Returns
    -------
    The status with objective, bound and gap. An infeasible model is a result, not an exception: see
    :func:`dispatch.infeasibility.explain`.

    Raises
    ------
    SolverError: the model cannot be handled (nonlinear rows, a quadratic that is not convex, no objective).

    Examples
    --------
    The cheapest current that carries half a megawatt at full voltage:

    >>> import pyomo.environ as pyo
    >>> m = pyo.ConcreteModel()
    >>> m.p, m.q, m.u = pyo.Var(bounds=(0.5, 1)), pyo.Var(bounds=(0.2, 1)), pyo.Var(bounds=(0, 1))
    >>> m.current = pyo.Var(bounds=(0, None))
    >>> m.cost = pyo.Objective(expr=m.current)
    >>> result = solve(m, [RotatedCone("line", m.p, m.q, (m.current, m.u))])
    >>> result.status, round(result.objective, 4)
    ('optimal', 0.29)
    """
    options = options or SolverOptions()
    start = time.perf_counter()
    compiled = compile_model(model, cones)
    build = time.perf_counter() - start
    relaxed, first = _first_answer(compiled, stages, options, start)
    if options.solver == "scip":
        from dispatch.conic.scip_driver import solve_with_scip

        return solve_with_scip(compiled, options, start, build, first)
    if compiled.sos1:
        raise SolverError("HiGHS has no SOS1 sets; choose solver=scip or write the complementarity with binaries")
    engine = OuterApproximation(compiled, options, warm_cuts, start + options.time_limit_s)
    engine.run(relaxed, first.x if first is not None else None)
    if engine.x is not None:
        compiled.load(engine.x)
    seconds = {"build": build, **engine.seconds, "total": time.perf_counter() - start}
    return result_of(
        compiled.sense, engine.status, engine.value, engine.bound, seconds, engine.rounds, engine.pool(), engine.message
    )


def _first_answer(
    compiled: Compiled, stages: Sequence[Sequence[Any]], options: SolverOptions, start: float
) -> tuple[OracleAnswer | None, OracleAnswer | None]:
    """Optimum of the relaxation and a feasible point, as far as they are found in a part of the time; both in minimised sense."""
    if not stages:
        return None, None
    deadline = start + FIRST_ANSWER_SHARE * options.time_limit_s
    relaxed = solve_continuous(
        compiled, compiled.lower, compiled.upper, deadline - time.perf_counter(), options.threads
    )
    if relaxed.status != "optimal":
        return None, None
    columns = [np.array([compiled.place[id(variable)] for variable in stage], dtype=int) for stage in stages]
    return relaxed, relax_and_fix(compiled, relaxed, columns, options, deadline)
