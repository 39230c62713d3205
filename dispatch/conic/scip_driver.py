"""SCIP on the true cones: an independent second opinion, and the solver for SOS1 sets."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from dispatch.conic.clarabel_oracle import OracleAnswer
from dispatch.conic.compiled import Compiled
from dispatch.conic.options import SolveResult, SolverOptions, Status, result_of
from dispatch.conic.tangents import CutPool
from dispatch.errors import SolverError

_STATUS: dict[str, Status] = {
    "optimal": "optimal",
    "gaplimit": "optimal",
    "timelimit": "time_limit",
    "userinterrupt": "interrupted",
    "infeasible": "infeasible",
    "unbounded": "unbounded",
    "inforunbd": "infeasible",
}


def solve_with_scip(
    compiled: Compiled, options: SolverOptions, start: float, build_s: float, first: OracleAnswer | None = None
) -> SolveResult:
    """Solve a compiled model by SCIP; times count from ``start`` (``time.perf_counter``).

    first: a feasible point. SCIP then looks only for points that are better by half the gap, and without its heuristics, which
    take longer than the proof; if there are none, the point stands and the gap is proved.

    Raises SolverError if the optional package pyscipopt is not installed.
    """
    try:
        import pyscipopt
    except ImportError as error:
        raise SolverError("solver=scip needs the optional package pyscipopt: pip install 'adno[scip]'") from error
    scip = pyscipopt.Model()
    scip.hideOutput()
    for name, value in (
        ("limits/gap", options.gap),
        ("limits/time", max(options.time_limit_s - (time.perf_counter() - start), 0.01)),
        ("randomization/randomseedshift", options.seed),
        ("lp/threads", options.threads),
        ("numerics/feastol", options.scip_tolerance),
    ):
        scip.setParam(name, value)
    variables = _declare(scip, pyscipopt, compiled)
    cutoff = np.inf
    if first is not None:
        cutoff = first.value - 0.5 * options.gap * max(1.0, abs(first.value))
        scip.setObjlimit(cutoff)
        scip.setHeuristics(pyscipopt.SCIP_PARAMSETTING.OFF)
    began = time.perf_counter()
    scip.optimize()
    finished = time.perf_counter()
    status = _STATUS.get(scip.getStatus(), "stalled")
    value = np.inf
    if scip.getNSols() > 0:
        best = scip.getBestSol()
        compiled.load(np.array([scip.getSolVal(best, variable) for variable in variables]))
        value = float(scip.getSolObjVal(best))
    bound = np.inf if status == "infeasible" else float(scip.getDualbound())
    if first is not None and first.value < value:
        compiled.load(first.x)
        value, bound = first.value, min(bound, cutoff)
        status = "optimal" if status == "infeasible" else status
    seconds = {"build": build_s, "relax": 0.0, "milp": finished - began, "polish": 0.0}
    seconds["total"] = time.perf_counter() - start
    return result_of(compiled.sense, status, value, bound, seconds, int(scip.getNNodes() > 0), CutPool(), "")


def _declare(scip: Any, pyscipopt: Any, compiled: Compiled) -> list[Any]:
    variables = [
        scip.addVar(
            lb=None if np.isneginf(low) else float(low),
            ub=None if np.isposinf(high) else float(high),
            vtype="I" if whole else "C",
        )
        for low, high, whole in zip(compiled.lower, compiled.upper, compiled.integer, strict=True)
    ]

    def affine(matrix: Any, row: int, constant: float = 0.0) -> Any:
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        pairs = zip(matrix.indices[span], matrix.data[span], strict=True)
        return pyscipopt.quicksum(float(v) * variables[k] for k, v in pairs if v != 0.0) + constant

    for row, (low, high) in enumerate(zip(compiled.row_lower, compiled.row_upper, strict=True)):
        body = affine(compiled.matrix, row)
        if compiled.matrix.indptr[row] == compiled.matrix.indptr[row + 1]:
            if low > 0.0 or high < 0.0:
                scip.addCons(scip.addVar(lb=0, ub=0) >= 1.0)
        elif low == high:
            scip.addCons(body == float(low))
        else:
            if np.isfinite(high):
                scip.addCons(body <= float(high))
            if np.isfinite(low):
                scip.addCons(body >= float(low))
    H, h = compiled.cones.H, compiled.cones.h
    for at, size, rotated in zip(compiled.cones.starts, compiled.cones.sizes, compiled.cones.rotated, strict=True):
        if rotated:
            last = at + 3
            left = affine((H[[at]] + H[[last]]) / 2.0, 0, float(h[at] + h[last]) / 2.0)
            right = affine((H[[at]] - H[[last]]) / 2.0, 0, float(h[at] - h[last]) / 2.0)
            p, q = (affine(H, at + k) / 2.0 for k in (1, 2))
            scip.addCons(p * p + q * q <= left * right)
        else:
            head = affine(H, at, float(h[at]))
            tail = [affine(H, at + k) for k in range(1, size)]
            scip.addCons(pyscipopt.quicksum(y * y for y in tail) <= head * head)
            if H.indptr[at + 1] > H.indptr[at]:
                scip.addCons(head >= 0.0)
    for places, weights in compiled.sos1:
        scip.addConsSOS1([variables[k] for k in places], weights)
    cost = pyscipopt.quicksum(float(c) * variables[k] for k, c in enumerate(compiled.cost) if c != 0.0)
    scip.setObjective(cost + compiled.offset, "minimize")
    return variables
