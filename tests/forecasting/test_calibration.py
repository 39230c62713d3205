"""Rolling conformal calibration: coverage as stated, nothing from the future, median untouched."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from forecasting.calibration import RollingConformal
from forecasting.errors import DataError, SettingError
from forecasting.metrics import interval_coverage
from forecasting.models.base import QUANTILE_LEVELS, Prediction

DAYS, STEPS = 500, 4
START = np.datetime64("2023-01-01")


def too_narrow(seed: int = 0) -> tuple[Prediction, np.ndarray, np.ndarray]:
    """Normal truths whose deviation doubles half-way; forecasts state a deviation of one half throughout."""
    rng = np.random.default_rng(seed)
    deviation = np.where(np.arange(DAYS) < DAYS // 2, 1.0, 2.0)[:, None]
    center = rng.normal(50, 10, (DAYS, STEPS))
    y = center + deviation * rng.normal(size=(DAYS, STEPS))
    quantiles = center[..., None] + 0.5 * norm.ppf(QUANTILE_LEVELS)
    return Prediction(center, np.full_like(center, 0.5), quantiles), y, START + np.arange(DAYS)


@pytest.mark.parametrize(("low", "stated"), [(0, 0.9), (3, 0.5)])
def test_coverage_is_restored_before_and_after_a_change(low: int, stated: float) -> None:
    prediction, y, day = too_narrow()
    raw = interval_coverage(y, prediction.quantiles[..., low], prediction.quantiles[..., -1 - low])
    assert raw < stated - 0.2
    calibrated = RollingConformal(window_days=120).calibrate(prediction, y, day).quantiles
    for span in (slice(60, 250), slice(400, 500)):
        assert interval_coverage(y[span], calibrated[span, :, low], calibrated[span, :, -1 - low]) == pytest.approx(
            stated, abs=0.05
        )


def test_shift_is_the_order_statistic_worked_by_hand() -> None:
    levels = (0.25, 0.5, 0.75)
    quantiles = np.tile([[-1.0, 0.0, 1.0]], (7, 1, 1))
    y = np.array([-5.0, -3.0, -1.0, 0.0, 1.0, 3.0, 7.0])[:, None]
    correction = RollingConformal(least_days=7).learn(quantiles, y, levels)
    assert correction is not None
    # width 2; (y + 1) / 2 sorted is -2, -1, 0, ..: rank floor(.25 * 8) = 2; (y - 1) / 2: rank ceil(.75 * 8) = 6 is 1
    assert correction.shift[0] == pytest.approx([-1.0, 0.0, 1.0])
    fresh = Prediction(np.zeros((1, 1)), np.ones((1, 1)), np.array([[[-2.0, 0.0, 2.0]]]), levels)
    calibrated = RollingConformal().apply(fresh, correction)
    assert calibrated.quantiles[0, 0] == pytest.approx([-6.0, 0.0, 6.0])
    assert calibrated.std[0, 0] == pytest.approx(3.0)


def test_truth_of_a_day_changes_only_later_days() -> None:
    prediction, y, day = too_narrow()
    changed = y.copy()
    changed[100] += 1e3
    for delay in (1, 2):
        method = RollingConformal(delay_days=delay)
        before = method.calibrate(prediction, y, day).quantiles
        after = method.calibrate(prediction, changed, day).quantiles
        different = np.flatnonzero((before != after).any(axis=(1, 2)))
        assert different.min() == 100 + delay


def test_median_stays_and_quantiles_stay_in_order() -> None:
    prediction, y, day = too_narrow()
    calibrated = RollingConformal().calibrate(prediction, y - 3.0, day)
    middle = QUANTILE_LEVELS.index(0.5)
    assert (calibrated.quantiles[..., middle] == prediction.quantiles[..., middle]).all()
    assert (np.diff(calibrated.quantiles, axis=-1) >= 0).all()


def test_missing_truths_are_left_out_and_zones_do_not_mix() -> None:
    prediction, y, day = too_narrow()
    gaps = y.copy()
    gaps[::3] = np.nan
    zone = np.where(np.arange(DAYS) % 2 == 0, "A", "B")
    calibrated = RollingConformal(window_days=240).calibrate(prediction, gaps, day, zone).quantiles
    moved = gaps.copy()
    moved[zone == "B"] *= 100
    again = RollingConformal(window_days=240).calibrate(prediction, moved, day, zone).quantiles
    assert np.isfinite(calibrated).all()
    assert (calibrated[zone == "A"] == again[zone == "A"]).all()


def test_bounds_are_kept_and_few_days_change_nothing() -> None:
    prediction, y, day = too_narrow()
    bounded = RollingConformal().calibrate(prediction, y, day, bounds=(40.0, 60.0)).quantiles
    assert bounded.min() == 40.0 and bounded.max() == 60.0
    untouched = RollingConformal(least_days=30).calibrate(prediction, y, day).quantiles[:30]
    assert (untouched == prediction.quantiles[:30]).all()


def test_wrong_input_is_refused() -> None:
    prediction, y, day = too_narrow()
    with pytest.raises(DataError, match="shape"):
        RollingConformal().calibrate(prediction, y[:, :2], day)
    with pytest.raises(SettingError, match="at least 1"):
        RollingConformal(window_days=0)
