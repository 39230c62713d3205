"""The cone engine against hand-worked optima, SCIP and itself."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.errors import InfeasibleError, SolverError
from dispatch.network.distflow import NetworkLimits, declare_distflow
from dispatch.network.feeder import random_feeder
from dispatch.solver import NormCone, QuadraticEpigraph, RotatedCone, SolverOptions, solve

ENGINES = [
    SolverOptions(gap=1e-7),
    SolverOptions(cone_oracle="none", gap=1e-7),
    SolverOptions(solver="scip", gap=1e-7),
]
every_engine = pytest.mark.parametrize("options", ENGINES, ids=["clarabel", "linear", "scip"])


@every_engine
def test_knapsack(options: SolverOptions) -> None:
    m = pyo.ConcreteModel()
    m.take = pyo.Var(range(4), domain=pyo.Binary)
    m.room = pyo.Constraint(expr=5 * m.take[0] + 4 * m.take[1] + 6 * m.take[2] + 3 * m.take[3] <= 10)
    m.value = pyo.Objective(expr=10 * m.take[0] + 40 * m.take[1] + 30 * m.take[2] + 50 * m.take[3], sense=pyo.maximize)
    result = solve(m, options=options)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(90.0)
    assert [pyo.value(m.take[k]) for k in range(4)] == [0, 1, 0, 1]
    assert result.bound >= result.objective - 1e-6


@every_engine
def test_monopsony_price_of_one_flexible_customer(options: SolverOptions) -> None:
    """a = 160, b = 100, retail 150, spot 81: demand 0.395, profit 15.6025."""
    m = pyo.ConcreteModel()
    m.d = pyo.Var(bounds=(0.1, 0.5))
    m.profit = pyo.Objective(expr=(150 - 81) * m.d - (100 * m.d**2 - 10 * m.d), sense=pyo.maximize)
    result = solve(m, options=options)
    assert result.objective == pytest.approx(15.6025, abs=1e-5)
    assert pyo.value(m.d) == pytest.approx(0.395, abs=1e-3)


@every_engine
def test_mixed_integer_circle(options: SolverOptions) -> None:
    """Largest x + 2 y with integer y in the disc of radius 2.5: y = 2, x = 1.5."""
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(bounds=(-9, 9)), pyo.Var(domain=pyo.Integers, bounds=(-9, 9))
    m.best = pyo.Objective(expr=m.x + 2 * m.y, sense=pyo.maximize)
    result = solve(m, [NormCone("disc", (m.x, m.y), 2.5)], options)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(5.5, abs=1e-5)
    assert (pyo.value(m.x), pyo.value(m.y)) == (pytest.approx(1.5, abs=1e-5), 2)


@every_engine
def test_epigraph_with_affine_bound(options: SolverOptions) -> None:
    """min t + 3 z with 2 x^2 + y^2 <= t + z + 1, x + y >= 3, z binary: x = 1, y = 2, t = 5 at z = 0."""
    m = pyo.ConcreteModel()
    m.x, m.y, m.t = pyo.Var(bounds=(-5, 5)), pyo.Var(bounds=(-5, 5)), pyo.Var(bounds=(0, 99))
    m.z = pyo.Var(domain=pyo.Binary)
    m.sum = pyo.Constraint(expr=m.x + m.y >= 3)
    m.cost = pyo.Objective(expr=m.t + 3 * m.z)
    result = solve(m, [QuadraticEpigraph("e", ((2.0, m.x), (1.0, m.y)), m.t + m.z + 1)], options)
    assert result.objective == pytest.approx(5.0, abs=1e-5)


def random_problem(seed: int) -> tuple[Any, list[Any]]:
    """A bounded, feasible mixed-integer problem with a quadratic objective, a norm and a rotated cone."""
    rng = np.random.default_rng(seed)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(4), bounds=(-3, 3))
    m.z = pyo.Var(range(4), domain=pyo.Integers, bounds=(-2, 2))
    m.left, m.right = pyo.Var(bounds=(0, 20)), pyo.Var(bounds=(0.1, 4))
    rows = rng.integers(-3, 4, (3, 8))
    everything = [*m.x.values(), *m.z.values()]
    m.rows = pyo.Constraint(
        range(3), rule=lambda _, k: pyo.quicksum(int(a) * v for a, v in zip(rows[k], everything, strict=True)) <= 5.5
    )
    root = rng.normal(size=(3, 8))
    forms = [pyo.quicksum(float(a) * v for a, v in zip(row, everything, strict=True)) for row in root]
    m.cost = pyo.Objective(
        expr=pyo.quicksum(f**2 for f in forms)
        + pyo.quicksum(float(c) * v for c, v in zip(rng.normal(size=8) * 3, everything, strict=True))
        + m.left
        + 0.5 * m.right
    )
    cones = [
        NormCone("ball", tuple(m.x.values()), 4.0),
        RotatedCone("line", m.x[0], m.z[0], (m.left, m.right)),
        NormCone("wedge", (m.x[1], m.z[1]), m.right, scale=1.5),
    ]
    return m, cones


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 100_000))
def test_engines_agree_on_random_problems(seed: int) -> None:
    found = []
    for options in ENGINES:
        m, cones = random_problem(seed)
        result = solve(m, cones, options)
        assert result.status == "optimal"
        assert result.bound <= result.objective + 1e-6 * max(1, abs(result.objective))
        found.append(result.objective)
    assert found[0] == pytest.approx(found[2], rel=2e-6, abs=2e-6)
    assert found[1] == pytest.approx(found[2], rel=2e-6, abs=2e-6)


def small_dispatch() -> tuple[Any, list[Any]]:
    """Two units with start-up cost on an eight-bus feeder, three steps."""
    feeder = random_feeder(8, 1, load_mw=1.0)
    m = pyo.ConcreteModel()
    m.on = pyo.Var([3, 6], range(3), domain=pyo.Binary)
    m.mw = pyo.Var([3, 6], range(3), bounds=(0, 0.4))
    m.least = pyo.Constraint([3, 6], range(3), rule=lambda m, b, t: m.mw[b, t] >= 0.1 * m.on[b, t])
    m.most = pyo.Constraint([3, 6], range(3), rule=lambda m, b, t: m.mw[b, t] <= 0.4 * m.on[b, t])
    m.start = pyo.Var([3, 6], range(3), bounds=(0, 1))
    m.begin = pyo.Constraint(
        [3, 6], range(3), rule=lambda m, b, t: m.start[b, t] >= m.on[b, t] - (m.on[b, t - 1] if t else 0)
    )
    m.network = pyo.Block()
    load = {(bus.id, t): bus.load_mw * (0.7 + 0.2 * t) for bus in feeder.buses for t in range(3)}
    net = {key: load[key] - m.mw[key] if key[0] in (3, 6) else load[key] for key in load}
    cones = declare_distflow(
        m.network,
        feeder,
        range(3),
        net,
        {(bus.id, t): bus.load_mvar for bus in feeder.buses for t in range(3)},
        NetworkLimits(root_voltage_pu=1.02),
    )
    price = [70.0, 110.0, 95.0]
    m.cost = pyo.Objective(
        expr=pyo.quicksum(price[t] * m.network.import_mw[t] for t in range(3))
        + pyo.quicksum(90 * m.mw[b, t] + (2 + b) * m.start[b, t] for b in (3, 6) for t in range(3))
    )
    return m, cones


def test_engines_agree_on_a_feeder_with_commitment() -> None:
    values = []
    for options in ENGINES:
        m, cones = small_dispatch()
        result = solve(m, cones, options)
        assert result.status == "optimal"
        values.append(result.objective)
    assert values == pytest.approx([values[0]] * 3, rel=1e-6)


def test_tangents_serve_the_next_solve() -> None:
    m, cones = small_dispatch()
    first = solve(m, cones)
    m, cones = small_dispatch()
    again = solve(m, cones, warm_cuts=first.cuts)
    assert again.objective == pytest.approx(first.objective, rel=1e-6)
    assert again.rounds == 1
    assert len(first.cuts) > 0


def test_same_seed_same_answer() -> None:
    results = []
    for _ in range(2):
        m, cones = small_dispatch()
        result = solve(m, cones, SolverOptions(seed=5))
        results.append((result.objective, result.bound, [v.value for v in m.mw.values()]))
    assert results[0] == results[1]


@every_engine
def test_infeasible_is_a_verdict_and_leaves_the_variables_alone(options: SolverOptions) -> None:
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(bounds=(0, 9), initialize=7.0), pyo.Var(domain=pyo.Integers, bounds=(2, 9))
    m.cost = pyo.Objective(expr=m.x)
    result = solve(m, [NormCone("disc", (m.x, m.y), 1.5)], options)
    assert result.status == "infeasible"
    assert not result.has_solution and math.isnan(result.objective)
    assert m.x.value == 7.0


@pytest.mark.parametrize("oracle", ["clarabel", "none"])
def test_integers_that_miss_every_cone_are_found_infeasible(oracle: Any) -> None:
    """The disc of radius 0.4 around (0.5, 0.5) holds points but no integer."""
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(domain=pyo.Integers, bounds=(-5, 5)), pyo.Var(domain=pyo.Integers, bounds=(-5, 5))
    m.a, m.b = pyo.Var(), pyo.Var()
    m.shift_x, m.shift_y = pyo.Constraint(expr=m.a == m.x - 0.5), pyo.Constraint(expr=m.b == m.y - 0.5)
    m.cost = pyo.Objective(expr=m.x + m.y)
    assert solve(m, [NormCone("disc", (m.a, m.b), 0.4)], SolverOptions(cone_oracle=oracle)).status == "infeasible"


@pytest.mark.parametrize("oracle", ["clarabel", "none"])
def test_unbounded_is_a_verdict(oracle: Any) -> None:
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(), pyo.Var(bounds=(0, 1))
    m.row = pyo.Constraint(expr=m.x + m.y >= 0)
    m.cost = pyo.Objective(expr=m.x, sense=pyo.maximize)
    assert solve(m, [NormCone("c", (m.y,), m.x)], SolverOptions(cone_oracle=oracle)).status == "unbounded"


def hard_problem() -> Any:
    """A market-split instance (Cornuejols and Dawande 1998): tiny, and far beyond any short time limit."""
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 100, (5, 40))
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(40), domain=pyo.Binary)
    m.over, m.under = pyo.Var(range(5), bounds=(0, None)), pyo.Var(range(5), bounds=(0, None))
    m.split = pyo.Constraint(
        range(5),
        rule=lambda m, k: (
            pyo.quicksum(int(w) * m.x[j] for j, w in enumerate(weights[k])) + m.over[k] - m.under[k]
            == int(weights[k].sum()) // 2
        ),
    )
    m.cost = pyo.Objective(expr=pyo.quicksum(m.over[k] + m.under[k] for k in range(5)))
    return m


@pytest.mark.parametrize("solver", ["highs", "scip"])
def test_time_limit_returns_the_best_incumbent_and_its_bound(solver: Any) -> None:
    m = hard_problem()
    result = solve(m, options=SolverOptions(time_limit_s=1.0, solver=solver))
    assert result.status == "time_limit"
    assert result.seconds["total"] < 3.0
    assert result.objective == pytest.approx(sum(pyo.value(m.over[k] + m.under[k]) for k in range(5)), abs=1e-6)
    assert result.bound < result.objective and result.gap > 1e-4


def test_ctrl_c_returns_the_best_incumbent_and_says_so() -> None:
    m = hard_problem()
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        time.sleep(1.0)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    result = solve(m, options=SolverOptions(time_limit_s=30.0))
    assert result.status == "interrupted"
    assert result.seconds["total"] < 10.0
    assert result.has_solution and result.bound < result.objective


def test_fixed_variables_and_variables_only_in_cones_are_respected() -> None:
    m = pyo.ConcreteModel()
    m.p, m.q = pyo.Var(bounds=(0, 9)), pyo.Var(bounds=(-9, 9))
    m.current, m.u = pyo.Var(bounds=(0, 99)), pyo.Var(bounds=(0, 2))
    m.q.fix(3.0)
    m.u.fix(0.5)
    m.p.setlb(4.0)
    m.cost = pyo.Objective(expr=m.current)
    result = solve(m, [RotatedCone("c", m.p, m.q, (m.current, m.u))])
    assert result.objective == pytest.approx(50.0, rel=1e-6)
    assert m.q.value == 3.0


def test_sos1_sets_are_solved_by_scip_and_refused_by_highs() -> None:
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1))
    m.one = pyo.SOSConstraint(var=m.x, sos=1)
    m.value = pyo.Objective(expr=m.x[0] + 3 * m.x[1] + 2 * m.x[2], sense=pyo.maximize)
    assert solve(m, options=SolverOptions(solver="scip")).objective == pytest.approx(3.0)
    with pytest.raises(SolverError, match="choose solver=scip"):
        solve(m)
    assert m.one.active


def test_what_cannot_be_handled_is_refused_with_the_reason() -> None:
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(bounds=(-1, 1)), pyo.Var(bounds=(-1, 1))
    with pytest.raises(SolverError, match="0 active objectives; it needs exactly one"):
        solve(m)
    m.cost = pyo.Objective(expr=m.x * m.y)
    with pytest.raises(SolverError, match="objective cost is not convex"):
        solve(m)
    m.cost.set_value(m.x)
    m.bad = pyo.Constraint(expr=m.x * m.y >= 0)
    with pytest.raises(SolverError, match="Declare convex terms as cones"):
        solve(m)
    m.bad.deactivate()
    with pytest.raises(SolverError, match=r"weight -1\.0 of y is negative"):
        solve(m, [QuadraticEpigraph("e", ((-1.0, m.y),), m.x)])
    m.y.fix(2.0)
    m.never = pyo.Constraint(expr=m.y <= 1)
    with pytest.raises(InfeasibleError, match="never"):
        solve(m)


@pytest.mark.parametrize(
    "wrong",
    [{"gap": 0.0}, {"time_limit_s": -1.0}, {"threads": 0}, {"solver": "cplex"}, {"cone_oracle": "ecos"}],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SolverError):
        SolverOptions(**wrong)
