"""What the engine refuses, and that it says why."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo
import pytest

from dispatch.bilevel import BilevelError, BilevelOptions, BilevelProblem, Follower, solve
from dispatch.errors import InfeasibleError, UnboundedError


def tariff(**changes: Any) -> Any:
    """A leader with a price and a customer with a quadratic benefit; the price is part of the bill."""
    model = pyo.ConcreteModel()
    model.price = pyo.Var(bounds=(0, 80))
    model.customer = pyo.Block()
    model.customer.energy = pyo.Var(bounds=changes.get("bounds", (0, 10)))
    energy = model.customer.energy
    benefit = changes.get("benefit", 60 * energy - 2 * energy**2)
    model.customer.cost = pyo.Objective(expr=model.price * energy - benefit)
    model.profit = pyo.Objective(expr=model.price * energy - 20 * energy, sense=pyo.maximize)
    return model


def problem_of(model: Any) -> BilevelProblem:
    return BilevelProblem(model, [Follower(model.customer)], leader=model.price)


def test_a_follower_that_is_not_convex() -> None:
    model = tariff()
    energy = model.customer.energy
    model.customer.cost.set_value(model.price * energy - energy**2)
    with pytest.raises(BilevelError, match=r"not convex in \(customer.energy\).*eigenvalue -2"):
        solve(problem_of(model))


def test_indefinite_only_in_a_product_of_two_variables() -> None:
    model = tariff()
    model.customer.more = pyo.Var(bounds=(0, 1))
    model.customer.cost.set_value(model.customer.energy * model.customer.more)
    with pytest.raises(BilevelError, match="not convex"):
        solve(problem_of(model))


def test_an_undeclared_variable_in_a_follower_and_in_the_upper_level() -> None:
    model = tariff()
    model.fee = pyo.Var(bounds=(0, 1))
    model.customer.row = pyo.Constraint(expr=model.customer.energy <= 5 + model.fee)
    with pytest.raises(BilevelError, match=r"customer mentions fee, declared neither"):
        solve(problem_of(model))
    model.customer.row.deactivate()
    model.row = pyo.Constraint(expr=model.price <= 50 + model.fee)
    with pytest.raises(BilevelError, match=r"fee: used in the leader's objective or rows"):
        solve(problem_of(model))


def test_one_variable_with_two_owners() -> None:
    model = tariff()
    with pytest.raises(BilevelError, match="declared for the leader and belongs to follower customer"):
        BilevelProblem(model, [Follower(model.customer)], leader=[model.price, model.customer.energy])
    with pytest.raises(BilevelError, match="each variable has one owner"):
        BilevelProblem(model, [Follower(model.customer), Follower(model.customer, name="twin")], leader=model.price)


def test_a_follower_without_any_feasible_response_names_the_rows() -> None:
    model = tariff()
    model.customer.need = pyo.Constraint(expr=model.customer.energy >= 12)
    with pytest.raises(BilevelError, match=r"no feasible response.*breaks customer\.(need|energy).* by 2"):
        solve(problem_of(model))


def test_a_follower_without_a_finite_optimum() -> None:
    model = tariff(bounds=(0, None))
    model.customer.cost.set_value(-model.customer.energy)
    model.profit.set_value(-model.customer.energy)
    with pytest.raises(BilevelError, match="follower customer is unbounded"):
        solve(problem_of(model))


def test_terms_that_are_neither_linear_nor_quadratic() -> None:
    model = tariff()
    model.customer.cost.set_value(pyo.exp(model.customer.energy))
    with pytest.raises(BilevelError, match=r"neither linear nor quadratic"):
        solve(problem_of(model))


def test_a_price_inside_a_row_of_the_follower() -> None:
    model = tariff()
    model.customer.budget = pyo.Constraint(expr=model.price * model.customer.energy <= 100)
    with pytest.raises(BilevelError, match=r"row customer.budget: the product .* is not linear"):
        solve(problem_of(model))


def test_a_product_in_a_row_of_the_leader() -> None:
    model = tariff()
    model.cap = pyo.Constraint(expr=model.price * model.customer.energy <= 100)
    with pytest.raises(BilevelError, match=r"row cap: the product"):
        solve(problem_of(model))


def test_a_revenue_that_is_not_the_bill_cannot_be_replaced() -> None:
    model = tariff()
    model.customer.other = pyo.Var(bounds=(0, 1))
    model.customer.cost.set_value(model.customer.cost.expr + model.customer.other)
    model.profit.set_value(model.price * model.customer.other)
    with pytest.raises(BilevelError, match=r"not convex.*no multiple of the bill"):
        solve(problem_of(model))


def test_revenue_with_a_leader_variable_in_the_limits() -> None:
    model = tariff()
    model.capacity = pyo.Var(bounds=(0, 10))
    model.customer.limit = pyo.Constraint(expr=model.customer.energy <= model.capacity)
    problem = BilevelProblem(model, [Follower(model.customer)], leader=[model.price, model.capacity])
    with pytest.raises(BilevelError, match=r"sit in the limits of customer.limit"):
        solve(problem)


def test_unknown_names_and_routes_that_a_solver_lacks() -> None:
    with pytest.raises(BilevelError, match="reformulation 'kkt' is unknown"):
        solve(problem_of(tariff()), "kkt")  # type: ignore[arg-type]
    with pytest.raises(BilevelError, match="HiGHS has none"):
        solve(problem_of(tariff()), "kkt_sos1")
    with pytest.raises(BilevelError, match="gap"):
        BilevelOptions(gap=0.0)


@pytest.mark.parametrize("reformulation", ["kkt_bigm", "branching"])
def test_a_leader_row_that_no_response_can_meet(reformulation: str) -> None:
    model = tariff()
    model.target = pyo.Constraint(expr=model.customer.energy >= 16)
    model.customer.energy.setub(20)
    with pytest.raises(InfeasibleError, match="no decision of the leader"):
        solve(problem_of(model), reformulation)


@pytest.mark.parametrize("reformulation", ["kkt_bigm", "branching"])
def test_a_leader_whose_gain_has_no_limit(reformulation: str) -> None:
    model = tariff()
    model.extra = pyo.Var(bounds=(0, None))
    model.profit.set_value(model.profit.expr + model.extra)
    with pytest.raises(UnboundedError):
        solve(BilevelProblem(model, [Follower(model.customer)], leader=[model.price, model.extra]), reformulation)


def test_the_model_is_left_as_it_was_after_a_refusal() -> None:
    model = tariff()
    model.customer.budget = pyo.Constraint(expr=model.price * model.customer.energy <= 100)
    with pytest.raises(BilevelError):
        solve(problem_of(model))
    assert model.profit.active and model.customer.cost.active
    assert [block.name for block in model.component_objects(pyo.Block)] == ["customer"]
