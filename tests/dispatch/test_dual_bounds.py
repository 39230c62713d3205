"""Every bound is valid, finite where a rule applies, and names its rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch.errors import BilevelError
from dispatch.stackelberg import dual_bounds
from dispatch.stackelberg.basis_bounds import basic_dual_bounds
from dispatch.stackelberg.branching import ComplementarityBranching
from dispatch.stackelberg.claims import Claims
from dispatch.stackelberg.complementarity import PairBounds
from dispatch.stackelberg.dual_bounds import BoundOptions, prove_bounds
from dispatch.stackelberg.follower import BilevelProblem, Follower
from dispatch.stackelberg.interval_bounds import box
from dispatch.stackelberg.single_level import extract_followers, single_level


def bounds_of(
    problem: BilevelProblem, nodes: int = 200
) -> tuple[dict[str, tuple[float, float]], PairBounds, list[str]]:
    """Name of each inequality to its bounds on slack and dual; the record itself; remarks."""
    with single_level(problem) as level:
        search = ComplementarityBranching(level.compiled, level.pairs)
        (found,), remarks = prove_bounds(level.kkts, search, BoundOptions(nodes=nodes))
        names = [row.name for row in level.kkts[0].form.inequalities]
    return dict(zip(names, zip(found.slack, found.dual, strict=True), strict=True)), found, remarks


def trader(price_limit: float = 50.0, own_cost: float = 30.0, **claims: Any) -> BilevelProblem:
    """Buys at the leader's price, or makes it itself at ``own_cost``; demand 4; curtailment is free."""
    model = pyo.ConcreteModel()
    model.price = pyo.Var(bounds=(10, price_limit))
    model.f = pyo.Block()
    model.f.buy = pyo.Var(bounds=(0, 6))
    model.f.own = pyo.Var(bounds=(0, 3))
    model.f.balance = pyo.Constraint(expr=model.f.buy + model.f.own >= 4)
    model.f.cost = pyo.Objective(expr=model.price * model.f.buy + own_cost * model.f.own)
    model.profit = pyo.Objective(expr=(model.price - 20) * model.f.buy, sense=pyo.maximize)
    stated = {model.f.balance: claims["claim"]} if "claim" in claims else {}
    return BilevelProblem(
        model, [Follower(model.f, dual_bounds=stated, dual_bounds_proof=claims.get("proof", ""))], model.price
    )


def test_bounds_of_a_trader_are_the_prices_it_can_face() -> None:
    found, record, _ = bounds_of(trader())
    assert found["f.balance >="] == (pytest.approx(5, rel=1e-5), pytest.approx(50, rel=1e-5))
    assert found["f.own <="][1] == pytest.approx(20, rel=1e-5)
    assert found["f.buy <="][1] <= 40 * (1 + 1e-5)
    assert all(rule != "none" for rule in (*record.slack_rule, *record.dual_rule))


def test_two_parallel_limits_have_bounded_duals_though_only_their_difference_is_determined() -> None:
    """0 <= x <= p: at p = 0 both duals may grow together; a basic one has the difference alone."""
    model = pyo.ConcreteModel()
    model.p = pyo.Var(bounds=(0, 1))
    model.f = pyo.Block()
    model.f.x = pyo.Var(bounds=(0, None))
    model.f.cap = pyo.Constraint(expr=model.f.x <= model.p)
    model.f.cost = pyo.Objective(expr=-7 * model.f.x)
    model.objective = pyo.Objective(expr=model.p - model.f.x)
    found, _, _ = bounds_of(BilevelProblem(model, [Follower(model.f)], model.p))
    assert found["f.cap <="][1] == pytest.approx(7, rel=1e-5)
    assert found["f.x >="][1] == 0


def test_bases_bound_duals_whose_set_is_unbounded() -> None:
    """x0 + x1 <= p with x >= 0 at p = 0: the three duals can grow together, a basic choice cannot."""
    model = pyo.ConcreteModel()
    model.p = pyo.Var(bounds=(0, 1))
    model.f = pyo.Block()
    model.f.x = pyo.Var(range(2), bounds=(0, None))
    model.f.cap = pyo.Constraint(expr=model.f.x[0] + model.f.x[1] <= model.p)
    model.f.cost = pyo.Objective(expr=-2 * model.f.x[0] - 5 * model.f.x[1])
    model.objective = pyo.Objective(expr=model.p)
    (form,) = extract_followers(BilevelProblem(model, [Follower(model.f)], model.p))
    found = basic_dual_bounds(form, box(form.x), box(form.p), Claims())
    assert dict(zip([row.name for row in form.inequalities], found, strict=True)) == {
        "f.cap <=": pytest.approx(5),
        "f.x[0] >=": pytest.approx(3),
        "f.x[1] >=": pytest.approx(0),
    }


def test_the_trap_of_pineda_and_morales_needs_the_search_for_its_slack() -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 2))
    model.f = pyo.Block()
    model.f.y = pyo.Var(bounds=(0, None))
    model.f.row = pyo.Constraint(expr=model.x - 0.01 * model.f.y <= 1)
    model.f.cost = pyo.Objective(expr=model.f.y)
    model.objective = pyo.Objective(expr=model.x + model.f.y, sense=pyo.maximize)
    problem = BilevelProblem(model, [Follower(model.f)], model.x)
    found, record, _ = bounds_of(problem)
    assert found["f.row <="][1] == pytest.approx(100, rel=1e-5)
    assert found["f.y >="][0] >= 100
    assert "search over the complementarity" in record.slack_rule
    _, without, _ = bounds_of(problem, nodes=0)
    assert not np.all(np.isfinite(without.slack))


def test_claims_are_compared_with_what_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, remarks = bounds_of(trader(claim=35.0, proof="wrong"))
    assert found["f.balance >="][1] == pytest.approx(50, rel=1e-5)
    assert "can reach 50" in remarks[0] and "claimed bound 35" in remarks[0]
    monkeypatch.setattr(dual_bounds, "TIGHTEN_UP_TO", 0)
    found, record, remarks = bounds_of(trader(claim=50.0, proof="dearest way up: the price"))
    assert found["f.balance >="][1] == pytest.approx(50, rel=1e-5)
    assert "dearest way up: the price" in record.dual_rule
    assert found["f.own <="][1] == pytest.approx(20, rel=1e-5)
    assert record.dual_rule[record.dual_rule.index("dearest way up: the price") - 1] != "none"
    assert remarks == []


def test_claims_about_something_else_or_without_a_range() -> None:
    problem = trader()
    model = problem.model
    for stated, words in (
        ([(model.price, 3.0)], "price, which is neither a row"),
        ([(model.f.balance, -1.0)], "no range of a dual"),
        ([(model.f.balance, (3.0, 1.0))], "no range of a dual"),
    ):
        follower = Follower(model.f, dual_bounds=stated)
        with pytest.raises(BilevelError, match=words):
            bounds_of(BilevelProblem(model, [follower], model.price))


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_at_every_leader_decision_some_optimal_dual_lies_within_the_bounds(data: st.DataObject) -> None:
    """Random linear followers with the leader in cost and limits, examined at random decisions by a plain dual program."""
    from scipy.optimize import linprog

    whole = st.integers(-3, 3)
    cost = data.draw(st.lists(whole, min_size=2, max_size=2))
    weights = data.draw(st.lists(whole, min_size=4, max_size=4))
    moves = data.draw(st.lists(whole, min_size=2, max_size=2))
    limits = data.draw(st.lists(st.integers(1, 8), min_size=2, max_size=2))
    model = pyo.ConcreteModel()
    model.p = pyo.Var(bounds=(0, 2))
    model.f = pyo.Block()
    model.f.x = pyo.Var(range(2), bounds=(0, 3))
    x = model.f.x
    model.f.rows = pyo.ConstraintList()
    for k in range(2):
        if weights[2 * k] or weights[2 * k + 1]:
            model.f.rows.add(weights[2 * k] * x[0] + weights[2 * k + 1] * x[1] <= limits[k] + moves[k] * model.p)
    model.f.cost = pyo.Objective(expr=(cost[0] + model.p) * x[0] + cost[1] * x[1])
    model.objective = pyo.Objective(expr=0 * model.p)
    problem = BilevelProblem(model, [Follower(model.f)], model.p)
    _, record, _ = bounds_of(problem)
    (form,) = extract_followers(problem)
    for value in data.draw(st.lists(st.floats(0, 2), min_size=3, max_size=3)):
        p = np.array([value] * len(form.p))
        gradient, limit = form.c + form.B @ p, form.h - form.K @ p
        primal = linprog(gradient, A_ub=form.G.toarray(), b_ub=limit, bounds=[(None, None)] * 2)
        if primal.status != 0:
            continue
        within = linprog(limit, A_eq=form.G.toarray().T, b_eq=-gradient, bounds=[(0, m) for m in record.dual])
        assert within.status == 0
        assert -within.fun == pytest.approx(primal.fun, abs=1e-5)
