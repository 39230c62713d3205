"""Propagated bounds keep every feasible point, and reach what a chain of rows implies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csr_array

from dispatch.conic.propagation import propagate


def test_a_full_store_leaves_no_freedom_to_charge() -> None:
    """``e1 = 1 + c1``, ``e2 = e1 + c2``, ``e2 >= 3`` with charges up to 1: both charges are 1."""
    rows = csr_array(np.array([[1.0, 0.0, -1.0, 0.0], [-1.0, 1.0, 0.0, -1.0]]))
    right = np.array([1.0, 0.0])
    lower, upper = propagate(rows, right, right, np.array([0.0, 3.0, 0.0, 0.0]), np.array([3.0, 3.0, 1.0, 1.0]))
    np.testing.assert_allclose(lower, [2.0, 3.0, 1.0, 1.0], atol=1e-7)
    np.testing.assert_allclose(upper, [2.0, 3.0, 1.0, 1.0], atol=1e-7)


def test_a_free_column_gets_bounds_from_its_row() -> None:
    rows = csr_array(np.array([[1.0, 1.0, -2.0]]))
    lower, upper = propagate(
        rows, np.zeros(1), np.zeros(1), np.array([0.0, 1.0, -np.inf]), np.array([4.0, 3.0, np.inf])
    )
    assert lower[2] == pytest.approx(0.5)
    assert upper[2] == pytest.approx(3.5)


def test_two_free_columns_in_a_row_stay_free() -> None:
    rows = csr_array(np.array([[1.0, 1.0]]))
    lower, upper = propagate(rows, np.zeros(1), np.zeros(1), np.full(2, -np.inf), np.full(2, np.inf))
    assert np.isneginf(lower).all() and np.isposinf(upper).all()


def test_contradicting_rows_come_back_crossed() -> None:
    rows = csr_array(np.array([[1.0, 1.0]]))
    lower, upper = propagate(rows, np.array([3.0]), np.array([np.inf]), np.zeros(2), np.ones(2))
    assert (lower > upper).any()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_feasible_point_is_cut_off(seed: int) -> None:
    """The least and largest value of every column, by linear programs, lie within the propagated bounds."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-2, 3, (4, 5)).astype(float)
    inside = rng.uniform(-1, 1, 5)
    low, high = inside - rng.uniform(0, 2, 5), inside + rng.uniform(0, 2, 5)
    low[rng.random(5) < 0.2] = -np.inf
    floor, top = matrix @ inside - rng.uniform(0, 0.5, 4), matrix @ inside + rng.uniform(0, 0.5, 4)
    lower, upper = propagate(csr_array(matrix), floor, top, low, high)
    assert (lower >= low).all() and (upper <= high).all()
    for column in range(5):
        for sign, end in ((1.0, lower), (-1.0, upper)):
            cost = np.zeros(5)
            cost[column] = sign
            found = linprog(
                cost,
                A_ub=np.vstack([matrix, -matrix]),
                b_ub=np.concatenate([top, -floor]),
                bounds=list(zip(low, high, strict=True)),
            )
            if found.status == 0:
                assert sign * end[column] <= found.fun + 1e-7
