"""LSTM over the last days; its final state answers for every step of the delivery day."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn

from forecasting.encoding import Batch, Layout
from forecasting.models.sequence import SequenceForecaster, SequenceSettings
from forecasting.nn.heads import Head
from forecasting.nn.inputs import delivery_sequence, delivery_size, past_sequence, sequence_size


class LSTMNetwork(nn.Module):
    """``Batch -> [B, S, head.raw_size]``: the last state beside what is published for each step."""

    def __init__(self, layout: Layout, head: Head, days: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.days = days
        self.lstm = nn.LSTM(sequence_size(layout), width, layers, batch_first=True)
        self.state_to_steps = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, layout.slots * width), nn.Tanh())
        self.step = nn.Sequential(nn.Linear(width + delivery_size(layout), width), nn.ReLU(), nn.Dropout(dropout))
        self.out = nn.Linear(width, head.raw_size)
        self.slots = layout.slots

    def forward(self, batch: Batch) -> Tensor:
        _, (state, _) = self.lstm(past_sequence(batch, self.days))
        steps = self.state_to_steps(state[-1]).unflatten(-1, (self.slots, -1))
        return self.out(self.step(torch.cat([steps, delivery_sequence(batch)], dim=-1)))  # type: ignore[no-any-return]


class LSTMForecaster(SequenceForecaster):
    """LSTM baseline of Shi et al. 2023, Table 2."""

    name: ClassVar[str] = "lstm"

    def __init__(
        self, *, width: int = 64, layers: int = 1, dropout: float = 0.1, **shared: Unpack[SequenceSettings]
    ) -> None:
        super().__init__(**shared)
        self.width = width
        self.layers = layers
        self.dropout = dropout

    def build_network(self, layout: Layout) -> nn.Module:
        return LSTMNetwork(layout, self.head, self.input_days, self.width, self.layers, self.dropout)
