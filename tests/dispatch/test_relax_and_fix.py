"""First answers by stages: feasible points, dead ends, and that they change no optimum."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest

from dispatch.conic.clarabel_oracle import OracleAnswer, solve_continuous
from dispatch.conic.compiled import Compiled, compile_model
from dispatch.conic.relax_and_fix import relax_and_fix
from dispatch.solver import QuadraticEpigraph, SolverOptions, solve


def lots(days: int = 6) -> tuple[Any, list[Any], list[list[Any]]]:
    """Lot sizes with a price per start, stock and convex wear; stages are days."""
    demand = np.random.default_rng(3).integers(1, 9, days).tolist()
    m = pyo.ConcreteModel()
    m.make, m.stock = pyo.Var(range(days), bounds=(0, 12)), pyo.Var(range(days), bounds=(0, 30))
    m.run, m.wear = pyo.Var(range(days), domain=pyo.Binary), pyo.Var(range(days), bounds=(0, None))
    m.flow = pyo.Constraint(
        range(days), rule=lambda m, t: m.stock[t] == (m.stock[t - 1] if t else 0) + m.make[t] - demand[t]
    )
    m.on = pyo.Constraint(range(days), rule=lambda m, t: m.make[t] <= 12 * m.run[t])
    m.cost = pyo.Objective(expr=sum(9 * m.run[t] + m.stock[t] + 0.05 * m.wear[t] for t in range(days)))
    cones = [QuadraticEpigraph(f"wear {t}", ((1.0, m.make[t]),), m.wear[t]) for t in range(days)]
    return m, cones, [[m.run[t]] for t in range(days)]


def first_answer(model: Any, cones: list[Any], stages: list[list[Any]], seconds: float = 30.0) -> tuple[Compiled, Any]:
    compiled = compile_model(model, cones)
    relaxed = solve_continuous(compiled, compiled.lower, compiled.upper, 30.0)
    columns = [np.array([compiled.place[id(v)] for v in stage]) for stage in stages]
    return compiled, relax_and_fix(compiled, relaxed, columns, SolverOptions(), time.perf_counter() + seconds)


def test_the_point_is_whole_and_keeps_rows_bounds_and_cones() -> None:
    compiled, found = first_answer(*lots())
    assert isinstance(found, OracleAnswer)
    x = found.x
    assert np.abs(x - np.round(x))[compiled.integer].max() < 1e-9
    rows = compiled.matrix @ x
    assert (rows >= compiled.row_lower - 1e-6).all() and (rows <= compiled.row_upper + 1e-6).all()
    assert (x >= compiled.lower - 1e-9).all() and (x <= compiled.upper + 1e-9).all()
    assert compiled.cones.violation(x).max() < 1e-6
    assert found.value == pytest.approx(compiled.objective(x), rel=1e-6)


@pytest.mark.parametrize("solver", ["highs", "scip"])
def test_stages_change_no_optimum(solver: Any) -> None:
    model, cones, stages = lots()
    options = SolverOptions(solver=solver, gap=1e-6)
    plain, staged = solve(model, cones, options), solve(model, cones, options, stages=stages)
    assert staged.status == plain.status == "optimal"
    assert staged.objective == pytest.approx(plain.objective, rel=2e-6)
    assert staged.bound <= staged.objective + 1e-6 and staged.gap <= 1e-6


@pytest.mark.parametrize("solver", ["highs", "scip"])
def test_a_first_answer_that_cannot_be_bettered_stands_with_its_proof(solver: Any) -> None:
    model, cones, stages = lots()
    together = [
        [variable for stage in stages for variable in stage]
    ]  # a single stage is solved to a gap of 1e-3 by itself
    result = solve(model, cones, SolverOptions(solver=solver, gap=1e-2), stages=together)
    assert result.status == "optimal" and result.has_solution and result.gap <= 1e-2
    assert model.cost() == pytest.approx(result.objective, rel=1e-6)


def dead_end(right: float) -> Any:
    """``2 second = 1 + first``: the cheaper ``first = 0`` leaves ``second`` a half."""
    m = pyo.ConcreteModel()
    m.first, m.second = pyo.Var(domain=pyo.Binary), pyo.Var(domain=pyo.Binary)
    m.tie = pyo.Constraint(expr=2 * m.second == right + m.first)
    m.cost = pyo.Objective(expr=m.first + 0.1 * m.second)
    return m


def test_stages_are_joined_where_an_early_choice_is_a_dead_end() -> None:
    m = dead_end(1.0)
    compiled, found = first_answer(m, [], [[m.first], [m.second]])
    assert found is not None and found.x.tolist() == pytest.approx([1.0, 1.0])
    assert compiled.objective(found.x) == pytest.approx(1.1)


def test_no_point_where_there_is_none_and_none_without_time() -> None:
    m = dead_end(0.5)
    assert first_answer(m, [], [[m.first], [m.second]])[1] is None
    assert first_answer(*lots(), seconds=0.0)[1] is None


def test_integers_of_no_stage_are_decided_last() -> None:
    model, cones, stages = lots()
    compiled, found = first_answer(model, cones, stages[:2])
    assert found is not None and np.abs(found.x - np.round(found.x))[compiled.integer].max() < 1e-9
