"""Efficiency index, intervals and Shapley shares against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.errors import DispatchError
from dispatch.settlement.efficiency import (
    bootstrap_ratio,
    efficiency_index,
    mean_estimate,
    paired_difference,
    ratio_estimate,
    shapley_values,
)
from dispatch.settlement.problem import Settlement


def settlement(income: list[float], purchase: list[float], subsidy: float) -> Settlement:
    zero = np.zeros(len(income))
    return Settlement(
        income=np.array(income), purchase_cost=np.array(purchase), imbalance_cost=zero, gas_cost=zero, start_cost=zero,
        wear_cost=zero, subsidy_cost=zero + subsidy, curtailment_cost=zero, shed_cost=zero, shed_mwh=zero,
        curtailed_mwh=zero, bought_mwh=zero, sold_mwh=zero,
    )  # fmt: skip


def test_index_divides_mean_income_by_mean_cost_in_both_printed_forms() -> None:
    days = settlement([300.0, 500.0], [100.0, 220.0], subsidy=40.0)
    assert efficiency_index(days).value == pytest.approx(400 / 200)
    assert efficiency_index(days, with_subsidy=False).value == pytest.approx(400 / 160)


def test_interval_of_a_mean_is_that_of_student() -> None:
    estimate = mean_estimate(np.array([1.0, 2.0, 3.0, 4.0]))
    # t(0.975, 3) = 3.18245, s = 1.290994, so half = 3.18245 * 1.290994 / 2
    assert estimate.value == 2.5
    assert estimate.high - estimate.value == pytest.approx(2.05426, abs=1e-5)


def test_interval_of_a_ratio_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        below = rng.normal(100.0, 20.0, 60)
        above = 2.0 * below + rng.normal(0.0, 30.0, 60)
        estimate = ratio_estimate(above, below)
        covered += estimate.low <= 2.0 <= estimate.high
    assert 0.91 <= covered / 400 <= 0.98


def test_bootstrap_of_a_ratio_agrees_with_the_delta_method_where_both_hold() -> None:
    rng = np.random.default_rng(1)
    below = rng.normal(100.0, 20.0, 400)
    above = 0.5 * below + rng.normal(0.0, 30.0, 400)
    one, two = bootstrap_ratio(above, below), ratio_estimate(above, below)
    assert one.value == pytest.approx(two.value)
    assert one.low == pytest.approx(two.low, abs=0.1 * (two.high - two.low))
    assert one.high == pytest.approx(two.high, abs=0.1 * (two.high - two.low))
    assert bootstrap_ratio(above, below, seed=5) == bootstrap_ratio(above, below, seed=5)


def test_an_index_without_positive_cost_is_refused() -> None:
    with pytest.raises(DispatchError, match="not positive"):
        efficiency_index(settlement([1.0, 1.0], [-5.0, 2.0], 0.0))


def test_equal_profits_differ_by_nothing() -> None:
    values = np.array([3.0, 1.0, 2.0])
    estimate, p_value = paired_difference(values, values)
    assert estimate.value == 0.0
    assert p_value == 1.0


def test_p_value_of_paired_days() -> None:
    """Gains of 1, 2, 3 and 6: mean 3, deviation 2.16025, so t = 2.77746 with 3 degrees of freedom: p = 0.06917."""
    base = np.array([10.0, 40.0, 20.0, 30.0])
    estimate, p_value = paired_difference(base + np.array([1.0, 2.0, 3.0, 6.0]), base)
    assert estimate.value == pytest.approx(3.0)
    assert p_value == pytest.approx(0.06917, abs=5e-5)


def test_shapley_shares_of_a_product_of_errors() -> None:
    """cost = 10 a + 6 a b: a alone 10, b alone 0, together 16; the interaction is split in halves."""

    def cost(wrong: frozenset[str]) -> np.ndarray:
        a, b = float("a" in wrong), float("b" in wrong)
        return np.array([10 * a + 6 * a * b])

    shares = shapley_values(["a", "b"], cost)
    assert shares["a"][0] == pytest.approx(13.0)
    assert shares["b"][0] == pytest.approx(3.0)


@given(st.lists(st.floats(-1e4, 1e4), min_size=8, max_size=8))
def test_shapley_shares_add_up_to_the_whole_regret(costs: list[float]) -> None:
    factors = ["price", "wind", "load"]

    def cost(wrong: frozenset[str]) -> np.ndarray:
        return np.array([costs[sum(2**k for k, name in enumerate(factors) if name in wrong)]])

    shares = shapley_values(factors, cost)
    assert sum(share[0] for share in shares.values()) == pytest.approx(costs[7] - costs[0], abs=1e-8)
