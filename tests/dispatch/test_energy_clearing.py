"""Electricity and heat clearing against hand-worked cases, a second solver, and its theorems."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dispatch
from dispatch.case_clearing import EnergyClearingCase
from dispatch.errors import CaseError
from dispatch.markets.energy_clearing import at_retail_prices
from dispatch.markets.energy_clearing_certificate import certify_clearing
from dispatch.markets.energy_clearing_inputs import EnergyInputs, clearing_inputs
from dispatch.markets.energy_clearing_program import ClearingProgram
from dispatch.markets.energy_clearing_response import park_reduction, reductions
from dispatch.markets.energy_clearing_solution import read_solution


def small(steps: int, **values: Any) -> EnergyClearingCase:
    """Rigid parks, no units; ``values`` override."""
    park = {"electricity_shift_share": 0.0, "heat_shift_share": 0.0, **values.pop("park", {})}
    data = {
        "horizon_hours": float(steps),
        "grid_price_per_mwh": [900.0] * steps,
        "gas_price_by_hour_per_m3": [2.91] * 24,  # 300 per MWh of heating value
        "exchange": {"buy_max_mw": 0.05, "sell_max_mw": 0.05},
        "turbines": [{"id": "turbine", "power_max_mw": 0.08, "efficiency": 0.35, "heat_ratio": 1.2}],
        "boilers": [{"id": "boiler", "heat_max_mw": 0.2, "efficiency": 0.9}],
        "parks": [{"id": "park", "electricity_mw": [0.1] * steps, "heat_mw": [0.12] * steps, **park}],
        **values,
    }
    return EnergyClearingCase.from_mapping(data, name="small")


def changed(case: EnergyClearingCase, **values: Any) -> EnergyClearingCase:
    data = case.model_dump(exclude={"index"}, exclude_unset=True)
    for key, value in values.items():
        data[key] = {**data.get(key, {}), **value} if isinstance(value, dict) else value
    return EnergyClearingCase.from_mapping(data, name=case.name)


@pytest.fixture(scope="module")
def case() -> EnergyClearingCase:
    loaded = dispatch.load_case("energy_clearing")
    assert isinstance(loaded, EnergyClearingCase)
    return loaded


@pytest.fixture(scope="module")
def cleared(case: EnergyClearingCase) -> dispatch.Schedule:
    return dispatch.solve(case)


def test_one_hour_of_turbine_grid_and_boiler() -> None:
    schedule = dispatch.solve(small(1))
    assert schedule.objective == pytest.approx(94.5714, abs=1e-4)
    assert schedule.wide("power_mw", "gas").iloc[0, 0] == pytest.approx(0.08)
    assert schedule.wide("import_mw").iloc[0, 0] == pytest.approx(0.02)
    assert schedule.wide("heat_mw")["boiler"].iloc[0] == pytest.approx(0.024)
    prices = schedule.wide("price_per_mwh", "price").iloc[0]
    assert prices["electricity"] == pytest.approx(900.0, abs=1e-6)
    assert prices["heat"] == pytest.approx(1000.0 / 3, abs=1e-6)
    assert sum(schedule.money["supplier"].values()) == pytest.approx(35.4286, abs=1e-4)


def test_a_load_at_a_step_of_the_supply_curve_has_a_range_of_prices() -> None:
    case = small(
        1, park={"electricity_mw": [0.08], "heat_mw": [0.2]}, exchange={"buy_max_mw": 0.05, "sell_max_mw": 0.0}
    )
    schedule = dispatch.solve(case)
    low = schedule.wide("lowest_price_per_mwh")["electricity"].iloc[0]
    high = schedule.wide("highest_price_per_mwh")["electricity"].iloc[0]
    # turbine with heat credit: 300/.35 - 1.2 * 333.33 = 457.14; next: the grid at 900
    assert (low, high) == (pytest.approx(457.142857, abs=1e-3), pytest.approx(900.0, abs=1e-3))
    assert low - 1e-6 <= schedule.wide("price_per_mwh", "price")["electricity"].iloc[0] <= high + 1e-6


def test_a_park_moves_load_by_half_the_price_difference_over_its_discomfort() -> None:
    load = np.full((1, 2), 100.0)
    energy = EnergyInputs(load, 0.9 * load, np.array([0.01]), np.zeros(2), 0.0, 1.0, 0.0)
    assert park_reduction(energy, 0, np.array([0.9, 0.5])) == pytest.approx([20.0, -20.0], abs=1e-9)
    tight = EnergyInputs(load, 0.1 * load, np.array([0.01]), np.zeros(2), 0.0, 1.0, 0.0)
    assert park_reduction(tight, 0, np.array([0.9, 0.5])) == pytest.approx([10.0, -10.0], abs=1e-9)


def test_full_case_is_certified_and_has_the_shape_of_the_paper(cleared: dispatch.Schedule) -> None:
    assert cleared.certificate.passed and cleared.gap is not None and cleared.gap < 1e-8
    prices = cleared.wide("price_per_mwh", "price")
    assert prices["heat"].iloc[[0, 1, 2, 3, 4, 5, 6, 7, 23]].to_numpy() == pytest.approx(294.914, abs=1e-2)
    assert prices["heat"].iloc[8:23].max() < 220
    assert prices["electricity"].iloc[[10, 11, 12, 13, 17, 18, 19, 20, 21]].to_numpy() == pytest.approx(
        967.207, abs=1e-2
    )
    exports = cleared.wide("import_mw")["grid"].iloc[[10, 11, 12, 13, 17, 18, 19, 20, 21]]
    assert exports.to_numpy() == pytest.approx(
        -0.25, abs=1e-6
    )  # turbine sets the price as the exchange is at its limit


def test_full_case_agrees_with_scip(case: EnergyClearingCase, cleared: dispatch.Schedule) -> None:
    second = dispatch.solve(case, solver="scip")
    assert second.certificate.passed
    assert second.objective == pytest.approx(cleared.objective, rel=1e-7)


def test_price_is_the_grids_where_the_exchange_is_free(cleared: dispatch.Schedule) -> None:
    exchange = cleared.wide("import_mw")["grid"]
    free = (exchange > -0.25 + 1e-6) & (exchange < 0.25 - 1e-6)
    assert free.any()
    prices = cleared.wide("price_per_mwh", "price")["electricity"]
    np.testing.assert_allclose(prices[free], cleared.wide("spot_price_per_mwh")["grid"][free], atol=1e-4)


def test_heat_price_is_the_boilers_where_it_is_between_its_limits(cleared: dispatch.Schedule) -> None:
    heat = cleared.wide("heat_mw")["boiler"]
    free = (heat > 1e-6) & (heat < 0.9 - 1e-6)
    assert free.any()
    gas = np.array([2.4] * 9 + [3.0] * 14 + [2.4]) / 9.7 * 1000
    np.testing.assert_allclose(cleared.wide("price_per_mwh", "price")["heat"][free], (gas / 0.9 + 20)[free], atol=1e-4)


def test_balances_hold(cleared: dispatch.Schedule) -> None:
    made = cleared.wide("import_mw")["grid"] + cleared.wide("power_mw", "gas")["turbine"]
    made = made + cleared.wide("power_mw", "wind")["wind"] + cleared.wide("power_mw", "pv")["pv"]
    made = made + cleared.wide("discharge_mw")["battery"] - cleared.wide("charge_mw")["battery"]
    np.testing.assert_allclose(made, cleared.wide("electricity_demand_mw")["park"], atol=1e-7)
    np.testing.assert_allclose(cleared.wide("heat_mw").sum(axis=1), cleared.wide("heat_demand_mw")["park"], atol=1e-7)


def test_certificate_refuses_other_prices_and_other_plans(case: EnergyClearingCase) -> None:
    program = ClearingProgram(case, clearing_inputs(case))
    point = program.welfare()
    solution = read_solution(program, point, point.price, point.reduction_mw)
    assert certify_clearing(solution, solution.price).certificate.passed
    tilted = solution.price * np.linspace(0.9, 1.1, 24)
    wrong = certify_clearing(replace(solution, price=tilted), tilted).certificate
    assert {"best_response_gap", "mip_gap"} <= set(wrong.failures)
    wasteful = replace(solution, boiler_heat_mw=solution.boiler_heat_mw + 0.01)
    found = certify_clearing(wasteful, solution.price).certificate
    assert {"balance_max", "best_response_gap"} <= set(found.failures)


def test_surplus_does_not_depend_on_prices(case: EnergyClearingCase) -> None:
    program = ClearingProgram(case, clearing_inputs(case))
    solution = at_retail_prices(program, responsive=True)
    dearer = replace(solution, price=solution.price + 100.0)
    assert dearer.surplus()["social_surplus"] == pytest.approx(solution.surplus()["social_surplus"], rel=1e-12)
    assert dearer.surplus()["supplier_profit"] > solution.surplus()["supplier_profit"] + 1.0


def test_equilibrium_has_the_largest_social_surplus_of_the_three_scenarios(cleared: dispatch.Schedule) -> None:
    table = cleared.extras["scenarios"]
    social = table["social_surplus"].to_numpy()
    assert social[2] >= social[1] >= social[0]  # the last holds as the retail spread has the sign of the cost spread
    assert table["parks_cost"].iloc[2] < table["parks_cost"].iloc[0]
    assert table["supplier_profit"].iloc[2] < table["supplier_profit"].iloc[0]  # the paper's gain is not a theorem


def test_fully_corrective_best_responses_reach_the_optimum_in_few_rounds(
    case: EnergyClearingCase, cleared: dispatch.Schedule
) -> None:
    schedule = dispatch.solve(case, method="best_response")
    assert schedule.certificate.passed
    assert len(schedule.extras["convergence"]) <= 10
    assert schedule.objective == pytest.approx(cleared.objective, rel=1e-8)


def test_damped_best_responses_stay_within_their_proven_gap(
    case: EnergyClearingCase, cleared: dispatch.Schedule
) -> None:
    schedule = dispatch.solve(changed(case, iteration={"update": "damped"}), method="best_response")
    rounds = schedule.extras["convergence"]
    excess = rounds["cost"] - cleared.objective
    assert (excess <= schedule.extras["residuals"]["gap"] + 1e-6).all() and (excess >= -1e-5).all()
    assert excess.min() < 1e-4 * cleared.objective and len(rounds) <= 80
    assert schedule.certificate.passed


def test_undamped_best_responses_cycle_and_say_so(case: EnergyClearingCase, cleared: dispatch.Schedule) -> None:
    schedule = dispatch.solve(changed(case, iteration={"update": "undamped"}), method="best_response")
    assert any("repeat themselves every 2 rounds" in note for note in schedule.notes)
    assert schedule.extras["residuals"]["price_change_per_mwh"].iloc[-1] == pytest.approx(287.2, abs=0.1)
    assert schedule.certificate.best_response_gap is not None and schedule.certificate.best_response_gap < 1e-9
    assert schedule.objective > cleared.objective and schedule.bound == pytest.approx(cleared.objective, rel=1e-8)


def cobweb(discomfort: float, update: str) -> EnergyClearingCase:
    """Heat of a hundred boilers of 1 kW, each 10 dearer than the last, for loads of 90 and 50 kW that a park may move.

    A step's marginal cost rises by b = 10,000 per MW^2, and moved load is (price_1 - price_2) / (2 discomfort): undamped
    answers overshoot by the ratio -b / discomfort, around 400 / (2 discomfort + 2 b).
    """
    boilers = [
        {"id": f"boiler{k}", "heat_max_mw": 1e-3, "efficiency": 0.9, "maintenance_per_mwh": 10.0 * k}
        for k in range(100)
    ]
    park = {"heat_mw": [0.09, 0.05], "heat_shift_share": 1.0, "heat_discomfort_per_mw2h": discomfort}
    band = {"floor_per_mwh": 0.0, "ceiling_per_mwh": 2000.0}
    iteration = {"update": update, "rounds_max": 40}
    grid = {"buy_max_mw": 0.2, "sell_max_mw": 0.2}
    return small(2, boilers=boilers, turbines=[], park=park, heat_band=band, exchange=grid, iteration=iteration)


@pytest.mark.parametrize(("discomfort", "moved"), [(2e4, 400 / 6e4), (5e3, 400 / 3e4)])
def test_fully_corrective_answers_settle_where_the_cobweb_crosses(discomfort: float, moved: float) -> None:
    schedule = dispatch.solve(cobweb(discomfort, "fully_corrective"), method="best_response")
    reduction = schedule.wide("heat_reduction_mw")["park"].to_numpy()
    assert reduction == pytest.approx([moved, -moved], abs=1e-3)  # one boiler
    exact = dispatch.solve(cobweb(discomfort, "fully_corrective"))
    assert schedule.objective == pytest.approx(exact.objective, rel=1e-8)


def test_undamped_answers_settle_under_a_flat_supply_curve_and_run_apart_under_a_steep_one() -> None:
    flat = dispatch.solve(cobweb(2e4, "undamped"), method="best_response")  # ratio -1/2
    change = flat.extras["residuals"]["price_change_per_mwh"].to_numpy()[1:6]
    assert change[0] == pytest.approx(100.0) and (change[1:] < 0.75 * change[:-1]).all()  # 10 kW moved at first
    steep = dispatch.solve(cobweb(5e3, "undamped"), method="best_response")  # ratio -2: up to the limits of the load
    change = steep.extras["residuals"]["price_change_per_mwh"].to_numpy()
    assert change[-1] > 2.0 * change[1]
    assert any("repeat themselves every 2 rounds" in note for note in steep.notes)


@pytest.mark.parametrize(("discomfort", "ratio"), [(2e4, 0.5), (5e3, 2.0)])
def test_one_damped_step_of_the_right_length_reaches_the_crossing(discomfort: float, ratio: float) -> None:
    # Supply and answers are straight lines here, and 1 / (1 + ratio of their slopes) of the way is all of it.
    case = cobweb(discomfort, "damped")
    program = ClearingProgram(case, clearing_inputs(case))
    idle = np.zeros(program.columns.shape)
    answer = reductions(program.inputs, program.serve(idle).price)
    assert answer[1, 0] == pytest.approx([400 / (2 * discomfort), -400 / (2 * discomfort)])
    crossing = 400 / (2 * discomfort + 2e4)
    assert answer[1, 0] / (1 + ratio) == pytest.approx([crossing, -crossing])
    settled = program.serve(answer / (1 + ratio)).price[1]
    assert (settled[0] - settled[1]) / (2 * discomfort) == pytest.approx(crossing, abs=1e-3)  # one boiler


@pytest.mark.parametrize(
    ("retail", "gain"), [((400.0, 1100.0), 6.125), ((700.0, 700.0), 0.0), ((1100.0, 400.0), -18.375)]
)
def test_answers_to_fixed_prices_help_only_where_these_rise_and_fall_with_costs(
    retail: tuple[float, float], gain: float
) -> None:
    # Moved load is (400 - 1100) / (2 * 20,000) = -0.0175 MW: saved 700 * 0.0175 = 12.25, discomfort 20,000 * 0.0175^2 = 6.125.
    shift = {"electricity_shift_share": 0.2, "electricity_discomfort_per_mw2h": 2e4}
    case = small(
        2,
        grid_price_per_mwh=[400.0, 1100.0],
        exchange={"buy_max_mw": 1.0, "sell_max_mw": 1.0},
        park=shift,
        retail={"electricity_per_mwh": list(retail)},
    )
    program = ClearingProgram(case, clearing_inputs(case))
    rigid, responsive = (at_retail_prices(program, answer).surplus()["social_surplus"] for answer in (False, True))
    assert responsive - rigid == pytest.approx(gain, abs=1e-6)
    assert dispatch.solve(case).extras["scenarios"]["social_surplus"].iloc[2] >= max(rigid, responsive) - 1e-6


def test_swarm_is_repeatable_and_never_below_the_optimum(case: EnergyClearingCase, cleared: dispatch.Schedule) -> None:
    quick = changed(case, swarm={"particles": 8, "iterations": 10})
    first, again = (dispatch.solve(quick, method="pso") for _ in range(2))
    pd.testing.assert_frame_equal(first.table, again.table)
    assert first.objective >= cleared.objective - 1e-6
    fitness = first.extras["convergence"]["fitness"].to_numpy()
    assert (np.diff(fitness) <= 0).all()
    prices = first.wide("price_per_mwh", "price")
    assert prices["electricity"].between(200, 1300).all() and prices["heat"].between(50, 600).all()


def test_heat_store_and_two_parks_and_quarter_hours(case: EnergyClearingCase) -> None:
    park = case.parks[0].model_dump(exclude_unset=True)
    store = {
        "id": "tank",
        "energy_max_mwh": 0.5,
        "energy_start_mwh": 0.2,
        "charge_max_mw": 0.2,
        "discharge_max_mw": 0.2,
    }
    halves = [
        {**park, "id": name, "electricity_by_hour_mw": tuple(0.5 * v for v in park["electricity_by_hour_mw"])}
        for name in "ab"
    ]
    halves = [{**half, "heat_by_hour_mw": tuple(0.5 * v for v in park["heat_by_hour_mw"])} for half in halves]
    index = pd.date_range("2025-03-29T23:00", periods=92, freq="15min", tz="UTC").tz_convert("Europe/Berlin")
    tied = changed(case, parks=halves, heat_storage=[store]).with_inputs(index=index)
    schedule = dispatch.solve(tied)
    assert schedule.certificate.passed and len(schedule.index) == 92
    assert schedule.wide("charge_mw", "heat_storage").to_numpy().max() > 0


def test_forecast_series_and_negative_grid_prices_are_taken(case: EnergyClearingCase) -> None:
    price = np.full(24, 500.0)
    price[3:6] = -40.0
    tied = case.with_inputs(
        spot_price_per_mwh=price, wind_mw={"wind": np.full(24, 0.3)}, load_mw={"park": np.full(24, 0.8)}
    )
    schedule = dispatch.solve(tied)
    assert schedule.certificate.passed
    assert schedule.wide("available_mw", "wind")["wind"].to_numpy() == pytest.approx(0.3)
    assert schedule.wide("electricity_load_mw")["park"].to_numpy() == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"heat_band": {"floor_per_mwh": 700.0, "ceiling_per_mwh": 600.0}},
            "floor_per_mwh 700 is above ceiling_per_mwh 600",
        ),
        ({"park": {"electricity_mw": [5.0]}}, "electricity of at least 5 MW cannot be served"),
        ({"park": {"heat_mw": [5.0]}}, "heat of at least 5 MW cannot be served"),
        ({"lost_load_per_mwh": 700.0}, "ceiling_per_mwh 1300 is above lost_load_per_mwh 700"),
        ({"grid_price_per_mwh": [900.0, 800.0]}, "2 values, but 1 hours have 1 steps"),
        ({"exchange": {"buy_max_mv": 0.1, "sell_max_mw": 0.1}}, "did you mean 'buy_max_mw'"),
        (
            {
                "storage": [
                    {"id": "s", "energy_max_mwh": 1, "energy_start_mwh": 2, "charge_max_mw": 1, "discharge_max_mw": 1}
                ]
            },
            "energy_start_mwh 2 is outside its limits [0, 1]",
        ),
        (
            {
                "grid_price_per_mwh": [-600.0],
                "storage": [
                    {"id": "s", "energy_max_mwh": 1, "energy_start_mwh": 0, "charge_max_mw": 1, "discharge_max_mw": 1}
                ],
            },
            "would earn by charging and discharging at once",
        ),
    ],
)
def test_a_fault_is_told_in_words(values: dict[str, Any], words: str) -> None:
    with pytest.raises(CaseError) as error:
        small(1, **values)
    assert any(words in fault for fault in error.value.faults), error.value.faults
