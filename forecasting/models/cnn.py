"""Convolutional network along time, from the last days into the delivery day."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from forecasting.encoding import Batch, Layout
from forecasting.models.sequence import SequenceForecaster, SequenceSettings
from forecasting.nn.heads import Head
from forecasting.nn.inputs import delivery_sequence, delivery_size, past_sequence, sequence_size

#: Taps of each convolution.
_KERNEL = 3


class CNNNetwork(nn.Module):
    """``Batch -> [B, S, head.raw_size]``: dilated causal convolutions over past and delivery day, read at the latter."""

    def __init__(self, layout: Layout, head: Head, days: int, width: int, dropout: float) -> None:
        super().__init__()
        self.days = days
        self.slots = layout.slots
        self.past_in = nn.Linear(sequence_size(layout), width)
        self.delivery_in = nn.Linear(delivery_size(layout), width)
        self.position = nn.Parameter(0.02 * torch.randn(layout.slots, width))
        self.dilations = _dilations((days + 1) * layout.slots)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, _KERNEL, dilation=d) for d in self.dilations)
        self.dropout = nn.Dropout1d(dropout)
        self.out = nn.Linear(width, head.raw_size)

    def forward(self, batch: Batch) -> Tensor:
        past = self.past_in(past_sequence(batch, self.days))
        ahead = self.delivery_in(delivery_sequence(batch)) + self.position
        signal = torch.cat([past, ahead], dim=1).transpose(1, 2)  # [B, width, T + S]
        for convolution, dilation in zip(self.convolutions, self.dilations, strict=True):
            update = convolution(pad(signal, (dilation * (_KERNEL - 1), 0)))
            signal = signal + self.dropout(torch.relu(update))
        return self.out(signal[..., -self.slots :].transpose(1, 2))  # type: ignore[no-any-return]


def _dilations(length: int) -> tuple[int, ...]:
    """1, 2, 4, ... until the first input step reaches the last output step."""
    dilations, reach = [1], _KERNEL
    while reach < length:
        dilations.append(2 * dilations[-1])
        reach += dilations[-1] * (_KERNEL - 1)
    return tuple(dilations)


class CNNForecaster(SequenceForecaster):
    """CNN baseline of Shi et al. 2023, Table 2, as a temporal convolutional network (Bai et al. 2018)."""

    name: ClassVar[str] = "cnn"

    def __init__(self, *, width: int = 32, dropout: float = 0.1, **shared: Unpack[SequenceSettings]) -> None:
        super().__init__(**shared)
        self.width = width
        self.dropout = dropout

    def build_network(self, layout: Layout) -> nn.Module:
        return CNNNetwork(layout, self.head, self.input_days, self.width, self.dropout)
