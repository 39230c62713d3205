"""The leader's objective and rows as functions of the followers' responses, all else at its present value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.visitor import identify_variables

from dispatch.errors import BilevelError
from dispatch.stackelberg.compiled import objective_arrays
from dispatch.stackelberg.extraction import FloatArray
from dispatch.stackelberg.follower import BilevelProblem, each_variable
from dispatch.stackelberg.optimal_face import OptimalFace
from dispatch.stackelberg.polynomial import ExpressionReader, Polynomial
from dispatch.stackelberg.single_level import SingleLevel


@dataclass(frozen=True, eq=False)
class LeaderRow:
    """``low <= own'y + recourse'r <= high``; own (n,) over responses, recourse (m,) over recourse variables."""

    name: str
    own: FloatArray
    recourse_part: FloatArray
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class LeaderView:
    """``slope'(y, r) + (y, r)'hessian (y, r)/2 + constant`` to minimise, and the leader's rows.

    recourse: continuous leader variables r (m) that adapt to the responses y (n).
    """

    slope: FloatArray
    hessian: FloatArray
    constant: float
    rows: tuple[LeaderRow, ...]
    recourse: tuple[Any, ...]

    @property
    def curved(self) -> bool:
        """True if the objective has squares or products of responses or recourse variables."""
        return bool(np.any(self.hessian))


def leader_view(problem: BilevelProblem, level: SingleLevel, face: OptimalFace) -> LeaderView:
    """The leader's side at the values now in the model; integer recourse variables stay as they are.

    Raises BilevelError if a follower sees a recourse variable.
    """
    recourse = [v for v in each_variable(problem.recourse) if v.is_continuous() and not v.fixed]
    seen = {id(variable): kkt.form.name for kkt in level.kkts for variable in kkt.form.p}
    for variable in recourse:
        if id(variable) in seen:
            raise BilevelError(
                f"{variable.name} is declared as recourse, but follower {seen[id(variable)]} sees it and answers to it"
            )
    column = {id(variable): k for k, variable in enumerate((*face.variables, *recourse))}
    n = len(face.variables)
    objective = _reduced(level.original, column, level.reader)
    slope, hessian = objective_arrays(objective, column)
    rows = []
    reader = ExpressionReader()
    on_followers = [id(row.source) for kkt in level.kkts for row in (*kkt.form.inequalities, *kkt.form.equalities)]
    skip = set(on_followers)
    for constraint in problem.model.component_data_objects(pyo.Constraint, active=True, descend_into=True):
        if id(constraint) in skip or _within(constraint, level.block):
            continue
        if not any(id(variable) in column for variable in identify_variables(constraint.body, include_fixed=False)):
            continue
        body = _reduced(reader.read(constraint.body, f"row {constraint.name}"), column, reader)
        part, _ = objective_arrays(body, column)
        lower, upper = pyo.value(constraint.lower), pyo.value(constraint.upper)
        low = -np.inf if lower is None else lower - body.constant
        high = np.inf if upper is None else upper - body.constant
        rows.append(LeaderRow(constraint.name, part[:n], part[n:], low, high))
    for k, variable in enumerate(recourse):
        unit = np.zeros(len(recourse))
        unit[k] = 1.0
        low = -np.inf if variable.lb is None else variable.lb
        high = np.inf if variable.ub is None else variable.ub
        if np.isfinite(low) or np.isfinite(high):
            rows.append(LeaderRow(variable.name, np.zeros(n), unit, low, high))
    return LeaderView(slope, hessian.toarray(), objective.constant, tuple(rows), tuple(recourse))


def _within(constraint: Any, block: Any) -> bool:
    parent = constraint.parent_block()
    while parent is not None:
        if parent is block:
            return True
        parent = parent.parent_block()
    return False


def _reduced(polynomial: Polynomial, column: dict[int, int], reader: ExpressionReader) -> Polynomial:
    """The polynomial with every variable that has no column replaced by its present value."""
    result = Polynomial(polynomial.constant)
    for key, value in polynomial.linear.items():
        if key in column:
            result.linear[key] = result.linear.get(key, 0.0) + value
        else:
            result.constant += value * pyo.value(reader.variables[key])
    for (i, j), value in polynomial.quadratic.items():
        if i in column and j in column:
            result.add_product(i, j, value)
        elif i in column or j in column:
            inside, outside = (i, j) if i in column else (j, i)
            gain = value * pyo.value(reader.variables[outside])
            result.linear[inside] = result.linear.get(inside, 0.0) + gain
        else:
            result.constant += value * pyo.value(reader.variables[i]) * pyo.value(reader.variables[j])
    return result
