"""The sweep power flow against published figures, pandapower and Kirchhoff's laws."""

from __future__ import annotations

import numpy as np
import pandapower
import pandapower.networks
import pytest

from dispatch.errors import SolverError
from dispatch.network.admittance_flow import bus_voltages, line_losses
from dispatch.network.feeder import Branch, Bus, Feeder, load_feeder, random_feeder
from dispatch.network.power_flow import solve_power_flow


def test_ieee33_base_case_has_the_published_losses_and_lowest_voltage() -> None:
    feeder = load_feeder("ieee33")
    flow = solve_power_flow(feeder, feeder.load_mw, feeder.load_mvar)
    assert flow.loss_mw[0] * 1e3 == pytest.approx(202.677, abs=5e-4)
    assert flow.loss_mvar[0] * 1e3 == pytest.approx(135.141, abs=5e-4)
    assert flow.voltage_pu.min() == pytest.approx(0.91309, abs=5e-6)
    assert feeder.bus_ids[int(flow.voltage_pu.argmin())] == 18
    assert int((flow.voltage_pu < 0.95).sum()) == 21


def test_two_bus_case_worked_by_hand() -> None:
    feeder = Feeder("two", 1.0, 1.0, 1, (Bus(1), Bus(2)), (Branch(1, 2, 0.1, 0.1),))
    flow = solve_power_flow(feeder, [0.0, 0.5], [0.0, 0.2])
    assert flow.current_pu[0, 0] ** 2 == pytest.approx(0.339896, abs=1e-6)
    assert (flow.line_p_mw[0, 0], flow.line_q_mvar[0, 0]) == pytest.approx((0.533990, 0.233990), abs=1e-6)
    assert flow.voltage_pu[0, 1] == pytest.approx(0.923689, abs=1e-6)


def test_the_admittance_route_finds_the_same_state_as_the_sweeps() -> None:
    feeder, rng = load_feeder("ieee33"), np.random.default_rng(8)
    p = feeder.load_mw * rng.uniform(-1.5, 1.3, (6, 33))
    q = feeder.load_mvar * rng.uniform(0.2, 1.1, (6, 33))
    flow = solve_power_flow(feeder, p, q, 1.02)
    voltage = bus_voltages(feeder, p, q, 1.02)
    np.testing.assert_allclose(voltage, flow.voltage, atol=1e-10)
    np.testing.assert_allclose(line_losses(feeder, voltage), flow.loss_mw, atol=1e-9)
    with pytest.raises(SolverError, match="exceed what the lines can take"):
        bus_voltages(feeder, 10 * p, 10 * q, 1.0)


def test_agrees_with_pandapower_on_random_loads_and_generation() -> None:
    feeder, rng = load_feeder("ieee33"), np.random.default_rng(5)
    p = feeder.load_mw * rng.uniform(-0.8, 1.2, (6, 33))
    q = feeder.load_mvar * rng.uniform(0.2, 1.1, (6, 33))
    root = rng.uniform(0.98, 1.05, 6)
    flow = solve_power_flow(feeder, p, q, root)
    net = pandapower.networks.case33bw()
    net.load = net.load.iloc[:0]
    for bus in range(33):
        pandapower.create_load(net, bus, 0.0, 0.0)
    for step in range(6):
        net.load["p_mw"], net.load["q_mvar"] = p[step], q[step]
        net.ext_grid["vm_pu"] = root[step]
        pandapower.runpp(net, algorithm="nr", tolerance_mva=1e-10, max_iteration=50)
        assert flow.voltage_pu[step] == pytest.approx(net.res_bus.vm_pu.to_numpy(), abs=1e-8)
        assert flow.loss_mw[step] == pytest.approx(net.res_line.pl_mw.sum(), abs=1e-8)
        assert flow.import_mw[step] == pytest.approx(net.res_ext_grid.p_mw.iloc[0], abs=1e-8)
        assert flow.import_mvar[step] == pytest.approx(net.res_ext_grid.q_mvar.iloc[0], abs=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_energy_is_conserved_and_ohms_law_holds_on_random_feeders(seed: int) -> None:
    feeder = random_feeder(80, seed)
    scale = np.linspace(0.2, 1.2, 5)[:, None]
    flow = solve_power_flow(feeder, feeder.load_mw * scale, feeder.load_mvar * scale)
    assert flow.mismatch_mva < 1e-10
    assert flow.import_mw == pytest.approx((feeder.load_mw * scale).sum(axis=1) + flow.loss_mw, abs=1e-9)
    sending = [feeder.position[i] for i, _ in feeder.line_keys]
    receiving = [feeder.position[j] for _, j in feeder.line_keys]
    drop = (feeder.r_pu + 1j * feeder.x_pu) * flow.line_current
    assert np.abs(flow.voltage[:, sending] - flow.voltage[:, receiving] - drop).max() < 1e-10
    assert (np.diff(flow.loss_mw) > 0).all()


def test_a_load_beyond_the_lines_is_refused_with_step_and_bus() -> None:
    feeder = load_feeder("ieee33")
    with pytest.raises(SolverError, match=r"no AC solution found at step 1 near bus \d+"):
        solve_power_flow(feeder, feeder.load_mw * np.array([[1.0], [6.0]]), feeder.load_mvar * np.ones((2, 1)))


def test_wrong_shapes_and_missing_values_are_refused() -> None:
    feeder = load_feeder("ieee33")
    with pytest.raises(SolverError, match="with 33 buses in both"):
        solve_power_flow(feeder, [1.0], [1.0])
    broken = feeder.load_mw.copy()
    broken[6] = np.nan
    with pytest.raises(SolverError, match="bus 7, step 0 is NaN"):
        solve_power_flow(feeder, broken, feeder.load_mvar)
