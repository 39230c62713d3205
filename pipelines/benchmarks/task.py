"""One benchmark task: a market or a site with its samples, its test days and the published forecasts for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forecasting.samples import DayAheadSamples


@dataclass(frozen=True, eq=False)
class BenchmarkTask:
    """What a forecaster has to do.

    ``first`` to ``last`` are the days that count; forecasting starts ``burn_in_days`` earlier, so that intervals and
    ensemble weights have known days to learn from. ``peers``: published point forecasts of the test days, ``[N, S]``;
    ``reference`` names the one that significance tests compare with. ``kind``: ``market`` or ``site``. ``delay_days``:
    the newest known truth when day ``d`` is forecast is that of ``d - delay_days``. ``bounds``: physical range. ``pool``:
    ``samples`` and those of other places under common channel names, for members that learn from many places first.
    """

    kind: str
    place: str
    samples: DayAheadSamples
    first: np.datetime64
    last: np.datetime64
    burn_in_days: int = 0
    delay_days: int = 1
    bounds: tuple[float, float] = (-np.inf, np.inf)
    peers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    reference: str | None = None
    pool: DayAheadSamples | None = None

    @property
    def test(self) -> DayAheadSamples:
        """The rows that count, in order of day."""
        rows = self.samples.select(self.samples.zone == self.place).between(self.first, self.last)
        return rows.select(np.argsort(rows.day, kind="stable"))

    @property
    def start(self) -> np.datetime64:
        """First day that is forecast, burn-in included."""
        return np.datetime64(self.first - np.timedelta64(self.burn_in_days, "D"))
