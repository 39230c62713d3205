"""Random problems against the enumeration of the lower level's active sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch.bilevel import BilevelError, BilevelOptions, solve
from dispatch.errors import InfeasibleError
from tests.dispatch.bilevel_cases import Case, as_problem, enumerate_active_sets

QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One or two leader and follower variables in boxes, one to three further lower rows, small integers."""
    n, m = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    rows, upper = draw(st.integers(1, 3)), draw(st.integers(0, 1))

    def matrix(*shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        return np.array(draw(st.lists(st.integers(-3, 3), min_size=count, max_size=count)), dtype=float).reshape(shape)

    def limits(count: int) -> np.ndarray:
        return np.array(draw(st.lists(st.integers(0, 8), min_size=count, max_size=count)), dtype=float)

    root = matrix(m, m) * draw(st.sampled_from([0.0, 1.0]))
    curve = matrix(m, m) * draw(st.sampled_from([0.0, 1.0]))
    return Case(
        cx=matrix(n),
        cy=matrix(m),
        e=matrix(m),
        C=np.vstack([matrix(rows, n), np.zeros((2 * m, n))]),
        D=np.vstack([matrix(rows, m), -np.eye(m), np.eye(m)]),
        b=np.concatenate([limits(rows), np.zeros(m), np.full(m, 5.0)]),
        A=matrix(upper, n),
        B=matrix(upper, m),
        a=limits(upper),
        H=root.T @ root,
        K=matrix(n, m) * draw(st.sampled_from([0.0, 1.0])),
        Qy=curve.T @ curve,
        equalities=draw(st.integers(0, 1)) if upper == 0 else 0,
        x_bounds=(0.0, 6.0),
    )


def optimum(case: Case, reformulation: str, solver: str = "highs") -> float:
    try:
        answer = solve(as_problem(case), reformulation, solver, BilevelOptions(time_limit_s=30))
    except InfeasibleError:
        return np.inf
    except BilevelError as refusal:
        assert "no feasible response" in str(refusal)
        return np.inf
    assert answer.certificate.passed, answer.certificate
    assert answer.certificate.best_response_gap <= 1e-6
    return answer.objective


def usable(case: Case) -> bool:
    """An all-zero row in first place would be left out of the model, but kept as an equality by the enumeration."""
    return case.equalities == 0 or bool(case.arrays["C"][0].any() or case.arrays["D"][0].any())


@QUICK
@given(cases())
def test_big_m_and_branching_equal_enumeration(case: Case) -> None:
    if not usable(case):
        return
    best = enumerate_active_sets(case)
    for reformulation in ("kkt_bigm", "branching"):
        assert optimum(case, reformulation) == pytest.approx(best, rel=1e-5, abs=1e-5)


@settings(QUICK, max_examples=8)
@given(cases())
def test_scip_with_sos1_and_indicators_equals_enumeration(case: Case) -> None:
    pytest.importorskip("pyscipopt")
    if not usable(case):
        return
    best = enumerate_active_sets(case)
    for reformulation in ("kkt_sos1", "kkt_indicator"):
        assert optimum(case, reformulation, "scip") == pytest.approx(best, rel=1e-5, abs=1e-5)


@settings(QUICK, max_examples=10)
@given(cases())
def test_pessimistic_value_is_never_better_than_the_optimistic_one(case: Case) -> None:
    if not usable(case):
        return
    try:
        answer = solve(as_problem(case))
    except (InfeasibleError, BilevelError):
        return
    assert answer.pessimistic_objective is None or answer.pessimistic_objective >= answer.objective - 1e-6
