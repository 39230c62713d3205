"""A follower's Pyomo block read into matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest

from dispatch.errors import BilevelError
from dispatch.stackelberg.extraction import FollowerForm
from dispatch.stackelberg.follower import BilevelProblem, Follower
from dispatch.stackelberg.single_level import extract_followers
from dispatch.stackelberg.strong_duality import independent_parts


def forms_of(model: Any, *followers: Follower, leader: Any = ()) -> list[FollowerForm]:
    return extract_followers(BilevelProblem(model, followers, leader))


@pytest.fixture
def model() -> Any:
    """min (3 + p) x0 + 2 x0^2 + x0 x1 - x1 over a range row, an equality with the leader's q, and bounds."""
    model = pyo.ConcreteModel()
    model.p, model.q = pyo.Var(), pyo.Var()
    model.f = pyo.Block()
    model.f.x = pyo.Var(range(2))
    x = model.f.x
    x[0].setlb(-1)
    model.f.span = pyo.Constraint(expr=(-4, 2 * x[0] - x[1] + 3 * model.q + 1, 8))
    model.f.sum = pyo.Constraint(expr=x[0] + x[1] == 5 - model.q)
    model.f.cost = pyo.Objective(expr=(3 + model.p) * x[0] + 2 * x[0] ** 2 + x[0] * x[1] + 4 * x[1] ** 2 - x[1])
    return model


def test_matrices_of_a_small_follower(model: Any) -> None:
    (form,) = forms_of(model, Follower(model.f), leader=[model.p, model.q])
    assert [v.name for v in form.p] == ["p", "q"]
    assert form.c == pytest.approx([3, -1])
    assert form.B.toarray() == pytest.approx(np.array([[1, 0], [0, 0]]))
    assert form.Q.toarray() == pytest.approx(np.array([[4, 1], [1, 8]]))
    assert [row.name for row in form.inequalities] == ["f.span <=", "f.span >=", "f.x[0] >="]
    assert form.G.toarray() == pytest.approx(np.array([[2, -1], [-2, 1], [-1, 0]]))
    assert form.K.toarray() == pytest.approx(np.array([[0, 3], [0, -3], [0, 0]]))
    assert form.h == pytest.approx([7, 5, 1])
    assert form.E.toarray() == pytest.approx(np.array([[1, 1]]))
    assert form.L.toarray() == pytest.approx(np.array([[0, 1]]))
    assert form.f == pytest.approx([5])
    assert form.leader_in_limits == ("f.span <=", "f.span >=", "f.sum")


def test_maximising_negates_the_objective_and_nothing_else(model: Any) -> None:
    (form,) = forms_of(model, Follower(model.f), leader=[model.p, model.q])
    model.f.cost.set_value(-model.f.cost.expr)
    model.f.cost.sense = pyo.maximize
    (turned,) = forms_of(model, Follower(model.f), leader=[model.p, model.q])
    assert turned.sense == -1
    assert turned.c == pytest.approx(form.c)
    assert turned.Q.toarray() == pytest.approx(form.Q.toarray())
    assert turned.h == pytest.approx(form.h)


def test_fixed_variables_are_numbers(model: Any) -> None:
    model.q.fix(2.0)
    model.f.x[1].fix(1.0)
    (form,) = forms_of(model, Follower(model.f), leader=[model.p, model.q])
    assert (len(form.x), len(form.p)) == (1, 1)
    assert form.c == pytest.approx([4])
    assert form.h == pytest.approx([2, 10, 1])
    assert form.f == pytest.approx([2])


def test_two_opposite_rows_are_one_equality_with_free_dual() -> None:
    model = pyo.ConcreteModel()
    model.p = pyo.Var()
    model.f = pyo.Block()
    model.f.x = pyo.Var(range(2), bounds=(0, None))
    model.f.low = pyo.Constraint(expr=2 * model.f.x[0] + 2 * model.f.x[1] >= 2 * model.p)
    model.f.high = pyo.Constraint(expr=model.f.x[0] + model.f.x[1] <= model.p)
    model.f.not_opposite = pyo.Constraint(expr=model.f.x[0] + model.f.x[1] >= model.p - 1)
    model.f.cost = pyo.Objective(expr=model.f.x[0])
    (form,) = forms_of(model, Follower(model.f), leader=model.p)
    assert [row.name.split(" ", 1)[1] for row in form.equalities] == ["<= and opposite"]
    assert [id(row.source) for row in form.inequalities] == [
        id(row) for row in (model.f.not_opposite, model.f.x[0], model.f.x[1])
    ]


def test_rows_without_an_own_variable_stay_with_the_model(model: Any) -> None:
    model.f.about_the_leader = pyo.Constraint(expr=model.p + model.q <= 3)
    (form,) = forms_of(model, Follower(model.f), leader=[model.p, model.q])
    assert all("about" not in row.name for row in (*form.inequalities, *form.equalities))


def test_variables_and_objective_may_live_outside_the_block() -> None:
    model = pyo.ConcreteModel()
    model.p, model.y = pyo.Var(), pyo.Var(bounds=(0, 1))
    model.rows = pyo.Block()
    model.rows.only = pyo.Constraint(expr=model.y <= model.p)
    model.lower_cost = pyo.Objective(expr=-model.y)
    model.upper_cost = pyo.Objective(expr=model.p)
    follower = Follower(model.rows, variables=model.y, objective=model.lower_cost, name="outsider")
    problem = BilevelProblem(model, [follower], leader=model)
    assert problem.leader_variables == (model.p,)
    assert problem.leader_objective is model.upper_cost
    (form,) = extract_followers(problem)
    assert (
        str(form) == "follower outsider: linear, 1 variables, 3 inequalities, 0 equalities, sees 1 variables of others"
    )


def test_missing_objective_and_wrong_block_are_named(model: Any) -> None:
    model.f.cost.deactivate()
    with pytest.raises(BilevelError, match="follower f: 0 active objectives"):
        forms_of(model, Follower(model.f), leader=[model.p, model.q])
    model.many = pyo.Block(range(2))
    with pytest.raises(BilevelError, match="one Pyomo block"):
        Follower(model.many)
    with pytest.raises(BilevelError, match="at least one follower"):
        BilevelProblem(model, [], model.p)
    with pytest.raises(BilevelError, match="neither a variable"):
        BilevelProblem(model, [Follower(model.f)], leader=model.f.cost)


def test_lower_limit_above_upper_limit() -> None:
    model = pyo.ConcreteModel()
    model.f = pyo.Block()
    model.f.x = pyo.Var(bounds=(2, 1))
    model.f.cost = pyo.Objective(expr=model.f.x)
    with pytest.raises(BilevelError, match="lower limit 2 above upper limit 1"):
        forms_of(model, Follower(model.f))


def test_independent_parts_share_no_row_and_no_product() -> None:
    model = pyo.ConcreteModel()
    model.f = pyo.Block()
    model.f.x = pyo.Var(range(5), bounds=(0, 1))
    x = model.f.x
    model.f.row = pyo.Constraint(expr=x[0] + x[3] <= 1)
    model.f.same = pyo.Constraint(expr=x[1] == x[4])
    model.f.cost = pyo.Objective(expr=sum(x.values()) + (x[3] - x[2]) ** 2)
    (form,) = forms_of(model, Follower(model.f))
    parts = independent_parts(form)
    assert [part.variables for part in parts] == [(0, 2, 3), (1, 4)]
    assert [len(part.inequalities) for part in parts] == [7, 4]
    assert [len(part.equalities) for part in parts] == [0, 1]
