"""An ensemble as one forecaster: members trained together, weighted on validation days, saved as one artefact."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.backtesting import WarmStarting
from forecasting.ensemble import least_absolute_weights
from forecasting.errors import ArtefactError, SettingError
from forecasting.models import create
from forecasting.models.base import QUANTILE_LEVELS, FitReport, Forecaster, Prediction
from forecasting.samples import DayAheadSamples

#: Fewer validation rows than this say too little to prefer one member.
_LEAST_ROWS = 28


class EnsembleForecaster(Forecaster):
    """Weighted average, quantile by quantile, of members of different kinds.

    Weights have the least MAE of the median on the validation days, then ``shrinkage`` of equal weights is mixed in;
    without (enough) validation days they are equal. Members get the validation days too, for early stopping.

    Parameters
    ----------
    members: settings of each member by a name of your choice, ``{"linear": {"name": "lear", "windows": [1092]}, ...}``.
    shrinkage: share of equal weights, in [0, 1].
    """

    name: ClassVar[str] = "ensemble"
    uses_future_condition: ClassVar[bool] = True

    def __init__(self, members: Mapping[str, Mapping[str, Any]], shrinkage: float = 0.25) -> None:
        if not members:
            raise SettingError("an ensemble needs members, a mapping of names to {name: MODEL, ...settings}")
        if not 0.0 <= shrinkage <= 1.0:
            raise SettingError(f"ensemble: shrinkage must lie in [0, 1], got {shrinkage}")
        self.shrinkage = float(shrinkage)
        self._plan = {str(label): dict(settings) for label, settings in members.items()}
        for label, settings in self._plan.items():
            if "name" not in settings or "/" in label:
                raise SettingError(f"ensemble member {label!r} needs a model name, and its label no slash")
        self.members: dict[str, Forecaster] = {}
        self._build()
        self.weights: NDArray[np.float64] = np.full(len(self.members), 1.0 / len(self.members))

    def _build(self) -> None:
        for label, settings in self._plan.items():
            others = {key: value for key, value in settings.items() if key != "name"}
            self.members[label] = create(str(settings["name"]), **others)

    def fit(
        self, train: DayAheadSamples, valid: DayAheadSamples | None = None, *, seed: int = 0, progress: bool = False
    ) -> FitReport:
        """Fit every member, each with a seed of its own, then the weights."""
        started = time.perf_counter()
        self._build()
        reports = [
            member.fit(train, valid, seed=seed + k, progress=progress) for k, member in enumerate(self.members.values())
        ]
        count = len(self.members)
        self.weights = np.full(count, 1.0 / count)
        if valid is not None and len(valid) >= _LEAST_ROWS:
            middle = QUANTILE_LEVELS.index(0.5)
            medians = np.stack([m.predict(valid).quantiles[..., middle] for m in self.members.values()], axis=1)
            best = least_absolute_weights(valid.y.astype(np.float64), medians)
            self.weights = (1.0 - self.shrinkage) * best + self.shrinkage / count
        curve = tuple(row for report in reports for row in report.curve)
        return FitReport(time.perf_counter() - started, len(train), sum(report.parameters for report in reports), curve)

    def warm_start_steps(self, samples: DayAheadSamples, steps: int = 2, *, seed: int = 0) -> None:
        """Warm-start the members that can be; the others stay as fitted."""
        for k, member in enumerate(self.members.values()):
            if isinstance(member, WarmStarting):
                member.warm_start_steps(samples, steps, seed=seed + k)

    def describe_sources(self, past: DayAheadSamples) -> None:
        """Tell every member."""
        for member in self.members.values():
            member.describe_sources(past)

    def predict(self, samples: DayAheadSamples) -> Prediction:
        """Average of the members' distributions."""
        parts = [member.predict(samples) for member in self.members.values()]

        def averaged(name: str) -> NDArray[np.float64]:
            return np.asarray(np.tensordot(self.weights, np.stack([getattr(p, name) for p in parts]), axes=1))

        return Prediction(averaged("mean"), averaged("std"), averaged("quantiles"), parts[0].levels)

    def settings(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"members": self._plan, "shrinkage": self.shrinkage}

    def state(self) -> dict[str, Tensor]:
        """The members' tensors as ``<label>/<name>``, and the weights."""
        tensors = {f"{label}/{key}": t for label, member in self.members.items() for key, t in member.state().items()}
        return {**tensors, "weights": torch.from_numpy(self.weights.copy())}

    def load_state(self, state: Mapping[str, Tensor]) -> Self:
        """Restore what ``state`` returned."""
        if "weights" not in state or len(state["weights"]) != len(self.members):
            raise ArtefactError("saved ensemble does not fit its settings: weights and members differ")
        for label, member in self.members.items():
            prefix = f"{label}/"
            member.load_state({key.removeprefix(prefix): t for key, t in state.items() if key.startswith(prefix)})
        self.weights = state["weights"].numpy().astype(np.float64)
        return self
