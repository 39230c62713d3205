"""Prices as the leader's decision: revenue replaced by strong duality, several followers, ties and recourse."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest

import dispatch.bilevel
from dispatch.bilevel import BilevelError, BilevelOptions, BilevelProblem, Follower, solve

EXACT = ["kkt_bigm", "branching", "strong_duality"]


def test_the_docstring_example_runs() -> None:
    assert doctest.testmod(dispatch.bilevel).failed == 0


def customers(count: int, recourse: bool = True) -> tuple[Any, BilevelProblem]:
    """One price for all; customer k values energy at ``60 + 10 k - 4 energy`` at the margin; supply costs 20."""
    model = pyo.ConcreteModel()
    model.price = pyo.Var(bounds=(0, 100))
    model.supply = pyo.Var(bounds=(0, 1000))
    model.customer = pyo.Block(range(count))
    for k in range(count):
        block = model.customer[k]
        block.energy = pyo.Var(bounds=(0, 10))
        block.cost = pyo.Objective(expr=(model.price - 60 - 10 * k) * block.energy + 2 * block.energy**2)
    sold = pyo.quicksum(model.customer[k].energy for k in range(count))
    model.balance = pyo.Constraint(expr=model.supply == sold)
    model.profit = pyo.Objective(expr=model.price * sold - 20 * model.supply, sense=pyo.maximize)
    followers = [Follower(model.customer[k]) for k in range(count)]
    leader = [model.price, model.supply]
    return model, BilevelProblem(model, followers, leader, recourse=model.supply if recourse else ())


@pytest.mark.parametrize("reformulation", EXACT)
def test_uniform_price_for_two_customers_is_the_monopoly_price(reformulation: str) -> None:
    """Total demand (130 - 2 p)/4 at a margin p - 20: p = 42.5, profit 22.5 * 11.25 = 253.125."""
    model, problem = customers(2)
    answer = solve(problem, reformulation)
    assert answer.objective == pytest.approx(253.125, rel=1e-6)
    assert model.price.value == pytest.approx(42.5, abs=1e-3)
    assert answer.certificate.passed, answer.certificate
    assert answer.certificate.objective_identity < 1e-6
    assert answer.tie_width == 0


def test_the_identity_uses_the_whole_square_and_not_its_half() -> None:
    """With one customer the bill is ``(60 - 4 e) e``: half the square would give another profit at the same point."""
    model, problem = customers(1)
    answer = solve(problem)
    energy = model.customer[0].energy.value
    assert answer.objective == pytest.approx((60 - 4 * energy) * energy - 20 * energy)
    assert (energy, answer.objective) == (pytest.approx(5, abs=1e-4), pytest.approx(100))


@pytest.mark.parametrize("solver", ["highs", "scip"])
def test_many_independent_customers_in_one_block_with_weights_of_their_own(solver: str) -> None:
    """The leader's share of each customer's bill differs: the identity holds part by part."""
    if solver == "scip":
        pytest.importorskip("pyscipopt")
    model = pyo.ConcreteModel()
    shares = [1.0, 0.5, 0.25]
    model.price = pyo.Var(range(3), bounds=(0, 80))
    model.all = pyo.Block()
    model.all.energy = pyo.Var(range(3), bounds=(0, 10))
    energy = model.all.energy
    model.all.cost = pyo.Objective(expr=sum((model.price[k] - 60) * energy[k] + 2 * energy[k] ** 2 for k in range(3)))
    income = sum(share * model.price[k] * energy[k] for k, share in enumerate(shares))
    model.profit = pyo.Objective(expr=income - 10 * sum(energy[k] for k in range(3)), sense=pyo.maximize)
    answer = solve(BilevelProblem(model, [Follower(model.all)], model.price), solver=solver)
    by_hand = [max((s * (60 - 4 * e) - 10) * e for e in np.linspace(0, 10, 100001)) for s in shares]
    assert answer.objective == pytest.approx(sum(by_hand), rel=1e-6)
    assert answer.certificate.passed


def industrial_park(recourse: bool) -> tuple[Any, BilevelProblem]:
    """Two hours; a park buys, or runs its own 150 kW unit at 0.65. Contract prices 0.4 and 0.6, band 0.8 to 1.2."""
    contract, load = (0.4, 0.6), (100, 200)
    model = pyo.ConcreteModel()
    hours = range(2)
    model.price = pyo.Var(hours, bounds=lambda _, t: (0.8 * contract[t], 1.2 * contract[t]))
    model.purchase = pyo.Var(hours, bounds=(0, 500))
    model.mean = pyo.Constraint(expr=sum(model.price.values()) / 2 <= 0.5)
    model.park = pyo.Block()
    model.park.buy = pyo.Var(hours, bounds=(0, 500))
    model.park.own = pyo.Var(hours, bounds=(0, 150))
    model.park.balance = pyo.Constraint(hours, rule=lambda b, t: b.buy[t] + b.own[t] == load[t])
    model.park.cost = pyo.Objective(
        expr=sum(model.price[t] * model.park.buy[t] + 0.65 * model.park.own[t] for t in hours)
    )
    model.balance = pyo.Constraint(hours, rule=lambda m, t: m.purchase[t] == m.park.buy[t])
    profit = sum(model.price[t] * model.park.buy[t] - contract[t] * model.purchase[t] for t in hours)
    model.profit = pyo.Objective(expr=profit, sense=pyo.maximize)
    leader = [model.price, model.purchase]
    return model, BilevelProblem(model, [Follower(model.park)], leader, model.purchase if recourse else ())


@pytest.mark.parametrize("reformulation", EXACT)
def test_a_linear_follower_ties_exactly_at_the_optimal_price(reformulation: str) -> None:
    model, problem = industrial_park(recourse=True)
    answer = solve(problem, reformulation)
    assert answer.objective == pytest.approx(5.0)
    assert [price.value for price in model.price.values()] == pytest.approx([0.35, 0.65])
    assert answer.pessimistic_objective == pytest.approx(-2.5, abs=1e-5)
    assert answer.tie_width == pytest.approx(7.5, abs=1e-5)
    assert answer.duals["park"]["park.balance[1]"] == pytest.approx(0.65)
    assert answer.certificate.passed


def test_without_recourse_a_tie_breaks_the_leaders_balance() -> None:
    _, problem = industrial_park(recourse=False)
    answer = solve(problem)
    assert answer.pessimistic_objective == -np.inf
    assert any("balance[1]" in message and "goodwill" in message for message in answer.messages)


def test_a_step_back_from_the_tie_makes_the_answer_robust() -> None:
    model, problem = industrial_park(recourse=True)
    model.price[1].setub(0.6499)
    answer = solve(problem)
    assert answer.tie_width == 0
    assert answer.objective == pytest.approx(5.0, abs=0.02)


def test_strong_duality_replaces_complementarity_where_no_leader_interferes() -> None:
    """The follower's cheapest mix is a tie between two units; the leader prefers unit 1 and may pick it."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 4))
    model.f = pyo.Block()
    model.f.y = pyo.Var(range(2), bounds=(0, 3))
    model.f.demand = pyo.Constraint(expr=model.f.y[0] + model.f.y[1] >= 4)
    model.f.cost = pyo.Objective(expr=2 * model.f.y[0] + 2 * model.f.y[1])
    model.cover = pyo.Constraint(expr=model.x >= model.f.y[0])
    model.objective = pyo.Objective(expr=model.x + 3 * model.f.y[1])
    problem = BilevelProblem(model, [Follower(model.f)], leader=model.x)
    answer = solve(problem, "strong_duality")
    assert answer.objective == pytest.approx(6)
    assert (model.f.y[0].value, model.f.y[1].value) == (pytest.approx(3), pytest.approx(1))
    assert any("replaces the complementarity of 5 inequalities" in message for message in answer.messages)
    assert answer.certificate.passed


def test_followers_that_see_each_other_play_nash() -> None:
    """Cournot duopoly with price 12 - q1 - q2 and unit cost x set by a tax: q_i = (12 - x)/3, revenue x (24 - 2 x)/3."""
    model = pyo.ConcreteModel()
    model.tax = pyo.Var(bounds=(0, 12))
    model.firm = pyo.Block(range(2))
    for k in range(2):
        model.firm[k].q = pyo.Var(bounds=(0, 12))
    for k in range(2):
        mine, other = model.firm[k].q, model.firm[1 - k].q
        model.firm[k].cost = pyo.Objective(expr=mine**2 + mine * other - 12 * mine + model.tax * mine)
    model.goal = pyo.Objective(expr=(model.firm[0].q + model.firm[1].q - 4) ** 2 + 0.001 * model.tax)
    problem = BilevelProblem(model, [Follower(model.firm[k]) for k in range(2)], leader=model.tax)
    for reformulation in ("kkt_bigm", "branching"):
        answer = solve(problem, reformulation, options=BilevelOptions(gap=1e-8))
        assert model.tax.value == pytest.approx(6, abs=1e-2)
        assert model.firm[0].q.value == pytest.approx(2, abs=1e-2)
        assert answer.certificate.passed, answer.certificate


def test_integer_decisions_of_the_leader() -> None:
    """Price on a grid of 9: demand (60 - p)/4, margin p - 20; 36 gives 96, 45 gives 93.75."""
    for reformulation in ("kkt_bigm", "branching"):
        model, _ = customers(1)
        model.step = pyo.Var(domain=pyo.Integers, bounds=(0, 11))
        model.grid = pyo.Constraint(expr=model.price == 9 * model.step)
        problem = BilevelProblem(model, [Follower(model.customer[0])], [model.price, model.supply, model.step])
        answer = solve(problem, reformulation)
        assert (model.step.value, answer.objective) == (4, pytest.approx(96))


def test_equality_rows_and_free_variables_of_the_leader() -> None:
    """x1 + x2 = 1, both free; the follower's y is the larger of x1 and -x1; min y + x2^2 gives x1 = 1/2."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(2))
    model.total = pyo.Constraint(expr=model.x[0] + model.x[1] == 1)
    model.f = pyo.Block()
    model.f.y = pyo.Var()
    model.f.rows = pyo.Constraint(range(2), rule=lambda b, k: b.y >= (1 - 2 * k) * model.x[0])
    model.f.size = pyo.Objective(expr=model.f.y)
    model.objective = pyo.Objective(expr=model.f.y + model.x[1] ** 2)
    for reformulation in ("auto", "branching"):
        answer = solve(BilevelProblem(model, [Follower(model.f)], leader=model.x), reformulation)
        assert answer.objective == pytest.approx(0.75, abs=1e-6)
        assert model.x[0].value == pytest.approx(0.5, abs=1e-5)


def test_an_objective_that_stays_nonconvex_is_left_to_scip() -> None:
    """y = max(0, x - 1) on 0 <= x <= 4: -(x - 1)^2 + x y - 2 y is x^2 - 3 x + 2 - (x - 1)^2 = 1 - x beyond 1: -3 at 4."""
    pytest.importorskip("pyscipopt")
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 4))
    model.f = pyo.Block()
    model.f.y = pyo.Var(bounds=(0, 5))
    model.f.above = pyo.Constraint(expr=model.f.y >= model.x - 1)
    model.f.cost = pyo.Objective(expr=model.f.y)
    y = model.f.y
    model.objective = pyo.Objective(expr=-((model.x - 1) ** 2) + model.x * y - 2 * y)
    problem = BilevelProblem(model, [Follower(model.f)], model.x)
    for reformulation in ("auto", "kkt_indicator"):
        answer = solve(problem, reformulation, "scip")
        assert answer.objective == pytest.approx(-3, abs=1e-5)
        assert answer.certificate.passed, answer.certificate
    with pytest.raises(BilevelError, match="solver='scip'"):
        solve(problem)
