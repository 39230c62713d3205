"""Scalers, level removal, calendar and spectral features. Tensors in, tensors out; NaN means "not known"."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: 75% quantile of the standard normal: MAD / 0.6745 estimates a standard deviation.
_NORMAL_QUARTILE = 0.6744897501960817
#: Sine and cosine pairs of the year in :func:`calendar_features`.
_YEAR_HARMONICS = 2

WEEKDAY_FEATURES: tuple[str, ...] = tuple(f"weekday_{d}" for d in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
SEASON_FEATURES: tuple[str, ...] = tuple(
    f"year_{part}_{k}" for k in range(1, _YEAR_HARMONICS + 1) for part in ("sin", "cos")
)


class Scaler(ABC):
    """Maps values of one unit to a scale on which networks train well, and back.

    A scaler has no state of its own: ``fit`` returns location and spread, which broadcast against the values later.
    """

    @abstractmethod
    def fit(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Location and spread of each column of ``values`` ``[n, C]``, NaN left out; ``(0, 1)`` for an empty column."""

    @abstractmethod
    def forward(self, values: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        """Values in their unit to scaled values."""

    @abstractmethod
    def inverse(self, scaled: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        """Scaled values back to their unit; strictly increasing, so quantiles map to quantiles."""


class MeanVarianceScaler(Scaler):
    """``(x - mean) / std``, the standardisation of Shi et al. 2023, section 3.2.1."""

    def fit(self, values: Tensor) -> tuple[Tensor, Tensor]:
        values = values.double()
        center = torch.nanmean(values, dim=0)
        spread = torch.nanmean((values - center) ** 2, dim=0).sqrt()
        return _usable(center, spread)

    def forward(self, values: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        return (values - center) / scale

    def inverse(self, scaled: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        return scaled * scale + center


class AsinhMedianScaler(Scaler):
    """``asinh((x - median) / MAD)``: variance stabilisation of electricity prices, spikes and negative values included.

    Uniejewski, Weron and Ziel, IEEE Trans. Power Systems 33 (2018) 2219, with MAD divided by the normal quartile.
    """

    def fit(self, values: Tensor) -> tuple[Tensor, Tensor]:
        values = values.double()
        center = torch.nanmedian(values, dim=0).values
        spread = torch.nanmedian((values - center).abs(), dim=0).values / _NORMAL_QUARTILE
        deviation = torch.nanmean((values - center) ** 2, dim=0).sqrt()
        # More than half of a column can be one value (calm nights): its MAD is zero, its deviation is not.
        return _usable(center, torch.where(spread > 1e-6 * deviation, spread, deviation))

    def forward(self, values: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        return torch.asinh((values - center) / scale)

    def inverse(self, scaled: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        return torch.sinh(scaled) * scale + center


def _usable(center: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Empty columns become ``(0, 1)``, constant columns get spread 1."""
    center = torch.where(torch.isfinite(center), center, 0.0)
    scale = torch.where(torch.isfinite(scale) & (scale > 0), scale, 1.0)
    return center.float(), scale.float()


class TargetTransform(StrEnum):
    """How the target is scaled."""

    ASINH = "asinh"
    LINEAR = "linear"

    def scaler(self) -> Scaler:
        """The scaler that carries out this transform."""
        return AsinhMedianScaler() if self is TargetTransform.ASINH else MeanVarianceScaler()


def recent_level(history: Tensor, observed: Tensor, days: int) -> Tensor:
    """Mean of the known values of the last ``days`` days, ``[N, H, S] -> [N]``.

    A row that knows nothing of those days takes the mean of its whole history, or 0 if that is unknown too.
    """
    zero = torch.zeros((), dtype=history.dtype)
    filled = torch.where(observed, history, zero)
    counts = observed[:, -days:].sum(dim=(1, 2))
    level = filled[:, -days:].sum(dim=(1, 2)) / counts.clamp(min=1)
    whole = filled.sum(dim=(1, 2)) / observed.sum(dim=(1, 2)).clamp(min=1)
    return torch.where(counts > 0, level, whole)


def calendar_features(day: NDArray[np.datetime64], *, season: bool) -> Tensor:
    """``[N, 7]``, weekday as one-hot (Monday first); with ``season`` ``[N, 11]``, the position in the year added."""
    dates = day.astype("datetime64[D]")
    weekday = (dates.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    weekdays = np.eye(7)[weekday]
    if not season:
        return torch.from_numpy(weekdays.astype(np.float32))
    of_year = (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)
    angle = 2 * np.pi * of_year / 365.25
    waves = [f(k * angle) for k in range(1, _YEAR_HARMONICS + 1) for f in (np.sin, np.cos)]
    return torch.from_numpy(np.column_stack([weekdays, *waves]).astype(np.float32))


def stft_features(series: Tensor, window: int = 16) -> Tensor:
    """Short-time Fourier transform with hop 1: ``[N, T] -> [N, T, 2 * (window // 2 + 1)]``.

    Frame ``t`` is centred on step ``t`` (edges reflected), Hann window; real parts first, then imaginary parts. Shi et
    al. 2023, Table 1 names the STFT as input feature without its window, which is our choice.
    """
    spectrum = torch.stft(
        series,
        n_fft=window,
        hop_length=1,
        window=torch.hann_window(window, dtype=series.dtype, device=series.device),
        center=True,
        normalized=True,
        return_complex=True,
    )  # [N, window // 2 + 1, T + 1]
    frames = spectrum[..., : series.shape[-1]].transpose(1, 2)
    return torch.cat([frames.real, frames.imag], dim=-1)


def correlation_by_lag(x: Tensor, y: Tensor, max_lag: int) -> dict[int, float]:
    """``Pearson(x_t, y_{t-N})`` for each lag ``N`` in ``[-max_lag, max_lag]``; a lag with fewer than 3 pairs is left out.

    Shi et al. 2023, Eqs 1 and 2 and Fig. 3, over the pairs in which both values are known. The paper prints Eq. 1 with
    ``|X|_2`` and the deviation of Eq. 2 without ``1/n``; both cancel in the quotient, which is the ordinary coefficient.
    """
    found = {}
    for lag in range(-max_lag, max_lag + 1):
        shifted = y[max(0, -lag) : len(y) - max(0, lag)].double()
        fixed = x[max(0, lag) : len(x) - max(0, -lag)].double()
        both = torch.isfinite(shifted) & torch.isfinite(fixed)
        if both.sum() >= 3:
            found[lag] = float(torch.corrcoef(torch.stack([fixed[both], shifted[both]]))[0, 1])
    return found


def lag_of_largest_correlation(x: Tensor, y: Tensor, max_lag: int) -> tuple[int, float]:
    """Lag ``N`` with the largest ``|Pearson|`` of :func:`correlation_by_lag`, the shortest of equals, and its value."""
    best = (0, 0.0)
    for lag, rho in sorted(correlation_by_lag(x, y, max_lag).items(), key=lambda pair: abs(pair[0])):
        if abs(rho) > abs(best[1]):
            best = (lag, rho)
    return best
