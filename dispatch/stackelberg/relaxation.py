"""Linear and convex quadratic programs over one set of rows, solved again and again with other bounds or costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import clarabel
import highspy
import numpy as np
from scipy import sparse

from dispatch.errors import SolverError
from dispatch.stackelberg.compiled import CompiledModel
from dispatch.stackelberg.extraction import FloatArray

#: Rows and bounds are met to this, absolute.
FEASIBILITY = 1e-9


@dataclass(frozen=True)
class RelaxationAnswer:
    """status; value and point (N,) where optimal, a direction of unlimited gain (N,) where unbounded."""

    status: Literal["optimal", "infeasible", "unbounded"]
    value: float = np.nan
    point: FloatArray | None = None
    ray: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class _LevelSet:
    """``c'v + |root v|^2 / 2 <= upper``."""

    c: FloatArray
    root: sparse.csr_array
    upper: float


class Relaxation:
    """The continuous relaxation of a compiled model, kept in one HiGHS instance so that each solve starts warm."""

    def __init__(self, model: CompiledModel) -> None:
        self.model = model
        self.lower, self.upper = model.lower.copy(), model.upper.copy()
        self.c, self.Q, self.constant = model.c, model.Q, model.constant
        self.A, self.row_lower, self.row_upper = model.A, model.row_lower, model.row_upper
        self._level: _LevelSet | None = None
        self._all = np.arange(len(model.variables), dtype=np.int32)
        self._highs = highspy.Highs()
        for option, value in (
            ("output_flag", False),
            ("threads", 1),
            ("presolve", "off"),
            ("primal_feasibility_tolerance", FEASIBILITY),
            ("dual_feasibility_tolerance", FEASIBILITY),
        ):
            self._highs.setOptionValue(option, value)
        self._highs.passModel(self._linear_program())

    def set_cost(self, c: FloatArray, constant: float = 0.0, Q: sparse.csr_array | None = None) -> None:
        """Replaces the objective; without ``Q`` it is linear."""
        self.c, self.constant = np.asarray(c, dtype=float), constant
        self.Q = sparse.csr_array((len(c), len(c))) if Q is None else Q
        self._highs.changeColsCost(len(self._all), self._all, self.c)

    def set_bounds(self, lower: FloatArray, upper: FloatArray) -> None:
        """Replaces the bounds of all columns, (N,) each."""
        changed = np.flatnonzero((lower != self.lower) | (upper != self.upper)).astype(np.int32)
        if len(changed):
            self._highs.changeColsBounds(len(changed), changed, lower[changed], upper[changed])
            self.lower, self.upper = lower.copy(), upper.copy()

    def limit_objective(self, upper: float) -> None:
        """Keeps only points where the model's own objective is at most ``upper``, until :meth:`lift_limit`."""
        m = self.model
        if m.Q.nnz:
            values, vectors = np.linalg.eigh(m.Q.toarray())
            kept = values > 1e-12 * max(1.0, values[-1])
            root = sparse.csr_array((vectors[:, kept] * np.sqrt(values[kept])).T)
            self._level = _LevelSet(m.c, root, upper - m.constant)
            return
        self.A = sparse.csr_array(sparse.vstack([m.A, sparse.csr_array(m.c[None, :])]))
        self.row_lower = np.append(m.row_lower, -np.inf)
        self.row_upper = np.append(m.row_upper, upper - m.constant)
        at = np.flatnonzero(m.c).astype(np.int32)
        self._highs.addRow(-np.inf, upper - m.constant, len(at), at, m.c[at])

    def lift_limit(self) -> None:
        """Back to the rows of the compiled model."""
        rows = self.model.A.shape[0]
        if self.A.shape[0] > rows:
            self._highs.deleteRows(1, np.array([rows], dtype=np.int32))
        self.A, self.row_lower, self.row_upper = self.model.A, self.model.row_lower, self.model.row_upper
        self._level = None

    def solve(self) -> RelaxationAnswer:
        """Optimum of the current objective over the current bounds. Raises SolverError if no verdict is reached."""
        if np.any(self.lower > self.upper):
            return RelaxationAnswer("infeasible")
        return self._solve_linear() if self.Q.nnz == 0 and self._level is None else self._solve_quadratic()

    def _solve_linear(self) -> RelaxationAnswer:
        for attempt in range(2):
            if attempt:
                self._highs.clearSolver()
            self._highs.run()
            status = self._highs.getModelStatus()
            if status == highspy.HighsModelStatus.kOptimal:
                point = np.array(self._highs.getSolution().col_value)
                return RelaxationAnswer("optimal", float(self.c @ point) + self.constant, point)
            if status == highspy.HighsModelStatus.kInfeasible:
                return RelaxationAnswer("infeasible")
            if status in (highspy.HighsModelStatus.kUnbounded, highspy.HighsModelStatus.kUnboundedOrInfeasible):
                return self._unbounded_or_infeasible()
        raise SolverError(f"HiGHS stopped with {self._highs.modelStatusToString(status)} on a relaxation")

    def _unbounded_or_infeasible(self) -> RelaxationAnswer:
        """A feasible point and a direction that improves for ever, or the verdict that there is no point at all."""
        cost = self.c
        self._highs.changeColsCost(len(self._all), self._all, np.zeros(len(cost)))
        self._highs.run()
        feasible = self._highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        point = np.array(self._highs.getSolution().col_value)
        self._highs.changeColsCost(len(self._all), self._all, cost)
        if not feasible:
            return RelaxationAnswer("infeasible")
        ray = self._recession_direction()
        if ray is None:
            raise SolverError(
                "HiGHS calls a relaxation unbounded, but no improving direction exists; rescale the model"
            )
        return RelaxationAnswer("unbounded", -np.inf, point, ray)

    def _recession_direction(self) -> FloatArray | None:
        """A direction d with A d within the recession cone, ``Q d = 0`` and ``c'd < 0``, scaled to ``|d| <= 1``."""
        lower = np.where(np.isfinite(self.lower), 0.0, -1.0)
        upper = np.where(np.isfinite(self.upper), 0.0, 1.0)
        row_lower = np.where(np.isfinite(self.row_lower), 0.0, -np.inf)
        row_upper = np.where(np.isfinite(self.row_upper), 0.0, np.inf)
        flat = np.zeros(self.Q.shape[0])
        A, low, high = sparse.vstack([self.A, self.Q]), np.append(row_lower, flat), np.append(row_upper, flat)
        if self._level is not None:
            still = np.zeros(self._level.root.shape[0])
            A = sparse.vstack([A, self._level.root, self._level.c[None, :]])
            low, high = np.concatenate([low, still, [-np.inf]]), np.concatenate([high, still, [0.0]])
        program = highs_program(self.c, sparse.csc_array(A), low, high, lower, upper)
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.passModel(program)
        solver.run()
        direction = np.array(solver.getSolution().col_value)
        improves = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal and self.c @ direction < -FEASIBILITY
        return direction if improves else None

    def _solve_quadratic(self) -> RelaxationAnswer:
        """Clarabel's interior point: unlike an active set method it does not care about degenerate or free columns."""
        P, q = sparse.triu(self.Q, format="csc"), self.c
        fixed = self.lower == self.upper
        row_equal = self.row_lower == self.row_upper
        eye = sparse.eye_array(len(q), format="csr")
        equal = sparse.vstack([self.A[row_equal], eye[fixed]])
        equal_to = np.append(self.row_upper[row_equal], self.upper[fixed])
        sides, limits = [], []
        for matrix, limit, keep in (
            (self.A, self.row_upper, ~row_equal),
            (-self.A, -self.row_lower, ~row_equal),
            (eye, self.upper, ~fixed),
            (-eye, -self.lower, ~fixed),
        ):
            chosen = keep & np.isfinite(limit)
            sides.append(matrix[chosen])
            limits.append(limit[chosen])
        cones = [clarabel.ZeroConeT(len(equal_to)), clarabel.NonnegativeConeT(sum(map(len, limits)))]
        if self._level is not None:
            # |w|^2 <= 2 t with t = upper - c'v, written as |(w, t - 1/2)| <= t + 1/2
            c = sparse.csr_array(self._level.c[None, :])
            sides.append(sparse.vstack([c, -self._level.root, c]))
            inner = np.zeros(self._level.root.shape[0])
            limits.append(np.concatenate([[self._level.upper + 0.5], inner, [self._level.upper - 0.5]]))
            cones.append(clarabel.SecondOrderConeT(len(inner) + 2))
        A = sparse.vstack([equal, *sides], format="csc")
        b = np.concatenate([equal_to, *limits])
        for tolerance in (FEASIBILITY, 100 * FEASIBILITY):
            settings = clarabel.DefaultSettings()
            settings.verbose = False
            settings.max_threads = 1
            settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
            answer = clarabel.DefaultSolver(P, q, A, b, cones, settings).solve()
            status = str(answer.status)
            if status in ("Solved", "AlmostSolved"):
                point = np.clip(np.array(answer.x), self.lower, self.upper)
                value = float(q @ point + 0.5 * point @ (self.Q @ point)) + self.constant
                return RelaxationAnswer("optimal", value, point)
            if "PrimalInfeasible" in status:
                return RelaxationAnswer("infeasible")
            if "DualInfeasible" in status:
                return self._unbounded_or_infeasible()
        raise SolverError(f"Clarabel stopped with {status} on a quadratic relaxation")

    def _linear_program(self) -> highspy.HighsLp:
        m = self.model
        return highs_program(m.c, sparse.csc_array(m.A), m.row_lower, m.row_upper, m.lower, m.upper)


def highs_program(
    c: FloatArray,
    A: sparse.csc_array,
    row_lower: FloatArray,
    row_upper: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
) -> highspy.HighsLp:
    """The linear program ``min c'v`` over ``row_lower <= A v <= row_upper`` in HiGHS's own form."""
    program = highspy.HighsLp()
    program.num_row_, program.num_col_ = A.shape
    program.col_cost_, program.col_lower_, program.col_upper_ = c, lower, upper
    program.row_lower_, program.row_upper_ = row_lower, row_upper
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_, program.a_matrix_.value_ = A.indptr, A.indices, A.data
    return program
