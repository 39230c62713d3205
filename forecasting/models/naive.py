"""Naive forecasts: repeat an earlier day. The yardstick of the relative MAE, and the last fallback in operation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.errors import ArtefactError, DataError, SettingError
from forecasting.models.base import FitReport, Forecaster, Prediction
from forecasting.models.known_target import require_known_target
from forecasting.models.lear_features import weekday
from forecasting.models.residuals import (
    GRID_LEVELS,
    names_from_tensor,
    names_to_tensor,
    prediction_from_grid,
    residual_grid,
)
from forecasting.samples import DayAheadSamples

FloatArray = NDArray[np.float64]

_POOLED = "*"


class NaiveRule(StrEnum):
    """Which earlier day is repeated."""

    STANDARD = "standard"  # Monday, Saturday and Sunday from a week before, the other days from the day before
    WEEKLY = "weekly"
    DAILY = "daily"


def naive_forecast(samples: DayAheadSamples, rule: NaiveRule = NaiveRule.STANDARD) -> FloatArray:
    """Value of the day that ``rule`` names, ``[N, S]`` (definitions of Lago et al., Applied Energy 293 (2021) 116983).

    A slot that was not known at the decision time is taken from the next older day on which it was, then from a newer
    one. Raises ``DataError`` with zone and day if a slot is unknown on every day of the history.
    """
    rows = np.arange(len(samples))
    lag = {
        NaiveRule.STANDARD: np.where(np.isin(weekday(samples.day), (0, 5, 6)), 7, 1),
        NaiveRule.WEEKLY: np.full(len(samples), 7),
        NaiveRule.DAILY: np.full(len(samples), 1),
    }[rule]
    days = samples.history_days
    if len(samples) and days < lag.max():
        raise SettingError(f"the naive forecast repeats day d-{lag.max()}, but the samples hold {days} days of history")
    value = samples.history[rows, days - lag, :, 0].astype(np.float64)
    for step in [*range(1, days), *range(-1, -days, -1)]:
        if np.isfinite(value).all():
            return value
        other = lag + step
        usable = (other >= 1) & (other <= days)
        source = samples.history[rows, days - np.clip(other, 1, days), :, 0]
        value = np.where(np.isnan(value) & usable[:, None], source, value)
    unknown = ~np.isfinite(value).all(axis=1)
    if unknown.any():
        first = int(np.flatnonzero(unknown)[0])
        raise DataError(
            f"no naive forecast of {samples.target} in {samples.zone[first]} for {samples.day[first]}: "
            f"a slot is missing on all {days} days before"
        )
    return value


class Naive(Forecaster):
    """Repeats an earlier day; the spread comes from the rule's own errors in training, per zone and slot.

    A zone that was not in training gets the pooled errors of all zones.
    """

    name: ClassVar[str] = "naive"
    uses_future_condition: ClassVar[bool] = False

    def __init__(self, rule: NaiveRule | str = NaiveRule.STANDARD) -> None:
        try:
            self.rule = NaiveRule(rule)
        except ValueError:
            raise SettingError(f"no naive rule {rule!r}; choose one of {', '.join(NaiveRule)}") from None
        self._grids: dict[str, FloatArray] = {}

    def fit(
        self, train: DayAheadSamples, valid: DayAheadSamples | None = None, *, seed: int = 0, progress: bool = False
    ) -> FitReport:
        """Collect the errors of the rule on ``train``; there is nothing to choose, so ``valid`` and ``seed`` are unused."""
        started = time.perf_counter()
        require_known_target(train)
        residuals = train.y.astype(np.float64) - naive_forecast(train, self.rule)
        self._grids = {str(zone): residual_grid(residuals[train.zone == zone]) for zone in np.unique(train.zone)} | {
            _POOLED: residual_grid(residuals)
        }
        return FitReport(seconds=time.perf_counter() - started, samples=len(train), parameters=0)

    def predict(self, samples: DayAheadSamples) -> Prediction:
        """The repeated day as median, with the spread of past errors."""
        if not self._grids:
            raise ArtefactError("the naive forecaster has no error distribution; call fit first")
        point = naive_forecast(samples, self.rule)
        values = np.empty((*point.shape, len(GRID_LEVELS)))
        for zone in np.unique(samples.zone):
            rows = samples.zone == zone
            values[rows] = point[rows][..., None] + self._grids.get(str(zone), self._grids[_POOLED])
        return prediction_from_grid(values)

    def settings(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"rule": str(self.rule)}

    def state(self) -> dict[str, Tensor]:
        """Residual percentiles ``[zone, slot, 99]`` and the zone names."""
        if not self._grids:
            raise ArtefactError("the naive forecaster has nothing to save; call fit first")
        return {
            "zones": names_to_tensor(list(self._grids)),
            "grids": torch.from_numpy(np.stack(list(self._grids.values()))),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> Self:
        """Restore what ``state`` returned."""
        grids = state["grids"].numpy().astype(np.float64)
        self._grids = dict(zip(names_from_tensor(state["zones"]), grids, strict=True))
        return self


class NaiveWeekly(Naive):
    """Repeats the same day of the week before: the naive forecast in the relative MAE of Lago et al. 2021."""

    name: ClassVar[str] = "naive_weekly"

    def __init__(self) -> None:
        super().__init__(NaiveRule.WEEKLY)

    def settings(self) -> dict[str, Any]:
        """No constructor arguments."""
        return {}
