"""Boosted regression trees over hours: another family than linear models and networks, so that it errs elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from torch import Tensor

from forecasting.errors import ArtefactError, DataError, SettingError
from forecasting.models.base import FitReport, Forecaster, Prediction
from forecasting.models.boosted_trees import BoostedTrees
from forecasting.models.hourly_features import HourlyFeatures, hourly_features
from forecasting.models.known_target import require_known_target
from forecasting.models.residuals import names_from_tensor, names_to_tensor, prediction_from_grid, residual_grid
from forecasting.samples import DayAheadSamples
from forecasting.transforms import TargetTransform

FloatArray = NDArray[np.float64]

_LEAST_TRAINING_DAYS = 21
_TREE_FIELDS = [field.name for field in fields(BoostedTrees)]


@dataclass(frozen=True, eq=False)
class ZoneFit:
    """The trees of one zone, percentiles of their out-of-fold errors per step ``grid`` ``[S, 99]``, and the range of
    forecasts ``bounds`` ``[2]`` in the unit of the target."""

    trees: BoostedTrees
    grid: FloatArray
    bounds: FloatArray


class GradientBoosting(Forecaster):
    """One gradient boosting of regression trees per zone, for all steps of the day together, with absolute loss.

    Friedman, Annals of Statistics 29 (2001) 1189, on histograms (scikit-learn). The regressors are those of
    :func:`forecasting.models.hourly_features.hourly_features`. Intervals come from errors on blocks of days that the trees
    had not seen, per step of the day.

    ``rounds``, ``learning_rate``, ``leaves``, ``least_rows``, ``l2``: size of the boosting. ``window_days``: newest days that
    train. ``level_days``: days whose mean is taken off a price. ``transform``: ``asinh`` takes the price relative to its recent
    level and spread and then its asinh, ``linear`` leaves the target as it is; ``None`` takes asinh for prices and linear
    otherwise. ``residual_folds``: blocks for the errors that make the intervals. Unknown regressors need no filling.
    """

    name: ClassVar[str] = "gradient_boosting"
    uses_future_condition: ClassVar[bool] = True

    def __init__(
        self,
        rounds: int = 300,
        learning_rate: float = 0.06,
        leaves: int = 31,
        least_rows: int = 40,
        l2: float = 1.0,
        window_days: int = 1456,
        level_days: int = 7,
        transform: TargetTransform | str | None = None,
        residual_folds: int = 3,
    ) -> None:
        self.rounds, self.leaves, self.least_rows = int(rounds), int(leaves), int(least_rows)
        self.learning_rate, self.l2 = float(learning_rate), float(l2)
        self.window_days, self.level_days, self.residual_folds = int(window_days), int(level_days), int(residual_folds)
        try:
            self.transform = None if transform is None else TargetTransform(transform)
        except ValueError as error:
            choices = ", ".join(TargetTransform)
            raise SettingError(f"gradient boosting: {error}; choose transform from {choices}") from None
        if min(self.rounds, self.least_rows, self.level_days) < 1 or self.leaves < 2 or self.learning_rate <= 0:
            raise SettingError(
                "gradient boosting: rounds, least_rows and level_days must be at least 1, leaves at least 2, "
                f"learning_rate positive; got {self.settings()}"
            )
        if self.window_days < _LEAST_TRAINING_DAYS or self.residual_folds < 2:
            raise SettingError(
                f"gradient boosting needs window_days of at least {_LEAST_TRAINING_DAYS} and 2 residual_folds, "
                f"got {self.window_days} and {self.residual_folds}"
            )
        self._fits: dict[str, ZoneFit] = {}

    def fit(
        self, train: DayAheadSamples, valid: DayAheadSamples | None = None, *, seed: int = 0, progress: bool = False
    ) -> FitReport:
        """Fit every zone in ``train``; ``valid`` is not needed."""
        started = time.perf_counter()
        require_known_target(train)
        features, scaled = self._scaled(train)
        fits: dict[str, ZoneFit] = {}
        for zone in np.unique(train.zone):
            rows = np.flatnonzero(train.zone == zone)
            rows = rows[np.argsort(train.day[rows], kind="stable")][-self.window_days :]
            if len(rows) < _LEAST_TRAINING_DAYS:
                raise DataError(f"gradient boosting needs {_LEAST_TRAINING_DAYS} training days, {zone} has {len(rows)}")
            x, z = features.x[rows], scaled[rows]
            residuals = np.empty_like(z)
            for block in np.array_split(np.arange(len(rows)), self.residual_folds):
                others = np.setdiff1d(np.arange(len(rows)), block)
                unseen = self._grow(x[others], z[others], seed).predict(x[block].reshape(-1, x.shape[-1]))
                residuals[block] = z[block] - unseen.reshape(z[block].shape)
            trees = BoostedTrees.of(self._grow(x, z, seed))
            fits[str(zone)] = ZoneFit(trees, residual_grid(residuals), _bounds(train, rows))
        self._fits = fits
        parameters = sum(int(fit.trees.leaf.sum()) for fit in fits.values())
        return FitReport(seconds=time.perf_counter() - started, samples=len(train), parameters=parameters)

    def _grow(self, x: FloatArray, z: FloatArray, seed: int) -> HistGradientBoostingRegressor:
        model = HistGradientBoostingRegressor(
            loss="absolute_error",
            max_iter=self.rounds,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.least_rows,
            l2_regularization=self.l2,
            early_stopping=False,
            random_state=seed,
        )
        rows = x.reshape(-1, x.shape[-1])
        never_known = np.isnan(rows).all(axis=0)  # scikit-learn refuses such a column; a constant one is never split on
        return model.fit(np.where(never_known, 0.0, rows), z.reshape(-1))

    def _relative(self, target: str) -> bool:
        chosen = self.transform or (TargetTransform.ASINH if target == "price" else TargetTransform.LINEAR)
        return chosen is TargetTransform.ASINH

    def _scaled(self, samples: DayAheadSamples) -> tuple[HourlyFeatures, FloatArray]:
        """Regressors, and the target on the scale of the trees ``[N, S]``."""
        relative = self._relative(samples.target)
        features = hourly_features(samples, self.level_days if relative else None)
        scaled = (samples.y.astype(np.float64) - features.center[:, None]) / features.spread[:, None]
        return features, np.arcsinh(scaled) if relative else scaled

    def predict(self, samples: DayAheadSamples) -> Prediction:
        """Distributions per step; the median is the forecast of the trees."""
        if not self._fits:
            raise ArtefactError("gradient boosting is not trained yet; call fit or load an artefact first")
        relative = self._relative(samples.target)
        features = hourly_features(samples, self.level_days if relative else None)
        values = np.empty((*samples.y.shape, 99))
        for zone in np.unique(samples.zone):
            if str(zone) not in self._fits:
                raise DataError(
                    f"gradient boosting has one model per zone and none for {zone}; trained: {', '.join(self._fits)}"
                )
            fit, rows = self._fits[str(zone)], np.flatnonzero(samples.zone == zone)
            x = features.x[rows]
            scaled = fit.trees(x.reshape(-1, x.shape[-1])).reshape(x.shape[:2])[..., None] + fit.grid
            scaled = np.sinh(scaled) if relative else scaled
            values[rows] = scaled * features.spread[rows, None, None] + features.center[rows, None, None]
            values[rows] = np.clip(values[rows], *fit.bounds)
        return prediction_from_grid(values)

    def settings(self) -> dict[str, Any]:
        """Constructor arguments."""
        names = ("rounds", "learning_rate", "leaves", "least_rows", "l2", "window_days", "level_days", "residual_folds")
        transform = None if self.transform is None else str(self.transform)
        return {name: getattr(self, name) for name in names} | {"transform": transform}

    def state(self) -> dict[str, Tensor]:
        """Trees, error percentiles and bounds of each zone as ``<zone number>.<name>``, and the zone names."""
        if not self._fits:
            raise ArtefactError("gradient boosting has nothing to save; call fit first")
        tensors = {"zones": names_to_tensor(list(self._fits))}
        for number, fit in enumerate(self._fits.values()):
            tensors |= {f"{number}.{name}": getattr(fit.trees, name) for name in _TREE_FIELDS}
            tensors |= {f"{number}.grid": torch.from_numpy(fit.grid), f"{number}.bounds": torch.from_numpy(fit.bounds)}
        return tensors

    def load_state(self, state: Mapping[str, Tensor]) -> Self:
        """Restore what ``state`` returned."""
        self._fits = {
            zone: ZoneFit(
                trees=BoostedTrees(**{name: state[f"{number}.{name}"] for name in _TREE_FIELDS}),
                grid=state[f"{number}.grid"].numpy(),
                bounds=state[f"{number}.bounds"].numpy(),
            )
            for number, zone in enumerate(names_from_tensor(state["zones"]))
        }
        return self


def _bounds(train: DayAheadSamples, rows: NDArray[np.intp]) -> FloatArray:
    """What is physical: power is not negative, wind not above its largest value in training."""
    least = -np.inf if train.target == "price" else 0.0
    most = float(train.y[rows].max()) if train.target == "wind" else np.inf
    return np.array([least, most])
