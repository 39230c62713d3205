"""Joint scenario paths over hours, sites and targets, from the quantiles of each series and the ranks of past errors.

A path is one possible next day of all series together. Each hour of each series follows its own forecast distribution;
what binds the hours and the series is learned from how past errors went together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.covariance import ledoit_wolf

from forecasting.errors import DataError, SettingError
from forecasting.quantile_function import probability_of, values_at

FloatArray = NDArray[np.float64]


class Dependence(StrEnum):
    """How the ranks of the paths are drawn."""

    GAUSSIAN_COPULA = "gaussian_copula"  # Pinson et al., Wind Energy 12 (2009) 51-62
    SCHAAKE_SHUFFLE = "schaake_shuffle"  # Clark et al., J. Hydrometeorology 5 (2004) 243-262, on ranks of errors


class Coupling(StrEnum):
    """Whether series move together."""

    KEEP = "keep"
    BREAK = "break"  # hours within a series stay bound, series become independent: the control


@dataclass(frozen=True, eq=False)
class ErrorRanks:
    """Past forecast errors as probabilities in (0, 1): ``[D, S]`` per series, the same ``D`` days for all."""

    series: Mapping[str, FloatArray]

    def __post_init__(self) -> None:
        if not self.series:
            raise DataError("scenario paths need the past errors of at least one series")
        days = {name: len(values) for name, values in self.series.items()}
        if len(set(days.values())) != 1:
            raise DataError(f"past errors must cover the same days in every series, got {days}")
        for name, values in self.series.items():
            if not ((values > 0) & (values < 1)).all():
                raise DataError(f"error ranks of {name} must lie inside (0, 1); leave out days with missing truth")

    @staticmethod
    def of(y: Mapping[str, FloatArray], quantiles: Mapping[str, FloatArray], levels: Sequence[float]) -> ErrorRanks:
        """Ranks of past truths ``[D, S]`` within their past forecasts ``[D, S, Q]``."""
        return ErrorRanks({name: probability_of(truth, quantiles[name], levels) for name, truth in y.items()})

    @property
    def days(self) -> int:
        """Past days."""
        return len(next(iter(self.series.values())))


def sample_paths(
    quantiles: Mapping[str, FloatArray],
    levels: Sequence[float],
    past: ErrorRanks,
    count: int,
    *,
    dependence: Dependence = Dependence.GAUSSIAN_COPULA,
    coupling: Coupling = Coupling.KEEP,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    seed: int = 0,
) -> dict[str, FloatArray]:
    """``count`` equally likely joint paths ``[K, S]`` per series, for one day with quantiles ``[S, Q]`` per series.

    ``bounds`` clips a series to what is physical (wind to zero and capacity). Raises ``DataError`` if a series has no past
    errors, ``SettingError`` if the Schaake shuffle is asked for more paths than there are past days.
    """
    names = list(quantiles)
    absent = [name for name in names if name not in past.series]
    if absent:
        raise DataError(f"no past errors for {', '.join(absent)}; known: {', '.join(past.series)}")
    if count < 1:
        raise SettingError(f"at least one path is needed, got {count}")
    rng = np.random.default_rng(seed)
    blocks = [past.series[name] for name in names]  # each [D, S]
    draw = _gaussian_copula if dependence is Dependence.GAUSSIAN_COPULA else _schaake_shuffle
    if coupling is Coupling.KEEP:
        probability = np.split(
            draw(np.hstack(blocks), count, rng), np.cumsum([b.shape[1] for b in blocks])[:-1], axis=1
        )
    else:
        probability = [draw(block, count, rng) for block in blocks]
    paths = {}
    for name, u in zip(names, probability, strict=True):
        low, high = (bounds or {}).get(name, (-np.inf, np.inf))
        paths[name] = np.clip(values_at(u, quantiles[name][None], levels), low, high)
    return paths


def _gaussian_copula(ranks: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Probabilities ``[K, dims]`` with the (shrunk) correlation of the normal scores of past ranks ``[D, dims]``."""
    if len(ranks) < 2:
        raise DataError("a Gaussian copula needs at least two past days")
    scores = norm.ppf(np.clip(ranks, 1e-4, 1.0 - 1e-4))
    scores = (scores - scores.mean(axis=0)) / np.maximum(scores.std(axis=0), 1e-9)
    covariance, _ = ledoit_wolf(scores, assume_centered=True)
    deviation = np.sqrt(np.diag(covariance))
    varies = deviation > 0  # a step whose rank never changed moves alone
    scale = np.where(varies, deviation, 1.0)
    correlation = covariance / np.outer(scale, scale) + np.diag(~varies)
    drawn = rng.multivariate_normal(np.zeros(ranks.shape[1]), correlation, size=count, method="eigh")
    return np.asarray(np.clip(norm.cdf(drawn), 1e-9, 1.0 - 1e-9), dtype=np.float64)


def _schaake_shuffle(ranks: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Equidistant probabilities ``[K, dims]`` in the order in which ``count`` past days ranked; ties by lot."""
    if count > len(ranks):
        raise SettingError(
            f"the Schaake shuffle makes at most one path per past day: {count} asked, {len(ranks)} known"
        )
    days = rng.choice(len(ranks), size=count, replace=False)
    lot = rng.permuted(np.broadcast_to(np.arange(count), (ranks.shape[1], count)), axis=1).T
    order = np.lexsort((lot, ranks[days]), axis=0)  # [K, dims]
    place = np.argsort(order, axis=0)
    return np.asarray((place + 0.5) / count, dtype=np.float64)
