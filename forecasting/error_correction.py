"""Online error correction: what the last errors of a forecast say about its next one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError, SettingError
from forecasting.models.base import Prediction

FloatArray = NDArray[np.float64]

_WEEK = 7
#: Errors beyond this many robust standard deviations count as that many: a spike is no level.
_CLIP = 4.0
_NORMAL_MAD = 1.4826
#: Part of the day whose last errors are nearest to the day to come.
_EVENING_SHARE = 1 / 8
_SHARES = np.linspace(0.0, 1.0, 11)


@dataclass(frozen=True)
class ErrorCorrection:
    """Shifts a distribution by the error that a ridge regression on recent errors expects, as far as that has paid.

    Regressors of each step, from errors of the median: the same step on the newest known day, that day's mean and the
    mean of its last eighth, the mean of the same step over the last seven days, and that mean over the steps. The
    regression is refitted every day on the last ``window_days`` known days. What is added is a share, from 0 to 1, of
    what it expects: the one with the least MAE on the same days, shrunk towards 0 while they are few. So a forecast whose
    errors have no memory stays as it is.

    ``least_days``: with fewer known days nothing is changed. ``delay_days``: the newest day whose truth is known when day
    ``d`` is forecast is ``d - delay_days``. ``ridge``: penalty in units of each regressor's own sum of squares.
    """

    window_days: int = 182
    least_days: int = 28
    delay_days: int = 1
    ridge: float = 1.0

    def __post_init__(self) -> None:
        if min(self.window_days, self.least_days, self.delay_days) < 1 or self.ridge < 0:
            raise SettingError(
                "error correction: window_days, least_days and delay_days must be at least 1, ridge not negative"
            )

    def correct(self, prediction: Prediction, y: NDArray[np.floating], day: NDArray[np.datetime64]) -> Prediction:
        """Every day corrected by the days before it, as it would have been online.

        One zone: ``day`` ``[N]`` increasing, ``y`` ``[N, S]``, NaN where unknown. Raises ``DataError`` if days do not increase or
        the median is not among the levels.
        """
        days = day.astype("datetime64[D]").astype(np.int64)
        if y.shape != prediction.mean.shape or (np.diff(days) <= 0).any() or 0.5 not in prediction.levels:
            raise DataError("errors are corrected over one zone: one row per day, days increasing, the median forecast")
        errors = np.asarray(y, dtype=np.float64) - prediction.quantiles[..., prediction.levels.index(0.5)]
        known = np.flatnonzero(np.isfinite(errors).all(axis=1))
        expected, added = np.zeros_like(errors), np.zeros_like(errors)
        regressors = np.zeros((*errors.shape, 5))
        for row, today in enumerate(days):
            past = known[days[known] <= today - self.delay_days]
            if len(past):
                regressors[row] = _regressors(errors[past[-_WEEK:]])
            learned = past[days[past] > today - self.delay_days - self.window_days]
            if len(learned) < self.least_days:
                continue
            expected[row] = self._expect(regressors[learned], errors[learned], regressors[row])
            tried = learned[learned >= known[self.least_days]]
            if len(tried):
                added[row] = self._share(errors[tried], expected[tried]) * expected[row]
        moved = prediction.quantiles + added[..., None]
        return replace(prediction, mean=prediction.mean + added, quantiles=moved)

    def _expect(self, regressors: FloatArray, errors: FloatArray, today: FloatArray) -> FloatArray:
        """Error of each step ``[S]`` expected from ``today`` ``[S, 5]``."""
        limit = _CLIP * _NORMAL_MAD * float(np.median(np.abs(errors)))
        x = np.clip(regressors, -limit, limit).reshape(-1, regressors.shape[-1])
        products = x.T @ x
        penalty = self.ridge * np.diag(products) + np.finfo(float).tiny
        weights = np.linalg.lstsq(products + np.diag(penalty), x.T @ np.clip(errors, -limit, limit).ravel(), rcond=None)
        return np.asarray(np.clip(today, -limit, limit) @ weights[0], dtype=np.float64)

    def _share(self, errors: FloatArray, expected: FloatArray) -> float:
        left = np.abs(errors - _SHARES[:, None, None] * expected).mean(axis=(1, 2))
        return float(_SHARES[left.argmin()]) * len(errors) / (len(errors) + self.least_days)


def _regressors(recent: FloatArray) -> FloatArray:
    """From the errors ``[D, S]`` of the newest known days, at most seven: ``[S, 5]``."""
    newest, week = recent[-1], recent.mean(axis=0)
    evening = max(1, round(_EVENING_SHARE * len(newest)))
    wide = [newest.mean(), newest[-evening:].mean(), week.mean()]
    return np.column_stack([newest, week, *(np.full(len(newest), value) for value in wide)])
