"""Network of Shi et al. 2023, Figure 4: encoder over 72 hours, decoder over 24, mean and variance out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from forecasting.encoding import Batch, Layout
from forecasting.nn.attention import DecoderBlock, EncoderBlock, sinusoidal_positions
from forecasting.nn.heads import Head
from forecasting.transforms import stft_features


class PaperTransformerNetwork(nn.Module):
    """``Batch -> [B, S, head.raw_size]``, the likelihood of x given its past and y shifted by ``lag`` (Eq. 3).

    The encoder reads the last ``input_days`` of x, of y shifted by the lag, and their short-time spectra. The decoder reads
    y for the delivery day and, if autoregressive, the x before each step: the true one while training, its own mean when
    predicting. Blocks normalise before each sub-layer, where the paper's reference normalises after it.

    ``condition`` is the position of y among the future channels, or ``None`` for the unconditional control.
    """

    lag: Tensor

    def __init__(
        self,
        layout: Layout,
        head: Head,
        *,
        condition: int | None,
        autoregressive: bool,
        input_days: int,
        stft_window: int,
        width: int,
        heads: int,
        encoder_blocks: int,
        decoder_blocks: int,
        hidden: int,
        dropout: float,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        self.layout = layout
        self.head = head
        self.condition = condition
        self.autoregressive = autoregressive
        self.input_days = input_days
        self.stft_window = stft_window
        spectrum = 2 * (stft_window // 2 + 1)
        has_y = condition is not None
        encoder_size = 2 + spectrum + has_y * (2 + spectrum) + layout.context_size
        decoder_size = int(autoregressive) + has_y * (2 + spectrum) + layout.context_size
        self.register_buffer("lag", torch.zeros((), dtype=torch.long))
        self.encoder_embedding = nn.Linear(encoder_size, width)
        self.decoder_embedding = nn.Linear(max(1, decoder_size), width)
        length = (input_days + 1) * layout.slots
        self.register_buffer("positions", sinusoidal_positions(length, width), persistent=False)
        self.encoder = nn.ModuleList(
            EncoderBlock(width, heads, hidden, dropout, activation) for _ in range(encoder_blocks)
        )
        self.memory_norm = nn.LayerNorm(width)
        self.decoder = nn.ModuleList(
            DecoderBlock(width, heads, hidden, dropout, activation) for _ in range(decoder_blocks)
        )
        self.out_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, head.raw_size)

    def forward(self, batch: Batch) -> Tensor:
        x = batch.history[:, -self.input_days :].flatten(1)  # [B, T]
        observed = batch.history_observed[:, -self.input_days :].flatten(1)
        y = self._shifted_condition(batch)  # [B, T + S, n]
        steps = x.shape[1]
        past = [torch.stack([x, observed], dim=-1), stft_features(x, self.stft_window), y[:, :steps]]
        memory = self._encode(torch.cat([*past, _repeat(batch.context, steps)], dim=-1))
        ahead = torch.cat([y[:, steps:], _repeat(batch.context, self.layout.slots)], dim=-1)
        if not self.autoregressive:
            return self._decode(ahead if ahead.shape[-1] else ahead.new_zeros(*ahead.shape[:2], 1), memory)
        if self.training:
            before = torch.cat([x[:, -1:], batch.y[:, :-1]], dim=1)
            return self._decode(torch.cat([before[..., None], ahead], dim=-1), memory)
        return self._roll_out(x[:, -1:], ahead, memory)

    def _roll_out(self, last: Tensor, ahead: Tensor, memory: Tensor) -> Tensor:
        before = last
        raw = self._decode(torch.cat([before[..., None], ahead[:, :1]], dim=-1), memory)
        for step in range(1, self.layout.slots):
            before = torch.cat([before, self.head.median(raw[:, -1:])], dim=1)
            raw = self._decode(torch.cat([before[..., None], ahead[:, : step + 1]], dim=-1), memory)
        return raw

    def _encode(self, inputs: Tensor) -> Tensor:
        tokens = self.encoder_embedding(inputs) + self._positions(0, inputs.shape[1])
        for block in self.encoder:
            tokens = block(tokens)
        return self.memory_norm(tokens)  # type: ignore[no-any-return]

    def _decode(self, inputs: Tensor, memory: Tensor) -> Tensor:
        queries = self.decoder_embedding(inputs) + self._positions(memory.shape[1], inputs.shape[1])
        for block in self.decoder:
            queries = block(queries, memory, self.autoregressive)
        return self.out(self.out_norm(queries))  # type: ignore[no-any-return]

    def _positions(self, start: int, length: int) -> Tensor:
        positions = self.get_buffer("positions")
        return positions[start : start + length]

    def _shifted_condition(self, batch: Batch) -> Tensor:
        """``y(t - N)``, its mask and its spectrum over the past and the delivery day; edges are repeated."""
        days, slots = self.input_days, self.layout.slots
        if self.condition is None:
            return batch.y.new_zeros(len(batch.y), (days + 1) * slots, 0)
        ahead = torch.stack([batch.future[..., self.condition], batch.future_observed[..., self.condition]], dim=-1)
        twin = self.layout.twins[self.condition]
        if twin is None:
            past = ahead.new_zeros(len(ahead), days * slots, 2)
        else:
            pair = [batch.drivers[:, -days:, :, twin], batch.drivers_observed[:, -days:, :, twin]]
            past = torch.stack(pair, dim=-1).flatten(1, 2)
        whole = torch.cat([past, ahead], dim=1).transpose(1, 2)  # [B, 2, T + S]
        lag = int(self.lag)
        length = whole.shape[-1]
        moved = pad(whole, (abs(lag), abs(lag)), mode="replicate")[..., abs(lag) - lag : abs(lag) - lag + length]
        return torch.cat([moved.transpose(1, 2), stft_features(moved[:, 0], self.stft_window)], dim=-1)


def _repeat(context: Tensor, steps: int) -> Tensor:
    return context[:, None].expand(-1, steps, -1)
