"""HiGHS on the compiled arrays: one persistent model to which tangents are added."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import highspy
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from dispatch.conic.compiled import Compiled
from dispatch.conic.options import SolverOptions
from dispatch.errors import SolverError

FloatArray = npt.NDArray[np.float64]

#: HiGHS's sub-MIP heuristics. On volatile prices they take far longer than the search that they are meant to help.
SUB_MIP_HEURISTICS = ("mip_heuristic_run_rens", "mip_heuristic_run_rins", "mip_heuristic_run_root_reduced_cost")


@dataclass(frozen=True, eq=False)
class LinearAnswer:
    """Outcome of one linear or mixed-integer run; ``x`` is None without an incumbent, ``bound`` is always valid."""

    status: Literal["optimal", "stopped", "interrupted", "infeasible", "unbounded", "failed"]
    x: FloatArray | None
    value: float
    bound: float


class HighsModel:
    """The linear part of a compiled model in HiGHS."""

    def __init__(self, compiled: Compiled, options: SolverOptions) -> None:
        self.compiled = compiled
        self.rows = compiled.matrix.shape[0]
        self._highs = highspy.Highs()
        for name, value in (
            ("output_flag", False),
            ("threads", options.threads),
            ("parallel", "off" if options.threads == 1 else "on"),
            ("random_seed", options.seed),
            ("mip_feasibility_tolerance", 1e-6),
            *((heuristic, options.heuristics) for heuristic in SUB_MIP_HEURISTICS),
        ):
            self._set(name, value)
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = compiled.size, self.rows
        lp.col_cost_, lp.offset_ = compiled.cost, compiled.offset
        lp.col_lower_, lp.col_upper_ = _highs_bounds(compiled.lower), _highs_bounds(compiled.upper)
        lp.row_lower_, lp.row_upper_ = _highs_bounds(compiled.row_lower), _highs_bounds(compiled.row_upper)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = compiled.matrix.indptr.astype(np.int32)
        lp.a_matrix_.index_ = compiled.matrix.indices.astype(np.int32)
        lp.a_matrix_.value_ = compiled.matrix.data
        if compiled.integer.any():
            kinds = highspy.HighsVarType
            lp.integrality_ = [kinds.kInteger if flag else kinds.kContinuous for flag in compiled.integer]
        if self._highs.passModel(lp) == highspy.HighsStatus.kError:
            raise SolverError("HiGHS refuses the compiled model: a coefficient is NaN, infinite or beyond its limits")

    def _set(self, name: str, value: object) -> None:
        if self._highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise SolverError(f"HiGHS does not take the option {name}={value}")

    def add_cuts(self, matrix: csr_array, limit: FloatArray) -> None:
        """Append rows ``matrix x <= limit``."""
        count = matrix.shape[0]
        if not count:
            return
        self._highs.addRows(
            count,
            np.full(count, -highspy.kHighsInf),
            limit,
            matrix.nnz,
            matrix.indptr[:-1].astype(np.int32),
            matrix.indices.astype(np.int32),
            matrix.data,
        )
        self.rows += count

    def drop_rows(self, rows: npt.NDArray[np.int64]) -> None:
        """Delete rows by position."""
        if rows.size:
            self._highs.deleteRows(int(rows.size), rows.astype(np.int32))
            self.rows -= int(rows.size)

    def set_bounds(self, lower: FloatArray, upper: FloatArray) -> None:
        """Replace the bounds of all columns."""
        size = self.compiled.size
        columns = np.arange(size, dtype=np.int32)
        self._highs.changeColsBounds(size, columns, _highs_bounds(lower), _highs_bounds(upper))

    def offer(self, x: FloatArray) -> None:
        """Hint a feasible point as the first incumbent."""
        hint = highspy.HighsSolution()
        hint.col_value = np.where(self.compiled.integer, np.round(x), x)
        self._highs.setSolution(hint)

    def run(self, gap: float, time_limit_s: float, relaxed: bool = False) -> LinearAnswer:
        """Solve to a relative gap within a time limit, with integrality dropped if ``relaxed``.

        Ctrl-C stops the search; the answer then is ``interrupted`` with what had been proved.
        """
        self._set("solve_relaxation", relaxed)
        self._set("mip_rel_gap", gap)
        self._set("mip_abs_gap", gap)
        continuous = relaxed or not self.compiled.integer.any()
        # the clock of a linear program goes on from run to run, that of a branch and bound begins anew
        spent = self._highs.getRunTime() if continuous else 0.0
        self._set("time_limit", spent + max(time_limit_s, 0.01))
        interrupted = self._run_interruptible()
        return self._answer(interrupted, continuous)

    def _run_interruptible(self) -> bool:
        """Run in HiGHS's own thread, so that the main thread can hear Ctrl-C."""
        self._highs.HandleUserInterrupt = True
        thread = self._highs.startSolve()
        interrupted, wait = False, 0.0005
        while self._highs.is_solver_running():
            try:
                time.sleep(wait)
                wait = min(2.0 * wait, 0.02)
            except KeyboardInterrupt:
                interrupted = True
                self._highs.cancelSolve()
        thread.join()
        return interrupted

    def _answer(self, interrupted: bool, continuous: bool) -> LinearAnswer:
        status, info = self._highs.getModelStatus(), self._highs.getInfo()
        kinds = highspy.HighsModelStatus
        if status == kinds.kInfeasible:
            return LinearAnswer("infeasible", None, np.inf, np.inf)
        if status == kinds.kUnbounded:
            return LinearAnswer("unbounded", None, -np.inf, -np.inf)
        if status == kinds.kUnboundedOrInfeasible:
            return LinearAnswer("infeasible" if self._is_infeasible() else "unbounded", None, np.inf, -np.inf)
        feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        x = np.array(self._highs.getSolution().col_value) if feasible else None
        value = float(info.objective_function_value) if feasible else np.inf
        bound = float(info.mip_dual_bound)
        if continuous:
            bound = value if status == kinds.kOptimal else -np.inf
        if interrupted:
            return LinearAnswer("interrupted", x, value, bound)
        if status == kinds.kOptimal:
            return LinearAnswer("optimal", x, value, bound)
        if status in (kinds.kTimeLimit, kinds.kIterationLimit, kinds.kSolutionLimit, kinds.kInterrupt):
            return LinearAnswer("stopped", x, value, bound)
        return LinearAnswer("failed", x, value, bound if feasible else -np.inf)

    def _is_infeasible(self) -> bool:
        """Tell infeasible from unbounded by solving without an objective."""
        size = self.compiled.size
        columns = np.arange(size, dtype=np.int32)
        self._highs.changeColsCost(size, columns, np.zeros(size))
        self._run_interruptible()
        infeasible = self._highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible
        self._highs.changeColsCost(size, columns, self.compiled.cost)
        return bool(infeasible)


def _highs_bounds(values: FloatArray) -> FloatArray:
    limited: FloatArray = np.clip(values, -highspy.kHighsInf, highspy.kHighsInf)
    return limited
