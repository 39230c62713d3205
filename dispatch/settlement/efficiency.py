"""What settled days amount to: the efficiency index, its error bars, and the causes of a penalty."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
from scipy import stats

from dispatch.errors import DispatchError
from dispatch.settlement.problem import FloatArray, Settlement


@dataclass(frozen=True)
class Estimate:
    """A mean over realisations with its 95% confidence interval."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> list[float]:
        """Both ends of the interval, as ``summary.json`` holds them."""
        return [self.low, self.high]


def mean_estimate(values: FloatArray) -> Estimate:
    """Mean of independent values ``[K]`` with the interval of Student's t; one value alone has no interval."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Estimate(mean, float("nan"), float("nan"))
    half = float(stats.t.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return Estimate(mean, mean - half, mean + half)


def ratio_estimate(above: FloatArray, below: FloatArray) -> Estimate:
    """Ratio of two means over the same realisations ``[K]``, interval by the delta method.

    Raises ``DispatchError`` if the mean below is not positive, where the index has no meaning.
    """
    bottom = float(np.mean(below))
    if not bottom > 0:
        raise DispatchError(
            f"the efficiency index divides by a mean cost of {bottom:,.2f}, which is not positive; compare profits instead"
        )
    ratio, count = float(np.mean(above)) / bottom, len(above)
    if count < 2:
        return Estimate(ratio, float("nan"), float("nan"))
    half = float(stats.t.ppf(0.975, count - 1) * np.std(above - ratio * below, ddof=1) / (np.sqrt(count) * bottom))
    return Estimate(ratio, ratio - half, ratio + half)


def efficiency_index(settled: Settlement, *, with_subsidy: bool = True) -> Estimate:
    """Mean income over mean cost (Shi et al. 2023, Eq. 25; ``with_subsidy=False``: the denominator of Eq. 24).

    Both sums are taken over the realisations before dividing. The cost is what the settled day costs, deviations included,
    so no penalty is added to it a second time. The index is a ratio: the plan with the highest profit need not have the
    highest index, so report profit beside it.
    """
    cost = settled.cost if with_subsidy else settled.cost - settled.subsidy_cost
    return ratio_estimate(settled.income, cost)


def paired_difference(first: FloatArray, second: FloatArray) -> tuple[Estimate, float]:
    """Mean of ``first - second`` on common realisations ``[K]`` with its interval, and the two-sided p-value."""
    difference = first - second
    if len(difference) < 2 or not np.any(difference):
        return mean_estimate(difference), 1.0
    return mean_estimate(difference), float(stats.ttest_rel(first, second).pvalue)


def bootstrap_ratio(above: FloatArray, below: FloatArray, *, seed: int = 0, resamples: int = 4000) -> Estimate:
    """Ratio of two sums over the same realisations ``[K]``, interval by the percentile bootstrap over realisations.

    For a ratio whose sum below may come near zero, where the delta method fails (Efron and Tibshirani 1993, ch. 13).
    """
    count = len(above)
    if count < 2:
        return Estimate(float(above.sum() / below.sum()), float("nan"), float("nan"))
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=resamples)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (drawn @ above) / (drawn @ below)
    low, high = np.nanquantile(ratios, (0.025, 0.975))
    return Estimate(float(above.sum() / below.sum()), float(low), float(high))


def shapley_values(factors: Sequence[str], cost: Callable[[frozenset[str]], FloatArray]) -> Mapping[str, FloatArray]:
    """Share of each forecast error in the regret, by Shapley value.

    ``cost(wrong)`` settles the plan made with the factors in ``wrong`` forecast and all others known, ``[K]``. The values
    add up exactly to ``cost(all) - cost(none)``; a single one may be negative (two errors can cancel).
    """
    value = {
        subset: cost(subset)
        for size in range(len(factors) + 1)
        for subset in map(frozenset, combinations(factors, size))
    }
    total = factorial(len(factors))
    shares = {}
    for factor in factors:
        others = [name for name in factors if name != factor]
        share = np.zeros_like(value[frozenset()])
        for size in range(len(others) + 1):
            weight = factorial(size) * factorial(len(factors) - size - 1) / total
            for subset in map(frozenset, combinations(others, size)):
                share = share + weight * (value[subset | {factor}] - value[subset])
        shares[factor] = share
    return shares
