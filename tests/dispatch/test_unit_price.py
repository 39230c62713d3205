"""Penalties by unit price against hours worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.settlement.problem import Realisations
from dispatch.settlement.unit_price import unit_priced
from tests.dispatch.test_settlement import assets, days, plan


def hour(price: float, wind: float = 0.5, load: float = 3.5) -> Realisations:
    return Realisations(np.array([[price]]), np.array([[wind]]), np.array([[load]]))


def test_a_right_forecast_has_no_penalty_and_costs_what_was_planned() -> None:
    counted = unit_priced(assets(), plan(1), hour(100.0), hour(100.0))
    assert all(value[0] == 0.0 for value in counted.penalty.values())
    # 2 MW bought at 100, gas 0.4 at 80 and 0.6 at 95, starts 40; the subsidy of 7 is in Eq. 25 only
    assert counted.cost(with_subsidy=False)[0] == pytest.approx(200 + 0.4 * 80 + 0.6 * 95 + 40)
    assert counted.cost()[0] == pytest.approx(200 + 0.4 * 80 + 0.6 * 95 + 40 + 7)
    assert counted.income[0] == pytest.approx((3.5 + 0.2) * 150)


def test_gas_that_the_price_does_not_pay_for_is_charged_at_the_price_error() -> None:
    counted = unit_priced(assets(), plan(1), hour(100.0), hour(90.0))
    # planned: 0.4 MW at 80 and 0.6 MW at 95; at 90 the dear unit should not have run
    assert counted.penalty["price"][0] == pytest.approx(0.6 * 10)


def test_purchase_that_gas_should_have_replaced_is_charged_at_the_price_error() -> None:
    told, came = hour(70.0, load=2.0), hour(90.0, load=2.0)
    counted = unit_priced(assets(), plan(1), told, came)
    # at 70 both units run at their minimum, 0.1 and 0.2; at 90 the cheap one would give 0.3 MW more
    assert counted.penalty["price"][0] == pytest.approx(0.3 * 20)
    little = unit_priced(assets(), plan(1, purchase=0.1), told, came)
    # 0.1 is bought, so no more than that can be replaced, and the rest of the load takes the gas anyway
    assert little.penalty["price"][0] <= 0.1 * 20 + 1e-12


def test_missing_and_left_over_energy_have_the_prices_of_real_time() -> None:
    # buying at 120 less the cheapest gas at 80; selling at 80, 20 below spot
    short = unit_priced(assets(), plan(1), hour(100.0, 0.5, 3.5), hour(100.0, 0.2, 3.6))
    assert short.penalty["wind"][0] == pytest.approx(0.3 * 40)
    assert short.penalty["load"][0] == pytest.approx(0.1 * 40)
    spare = unit_priced(assets(), plan(1), hour(100.0, 0.5, 3.5), hour(100.0, 0.8, 3.4))
    assert spare.penalty["wind"][0] == pytest.approx(0.3 * 20)
    assert spare.penalty["load"][0] == pytest.approx(0.1 * 20)


def test_a_deviation_costs_nothing_where_gas_is_dearer_than_real_time() -> None:
    cheap = unit_priced(assets(), plan(1), hour(60.0, 0.5), hour(60.0, 0.2))
    assert cheap.penalty["wind"][0] == 0.0  # bought at 72, gas at 80


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), storage=st.booleans())
def test_one_plan_for_all_days_counts_as_the_same_plan_for_each(seed: int, storage: bool) -> None:
    system, first, truth = assets(0.2, storage), plan(6, stores=int(storage)), days(4, 6, seed)
    forecast = days(1, 6, seed + 1)
    together = unit_priced(system, first, forecast, truth)
    apart = unit_priced(system, first.for_each(4), forecast.repeated(4), truth)
    np.testing.assert_allclose(together.cost(), apart.cost(), rtol=1e-9)
    for name, values in together.penalty.items():
        assert (values >= 0).all()
        np.testing.assert_allclose(values, apart.penalty[name], rtol=1e-9, atol=1e-9)
