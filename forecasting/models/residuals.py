"""Predictive distributions of point forecasters: a grid of residual quantiles per step, laid around the forecast."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.models.base import QUANTILE_LEVELS, Prediction

FloatArray = NDArray[np.float64]

#: Percentiles at which residual distributions are kept.
GRID_LEVELS: FloatArray = np.arange(1, 100) / 100.0


def residual_grid(residuals: FloatArray) -> FloatArray:
    """Empirical percentiles of residuals ``[N, S]`` per step: ``[S, 99]``, shifted so that each median is zero.

    The shift keeps the point forecast the median of its own distribution.
    """
    grid = np.quantile(residuals, GRID_LEVELS, axis=0).T
    return np.asarray(grid - grid[:, [len(GRID_LEVELS) // 2]], dtype=np.float64)


def prediction_from_grid(values: FloatArray, levels: Sequence[float] = QUANTILE_LEVELS) -> Prediction:
    """Mean, standard deviation and quantiles of distributions given by their 99 percentiles ``[N, S, 99]``."""
    at = np.asarray(levels) * 100.0 - 1.0
    low = np.clip(np.floor(at + 1e-9).astype(int), 0, len(GRID_LEVELS) - 2)
    share = np.clip(at - low, 0.0, 1.0)
    quantiles = values[..., low] * (1.0 - share) + values[..., low + 1] * share
    return Prediction(values.mean(axis=-1), values.std(axis=-1), quantiles, tuple(levels))


def names_to_tensor(names: Sequence[str]) -> Tensor:
    """Names as bytes, to travel among tensors."""
    return torch.tensor(list(json.dumps(list(names)).encode()), dtype=torch.uint8)


def names_from_tensor(data: Tensor) -> list[str]:
    """Inverse of ``names_to_tensor``."""
    return [str(name) for name in json.loads(bytes(data.tolist()).decode())]
