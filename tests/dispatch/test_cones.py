"""Tangents are valid, touch, and cut off what misses a cone; quadratic forms are factorised exactly."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.conic.compiled import compile_model
from dispatch.conic.cones import QuadraticEpigraph
from dispatch.conic.quadratic import square_factors
from dispatch.conic.tangents import ConeRows, ConeSet, CutPool
from dispatch.errors import SolverError
from dispatch.solver import solve

finite = st.floats(-20, 20)
positive = st.floats(0.05, 20)


def one_of_each() -> ConeSet:
    """Over (p, q, l, u, a, b, bound): a DistFlow cone, the square of a, a norm."""
    rows = ConeRows()
    rows.rotated("line", p={0: 1.0}, q={1: 1.0}, left={2: 1.0}, right={3: 1.0})
    rows.rotated("square", p={4: 1.0}, q={}, left={6: 1.0}, right={}, right_constant=1.0)
    rows.norm("norm", [4, 5], {6: 0.5}, 0.0)
    return rows.finish(7)


def inside(p: float, q: float, u: float, a: float, b: float, extra: float) -> np.ndarray:
    bound = max(a * a, 2.0 * np.hypot(a, b)) + extra
    return np.array([p, q, (p * p + q * q) / u + extra, u, a, b, bound])


@settings(max_examples=100, deadline=None)
@given(finite, finite, positive, finite, finite, finite, finite, positive, finite, finite, positive)
def test_no_tangent_cuts_off_a_point_of_its_cone(
    p: float,
    q: float,
    u: float,
    a: float,
    b: float,
    p0: float,
    q0: float,
    u0: float,
    a0: float,
    b0: float,
    extra: float,
) -> None:
    cones = one_of_each()
    which = np.arange(3)
    tangent_at = np.array([p0, q0, 0.0, u0, a0, b0, 0.0])
    matrix, limit = cones.tangents(cones.points_at(tangent_at, which), which)
    point = inside(p, q, u, a, b, extra)
    room = limit - matrix @ point
    magnitude = np.maximum(abs(matrix) @ np.abs(point), 1.0)
    assert (room >= -1e-9 * magnitude).all()
    assert (cones.violation(point) <= 1e-8).all()


def test_a_tangent_touches_its_cone_and_cuts_off_the_point_it_was_laid_for() -> None:
    cones, which = one_of_each(), np.arange(3)
    missing = np.array([3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 1.0])
    assert (cones.violation(missing) > 0.1).all()
    matrix, limit = cones.tangents(cones.points_at(missing, which), which)
    assert (matrix @ missing - limit > 1e-3).all()
    touching = np.array([3.0, 4.0, 12.5, 2.0, 3.0, 4.0, 0.0])
    for cone, bound in ((0, 0.0), (1, 9.0), (2, 10.0)):
        touching[6] = bound
        assert (matrix @ touching - limit)[cone] == pytest.approx(0.0, abs=1e-12)


def test_a_distflow_tangent_has_the_coefficients_of_the_formula() -> None:
    cones = one_of_each()
    point = np.array([3.0, 4.0, 0.0, 2.0, 0.0, 0.0, 0.0])
    matrix, limit = cones.tangents(cones.points_at(point, np.array([0])), np.array([0]))
    row = matrix.toarray()[0]
    assert row == pytest.approx(np.array([2 * 3, 2 * 4, -2.0, -12.5, 0, 0, 0]) / 25.0)
    assert limit == pytest.approx([0.0])


def test_lightly_loaded_lines_keep_visible_rows() -> None:
    cones = one_of_each()
    point = np.array([1e-4, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    matrix, _ = cones.tangents(cones.points_at(point, np.array([0])), np.array([0]))
    assert abs(matrix).max() == pytest.approx(1e3)


def test_violation_is_zero_on_the_surface_and_measures_the_miss() -> None:
    cones = one_of_each()
    surface = np.array([3.0, 4.0, 12.5, 2.0, 3.0, 4.0, 10.0])
    assert cones.violation(surface)[[0, 2]] == pytest.approx([0.0, 0.0])
    surface[2] = 6.25
    assert cones.violation(surface)[0] == pytest.approx(0.5)


def test_a_pool_finds_its_cones_again_by_name() -> None:
    cones, pool = one_of_each(), CutPool()
    pool.add("norm", np.array([0.0, 3.0, 4.0]))
    pool.add("norm", np.array([0.0, 1.0, 0.0]))
    pool.add("another", np.array([0.0, 1.0, 0.0]))
    assert len(pool) == 3
    assert [cone for cone, _ in pool.matching(cones)] == [2, 2]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10_000))
def test_a_convex_form_equals_its_squares(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, rng.integers(1, size + 1)))
    form = root @ root.T
    factors = square_factors([(i, j, form[i, j]) for i in range(size) for j in range(size)], "form")
    x = rng.normal(size=size)
    total = sum(weight * sum(v * x[at] for at, v in part.items()) ** 2 for weight, part in factors)
    assert total == pytest.approx(x @ form @ x, rel=1e-7, abs=1e-9)


def test_a_form_that_is_not_convex_is_refused_with_its_eigenvalue() -> None:
    with pytest.raises(SolverError, match=r"demand is not convex: its quadratic part has the eigenvalue -1"):
        square_factors([(0, 1, 2.0)], "demand")


def test_separable_forms_stay_separable() -> None:
    factors = square_factors([(3, 3, 2.0), (7, 7, 5.0)], "form")
    assert sorted((weight, tuple(part)) for weight, part in factors) == [(2.0, (3,)), (5.0, (7,))]


def test_steep_costs_of_small_loads_stay_well_scaled() -> None:
    """A kilowatt at 1e5 per MW^2: what is squared is brought to size one, so that no column is of size 1e-6."""
    m = pyo.ConcreteModel()
    m.demand = pyo.Var(bounds=(1e-3, 2e-3))
    m.cost = pyo.Var(bounds=(0, None))
    m.total = pyo.Objective(expr=m.cost - 300 * m.demand)
    cone = QuadraticEpigraph("small load", ((1e5, m.demand),), m.cost)
    compiled = compile_model(m, [cone])
    assert abs(compiled.cones.H).max() == pytest.approx(2 / 2e-3)
    result = solve(m, [cone])
    # Derivative 2e5 d - 300 = 0 at d = 1.5e-3: cost 0.225 - 0.45.
    assert result.objective == pytest.approx(-0.225, abs=1e-6)
    assert pyo.value(m.demand) == pytest.approx(1.5e-3, abs=1e-6)
