"""Feed-forward network on one flat vector per day, the DNN of the electricity price forecasting benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Unpack

from torch import Tensor, nn

from forecasting.encoding import Batch, Layout
from forecasting.models.neural import NeuralForecaster, NeuralSettings
from forecasting.nn.heads import Head
from forecasting.nn.inputs import flat_size, flat_vector


class FeedForwardNetwork(nn.Module):
    """``Batch -> [B, S, head.raw_size]``: hidden layers with ReLU and dropout, one output layer for all steps."""

    def __init__(self, layout: Layout, head: Head, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.layout = layout
        sizes = [flat_size(layout), *hidden]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.body = nn.Sequential(*layers, nn.Linear(sizes[-1], layout.slots * head.raw_size))

    def forward(self, batch: Batch) -> Tensor:
        return self.body(flat_vector(batch, self.layout)).unflatten(-1, (self.layout.slots, -1))  # type: ignore[no-any-return]


class FeedForwardForecaster(NeuralForecaster):
    """Multi-output network with two hidden layers on prices of days d-1, d-2, d-3, d-7 and the published forecasts.

    Inputs and shape are those of the DNN in Lago et al., Applied Energy 293 (2021) 116983, section 4.2; there the sizes are
    tuned per market and the loss is the absolute error, here quantiles are trained and the recent level is removed.
    """

    name: ClassVar[str] = "feed_forward"
    training_defaults: ClassVar[Mapping[str, Any]] = {"steps": 2000, "learning_rate": 1e-3}

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (256, 128),
        dropout: float = 0.25,
        history_days: int = 7,
        **shared: Unpack[NeuralSettings],
    ) -> None:
        super().__init__(history_days=history_days, **shared)
        self.hidden = list(hidden)
        self.dropout = dropout

    def build_network(self, layout: Layout) -> nn.Module:
        return FeedForwardNetwork(layout, self.head, self.hidden, self.dropout)
