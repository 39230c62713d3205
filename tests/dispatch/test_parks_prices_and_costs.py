"""What prices and their cap do to parks and agent: which statements are theorems, and which only look like one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dispatch
from dispatch.case_parks import IndustrialParksCase
from dispatch.markets.industrial_parks_inputs import AgentInputs, parks_inputs
from dispatch.markets.industrial_parks_response import park_cost, park_response
from dispatch.solver import SolveResult
from dispatch.solver import solve as solve_model
from tests.dispatch.parks_cases import small_agent, two_hours

OPTIONS = dispatch.SolverOptions(gap=1e-7)
fractions = st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4)


def four_hours(load: list[float], average_cap: float = 560.0) -> IndustrialParksCase:
    """A park with 0.3 MW of own generation at 600 per MWh, spot prices of 400 to 700."""
    park = {"id": "park", "load_mw": load, "generator_max_mw": 0.3, "generator_cost_per_mwh": 600.0}
    return small_agent([400.0, 700.0, 500.0, 600.0], [park], average_cap)


def admissible(inputs: AgentInputs, shares: list[float]) -> np.ndarray:
    """Prices within the band, drawn towards its floor until their mean keeps the cap."""
    floor, ceiling = inputs.prices.floor, inputs.prices.ceiling
    rise = np.array(shares) * (ceiling - floor)
    room = (inputs.prices.average_cap - floor.mean()) / max(rise.mean(), 1e-9)
    prices: np.ndarray = floor + min(room, 1.0) * rise
    return prices


@pytest.fixture(scope="module")
def full_day() -> tuple[list[AgentInputs], dispatch.Schedule]:
    case = dispatch.load_case("industrial_parks")
    assert isinstance(case, IndustrialParksCase)
    return parks_inputs(case), dispatch.solve(case, options=OPTIONS)


def test_prices_keep_their_band(full_day: tuple[list[AgentInputs], dispatch.Schedule]) -> None:
    tariffs = full_day[1].wide("price_per_mwh", "tariff")
    prices = full_day[1].wide("price_per_mwh", "park").to_numpy()
    assert (prices >= tariffs[["floor"]].to_numpy() - 1e-6).all()
    assert (prices <= tariffs[["ceiling"]].to_numpy() + 1e-6).all()


def test_parks_serve_their_load_and_keep_their_reserve(full_day: tuple[list[AgentInputs], dispatch.Schedule]) -> None:
    (inputs,), schedule = full_day
    supply = schedule.wide("purchase_mw") - schedule.wide("sale_mw") + schedule.wide("generation_mw")
    supply = supply + schedule.wide("renewable_used_mw") - schedule.wide("shift_mw")
    np.testing.assert_allclose(supply, schedule.wide("load_mw"), atol=1e-8)
    kept = schedule.wide("generation_mw") + schedule.wide("reserve_mw")
    assert (kept.max() <= [0.6 + 1e-9, 0.8 + 1e-9]).all() and (inputs.generator_top_mw < [[0.6], [0.8]]).all()


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    load=st.lists(st.floats(0.1, 1.0), min_size=4, max_size=4), tariffs=st.lists(fractions, min_size=20, max_size=20)
)
def test_no_admissible_posted_tariff_earns_more_than_the_game(load: list[float], tariffs: list[list[float]]) -> None:
    case = four_hours(load)
    inputs = parks_inputs(case)[0]
    best = dispatch.solve(case, options=OPTIONS).objective
    for shares in tariffs:
        price = admissible(inputs, shares)
        taken = park_response(inputs, 0, price, "buy").purchase_mw
        assert ((price - inputs.prices.day_ahead) * taken).sum() <= best + 1e-6


@settings(max_examples=50, deadline=None, derandomize=True)
@given(load=st.lists(st.floats(0.1, 1.0), min_size=4, max_size=4), first=fractions, rise=fractions)
def test_a_park_pays_no_less_where_no_price_is_lower(load: list[float], first: list[float], rise: list[float]) -> None:
    inputs = parks_inputs(four_hours(load))[0]
    floor, ceiling = inputs.prices.floor, inputs.prices.ceiling
    price = floor + np.array(first) * (ceiling - floor)
    dearer = price + np.array(rise) * (ceiling - price)
    costs = [park_cost(inputs, 0, p, park_response(inputs, 0, p)) for p in (price, dearer)]
    assert costs[0] <= costs[1] + 1e-9


def test_a_park_at_a_flat_price_equal_to_the_cap_pays_no_less_as_the_cap_rises() -> None:
    load = [0.5, 0.8, 0.3, 0.6]
    costs = []
    for cap in np.linspace(480.0, 660.0, 10):
        inputs = parks_inputs(four_hours(load, float(cap)))[0]
        flat = np.full(4, cap)
        costs.append(park_cost(inputs, 0, flat, park_response(inputs, 0, flat)))
    # up to the generator's 600 all is bought; above, own generation replaces what it can: 1.0 MWh stays bought
    assert np.diff(costs) == pytest.approx([2.2 * 20.0] * 6 + [1.0 * 20.0] * 3)


def test_at_prices_that_stay_the_cap_changes_nothing_for_a_park() -> None:
    price = np.array([350.0, 560.0, 450.0, 500.0])
    costs = set()
    for cap in (500.0, 560.0, 620.0):
        inputs = parks_inputs(four_hours([0.5, 0.8, 0.3, 0.6], cap))[0]
        costs.add(round(park_cost(inputs, 0, price, park_response(inputs, 0, price)), 9))
    assert len(costs) == 1


def test_in_the_game_a_higher_cap_can_make_a_park_pay_less() -> None:
    # Up to a cap of 500 hour 3 is sold at a loss of 800 - 660. At 505 its price reaches the 700 of the park's own generator,
    # which takes over at the agent's word, and hour 1 has to be cheaper for it: 335 where 360 was the ceiling.
    park = {"load_mw": [0.7, 0.2, 0.2], "generator_max_mw": 0.2, "generator_cost_per_mwh": 700.0, "id": "park"}
    games = [dispatch.solve(small_agent([300.0, 600.0, 800.0], [park], cap), options=OPTIONS) for cap in (500.0, 505.0)]
    assert [game.objective for game in games] == pytest.approx([-10.0, 0.5], abs=1e-5)
    prices = [game.wide("price_per_mwh", "park")["park"].to_list() for game in games]
    assert prices[0] == pytest.approx([360.0, 480.0, 660.0], abs=1e-4)
    assert prices[1] == pytest.approx([335.0, 480.0, 700.0], abs=1e-4)
    assert [-sum(game.money["park"].values()) for game in games] == pytest.approx([480.0, 470.5], abs=1e-4)


def test_a_solver_that_stops_early_says_so_in_status_and_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*given: Any) -> SolveResult:
        return replace(solve_model(*given), status="time_limit")

    monkeypatch.setattr("dispatch.markets.industrial_parks.solve_cones", stopped)
    schedule = dispatch.solve(two_hours(), options=OPTIONS)
    assert schedule.status == "time_limit" and any("stopped early (time_limit)" in note for note in schedule.notes)
