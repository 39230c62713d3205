"""Online error correction: what it takes from errors with a memory, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from forecasting.error_correction import ErrorCorrection
from forecasting.errors import DataError, SettingError
from forecasting.models.base import Prediction

LEVELS = (0.1, 0.5, 0.9)


def forecast(days: int, steps: int = 24) -> tuple[Prediction, NDArray[np.datetime64]]:
    quantiles = np.broadcast_to(50 + np.array([-3.0, 0.0, 3.0]), (days, steps, 3)).copy()
    prediction = Prediction(np.full((days, steps), 50.5), np.full((days, steps), 2.0), quantiles, LEVELS)
    return prediction, np.datetime64("2023-01-01") + np.arange(days)


def remembered(days: int, memory: float, seed: int = 0) -> NDArray[np.float64]:
    """Errors whose mean over the day is an autoregression of order one."""
    rng = np.random.default_rng(seed)
    level = np.zeros(days)
    for day in range(1, days):
        level[day] = memory * level[day - 1] + rng.normal()
    return np.asarray(50 + level[:, None] + 0.5 * rng.normal(size=(days, 24)))


def mae(prediction: Prediction, y: NDArray[np.float64], first: int) -> float:
    return float(np.abs(prediction.quantiles[first:, :, 1] - y[first:]).mean())


def test_a_steady_error_is_taken_off() -> None:
    prediction, day = forecast(200)
    corrected = ErrorCorrection().correct(prediction, np.full((200, 24), 54.0), day)
    # Five equal regressors of which the ridge leaves five sixths; a share of one, shrunk by 28 days to 171 tried.
    assert corrected.quantiles[-1, :, 1] == pytest.approx(50 + 4 * (5 / 6) * (171 / 199), rel=1e-3)


def test_errors_with_a_memory_shrink_and_errors_without_stay() -> None:
    prediction, day = forecast(500)
    y = remembered(500, 0.8)
    assert mae(ErrorCorrection().correct(prediction, y, day), y, 60) < 0.75 * mae(prediction, y, 60)
    y = remembered(500, 0.0)
    assert mae(ErrorCorrection().correct(prediction, y, day), y, 60) < 1.01 * mae(prediction, y, 60)


def test_the_whole_distribution_moves_together() -> None:
    prediction, day = forecast(120)
    corrected = ErrorCorrection().correct(prediction, remembered(120, 0.8), day)
    moved = corrected.mean - prediction.mean
    assert np.abs(moved).max() > 0.5
    assert corrected.quantiles - prediction.quantiles == pytest.approx(np.repeat(moved[..., None], 3, axis=-1))
    assert corrected.std is prediction.std


@pytest.mark.parametrize("delay", [1, 2])
def test_only_days_already_known_are_used(delay: int) -> None:
    prediction, day = forecast(120)
    y = remembered(120, 0.8)
    rule = ErrorCorrection(delay_days=delay)
    before = rule.correct(prediction, y, day)
    other = y.copy()
    other[100 - delay + 1 :] += 1000.0
    assert np.array_equal(rule.correct(prediction, other, day).quantiles[:101], before.quantiles[:101])
    other[100 - delay] += 10.0
    assert not np.array_equal(rule.correct(prediction, other, day).quantiles[100], before.quantiles[100])


def test_few_known_days_change_nothing_and_unknown_days_are_skipped() -> None:
    prediction, day = forecast(120)
    y = remembered(120, 0.8)
    corrected = ErrorCorrection(least_days=40).correct(prediction, y, day)
    assert np.array_equal(corrected.quantiles[:40], prediction.quantiles[:40])
    y[50, 3] = np.nan
    assert np.isfinite(ErrorCorrection().correct(prediction, y, day).quantiles).all()


def test_a_perfect_forecast_stays_perfect() -> None:
    prediction, day = forecast(100)
    assert np.array_equal(ErrorCorrection().correct(prediction, np.full((100, 24), 50.0), day).mean, prediction.mean)


def test_refusals() -> None:
    prediction, day = forecast(10)
    with pytest.raises(DataError, match="days increasing"):
        ErrorCorrection().correct(prediction, np.zeros((10, 24)), day[::-1])
    with pytest.raises(SettingError, match="at least 1"):
        ErrorCorrection(delay_days=0)
