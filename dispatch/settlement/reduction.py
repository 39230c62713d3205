"""Fewer scenarios that stand for many: fast forward selection, weights, and the mean put right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from dispatch.errors import OptionError
from dispatch.settlement.problem import FloatArray, Realisations


@dataclass(frozen=True, eq=False)
class ReducedScenarios:
    """``N`` scenarios with their weights, which days of the full set they were, and the distance that is left."""

    days: Realisations
    weight: FloatArray
    chosen: NDArray[np.intp]
    distance: float


def reduce_scenarios(days: Realisations, count: int, *, keep_mean: bool = True) -> ReducedScenarios:
    """The ``count`` of ``K`` equally likely days that stand best for all (Heitsch and Roemisch, Comput. Optim. Appl. 24, 2003).

    Each step adds the day that lowers the mean distance of all days to their nearest chosen one most; a chosen day weighs
    as much as the days that are nearest to it. Price, wind and load are measured in their own standard deviations.
    ``keep_mean`` shifts the chosen days so that their weighted mean is that of all days hour by hour, since selection
    leaves out the outer days and profit is nearly linear in price; wind and load stay above zero.

    Raises
    ------
    OptionError
        If ``count`` is not between 1 and ``K``.
    """
    total = len(days)
    if not 1 <= count <= total:
        raise OptionError(f"cannot reduce {total} scenarios to {count}; ask for 1 to {total}")
    series = (days.price_per_mwh, days.wind_mw, days.load_mw)
    points = np.concatenate([values / (float(values.std(axis=0).mean()) or 1.0) for values in series], axis=1)
    distance = cdist(points, points)
    nearest = np.full(total, np.inf)
    chosen: list[int] = []
    for _ in range(count):
        left = np.minimum(nearest[None, :], distance).sum(axis=1)
        left[chosen] = np.inf
        chosen.append(int(left.argmin()))
        nearest = np.minimum(nearest, distance[chosen[-1]])
    kept = np.array(chosen)
    owner = distance[kept].argmin(axis=0)
    weight = np.bincount(owner, minlength=count) / total
    reduced = days.take(kept)
    if keep_mean:
        shifted = [values[kept] + values.mean(axis=0) - weight @ values[kept] for values in series]
        reduced = Realisations(shifted[0], np.clip(shifted[1], 0.0, None), np.clip(shifted[2], 0.0, None))
    return ReducedScenarios(reduced, weight, kept, float(nearest.mean()))


def uncoupled(days: Realisations, seed: int) -> Realisations:
    """The same days with price, wind and load drawn from different ones: hours stay bound, series become independent."""
    rng = np.random.default_rng(seed)
    first, second = rng.permutation(len(days)), rng.permutation(len(days))
    return Realisations(days.price_per_mwh, days.wind_mw[first], days.load_mw[second])
