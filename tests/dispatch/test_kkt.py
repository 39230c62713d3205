"""Optimality conditions declared on a block: against Pyomo's own, a hand-worked optimum, and random programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.stackelberg.extraction import FollowerForm
from dispatch.stackelberg.follower import BilevelProblem, Follower
from dispatch.stackelberg.kkt import declare_kkt
from dispatch.stackelberg.polynomial import ExpressionReader
from dispatch.stackelberg.single_level import extract_followers, single_level
from dispatch.stackelberg.strong_duality import independent_parts, negative_dual_value


def storage(hours: int) -> Any:
    """A store that buys and sells at the leader's price with wear that grows with power."""
    model = pyo.ConcreteModel()
    model.price = pyo.Var(range(hours), bounds=(0, 100))
    model.store = pyo.Block()
    block = model.store
    block.charge = pyo.Var(range(hours), bounds=(0, 2))
    block.discharge = pyo.Var(range(hours), bounds=(0, 2))
    block.energy = pyo.Var(range(hours), bounds=(0, 5))
    block.state = pyo.Constraint(
        range(hours),
        rule=lambda b, t: b.energy[t] == (b.energy[t - 1] if t else 1) + 0.9 * b.charge[t] - b.discharge[t] / 0.9,
    )
    block.cost = pyo.Objective(
        expr=sum(
            model.price[t] * (block.charge[t] - block.discharge[t])
            + 3 * (block.charge[t] ** 2 + block.discharge[t] ** 2)
            for t in range(hours)
        )
    )
    model.objective = pyo.Objective(expr=model.price[0])
    return model


def form_of(model: Any, block: Any, leader: Any) -> FollowerForm:
    return extract_followers(BilevelProblem(model, [Follower(block)], leader))[0]


def test_stationarity_rows_are_those_of_pyomos_own_transformation() -> None:
    """``core.kkt`` differentiates the Lagrangian symbolically; both must vanish at the same random points."""
    model = storage(3)
    twin = storage(3)
    block = pyo.Block(concrete=True)
    model.conditions = block
    kkt = declare_kkt(block, form_of(model, model.store, model.price))
    pyo.TransformationFactory("core.kkt").apply_to(twin.store, parameterize_wrt=list(twin.price.values()))
    assert len(block.stationarity) == 9
    symbolic = {
        row.name: row.body
        for row in twin.store.kkt.component_data_objects(pyo.Constraint, active=True)
        if row.equality and "complements" not in row.name
    }
    assert len(symbolic) == 9
    random = np.random.default_rng(7)
    for variable, other in zip((*model.price.values(), *kkt.form.x), _same(twin, kkt.form), strict=True):
        value = float(random.uniform(0, 2))
        variable.set_value(value)
        other.set_value(value)
    for dual in (*block.mu.values(), *block.nu.values()):
        dual.set_value(0.0)
    for dual in twin.store.kkt.component_data_objects(pyo.Var):
        dual.set_value(0.0)
    ours = sorted(pyo.value(row.body) - pyo.value(row.upper) for row in block.stationarity.values())
    theirs = sorted(pyo.value(body) for body in symbolic.values())
    assert ours == pytest.approx(theirs)


def _same(twin: Any, form: FollowerForm) -> list[Any]:
    return [*twin.price.values(), *(twin.find_component(variable.name) for variable in form.x)]


def test_a_hand_worked_optimum_meets_the_conditions_and_a_neighbour_does_not() -> None:
    """min (p - 10) x + x^2 on [0, 3] with p = 2: x = 3 and the upper bound's dual is 2."""
    model = pyo.ConcreteModel()
    model.p = pyo.Var(initialize=2.0)
    model.f = pyo.Block()
    model.f.x = pyo.Var(bounds=(0, 3))
    model.f.cost = pyo.Objective(expr=(model.p - 10) * model.f.x + model.f.x**2)
    model.conditions = pyo.Block()
    kkt = declare_kkt(model.conditions, form_of(model, model.f, model.p))
    upper, lower = (kkt.block.mu[k] for k in range(2))

    def residual(x: float, dual: float) -> float:
        model.f.x.set_value(x)
        upper.set_value(dual)
        lower.set_value(0.0)
        row = kkt.block.stationarity[0]
        return abs(pyo.value(row.body) - pyo.value(row.upper))

    assert residual(3.0, 2.0) == pytest.approx(0)
    assert residual(2.9, 2.0) == pytest.approx(0.2)
    assert [(slack.name, dual.name) for slack, dual in kkt.pairs] == [
        ("conditions.slack[0]", "conditions.mu[0]"),
        ("conditions.slack[1]", "conditions.mu[1]"),
    ]


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 6000).map(lambda cents: cents / 100), min_size=3, max_size=3))
def test_price_times_quantity_equals_the_identity_at_every_optimum(prices: list[float]) -> None:
    """``p'(charge - discharge) = -c'x - x'Q x - h'mu - f'nu`` with duals from HiGHS, not from the conditions.

    Prices are whole cents: HiGHS's quadratic solver gives up on some of the order of 1e-5.
    """
    model = storage(3)
    for variable, price in zip(model.price.values(), prices, strict=True):
        variable.fix(price)
    model.store.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    model.store.rc = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    from pyomo.contrib.solver.common.factory import SolverFactory

    SolverFactory("highs").solve(model.store)
    model.price.unfix()
    with single_level(BilevelProblem(model, [Follower(model.store)], model.price)) as level:
        kkt = level.kkts[0]
        for k, row in enumerate(kkt.form.equalities):
            kkt.block.nu[k].set_value(-model.store.dual[row.source])
        for k, row in enumerate(kkt.form.inequalities):
            reduced = model.store.rc[row.source]
            kkt.block.mu[k].set_value(max(0.0, -reduced if row.side == "upper" else reduced))
        (part,) = independent_parts(kkt.form)
        reader = ExpressionReader()
        reader.note([*kkt.form.x, *kkt.block.mu.values(), *kkt.block.nu.values()])
        identity = pyo.value(reader.expression(negative_dual_value(kkt, part)))
    bill = sum(p * (model.store.charge[t].value - model.store.discharge[t].value) for t, p in enumerate(prices))
    assert identity == pytest.approx(bill, abs=1e-4)
