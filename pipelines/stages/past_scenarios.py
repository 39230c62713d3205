"""Joint scenarios of past nights, each drawn from what was known before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dispatch.settlement.problem import FloatArray, Realisations
from forecasting.calibration import RollingConformal
from forecasting.models.base import Prediction
from forecasting.scenarios import ErrorRanks, sample_paths
from pipelines.errors import ConfigError
from pipelines.stages.case_scale import CaseScale
from pipelines.stages.settle_days import DRAWS_KEY

#: The newest day whose measurements are whole when a night is decided lies so many days before the delivery day.
TRUTH_DELAY_DAYS = 2

#: Fewer past days than this say nothing of how errors go together.
LEAST_RANK_DAYS = 14


@dataclass(frozen=True, eq=False)
class Told:
    """Forecast and truth of one place on the test days ``[D]``, ``[D, S]`` each, in the unit of its series.

    quantiles ``[D, S, Q]`` at ``levels``; ``None`` for a series that was known when the night was decided. bounds: what is
    physical.
    """

    day: NDArray[np.datetime64]
    forecast: FloatArray
    truth: FloatArray
    quantiles: FloatArray | None = None
    levels: tuple[float, ...] = ()
    bounds: tuple[float, float] = (-np.inf, np.inf)

    def on(self, days: NDArray[np.datetime64]) -> Told:
        """The same on some of its days."""
        rows = np.isin(self.day, days)
        quantiles = None if self.quantiles is None else self.quantiles[rows]
        return Told(self.day[rows], self.forecast[rows], self.truth[rows], quantiles, self.levels, self.bounds)

    def calibrated(self) -> FloatArray:
        """Quantiles ``[D, S, Q]``, each day's corrected by the errors that were known before it."""
        assert self.quantiles is not None
        raw = Prediction(self.forecast, np.zeros_like(self.forecast), self.quantiles, self.levels)
        rule = RollingConformal(delay_days=TRUTH_DELAY_DAYS)
        return rule.calibrate(raw, self.truth, self.day, bounds=self.bounds).quantiles


@dataclass(frozen=True, eq=False)
class NightDraws:
    """What the scenarios of one night are drawn from.

    quantiles: ``[S, Q]`` by series; ranks: those of the errors known before the night, ``[D, S]`` by series; known: series that
    need no forecast, ``[S]``.
    """

    scale: CaseScale
    quantiles: Mapping[str, FloatArray]
    levels: tuple[float, ...]
    ranks: Mapping[str, FloatArray]
    bounds: Mapping[str, tuple[float, float]]
    seed: int
    known: Mapping[str, FloatArray] = field(default_factory=dict)

    def draw(self, count: int) -> Realisations:
        """``count`` equally likely joint paths; path ``k`` of price, wind and load belongs together."""
        paths = sample_paths(
            self.quantiles, self.levels, ErrorRanks(self.ranks), count, bounds=self.bounds, seed=self.seed
        )
        fixed = {name: np.tile(values, (count, 1)) for name, values in self.known.items()}
        return self.scale.realisations({**paths, **fixed})


def nights_to_draw(
    scale: CaseScale, told: Mapping[str, Told], nights: NDArray[np.datetime64], rank_days: int, seed: int
) -> Sequence[NightDraws]:
    """For each of ``nights``, its quantiles and the ranks of the last ``rank_days`` days whose outcome it knew.

    ``told`` covers the same days in every series. Raises ``ConfigError`` if a night knows too few days.
    """
    drawn = {name: series for name, series in told.items() if series.quantiles is not None}
    day = next(iter(told.values())).day
    levels = next(iter(drawn.values())).levels
    ranks = ErrorRanks.of(
        {name: series.truth for name, series in drawn.items()},
        {name: series.quantiles for name, series in drawn.items() if series.quantiles is not None},
        levels,
    ).series
    quantiles = {name: series.calibrated() for name, series in drawn.items()}
    found = []
    for night in nights:
        past = np.flatnonzero(day <= night - np.timedelta64(TRUTH_DELAY_DAYS, "D"))[-rank_days:]
        if len(past) < LEAST_RANK_DAYS:
            raise ConfigError(
                f"night {night}: only {len(past)} days with an outcome come before it, {LEAST_RANK_DAYS} are needed for "
                "joint scenarios; take a later realisations.first or raise history.valid_days"
            )
        at = int(np.searchsorted(day, night))
        number = int(night.astype("datetime64[D]").astype(np.int64))
        own = np.random.SeedSequence(seed, spawn_key=(DRAWS_KEY, number))
        found.append(
            NightDraws(
                scale,
                {name: values[at] for name, values in quantiles.items()},
                levels,
                {name: values[past] for name, values in ranks.items()},
                {name: series.bounds for name, series in drawn.items()},
                int(own.generate_state(1)[0]),
                {name: series.forecast[at] for name, series in told.items() if series.quantiles is None},
            )
        )
    return found
