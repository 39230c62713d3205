"""Convolutional network along time, from the last days into the delivery day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from forecasting.encoding import Batch, Layout
from forecasting.models.neural import NeuralForecaster
from forecasting.nn.heads import Head
from forecasting.nn.inputs import delivery_sequence, delivery_size, past_sequence, sequence_size
from forecasting.training_settings import TrainingSettings

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


class CNNForecaster(NeuralForecaster):
    """CNN baseline of Shi et al. 2023, Table 2, as a temporal convolutional network (Bai et al. 2018), Gaussian head.

    The paper's baseline is unconditional: ``condition=False``. Its layers are not printed there; these are ours.
    """

    name: ClassVar[str] = "cnn"
    training_defaults: ClassVar[Mapping[str, Any]] = {"steps": 1500, "learning_rate": 2e-3}

    def __init__(
        self,
        *,
        width: int = 32,
        dropout: float = 0.1,
        input_days: int = 3,
        transform: str | None = "linear",
        level_days: int | None = 0,
        condition: bool = True,
        source_context: str = "none",
        head: str = "gaussian",
        training: TrainingSettings | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            head=head,
            history_days=max(input_days, level_days or 0),
            transform=transform,
            level_days=level_days,
            condition=condition,
            source_context=source_context,
            training=training,
        )
        self.width = width
        self.dropout = dropout
        self.input_days = input_days

    def build_network(self, layout: Layout) -> nn.Module:
        return CNNNetwork(layout, self.head, self.input_days, self.width, self.dropout)

    def settings(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("width", "dropout", "input_days")}
        return own | {key: value for key, value in super().settings().items() if key != "history_days"}
