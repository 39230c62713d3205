"""What the forecasters of Shi et al. 2023 share: they read the last days step by step, in the paper's scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from forecasting.models.neural import NeuralForecaster, NeuralSettings
from forecasting.training_settings import TrainingSettings


class SequenceSettings(NeuralSettings, total=False):
    """What every forecaster of sequences can be told, whatever its network."""

    input_days: int


class SequenceForecaster(NeuralForecaster):
    """Base of the Transformer of Shi et al. 2023 and of its baselines LSTM, CNN and seq2seq.

    They read the last ``input_days`` (3 days are the paper's 72 hours), scaled by mean and variance without removing a
    level, and answer with the mean and variance of each step. The paper prints no sizes of the baselines; the defaults
    are ours. Its baselines are unconditional: ``condition=False``.
    """

    training_defaults: ClassVar[Mapping[str, Any]] = {"steps": 1500, "learning_rate": 2e-3}

    def __init__(
        self,
        *,
        input_days: int = 3,
        transform: str | None = "linear",
        level_days: int | None = 0,
        condition: bool = True,
        source_context: str = "none",
        embedding: Mapping[str, Any] | None = None,
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
            embedding=embedding,
            training=training,
        )
        self.input_days = input_days
