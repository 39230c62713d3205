"""Held-out weeks: whole, shared by all sources, drawn by the seed, and untouched by any training window."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.errors import SettingError
from forecasting.held_out import draw_weeks, split_days
from tests.forecasting.neural_samples import make_samples

DAYS = np.arange("2023-01-02", "2023-12-25", dtype="datetime64[D]")  # 51 weeks


def test_whole_weeks_of_the_wanted_share_are_drawn_by_the_seed() -> None:
    drawn = draw_weeks(DAYS, 0.1, seed=3)
    assert len(drawn) == 5 * 7
    assert set(np.unique((drawn - DAYS[0]).astype(int) // 7, return_counts=True)[1].tolist()) == {7}
    assert np.array_equal(drawn, draw_weeks(DAYS, 0.1, seed=3))
    assert not np.array_equal(drawn, draw_weeks(DAYS, 0.1, seed=4))


def test_no_training_window_touches_a_test_day_and_sources_share_the_dates() -> None:
    samples = make_samples(200, zones=("A", "B"), history_days=7)
    test_days = draw_weeks(samples.day, 0.1, seed=0)
    train, test = split_days(samples, test_days, window_days=3)
    for zone in ("A", "B"):
        assert np.array_equal(test.day[test.zone == zone], test_days)
    for lag in range(4):
        assert not np.isin(train.day - np.timedelta64(lag, "D"), test_days).any()
    assert np.isin(train.day - np.timedelta64(4, "D"), test_days).any()
    # What the windows read is the target itself: no value of a test day lies among the training inputs.
    seen = np.unique(train.history[:, -3:, :, 0])
    assert not np.isin(test.y, seen).any()


def test_a_share_that_leaves_nothing_is_refused() -> None:
    for share in (0.0, 1.0, 0.001, 0.999):
        with pytest.raises(SettingError):
            draw_weeks(DAYS, share, seed=0)
