"""A distribution from a few quantiles: linear between them, exponential tails beyond. Shapes ``[..., Q]``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecasting.errors import DataError

FloatArray = NDArray[np.float64]


def _checked(quantiles: ArrayLike, levels: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    values, alphas = np.asarray(quantiles, dtype=np.float64), np.asarray(levels, dtype=np.float64)
    if len(alphas) < 2 or (np.diff(alphas) <= 0).any() or alphas[0] <= 0 or alphas[-1] >= 1:
        raise DataError(f"at least two quantile levels must increase inside (0, 1), got {tuple(levels)}")
    if values.shape[-1] != len(alphas) or not np.isfinite(values).all() or (np.diff(values, axis=-1) < 0).any():
        raise DataError("quantiles must be finite, in increasing order, and as many as their levels")
    return values, alphas


def _tail_scales(values: FloatArray, alphas: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Scale of the exponential tail that passes through the two outer quantiles, lower and upper."""
    lower = (values[..., 1] - values[..., 0]) / np.log(alphas[1] / alphas[0])
    upper = (values[..., -1] - values[..., -2]) / np.log((1.0 - alphas[-2]) / (1.0 - alphas[-1]))
    return lower, upper


def values_at(probability: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> FloatArray:
    """Value at ``probability`` in (0, 1), element by element: ``[...]`` with quantiles ``[..., Q]`` (broadcast)."""
    values, alphas = _checked(quantiles, levels)
    u = np.asarray(probability, dtype=np.float64)
    if ((u <= 0.0) | (u >= 1.0)).any():
        raise DataError("probabilities must lie inside (0, 1)")
    shape = np.broadcast_shapes(u.shape, values.shape[:-1])
    u, values = np.broadcast_to(u, shape), np.broadcast_to(values, (*shape, len(alphas)))
    low = np.clip(np.searchsorted(alphas, u, side="right") - 1, 0, len(alphas) - 2)
    share = np.clip((u - alphas[low]) / (alphas[low + 1] - alphas[low]), 0.0, 1.0)
    left = np.take_along_axis(values, low[..., None], axis=-1)[..., 0]
    right = np.take_along_axis(values, low[..., None] + 1, axis=-1)[..., 0]
    lower, upper = _tail_scales(values, alphas)
    tail = np.where(
        u < alphas[0],
        lower * np.log(np.minimum(u / alphas[0], 1.0)),
        -upper * np.log(np.minimum((1.0 - u) / (1.0 - alphas[-1]), 1.0)),
    )
    return np.asarray(left + share * (right - left) + tail, dtype=np.float64)


def probability_of(y: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> FloatArray:
    """Distribution function at ``y``, in (0, 1): ``[...]`` with quantiles ``[..., Q]``; the inverse of ``values_at``.

    Where several quantiles equal ``y`` (a wind farm at rest), the middle of their levels.
    """
    values, alphas = _checked(quantiles, levels)
    truth = np.asarray(y, dtype=np.float64)
    if truth.shape != values.shape[:-1]:
        raise DataError(f"y has shape {truth.shape}, quantiles {values.shape}")
    below = (values < truth[..., None]).sum(axis=-1)
    reached = (values <= truth[..., None]).sum(axis=-1)
    low, high = np.clip(below - 1, 0, None), np.clip(below, None, len(alphas) - 1)
    left = np.take_along_axis(values, low[..., None], axis=-1)[..., 0]
    right = np.take_along_axis(values, high[..., None], axis=-1)[..., 0]
    width = right - left
    share = np.divide(truth - left, width, out=np.zeros_like(width), where=width > 0)
    inside = alphas[low] + share * (alphas[high] - alphas[low])
    lower, upper = _tail_scales(values, alphas)
    with np.errstate(divide="ignore", invalid="ignore"):
        under = alphas[0] * np.exp(np.where(lower > 0, np.minimum(truth - values[..., 0], 0.0) / lower, -np.inf))
        over = 1.0 - (1.0 - alphas[-1]) * np.exp(
            np.where(upper > 0, np.minimum(values[..., -1] - truth, 0.0) / upper, -np.inf)
        )
    result = np.where(below == 0, under, np.where(below == len(alphas), over, inside))
    at_quantile = reached > below
    middle = (alphas[np.clip(below, None, len(alphas) - 1)] + alphas[np.clip(reached - 1, 0, None)]) / 2.0
    tiny = np.finfo(np.float64).eps
    return np.asarray(np.clip(np.where(at_quantile, middle, result), tiny, 1.0 - tiny), dtype=np.float64)
