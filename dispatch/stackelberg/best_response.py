"""A follower solved alone at the leader's decision, straight from its Pyomo block: shares nothing with the reformulation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyomo.environ as pyo
from pyomo.common.collections import ComponentMap
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.core.expr.visitor import identify_variables

from dispatch.errors import SolverError
from dispatch.stackelberg.follower import Follower

#: Distance, relative to ``max(1, |value|)``, within which a follower on the edge of unboundedness is examined.
EDGE_BOX = 1e3


@dataclass(frozen=True, eq=False)
class BestResponse:
    """What a follower could do alone.

    reported: its objective at the values now in the model; best: its objective at its own optimum (both in its sense).
    values: an optimal response, by Pyomo variable.
    box: set if the follower's objective falls without limit, as it may by rounding alone where the leader's decision lies
        on the edge of what leaves the follower an optimum; then ``best`` is its optimum within this distance (relative
        to ``max(1, |value|)``) of the reported response.
    """

    follower: Follower
    reported: float
    best: float
    values: Any = field(repr=False)
    box: float | None = None

    @property
    def gap(self) -> float:
        """What the follower could still gain, relative to ``max(1, |best|)``; never negative."""
        sign = 1.0 if self.follower.own_objective.sense == pyo.minimize else -1.0
        return max(0.0, sign * (self.reported - self.best)) / max(1.0, abs(self.best))


def best_response(follower: Follower) -> BestResponse:
    """Solves the follower's own problem with HiGHS, every variable of other players fixed at its present value.

    The model's values are left as they were. Raises SolverError if HiGHS reaches no verdict, or finds no response.
    """
    objective = follower.own_objective
    reported = float(pyo.value(objective.expr))
    box = None
    with _alone(follower):
        verdict, values = _run(follower)
        if verdict in ("unbounded", "infeasibleOrUnbounded"):
            box = EDGE_BOX
            with _within_box(follower, box):
                verdict, values = _run(follower)
        if verdict != "convergenceCriteriaSatisfied":
            raise SolverError(
                f"follower {follower.name} alone at the leader's decision: {verdict}; it must have a finite optimum for "
                "the leader's decision to mean anything"
            )
        kept = [(variable, variable.value) for variable in follower.own_variables]
        for variable, value in values.items():
            variable.set_value(value, skip_validation=True)
        best = float(pyo.value(objective.expr))
        for variable, value in kept:
            variable.set_value(value, skip_validation=True)
    return BestResponse(follower, reported, best, values, box)


def _run(follower: Follower) -> tuple[str, Any]:
    solver = SolverFactory("highs")
    answer = solver.solve(follower.block, load_solutions=False, raise_exception_on_nonoptimal_result=False)
    verdict = str(answer.termination_condition.name)
    values = answer.solution_loader.get_vars() if verdict == "convergenceCriteriaSatisfied" else {}
    return verdict, ComponentMap(values)


@contextmanager
def _within_box(follower: Follower, size: float) -> Iterator[None]:
    """Narrows the follower's variables to a neighbourhood of their values for the time being."""
    free = [variable for variable in follower.own_variables if not variable.fixed and variable.value is not None]
    kept = [(variable, variable.lower, variable.upper) for variable in free]
    try:
        for variable, lower, upper in kept:
            reach = size * max(1.0, abs(variable.value))
            if lower is None:
                variable.setlb(variable.value - reach)
            if upper is None:
                variable.setub(variable.value + reach)
        yield
    finally:
        for variable, lower, upper in kept:
            variable.setlb(lower)
            variable.setub(upper)


@contextmanager
def _alone(follower: Follower) -> Iterator[None]:
    """Only this follower's objective and rows are active, everyone else's variables are fixed; undone at the end."""
    own = {id(variable) for variable in follower.own_variables}
    objective = follower.own_objective
    fixed: list[Any] = []
    switched_off: list[Any] = []
    was_active = objective.active
    others = [
        found
        for found in follower.block.component_data_objects(pyo.Objective, active=True, descend_into=True)
        if found is not objective
    ]
    try:
        objective.activate()
        for other in others:
            other.deactivate()
        mentioned = [objective.expr]
        for row in follower.block.component_data_objects(pyo.Constraint, active=True, descend_into=True):
            if any(id(variable) in own for variable in identify_variables(row.body, include_fixed=False)):
                mentioned.append(row.body)
            else:
                switched_off.append(row)
        for row in switched_off:
            row.deactivate()
        for expression in mentioned:
            for variable in identify_variables(expression, include_fixed=False):
                if id(variable) not in own and not variable.fixed:
                    variable.fix()
                    fixed.append(variable)
        yield
    finally:
        for variable in fixed:
            variable.unfix()
        for row in switched_off:
            row.activate()
        for other in others:
            other.activate()
        if not was_active:
            objective.deactivate()
