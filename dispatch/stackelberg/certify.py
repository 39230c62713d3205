"""Figures that prove an answer, computed from the values in the user's model after the reformulation is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.visitor import identify_variables

from dispatch.certificate import Certificate
from dispatch.stackelberg.extraction import FloatArray, FollowerForm
from dispatch.stackelberg.follower import BilevelProblem


@dataclass(frozen=True, eq=False)
class FollowerDuals:
    """Duals of one follower as solved: ``mu`` (r,) of its inequalities, ``nu`` (s,) of its equalities."""

    form: FollowerForm
    mu: FloatArray
    nu: FloatArray

    def by_row(self) -> dict[str, float]:
        """Name of each row to its shadow price.

        Inequality: how much the follower's objective (minimised) falls per unit of wider limit, never negative.
        Equality: how much it rises per unit of right-hand side.
        """
        names = [row.name for row in (*self.form.inequalities, *self.form.equalities)]
        return dict(zip(names, [*map(float, self.mu), *(-float(value) for value in self.nu)], strict=True))

    def duality_gap(self) -> float:
        """Primal minus dual objective at the present values, relative to ``max(1, |primal|)``."""
        form = self.form
        x = np.array([pyo.value(variable) for variable in form.x])
        p = np.array([pyo.value(variable) for variable in form.p])
        square = float(x @ (form.Q @ x))
        primal = float((form.c + form.B @ p) @ x) + 0.5 * square
        dual = -0.5 * square - float((form.h - form.K @ p) @ self.mu) - float((form.f - form.L @ p) @ self.nu)
        return abs(primal - dual) / max(1.0, abs(primal))


def certify(
    problem: BilevelProblem,
    best_response_gap: float,
    duals: Sequence[FollowerDuals],
    linearised: float,
    gap: float,
    dual_bound_ratio: float | None,
    tie_width: float | None,
    notes: Sequence[str] = (),
) -> Certificate:
    """The record for the values now in the model.

    best_response_gap: the largest gain a follower could make alone, from the independent re-solves.
    linearised: the leader's objective with price times quantity replaced, in the leader's sense.
    gap: proven relative distance of the objective from the best bound.
    """
    objective = float(pyo.value(problem.leader_objective.expr))
    return Certificate(
        balance_max=largest_violation(problem.model),
        best_response_gap=best_response_gap,
        duality_gap=max(each.duality_gap() for each in duals),
        objective_identity=abs(objective - linearised) / max(1.0, abs(objective)),
        dual_bound_ratio=dual_bound_ratio,
        mip_gap=gap,
        tie_width=tie_width,
        notes=tuple(notes),
    )


def largest_violation(model: object) -> float:
    """Largest violation of any active row or variable bound at the present values.

    Each is divided by the size of the row's largest term, or by one if that is larger.
    """
    worst = 0.0
    for row in model.component_data_objects(pyo.Constraint, active=True, descend_into=True):  # type: ignore[attr-defined]
        body = float(pyo.value(row.body))
        scale = max([1.0, *(abs(variable.value or 0.0) for variable in identify_variables(row.body))])
        below = float(pyo.value(row.lower)) - body if row.lower is not None else -np.inf
        above = body - float(pyo.value(row.upper)) if row.upper is not None else -np.inf
        worst = max(worst, below / scale, above / scale)
    for variable in model.component_data_objects(pyo.Var, descend_into=True):  # type: ignore[attr-defined]
        if variable.value is None or variable.fixed:
            continue
        scale = max(1.0, abs(variable.value))
        if variable.lb is not None:
            worst = max(worst, (variable.lb - variable.value) / scale)
        if variable.ub is not None:
            worst = max(worst, (variable.value - variable.ub) / scale)
    return worst
