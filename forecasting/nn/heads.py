"""Output heads: raw numbers in, a distribution out, with the map to its domain beside its loss.

Every head reads raw outputs ``[..., raw_size]`` and works in the scaled space of the network. Quantiles are exact; mean
and standard deviation of :meth:`Head.moments` are exact too, or integrated from the quantile function.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np
import torch
from scipy.stats import t as student_t
from torch import Tensor
from torch.nn.functional import softplus

from forecasting.errors import SettingError, UnknownNameError
from forecasting.names import unknown

#: Keeps variances and degrees of freedom away from their limits.
_FLOOR = 1e-4
#: Inverse of softplus at 1: a raw output of 0 then means one unit of spread.
_UNIT = math.log(math.expm1(1.0))


class Head(ABC):
    """A family of distributions, one per forecast step."""

    raw_size: int

    @abstractmethod
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Loss of each entry of ``target`` ``[...]`` (lower is better)."""

    @abstractmethod
    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """``[..., Q]``, non-decreasing along the levels."""

    def median(self, raw: Tensor) -> Tensor:
        """``[...]``"""
        return self.quantiles(raw, (0.5,))[..., 0]

    def grid(self) -> tuple[float, ...]:
        """Levels from which moments are integrated after a change of scale."""
        return tuple((k + 0.5) / 100 for k in range(100))


class GaussianHead(Head):
    """Mean and variance, trained by the negative log likelihood (Shi et al. 2023, section 3.2.1)."""

    raw_size = 2

    def _domain(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        return raw[..., 0], softplus(raw[..., 1] + _UNIT) + _FLOOR

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        mean, variance = self._domain(raw)
        return 0.5 * (math.log(2 * math.pi) + variance.log() + (target - mean) ** 2 / variance)

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        mean, variance = self._domain(raw)
        return mean[..., None] + variance.sqrt()[..., None] * _normal_quantiles(levels, raw)


class StudentTHead(Head):
    """Location, scale and degrees of freedom above 2, so that the variance exists."""

    raw_size = 3

    def _domain(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spread = softplus(raw[..., 1] + _UNIT) + _FLOOR
        return raw[..., 0], spread, 2.0 + _FLOOR + softplus(raw[..., 2] + 3.0)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        location, spread, freedom = self._domain(raw)
        u = (target - location) / spread
        constant = torch.lgamma((freedom + 1) / 2) - torch.lgamma(freedom / 2) - 0.5 * torch.log(math.pi * freedom)
        return spread.log() - constant + (freedom + 1) / 2 * torch.log1p(u**2 / freedom)

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        location, spread, freedom = self._domain(raw)
        standard = student_t.ppf(np.asarray(levels), freedom.detach().cpu().double().numpy()[..., None])
        return location[..., None] + spread[..., None] * torch.as_tensor(standard, dtype=raw.dtype, device=raw.device)


class JohnsonSUHead(Head):
    """Four parameters with free skewness and kurtosis: ``x = xi + lambda sinh((z - gamma) / delta)``, z standard normal.

    Johnson 1949; used for day-ahead prices by Marcjasz et al., Energy Economics 125 (2023) 106843.
    """

    raw_size = 4

    def _domain(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        spread = softplus(raw[..., 1] + _UNIT) + _FLOOR
        tail = softplus(raw[..., 2] + _UNIT) + 0.5
        # A skewness without limit overflows the sinh of the quantile function.
        return raw[..., 0], spread, tail, 10.0 * torch.tanh(raw[..., 3] / 10.0)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        location, spread, tail, skew = self._domain(raw)
        u = (target - location) / spread
        z = skew + tail * torch.asinh(u)
        log_density = torch.log(tail / spread) - 0.5 * torch.log1p(u**2) - 0.5 * z**2 - 0.5 * math.log(2 * math.pi)
        return -log_density

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        location, spread, tail, skew = (v[..., None] for v in self._domain(raw))
        return location + spread * torch.sinh((_normal_quantiles(levels, raw) - skew) / tail)


class MonotoneQuantileHead(Head):
    """Quantiles that cannot cross: the median, plus and minus running sums of positive steps. Trained by pinball loss.

    ``levels`` must be increasing and contain 0.5; other levels cannot be asked for.
    """

    def __init__(self, levels: Sequence[float]) -> None:
        if list(levels) != sorted(set(levels)) or 0.5 not in levels or not 0 < levels[0] < levels[-1] < 1:
            raise SettingError(f"quantile levels must increase inside (0, 1) and contain 0.5, got {tuple(levels)}")
        self.levels = tuple(float(level) for level in levels)
        self.raw_size = len(self.levels)
        self._middle = self.levels.index(0.5)

    def _domain(self, raw: Tensor) -> Tensor:
        median = raw[..., :1]
        steps = softplus(raw[..., 1:] - 2.0)
        below, above = steps[..., : self._middle], steps[..., self._middle :]
        lower = median - below.cumsum(dim=-1).flip(-1)
        return torch.cat([lower, median, median + above.cumsum(dim=-1)], dim=-1)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        error = target[..., None] - self._domain(raw)
        level = torch.tensor(self.levels, dtype=raw.dtype, device=raw.device)
        return torch.maximum(level * error, (level - 1.0) * error).mean(dim=-1)

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        absent = [level for level in levels if level not in self.levels]
        if absent:
            raise SettingError(f"this model was trained for the levels {self.levels}, not for {absent}")
        return self._domain(raw)[..., [self.levels.index(level) for level in levels]]

    def median(self, raw: Tensor) -> Tensor:
        return raw[..., 0]

    def grid(self) -> tuple[float, ...]:
        return self.levels


class HeadKind(StrEnum):
    """Heads that a configuration can name."""

    GAUSSIAN = "gaussian"
    STUDENT_T = "student_t"
    JOHNSON_SU = "johnson_su"
    QUANTILE = "quantile"


def make_head(kind: str, levels: Sequence[float]) -> Head:
    """The head called ``kind``; ``levels`` matter to the quantile head alone."""
    makers: dict[HeadKind, Callable[[], Head]] = {
        HeadKind.GAUSSIAN: GaussianHead,
        HeadKind.STUDENT_T: StudentTHead,
        HeadKind.JOHNSON_SU: JohnsonSUHead,
        HeadKind.QUANTILE: lambda: MonotoneQuantileHead(levels),
    }
    if kind not in list(HeadKind):
        raise UnknownNameError(unknown("head", kind, HeadKind))
    return makers[HeadKind(kind)]()


def _normal_quantiles(levels: Sequence[float], like: Tensor) -> Tensor:
    standard: Tensor = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64))
    return standard.to(like)


def moments_from_quantiles(quantiles: Tensor, levels: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the piecewise linear quantile function through ``quantiles`` ``[..., Q]``.

    Beyond the outer levels the function goes on with the slope of its last piece.
    """
    p = torch.tensor([0.0, *levels, 1.0], dtype=torch.float64)
    q = quantiles.double().cpu()
    first = q[..., :1] - (q[..., 1:2] - q[..., :1]) * ((p[1] - p[0]) / (p[2] - p[1]))
    last = q[..., -1:] + (q[..., -1:] - q[..., -2:-1]) * ((p[-1] - p[-2]) / (p[-2] - p[-3]))
    q = torch.cat([first, q, last], dim=-1)
    a, b, width = q[..., :-1], q[..., 1:], p.diff()
    mean = ((a + b) / 2 * width).sum(dim=-1)
    a, b = a - mean[..., None], b - mean[..., None]
    variance = ((a * a + a * b + b * b) / 3 * width).sum(dim=-1)
    return mean, variance.sqrt()
