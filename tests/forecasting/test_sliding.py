"""Windows that slide through the day are cuts of one continuous series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import SettingError
from forecasting.models import create
from forecasting.samples import DayAheadSamples
from forecasting.sliding import sliding_windows
from tests.forecasting.neural_samples import make_samples


def counting(days: int = 6, history_days: int = 3) -> DayAheadSamples:
    """Target ``0, 1, 2, ...`` by the hour from the first hour of history, y a thousand more."""
    base = make_samples(days, history_days=history_days)
    hours = np.arange((days + history_days) * 24, dtype=np.float32).reshape(-1, 24)
    both = np.stack([hours, hours + 1000], axis=-1)
    history = np.stack([both[day : day + history_days] for day in range(days)])
    return replace(base, history=history, future=both[history_days:, :, 1:], y=hours[history_days:])


def test_every_window_is_a_cut_of_the_one_series() -> None:
    samples = counting()
    moved = sliding_windows(samples, 1)
    assert len(moved) == 6 + 5 * 23
    for row in range(len(moved)):
        whole = np.concatenate([moved.history[row, ..., 0].ravel(), moved.y[row]])
        assert np.array_equal(np.diff(whole), np.ones(95))
        assert np.array_equal(moved.future[row, :, 0], moved.y[row] + 1000)
        assert np.array_equal(moved.history[row, ..., 1], moved.history[row, ..., 0] + 1000)
    assert len(np.unique(moved.y[:, 0])) == len(moved)


def test_a_step_of_a_day_adds_nothing_and_a_gap_is_not_bridged() -> None:
    samples = counting()
    assert len(sliding_windows(samples, 24)) == 6
    gap = samples.select(np.array([0, 1, 3, 4]))
    assert len(sliding_windows(gap, 12)) == 4 + 2
    two = DayAheadSamples.concat(
        [samples.select(slice(0, 1)), replace(counting(), zone=np.full(6, "B")).select(slice(1, 2))]
    )
    assert len(sliding_windows(two, 12)) == 2
    for wrong in (0, 5, 48):
        with pytest.raises(SettingError, match="divide 24"):
            sliding_windows(samples, wrong)


def test_the_paper_model_trains_on_sliding_windows_and_still_predicts_days() -> None:
    samples = make_samples(30)
    settings = {"width": 8, "heads": 2, "encoder_blocks": 1, "decoder_blocks": 1, "hidden": 8, "training": {"steps": 2}}
    daily, hourly = (create("paper_transformer", **settings, window_step_hours=step) for step in (24, 6))
    assert daily.fit(samples).samples == 30
    assert hourly.fit(samples).samples == 30 + 29 * 3
    assert hourly.predict(samples).mean.shape == (30, 24)
    assert hourly.settings()["window_step_hours"] == 6
    with pytest.raises(SettingError, match="divide 24"):
        create("paper_transformer", window_step_hours=7)
