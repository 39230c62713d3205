"""Day-ahead plans without a network: the asset-by-asset plan equals the mixed-integer optimum, and truth cannot be beaten."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatch
from dispatch.case_adno import AdnoCase
from dispatch.errors import OptionError
from dispatch.settlement.from_schedule import case_forecast
from dispatch.settlement.planner import CopperPlatePlanner
from dispatch.settlement.price_taker import PriceTakers, output_levels
from dispatch.settlement.problem import Realisations
from dispatch.settlement.settle import settle
from dispatch.settlement.two_stage import Risk, plan_on_scenarios, tail_mean
from dispatch.settlement.worth import forecast_worth
from tests.dispatch.adno_cases import one_hour, responsive_customer


def adno(name: str = "adno_ieee33") -> AdnoCase:
    case = dispatch.load_case(name)
    assert isinstance(case, AdnoCase)
    return case


@pytest.fixture(scope="module")
def planner() -> CopperPlatePlanner:
    return CopperPlatePlanner.of_case(adno())


@pytest.fixture(scope="module")
def scaled() -> CopperPlatePlanner:
    return CopperPlatePlanner.of_case(adno("adno_ieee33_scaled"))


def noisy(name: str, count: int, seed: int, spread: float = 0.3) -> tuple[Realisations, Realisations]:
    """The case's day, and days around it."""
    day, rng = case_forecast(adno(name)), np.random.default_rng(seed)
    shape = (count, day.steps)
    return day, Realisations(
        day.price_per_mwh * (1 + spread * rng.normal(size=shape)),
        np.clip(day.wind_mw * (1 + rng.normal(size=shape)), 0, None),
        day.load_mw * np.exp(0.1 * rng.normal(size=shape)),
    )


def test_one_customer_is_subsidised_to_half_the_margin() -> None:
    """a = 160, b = 100, p = 150, spot 81: d = 79/200 = .395 at s = 29.5, so 15.6025 (no subsidy: 6.9)."""
    case = one_hour([responsive_customer("c", 160, 100, 0.5)], subsidy={"rate_max_per_mwh": 60})
    day = case_forecast(case)
    for variant, demand, profit in (("responsive", 0.395, 15.6025), ("no_subsidy", 0.1, 6.9)):
        made = CopperPlatePlanner.of_case(case, variant)
        plan = made.plans(day)
        assert plan.flexible_mw[0, 0] == pytest.approx(demand)
        assert settle(made.assets, plan, day).profit[0] == pytest.approx(profit)


@pytest.mark.parametrize("variant", ["responsive", "no_subsidy", "faithful"])
def test_plan_equals_the_certified_market_model_without_a_network(variant: str) -> None:
    case = adno()
    made = CopperPlatePlanner.of_case(case, variant)
    lossless = replace(made, assets=replace(made.assets, loss_share=0.0))
    day = case_forecast(case)
    profit = settle(lossless.assets, lossless.plans(day), day).profit[0]
    data = {**case.model_dump(exclude_unset=True, exclude={"index", "feeder_customers", "network"}), "network": None}
    rigid, shares = day.load_mw[0], case.feeder_customers
    assert shares is not None
    span = (shares.flexible_max_share - shares.flexible_free_share) * rigid
    per = case.subsidy.lump_sum_max_per_hour if variant == "faithful" else shares.full_response_subsidy_per_mwh
    hourly = [
        {
            "id": f"h{t}",
            "rigid_mw": tuple(np.where(np.arange(24) == t, rigid, 0.0)),
            "flexible_max_mw": tuple(np.where(np.arange(24) == t, shares.flexible_max_share * rigid, 0.0)),
            "flexible_free_mw": tuple(np.where(np.arange(24) == t, shares.flexible_free_share * rigid, 0.0)),
            "elasticity_mw_per_subsidy": float(span[t] / per),
        }
        for t in range(24)
    ]
    alone = AdnoCase.from_mapping({**data, "customers": hourly}, name="copper plate")
    schedule = dispatch.solve(alone, variant=variant)
    assert profit == pytest.approx(schedule.objective, rel=2e-4)
    assert schedule.bound is not None
    assert profit <= schedule.bound * (1 + 1e-6)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31), spread=st.sampled_from([0.1, 0.5, 1.5]))
def test_asset_by_asset_plan_equals_the_mixed_integer_programme(
    planner: CopperPlatePlanner, seed: int, spread: float
) -> None:
    """Also at negative prices, where stores would burn energy if nothing forbade it."""
    _, days = noisy("adno_ieee33", 1, seed, spread)
    before = planner.solved["price_taker"]
    plan = planner.plans(days)
    exact = plan_on_scenarios(planner.assets, planner.response, planner.income_per_mwh, days)
    assert settle(planner.assets, plan, days).profit[0] == pytest.approx(exact.objective, rel=1e-6)
    assert exact.bound >= exact.objective - 1e-6
    assert planner.solved["price_taker"] >= before


def test_days_with_surplus_go_to_the_mixed_integer_programme(scaled: CopperPlatePlanner) -> None:
    day = case_forecast(adno("adno_ieee33_scaled"))
    windy = Realisations(day.price_per_mwh, day.wind_mw + 3.0, day.load_mw)
    before = dict(scaled.solved)
    plan = scaled.plans(windy)
    assert scaled.solved["mixed_integer"] == before["mixed_integer"] + 1
    settled = settle(scaled.assets, plan, windy)
    assert settled.sold_mwh[0] + settled.curtailed_mwh[0] > 1.0
    assert (plan.purchase_mw >= -1e-9).all()


def test_planned_storage_never_charges_and_discharges_at_once() -> None:
    planner = CopperPlatePlanner.of_case(adno("adno_ieee33_scaled"))
    price = np.full((1, 24), -80.0)
    best = PriceTakers(planner.assets, 24).best(price)
    assert np.minimum(best.charge_mw, best.discharge_mw).max() <= 1e-9
    day = case_forecast(adno("adno_ieee33_scaled"))
    negative = Realisations(price, day.wind_mw, day.load_mw)
    plan = planner.plans(negative)
    assert np.minimum(plan.charge_mw, plan.discharge_mw).max() <= 1e-7


def test_gas_unit_starts_when_the_price_pays_for_the_start() -> None:
    """Ramp 0.1 MW: an hour at 191 earns 0.2 * 100 less 2 * 0.1 * 41 before and after, which is below the start of 20."""
    assets = CopperPlatePlanner.of_case(adno()).assets
    short, long = np.full((1, 24), 50.0), np.full((1, 24), 50.0)
    short[0, 12], long[0, 12:16] = 191.0, 191.0
    takers = PriceTakers(assets, 24)
    assert takers.best(short).on.sum() == 0
    best = takers.best(long)
    # losing 0.1 * 41 in the hours before and after is cheaper than running at half power in the first and last good hour
    np.testing.assert_allclose(best.gas_mw[0, 0, 10:18], [0.0, 0.1, 0.2, 0.2, 0.2, 0.2, 0.1, 0.0])
    assert best.start_cost[0] == pytest.approx(60.0)


def test_output_levels_are_bounds_plus_whole_ramps() -> None:
    assets = CopperPlatePlanner.of_case(adno()).assets
    levels = output_levels(assets, 0)
    assert levels is not None
    np.testing.assert_allclose(levels, [0.06, 0.1, 0.16, 0.2])
    fine = replace(assets, gas_ramp_up_mw=assets.gas_ramp_up_mw * 0.001)
    assert output_levels(fine, 0) is None


def test_perfect_forecast_has_no_regret(planner: CopperPlatePlanner) -> None:
    _, days = noisy("adno_ieee33", 20, seed=4)
    worth = forecast_worth(planner, days, days, days.load_mw)
    assert np.abs(worth.regret).max() == 0.0
    assert all(np.abs(share).max() <= 1e-9 for share in worth.penalty.values())


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), spread=st.sampled_from([0.05, 0.3, 1.2]))
def test_no_forecast_beats_the_truth_and_causes_add_up(planner: CopperPlatePlanner, seed: int, spread: float) -> None:
    day, days = noisy("adno_ieee33", 5, seed, spread)
    worth = forecast_worth(planner, day, days, day.load_mw)
    assert (worth.regret >= -1e-6).all()
    np.testing.assert_allclose(sum(worth.penalty.values()), worth.regret, atol=1e-8)


def test_no_forecast_beats_the_truth_on_days_with_surplus(scaled: CopperPlatePlanner) -> None:
    day, days = noisy("adno_ieee33_scaled", 6, seed=7)
    before = scaled.solved["mixed_integer"]
    worth = forecast_worth(scaled, day, days, day.load_mw)
    assert scaled.solved["mixed_integer"] > before
    assert (worth.regret >= -1e-6 * np.abs(worth.best.profit)).all()


def test_a_larger_load_brings_more_flexible_demand_at_the_same_subsidy_rate(planner: CopperPlatePlanner) -> None:
    day = case_forecast(adno())
    twice = planner.plans(day, 2 * day.load_mw)
    once = planner.plans(day)
    np.testing.assert_allclose(twice.flexible_mw, 2 * once.flexible_mw)
    np.testing.assert_allclose(twice.subsidy_cost, 2 * once.subsidy_cost)


def test_the_plan_on_scenarios_is_never_worse_on_them_than_any_plan_on_one(planner: CopperPlatePlanner) -> None:
    day, days = noisy("adno_ieee33", 6, seed=2)
    stochastic = plan_on_scenarios(planner.assets, planner.response, planner.income_per_mwh, days)
    assert settle(planner.assets, stochastic.first, days).profit.mean() == pytest.approx(stochastic.objective, rel=1e-4)
    for candidate in (day, *(days.take(slice(k, k + 1)) for k in range(len(days)))):
        plan = planner.plans(candidate).take(0)
        assert settle(planner.assets, plan, days).profit.mean() <= stochastic.bound + 1e-3


def test_weight_on_the_tail_raises_the_worst_profits(planner: CopperPlatePlanner) -> None:
    _, days = noisy("adno_ieee33", 8, seed=3, spread=0.5)
    arguments = (planner.assets, planner.response, planner.income_per_mwh, days)
    weights = np.full(8, 1 / 8)
    neutral = settle(planner.assets, plan_on_scenarios(*arguments).first, days).profit
    careful = settle(planner.assets, plan_on_scenarios(*arguments, risk=Risk(0.9, 0.75)).first, days).profit
    assert tail_mean(careful, weights, 0.75) >= tail_mean(neutral, weights, 0.75) - 1e-3
    assert careful.mean() <= neutral.mean() + 1e-3


def test_tail_mean_of_ten_profits() -> None:
    assert tail_mean(np.arange(10.0), np.full(10, 0.1), 0.8) == pytest.approx(0.5)
    assert tail_mean(np.arange(10.0), np.full(10, 0.1), 0.85) == pytest.approx((0.0 + 0.5) / 1.5)


def test_variants_that_couple_customers_are_refused() -> None:
    with pytest.raises(OptionError, match="responsive_shiftable"):
        CopperPlatePlanner.of_case(adno(), "responsive_shiftable")
