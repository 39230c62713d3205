"""A linear or mixed-integer programme written in blocks of arrays and handed to HiGHS in one piece."""

from __future__ import annotations

import highspy
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

Index = NDArray[np.int64]

#: Relative gap and seconds of the small programmes that keep stores from charging and discharging at once.
MIP_GAP, MIP_SECONDS = 1e-6, 20.0

#: What HiGHS says of a solution that is feasible.
HAS_SOLUTION = 2


class SparseModel:
    """Columns, rows and terms as arrays of any shape; minimised.

    ``columns`` and ``rows`` answer the positions of what they added, in the shape asked for.
    """

    def __init__(self) -> None:
        self._columns: list[tuple[NDArray[np.float64], ...]] = []
        self._rows: list[tuple[NDArray[np.float64], ...]] = []
        self._terms: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
        self.column_count = 0
        self.row_count = 0

    def columns(
        self,
        shape: tuple[int, ...],
        lower: ArrayLike = 0.0,
        upper: ArrayLike = np.inf,
        cost: ArrayLike = 0.0,
        *,
        integer: bool = False,
    ) -> Index:
        """Add variables; bounds and costs broadcast to ``shape``."""
        values = (
            np.broadcast_to(np.asarray(v, dtype=float), shape).ravel() for v in (lower, upper, cost, float(integer))
        )
        self._columns.append(tuple(values))
        size = int(np.prod(shape))
        index = np.arange(self.column_count, self.column_count + size).reshape(shape)
        self.column_count += size
        return index

    def rows(self, shape: tuple[int, ...], lower: ArrayLike, upper: ArrayLike) -> Index:
        """Add constraints ``lower <= terms <= upper``."""
        self._rows.append(tuple(np.broadcast_to(np.asarray(v, dtype=float), shape).ravel() for v in (lower, upper)))
        size = int(np.prod(shape))
        index = np.arange(self.row_count, self.row_count + size).reshape(shape)
        self.row_count += size
        return index

    @property
    def integer(self) -> Index:
        """Positions of the integer columns."""
        return np.flatnonzero(np.concatenate([flags for _, _, _, flags in self._columns]) > 0)

    def terms(self, rows: Index, columns: Index, coefficient: ArrayLike) -> None:
        """Add ``coefficient * column`` to each row; all broadcast to the shape of ``columns``."""
        shape = columns.shape
        self._terms.append(
            (
                np.broadcast_to(rows, shape).ravel(),
                columns.ravel(),
                np.broadcast_to(np.asarray(coefficient, dtype=float), shape).ravel(),
            )
        )

    def build_exclusive(self, *, exclusive: bool) -> highspy.Highs:
        """The model of a step that is solved many times: warm linear programmes, or small mixed-integer ones with a limit."""
        if not exclusive:
            return self.build(presolve=False)
        return self.build(presolve=True, mip_rel_gap=MIP_GAP)

    def build(self, *, presolve: bool, integers: bool = True, **options: float | int | str) -> highspy.Highs:
        """The HiGHS model, silent and on one thread; ``integers=False`` leaves integrality out, ``options`` are HiGHS's own."""
        lower, upper, cost, integer = (np.concatenate(parts) for parts in zip(*self._columns, strict=True))
        row_lower, row_upper = (np.concatenate(parts) for parts in zip(*self._rows, strict=True))
        at, column, value = (np.concatenate(parts) for parts in zip(*self._terms, strict=True))
        matrix = csr_array((value, (at, column)), shape=(self.row_count, self.column_count))
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.column_count, self.row_count
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, lower, upper
        lp.row_lower_, lp.row_upper_ = row_lower, row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
        if integers and integer.any():
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [kinds[int(flag)] for flag in integer]
        model = highspy.Highs()
        settings = {"output_flag": False, "threads": 1, "presolve": "on" if presolve else "off", **options}
        for option, setting in settings.items():
            model.setOptionValue(option, setting)
        model.passModel(lp)
        return model


def run(model: highspy.Highs, seconds: float | None = None) -> None:
    """Solve, a mixed-integer program for at most ``seconds``: its clock begins anew with every solve."""
    if seconds is not None:
        model.setOptionValue("time_limit", seconds)
    model.run()
