"""The forecaster of Shi et al. 2023 as the paper describes it, to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from torch import nn

from forecasting.encoding import Layout
from forecasting.errors import SettingError, UnknownNameError
from forecasting.models.sequence import SequenceForecaster, SequenceSettings
from forecasting.names import unknown
from forecasting.nn.attention import ACTIVATIONS
from forecasting.nn.paper_transformer import PaperTransformerNetwork
from forecasting.samples import DayAheadSamples
from forecasting.sliding import sliding_windows
from forecasting.transforms import lag_of_largest_correlation


class PaperTransformer(SequenceForecaster):
    """Conditional encoder-decoder Transformer (Shi et al. 2023, Eqs 3 and 4; defaults are Table 1).

    Mean-variance scaled x, no level removed, Gaussian mean and variance trained by negative log likelihood. The condition y
    (``condition_series``, by default the first published series whose name holds "wind") is shifted by the lag ``N`` of
    largest ``|Pearson|`` within ``max_lag`` steps, measured on the training days (Eqs 1 and 2).

    What the paper leaves open: width and feed-forward size in Table 1, the STFT's window, the number of steps, and how far
    its windows of 72 + 24 hours are apart. Its forecasts are day-ahead, so one window per delivery day is the default, and
    a position in the window is then an hour of the day; ``window_step_hours=1`` trains on windows that start at every hour,
    from which a network that reads no clock cannot tell the hour of the day.

    Parameters
    ----------
    autoregressive: decode step by step as Eq. 3 says; ``False`` decodes all steps at once.
    input_days: days of history that the encoder reads (3 days are the paper's 72 hours).
    activation: ``relu``, ``tanh`` or ``gelu``.
    window_step_hours: hours between the starts of two training windows; predictions are always of whole days.
    source_context: ``given`` adds the source embedding of section 3.2.3 (see :class:`SequenceForecaster` for the others).
    """

    name: ClassVar[str] = "paper_transformer"
    training_defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 2000,
        "batch_size": 64,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "cosine": False,
        "warmup_share": 0.0,
        "average_decay": 0.0,
    }

    def __init__(
        self,
        *,
        autoregressive: bool = False,
        condition_series: str | None = None,
        max_lag: int = 10,
        width: int = 64,
        heads: int = 8,
        encoder_blocks: int = 2,
        decoder_blocks: int = 2,
        hidden: int = 128,
        dropout: float = 0.1,
        activation: str = "relu",
        stft_window: int = 16,
        window_step_hours: int = 24,
        **shared: Unpack[SequenceSettings],
    ) -> None:
        super().__init__(**shared)
        if activation not in ACTIVATIONS:
            raise UnknownNameError(unknown("activation", activation, ACTIVATIONS))
        if max_lag < 0:
            raise SettingError(f"max_lag must not be negative, got {max_lag}")
        if window_step_hours < 1 or 24 % window_step_hours:
            raise SettingError(f"window_step_hours must divide 24, got {window_step_hours}")
        self.autoregressive = autoregressive
        self.condition_series = condition_series
        self.max_lag = max_lag
        self.width = width
        self.heads = heads
        self.encoder_blocks = encoder_blocks
        self.decoder_blocks = decoder_blocks
        self.hidden = hidden
        self.dropout = dropout
        self.activation = activation
        self.stft_window = stft_window
        self.window_step_hours = window_step_hours

    def training_rows(self, samples: DayAheadSamples) -> DayAheadSamples:
        """Windows ``window_step_hours`` apart."""
        return sliding_windows(samples, self.window_step_hours)

    def build_network(self, layout: Layout) -> nn.Module:
        return PaperTransformerNetwork(
            layout,
            self.head,
            condition=self._condition_position(layout),
            autoregressive=self.autoregressive,
            input_days=self.input_days,
            stft_window=self.stft_window,
            width=self.width,
            heads=self.heads,
            encoder_blocks=self.encoder_blocks,
            decoder_blocks=self.decoder_blocks,
            hidden=self.hidden,
            dropout=self.dropout,
            activation=ACTIVATIONS[self.activation],
        )

    def prepare_network(self, network: nn.Module, train: DayAheadSamples) -> None:
        """Set the lag of the condition as measured on the training days."""
        assert isinstance(network, PaperTransformerNetwork)
        if network.condition is not None:
            network.lag.fill_(self.condition_lag(train)[0])

    def condition_lag(self, train: DayAheadSamples) -> tuple[int, float]:
        """Lag in steps with the largest ``|Pearson|`` and that correlation (the zone with the strongest coupling decides)."""
        encoder, _ = self._trained()
        position = self._condition_position(encoder.fitted_layout())
        if position is None:
            return 0, 0.0
        found = []
        for zone in sorted(set(train.zone.tolist())):
            rows = train.select(train.zone == zone)
            rows = rows.select(np.unique(rows.day, return_index=True)[1])  # of windows that slide, the whole days
            x, y = torch.from_numpy(rows.y).flatten(), torch.from_numpy(rows.future[..., position]).flatten()
            found.append(lag_of_largest_correlation(x, y, self.max_lag))
        return max(found, key=lambda lag_rho: abs(lag_rho[1]))

    def _condition_position(self, layout: Layout) -> int | None:
        if not layout.futures:
            return None
        if self.condition_series is None:
            return next((k for k, name in enumerate(layout.futures) if "wind" in name), 0)
        if self.condition_series not in layout.futures:
            raise UnknownNameError(unknown("condition_series", self.condition_series, layout.futures))
        return layout.futures.index(self.condition_series)
