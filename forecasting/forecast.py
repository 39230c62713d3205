"""The one object that leaves this package: a probabilistic forecast for one delivery day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.errors import DataError

FloatArray = NDArray[np.float64]


class InputOrigin(StrEnum):
    """Where one input of a forecast came from."""

    MEASURED = "measured"
    FORECAST = "forecast"
    FALLBACK = "fallback"
    MISSING = "missing"


@dataclass(frozen=True)
class InputRecord:
    """Origin of one input series and the newest delivery time that was known when the forecast was made."""

    origin: InputOrigin
    newest: pd.Timestamp | None
    note: str = ""


@dataclass(frozen=True, eq=False)
class Forecast:
    """Forecast of one target for one delivery day.

    Attributes
    ----------
    target: ``price``, ``wind`` or ``load``.
    zone: bidding zone or site id.
    unit: unit of every value, ``EUR/MWh`` or ``MW``.
    issued_at: UTC instant at which the forecast was made; nothing later was used.
    index: UTC start of each delivery step, shape ``[step]`` (23 to 25 hours, or 92 to 100 quarter-hours).
    mean, std: shape ``[step]``.
    quantile_levels: increasing, inside (0, 1).
    quantiles: shape ``[step, level]``, non-decreasing along the levels.
    scenarios: equally likely joint paths, shape ``[path, step]``; may have zero paths.
    inputs: origin of each input series.
    model_id: model name, version and artefact fingerprint.
    simulated: whether the underlying data is simulated.

    Raises
    ------
    DataError: if shapes disagree, values are not finite, or quantiles cross.
    """

    target: str
    zone: str
    unit: str
    issued_at: pd.Timestamp
    index: pd.DatetimeIndex
    mean: FloatArray
    std: FloatArray
    quantile_levels: tuple[float, ...]
    quantiles: FloatArray
    scenarios: FloatArray
    inputs: Mapping[str, InputRecord] = field(default_factory=dict)
    model_id: str = ""
    simulated: bool = False

    def __post_init__(self) -> None:
        steps, levels = len(self.index), len(self.quantile_levels)
        where = f"forecast of {self.target} in {self.zone}"
        if self.index.tz is None or self.issued_at.tzinfo is None:
            raise DataError(f"{where}: delivery index and issue time must carry a time zone")
        shapes = {
            "mean": (self.mean.shape, (steps,)),
            "std": (self.std.shape, (steps,)),
            "quantiles": (self.quantiles.shape, (steps, levels)),
            "scenarios": (self.scenarios.shape[1:], (steps,)),
        }
        for name, (got, want) in shapes.items():
            if got != want:
                raise DataError(f"{where}: {name} has shape {got}, expected {want}")
        for name in ("mean", "std", "quantiles", "scenarios"):
            if not np.isfinite(getattr(self, name)).all():
                raise DataError(f"{where}: {name} holds values that are not finite")
        if levels > 1 and (np.diff(self.quantiles, axis=1) < -1e-9).any():
            raise DataError(f"{where}: quantiles cross")

    def to_frame(self) -> pd.DataFrame:
        """One row per delivery step: mean, std and a column ``q05`` ... per quantile level."""
        columns = {f"q{round(level * 100):02d}": self.quantiles[:, k] for k, level in enumerate(self.quantile_levels)}
        frame = pd.DataFrame({"mean": self.mean, "std": self.std, **columns}, index=self.index)
        frame.index.name = "delivery_utc"
        return frame.assign(target=self.target, zone=self.zone, unit=self.unit, model=self.model_id)

    def __str__(self) -> str:
        return (
            f"Forecast of {self.target} in {self.zone} for {len(self.index)} steps from {self.index[0]:%Y-%m-%d %H:%M} UTC: "
            f"mean {self.mean.mean():.2f} {self.unit} ({self.mean.min():.2f} to {self.mean.max():.2f}), model {self.model_id}"
        )
