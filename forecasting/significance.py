"""Is one forecaster better than another, or was it luck? Diebold-Mariano and Giacomini-White tests.

Both compare losses of the same days: ``y``, ``forecast`` and ``rival`` are ``[N, S]``, one row per day. The loss of a day
is the mean absolute error of its hours (the multivariate version of Ziel and Weron, Energy Economics 70 (2018) 396-420).
P-values are one-sided: small means that ``forecast`` is better than ``rival``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, norm

from forecasting.errors import DataError, SettingError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TestResult:
    """Statistic, one-sided p-value, and by how much the loss of the rival is greater (in the unit of the loss)."""

    __test__ = False  # not a test case, whatever its name says to pytest

    statistic: float
    p_value: float
    advantage: float
    days: int


def daily_absolute_loss(y: ArrayLike, forecast: ArrayLike) -> FloatArray:
    """Mean absolute error of each day, ``[N]``."""
    truth, guess = np.asarray(y, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != guess.shape:
        raise DataError(
            f"a loss per day needs two arrays [day, step] of one shape, got {truth.shape} and {guess.shape}"
        )
    return np.asarray(np.abs(truth - guess).mean(axis=1), dtype=np.float64)


def diebold_mariano_of_losses(loss: ArrayLike, rival_loss: ArrayLike, lags: int = 0) -> TestResult:
    """Diebold-Mariano test of two loss series ``[N]``, one value per day.

    Diebold and Mariano, J. Bus. Econ. Stat. 13 (1995) 253-263: mean difference over its standard error, against the
    standard normal. ``lags`` > 0 takes autocorrelation of that many days into the error with Bartlett weights (Newey and
    West, Econometrica 55 (1987) 703-708); 0 is the choice of Lago et al., Applied Energy 293 (2021) 116983.

    Raises ``DataError`` for fewer than two days, values that are not finite, or equal losses on all days.
    """
    difference = _difference(loss, rival_loss)
    days = len(difference)
    if not 0 <= lags < days:
        raise SettingError(f"lags must lie in [0, {days - 1}], got {lags}")
    centred = difference - difference.mean()
    variance = float(centred @ centred) / days
    for lag in range(1, lags + 1):
        variance += 2.0 * (1.0 - lag / (lags + 1.0)) * float(centred[lag:] @ centred[:-lag]) / days
    statistic = float(difference.mean() / np.sqrt(variance / days))
    return TestResult(statistic, float(norm.sf(statistic)), float(difference.mean()), days)


def diebold_mariano(y: ArrayLike, forecast: ArrayLike, rival: ArrayLike, lags: int = 0) -> TestResult:
    """Diebold-Mariano test over whole days, by the mean absolute error of each day."""
    return diebold_mariano_of_losses(daily_absolute_loss(y, forecast), daily_absolute_loss(y, rival), lags)


def diebold_mariano_by_step(y: ArrayLike, forecast: ArrayLike, rival: ArrayLike, lags: int = 0) -> list[TestResult]:
    """Diebold-Mariano test of every hour (or quarter-hour) of the day on its own."""
    truth, ours, theirs = (np.asarray(array, dtype=np.float64) for array in (y, forecast, rival))
    if not truth.ndim == 2 or not truth.shape == ours.shape == theirs.shape:
        raise DataError(f"need three arrays [day, step] of one shape, got {truth.shape}, {ours.shape}, {theirs.shape}")
    losses, rivals = np.abs(truth - ours), np.abs(truth - theirs)
    return [diebold_mariano_of_losses(losses[:, step], rivals[:, step], lags) for step in range(truth.shape[1])]


def giacomini_white_of_losses(loss: ArrayLike, rival_loss: ArrayLike) -> TestResult:
    """Giacomini-White test of conditional predictive ability, one step ahead, of two loss series ``[N]``.

    Giacomini and White, Econometrica 74 (2006) 1545-1578, Theorem 1: with instruments 1 and the loss difference of the
    day before, ``T R^2`` of the regression of 1 on (instruments x difference) is chi-square with 2 degrees of freedom.
    One-sided as in Lago et al. 2021: the statistic carries the sign of the mean difference.
    """
    difference = _difference(loss, rival_loss)
    if len(difference) < 4:
        raise DataError(f"the Giacomini-White test needs at least 4 days, got {len(difference)}")
    later, instruments = difference[1:], np.column_stack([np.ones(len(difference) - 1), difference[:-1]])
    weighted = instruments * later[:, None]  # [T, 2]
    solution = np.linalg.lstsq(weighted, np.ones(len(later)), rcond=None)[0]
    unexplained = 1.0 - weighted @ solution
    statistic = float(len(later) - unexplained @ unexplained) * float(np.sign(later.mean()))
    return TestResult(statistic, float(chi2.sf(statistic, 2)), float(difference.mean()), len(difference))


def giacomini_white(y: ArrayLike, forecast: ArrayLike, rival: ArrayLike) -> TestResult:
    """Giacomini-White test over whole days, by the mean absolute error of each day."""
    return giacomini_white_of_losses(daily_absolute_loss(y, forecast), daily_absolute_loss(y, rival))


def _difference(loss: ArrayLike, rival_loss: ArrayLike) -> FloatArray:
    ours, theirs = np.asarray(loss, dtype=np.float64), np.asarray(rival_loss, dtype=np.float64)
    if ours.ndim != 1 or ours.shape != theirs.shape or len(ours) < 2:
        raise DataError(f"need two loss series of the same days, at least two, got shapes {ours.shape}, {theirs.shape}")
    difference = theirs - ours
    if not np.isfinite(difference).all():
        raise DataError("losses hold values that are not finite; leave those days out of both series")
    if np.ptp(difference) == 0.0:
        raise DataError("both forecasts lose the same on every day: no test can tell them apart")
    return np.asarray(difference, dtype=np.float64)
