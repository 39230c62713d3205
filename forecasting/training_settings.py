"""How a network is trained: the numbers, apart from the machinery that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from forecasting.errors import SettingError, UnknownNameError
from forecasting.names import unknown

OPTIMIZERS: tuple[str, ...] = ("adamw", "adam")


@dataclass(frozen=True)
class TrainingSettings:
    """Optimiser, schedule and stopping rule.

    Attributes
    ----------
    steps: optimiser steps at most.
    batch_size: rows (zone-days) per step.
    optimizer: ``adamw`` or ``adam``.
    learning_rate: highest learning rate; it rises linearly over ``warmup_share`` of the steps, then follows a cosine to
        zero (``cosine``) or stays.
    weight_decay: of ``adamw``.
    average_decay: decay of the exponential moving average of the weights, which is what predicts; 0 switches it off.
    gradient_clip: largest gradient norm; 0 switches it off.
    checks: validations during training, evenly spaced. One Lightning epoch is one such interval.
    patience: stop after this many checks without a better validation loss; 0 never stops early.
    warm_learning_rate: learning rate of warm-start steps.
    warm_batch_size: rows of a warm-start step; 0 takes ``batch_size``.
    fine_tune_learning_rate: highest learning rate of fine-tuning, on the same schedule.
    strategy, devices, nodes: handed to Lightning as they are (``devices`` 0 means ``auto``).
    """

    steps: int = 2000
    batch_size: int = 64
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    cosine: bool = True
    warmup_share: float = 0.05
    weight_decay: float = 0.01
    average_decay: float = 0.995
    gradient_clip: float = 1.0
    checks: int = 20
    patience: int = 8
    warm_learning_rate: float = 1e-4
    warm_batch_size: int = 0
    fine_tune_learning_rate: float = 3e-4
    strategy: str = "auto"
    devices: int = 0
    nodes: int = 1

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "checks", "nodes"):
            if getattr(self, name) < 1:
                raise SettingError(f"training.{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "warm_learning_rate", "fine_tune_learning_rate"):
            if not getattr(self, name) > 0:
                raise SettingError(f"training.{name} must be positive, got {getattr(self, name)}")
        for name in ("average_decay", "warmup_share"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"training.{name} must lie in [0, 1), got {getattr(self, name)}")
        if self.optimizer not in OPTIMIZERS:
            raise UnknownNameError(unknown("training.optimizer", self.optimizer, OPTIMIZERS))

    @classmethod
    def of(cls, given: TrainingSettings | Mapping[str, Any] | None, defaults: Mapping[str, Any]) -> Self:
        """Settings from a mapping (of a config file, say) over a model's own ``defaults``."""
        if isinstance(given, TrainingSettings):
            return cls(**asdict(given))
        chosen = {**defaults, **(given or {})}
        names = [field.name for field in fields(cls)]
        for key in chosen:
            if key not in names:
                raise UnknownNameError(unknown("training setting", str(key), names))
        return cls(**chosen)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)
