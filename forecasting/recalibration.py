"""When a forecaster is brought up to date: refits on a schedule, warm-start steps in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forecasting.errors import SettingError


@dataclass(frozen=True)
class Recalibration:
    """When a forecaster is refitted during a backtest.

    ``every_days``: days between refits; ``None`` fits once, before the first test day. ``warm_start_steps``: optimiser
    steps before each other day, for forecasters that offer them, on the newest ``warm_start_days`` known days.
    ``fine_tune_steps``: optimiser steps on the tested zones alone after each fit on all zones (warm starts then take the
    tested zones alone), for forecasters that offer them; 0: none. ``valid_days``: newest known days that a fit gets for
    validation in place of training. ``train_days``: training days at most (``None``: all). ``part_days``: days between
    two saved states.
    """

    every_days: int | None = None
    warm_start_steps: int = 0
    warm_start_days: int = 728
    fine_tune_steps: int = 0
    valid_days: int = 0
    train_days: int | None = None
    part_days: int = 28

    def __post_init__(self) -> None:
        for name in ("every_days", "warm_start_days", "train_days", "part_days"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingError(f"recalibration: {name} must be at least 1, got {value}")
        if min(self.warm_start_steps, self.fine_tune_steps, self.valid_days) < 0:
            raise SettingError("recalibration: warm_start_steps, fine_tune_steps and valid_days cannot be negative")

    @staticmethod
    def parse(text: str | int, **others: Any) -> Recalibration:
        """From ``never``, ``daily``, ``weekly`` or a number of days."""
        named = {"never": None, "daily": 1, "weekly": 7}
        if text in named:
            return Recalibration(every_days=named[str(text)], **others)
        try:
            return Recalibration(every_days=int(text), **others)
        except ValueError:
            raise SettingError(f"recalibrate={text}: choose never, daily, weekly or a number of days") from None

    def __str__(self) -> str:
        refits = {None: "fitted once", 1: "refitted daily"}.get(
            self.every_days, f"refitted every {self.every_days} days"
        )
        return refits + (f", {self.warm_start_steps} warm-start steps a day" if self.warm_start_steps else "")
