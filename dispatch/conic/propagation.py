"""Bounds that follow from bounds: interval propagation through the linear rows of a compiled model.

M. W. P. Savelsbergh, "Preprocessing and probing techniques for mixed integer programming problems", ORSA J. Computing
6(4), 1994, section 1.2: what the other terms of a row leave at least or at most bounds each term.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

FloatArray = npt.NDArray[np.float64]

#: Passes over all rows; a chain of balances over time needs about one pass per step.
PASSES = 60
#: A bound is moved only if that takes away this share of the range, or makes it finite.
LEAST_SHARE = 1e-3
#: Kept around a propagated bound for rounding, relative to its size.
SAFETY = 1e-9


def propagate(
    matrix: csr_array,
    row_lower: FloatArray,
    row_upper: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    passes: int = PASSES,
) -> tuple[FloatArray, FloatArray]:
    """Column bounds implied by ``row_lower <= matrix x <= row_upper`` and ``lower <= x <= upper``, all arrays alike.

    Every point that keeps rows and bounds keeps the result. Bounds that cross (no such point) come back crossed.
    """
    owner = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    column, value = matrix.indices, matrix.data
    kept = value != 0.0
    owner, column, value = owner[kept], column[kept], value[kept]
    rows = matrix.shape[0]
    lower, upper = lower.copy(), upper.copy()
    for _ in range(passes):
        ends = np.stack([lower[column], upper[column]])
        least, most = np.where(value > 0, ends, ends[::-1]) * value
        tops = row_upper[owner] - _others(least, owner, rows)
        floors = row_lower[owner] + _others(-most, owner, rows)
        high = np.where(value > 0, tops, floors) / value
        low = np.where(value > 0, floors, tops) / value
        new_lower, new_upper = lower.copy(), upper.copy()
        np.maximum.at(new_lower, column, low - SAFETY * np.maximum(1.0, np.abs(low)))
        np.minimum.at(new_upper, column, high + SAFETY * np.maximum(1.0, np.abs(high)))
        with np.errstate(invalid="ignore"):
            least_move = LEAST_SHARE * (upper - lower)
            up = new_lower - lower > least_move
            down = upper - new_upper > least_move
        up |= np.isneginf(lower) & np.isfinite(new_lower)
        down |= np.isposinf(upper) & np.isfinite(new_upper)
        if not (up.any() or down.any()):
            break
        lower[up], upper[down] = new_lower[up], new_upper[down]
        if (lower > upper).any():
            break
    return lower, upper


def _others(least: FloatArray, owner: npt.NDArray[np.int64], rows: int) -> FloatArray:
    """For each entry the least sum of the other entries of its row; ``-inf`` where one of those has no least."""
    endless = np.isneginf(least)
    finite = np.where(endless, 0.0, least)
    total = np.bincount(owner, weights=finite, minlength=rows)[owner]
    without = np.bincount(owner, weights=endless, minlength=rows)[owner] - endless
    found: FloatArray = np.where(without > 0, -np.inf, total - finite)
    return found
