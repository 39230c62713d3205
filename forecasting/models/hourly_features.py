"""Regressors of one hour at a time, for models that treat all hours of all days alike (boosted trees)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import SettingError
from forecasting.models.lear_features import weekday
from forecasting.samples import DayAheadSamples

FloatArray = NDArray[np.float64]

_TARGET_LAGS_DAYS = (1, 2, 3, 7, 14)
_SHAPE_LAGS_DAYS = (1, 2, 7)
_CONDITION_LAGS_DAYS = (1, 7)
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class HourlyFeatures:
    """Regressors ``x`` ``[N, S, F]``, NaN where unknown; ``center``, ``spread`` ``[N]`` of the target in each row's past."""

    x: FloatArray
    center: FloatArray
    spread: FloatArray


def hourly_features(samples: DayAheadSamples, level_days: int | None) -> HourlyFeatures:
    """Regressors of every step of every row.

    The target enters relative to its recent past: less the mean of the last ``level_days`` days, divided by the mean
    absolute deviation from the median of the history; ``level_days=None`` leaves it as it is. Each published forecast enters in
    standard deviations of its own history: the step, its neighbours, the day's mean and largest value, the change against
    the same step one and seven days before; and, beside them, as it is. A history without a forecast gives its newest day.
    Of two or more published forecasts the first less all others enters too (load less wind is what prices follow).

    Raises ``SettingError`` if the samples have too short a history.
    """
    needed = max(7, level_days or 0)
    if samples.history_days < needed:
        raise SettingError(
            f"the regressors read the day d-{needed}, but the samples hold {samples.history_days} days of history; "
            f"build them with history_days >= {needed}"
        )
    history, future = samples.history.astype(np.float64), samples.future.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # a day of which nothing is known has no mean: NaN, as it should be
        past = history[..., 0]
        if level_days is None:
            center, spread = np.zeros(len(samples)), np.ones(len(samples))
        else:
            center, spread = _level_and_spread(past, level_days)
        scaled = (past - center[:, None, None]) / spread[:, None, None]
        columns = [*_calendar(samples), *_target_columns(scaled)]
        scales = []
        for channel, name in enumerate(samples.future_channels):
            values = future[..., channel]
            at = samples.history_channels.index(name) if name in samples.history_channels else None
            before = None if at is None else history[..., at]
            columns += _condition_columns(values, before)
            scales.append((values, before))
        if len(scales) > 1:
            columns += _difference_columns(scales)
        for channel, name in enumerate(samples.history_channels):
            if channel and name not in samples.future_channels:
                columns += [
                    history[:, -1, :, channel],
                    _repeat(np.nanmean(history[:, -1, :, channel], axis=1), samples),
                ]
    return HourlyFeatures(np.stack(columns, axis=-1), center, spread)


def _level_and_spread(past: FloatArray, level_days: int) -> tuple[FloatArray, FloatArray]:
    level = np.nanmean(past[:, -level_days:], axis=(1, 2))
    level = np.where(np.isfinite(level), level, np.nanmean(past, axis=(1, 2)))
    middle = np.nanmedian(past, axis=(1, 2), keepdims=True)
    spread = np.nanmean(np.abs(past - middle), axis=(1, 2))
    known = np.isfinite(level) & np.isfinite(spread)
    return np.where(known, level, 0.0), np.where(known, spread, 1.0) + _TINY


def _calendar(samples: DayAheadSamples) -> list[FloatArray]:
    dates = samples.day.astype("datetime64[D]")
    angle = 2 * np.pi * (dates - dates.astype("datetime64[Y]")).astype(np.int64) / 365.25
    step = np.broadcast_to(np.arange(samples.slots, dtype=np.float64), samples.y.shape)
    return [step, *(_repeat(values, samples) for values in (weekday(samples.day), np.sin(angle), np.cos(angle)))]


def _target_columns(past: FloatArray) -> list[FloatArray]:
    days, slots = past.shape[1:]
    columns = [past[:, -lag] for lag in _TARGET_LAGS_DAYS if lag <= days]
    columns += [np.nanmean(past, axis=1), np.nanstd(past[:, -7:], axis=1)]
    for lag in _SHAPE_LAGS_DAYS:
        day = past[:, -lag]
        columns += [_along(part(day, axis=1), slots) for part in (np.nanmean, np.nanmin, np.nanmax)]
    return [*columns, _along(past[:, -1, -1], slots)]


def _condition_columns(values: FloatArray, before: FloatArray | None) -> list[FloatArray]:
    slots = values.shape[1]
    center, spread = (0.0, 1.0) if before is None else _mean_and_deviation(before)
    scaled = (values - center) / spread
    columns = [scaled, np.roll(scaled, 1, axis=1), np.roll(scaled, -1, axis=1)]
    columns += [_along(np.nanmean(scaled, axis=1), slots), _along(np.nanmax(scaled, axis=1), slots)]
    if before is not None:
        columns += [(values - before[:, -lag]) / spread for lag in _CONDITION_LAGS_DAYS]
    return [*columns, values]


def _difference_columns(scales: list[tuple[FloatArray, FloatArray | None]]) -> list[FloatArray]:
    """The first published forecast less all others, and its change against the day before."""
    values = _first_less_others([values for values, _ in scales])
    pasts = [past for _, past in scales if past is not None]
    if len(pasts) < len(scales):
        return [values]
    before = _first_less_others(pasts)
    center, spread = _mean_and_deviation(before)
    return [(values - center) / spread, (values - before[:, -1]) / spread]


def _first_less_others(parts: list[FloatArray]) -> FloatArray:
    return np.asarray(parts[0] - np.sum(parts[1:], axis=0), dtype=np.float64)


def _mean_and_deviation(past: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Over the history of each row, ``[N, 1]``."""
    flat = past.reshape(len(past), -1)
    return np.nanmean(flat, axis=1, keepdims=True), np.nanstd(flat, axis=1, keepdims=True) + _TINY


def _repeat(values: NDArray[np.generic], samples: DayAheadSamples) -> FloatArray:
    return _along(values.astype(np.float64), samples.slots)


def _along(values: FloatArray, slots: int) -> FloatArray:
    return np.broadcast_to(values[:, None], (len(values), slots))
