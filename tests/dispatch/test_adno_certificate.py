"""The ADNO's certificate: it passes what is right, and catches each kind of wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandapower
import pandapower.networks
import pytest

import dispatch
from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import adno_inputs
from dispatch.certify import cheapest_fill, shifting_response, utility_response
from dispatch.conic.options import SolverOptions
from dispatch.errors import CertificateError, DispatchError, InfeasibleError
from dispatch.markets import adno
from dispatch.markets.adno_certificate import certify_adno
from dispatch.markets.adno_solution import AdnoSolution, NetworkState, on_ac_state, read_solution
from dispatch.solver import SolveResult, solve
from tests.dispatch.adno_cases import one_hour, responsive_customer


@pytest.fixture(scope="module")
def solved() -> tuple[AdnoSolution, SolveResult]:
    built = adno.build(dispatch.load_case("adno_ieee33"), "responsive")
    result = solve(built.model, built.cones)
    decision = built.customers.decision(built.model, built.case, built.inputs)
    return read_solution(built.model, built.case, built.inputs, built.feeder, decision), result


@pytest.fixture(scope="module")
def negative() -> dispatch.Schedule:
    case = dispatch.load_case("adno_ieee33_scaled")
    spot = list(case.spot_price_per_mwh)  # type: ignore[attr-defined]
    for step, price in ((2, -25.0), (3, -40.0), (12, -10.0), (13, -60.0), (14, -35.0)):
        spot[step] = price
    return dispatch.solve(case.model_copy(update={"spot_price_per_mwh": tuple(spot)}))  # type: ignore[attr-defined]


def failures(solution: AdnoSolution, result: SolveResult) -> tuple[str, ...]:
    return certify_adno(solution, "responsive", result).failures


def network_of(solution: AdnoSolution) -> NetworkState:
    assert solution.network is not None
    return solution.network


def test_the_solved_schedule_passes(solved: tuple[AdnoSolution, SolveResult]) -> None:
    assert failures(*solved) == ()


def test_a_larger_subsidy_than_needed_is_caught(solved: tuple[AdnoSolution, SolveResult]) -> None:
    solution, result = solved
    rate = np.where(solution.customers.subsidy_per_mwh > 1, solution.customers.subsidy_per_mwh * 0.5, 0.0)
    wrong = replace(solution, customers=replace(solution.customers, subsidy_per_mwh=rate))
    assert {"best_response_gap", "duality_gap"} <= set(failures(wrong, result))


def test_energy_from_nowhere_is_caught(solved: tuple[AdnoSolution, SolveResult]) -> None:
    solution, result = solved
    assert "balance_max" in failures(replace(solution, gas_mw=solution.gas_mw + 1e-4), result)
    assert "balance_max" in failures(replace(solution, stored_mwh=solution.stored_mwh + 1e-4), result)
    assert "balance_max" in failures(replace(solution, bought_mw=solution.bought_mw - 1e-4), result)


def test_invented_losses_are_caught(solved: tuple[AdnoSolution, SolveResult]) -> None:
    solution, result = solved
    state = network_of(solution)
    wrong = replace(solution, network=replace(state, current_sq=state.current_sq * 1.01))
    assert {"cone_gap", "ac_loss_error_mw", "balance_max"} <= set(failures(wrong, result))


def test_wrong_voltages_are_caught(solved: tuple[AdnoSolution, SolveResult]) -> None:
    solution, result = solved
    state = network_of(solution)
    wrong = replace(solution, network=replace(state, voltage_sq=state.voltage_sq + 1e-4))
    assert "ac_voltage_error_pu" in failures(wrong, result)


def test_a_profit_that_is_not_price_times_quantity_is_caught(solved: tuple[AdnoSolution, SolveResult]) -> None:
    solution, result = solved
    assert "objective_identity" in failures(solution, replace(result, objective=result.objective * 1.001))


def test_an_open_gap_is_caught(solved: tuple[AdnoSolution, SolveResult]) -> None:
    solution, result = solved
    assert failures(solution, replace(result, gap=2e-4)) == ("mip_gap",)


def test_a_gap_that_was_asked_for_passes_and_is_stated(solved: tuple[AdnoSolution, SolveResult]) -> None:
    solution, result = solved
    certificate = certify_adno(solution, "responsive", replace(result, gap=2e-3), largest_gap=5e-3)
    assert certificate.passed
    assert certificate.mip_gap == 2e-3
    assert certificate.tolerances["mip_gap"] == 5e-3


def test_a_solve_that_ran_out_of_time_gives_its_best_schedule_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    original = adno.solve_exact

    def cut_short(*arguments: Any) -> Any:
        result, report = original(*arguments)
        return replace(result, status="time_limit", bound=result.objective * 1.01, gap=0.01), report

    monkeypatch.setattr(adno, "solve_exact", cut_short)
    case = dispatch.load_case("adno_ieee33")
    schedule = dispatch.solve(case, certify="report")
    assert schedule.status == "time_limit"
    assert schedule.gap == schedule.certificate.mip_gap == 0.01
    assert schedule.certificate.failures == ("mip_gap",)
    assert "not proven optimal (time_limit)" in " ".join(schedule.notes)
    with pytest.raises(CertificateError, match="allow more time_limit_s"):
        dispatch.solve(case)


def test_a_failed_certificate_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    original = adno.read_solution

    def spoiled(*arguments: Any) -> AdnoSolution:
        solution = original(*arguments)
        return replace(solution, bought_mw=solution.bought_mw - 1e-3)

    monkeypatch.setattr(adno, "read_solution", spoiled)
    case = one_hour([responsive_customer("c", 160, 100, 0.5)], subsidy={"rate_max_per_mwh": 60})
    with pytest.raises(CertificateError, match="balance_max"):
        dispatch.solve(case)
    assert not dispatch.solve(case, certify="report").certificate.passed


def test_schedule_replayed_by_pandapower(solved: tuple[AdnoSolution, SolveResult]) -> None:
    solution, _ = solved
    state = network_of(solution)
    p, q = solution.net_consumption()
    for step in (0, 11, 18):
        net = pandapower.networks.case33bw()
        net.load.drop(net.load.index, inplace=True)
        for bus in range(1, 33):
            pandapower.create_load(net, bus, p_mw=p[step, bus], q_mvar=q[step, bus])
        pandapower.runpp(net, tolerance_mva=1e-10)
        np.testing.assert_allclose(net.res_bus.vm_pu, np.sqrt(state.voltage_sq[step]), atol=1e-5)
        assert net.res_line.pl_mw.sum() == pytest.approx(solution.loss_mw[step].sum(), abs=1e-5)


def test_a_mended_schedule_is_replayed_by_codes_that_did_not_make_it(negative: dispatch.Schedule) -> None:
    """At negative prices voltages come from sweeps; the certificate replays by admittances, and here by pandapower."""
    certificate, case = negative.certificate, dispatch.load_case("adno_ieee33_scaled")
    assert any("mended" in note for note in negative.notes)
    assert certificate.ac_voltage_error_pu is not None and certificate.ac_voltage_error_pu < 1e-9
    net = pandapower.networks.case33bw()
    net.load.drop(net.load.index, inplace=True)
    step, table = 3, negative.table[negative.table["step"] == 3]
    used = table[table["kind"] == "customer"].pivot_table(index="asset", columns="quantity", values="value")
    inputs = adno_inputs(case)  # type: ignore[arg-type]
    for j, (name, bus) in enumerate(zip(inputs.customer_ids, inputs.customer_buses, strict=True)):
        flexible = used.loc[name, "flexible_mw"]
        reactive = inputs.rigid_mvar[step, j] + inputs.flexible_mvar_per_mw[step, j] * flexible
        pandapower.create_load(net, bus - 1, p_mw=used.loc[name, "rigid_mw"] + flexible, q_mvar=reactive)
    at = {unit.id: unit.bus for unit in case.units}  # type: ignore[attr-defined]
    signs = {"charge_mw": 1.0, "discharge_mw": -1.0, "power_mw": -1.0}
    for row in table[table["quantity"].isin(signs)].itertuples():
        pandapower.create_load(net, at[row.asset] - 1, p_mw=signs[row.quantity] * row.value, q_mvar=0.0)
    pandapower.runpp(net, tolerance_mva=1e-10)
    voltages = table[table["quantity"] == "voltage_pu"]["value"].to_numpy()
    np.testing.assert_allclose(net.res_bus.vm_pu, voltages, atol=1e-8)
    bought = table[table["quantity"] == "import_mw"]["value"].item()
    assert net.res_ext_grid.p_mw.iloc[0] == pytest.approx(bought, abs=1e-7)


def test_the_ac_state_of_an_exact_schedule_changes_nothing(solved: tuple[AdnoSolution, SolveResult]) -> None:
    solution, _ = solved
    replayed = on_ac_state(solution)
    np.testing.assert_allclose(replayed.bought_mw, solution.bought_mw, atol=1e-6)
    assert replayed.profit == pytest.approx(solution.profit, rel=1e-7)


def test_closed_form_answers() -> None:
    price, utility, slope, upper = np.array([150.0, 150.0]), np.array([200.0, 260.0]), np.array([100.0] * 2), np.ones(2)
    np.testing.assert_allclose(utility_response(price, utility, slope, upper), [0.5, 1.0])
    # Fixed total of 1: equal marginal utilities, (50 - v)/100 + (110 - v)/100 = 1 gives v = 30.
    demand, value = shifting_response(price, utility, slope, upper, 1.0)
    np.testing.assert_allclose(demand, [0.2, 0.8], atol=1e-9)
    assert value == pytest.approx(30.0)
    assert cheapest_fill(np.array([140.0, 150.0]), np.array([0.5, 0.5]), 0.6) == pytest.approx((85.0, 85.0))


@pytest.mark.parametrize("variant", ["responsive", "responsive_uniform", "faithful"])
def test_scip_agrees_on_small_cases(variant: str) -> None:
    customers = [responsive_customer("a", 160, 100, 0.5), responsive_customer("b", 120, 200, 0.4)]
    gas = {"id": "g", "bus": 1, "power_min_mw": 0.1, "power_max_mw": 0.3, "cost_per_mwh": 60.0, "start_cost": 2.0}
    case = one_hour(customers, subsidy={"rate_max_per_mwh": 60}, gas=[gas])
    tight = SolverOptions(gap=1e-7)
    ours = dispatch.solve(case, variant=variant, options=tight)
    other = dispatch.solve(case, variant=variant, options=tight, solver="scip", certify="report")
    assert ours.objective == pytest.approx(other.objective, rel=1e-6)


def test_scip_agrees_on_a_small_network() -> None:
    """Six buses, three hours, a unit to commit: the true cones in one branch and bound give the same profit."""
    lines = [
        {"from_bus": i, "to_bus": j, "resistance_ohm": 0.6, "reactance_ohm": 0.4}
        for i, j in ((1, 2), (2, 3), (3, 4), (2, 5), (5, 6))
    ]
    data = {
        "network": {"lines": lines, "base_voltage_kv": 12.66, "nominal_load_mw": {3: 0.5, 4: 0.6, 6: 0.8}},
        "horizon_hours": 3.0,
        "spot_price_per_mwh": [60.0, 110.0, 130.0],
        "retail_price_per_mwh": 150.0,
        "feeder_customers": {
            "rigid_mw": {3: [0.4, 0.5, 0.3], 4: [0.5, 0.6, 0.4], 6: [0.6, 0.8, 0.7]},
            "flexible_max_share": 0.25,
            "flexible_free_share": 0.08,
            "full_response_subsidy_per_mwh": 20.0,
        },
        "subsidy": {"rate_max_per_mwh": 20.0},
        "gas": [
            {"id": "g", "bus": 4, "power_min_mw": 0.1, "power_max_mw": 0.4, "cost_per_mwh": 95.0, "start_cost": 5.0}
        ],
    }
    case = AdnoCase.from_mapping(data, "six buses")
    tight = SolverOptions(gap=1e-7)
    ours = dispatch.solve(case, options=tight)
    other = dispatch.solve(case, options=tight, solver="scip", certify="report")
    assert ours.certificate.passed
    assert ours.objective == pytest.approx(other.objective, rel=1e-6)


def test_a_day_that_cannot_be_served_names_step_and_numbers() -> None:
    case = dispatch.load_case("adno_ieee33")
    network = case.network.model_copy(update={"voltage_min_pu": 0.93})  # type: ignore[attr-defined]
    with pytest.raises(
        InfeasibleError, match=r"step 18 \(18:00\): load of 4\.012 MW .* bus 33 is at most 0\.9219 p\.u\., below 0\.93"
    ):
        dispatch.solve(case.model_copy(update={"network": network}))


def test_unknown_variants_and_methods_get_the_nearest() -> None:
    case = dispatch.load_case("adno_ieee33")
    with pytest.raises(
        DispatchError, match="no variant is named 'responsive_unifrom'; did you mean 'responsive_uniform'"
    ):
        dispatch.solve(case, variant="responsive_unifrom")
    with pytest.raises(DispatchError, match="no method is named 'pso'"):
        dispatch.solve(case, method="pso")
