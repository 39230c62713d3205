"""Random noise that belongs to absolute time: any interval, asked in any order, holds the same values."""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

#: Grid of the noise; every market step is a multiple of it.
GRID_MINUTES = 15

#: The filter is cut off after this many times its memory, where a weight is 0.03% of the first.
MEMORIES_KEPT = 8.0


def steady_noise(index: pd.DatetimeIndex, memory_h: float, seed: int, word: str) -> FloatArray:
    """Standard normal noise at the UTC instants ``index``, correlated ``exp(-lag / memory_h)``, shape ``[step]``.

    White noise is drawn day by day, each UTC day from its own seed, and passed through a moving average whose weights
    are those of a first-order autoregressive process. ``word`` names the stream; streams are independent.
    """
    if not len(index):
        return np.zeros(0)
    grid = pd.Timedelta(minutes=GRID_MINUTES)
    decay = np.exp(-GRID_MINUTES / 60.0 / memory_h)
    weights = decay ** np.arange(int(np.ceil(MEMORIES_KEPT * memory_h * 60.0 / GRID_MINUTES)))
    weights /= np.linalg.norm(weights)
    first = (index.min() - (len(weights) - 1) * grid).floor("D")
    days = pd.date_range(first, index.max().floor("D"), freq="D")
    per_day = int(pd.Timedelta(days=1) / grid)
    stream = zlib.crc32(word.encode())
    white = [np.random.default_rng([seed, stream, day.toordinal()]).standard_normal(per_day) for day in days]
    filtered = np.convolve(np.concatenate(white), weights)
    place = ((index - first) // grid).to_numpy()
    return np.asarray(filtered[place], dtype=np.float64)
