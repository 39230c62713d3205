"""The branch-flow model: hand numbers, agreement with AC power flow, limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest

from dispatch.exactness import check_exactness
from dispatch.network.distflow import NetworkLimits, cone_gaps, declare_distflow
from dispatch.network.feeder import Branch, Bus, Feeder, load_feeder
from dispatch.network.power_flow import solve_power_flow
from dispatch.solver import solve

FREE = NetworkLimits(min_voltage_pu=0.5, max_voltage_pu=None)


def cheapest_import(feeder: Feeder, steps: list[int], p: Any, q: Any, limits: NetworkLimits) -> Any:
    model = pyo.ConcreteModel()
    model.network = pyo.Block()
    cones = declare_distflow(model.network, feeder, steps, p, q, limits)
    model.cost = pyo.Objective(expr=pyo.quicksum(model.network.import_mw[t] for t in steps))
    result = solve(model, cones)
    assert result.status == "optimal"
    assert max(cone_gaps(cones)) < 1e-6
    return model


@pytest.mark.parametrize("base_mva", [1.0, 10.0])
def test_two_bus_case_worked_by_hand_on_any_base(base_mva: float) -> None:
    feeder = Feeder("two", base_mva, 1.0, 1, (Bus(1), Bus(2)), (Branch(1, 2, 0.1, 0.1),))
    m = cheapest_import(feeder, [0], {(2, 0): 0.5}, {(2, 0): 0.2}, FREE).network
    assert pyo.value(m.current_sq_pu[1, 2, 0]) * base_mva**2 == pytest.approx(0.339896, abs=2e-6)
    assert pyo.value(m.flow_p_pu[1, 2, 0]) * base_mva == pytest.approx(0.533990, abs=1e-6)
    assert pyo.value(m.flow_q_pu[1, 2, 0]) * base_mva == pytest.approx(0.233990, abs=1e-6)
    assert pyo.value(m.voltage_sq_pu[2, 0]) == pytest.approx(0.853202, abs=1e-6)
    assert pyo.value(m.import_mw[0]) == pytest.approx(0.533990, abs=1e-6)
    assert pyo.value(m.import_mvar[0]) == pytest.approx(0.233990, abs=1e-6)


def test_ieee33_relaxation_is_the_ac_power_flow() -> None:
    feeder = load_feeder("ieee33")
    scale = {0: 1.0, 1: 0.6}
    model = cheapest_import(
        feeder,
        [0, 1],
        lambda bus, t: scale[t] * float(feeder.load_mw[feeder.position[bus]]),
        lambda bus, t: scale[t] * float(feeder.load_mvar[feeder.position[bus]]),
        FREE,
    )
    flow = solve_power_flow(feeder, np.outer([1.0, 0.6], feeder.load_mw), np.outer([1.0, 0.6], feeder.load_mvar))
    for t in (0, 1):
        voltages = [pyo.value(model.network.voltage_sq_pu[bus, t]) ** 0.5 for bus in feeder.bus_ids]
        assert voltages == pytest.approx(flow.voltage_pu[t], abs=1e-6)
        assert pyo.value(model.network.import_mw[t]) == pytest.approx(flow.import_mw[t], abs=1e-6)
    assert check_exactness(model.network).exact


def test_consumption_at_the_root_is_imported_too() -> None:
    feeder = Feeder("two", 1.0, 1.0, 1, (Bus(1), Bus(2)), (Branch(1, 2, 0.1, 0.1),))
    m = cheapest_import(feeder, [0], {(2, 0): 0.5, (1, 0): 0.3}, {(2, 0): 0.2, (1, 0): 0.1}, FREE).network
    assert pyo.value(m.import_mw[0]) == pytest.approx(0.833990, abs=1e-6)
    assert pyo.value(m.import_mvar[0]) == pytest.approx(0.333990, abs=1e-6)


def test_lossless_voltage_lies_above_the_true_one_and_is_linear() -> None:
    feeder = Feeder("two", 1.0, 1.0, 1, (Bus(1), Bus(2)), (Branch(1, 2, 0.1, 0.1),))
    limits = NetworkLimits(min_voltage_pu=0.5, max_voltage_pu=1.05)
    m = cheapest_import(feeder, [0], {(2, 0): 0.5}, {(2, 0): 0.2}, limits).network
    assert pyo.value(m.lossless_voltage_sq_pu[2, 0]) == pytest.approx(1.0 - 2 * (0.05 + 0.02), abs=1e-7)
    assert pyo.value(m.voltage_sq_pu[2, 0]) == pytest.approx(0.853202, abs=1e-6)


def test_current_limit_binds_where_it_should() -> None:
    branch = Branch(1, 2, 0.1, 0.1, current_limit_ka=0.25)
    feeder = Feeder("two", 1.0, 1.0, 1, (Bus(1), Bus(2)), (branch,))
    model = pyo.ConcreteModel()
    model.served_mw = pyo.Var(bounds=(0, 1))
    model.network = pyo.Block()
    cones = declare_distflow(model.network, feeder, [0], {(2, 0): model.served_mw}, {}, FREE)
    model.value = pyo.Objective(expr=model.served_mw, sense=pyo.maximize)
    assert solve(model, cones).status == "optimal"
    limit_pu = 0.25 * 3**0.5
    assert pyo.value(model.network.current_sq_pu[1, 2, 0]) == pytest.approx(limit_pu**2, abs=1e-6)
    flow = solve_power_flow(feeder, [0.0, pyo.value(model.served_mw)], [0.0, 0.0])
    assert flow.current_pu[0, 0] == pytest.approx(limit_pu, abs=1e-5)
