"""Rolling conformal calibration: quantiles shifted so that recent days would have been covered as stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError, SettingError
from forecasting.models.base import Prediction

FloatArray = NDArray[np.float64]

#: Widths below this share of the usual width of a step count as this share: a certain forecast can still be wrong.
_LEAST_WIDTH_SHARE = 0.05


@dataclass(frozen=True, eq=False)
class Correction:
    """Shift of each quantile in units of the width of the outer interval, ``[S, Q]``, and the least width ``[S]``."""

    shift: FloatArray
    least_width: FloatArray
    days: int


@dataclass(frozen=True)
class RollingConformal:
    """One-sided conformal correction of every quantile from the last ``window_days`` days.

    Conformalized quantile regression (Romano, Patterson and Candes, NeurIPS 2019, Theorem 2: the two tails on their own),
    on errors divided by the width of the outer interval, per step of the day. The guarantee holds for exchangeable days;
    the rolling window is what follows a changing market. The median stays where it is.

    ``least_days``: with fewer known days nothing is changed. ``delay_days``: the newest day whose truth is known when day
    ``d`` is forecast is ``d - delay_days`` (1 for auction prices, 2 for measured power). ``pooled_steps``: neighbouring
    steps on either side whose errors count as well, for windows of few days.
    """

    window_days: int = 182
    least_days: int = 28
    delay_days: int = 1
    pooled_steps: int = 0

    def __post_init__(self) -> None:
        if min(self.window_days, self.least_days, self.delay_days) < 1:
            raise SettingError("conformal calibration: window_days, least_days and delay_days must be at least 1")
        if self.pooled_steps < 0:
            raise SettingError("conformal calibration: pooled_steps must not be negative")

    def learn(self, quantiles: FloatArray, y: FloatArray, levels: Sequence[float]) -> Correction | None:
        """Correction from past uncalibrated quantiles ``[D, S, Q]`` and truths ``[D, S]``; ``None`` if too few days.

        A truth that is NaN is left out.
        """
        if len(quantiles) < self.least_days:
            return None
        alphas = np.asarray(levels)
        width = quantiles[..., -1] - quantiles[..., 0]
        least_width = np.maximum(_LEAST_WIDTH_SHARE * width.mean(axis=0), 1e-9)
        scores = (y[..., None] - quantiles) / np.maximum(width, least_width)[..., None]
        scores = np.sort(self._with_neighbours(scores), axis=0)  # NaN last
        known = np.isfinite(scores).sum(axis=0)  # [S, Q]
        lower = alphas < 0.5
        rank = np.where(lower, np.floor(alphas * (known + 1)), np.ceil(alphas * (known + 1)))
        position = np.clip(rank, 1, np.maximum(known, 1)).astype(np.intp) - 1
        shift = np.take_along_axis(scores, position[None], axis=0)[0]
        shift = np.where((known >= self.least_days) & (alphas != 0.5), shift, 0.0)
        return Correction(shift, least_width, len(quantiles))

    def _with_neighbours(self, scores: FloatArray) -> FloatArray:
        """Scores ``[D, S, Q]`` with those of the ``pooled_steps`` steps before and after, as further days."""
        reach = self.pooled_steps
        padded = np.pad(scores, ((0, 0), (reach, reach), (0, 0)), constant_values=np.nan)
        steps = scores.shape[1]
        return np.concatenate([padded[:, shift : shift + steps] for shift in range(2 * reach + 1)], axis=0)

    def apply(self, prediction: Prediction, correction: Correction | None) -> Prediction:
        """Shifted quantiles, still in order and around the same median; ``std`` follows the width."""
        if correction is None:
            return prediction
        alphas, raw = np.asarray(prediction.levels), prediction.quantiles
        width = raw[..., -1] - raw[..., 0]
        moved = raw + np.maximum(width, correction.least_width)[..., None] * correction.shift
        if 0.5 in prediction.levels:
            median = raw[..., [prediction.levels.index(0.5)]]
            moved = np.where(alphas < 0.5, np.minimum(moved, median), np.maximum(moved, median))
        moved = np.sort(moved, axis=-1)
        growth = np.divide(moved[..., -1] - moved[..., 0], width, out=np.ones_like(width), where=width > 0)
        return replace(prediction, quantiles=moved, std=prediction.std * growth)

    def calibrate(
        self,
        prediction: Prediction,
        y: NDArray[np.floating],
        day: NDArray[np.datetime64],
        zone: NDArray[np.str_] | None = None,
        bounds: tuple[float, float] = (-np.inf, np.inf),
    ) -> Prediction:
        """Every day corrected by the days before it, as it would have been online; zones on their own.

        ``y`` ``[N, S]``, ``day`` ``[N]``, ``zone`` ``[N]``; ``bounds`` is the range that is physical.
        """
        if y.shape != prediction.mean.shape or len(day) != len(y):
            raise DataError(f"calibration: y has shape {y.shape}, the prediction {prediction.mean.shape}")
        where = np.zeros(len(day), dtype=np.str_) if zone is None else zone
        truth = np.asarray(y, dtype=np.float64)
        quantiles, std = prediction.quantiles.copy(), prediction.std.copy()
        for name in np.unique(where):
            rows = np.flatnonzero(where == name)
            rows = rows[np.argsort(day[rows], kind="stable")]
            days = day[rows].astype("datetime64[D]").astype(np.int64)
            for number, row in enumerate(rows):
                last = int(np.searchsorted(days, days[number] - self.delay_days, side="right"))
                first = int(np.searchsorted(days, days[number] - self.delay_days - self.window_days, side="right"))
                past = rows[first:last]
                correction = self.learn(prediction.quantiles[past], truth[past], prediction.levels)
                one = Prediction(
                    prediction.mean[[row]], prediction.std[[row]], prediction.quantiles[[row]], prediction.levels
                )
                calibrated = self.apply(one, correction)
                quantiles[row], std[row] = calibrated.quantiles[0], calibrated.std[0]
        return replace(prediction, quantiles=np.clip(quantiles, *bounds), std=std)
