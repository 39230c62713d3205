"""Held-out days at random: whole weeks, the same for every source, and no training window that touches one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import SettingError
from forecasting.samples import DayAheadSamples

_ONE_DAY = np.timedelta64(1, "D")


def draw_weeks(days: NDArray[np.datetime64], share: float, seed: int) -> NDArray[np.datetime64]:
    """Days of randomly drawn weeks that hold about ``share`` of ``days``; weeks run from the first day on.

    Shi et al. 2023, section 3.3, draw 10% of their data at random and do not say in which pieces. Neighbouring hours are
    nearly equal, so single hours (or windows that slide by one) would be all but seen in training; weeks are not. All
    sources share the dates, since the wind of neighbouring zones is the same weather.

    Raises ``SettingError`` if ``share`` leaves no week to test or none to train on.
    """
    if not 0 < share < 1:
        raise SettingError(f"the share of test days must lie inside (0, 1), got {share}")
    every = np.unique(days.astype("datetime64[D]"))
    week = (every - every[0]).astype(np.int64) // 7
    weeks = np.unique(week)
    count = round(share * len(weeks))
    if not 0 < count < len(weeks):
        raise SettingError(f"{share:g} of {len(weeks)} weeks leaves nothing to test or to train on; give more days")
    drawn = np.random.default_rng(seed).choice(weeks, size=count, replace=False)
    return np.asarray(every[np.isin(week, drawn)])


def split_days(
    samples: DayAheadSamples, test_days: NDArray[np.datetime64], window_days: int
) -> tuple[DayAheadSamples, DayAheadSamples]:
    """Training and test rows, both in order of zone and day.

    A row trains only if neither its delivery day nor one of the ``window_days`` before it, which its model reads, is a
    test day. What comes before a test day may train: at the time of the forecast it is known.
    """
    order = np.lexsort((samples.day, samples.zone))
    tested = np.isin(samples.day[order], test_days)
    touched = tested.copy()
    for lag in range(1, window_days + 1):
        touched |= np.isin(samples.day[order] - lag * _ONE_DAY, test_days)
    return samples.select(order[~touched]), samples.select(order[tested])
