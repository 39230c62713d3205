"""A forecaster of one's own: the mean of the last days, with the spread of its own past errors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from forecasting import DataError, DayAheadSamples, FitReport, Forecaster, Prediction
from forecasting.models.base import QUANTILE_LEVELS, FloatArray


class MeanDay(Forecaster):
    """Mean of the last ``days`` days, slot by slot; errors are taken as normal."""

    name: ClassVar[str] = "mean_day"
    uses_future_condition: ClassVar[bool] = False

    def __init__(self, days: int = 7) -> None:
        self.days = days
        self._spread = float("nan")

    def fit(
        self, train: DayAheadSamples, valid: DayAheadSamples | None = None, *, seed: int = 0, progress: bool = False
    ) -> FitReport:
        """Measure the spread of the errors; raises ``DataError`` if a training target is missing."""
        started = time.perf_counter()
        if not np.isfinite(train.y).all():
            gaps = train.day[~np.isfinite(train.y).all(axis=1)]
            raise DataError(f"the target {train.target} is missing on {gaps[0]}; drop such days with samples.known()")
        self._spread = float(np.std(train.y - self._mean(train)))
        return FitReport(seconds=time.perf_counter() - started, samples=len(train), parameters=1)

    def predict(self, samples: DayAheadSamples) -> Prediction:
        """The mean of the last days, and normal quantiles around it."""
        mean = self._mean(samples)
        normal = np.array([NormalDist().inv_cdf(level) for level in QUANTILE_LEVELS])
        return Prediction(mean, np.full_like(mean, self._spread), mean[..., None] + self._spread * normal)

    def settings(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"days": self.days}

    def state(self) -> dict[str, Tensor]:
        """Everything learned: one number."""
        return {"spread": torch.tensor([self._spread], dtype=torch.float64)}

    def load_state(self, state: Mapping[str, Tensor]) -> Self:
        """Restore what ``state`` returned."""
        self._spread = float(state["spread"][0])
        return self

    def _mean(self, samples: DayAheadSamples) -> FloatArray:
        recent = samples.history[:, -self.days :, :, 0].astype(np.float64)
        return np.asarray(np.nanmean(recent, axis=1))
