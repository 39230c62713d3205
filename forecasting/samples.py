"""Day-ahead samples: what was known at the decision time of each delivery day, and what then happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DayAheadSamples:
    """Contiguous arrays for ``N`` delivery days, one row per (zone, day), in the 24-slot (or 96-slot) market day.

    A market day with 23 hours has its missing hour filled with the mean of its neighbours, one with 25 hours has its
    doubled hour averaged (the convention of Lago et al., Applied Energy 293 (2021) 116983), so every day has ``S`` slots.
    NaN means "not known at the decision time" in ``history`` and ``future``, and "not known yet" in ``y``.

    Attributes
    ----------
    target, unit: what is forecast, in which unit.
    step_minutes: 60 or 15; ``S = 1440 / step_minutes``.
    zone: zone or site id of each row, ``[N]``.
    day: local delivery date, ``[N]`` (``datetime64[D]``).
    issued_at: decision time in UTC, ``[N]`` (``datetime64[ns]``).
    history: ``[N, H, S, Ch]``; ``history[:, H-1]`` is the day before delivery; channel 0 is the target.
    future: ``[N, S, Cf]``; forecasts published for the delivery day.
    y: ``[N, S]``; the target on the delivery day.
    """

    target: str
    unit: str
    step_minutes: int
    zone: NDArray[np.str_]
    day: NDArray[np.datetime64]
    issued_at: NDArray[np.datetime64]
    history: Float32
    history_channels: tuple[str, ...]
    future: Float32
    future_channels: tuple[str, ...]
    y: Float32

    def __post_init__(self) -> None:
        n, slots = len(self.day), 1440 // self.step_minutes
        checks = {
            "zone": (self.zone.shape, (n,)),
            "issued_at": (self.issued_at.shape, (n,)),
            "history": (self.history.shape[:1] + self.history.shape[2:], (n, slots, len(self.history_channels))),
            "future": (self.future.shape, (n, slots, len(self.future_channels))),
            "y": (self.y.shape, (n, slots)),
        }
        for name, (got, want) in checks.items():
            if got != want:
                raise DataError(f"samples of {self.target}: {name} has shape {got}, expected {want}")

    def __len__(self) -> int:
        return len(self.day)

    @property
    def slots(self) -> int:
        """Steps in the normalised market day."""
        return int(self.y.shape[1])

    @property
    def history_days(self) -> int:
        """Days of history in each sample."""
        return int(self.history.shape[1])

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> DayAheadSamples:
        """The samples at ``rows`` (mask, positions or slice), in that order."""
        names = ("zone", "day", "issued_at", "history", "future", "y")
        picked: dict[str, Any] = {name: getattr(self, name)[rows] for name in names}
        return replace(self, **picked)

    def between(self, first: np.datetime64 | str, last: np.datetime64 | str) -> DayAheadSamples:
        """Samples whose delivery day lies in ``[first, last]``, both included."""
        inside = (self.day >= np.datetime64(first)) & (self.day <= np.datetime64(last))
        return self.select(np.flatnonzero(inside))

    def known(self) -> DayAheadSamples:
        """Samples whose whole target day is known: the ones that can train or score a model."""
        return self.select(np.flatnonzero(np.isfinite(self.y).all(axis=1)))

    @staticmethod
    def concat(parts: Sequence[DayAheadSamples]) -> DayAheadSamples:
        """Stack samples of several zones. All must share target, step, channels and history length."""
        if not parts:
            raise DataError("no samples to stack")
        first = parts[0]
        for part in parts[1:]:
            if (part.target, part.step_minutes, part.history_channels, part.future_channels, part.history_days) != (
                first.target,
                first.step_minutes,
                first.history_channels,
                first.future_channels,
                first.history_days,
            ):
                raise DataError(
                    f"samples of {first.zone[0]} and {part.zone[0]} do not have the same channels and steps"
                )
        names = ("zone", "day", "issued_at", "history", "future", "y")
        stacked: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
        return replace(first, **stacked)
