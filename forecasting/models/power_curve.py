"""Wind power of many sites by one learned power curve, conditioned on published forecasts and on the source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from forecasting.encoding import Batch, Layout, SampleEncoder
from forecasting.models.neural import NeuralForecaster
from forecasting.nn.power_curve import PowerCurveNetwork
from forecasting.samples import DayAheadSamples
from forecasting.training_settings import TrainingSettings
from forecasting.transforms import TargetTransform

#: Days of training from which the season is an input: many sites share them, so that it does not name a single day.
_SEASON_DAYS = 365


class PooledEncoder(SampleEncoder):
    """One location and spread for all zones together, also for a zone that joins after training.

    Power in shares of capacity means the same everywhere; a scale per site would take away how sites differ, and a new
    site has no past of its own to be scaled by.
    """

    def fit(self, samples: DayAheadSamples) -> Layout:
        days = int((samples.day.max() - samples.day.min()).astype(np.int64))
        self.layout = layout = replace(super().fit(samples), season=days >= _SEASON_DAYS)
        pooled = self._locate(samples, torch.from_numpy(samples.y).reshape(-1, 1))
        self._locations = dict.fromkeys(layout.zones, pooled)
        return layout

    def _locations_of(self, samples: DayAheadSamples) -> tuple[Tensor, Tensor]:
        center, scale = next(iter(self._locations.values()))
        return center.expand(len(samples), -1), scale.expand(len(samples), -1)


class PowerCurve(NeuralForecaster):
    """One perceptron for all hours and sites: published values around the hour in, quantiles of power out.

    The quick forecaster of local wind from a regional forecast (Shi et al. 2023, section 3.2): the condition reaches each
    hour together with its neighbours and with how the site lately departed from it. Targets must be in comparable units
    (shares of capacity), since all sites share one scale; forecasts stay inside the range that training has seen.

    Parameters
    ----------
    width: units of the two hidden layers. summary: length of the summary of the day. dropout, summary_dropout: inside each.
    history_days: days of history, averaged over half-lives of up to twenty days.
    condition, source_context, embedding, head, training: see :class:`NeuralForecaster`.
    """

    name: ClassVar[str] = "power_curve"
    training_defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 1500,
        "batch_size": 32,
        "learning_rate": 2e-3,
        "cosine": False,
        "average_decay": 0.99,
    }

    def __init__(
        self,
        *,
        width: int = 192,
        summary: int = 8,
        dropout: float = 0.5,
        summary_dropout: float = 0.5,
        history_days: int = 14,
        condition: bool = True,
        source_context: str = "none",
        embedding: Mapping[str, Any] | None = None,
        head: str = "quantile",
        training: TrainingSettings | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            head=head,
            history_days=history_days,
            transform=None,
            level_days=0,
            condition=condition,
            source_context=source_context,
            embedding=embedding,
            training=training,
        )
        self.width = width
        self.summary = summary
        self.dropout = dropout
        self.summary_dropout = summary_dropout

    def build_network(self, layout: Layout) -> nn.Module:
        return PowerCurveNetwork(
            layout,
            self.head,
            width=self.width,
            summary=self.summary,
            dropout=self.dropout,
            summary_dropout=self.summary_dropout,
        )

    def _new_encoder(self, target: str) -> SampleEncoder:
        return PooledEncoder(
            history_days=self.history_days,
            transform=TargetTransform.LINEAR,
            level_days=0,
            condition=self.condition,
            context=self.source_context,
            vectors=self._vectors,
        )

    def _learn_range(self, train: DayAheadSamples, encoded: Batch) -> None:
        self._range = torch.stack([encoded.y.min(), encoded.y.max()])
        self._floor = 0.0 if train.target != "price" and train.y.min() >= 0 else -torch.inf

    def settings(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("width", "summary", "dropout", "summary_dropout")}
        shared = super().settings()
        return own | {key: value for key, value in shared.items() if key not in ("transform", "level_days")}
