"""Network of the conditional Transformer: daily tokens in the encoder, one query per delivery step in the decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from forecasting.encoding import Batch, Layout
from forecasting.nn.attention import DecoderBlock, EncoderBlock
from forecasting.nn.heads import Head
from forecasting.nn.inputs import DRIVER_LAGS, TARGET_LAGS, flat_size, flat_vector, usable_lags

#: Hours before and after a step whose published forecasts the step's query carries.
NEIGHBOUR_HOURS: tuple[int, ...] = (-2, -1, 1, 2)
#: Tokens that carry the condition; finer steps share the token of their hour.
CONDITION_TOKENS = 24


class ConditionalTransformerNetwork(nn.Module):
    """``Batch -> [B, S, head.raw_size]``.

    The memory holds one token per day of history and one for the delivery day (encoded by self-attention), and one token
    per delivery hour with what is published for it: the condition, reached by cross attention. Each delivery step is a
    query that carries its own published values, their neighbours in time and their change, and the lagged target. Two
    short paths run beside the attention and are added to the median: a multilayer perceptron on the flat vector of recent
    values, and a linear map of each step's own inputs.

    While training, the feed of each published series is dropped with probability ``condition_dropout``, for all of them
    at once with a third of it; a mask tells the network.
    """

    def __init__(
        self,
        layout: Layout,
        head: Head,
        *,
        width: int,
        heads: int,
        encoder_blocks: int,
        decoder_blocks: int,
        hidden: int,
        flat_hidden: int,
        dropout: float,
        condition_dropout: float,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.condition_dropout = condition_dropout
        self.lags = usable_lags(TARGET_LAGS, layout)
        self.change_lags = usable_lags(DRIVER_LAGS, layout)
        slots, futures, drivers = layout.slots, len(layout.futures), len(layout.drivers)
        side = layout.calendar_size + layout.context_size
        per_step = self._step_size()
        per_day = 2 * slots + 2 * drivers * slots

        self.day_embedding = nn.Linear(per_day, width)
        self.day_position = nn.Parameter(0.02 * torch.randn(layout.history_days + 1, width))
        self.delivery_embedding = nn.Linear(2 * futures * slots + side, width)
        self.condition_embedding = nn.Linear(2 * futures * slots // CONDITION_TOKENS, width) if futures else None
        self.condition_position = nn.Parameter(0.02 * torch.randn(CONDITION_TOKENS, width))
        self.encoder = nn.ModuleList(EncoderBlock(width, heads, hidden, dropout) for _ in range(encoder_blocks))
        self.memory_norm = nn.LayerNorm(width)

        self.query_embedding = nn.Linear(per_step + side, width)
        self.query_position = nn.Parameter(0.02 * torch.randn(slots, width))
        self.flat_path = nn.Sequential(nn.Linear(flat_size(layout), flat_hidden), nn.GELU(), nn.Dropout(dropout))
        self.flat_to_queries = nn.Linear(flat_hidden, width)
        self.flat_to_median = nn.Linear(flat_hidden, slots)
        self.step_weight = nn.Parameter(torch.zeros(slots, per_step + layout.calendar_size))
        self.decoder = nn.ModuleList(DecoderBlock(width, heads, hidden, dropout) for _ in range(decoder_blocks))
        self.out_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, head.raw_size)
        for last in (self.flat_to_median, self.out):
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)

    def _step_size(self) -> int:
        layout = self.layout
        twins = sum(twin is not None for twin in layout.twins)
        return 2 * len(self.lags) + len(layout.futures) * (2 + len(NEIGHBOUR_HOURS)) + twins * len(self.change_lags)

    def forward(self, batch: Batch) -> Tensor:
        batch = self._drop_feeds(batch)
        memory, queries, linear = self._tokens(batch)
        for block in self.decoder:
            queries = block(queries, memory)
        raw = self.out(self.out_norm(queries))
        return torch.cat([raw[..., :1] + linear[..., None], raw[..., 1:]], dim=-1)

    def condition_attention(self, batch: Batch) -> Tensor:
        """Weights of the last cross attention, averaged over heads: ``[B, S, H + 1 + 24]`` (days, delivery day, hours)."""
        memory, queries, _ = self._tokens(batch)
        for block in self.decoder[:-1]:
            queries = block(queries, memory)
        last = self.decoder[-1]
        assert isinstance(last, DecoderBlock)
        return last.cross_weights(queries, memory).mean(dim=1)

    def _drop_feeds(self, batch: Batch) -> Batch:
        futures = len(self.layout.futures)
        if not (self.training and self.condition_dropout and futures):
            return batch
        rows, device = len(batch.y), batch.y.device
        each = torch.rand(rows, 1, futures, device=device) >= self.condition_dropout
        every = torch.rand(rows, 1, 1, device=device) >= self.condition_dropout / 3
        kept = (each & every).float()
        return batch._replace(future=batch.future * kept, future_observed=batch.future_observed * kept)

    def _tokens(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Memory ``[B, M, d]``, queries ``[B, S, d]`` and what the short paths add to the median ``[B, S]``."""
        side = torch.cat([batch.calendar, batch.context], dim=-1)
        day_values = [
            batch.history,
            batch.history_observed,
            batch.drivers.flatten(2),
            batch.drivers_observed.flatten(2),
        ]
        days = self.day_embedding(torch.cat(day_values, dim=-1))
        condition = torch.cat([batch.future, batch.future_observed], dim=-1)  # [B, S, 2F]
        delivery = self.delivery_embedding(torch.cat([condition.flatten(1), side], dim=-1))[:, None]
        tokens = torch.cat([days, delivery], dim=1) + self.day_position
        for block in self.encoder:
            tokens = block(tokens)
        if self.condition_embedding is not None:
            hours = self.condition_embedding(condition.reshape(len(condition), CONDITION_TOKENS, -1))
            tokens = torch.cat([tokens, hours + self.condition_position], dim=1)
        step = self._step_inputs(batch)
        flat = self.flat_path(flat_vector(batch, self.layout))
        wide_side = side[:, None].expand(-1, step.shape[1], -1)
        queries = self.query_embedding(torch.cat([step, wide_side], dim=-1)) + self.query_position
        queries = queries + self.flat_to_queries(flat)[:, None]
        own = torch.cat([step, batch.calendar[:, None].expand(-1, step.shape[1], -1)], dim=-1)
        linear = self.flat_to_median(flat) + (own * self.step_weight).sum(dim=-1)
        return self.memory_norm(tokens), queries, linear

    def _step_inputs(self, batch: Batch) -> Tensor:
        """``[B, S, n]``: lagged target and its mask, published values, their neighbours in time and their change."""
        parts = [values[:, -lag, :, None] for lag in self.lags for values in (batch.history, batch.history_observed)]
        if self.layout.futures:
            parts += [batch.future, batch.future_observed, *self._neighbours(batch.future), *self._changes(batch)]
        return torch.cat(parts, dim=-1)

    def _neighbours(self, future: Tensor) -> list[Tensor]:
        per_hour = self.layout.slots // 24
        reach = max(abs(hour) for hour in NEIGHBOUR_HOURS) * per_hour
        padded = pad(future.transpose(1, 2), (reach, reach), mode="replicate").transpose(1, 2)
        starts = [reach + hour * per_hour for hour in NEIGHBOUR_HOURS]
        return [padded[:, start : start + future.shape[1]] for start in starts]

    def _changes(self, batch: Batch) -> list[Tensor]:
        parts = []
        for k, twin in enumerate(self.layout.twins):
            if twin is None:
                continue
            for lag in self.change_lags:
                both = batch.future_observed[..., k] * batch.drivers_observed[:, -lag, :, twin]
                parts.append(((batch.future[..., k] - batch.drivers[:, -lag, :, twin]) * both)[..., None])
        return parts
