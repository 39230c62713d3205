"""Slack cones are found, blamed on the right lines, and mended to an AC state with a valid bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy.optimize import minimize_scalar

from dispatch.conic.compiled import compile_model
from dispatch.exactness import check_exactness, solve_exact
from dispatch.network.distflow import NetworkLimits, cone_gaps, declare_distflow
from dispatch.network.feeder import Branch, Bus, Feeder, load_feeder, random_feeder
from dispatch.network.power_flow import solve_power_flow
from dispatch.network.secants import FlowRanges
from dispatch.solver import SolverOptions, solve

TWO_BUS = Feeder("two", 1.0, 1.0, 1, (Bus(1), Bus(2)), (Branch(1, 2, 0.1, 0.1),))


def photovoltaic(lindistflow: bool, weight: float = 1.0) -> tuple[Any, list[Any]]:
    """1 MW of sun at bus 2 may be spilled; the objective also dislikes a voltage above 1 p.u."""
    m = pyo.ConcreteModel()
    m.spill = pyo.Var(bounds=(0, 1))
    m.network = pyo.Block()
    limits = NetworkLimits(min_voltage_pu=0.9, max_voltage_pu=1.05, lindistflow_upper=lindistflow)
    cones = declare_distflow(m.network, TWO_BUS, [0], {(2, 0): m.spill - 1.0}, {}, limits)
    m.deviation = pyo.Var(bounds=(0, None))
    upper = m.network.lossless_voltage_sq_pu if lindistflow else m.network.voltage_sq_pu
    m.above = pyo.Constraint(expr=m.deviation >= upper[2, 0] - 1.0)
    m.cost = pyo.Objective(expr=10 * m.network.import_mw[0] + 100 * weight * m.deviation)
    return m, cones


def test_a_voltage_objective_burns_power_unless_lossless_voltages_carry_it() -> None:
    m, cones = photovoltaic(lindistflow=False)
    solve(m, cones)
    assert max(cone_gaps(cones)) > 1e-2
    report = check_exactness(m.network)
    assert not report.exact
    assert report.slack == (((1, 2), 0),)
    m, cones = photovoltaic(lindistflow=True)
    solve(m, cones)
    assert max(cone_gaps(cones)) < 1e-4
    assert check_exactness(m.network).exact


def test_the_mended_two_bus_optimum_is_the_true_one() -> None:
    m, cones = photovoltaic(lindistflow=False)
    relaxed = solve(m, cones)
    m, cones = photovoltaic(lindistflow=False)
    result, report = solve_exact(m, cones, m.network)
    assert report.repaired and report.exact

    def true_cost(spill: float) -> float:
        flow = solve_power_flow(TWO_BUS, [0.0, spill - 1.0], [0.0, 0.0])
        return float(10 * flow.import_mw[0] + 100 * max(flow.voltage_pu[0, 1] ** 2 - 1.0, 0.0))

    best = minimize_scalar(true_cost, bounds=(0, 1), method="bounded", options={"xatol": 1e-10})
    assert result.objective == pytest.approx(best.fun, abs=1e-4)
    assert relaxed.objective < result.bound + 1e-6 <= result.objective + 2e-6


def feeder_day(price: float, seed: int = 0) -> tuple[Any, list[Any]]:
    """IEEE 33, two steps: a unit to commit, sun that may be spilled, import paid at ``price``."""
    feeder = load_feeder("ieee33")
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.3, 0.6, 2)
    m = pyo.ConcreteModel()
    m.on = pyo.Var([0, 1], domain=pyo.Binary)
    m.mw = pyo.Var([0, 1], bounds=(0, 0.5))
    m.least = pyo.Constraint([0, 1], rule=lambda m, t: m.mw[t] >= 0.2 * m.on[t])
    m.most = pyo.Constraint([0, 1], rule=lambda m, t: m.mw[t] <= 0.5 * m.on[t])
    m.spill = pyo.Var([0, 1], bounds=(0, 1.5))
    m.network = pyo.Block()

    def p_net(bus: int, t: int) -> Any:
        load = float(scale[t] * feeder.load_mw[feeder.position[bus]])
        if bus == 18:
            return load - 1.5 + m.spill[t]
        return load - m.mw[t] if bus == 25 else load

    cones = declare_distflow(
        m.network, feeder, [0, 1], p_net, lambda bus, t: float(scale[t] * feeder.load_mvar[feeder.position[bus]])
    )
    m.cost = pyo.Objective(
        expr=pyo.quicksum(price * m.network.import_mw[t] + 60 * m.mw[t] + 5 * m.on[t] for t in (0, 1))
    )
    return m, cones


@pytest.mark.parametrize("price", [-30.0, -80.0])
@pytest.mark.parametrize("oracle", ["clarabel", "none"])
def test_negative_prices_are_mended_with_a_valid_bound(price: float, oracle: Any) -> None:
    m, cones = feeder_day(price)
    result, report = solve_exact(m, cones, m.network, SolverOptions(cone_oracle=oracle))
    assert report.repaired and report.exact
    assert result.status in ("optimal", "feasible")
    assert result.bound <= result.objective
    assert result.gap < (1e-4 if oracle == "clarabel" else 0.02)
    honest = price * sum(pyo.value(m.network.import_mw[t]) for t in (0, 1)) + sum(
        60 * pyo.value(m.mw[t]) + 5 * pyo.value(m.on[t]) for t in (0, 1)
    )
    assert result.objective == pytest.approx(honest, abs=1e-6)


def test_positive_prices_need_no_mending() -> None:
    m, cones = feeder_day(80.0)
    result, report = solve_exact(m, cones, m.network)
    assert result.status == "optimal"
    assert report.exact and not report.repaired
    again, _ = feeder_day(80.0), None
    assert solve(*again).objective == pytest.approx(result.objective, rel=1e-6)


def test_the_bound_holds_for_every_physical_decision_tried() -> None:
    m, cones = feeder_day(-50.0, seed=3)
    result, _ = solve_exact(m, cones, m.network)
    feeder = load_feeder("ieee33")
    net = {(bus, t): float(np.random.default_rng(3).uniform(0.3, 0.6, 2)[t]) for bus in feeder.bus_ids for t in (0, 1)}
    rng = np.random.default_rng(11)
    for _ in range(40):
        total = 0.0
        for t in (0, 1):
            scale = net[1, t]
            unit, spill = rng.choice([0.0, rng.uniform(0.2, 0.5)]), rng.uniform(0, 1.5)
            p = scale * feeder.load_mw
            p[feeder.position[18]] += spill - 1.5
            p[feeder.position[25]] -= unit
            flow = solve_power_flow(feeder, p, scale * feeder.load_mvar)
            if flow.voltage_pu.min() < 0.95 or flow.voltage_pu.max() > 1.05:
                total = np.inf
                break
            total += -50.0 * flow.import_mw[0] + 60 * unit + 5 * (unit > 0)
        assert total >= result.bound - 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_ranges_and_secants_cut_off_no_ac_state(seed: int) -> None:
    feeder = random_feeder(20, seed)
    rng = np.random.default_rng(seed)
    m = pyo.ConcreteModel()
    m.flex = pyo.Var(feeder.bus_ids, [0], bounds=(-0.05, 0.1))
    m.network = pyo.Block()
    cones = declare_distflow(
        m.network,
        feeder,
        [0],
        lambda bus, t: m.flex[bus, t] + feeder.load_mw[feeder.position[bus]],
        lambda bus, t: float(feeder.load_mvar[feeder.position[bus]]),
        NetworkLimits(min_voltage_pu=0.85, max_voltage_pu=None),
    )
    m.cost = pyo.Objective(expr=m.network.import_mw[0])
    compiled = compile_model(m, cones)
    ranges = FlowRanges.of(compiled, m.network)
    bounded = ranges.with_secants(compiled)
    base = compiled.matrix.shape[0]
    for _ in range(20):
        p = feeder.load_mw + rng.choice([-0.05, 0.1, 0.02], len(feeder.buses))
        flow = solve_power_flow(feeder, p, feeder.load_mvar)
        assert flow.voltage_pu.min() > 0.85
        x = np.zeros(compiled.size)
        x[ranges.at.p], x[ranges.at.q] = flow.line_p_mw, flow.line_q_mvar
        x[ranges.at.current] = flow.current_pu**2
        x[ranges.at.sending] = flow.voltage_pu[:, [feeder.position[i] for i, _ in feeder.line_keys]] ** 2
        assert (x[ranges.at.current] <= bounded.upper[ranges.at.current] + 1e-9).all()
        assert (bounded.matrix[base:] @ x <= bounded.row_upper[base:] + 1e-9).all()
