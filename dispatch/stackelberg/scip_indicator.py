"""Complementarity as SCIP indicator constraints: no bound on any slack or dual is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dispatch.errors import SolverError
from dispatch.stackelberg.compiled import CompiledModel
from dispatch.stackelberg.extraction import FloatArray
from dispatch.stackelberg.options import BilevelOptions

_STATUS = {"optimal": "optimal", "gaplimit": "optimal", "timelimit": "time_limit", "infeasible": "infeasible"}


def solve_with_indicators(
    model: CompiledModel, pairs: NDArray[np.int64], options: BilevelOptions
) -> tuple[str, FloatArray | None, float]:
    """Status, point (N,) or None, and bound of the compiled model with ``slack = 0 or dual = 0`` for each pair.

    The objective need not be convex.

    Raises SolverError if the optional package pyscipopt is not installed.
    """
    try:
        import pyscipopt
    except ImportError as error:
        raise SolverError("solver='scip' needs the optional package pyscipopt: pip install 'adno[scip]'") from error
    scip = pyscipopt.Model()
    scip.hideOutput()
    for name, value in (
        ("limits/gap", options.gap),
        ("limits/time", options.time_limit_s),
        ("randomization/randomseedshift", options.seed),
        ("lp/threads", options.threads),
        ("numerics/feastol", 1e-8),
    ):
        scip.setParam(name, value)
    columns = [
        scip.addVar(lb=_finite(low), ub=_finite(high), vtype="I" if whole else "C")
        for low, high, whole in zip(model.lower, model.upper, model.integer, strict=True)
    ]
    for k, (low, high) in enumerate(zip(model.row_lower, model.row_upper, strict=True)):
        body = _row(pyscipopt, model.A, k, columns)
        if low == high:
            scip.addCons(body == float(low))
            continue
        if np.isfinite(high):
            scip.addCons(body <= float(high))
        if np.isfinite(low):
            scip.addCons(body >= float(low))
    for slack, dual in pairs:
        off = scip.addVar(vtype="B")
        on = scip.addVar(vtype="B")
        scip.addCons(off + on == 1)
        scip.addConsIndicator(columns[slack] <= 0, binvar=off)
        scip.addConsIndicator(columns[dual] <= 0, binvar=on)
    cost = pyscipopt.quicksum(float(c) * columns[k] for k, c in enumerate(model.c) if c)
    if model.Q.nnz:
        square = scip.addVar(lb=None)
        Q = sparse.coo_array(model.Q)
        terms = zip(Q.row, Q.col, Q.data, strict=True)
        scip.addCons(pyscipopt.quicksum(0.5 * float(v) * columns[i] * columns[j] for i, j, v in terms) <= square)
        cost += square
    scip.setObjective(cost + model.constant, "minimize")
    scip.optimize()
    status = _STATUS.get(scip.getStatus(), scip.getStatus())
    if not scip.getNSols():
        return status, None, float("inf")
    best = scip.getBestSol()
    point = np.array([scip.getSolVal(best, column) for column in columns])
    return status, point, float(scip.getDualbound())


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _row(pyscipopt: Any, A: sparse.csr_array, k: int, columns: list[Any]) -> Any:
    span = slice(A.indptr[k], A.indptr[k + 1])
    return pyscipopt.quicksum(float(v) * columns[j] for j, v in zip(A.indices[span], A.data[span], strict=True))
