"""Regressors of the LEAR model: lags of the target, the published forecasts with their lags, day-of-week dummies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import SettingError
from forecasting.samples import DayAheadSamples

FloatArray = NDArray[np.float64]

TARGET_LAGS_DAYS = (1, 2, 3, 7)
EXOGENOUS_LAGS_DAYS = (1, 7)
WEEKDAYS = 7


def lear_features(
    samples: DayAheadSamples,
    target_lags: Sequence[int] = TARGET_LAGS_DAYS,
    exogenous_lags: Sequence[int] = EXOGENOUS_LAGS_DAYS,
) -> FloatArray:
    """Regressors ``[N, p]``, NaN where a value was not known at the decision time.

    The 24 values of each day count as separate regressors, for every hour (Lago et al. 2021, section 4.2): the target on
    days ``d - target_lags``, each published forecast on day ``d``, each other history channel on ``d - exogenous_lags``.
    The last seven columns are the day-of-week dummies.

    Raises ``SettingError`` if the samples have too short a history.
    """
    needed = max([*target_lags, *(exogenous_lags if len(samples.history_channels) > 1 else ())])
    if samples.history_days < needed:
        raise SettingError(
            f"LEAR reads the day d-{needed}, but the samples hold {samples.history_days} days of history; "
            f"build them with history_days >= {needed}"
        )
    rows, days = len(samples), samples.history_days
    blocks = [samples.history[:, days - lag, :, 0] for lag in target_lags]
    blocks += [samples.future[:, :, channel] for channel in range(len(samples.future_channels))]
    blocks += [
        samples.history[:, days - lag, :, channel]
        for channel in range(1, len(samples.history_channels))
        for lag in exogenous_lags
    ]
    return np.hstack([*(block.astype(np.float64).reshape(rows, -1) for block in blocks), weekday_dummies(samples.day)])


def weekday_dummies(day: NDArray[np.datetime64]) -> FloatArray:
    """One column per day of the week, Monday first, ``[N, 7]``."""
    return np.asarray(np.eye(WEEKDAYS)[weekday(day)], dtype=np.float64)


def weekday(day: NDArray[np.datetime64]) -> NDArray[np.intp]:
    """Day of the week of each date, Monday 0."""
    return np.asarray((day.astype("datetime64[D]").astype(np.int64) + 3) % WEEKDAYS, dtype=np.intp)
