"""Cases of industrial parks: faults in the user's words, all at once; days and forecasts as inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dispatch
from dispatch.case_parks import IndustrialParksCase
from dispatch.errors import CaseError
from dispatch.markets.industrial_parks_inputs import parks_inputs
from tests.dispatch.parks_cases import two_hours


@pytest.fixture(scope="module")
def case() -> IndustrialParksCase:
    loaded = dispatch.load_case("industrial_parks")
    assert isinstance(loaded, IndustrialParksCase)
    return loaded


def faults_of(**values: Any) -> tuple[str, ...]:
    with pytest.raises(CaseError) as error:
        two_hours(**values)
    return error.value.faults


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"price_band": {"floor_ratio": 1.3}}, "floor_ratio 1.3 is above ceiling_ratio 1.2"),
        ({"cap": 390.0}, "the floors alone have a mean of 400, above average_price_cap_per_mwh 390"),
        ({"buy_back_ratio": 1.1}, "buy from parks above the price at which it sells"),
        ({"park": {"purchase_max_mw": 0.01}}, "load of 0.2 MW at step 1 cannot be served"),
        ({"park": {"generator_min_mw": 0.12}}, "generator_min_mw 0.12 is above load and sale at step 0"),
        ({"agent": {"day_ahead_max_mw": 0.01}}, "parks must buy at least 0.05 MW at step 1"),
        ({"neighbour": "joint"}, "'joint' needs 'neighbour_agent'"),
        ({"park": {"load_mw": [0.1]}}, "1 values, but 2 hours have 2 steps"),
        ({"park": {"generator_max_mv": 1.0}}, "did you mean 'generator_max_mw'"),
        ({"real_time": {"sell_ratio": 1.5}}, "sell_ratio 1.5 is above buy_ratio 1.2"),
        (
            {"park": {"generator_min_mw": 0.14}, "forecast_error": {"load_share": 0.5}},
            "below generator_min_mw 0.14",
        ),
    ],
)
def test_a_fault_is_told_in_words(values: dict[str, Any], words: str) -> None:
    assert any(words in fault for fault in faults_of(**values)), faults_of(**values)


def test_a_store_that_cannot_return_to_its_start_is_refused() -> None:
    store = {
        "id": "store",
        "energy_max_mwh": 1.0,
        "energy_start_mwh": 0.9,
        "charge_max_mw": 0.01,
        "discharge_max_mw": 0.1,
    }
    found = faults_of(agent={"storage": [{**store, "self_discharge_per_hour": 0.2}]})
    assert "cannot return to energy_start_mwh 0.9" in found[0]


def test_faults_are_told_all_at_once() -> None:
    found = faults_of(cap=390.0, buy_back_ratio=1.1, park={"purchase_max_mw": 0.01})
    assert len(found) == 3


def test_forced_surplus_beyond_the_outlets_is_refused() -> None:
    found = faults_of(buy_back_ratio=0.9, park={"pv_available_mw": [0.5, 0.0]})
    assert "parks sell at least 0.4 MW more than they buy at step 0" in found[0]


@pytest.mark.parametrize(("steps", "step_hours"), [(23, 1.0), (25, 1.0), (96, 0.25)])
def test_days_of_any_length(case: IndustrialParksCase, steps: int, step_hours: float) -> None:
    index = pd.date_range("2025-03-29T23:00", periods=steps, freq=pd.Timedelta(hours=step_hours), tz="UTC")
    price = 550 + 200 * np.sin(np.arange(steps) * step_hours / 24 * 2 * np.pi)
    schedule = dispatch.solve(case.with_inputs(spot_price_per_mwh=price, index=index))
    assert schedule.certificate.passed and len(schedule.index) == steps


def test_negative_prices_keep_the_ladder_and_the_certificate(case: IndustrialParksCase) -> None:
    price = np.full(24, 400.0)
    price[3:6] = [-50.0, -120.0, -10.0]
    tied = case.with_inputs(spot_price_per_mwh=price)
    prices = parks_inputs(tied)[0].prices
    assert (prices.real_time_sell <= prices.day_ahead).all() and (prices.day_ahead <= prices.real_time_buy).all()
    assert (prices.floor <= prices.ceiling).all()
    assert dispatch.solve(tied).certificate.passed


def test_a_less_certain_forecast_leaves_less_generation(case: IndustrialParksCase) -> None:
    sure = case.with_inputs(
        load_sd_mw={"park1": np.zeros(24)}, wind_sd_mw={"park1": np.zeros(24)}, pv_sd_mw={"park1": np.zeros(24)}
    )
    unsure = case.with_inputs(load_sd_mw={"park1": np.full(24, 0.2)})
    assert parks_inputs(sure)[0].generator_top_mw[0] == pytest.approx(np.full(24, 0.6))
    assert (parks_inputs(unsure)[0].generator_top_mw[0] < 0.6 - 1.2816 * 0.2 + 1e-4).all()
    costs = [-sum(dispatch.solve(c, variant="time_of_use").money["park1"].values()) for c in (sure, unsure)]
    assert costs[1] >= costs[0]


def test_forecast_series_reach_the_parks(case: IndustrialParksCase) -> None:
    tied = case.with_inputs(
        load_mw={"park2": np.full(24, 3.0)}, wind_mw={"park2": np.full(24, 0.5)}, pv_mw={"park2": np.zeros(24)}
    )
    inputs = parks_inputs(tied)[0]
    assert inputs.load_mw[1] == pytest.approx(np.full(24, 3.0))
    assert inputs.renewable_mw[1] == pytest.approx(np.full(24, 0.5))
    with pytest.raises(CaseError, match="no park 'park9'"):
        case.with_inputs(load_mw={"park9": np.ones(24)})


def test_a_load_of_all_parks_is_shared_like_their_energy(case: IndustrialParksCase) -> None:
    tied = case.with_inputs(load_mw=np.full(24, 4.0))
    load = parks_inputs(tied)[0].load_mw
    assert load.sum(axis=0) == pytest.approx(np.full(24, 4.0))
    daily = parks_inputs(case)[0].load_mw.sum(axis=1)
    assert load[1, 0] / load[0, 0] == pytest.approx(daily[1] / daily[0])
    assert case.nominal_load_mw == pytest.approx(4.58)
    assert [(farm.id, farm.capacity_mw) for farm in case.wind] == [("park1", 0.6), ("park2", 0.7)]
