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


@dataclass(frozen=True, eq=False)
class BestResponse:
    """What a follower could do alone.

    reported: its objective at the values now in the model; best: its objective at its own optimum (both in its sense).
    values: an optimal response, by Pyomo variable.
    """

    follower: Follower
    reported: float
    best: float
    values: Any = field(repr=False)

    @property
    def gap(self) -> float:
        """What the follower could still gain, relative to ``max(1, |best|)``; never negative."""
        sign = 1.0 if self.follower.own_objective.sense == pyo.minimize else -1.0
        return max(0.0, sign * (self.reported - self.best)) / max(1.0, abs(self.best))


def best_response(follower: Follower) -> BestResponse:
    """Solves the follower's own problem with HiGHS, every variable of other players fixed at its present value.

    The model's values are left as they were. Raises SolverError if the follower has no optimum at this decision.
    """
    objective = follower.own_objective
    reported = float(pyo.value(objective.expr))
    with _alone(follower):
        solver = SolverFactory("highs")
        answer = solver.solve(follower.block, load_solutions=False, raise_exception_on_nonoptimal_result=False)
        if answer.incumbent_objective is None or "convergenceCriteriaSatisfied" not in str(
            answer.termination_condition
        ):
            raise SolverError(
                f"follower {follower.name} alone at the leader's decision: {answer.termination_condition.name}; it must "
                "have a finite optimum for the leader's decision to mean anything"
            )
        values = answer.solution_loader.get_vars()
        kept = [(variable, variable.value) for variable in follower.own_variables]
        for variable, value in values.items():
            variable.set_value(value, skip_validation=True)
        best = float(pyo.value(objective.expr))
        for variable, value in kept:
            variable.set_value(value, skip_validation=True)
    return BestResponse(follower, reported, best, ComponentMap(values))


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
