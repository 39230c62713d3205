"""Every score against a number worked by hand, a closed form, or a published figure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting import metrics
from forecasting.errors import DataError


def test_point_scores_of_three_hours() -> None:
    y, forecast = [10.0, -2.0, 4.0], [12.0, 2.0, 4.0]
    assert metrics.mean_absolute_error(y, forecast) == pytest.approx(2.0)  # (2 + 4 + 0) / 3
    assert metrics.root_mean_square_error(y, forecast) == pytest.approx(math.sqrt(20 / 3))  # (4 + 16 + 0) / 3
    assert metrics.symmetric_mape(y, forecast) == pytest.approx((4 / 22 + 8 / 4 + 0) / 3)


def test_smape_of_an_hour_that_is_zero_twice_is_zero() -> None:
    assert metrics.symmetric_mape([0.0, 1.0], [0.0, 3.0]) == pytest.approx(0.5)  # (0 + 2 * 2 / 4) / 2


def test_relative_mae_divides_by_the_naive_error() -> None:
    assert metrics.relative_mae([1.0, 2.0], [2.0, 3.0], [3.0, 6.0]) == pytest.approx(1.0 / 3.0)
    with pytest.raises(DataError, match="undefined"):
        metrics.relative_mae([1.0], [2.0], [1.0])


def test_mase_divides_by_the_seasonal_in_sample_error() -> None:
    # season 2: |3-1|, |6-2|, |3-3| -> mean 2; the forecast misses by 1
    assert metrics.mean_absolute_scaled_error([5.0], [6.0], [1.0, 2.0, 3.0, 6.0, 3.0], season=2) == pytest.approx(0.5)


def test_pinball_of_two_levels() -> None:
    # level .1, q 2, y 5: .1 * 3; level .9, q 9: (.9 - 1) * (5 - 9)
    assert metrics.pinball_losses([5.0], [[2.0, 9.0]], (0.1, 0.9))[0] == pytest.approx([0.3, 0.4])
    assert metrics.pinball_loss([5.0], [[2.0, 9.0]], (0.1, 0.9)) == pytest.approx(0.35)


def test_crps_from_quantiles_approaches_the_gaussian_closed_form() -> None:
    from scipy.stats import norm

    levels = tuple(np.linspace(0.001, 0.999, 999))
    y = np.array([0.0, 1.3, -2.0])
    quantiles = np.broadcast_to(norm.ppf(levels), (3, len(levels)))
    closed_form = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / math.sqrt(math.pi)
    assert metrics.crps_values_from_quantiles(y, quantiles, levels) == pytest.approx(closed_form, abs=2e-4)


def test_crps_from_two_uneven_levels_by_hand() -> None:
    # weights (.9 - 0) / 2 and (1 - .1) / 2; losses .3 and .4; twice the sum
    assert metrics.crps_from_quantiles([5.0], [[2.0, 9.0]], (0.1, 0.9)) == pytest.approx(2 * 0.45 * 0.7)


def test_crps_from_samples_of_two_members() -> None:
    # members 1 and 3, y 2: E|X-y| = 1, E|X-X'| = (0 + 2 + 2 + 0) / 4 = 1
    assert metrics.crps_from_samples([2.0], [[1.0, 3.0]]) == pytest.approx(0.5)


def test_crps_of_one_member_is_the_absolute_error() -> None:
    assert metrics.crps_from_samples([2.0, 7.0], [[5.0], [6.0]]) == pytest.approx(2.0)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=8), st.floats(-100, 100))
def test_crps_from_samples_equals_the_pairwise_double_sum(members: list[float], y: float) -> None:
    pairs = sum(abs(a - b) for a in members for b in members) / len(members) ** 2
    direct = sum(abs(a - y) for a in members) / len(members) - pairs / 2
    assert metrics.crps_from_samples([y], [members]) == pytest.approx(direct, abs=1e-9)


def test_coverage_counts_the_bounds_as_inside() -> None:
    assert metrics.interval_coverage([1.0, 2.0, 3.0, 4.0], [1.0] * 4, [3.0] * 4) == pytest.approx(0.75)


def test_winkler_is_the_width_plus_ten_or_twenty_times_the_miss() -> None:
    # 80%: penalty factor 10; widths 2, 2; misses 0 and 1
    assert metrics.winkler_score([2.0, 4.0], [1.0, 1.0], [3.0, 3.0], coverage=0.8) == pytest.approx((2 + 12) / 2)


def test_pit_interpolates_between_quantiles_and_has_exponential_tails() -> None:
    y = np.array([-1.0, 1.0, 2.0, 3.0, 5.0])
    quantiles = np.broadcast_to([1.0, 3.0], (5, 2))
    # lower tail through (1, .2) and (3, .6): .2 * (.2 / .6) at -1; upper through 1 - (.8, .4): .4 * (.4 / .8) left at 5
    assert metrics.pit_from_quantiles(y, quantiles, (0.2, 0.6)) == pytest.approx([1 / 15, 0.2, 0.4, 0.6, 0.8])


def test_pit_of_a_value_on_several_equal_quantiles_is_the_middle_of_their_levels() -> None:
    assert metrics.pit_from_quantiles([0.0], [[0.0, 0.0, 4.0]], (0.2, 0.4, 0.8)) == pytest.approx([0.3])


def test_pit_of_the_true_distribution_is_uniform() -> None:
    levels = tuple(np.linspace(0.01, 0.99, 99))
    y = np.random.default_rng(3).uniform(size=20_000)
    pit = metrics.pit_from_quantiles(y, np.broadcast_to(levels, (len(y), 99)), levels)
    share, _ = np.histogram(pit, bins=10, range=(0, 1))
    assert share / len(y) == pytest.approx(0.1, abs=0.01)


def test_energy_score_of_two_paths_in_the_plane() -> None:
    # distances to the origin 5 and 0, distance between the two paths 5: (5 + 0) / 2 - (0 + 5 + 5 + 0) / 4 / 2
    assert metrics.energy_score([[0.0, 0.0]], [[[3.0, 4.0], [0.0, 0.0]]]) == pytest.approx(1.25)


def test_energy_score_in_one_dimension_is_the_crps() -> None:
    rng = np.random.default_rng(0)
    y, paths = rng.normal(size=(6, 1)), rng.normal(size=(6, 9, 1))
    assert metrics.energy_score(y, paths) == pytest.approx(metrics.crps_from_samples(y[:, 0], paths[:, :, 0]))


def test_variogram_score_by_hand() -> None:
    # |y1-y2|^.5 = 2; paths give |0|^.5 = 0 and |9|^.5 = 3, mean 1.5; (2 - 1.5)^2 for both ordered pairs, averaged
    assert metrics.variogram_score([[0.0, 4.0]], [[[1.0, 1.0], [0.0, 9.0]]]) == pytest.approx(0.25)


def test_variogram_score_sees_broken_dependence() -> None:
    rng = np.random.default_rng(1)
    covariance = [[1.0, 0.9], [0.9, 1.0]]
    y = rng.multivariate_normal([0, 0], covariance, size=300)
    coupled = rng.multivariate_normal([0, 0], covariance, size=(300, 200))
    broken = rng.normal(size=(300, 200, 2))
    assert metrics.variogram_score(y, coupled) < 0.6 * metrics.variogram_score(y, broken)


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [np.inf, 1.0], [1.0], []])
def test_gaps_and_wrong_shapes_are_refused(bad: list[float]) -> None:
    with pytest.raises(DataError, match="cannot score"):
        metrics.mean_absolute_error(bad, [1.0, 2.0])
