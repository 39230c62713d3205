"""Dual bounds that are too small must never decide an answer."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest

from dispatch.bilevel import BilevelError, BilevelOptions, BilevelProblem, Follower, solve
from dispatch.stackelberg.branching import ComplementarityBranching
from dispatch.stackelberg.complementarity import PairBounds
from dispatch.stackelberg.routes import Route
from dispatch.stackelberg.single_level import SingleLevel, single_level


def pineda_morales(**claims: object) -> BilevelProblem:
    """max x + y, 0 <= x <= 2, y in argmin { y : y >= 0, x - 0.01 y <= 1 } (Pineda and Morales 2018): 102 at (2, 100)."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 2))
    model.follower = pyo.Block()
    model.follower.y = pyo.Var()
    model.follower.positive = pyo.Constraint(expr=model.follower.y >= 0)
    model.follower.row = pyo.Constraint(expr=model.x - 0.01 * model.follower.y <= 1)
    model.follower.objective = pyo.Objective(expr=model.follower.y)
    model.objective = pyo.Objective(expr=model.x + model.follower.y, sense=pyo.maximize)
    bounds = {model.follower.row: claims["claim"]} if "claim" in claims else {}
    follower = Follower(model.follower, dual_bounds=bounds, dual_bounds_proof=str(claims.get("proof", "")))
    return BilevelProblem(model, [follower], leader=model.x)


@pytest.mark.parametrize("reformulation", ["auto", "kkt_bigm", "branching"])
def test_the_trap_is_solved_with_proved_bounds(reformulation: str) -> None:
    problem = pineda_morales()
    answer = solve(problem, reformulation)
    assert answer.objective == pytest.approx(102)
    assert problem.model.x.value == pytest.approx(2)
    assert answer.duals["follower"]["follower.row <="] == pytest.approx(100)
    assert answer.certificate.passed


@pytest.mark.parametrize("proof", ["", "wishful thinking"])
def test_a_claim_that_is_too_small_is_replaced_and_reported(proof: str) -> None:
    answer = solve(pineda_morales(claim=50.0, proof=proof), "kkt_bigm")
    assert answer.objective == pytest.approx(102)
    assert answer.dual_bounds["follower"]["follower.row <="].bound >= 100
    assert any("claimed bound 50" in message for message in answer.messages)


def discount(bound: float) -> tuple[BilevelProblem, PairBounds]:
    """The follower buys one unit if the price is below 10; the leader wants the sale, then the lowest price.

    The optimum is price 0, where the dual of "at most one unit" is 10; a bound on that dual keeps the price up.
    """
    model = pyo.ConcreteModel()
    model.price = pyo.Var(bounds=(0, 20))
    model.follower = pyo.Block()
    model.follower.units = pyo.Var(bounds=(0, 1))
    model.follower.objective = pyo.Objective(expr=(model.price - 10) * model.follower.units)
    model.objective = pyo.Objective(expr=100 * model.follower.units - model.price, sense=pyo.maximize)
    problem = BilevelProblem(model, [Follower(model.follower)], leader=model.price)
    rules = ("limits of the variables", "limits of the variables")
    dual = np.array([bound, 20.0])
    return problem, PairBounds(np.array([1.0, 1.0]), dual, rules, ("by hand", "by hand"), np.empty((0, 2)))


def big_m_route(level: SingleLevel) -> Route:
    return Route(level, ComplementarityBranching(level.compiled, level.pairs), BilevelOptions(), "highs")


def test_a_dual_at_its_bound_enlarges_the_bound_and_solves_again() -> None:
    problem, bounds = discount(3.0)
    with single_level(problem) as level:
        outcome = big_m_route(level).big_m([bounds])
    assert outcome.value == pytest.approx(-100)
    assert any("was reached; solved again with 30" in message for message in outcome.messages)


def test_a_dual_still_at_its_bound_after_three_enlargements_is_an_error() -> None:
    problem, bounds = discount(1e-3)
    with single_level(problem) as level, pytest.raises(BilevelError, match="still depends"):
        big_m_route(level).big_m([bounds])


def test_the_proved_bound_of_the_discount_is_wide_enough() -> None:
    problem, _ = discount(3.0)
    answer = solve(problem, "kkt_bigm")
    assert answer.objective == pytest.approx(100)
    assert answer.dual_bounds["follower"]["follower.units <="].bound == pytest.approx(10, rel=1e-4)


def test_without_any_usable_bound_the_search_needs_none() -> None:
    """Leader and follower without limits: min (x - 3)^2 + (y - 1)^2 with y = max(0, x - 1) has the optimum (2.5, 1.5)."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var()
    model.follower = pyo.Block()
    model.follower.y = pyo.Var(bounds=(0, None))
    model.follower.above = pyo.Constraint(expr=model.follower.y >= model.x - 1)
    model.follower.objective = pyo.Objective(expr=model.follower.y)
    model.objective = pyo.Objective(expr=(model.x - 3) ** 2 + (model.follower.y - 1) ** 2)
    problem = BilevelProblem(model, [Follower(model.follower)], leader=model.x)
    for options in (BilevelOptions(), BilevelOptions(bound_search_nodes=0)):
        answer = solve(problem, "kkt_bigm", options=options)
        assert model.x.value == pytest.approx(2.5, abs=1e-6)
        assert answer.objective == pytest.approx(0.5, abs=1e-6)
        assert answer.certificate.passed
    assert answer.reformulation == "branching"
    assert any("no usable bound" in message for message in answer.messages)
