"""Problems of the literature with known optima, by every reformulation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pyomo.environ as pyo
import pytest

from dispatch.bilevel import BilevelError, BilevelProblem, Follower, solve
from tests.dispatch.bilevel_cases import Case, as_problem

NAMES = [
    "bard_falk_1982_ex1",
    "candler_townsley_1982",
    "clark_westerberg_1990_ex1",
    "anandalingam_white_1990",
    "liu_hart_1994",
    "mersha_dempe_2006_lower",
    "dempe_2002_ex3_2",
    "haurie_savard_white_1990",
    "savard_1989",
    "bard_1983_efficient_point",
    "besancon_2019_ex2_7",
    "bard_1991_ex2_2",
    "bard_1998_ex8_1_2",
    "bard_1988_ex1",
    "aiyoshi_shimizu_1984_ex2",
    "floudas_9_3_5",
]
ROUTES = [
    ("kkt_bigm", "highs"),
    ("branching", "highs"),
    ("kkt_sos1", "scip"),
    ("kkt_indicator", "scip"),
    ("kkt_bigm", "scip"),
]


def stored(public_data: Callable[[str], Path], name: str) -> tuple[Case, float]:
    rows = {row["name"]: row for row in json.loads(public_data("bilevel/cases.json").read_text())}
    row = rows[name]
    known = {item.name for item in fields(Case)}
    return Case(**{key: value for key, value in row.items() if key in known}), row["F_star"]


@pytest.mark.data
def test_every_stored_problem_is_tested(public_data: Callable[[str], Path]) -> None:
    rows = json.loads(public_data("bilevel/cases.json").read_text())
    assert sorted(row["name"] for row in rows) == sorted(NAMES)


@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("reformulation", "solver"), ROUTES)
def test_known_optimum_is_found_and_certified(
    public_data: Callable[[str], Path], name: str, reformulation: str, solver: str
) -> None:
    if solver == "scip":
        pytest.importorskip("pyscipopt")
    case, best = stored(public_data, name)
    answer = solve(as_problem(case), reformulation, solver)
    assert answer.objective == pytest.approx(best, abs=1e-5)
    assert answer.certificate.passed, answer.certificate
    assert answer.reformulation == reformulation


@pytest.mark.data
@pytest.mark.parametrize("name", ["bard_falk_1982_ex1", "bard_1988_ex1", "aiyoshi_shimizu_1984_ex2"])
def test_maximising_the_negated_objectives_is_the_same_problem(public_data: Callable[[str], Path], name: str) -> None:
    case, best = stored(public_data, name)
    answer = solve(as_problem(case, maximise=True))
    assert answer.objective == pytest.approx(-best, abs=1e-5)
    assert answer.bound >= answer.objective - 1e-6
    assert answer.certificate.passed


@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
def test_strong_duality_is_refused_where_the_leader_moves_limits(public_data: Callable[[str], Path], name: str) -> None:
    case, _ = stored(public_data, name)
    with pytest.raises(BilevelError, match="right-hand side"):
        solve(as_problem(case), "strong_duality")


@pytest.mark.data
def test_clark_and_westerberg_optimistic_and_pessimistic(public_data: Callable[[str], Path]) -> None:
    case, _ = stored(public_data, "clark_westerberg_1990_ex1")
    answer = solve(as_problem(case))
    assert answer.objective == pytest.approx(-13)
    assert answer.pessimistic_objective == pytest.approx(-9, abs=1e-6)
    assert answer.tie_width == pytest.approx(4, abs=1e-6)


def test_mersha_and_dempe_rows_in_the_upper_or_the_lower_level() -> None:
    rows = {"C": [[-2], [1]], "D": [[3], [1]], "b": [12, 14]}
    own = {"C": [[-3], [3]], "D": [[1], [1]], "b": [-3, 30]}
    costs = {"cx": [-1], "cy": [-2], "e": [-1]}
    upper = Case(**costs, **own, A=rows["C"], B=rows["D"], a=rows["b"])
    lower = Case(**costs, **{key: own[key] + rows[key] for key in own})
    assert solve(as_problem(upper)).objective == pytest.approx(-20)
    assert solve(as_problem(lower)).objective == pytest.approx(-22)


def moore_bard(domain: object) -> BilevelProblem:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(domain=pyo.NonNegativeIntegers)
    model.follower = pyo.Block()
    model.follower.y = pyo.Var(domain=domain)
    x, y = model.x, model.follower.y
    model.follower.rows = pyo.ConstraintList()
    for row in (-25 * x + 20 * y <= 30, x + 2 * y <= 10, 2 * x - y <= 15, -2 * x - 10 * y <= -15):
        model.follower.rows.add(row)
    model.follower.objective = pyo.Objective(expr=y)
    model.objective = pyo.Objective(expr=-x - 10 * y)
    return BilevelProblem(model, [Follower(model.follower)], leader=model.x)


def test_moore_and_bard_integer_follower_is_refused_and_its_relaxation_is_no_bound() -> None:
    with pytest.raises(BilevelError, match="integer variables"):
        solve(moore_bard(pyo.NonNegativeIntegers))
    for reformulation in ("kkt_bigm", "branching"):
        assert solve(moore_bard(pyo.NonNegativeReals), reformulation).objective == pytest.approx(-18)
