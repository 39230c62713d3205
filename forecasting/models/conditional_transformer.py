"""The production forecaster: a Transformer conditioned on the forecasts published for the delivery day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forecasting.encoding import Batch, Layout
from forecasting.models.neural import NeuralForecaster, NeuralSettings
from forecasting.nn.conditional import ConditionalTransformerNetwork
from forecasting.samples import DayAheadSamples
from forecasting.transforms import TargetTransform


class ConditionalTransformer(NeuralForecaster):
    """Encoder-decoder Transformer for one delivery day, after Shi et al. 2023, section 3.2, reworked for level shifts.

    What departs from the paper: one sample per day at the auction in place of a sliding 72-hour window, daily tokens, the
    level of the last days removed from an asinh scale, lags and published values handed to each step's query, quantiles
    that cannot cross in place of mean and variance. Works for hourly and quarter-hourly days, one zone or many.

    Parameters
    ----------
    width, heads, encoder_blocks, decoder_blocks, hidden: size of the Transformer; ``hidden`` is that of its feed-forward.
    flat_hidden: units of the perceptron on the flat vector of recent values.
    dropout: inside the blocks. condition_dropout: chance that a published series is hidden from a training row.
    history_days: days of history, one token each.
    quantile_weight: weight of the head's own loss (pinball or likelihood) beside that of the median.
    Others: see :class:`NeuralForecaster`.
    """

    name: ClassVar[str] = "conditional_transformer"
    training_defaults: ClassVar[Mapping[str, Any]] = {"steps": 2000, "learning_rate": 1e-3, "average_decay": 0.995}

    def __init__(
        self,
        *,
        width: int = 64,
        heads: int = 4,
        encoder_blocks: int = 2,
        decoder_blocks: int = 2,
        hidden: int = 128,
        flat_hidden: int = 128,
        dropout: float = 0.2,
        condition_dropout: float = 0.05,
        history_days: int = 14,
        quantile_weight: float = 1.0,
        **shared: Unpack[NeuralSettings],
    ) -> None:
        super().__init__(history_days=history_days, **shared)
        self.width = width
        self.heads = heads
        self.encoder_blocks = encoder_blocks
        self.decoder_blocks = decoder_blocks
        self.hidden = hidden
        self.flat_hidden = flat_hidden
        self.dropout = dropout
        self.condition_dropout = condition_dropout
        self.quantile_weight = quantile_weight

    def build_network(self, layout: Layout) -> nn.Module:
        return ConditionalTransformerNetwork(
            layout,
            self.head,
            width=self.width,
            heads=self.heads,
            encoder_blocks=self.encoder_blocks,
            decoder_blocks=self.decoder_blocks,
            hidden=self.hidden,
            flat_hidden=self.flat_hidden,
            dropout=self.dropout,
            condition_dropout=self.condition_dropout,
        )

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Half L1 of the median in scaled space, half in the unit of the target, and the pinball loss of all levels."""
        encoder, _ = self._trained()
        median = self.head.median(raw)
        scaled = (median - batch.y).abs().mean()
        point = scaled
        if encoder.transform is TargetTransform.ASINH:
            level = batch.level[:, None]
            bounded = (median + level).clamp(self._range[0].item(), self._range[1].item())
            in_unit = (torch.sinh(bounded) - torch.sinh(batch.y + level)).abs().mean()
            point = 0.5 * scaled + 0.5 * in_unit
        return point + self.quantile_weight * 2.0 * self.head.loss(raw, batch.y).mean()

    def attention(self, samples: DayAheadSamples) -> NDArray[np.float64]:
        """What the delivery steps look at: cross-attention weights ``[N, S, history_days + 1 + 24]`` that sum to 1.

        Columns: the days of history (oldest first), the delivery day as a whole, and the condition of its 24 hours (no
        such columns if the samples hold no published series).
        """
        encoder, network = self._trained()
        assert isinstance(network, ConditionalTransformerNetwork)
        with torch.inference_mode():
            weights = network.condition_attention(encoder.encode(samples, with_target=False))
        return weights.double().numpy()
