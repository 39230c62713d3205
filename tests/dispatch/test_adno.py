"""The ADNO against hand-worked cases and its invariants."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dispatch
from dispatch.case_adno import AdnoCase
from tests.dispatch.adno_cases import one_hour, responsive_customer


def test_one_customer_is_subsidised_to_half_the_margin() -> None:
    # a = 160, b = 100, p = 150, c = 81: max (69) d - (100 d - 10) d gives d = 79/200 = .395, s = 29.5, profit 15.6025.
    case = one_hour([responsive_customer("c", 160, 100, 0.5)], subsidy={"rate_max_per_mwh": 60})
    schedule = dispatch.solve(case)
    assert schedule.objective == pytest.approx(15.6025, abs=1e-6)
    assert schedule.wide("flexible_mw").iloc[0, 0] == pytest.approx(0.395, abs=1e-4)
    assert schedule.wide("subsidy_per_mwh").iloc[0, 0] == pytest.approx(29.5, abs=1e-2)
    assert dispatch.solve(case, variant="no_subsidy").objective == pytest.approx(6.9, abs=1e-9)


def test_individual_subsidies_of_two_customers() -> None:
    customers = [responsive_customer("a", 160, 100, 0.5), responsive_customer("b", 150, 100, 0.5)]
    case = one_hour(customers, subsidy={"rate_max_per_mwh": 60})
    schedule = dispatch.solve(case)
    assert schedule.objective == pytest.approx(27.505, abs=1e-6)
    assert schedule.wide("subsidy_per_mwh").iloc[0].to_list() == pytest.approx([29.5, 34.5], abs=1e-2)


@pytest.fixture(scope="module")
def ieee33() -> AdnoCase:
    case = dispatch.load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    return case


@pytest.fixture(scope="module")
def responsive(ieee33: AdnoCase) -> dispatch.Schedule:
    return dispatch.solve(ieee33)


def test_ieee33_is_certified_to_the_proven_gap(responsive: dispatch.Schedule) -> None:
    assert responsive.certificate.passed
    assert responsive.gap is not None and responsive.gap <= 1e-4
    assert responsive.bound is not None and responsive.bound >= responsive.objective - 1e-6


def test_money_adds_up_to_the_objective(responsive: dispatch.Schedule) -> None:
    assert sum(responsive.money["operator"].values()) == pytest.approx(responsive.objective, abs=1e-9)
    assert responsive.money["customers"]["subsidy"] == pytest.approx(-responsive.money["operator"]["subsidy"])


def test_import_is_load_plus_losses_plus_charging_minus_generation(responsive: dispatch.Schedule) -> None:
    load = responsive.wide("rigid_mw").sum(axis=1) + responsive.wide("flexible_mw").sum(axis=1)
    losses = responsive.wide("loss_mw").sum(axis=1)
    stores = responsive.wide("charge_mw").sum(axis=1) - responsive.wide("discharge_mw").sum(axis=1)
    made = responsive.wide("power_mw", "gas").sum(axis=1) + responsive.wide("power_mw", "wind").sum(axis=1)
    np.testing.assert_allclose(responsive.wide("import_mw")["grid"], load + losses + stores - made, atol=1e-6)


def test_subsidies_pay_for_demand_above_what_is_used_anyway(ieee33: AdnoCase, responsive: dispatch.Schedule) -> None:
    subsidy, demand = responsive.wide("subsidy_per_mwh"), responsive.wide("flexible_mw")
    free = 0.08 * responsive.wide("rigid_mw")
    assert (subsidy >= 0).all(axis=None)
    assert (demand[subsidy > 1e-3] > free[subsidy > 1e-3]).where(subsidy > 1e-3, True).all(axis=None)


def test_subsidy_helps_operator_and_customers(ieee33: AdnoCase, responsive: dispatch.Schedule) -> None:
    without = dispatch.solve(ieee33, variant="no_subsidy")
    assert responsive.objective > without.objective
    gained = responsive.extras["customers"]["surplus"] - without.extras["customers"]["surplus"]
    assert (gained >= -1e-6).all()


@pytest.mark.parametrize(
    ("steps", "step_hours"),
    [(23, 1.0), (25, 1.0), (92, 0.25), pytest.param(100, 0.25, marks=pytest.mark.slow)],
)
def test_days_of_any_length(ieee33: AdnoCase, steps: int, step_hours: float) -> None:
    index = pd.date_range("2025-03-29T23:00", periods=steps, freq=pd.Timedelta(hours=step_hours), tz="UTC")
    spot = 80 + 30 * np.sin(np.arange(steps) * step_hours / 24 * 2 * np.pi)
    schedule = dispatch.solve(ieee33.with_inputs(spot_price_per_mwh=spot, index=index))
    assert schedule.certificate.passed
    assert len(schedule.index) == steps and schedule.step_hours == step_hours
    assert schedule.wide("flexible_mw").shape == (steps, 32)
