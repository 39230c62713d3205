"""Weighted averages of forecasters, with weights learned from days whose truth was known at each decision time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from forecasting.errors import DataError, SettingError
from forecasting.models.base import Prediction

FloatArray = NDArray[np.float64]


class Weighting(StrEnum):
    """How the weights of the members come about."""

    EQUAL = "equal"
    ROLLING = "rolling"  # least MAE of the median over the last days, refitted now and then
    ML_POLY = "ml_poly"  # expert aggregation, updated every day


@dataclass(frozen=True, eq=False)
class Aggregate:
    """The average distribution, and the weight of each member on each row ``[N, M]`` in the order of ``members``."""

    prediction: Prediction
    members: tuple[str, ...]
    weights: FloatArray


@dataclass(frozen=True)
class Aggregation:
    """Averages member distributions quantile by quantile with weights that are positive and sum to one.

    ``window_days``: days that ``rolling`` learns from; ``every_days``: days between two of its fits; ``shrinkage``: share
    of equal weights mixed into them. ``least_days``: with fewer known days the weights are equal. ``delay_days``: the
    newest day whose truth is known when day ``d`` is forecast is ``d - delay_days``.
    """

    weighting: Weighting = Weighting.ROLLING
    window_days: int = 364
    every_days: int = 28
    least_days: int = 56
    shrinkage: float = 0.25
    delay_days: int = 1

    def __post_init__(self) -> None:
        if min(self.window_days, self.every_days, self.least_days, self.delay_days) < 1:
            raise SettingError("aggregation: window_days, every_days, least_days and delay_days must be at least 1")
        if not 0.0 <= self.shrinkage <= 1.0:
            raise SettingError(f"aggregation: shrinkage must lie in [0, 1], got {self.shrinkage}")

    def combine(
        self, members: Mapping[str, Prediction], y: NDArray[np.floating], day: NDArray[np.datetime64]
    ) -> Aggregate:
        """Average the members on rows of one zone, ``day`` ``[N]`` increasing; ``y`` ``[N, S]``, NaN where unknown.

        Raises ``DataError`` if members disagree in shape or levels, or days do not increase.
        """
        names = tuple(members)
        parts = list(members.values())
        if not parts:
            raise DataError("an ensemble needs at least one member")
        if any(part.levels != parts[0].levels or part.quantiles.shape != parts[0].quantiles.shape for part in parts):
            raise DataError(f"members {', '.join(names)} do not predict the same days, steps and levels")
        if 0.5 not in parts[0].levels:
            raise DataError("members must predict the median: weights are learned from its errors")
        days = day.astype("datetime64[D]").astype(np.int64)
        if y.shape != parts[0].mean.shape or (np.diff(days) <= 0).any():
            raise DataError("an ensemble is combined over one zone: one row per day, days increasing")
        middle = parts[0].levels.index(0.5)
        medians = np.stack([part.quantiles[..., middle] for part in parts], axis=1)  # [N, M, S]
        truth = np.asarray(y, dtype=np.float64)
        weights = {
            Weighting.EQUAL: self._equal,
            Weighting.ROLLING: self._rolling,
            Weighting.ML_POLY: self._ml_poly,
        }[self.weighting](truth, medians, days)
        averaged = Prediction(
            mean=_weighted(weights, [part.mean for part in parts]),
            std=_weighted(weights, [part.std for part in parts]),
            quantiles=_weighted(weights, [part.quantiles for part in parts]),
            levels=parts[0].levels,
        )
        return Aggregate(averaged, names, weights)

    def _equal(self, y: FloatArray, medians: FloatArray, days: NDArray[np.int64]) -> FloatArray:
        return np.full(medians.shape[:2], 1.0 / medians.shape[1])

    def _rolling(self, y: FloatArray, medians: FloatArray, days: NDArray[np.int64]) -> FloatArray:
        weights = self._equal(y, medians, days)
        known = np.isfinite(y).all(axis=1)
        current, fitted_on = weights[0], None
        for row, day in enumerate(days):
            newest = day - self.delay_days
            past = known & (days <= newest) & (days > newest - self.window_days)
            due = fitted_on is None or day - fitted_on >= self.every_days
            if due and past.sum() >= self.least_days:
                best = least_absolute_weights(y[past], medians[past])
                current = (1.0 - self.shrinkage) * best + self.shrinkage / medians.shape[1]
                fitted_on = day
            weights[row] = current
        return weights

    def _ml_poly(self, y: FloatArray, medians: FloatArray, days: NDArray[np.int64]) -> FloatArray:
        """ML-Poly of Gaillard, Stoltz and van Erven (COLT 2014), with the gradient trick, one loss per day.

        Learning rates ``1 / (B + sum r^2)`` per member, ``r`` its regret of the day and ``B`` the largest ``r^2``.
        """
        weights = self._equal(y, medians, days)
        count = medians.shape[1]
        regret, squares, largest = np.zeros(count), np.zeros(count), 0.0
        learned = 0
        for row, day in enumerate(days):
            while learned < len(days) and days[learned] <= day - self.delay_days:
                if np.isfinite(y[learned]).all():
                    mixed = weights[learned] @ medians[learned]  # [S]
                    slope = np.sign(mixed - y[learned])
                    gain = (slope * (mixed - medians[learned])).mean(axis=1)  # [M]
                    regret += gain
                    squares += gain**2
                    largest = max(largest, float((gain**2).max()))
                learned += 1
            pull = np.maximum(regret, 0.0) / (largest + squares + 1e-12)
            if pull.sum() > 0:
                weights[row] = pull / pull.sum()
        return weights


def least_absolute_weights(y: FloatArray, forecasts: FloatArray) -> FloatArray:
    """Weights ``[M]`` on the simplex with the least MAE of ``y`` ``[N, S]`` by ``forecasts`` ``[N, M, S]``.

    Exact, by the dual linear programme: ``max u'y - t`` over ``|u| <= 1/n`` with ``t`` at least ``u'`` of each member, whose
    ``M`` rows solve some forty times faster than the two rows per hour of the primal; the weights are its multipliers.
    """
    members = forecasts.shape[1]
    errors = np.moveaxis(forecasts - y[:, None], 1, -1).reshape(-1, members)  # weights sum to one, so y may go inside
    size = len(errors)
    solution = linprog(
        np.append(np.zeros(size), 1.0),
        A_ub=np.column_stack([-errors.T, -np.ones(members)]),
        b_ub=np.zeros(members),
        bounds=[(-1.0 / size, 1.0 / size)] * size + [(None, None)],
        method="highs-ds",
    )
    if not solution.success:
        raise DataError(f"no ensemble weights found: {solution.message}")
    weights = np.clip(-solution.ineqlin.marginals, 0.0, None)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _weighted(weights: FloatArray, values: list[FloatArray]) -> FloatArray:
    """Sum over members of ``weights`` ``[N, M]`` times ``values`` (one ``[N, ...]`` per member)."""
    return np.asarray(np.einsum("nm,mn...->n...", weights, np.stack(values)), dtype=np.float64)
