"""Sequence to sequence: a recurrent encoder reads the past, a recurrent decoder writes the delivery day step by step."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn

from forecasting.encoding import Batch, Layout
from forecasting.models.sequence import SequenceForecaster, SequenceSettings
from forecasting.nn.heads import Head
from forecasting.nn.inputs import delivery_sequence, delivery_size, past_sequence, sequence_size


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


class Seq2SeqForecaster(SequenceForecaster):
    """seq2seq baseline of Shi et al. 2023, Table 2 (after Sutskever et al. 2014), with GRUs."""

    name: ClassVar[str] = "seq2seq"

    def __init__(self, *, width: int = 64, dropout: float = 0.1, **shared: Unpack[SequenceSettings]) -> None:
        super().__init__(**shared)
        self.width = width
        self.dropout = dropout

    def build_network(self, layout: Layout) -> nn.Module:
        return Seq2SeqNetwork(layout, self.head, self.input_days, self.width, self.dropout)
