"""The leader's decision valued when followers break ties against it.

A linear follower is often indifferent exactly at the optimistic optimum (prices sit at its point of indifference); then
the optimistic value is a promise that the follower need not keep.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo

from dispatch.errors import SolverError
from dispatch.stackelberg.convex_maximum import largest_convex
from dispatch.stackelberg.follower import BilevelProblem
from dispatch.stackelberg.leader_rows import LeaderView, leader_view
from dispatch.stackelberg.optimal_face import OptimalFace, optimal_face
from dispatch.stackelberg.options import BilevelOptions
from dispatch.stackelberg.recourse import worst_recourse_value
from dispatch.stackelberg.single_level import SingleLevel

#: A leader's row broken by more than this, relative to its size, counts as broken.
BROKEN = 1e-6


@dataclass(frozen=True)
class Pessimistic:
    """value in the leader's sense (None if it could not be computed), and remarks in words."""

    value: float | None
    remarks: tuple[str, ...] = ()


def pessimistic_value(problem: BilevelProblem, level: SingleLevel, options: BilevelOptions) -> Pessimistic:
    """Leader's objective at the decision now in the model when each follower picks its worst optimal response.

    Recourse variables of the problem adapt to the response, all other leader variables stay. Infinite (against the
    leader) if some optimal response breaks a leader's row.
    """
    forms = [kkt.form for kkt in level.kkts]
    owned = {id(variable) for form in forms for variable in form.x}
    if any(id(variable) in owned for form in forms for variable in form.p):
        return Pessimistic(None, ("no pessimistic value: followers see each other's variables",))
    try:
        return _over_the_face(problem, level, optimal_face(level.kkts), options)
    except SolverError as fault:
        return Pessimistic(None, (f"no pessimistic value: {fault}",))


def _over_the_face(
    problem: BilevelProblem, level: SingleLevel, face: OptimalFace, options: BilevelOptions
) -> Pessimistic:
    if face.is_single(options.seed):
        return Pessimistic(float(pyo.value(level.leader_objective.expr)))
    view = leader_view(problem, level, face)
    if view.recourse:
        worst, remarks = worst_recourse_value(view, face, options)
        return Pessimistic(None if worst is None else level.sense * worst, tuple(remarks))
    broken = _broken_row(view, face)
    if broken:
        return Pessimistic(level.sense * np.inf, (broken,))
    if not view.curved:
        value, _ = face.largest(view.slope)
        return Pessimistic(level.sense * (value + view.constant))
    return _worst_convex(view, face, level, options)


def _broken_row(view: LeaderView, face: OptimalFace) -> str:
    for row in view.rows:
        slope = row.own
        if not slope.any():
            continue
        scale = max(1.0, float(np.abs(slope).max()))
        high = face.largest(slope)[0] if np.isfinite(row.high) else -np.inf
        low = -face.largest(-slope)[0] if np.isfinite(row.low) else np.inf
        excess = max(high - row.high, row.low - low)
        if excess > BROKEN * scale:
            return (
                f"another optimal response of the followers breaks the leader's row {row.name} by {excess:.4g}; the "
                "decision relies on their goodwill (name variables that adapt in `recourse`)"
            )
    return ""


def _worst_convex(view: LeaderView, face: OptimalFace, level: SingleLevel, options: BilevelOptions) -> Pessimistic:
    """Largest convex quadratic over the face: by its optimality conditions, branched on."""
    value = largest_convex(view.slope, view.hessian, face, options)
    if value is None:
        return Pessimistic(None, ("no pessimistic value: the worst response was not found in time",))
    return Pessimistic(level.sense * (value + view.constant))
