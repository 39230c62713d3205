"""Followers solved alone, and the set of their optimal responses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest

from dispatch.bilevel import BilevelProblem, Follower, solve
from dispatch.errors import SolverError
from dispatch.stackelberg.best_response import best_response
from dispatch.stackelberg.certify import largest_violation


@pytest.fixture
def model() -> Any:
    """min (price - 6) x + x^2 on [0, 4] for the follower: x = (6 - price)/2."""
    model = pyo.ConcreteModel()
    model.price = pyo.Var(bounds=(0, 10), initialize=2.0)
    model.f = pyo.Block()
    model.f.x = pyo.Var(bounds=(0, 4), initialize=1.0)
    model.f.about_the_leader = pyo.Constraint(expr=model.price <= 9)
    model.f.cost = pyo.Objective(expr=(model.price - 6) * model.f.x + model.f.x**2)
    model.objective = pyo.Objective(expr=model.price)
    return model


def test_gain_against_a_response_that_is_not_the_best(model: Any) -> None:
    found = best_response(Follower(model.f))
    assert found.reported == pytest.approx(-3)
    assert found.best == pytest.approx(-4)
    assert found.values[model.f.x] == pytest.approx(2)
    assert found.gap == pytest.approx(0.25)


def test_the_model_is_left_untouched(model: Any) -> None:
    model.f.cost.deactivate()
    best_response(Follower(model.f, objective=model.f.cost))
    assert (model.price.value, model.f.x.value) == (2.0, 1.0)
    assert not model.price.fixed
    assert not model.f.cost.active
    assert model.f.about_the_leader.active
    assert model.objective.active


def test_a_maximising_follower_gains_upwards(model: Any) -> None:
    model.f.cost.set_value(-model.f.cost.expr)
    model.f.cost.sense = pyo.maximize
    found = best_response(Follower(model.f))
    assert (found.reported, found.best) == (pytest.approx(3), pytest.approx(4))
    assert found.gap == pytest.approx(0.25)


def test_no_feasible_response_is_an_error_that_names_the_follower(model: Any) -> None:
    model.f.row = pyo.Constraint(expr=model.f.x >= 3 + model.price)
    with pytest.raises(SolverError, match="follower f alone"):
        best_response(Follower(model.f))


def test_a_follower_on_the_edge_of_unboundedness_is_examined_nearby() -> None:
    """Its slope is a rounding error below zero at the leader's decision: no gain within a thousand times its response."""
    model = pyo.ConcreteModel()
    model.price = pyo.Var(initialize=1.0 - 1e-13)
    model.f = pyo.Block()
    model.f.x = pyo.Var(bounds=(0, None), initialize=2.0)
    model.f.cost = pyo.Objective(expr=1e6 * (model.price - 1) * model.f.x)
    found = best_response(Follower(model.f))
    assert found.box is not None
    assert found.gap < 1e-3
    assert (model.f.x.lb, model.f.x.ub) == (0, None)


def test_violation_is_measured_on_the_original_rows(model: Any) -> None:
    assert largest_violation(model) == 0
    model.price.set_value(9.5)
    assert largest_violation(model) == pytest.approx(0.5 / 9.5)


def test_ties_of_a_quadratic_follower_with_a_quadratic_leader() -> None:
    """The follower cares for y0 + y1 alone; (y0 - 1)^2 + (y1 - 1)^2 is 0 at (1, 1) and 2 at (0, 2)."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(2, 2.5))
    model.f = pyo.Block()
    model.f.y = pyo.Var(range(2), bounds=(0, 3))
    y = model.f.y
    model.f.cost = pyo.Objective(expr=(y[0] + y[1] - model.x) ** 2)
    model.objective = pyo.Objective(expr=(y[0] - 1) ** 2 + (y[1] - 1) ** 2 + 10 * (model.x - 2))
    answer = solve(BilevelProblem(model, [Follower(model.f)], model.x))
    assert answer.objective == pytest.approx(0, abs=1e-6)
    assert answer.pessimistic_objective == pytest.approx(2, abs=1e-4)


def test_a_strictly_convex_follower_has_no_ties(model: Any) -> None:
    model.objective.set_value((model.f.x - 1.5) ** 2)
    answer = solve(BilevelProblem(model, [Follower(model.f)], model.price))
    assert answer.objective == pytest.approx(0, abs=1e-6)
    assert answer.tie_width == 0
    assert answer.certificate.best_response_gap < 1e-6


def test_reported_responses_cannot_be_improved_for_random_prices(model: Any) -> None:
    for price in np.random.default_rng(3).uniform(0, 10, 8):
        model.price.set_value(float(price))
        found = best_response(Follower(model.f))
        assert found.values[model.f.x] == pytest.approx(max(0.0, (6 - price) / 2), abs=1e-5)
