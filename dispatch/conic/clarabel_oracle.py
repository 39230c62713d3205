"""Clarabel on the continuous cone program that is left when integers are relaxed or fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import clarabel
import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_matrix, csr_array, vstack

from dispatch.conic.compiled import Compiled

FloatArray = npt.NDArray[np.float64]

#: Passes that turn rows with one free variable into bounds. Fixed commitments leave sets without an interior
#: (``0 <= P <= 0``), on which an interior-point method loses digits; most of them go in a pass or two.
REDUCTION_PASSES = 6
BOUND_TOLERANCE = 1e-9
#: Relative slack for the accuracy of the dual solution, and reduced costs too small to conclude from.
DUAL_SAFETY, LEAST_PRICE = 1e-6, 1e-6
#: Relative cone violation that a point without free columns may have.
CONE_TOLERANCE = 1e-7


@dataclass(frozen=True, eq=False)
class OracleAnswer:
    """A continuous optimum: point over all columns, value and dual bound of the minimised objective with offset.

    lower, upper: the bounds in force; lower_price, upper_price: what the objective gains at least per unit of distance
    from them (reduced costs, nonnegative). None without an interior-point solution.
    """

    status: Literal["optimal", "infeasible", "unbounded", "failed"]
    x: FloatArray
    value: float
    bound: float
    lower: FloatArray | None = None
    upper: FloatArray | None = None
    lower_price: FloatArray | None = None
    upper_price: FloatArray | None = None

    def bounds_within(self, cutoff: float) -> tuple[FloatArray, FloatArray] | None:
        """Bounds that every point with a value up to ``cutoff`` keeps; None if there are no prices.

        By duality ``value(x) >= bound + lower_price (x - lower) + upper_price (upper - x)`` for every feasible ``x``.
        """
        if self.lower is None or self.upper is None or self.lower_price is None or self.upper_price is None:
            return None
        room = max(cutoff - self.bound, 0.0) + DUAL_SAFETY * max(1.0, abs(cutoff))
        with np.errstate(divide="ignore", invalid="ignore"):
            upper = np.where(self.lower_price > LEAST_PRICE, self.lower + room / self.lower_price, np.inf)
            lower = np.where(self.upper_price > LEAST_PRICE, self.upper - room / self.upper_price, -np.inf)
        return np.maximum(self.lower, lower), np.minimum(self.upper, upper)


def solve_continuous(
    compiled: Compiled, lower: FloatArray, upper: FloatArray, time_limit_s: float, threads: int = 1
) -> OracleAnswer:
    """Solve the cone program with the integers treated as continuous between ``lower`` and ``upper``.

    Fix a column by equal bounds. ``failed`` covers time limits and numerical trouble; nothing may be concluded from it.
    """
    reduced = _tighten(compiled, lower.copy(), upper.copy())
    nothing = np.full(compiled.size, np.nan)
    if reduced is None:
        return OracleAnswer("infeasible", nothing, np.inf, np.inf)
    lower, upper, live_rows = reduced
    fixed = _closed(lower, upper)
    x = _settled_values(fixed, lower, upper)
    free = np.flatnonzero(~fixed)
    constant = float(compiled.cost @ x) + compiled.offset
    cost = compiled.cost[free]
    if not free.size:
        if (compiled.cones.violation(x) > CONE_TOLERANCE).any():
            return OracleAnswer("infeasible", nothing, np.inf, np.inf)
        return OracleAnswer("optimal", x, constant, constant)
    A, b, cones, bound_rows = _clarabel_rows(compiled, lower, upper, live_rows, x, free)
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = threads
    settings.time_limit = max(time_limit_s, 1e-3)
    settings.presolve_enable = False
    scale = max(float(np.abs(cost).max()), 1e-12)
    solver = clarabel.DefaultSolver(csc_matrix((free.size, free.size)), cost / scale, csc_matrix(A), b, cones, settings)
    solution = solver.solve()
    status = str(solution.status)
    if status in ("PrimalInfeasible", "AlmostPrimalInfeasible"):
        return OracleAnswer("infeasible", nothing, np.inf, np.inf)
    if status in ("DualInfeasible", "AlmostDualInfeasible"):
        return OracleAnswer("unbounded", nothing, -np.inf, -np.inf)
    if status not in ("Solved", "AlmostSolved"):
        return OracleAnswer("failed", nothing, np.inf, -np.inf)
    x[free] = np.clip(np.asarray(solution.x), lower[free], upper[free])
    has_top, has_floor = np.isfinite(upper[free]), np.isfinite(lower[free])
    prices = scale * np.asarray(solution.z)[bound_rows]
    lower_price, upper_price = np.zeros(compiled.size), np.zeros(compiled.size)
    upper_price[free[has_top]], lower_price[free[has_floor]] = np.split(prices, [int(has_top.sum())])
    value = constant + float(cost @ x[free])
    bound = constant + scale * solution.obj_val_dual
    return OracleAnswer("optimal", x, value, bound, lower, upper, lower_price, upper_price)


def _tighten(
    compiled: Compiled, lower: FloatArray, upper: FloatArray
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]] | None:
    """Bounds implied by rows with one free column; None if they cross."""
    matrix, rows = compiled.matrix, compiled.matrix.shape[0]
    owner = np.repeat(np.arange(rows), np.diff(matrix.indptr))
    live = np.ones(rows, dtype=bool)
    for _ in range(REDUCTION_PASSES):
        if _crossed(lower, upper):
            return None
        fixed = _closed(lower, upper)
        settled = matrix @ _settled_values(fixed, lower, upper)
        open_entry = ~fixed[matrix.indices] & (matrix.data != 0.0)
        left = np.bincount(owner[open_entry], minlength=rows)
        empty = live & (left == 0)
        slack = 1e-7 * np.maximum(1.0, np.abs(settled))
        if ((settled < compiled.row_lower - slack) | (settled > compiled.row_upper + slack))[empty].any():
            return None
        live &= ~empty
        entries = np.flatnonzero(open_entry & (left == 1)[owner] & live[owner])
        if not entries.size:
            break
        row, column, factor = owner[entries], matrix.indices[entries], matrix.data[entries]
        ends = np.stack([compiled.row_lower[row] - settled[row], compiled.row_upper[row] - settled[row]]) / factor
        np.maximum.at(lower, column, ends.min(axis=0))
        np.minimum.at(upper, column, ends.max(axis=0))
        live[row] = False
    if _crossed(lower, upper):
        return None
    return lower, np.maximum(lower, upper), live


def _closed(lower: FloatArray, upper: FloatArray) -> npt.NDArray[np.bool_]:
    """Columns whose bounds leave a single value."""
    closed: npt.NDArray[np.bool_] = np.isfinite(lower) & np.isfinite(upper)
    closed[closed] = (upper - lower)[closed] <= BOUND_TOLERANCE * np.maximum(1.0, np.abs(lower[closed]))
    return closed


def _settled_values(closed: npt.NDArray[np.bool_], lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Value of closed columns, zero elsewhere."""
    values = np.zeros(len(lower))
    values[closed] = (lower[closed] + upper[closed]) / 2.0
    return values


def _crossed(lower: FloatArray, upper: FloatArray) -> bool:
    return bool((lower > upper + BOUND_TOLERANCE * np.maximum(1.0, np.abs(upper))).any())


def _clarabel_rows(
    compiled: Compiled,
    lower: FloatArray,
    upper: FloatArray,
    live: npt.NDArray[np.bool_],
    x: FloatArray,
    free: npt.NDArray[np.int64],
) -> tuple[csr_array, FloatArray, list[object], slice]:
    """``A x + s = b`` over the free columns: equalities, inequalities, bounds (their rows are the slice), cones."""
    settled = compiled.matrix @ x
    matrix = compiled.matrix.tocsc()[:, free].tocsr()
    low, high = compiled.row_lower - settled, compiled.row_upper - settled
    equal = live & (compiled.row_lower == compiled.row_upper)
    below = live & ~equal & np.isfinite(high)
    above = live & ~equal & np.isfinite(low)
    identity = csr_array((np.ones(free.size), (np.arange(free.size), np.arange(free.size))), shape=(free.size,) * 2)
    has_top, has_floor = np.isfinite(upper[free]), np.isfinite(lower[free])
    cones_matrix = compiled.cones.H.tocsc()[:, free].tocsr()
    A = vstack(
        [matrix[equal], matrix[below], -matrix[above], identity[has_top], -identity[has_floor], -cones_matrix],
        format="csr",
    )
    b = np.concatenate(
        [
            high[equal],
            high[below],
            -low[above],
            upper[free][has_top],
            -lower[free][has_floor],
            compiled.cones.rows_at(x),
        ]
    )
    inequalities = int(below.sum() + above.sum() + has_top.sum() + has_floor.sum())
    cones: list[object] = [clarabel.ZeroConeT(int(equal.sum())), clarabel.NonnegativeConeT(inequalities)]
    cones += [clarabel.SecondOrderConeT(int(size)) for size in compiled.cones.sizes]
    first = int(equal.sum() + below.sum() + above.sum())
    return A, b, cones, slice(first, int(equal.sum()) + inequalities)
