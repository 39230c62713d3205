"""The worst optimal response when part of the leader's variables adapt to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import clarabel
import numpy as np
import pyomo.environ as pyo
from scipy import sparse

from dispatch.errors import InfeasibleError, SolverError, UnboundedError
from dispatch.stackelberg.branching import BranchingLimits, ComplementarityBranching
from dispatch.stackelberg.extraction import FloatArray
from dispatch.stackelberg.follower import BilevelProblem, Follower
from dispatch.stackelberg.kkt import affine_rows
from dispatch.stackelberg.leader_rows import LeaderView
from dispatch.stackelberg.optimal_face import OptimalFace
from dispatch.stackelberg.options import BilevelOptions
from dispatch.stackelberg.single_level import single_level

#: Total violation of the leader's rows that counts as none, relative to ``max(1, largest response)``.
NO_VIOLATION = 1e-6
#: Up to this many one-sided leader's rows the worst response is proved; beyond it a local search finds a bad one.
PROVE_UP_TO = 40
#: Steps and starts of the local search.
STEPS, STARTS = 20, 4


def worst_recourse_value(
    view: LeaderView, face: OptimalFace, options: BilevelOptions
) -> tuple[float | None, list[str]]:
    """``max over y in face of min over r of the leader's objective`` (minimised), and remarks.

    Infinite if for some optimal response no recourse meets the leader's rows; None if it could not be computed.
    """
    violation, value = _Elastic(view, only_violation=True), _Elastic(view, only_violation=False)
    try:
        worst = _climb(violation, face, options.seed)
        if worst > NO_VIOLATION * max(1.0, abs(face.at).max(initial=0.0)):
            remark = f"for another optimal response no recourse meets the leader's rows (total violation {worst:.4g})"
            return float("inf"), [remark]
        found = _climb(value, face, options.seed)
        sides = sum(np.isfinite(row.low) + np.isfinite(row.high) for row in view.rows)
        if view.curved or sides > PROVE_UP_TO:
            return found + view.constant, ["pessimistic value by local search over the ties: the true one may be worse"]
        return _adversary(view, face, options) + view.constant, []
    except (InfeasibleError, UnboundedError, SolverError) as fault:
        return None, [f"no pessimistic value: {fault}"]


@dataclass(frozen=True, eq=False)
class _Elastic:
    """Cost of the best recourse, or the least total violation of the leader's rows, as a convex function of y."""

    view: LeaderView
    only_violation: bool

    def at(self, y: FloatArray) -> tuple[float, FloatArray]:
        """Value and a subgradient at y: the price of the rows that hold y in place. Raises SolverError."""
        view, n, m = self.view, len(y), len(self.view.recourse)
        own = np.array([row.own for row in view.rows]).reshape(-1, n)
        part = np.array([row.recourse_part for row in view.rows]).reshape(-1, m)
        low = np.array([row.low for row in view.rows])
        high = np.array([row.high for row in view.rows])
        k = len(view.rows) if self.only_violation else 0
        eye, size = np.eye(len(view.rows))[:, :k], n + m + 2 * k
        rows = np.hstack([own, part, -eye, eye])
        equal = low == high
        upper, lower = np.isfinite(high) & ~equal, np.isfinite(low) & ~equal
        positive = -np.eye(size)[n + m :]
        A = np.vstack([np.eye(size)[:n], rows[equal], rows[upper], -rows[lower], positive])
        b = np.concatenate([y, high[equal], high[upper], -low[lower], np.zeros(2 * k)])
        P, q = np.zeros((size, size)), np.append(np.zeros(n + m), np.ones(2 * k))
        if not self.only_violation:
            P, q = view.hessian, view.slope
        cones = [clarabel.ZeroConeT(n + int(equal.sum())), clarabel.NonnegativeConeT(len(b) - n - int(equal.sum()))]
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.max_threads = 1
        triangle = sparse.csc_array(np.triu(P))
        answer = clarabel.DefaultSolver(triangle, q, sparse.csc_array(A), b, cones, settings).solve()
        if str(answer.status) not in ("Solved", "AlmostSolved"):
            raise SolverError(f"the recourse at another optimal response ended with {answer.status}")
        return float(answer.obj_val), -np.array(answer.z)[:n]


def _climb(function: _Elastic, face: OptimalFace, seed: int) -> float:
    """Largest value found by moving to the corner of the face where the subgradient is largest, from several starts."""
    random = np.random.default_rng(seed)
    best = -np.inf
    for start in range(STARTS):
        y = face.at if start == 0 else face.largest(random.standard_normal(len(face.at)))[1]
        value, slope = function.at(y)
        for _ in range(STEPS):
            corner = face.largest(slope)[1]
            higher, next_slope = function.at(corner)
            if higher <= value + 1e-9 * max(1.0, abs(value)):
                break
            value, slope = higher, next_slope
        best = max(best, value)
    return best


def _adversary(view: LeaderView, face: OptimalFace, options: BilevelOptions) -> float:
    """The proved maximum: nature leads and picks the response, the leader's recourse follows."""
    model = pyo.ConcreteModel()
    n, m = len(face.variables), len(view.recourse)
    model.y = pyo.Var(range(n))
    y = list(model.y.values())
    face_rows = affine_rows(face.A, y, np.zeros(len(face.low)))
    model.face = pyo.Constraint(
        range(len(face.low)), rule=lambda _, k: _between(float(face.low[k]), face_rows[k], float(face.high[k]))
    )
    model.follower = pyo.Block()
    model.follower.r = pyo.Var(range(m))
    r = model.follower.r
    model.follower.rows = pyo.ConstraintList()
    for row in view.rows:
        body = pyo.quicksum(float(v) * y[i] for i, v in enumerate(row.own) if v)
        body += pyo.quicksum(float(v) * r[j] for j, v in enumerate(row.recourse_part) if v)
        model.follower.rows.add(_between(row.low, body, row.high))
    value = _linear(view.slope[:n], y) + _linear(view.slope[n:], list(r.values()))
    model.follower.objective = pyo.Objective(expr=value)
    model.objective = pyo.Objective(expr=value, sense=pyo.maximize)
    problem = BilevelProblem(model, [Follower(model.follower, name="recourse")], leader=model.y)
    with single_level(problem) as level:
        search = ComplementarityBranching(level.compiled, level.pairs)
        answer = search.minimise(BranchingLimits(gap=1e-7, time_limit_s=options.time_limit_s))
    if answer.status != "optimal":
        raise SolverError(f"the search for the worst response ended with {answer.status} after {answer.nodes} nodes")
    return -answer.value


def _linear(weights: FloatArray, variables: list[Any]) -> Any:
    return affine_rows(sparse.csr_array(weights[None, :]), variables, np.zeros(1))[0]


def _between(low: float, body: Any, high: float) -> Any:
    low_side = None if low == -float("inf") else float(low)
    high_side = None if high == float("inf") else float(high)
    return (low_side, body, high_side) if low_side != high_side else body == high_side
