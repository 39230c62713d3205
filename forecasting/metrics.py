"""Scores of point, interval, quantile and path forecasts. All are means over every element, in the unit of the target.

Every function takes plain arrays and raises ``DataError`` if shapes disagree or a value is not finite: a score that
skipped gaps silently would compare forecasters on different hours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecasting.errors import DataError
from forecasting.quantile_function import probability_of

FloatArray = NDArray[np.float64]


def _checked(**arrays: ArrayLike) -> list[FloatArray]:
    values = [np.asarray(array, dtype=np.float64) for array in arrays.values()]
    for name, value in zip(arrays, values, strict=True):
        if value.size == 0:
            raise DataError(f"cannot score: {name} is empty")
        if not np.isfinite(value).all():
            raise DataError(
                f"cannot score: {name} has {int((~np.isfinite(value)).sum())} values that are not finite; mask them"
            )
    return values


def _checked_pair(y: ArrayLike, forecast: ArrayLike) -> tuple[FloatArray, FloatArray]:
    truth, guess = _checked(y=y, forecast=forecast)
    if truth.shape != guess.shape:
        raise DataError(f"cannot score: y has shape {truth.shape}, forecast has shape {guess.shape}")
    return truth, guess


def _checked_quantiles(
    y: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    truth, values = _checked(y=y, quantiles=quantiles)
    alphas = np.asarray(levels, dtype=np.float64)
    if values.shape != (*truth.shape, len(alphas)):
        raise DataError(f"cannot score: quantiles have shape {values.shape}, expected {(*truth.shape, len(alphas))}")
    if len(alphas) == 0 or (np.diff(alphas) <= 0).any() or alphas[0] <= 0 or alphas[-1] >= 1:
        raise DataError(f"quantile levels must increase inside (0, 1), got {tuple(levels)}")
    return truth, values, alphas


def mean_absolute_error(y: ArrayLike, forecast: ArrayLike) -> float:
    """MAE: mean of ``|y - forecast|``."""
    truth, guess = _checked_pair(y, forecast)
    return float(np.abs(truth - guess).mean())


def root_mean_square_error(y: ArrayLike, forecast: ArrayLike) -> float:
    """RMSE: root of the mean of ``(y - forecast)^2``."""
    truth, guess = _checked_pair(y, forecast)
    return float(np.sqrt(np.square(truth - guess).mean()))


def symmetric_mape(y: ArrayLike, forecast: ArrayLike) -> float:
    """SMAPE as a fraction in [0, 2]: mean of ``2 |y - forecast| / (|y| + |forecast|)``.

    The definition of Lago et al., Applied Energy 293 (2021) 116983. An hour in which both are zero counts as 0.
    """
    truth, guess = _checked_pair(y, forecast)
    size = np.abs(truth) + np.abs(guess)
    ratio = np.divide(2.0 * np.abs(truth - guess), size, out=np.zeros_like(size), where=size > 0)
    return float(ratio.mean())


def relative_mae(y: ArrayLike, forecast: ArrayLike, naive_forecast: ArrayLike) -> float:
    """RMAE: MAE over the MAE of a naive forecast on the same hours (Lago et al. 2021)."""
    scale = mean_absolute_error(y, naive_forecast)
    if scale == 0.0:
        raise DataError("rMAE is undefined: the naive forecast makes no error")
    return mean_absolute_error(y, forecast) / scale


def mean_absolute_scaled_error(y: ArrayLike, forecast: ArrayLike, insample: ArrayLike, season: int) -> float:
    """MASE: MAE over the in-sample MAE of repeating the value ``season`` steps before.

    Hyndman and Koehler, Int. J. Forecasting 22 (2006) 679-688. ``insample`` is one series in time order (any shape,
    read row by row); ``season`` is in steps (24 for one day of hours, 168 for one week).
    """
    (series,) = _checked(insample=np.ravel(np.asarray(insample, dtype=np.float64)))
    if not 0 < season < len(series):
        raise DataError(f"MASE with season {season} needs more than {season} in-sample values, got {len(series)}")
    scale = float(np.abs(series[season:] - series[:-season]).mean())
    if scale == 0.0:
        raise DataError("MASE is undefined: the in-sample series repeats itself exactly")
    return mean_absolute_error(y, forecast) / scale


def pinball_losses(y: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> FloatArray:
    """Pinball loss ``max(a (y - q), (a - 1) (y - q))`` of every element and level, shape ``[..., level]``."""
    truth, values, alphas = _checked_quantiles(y, quantiles, levels)
    error = truth[..., None] - values
    return np.maximum(alphas * error, (alphas - 1.0) * error)


def pinball_loss(y: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> float:
    """Pinball loss averaged over elements and levels."""
    return float(pinball_losses(y, quantiles, levels).mean())


def crps_values_from_quantiles(y: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> FloatArray:
    """CRPS of every element: twice the integral of the pinball loss over the level, by the trapezoid rule.

    CRPS = 2 int_0^1 pinball_a da (Gneiting and Ranjan, J. Bus. Econ. Stat. 29 (2011) 411-422). The loss is zero at
    levels 0 and 1 for any distribution whose support holds ``y``; these two ends close the rule, so uneven levels
    are weighted right.
    """
    losses = pinball_losses(y, quantiles, levels)
    grid = np.concatenate([[0.0], np.asarray(levels, dtype=np.float64), [1.0]])
    weights = (grid[2:] - grid[:-2]) / 2.0
    return np.asarray(2.0 * losses @ weights, dtype=np.float64)


def crps_from_quantiles(y: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> float:
    """Mean CRPS of quantile forecasts; see ``crps_values_from_quantiles``."""
    return float(crps_values_from_quantiles(y, quantiles, levels).mean())


def crps_from_samples(y: ArrayLike, samples: ArrayLike) -> float:
    """Mean CRPS of ensembles ``[..., K]``: ``E|X - y| - E|X - X'| / 2``.

    Gneiting and Raftery, JASA 102 (2007) 359-378, Eq. 21, with the sign turned so that less is better. The second
    expectation is over all ``K^2`` pairs: the exact CRPS of the empirical distribution.
    """
    truth, paths = _checked(y=y, samples=samples)
    if paths.shape[:-1] != truth.shape:
        raise DataError(f"cannot score: samples have shape {paths.shape}, expected {truth.shape} and one axis of paths")
    count = paths.shape[-1]
    ordered = np.sort(paths, axis=-1)
    # sum over pairs |x_i - x_j| of a sorted ensemble is 2 sum_k (2k - K - 1) x_k, k = 1..K
    signs = 2.0 * np.arange(1, count + 1) - count - 1.0
    spread = 2.0 * (ordered @ signs) / count**2
    return float((np.abs(paths - truth[..., None]).mean(axis=-1) - spread / 2.0).mean())


def _checked_interval(y: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    truth, low, high = _checked(y=y, lower=lower, upper=upper)
    if not truth.shape == low.shape == high.shape:
        raise DataError(f"cannot score: y, lower and upper have shapes {truth.shape}, {low.shape}, {high.shape}")
    if (low > high).any():
        raise DataError("cannot score: a lower bound lies above its upper bound")
    return truth, low, high


def interval_coverage(y: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> float:
    """Share of ``y`` inside ``[lower, upper]``, bounds included."""
    truth, low, high = _checked_interval(y, lower, upper)
    return float(((truth >= low) & (truth <= high)).mean())


def winkler_score(y: ArrayLike, lower: ArrayLike, upper: ArrayLike, coverage: float) -> float:
    """Interval score: width plus ``2 / (1 - coverage)`` times the distance by which ``y`` falls outside.

    Winkler, JASA 67 (1972) 187-191; Gneiting and Raftery 2007, Eq. 43.
    """
    if not 0.0 < coverage < 1.0:
        raise DataError(f"the nominal coverage must lie inside (0, 1), got {coverage}")
    truth, low, high = _checked_interval(y, lower, upper)
    outside = np.maximum(low - truth, 0.0) + np.maximum(truth - high, 0.0)
    return float((high - low + 2.0 / (1.0 - coverage) * outside).mean())


def pit_from_quantiles(y: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> FloatArray:
    """Probability integral transform of every element, in (0, 1): linear between quantiles, exponential tails."""
    truth, values, _ = _checked_quantiles(y, quantiles, levels)
    return probability_of(truth, values, levels)


def energy_score(y: ArrayLike, paths: ArrayLike) -> float:
    """Energy score of joint paths, mean over days: ``E||X - y|| - E||X - X'|| / 2``.

    Gneiting and Raftery 2007, Eq. 22, with the sign turned so that less is better.
    ``y`` is ``[N, D]`` and ``paths`` ``[N, K, D]``; ``D`` runs over everything that is forecast jointly.
    """
    truth, members = _checked_paths(y, paths)
    total = 0.0
    for actual, ensemble in zip(truth, members, strict=True):
        squares = np.square(ensemble).sum(axis=1)
        pairs = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2.0 * ensemble @ ensemble.T, 0.0))
        np.fill_diagonal(pairs, 0.0)
        total += float(np.linalg.norm(ensemble - actual, axis=1).mean() - pairs.mean() / 2.0)
    return total / len(truth)


def variogram_score(y: ArrayLike, paths: ArrayLike, order: float = 0.5) -> float:
    """Variogram score of joint paths, mean over days and over the pairs of components.

    Scheuerer and Hamill, Mon. Weather Rev. 143 (2015) 1321-1334, with equal weights that sum to one over the
    ``D (D - 1)`` ordered pairs (the paper sums without dividing). It sees wrong dependence, which the energy score
    hardly does. ``y`` is ``[N, D]``, ``paths`` ``[N, K, D]``, ``D >= 2``.
    """
    truth, members = _checked_paths(y, paths)
    size = truth.shape[1]
    if size < 2:
        raise DataError("the variogram score needs at least two components")
    total = 0.0
    for actual, ensemble in zip(truth, members, strict=True):
        seen = np.abs(actual[:, None] - actual[None, :]) ** order
        expected = np.zeros_like(seen)
        for component in range(size):
            expected[component] = (np.abs(ensemble - ensemble[:, [component]]) ** order).mean(axis=0)
        total += float(np.square(seen - expected).sum() / (size * (size - 1)))
    return total / len(truth)


def _checked_paths(y: ArrayLike, paths: ArrayLike) -> tuple[FloatArray, FloatArray]:
    truth, members = _checked(y=y, paths=paths)
    if truth.ndim != 2 or members.ndim != 3 or (members.shape[0], members.shape[2]) != truth.shape:
        raise DataError(f"cannot score paths: y has shape {truth.shape}, paths {members.shape}; need [N, D], [N, K, D]")
    return truth, members
