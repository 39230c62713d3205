"""Plain statistics of how a farm answers its region: the control that a learned embedding has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from forecasting.benchmarks.wind import HOURS
from forecasting.benchmarks.wind_samples import REGIONAL
from forecasting.errors import DataError
from forecasting.samples import DayAheadSamples

FloatArray = NDArray[np.float64]

_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
#: Bins of the regional forecast, shares of capacity.
_REGION_EDGES = (0.15, 0.3, 0.45, 0.6)
_BLOCK_HOURS = 6
_LAGS_H = (1, 6)
#: Fewest hours behind a statistic of a bin; with fewer it is that of all hours.
_FEWEST_HOURS = 24


def pair_statistics(
    samples: DayAheadSamples, training_sites: Sequence[str], average_days: int = 180
) -> dict[str, NDArray[np.float32]]:
    """One vector per farm from power and regional forecast of its last ``average_days``: 22 statistics.

    They are standardised by mean and spread over ``training_sites``, so that a farm that never trained is described on the
    scale of those that did. Raises ``DataError`` for a farm without a known hour.
    """
    raw = {}
    for site in sorted(set(samples.zone.tolist())):
        rows = samples.select(samples.zone == site)
        rows = rows.select(rows.day > rows.day.max() - np.timedelta64(average_days, "D"))
        region = rows.future[..., rows.future_channels.index(REGIONAL)]
        raw[site] = _statistics(rows.y.astype(np.float64), region.astype(np.float64), site)
    known = np.stack([raw[site] for site in training_sites])
    center, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
    return {site: ((values - center) / spread).astype(np.float32) for site, values in raw.items()}


def _statistics(power: FloatArray, region: FloatArray, site: str) -> FloatArray:
    both = np.isfinite(power) & np.isfinite(region)
    if not both.any():
        raise DataError(f"farm {site}: no hour with power and regional forecast to describe it by")
    p, y = power[both], region[both]
    departure = p - y
    slope = np.cov(p, y, bias=True)[0, 1] / max(float(y.var()), 1e-9)
    correlation = slope * y.std() / max(float(p.std()), 1e-9)
    found = [p.mean(), p.std(), departure.mean(), departure.std(), slope, correlation, *np.quantile(p, _QUANTILES)]
    edges = (-np.inf, *_REGION_EDGES, np.inf)
    bins = [(y > low) & (y <= high) for low, high in pairwise(edges)]
    hour = np.broadcast_to(np.arange(HOURS), power.shape)[both]
    bins += [hour // _BLOCK_HOURS == block for block in range(HOURS // _BLOCK_HOURS)]
    found += [departure[rows if rows.sum() >= _FEWEST_HOURS else slice(None)].mean() for rows in bins]
    series = (power - np.nanmean(power)).reshape(-1)
    found += [np.nanmean(series[lag:] * series[:-lag]) / max(float(p.var()), 1e-9) for lag in _LAGS_H]
    return np.asarray(found, dtype=np.float64)
