"""Sequence to sequence: a recurrent encoder reads the past, a recurrent decoder writes the delivery day step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from forecasting.encoding import Batch, Layout
from forecasting.models.neural import NeuralForecaster
from forecasting.nn.heads import Head
from forecasting.nn.inputs import delivery_sequence, delivery_size, past_sequence, sequence_size
from forecasting.training_settings import TrainingSettings


class Seq2SeqNetwork(nn.Module):
    """``Batch -> [B, S, head.raw_size]``: GRU encoder and GRU decoder that reads the value before each step.

    That value is the true one while training (teacher forcing) and the decoder's own median when predicting.
    """

    def __init__(self, layout: Layout, head: Head, days: int, width: int, dropout: float) -> None:
        super().__init__()
        self.head = head
        self.days = days
        self.encoder = nn.GRU(sequence_size(layout), width, batch_first=True)
        self.decoder = nn.GRU(1 + delivery_size(layout), width, batch_first=True)
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, head.raw_size))

    def forward(self, batch: Batch) -> Tensor:
        _, state = self.encoder(past_sequence(batch, self.days))
        ahead = delivery_sequence(batch)
        last = batch.history[:, -1, -1:]
        if self.training:
            before = torch.cat([last, batch.y[:, :-1]], dim=1)
            decoded, _ = self.decoder(torch.cat([before[..., None], ahead], dim=-1), state)
            return self.out(decoded)  # type: ignore[no-any-return]
        steps = []
        for step in range(ahead.shape[1]):
            decoded, state = self.decoder(torch.cat([last[..., None], ahead[:, step : step + 1]], dim=-1), state)
            steps.append(self.out(decoded))
            last = self.head.median(steps[-1])
        return torch.cat(steps, dim=1)


class Seq2SeqForecaster(NeuralForecaster):
    """seq2seq baseline of Shi et al. 2023, Table 2 (after Sutskever et al. 2014), with GRUs and a Gaussian head.

    The paper's baseline is unconditional: ``condition=False``. Sizes are not printed there; these are ours.
    """

    name: ClassVar[str] = "seq2seq"
    training_defaults: ClassVar[Mapping[str, Any]] = {"steps": 1500, "learning_rate": 2e-3}

    def __init__(
        self,
        *,
        width: int = 64,
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
        return Seq2SeqNetwork(layout, self.head, self.input_days, self.width, self.dropout)

    def settings(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("width", "dropout", "input_days")}
        return own | {key: value for key, value in super().settings().items() if key != "history_days"}
