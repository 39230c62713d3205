"""A first feasible point by stages: integers of one stage are chosen, those before stand, those after are relaxed.

Relax-and-fix is a standard start for problems with a time axis: Y. Pochet and L. A. Wolsey, "Production Planning by Mixed
Integer Programming", Springer 2006, section 3.6. It proves nothing; with a point in hand branch and bound can close columns
by their reduced costs, which is where most of its time goes otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dispatch.conic.clarabel_oracle import OracleAnswer, solve_continuous
from dispatch.conic.compiled import Compiled
from dispatch.conic.highs_driver import HighsModel
from dispatch.conic.options import SolverOptions

FloatArray = npt.NDArray[np.float64]
Columns = npt.NDArray[np.int64]

#: Gap to which the program of one stage is solved: its objective is that of a relaxation anyway.
STAGE_GAP = 1e-3


def relax_and_fix(
    compiled: Compiled, relaxed: OracleAnswer, stages: Sequence[Columns], options: SolverOptions, deadline: float
) -> OracleAnswer | None:
    """A point with whole integers on the true cones; None if none was found before ``deadline`` (``time.perf_counter``).

    relaxed: optimum of the continuous relaxation, where tangents stand in for the cones. stages: integer columns in the order
    in which they are decided; those of no stage come last. Where early choices leave later ones no answer, stages are joined
    two by two and the search begins anew.
    """
    cones = compiled.cones
    cuts, limits = cones.tangents(cones.points_at(relaxed.x, np.arange(len(cones))), np.arange(len(cones)))
    linear = compiled.with_rows(cuts, np.full(len(limits), -np.inf), limits)
    order = [*stages, np.setdiff1d(np.flatnonzero(compiled.integer), np.concatenate([*stages, np.zeros(0, dtype=int)]))]
    order = [stage for stage in order if len(stage)]
    options = replace(options, heuristics=False)
    while time.perf_counter() < deadline:
        found = _walk(linear, order, options, deadline)
        if found is not None:
            whole = np.round(found)
            lower, upper = (np.where(compiled.integer, whole, end) for end in (compiled.lower, compiled.upper))
            answer = solve_continuous(compiled, lower, upper, deadline - time.perf_counter(), options.threads)
            if answer.status == "optimal":
                return answer
        if len(order) == 1:
            return None
        order = [np.concatenate(order[k : k + 2]) for k in range(0, len(order), 2)]
    return None


def _walk(linear: Compiled, order: list[Columns], options: SolverOptions, deadline: float) -> FloatArray | None:
    """The last program's point; None as soon as one has none."""
    lower, upper, x = linear.lower.copy(), linear.upper.copy(), None
    for stage in order:
        integer = np.zeros(linear.size, dtype=bool)
        integer[stage] = True
        program = replace(linear, integer=integer, lower=lower, upper=upper)
        x = HighsModel(program, options).run(STAGE_GAP, deadline - time.perf_counter()).x
        if x is None:
            return None
        lower[stage] = upper[stage] = np.round(x[stage])
    return x
