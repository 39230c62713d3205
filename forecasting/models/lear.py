"""LEAR: the LASSO estimated autoregressive model, the strongest linear benchmark for day-ahead electricity prices."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from forecasting.errors import ArtefactError, DataError, SettingError
from forecasting.models.base import FitReport, Forecaster, Prediction
from forecasting.models.known_target import require_known_target
from forecasting.models.lasso_lars import Penalty, fit_lasso
from forecasting.models.lear_features import EXOGENOUS_LAGS_DAYS, TARGET_LAGS_DAYS, WEEKDAYS, lear_features
from forecasting.models.residuals import (
    GRID_LEVELS,
    names_from_tensor,
    names_to_tensor,
    prediction_from_grid,
    residual_grid,
)
from forecasting.samples import DayAheadSamples
from forecasting.transforms import TargetTransform

FloatArray = NDArray[np.float64]

#: Calibration windows of the published ensemble, in days (Lago et al. 2021): 8 and 12 weeks, 3 and 4 years of 364 days.
CALIBRATION_WINDOWS_DAYS = (56, 84, 1092, 1456)

_LEAST_TRAINING_DAYS = 21
_RANGE_MARGIN = 1.0


@dataclass(frozen=True, eq=False)
class WindowFit:
    """One calibration window of one zone: ``S`` linear models in scaled space.

    ``x_center``, ``x_scale`` ``[p]`` (NaN in ``x_center`` marks a regressor that was never known); ``y_center``,
    ``y_scale``, ``intercepts`` ``[S]``; ``coefficients`` ``[p, S]``; ``grid`` ``[S, 99]``, percentiles of the scaled
    residuals; ``bounds`` ``[2, S]``, the range that a forecast cannot leave, in the unit of the target; ``linear`` ``[1]``,
    whether the scale is linear.
    """

    x_center: Tensor
    x_scale: Tensor
    y_center: Tensor
    y_scale: Tensor
    coefficients: Tensor
    intercepts: Tensor
    grid: Tensor
    bounds: Tensor
    linear: Tensor


class Lear(Forecaster):
    """One LASSO per zone and hour on asinh-scaled lags, published forecasts and day-of-week dummies.

    Uniejewski, Nowotarski and Weron, Energies 9 (2016) 621; Lago et al., Applied Energy 293 (2021) 116983, section 4.2.
    Each calibration window trains its own model on the newest days, the first week of the window serving as lags (so 1092
    days give 1085 training rows, which repeats the published forecasts); forecasts and quantiles are averaged over the
    windows. A window longer than the training data uses all of it. Regressors that are unknown in every training row are
    dropped; a regressor unknown in one row takes its median.

    The same regressors serve wind and load: lags of the target and the published condition. ``transform`` is ``asinh``
    or ``linear``; ``None`` takes asinh for prices and linear otherwise. A forecast cannot leave the scaled range of training
    by more than one scaled unit; wind stays between zero and the largest value in training, load above zero.
    """

    name: ClassVar[str] = "lear"
    uses_future_condition: ClassVar[bool] = True

    def __init__(
        self,
        windows: Sequence[int] = CALIBRATION_WINDOWS_DAYS,
        penalty: Penalty | str = Penalty.PUBLISHED,
        transform: TargetTransform | str | None = None,
        target_lags: Sequence[int] = TARGET_LAGS_DAYS,
        exogenous_lags: Sequence[int] = EXOGENOUS_LAGS_DAYS,
        residual_folds: int = 5,
    ) -> None:
        self.windows = tuple(int(days) for days in windows)
        self.target_lags, self.exogenous_lags = tuple(target_lags), tuple(exogenous_lags)
        self.residual_folds = int(residual_folds)
        try:
            self.penalty = Penalty(penalty)
            self.transform = None if transform is None else TargetTransform(transform)
        except ValueError as error:
            choices = f"penalty: {', '.join(Penalty)}; transform: {', '.join(TargetTransform)}"
            raise SettingError(f"LEAR: {error}; choose from {choices}") from None
        least = _LEAST_TRAINING_DAYS + max(self.target_lags)
        if not self.windows or min(self.windows) < least:
            raise SettingError(f"LEAR needs windows of at least {least} days, got {self.windows}")
        if self.residual_folds < 2:
            raise SettingError(f"LEAR needs at least 2 residual folds, got {self.residual_folds}")
        self._fits: dict[str, list[WindowFit]] = {}

    def fit(
        self, train: DayAheadSamples, valid: DayAheadSamples | None = None, *, seed: int = 0, progress: bool = False
    ) -> FitReport:
        """Fit every zone in ``train``. Nothing is random and the penalty needs no ``valid``."""
        started = time.perf_counter()
        require_known_target(train)
        features = lear_features(train, self.target_lags, self.exogenous_lags)
        fits: dict[str, list[WindowFit]] = {}
        for zone in np.unique(train.zone):
            rows = np.flatnonzero(train.zone == zone)
            rows = rows[np.argsort(train.day[rows], kind="stable")]
            if len(rows) < _LEAST_TRAINING_DAYS:
                raise DataError(f"LEAR needs {_LEAST_TRAINING_DAYS} training days, {zone} has {len(rows)}")
            lengths = sorted({min(days - max(self.target_lags), len(rows)) for days in self.windows})
            extremes = torch.tensor([float(train.y[rows].min()), float(train.y[rows].max())], dtype=torch.float64)
            fits[str(zone)] = [self._fit_window(train, features, rows[-length:], extremes) for length in lengths]
        self._fits = fits
        parameters = sum(int((fit.coefficients != 0).sum()) for zone_fits in fits.values() for fit in zone_fits)
        return FitReport(seconds=time.perf_counter() - started, samples=len(train), parameters=parameters)

    def _fit_window(
        self, train: DayAheadSamples, features: FloatArray, rows: NDArray[np.intp], extremes: Tensor
    ) -> WindowFit:
        raw, y = torch.from_numpy(features[rows]), torch.from_numpy(train.y[rows]).double()
        transform = self.transform or (TargetTransform.ASINH if train.target == "price" else TargetTransform.LINEAR)
        scaler = transform.scaler()
        x_center, x_scale = (part.double() for part in scaler.fit(raw))
        y_center, y_scale = (part.double() for part in scaler.fit(y))
        x_center[-WEEKDAYS:], x_scale[-WEEKDAYS:] = 0.0, 1.0
        x_center[~torch.isfinite(raw).any(dim=0)] = torch.nan
        design = _design(raw, x_center, x_scale, transform).numpy()
        with warnings.catch_warnings():
            # LARS warns when equal regressors (two zones with one forecast) end its path early; the fit so far is valid.
            warnings.simplefilter("ignore", ConvergenceWarning)
            lasso = fit_lasso(
                design, scaler.forward(y, y_center, y_scale).numpy(), self.penalty, folds=self.residual_folds
            )
        return WindowFit(
            x_center=x_center,
            x_scale=x_scale,
            y_center=y_center,
            y_scale=y_scale,
            coefficients=torch.from_numpy(lasso.coefficients),
            intercepts=torch.from_numpy(lasso.intercepts),
            grid=torch.from_numpy(residual_grid(lasso.residuals)),
            bounds=_bounds(train.target, extremes, y_center, y_scale, transform),
            linear=torch.tensor([transform is TargetTransform.LINEAR]),
        )

    def predict(self, samples: DayAheadSamples) -> Prediction:
        """Distributions averaged over the windows, quantile by quantile; the median is the LEAR point forecast."""
        if not self._fits:
            raise ArtefactError("LEAR is not trained yet; call fit or load an artefact first")
        features = lear_features(samples, self.target_lags, self.exogenous_lags)
        values = np.empty((len(samples), samples.slots, len(GRID_LEVELS)))
        for zone in np.unique(samples.zone):
            if str(zone) not in self._fits:
                raise DataError(f"LEAR has one model per zone and none for {zone}; trained: {', '.join(self._fits)}")
            rows = samples.zone == zone
            parts = [_percentiles(fit, torch.from_numpy(features[rows])) for fit in self._fits[str(zone)]]
            values[rows] = torch.stack(parts).mean(dim=0).numpy()
        return prediction_from_grid(values)

    def settings(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "windows": list(self.windows),
            "penalty": str(self.penalty),
            "transform": None if self.transform is None else str(self.transform),
            "target_lags": list(self.target_lags),
            "exogenous_lags": list(self.exogenous_lags),
            "residual_folds": self.residual_folds,
        }

    def state(self) -> dict[str, Tensor]:
        """The tensors of every ``WindowFit`` as ``<zone number>.<window number>.<field>``, and the zone names."""
        if not self._fits:
            raise ArtefactError("LEAR has nothing to save; call fit first")
        tensors = {"zones": names_to_tensor(list(self._fits))}
        for z, fits in enumerate(self._fits.values()):
            for w, fit in enumerate(fits):
                tensors |= {f"{z}.{w}.{field.name}": getattr(fit, field.name) for field in fields(WindowFit)}
        return tensors

    def load_state(self, state: Mapping[str, Tensor]) -> Self:
        """Restore what ``state`` returned."""
        names = [field.name for field in fields(WindowFit)]
        self._fits = {}
        for z, zone in enumerate(names_from_tensor(state["zones"])):
            windows = sorted({int(key.split(".")[1]) for key in state if key.startswith(f"{z}.")})
            self._fits[zone] = [WindowFit(**{name: state[f"{z}.{w}.{name}"] for name in names}) for w in windows]
        return self


def _design(raw: Tensor, center: Tensor, scale: Tensor, transform: TargetTransform) -> Tensor:
    """Scaled regressors ``[N, p]``; a value that is unknown sits at the centre of its column."""
    scaled = transform.scaler().forward(raw, center, scale)
    scaled[:, -WEEKDAYS:] = raw[:, -WEEKDAYS:]
    return torch.nan_to_num(scaled, nan=0.0)


def _percentiles(fit: WindowFit, raw: Tensor) -> Tensor:
    """The 99 percentiles of every step in the unit of the target, ``[N, S, 99]``."""
    transform = TargetTransform.LINEAR if bool(fit.linear) else TargetTransform.ASINH
    design = _design(raw, fit.x_center, fit.x_scale, transform)
    scaled = design @ fit.coefficients + fit.intercepts  # [N, S]
    values = transform.scaler().inverse(scaled[..., None] + fit.grid, fit.y_center[:, None], fit.y_scale[:, None])
    return values.clamp(fit.bounds[0][:, None], fit.bounds[1][:, None])


def _bounds(target: str, extremes: Tensor, center: Tensor, scale: Tensor, transform: TargetTransform) -> Tensor:
    """Range of forecasts per step, ``[2, S]``: the extremes of training widened in scaled space, and what is physical."""
    scaler = transform.scaler()
    scaled = scaler.forward(extremes[:, None], center, scale) + torch.tensor([[-_RANGE_MARGIN], [_RANGE_MARGIN]])
    bounds = scaler.inverse(scaled, center, scale)
    if target != "price":
        bounds[0] = bounds[0].clamp(min=0.0)
    if target == "wind":
        bounds[1] = bounds[1].clamp(max=float(extremes[1]))
    return bounds
