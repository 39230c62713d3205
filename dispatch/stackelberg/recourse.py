"""The worst optimal response when part of the leader's variables adapt to it: itself a small bilevel problem."""

from __future__ import annotations

from typing import Any

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

#: Total violation of the leader's rows that counts as none.
NO_VIOLATION = 1e-6


def worst_recourse_value(
    view: LeaderView, face: OptimalFace, options: BilevelOptions
) -> tuple[float | None, list[str]]:
    """``max over y in face of min over r of the leader's objective`` (minimised), and remarks.

    Infinite if for some optimal response no recourse meets the leader's rows; None if it could not be computed.
    """
    if view.curved:
        return None, ["no pessimistic value: the leader's objective is quadratic in its recourse or in the responses"]
    try:
        violation = _adversary(view, face, options, elastic=True)
        if violation > NO_VIOLATION * max(1.0, abs(violation)):
            remark = (
                f"for another optimal response no recourse meets the leader's rows (total violation {violation:.4g})"
            )
            return float("inf"), [remark]
        return _adversary(view, face, options, elastic=False) + view.constant, []
    except (InfeasibleError, UnboundedError, SolverError) as fault:
        return None, [f"no pessimistic value: {fault}"]


def _adversary(view: LeaderView, face: OptimalFace, options: BilevelOptions, elastic: bool) -> float:
    """Nature leads and picks the response; the leader's recourse follows, or its least violation if ``elastic``."""
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
    model.follower.over = pyo.Var(range(len(view.rows)), bounds=(0, None if elastic else 0))
    model.follower.under = pyo.Var(range(len(view.rows)), bounds=(0, None if elastic else 0))
    r, over, under = model.follower.r, model.follower.over, model.follower.under
    model.follower.rows = pyo.ConstraintList()
    for k, row in enumerate(view.rows):
        body = pyo.quicksum(float(v) * y[i] for i, v in enumerate(row.own) if v)
        body += pyo.quicksum(float(v) * r[j] for j, v in enumerate(row.recourse_part) if v)
        model.follower.rows.add(_between(row.low, body - over[k] + under[k], row.high))
    if elastic:
        value: Any = pyo.quicksum(over.values()) + pyo.quicksum(under.values())
    else:
        value = _linear(view.slope[:n], y) + _linear(view.slope[n:], list(r.values()))
    model.follower.objective = pyo.Objective(expr=value)
    model.objective = pyo.Objective(expr=value, sense=pyo.maximize)
    problem = BilevelProblem(model, [Follower(model.follower, name="recourse")], leader=model.y)
    with single_level(problem) as level:
        search = ComplementarityBranching(level.compiled, level.pairs)
        limits = BranchingLimits(gap=1e-7, time_limit_s=options.time_limit_s)
        answer = search.minimise(limits)
    if answer.status != "optimal":
        raise SolverError(f"the search for the worst response ended with {answer.status} after {answer.nodes} nodes")
    return -answer.value


def _linear(weights: FloatArray, variables: list[Any]) -> Any:
    return affine_rows(sparse.csr_array(weights[None, :]), variables, np.zeros(1))[0]


def _between(low: float, body: Any, high: float) -> Any:
    low_side = None if low == -float("inf") else float(low)
    high_side = None if high == float("inf") else float(high)
    return (low_side, body, high_side) if low_side != high_side else body == high_side
