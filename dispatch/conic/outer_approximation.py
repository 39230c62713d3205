"""Mixed-integer cone programs by tangents in rounds: relax, cut, solve the MILP, fix the integers, polish, repeat.

M. A. Duran and I. E. Grossmann, "An outer-approximation algorithm for a class of mixed-integer nonlinear programs",
Math. Programming 36, 1986, with the continuous problems left to a cone solver. Every MILP contains only tangents of
convex sets, so its bound is valid; every polished point satisfies the true cones, so its value is one that can be had.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from dispatch.conic.clarabel_oracle import OracleAnswer, solve_continuous
from dispatch.conic.compiled import Compiled
from dispatch.conic.highs_driver import HighsModel, LinearAnswer
from dispatch.conic.options import SolverOptions, Status
from dispatch.conic.tangents import CutPool

FloatArray = npt.NDArray[np.float64]

#: Relative cone violation above which a cone gets a new tangent, and below which a point counts as on the cones.
CUT_TOLERANCE = 1e-6
#: Linear programs per call of :meth:`OuterApproximation.linear_rounds`.
LINEAR_ROUNDS = 60
#: Share of the total gap that a MILP may leave open.
MILP_GAP_SHARE = 0.25
#: The same where a feasible point is known beforehand and only the bound is wanted.
PROOF_GAP_SHARE = 0.8


class OuterApproximation:
    """State of one solve in the minimised sense; read ``status``, ``x``, ``value``, ``bound`` after :meth:`run`.

    relaxation: optimum of the continuous relaxation, if it was solved.
    """

    def __init__(self, compiled: Compiled, options: SolverOptions, warm: CutPool | None, deadline: float) -> None:
        self.compiled = compiled
        self.options = options
        self.deadline = deadline
        self.seconds = {"relax": 0.0, "milp": 0.0, "polish": 0.0}
        self.status: Status = "stalled"
        self.x: FloatArray | None = None
        self.value, self.bound = np.inf, -np.inf
        self.rounds = 0
        self.message = ""
        self.relaxation: OracleAnswer | None = None
        with self._phase("milp"):
            self.model = HighsModel(compiled, options)
        self._points: list[tuple[int, FloatArray]] = []
        if warm is not None and len(warm):
            self._add_points(warm.matching(compiled.cones))

    @property
    def gap(self) -> float:
        """Relative distance of value and bound."""
        if not np.isfinite(self.value) or not np.isfinite(self.bound):
            return np.inf
        return max(self.value - self.bound, 0.0) / max(1.0, abs(self.value))

    def pool(self) -> CutPool:
        """Tangents now in the linear model, by cone name."""
        pool = CutPool()
        for cone, point in self._points:
            pool.add(self.compiled.cones.names[cone], point)
        return pool

    def run(self, relaxed: OracleAnswer | None = None, start: FloatArray | None = None) -> None:
        """Solve until the gap is closed, the problem is proved infeasible, or time is up.

        relaxed: optimum of the continuous relaxation, if the caller has it. start: a point known to be feasible; the
        search then is for a proof rather than for points, and a MILP may leave the whole gap open.
        """
        if start is not None:
            self.x, self.value = start, float(self.compiled.cost @ start) + self.compiled.offset
            self.model.offer(start)
        if not self._relax(relaxed):
            return
        if self.compiled.integer.any():
            self._rounds()
        elif not len(self.compiled.cones):
            self._linear_program()

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def _left(self) -> float:
        return self.deadline - time.perf_counter()

    def _relax(self, known: OracleAnswer | None) -> bool:
        """Relaxation of the integers: tangents at its optimum. False if it settles the problem."""
        cones, integer = self.compiled.cones, self.compiled.integer.any()
        if not len(cones):
            return True
        with self._phase("relax"):
            answer = known or self._oracle(self.compiled.lower, self.compiled.upper)
            if answer.status == "failed":
                answer = self.linear_rounds(self.compiled.lower, self.compiled.upper)
                if answer.status == "optimal":
                    self._prune(answer.x)
        if answer.status in ("infeasible", "unbounded"):
            self.status = "infeasible" if answer.status == "infeasible" else "unbounded"
            self.message = f"the continuous relaxation is {answer.status}"
            return False
        self.relaxation = answer if answer.status == "optimal" else None
        self.bound = max(self.bound, answer.bound)
        if answer.status == "failed":
            self.message = "the relaxation was not solved to optimality"
            if not integer:
                self.status = "time_limit" if self._left() <= 0 else "stalled"
            return bool(integer)
        if integer:
            if self.options.cone_oracle == "clarabel":
                self._cut_at(answer.x, everywhere=True)
            return True
        self._accept(answer)
        self._cut_at(answer.x, everywhere=True)
        self.status = "optimal" if self.gap <= self.options.gap else "stalled"
        return False

    def _linear_program(self) -> None:
        with self._phase("milp"):
            answer = self.model.run(self.options.gap, self._left())
        self._settle(answer)
        if answer.status == "optimal" and answer.x is not None:
            self.x, self.value, self.bound, self.status = answer.x, answer.value, answer.value, "optimal"

    def _rounds(self) -> None:
        milp_gap = self.options.gap * (MILP_GAP_SHARE if self.x is None else PROOF_GAP_SHARE)
        while self.rounds < self.options.max_rounds:
            self.rounds += 1
            with self._phase("milp"):
                answer = self.model.run(milp_gap, self._left())
            self.bound = max(self.bound, answer.bound)
            if answer.status == "infeasible" and self.x is not None:
                self.bound, self.status = self.value, "optimal"
                return
            if answer.x is None:
                self._settle(answer)
                return
            with self._phase("polish"):
                added = self._polish(answer.x)
            if self.gap <= self.options.gap:
                self.status = "optimal"
                return
            if answer.status in ("stopped", "interrupted") or self._left() <= 0:
                self.status = "interrupted" if answer.status == "interrupted" else "time_limit"
                return
            if not added:
                if milp_gap < 1e-9:
                    break
                milp_gap /= 10.0
            if self.x is not None:
                self.model.offer(self.x)
        self.status = "stalled"
        self.message = f"gap {self.gap:.1e} after {self.rounds} rounds of tangents"

    def _settle(self, answer: LinearAnswer) -> None:
        """Status of a run without an incumbent of its own."""
        words: dict[str, Status] = {
            "infeasible": "infeasible",
            "unbounded": "unbounded",
            "interrupted": "interrupted",
            "stopped": "time_limit",
        }
        self.status = words.get(answer.status, "stalled")
        if self.status == "stalled":
            self.message = "HiGHS stopped with a numerical failure"

    def _polish(self, x: FloatArray) -> int:
        """Fix the integers of ``x``, solve the cones exactly, lay tangents there and at ``x``; number of new tangents."""
        compiled = self.compiled
        if not len(compiled.cones):
            self._accept(OracleAnswer("optimal", x, float(compiled.cost @ x) + compiled.offset, self.bound))
            return 0
        whole = np.round(x)
        lower = np.where(compiled.integer, whole, compiled.lower)
        upper = np.where(compiled.integer, whole, compiled.upper)
        answer = self._oracle(lower, upper)
        if answer.status in ("failed", "infeasible"):
            before = len(self._points)
            answer = self.linear_rounds(lower, upper)
            self.model.set_bounds(compiled.lower, compiled.upper)
            self._accept(answer)
            return len(self._points) - before + self._cut_at(x)
        self._accept(answer)
        return self._cut_at(x) + self._cut_at(answer.x, only=compiled.cones.violation(x) > CUT_TOLERANCE)

    def _oracle(self, lower: FloatArray, upper: FloatArray) -> OracleAnswer:
        if self.options.cone_oracle == "none":
            return OracleAnswer("failed", np.full(self.compiled.size, np.nan), np.inf, -np.inf)
        return solve_continuous(self.compiled, lower, upper, self._left(), self.options.threads)

    def linear_rounds(self, lower: FloatArray, upper: FloatArray) -> OracleAnswer:
        """Continuous optimum by linear programs with tangents where a cone is missed."""
        self.model.set_bounds(lower, upper)
        answer = LinearAnswer("failed", None, np.inf, -np.inf)
        settled = False
        for _ in range(LINEAR_ROUNDS):
            answer = self.model.run(self.options.gap, self._left(), relaxed=True)
            if answer.status != "optimal" or answer.x is None:
                break
            settled = not self._cut_at(answer.x)
            if settled:
                break
        nothing = np.full(self.compiled.size, np.nan)
        if answer.status in ("infeasible", "unbounded"):
            return OracleAnswer("infeasible" if answer.status == "infeasible" else "unbounded", nothing, np.inf, np.inf)
        if settled and answer.x is not None:
            return OracleAnswer("optimal", answer.x, answer.value, answer.value)
        return OracleAnswer("failed", nothing, np.inf, answer.value if answer.x is not None else -np.inf)

    def _prune(self, x: FloatArray) -> None:
        """Drop tangents that are slack at ``x``; the last one of each cone always stays."""
        if len(self._points) <= 2 * len(self.compiled.cones):
            return
        which = np.array([cone for cone, _ in self._points])
        matrix, limit = self.compiled.cones.tangents([point for _, point in self._points], which)
        slack = limit - matrix @ x > 1e-3
        newest = np.zeros(len(which), dtype=bool)
        newest[len(which) - 1 - np.unique(which[::-1], return_index=True)[1]] = True
        loose = slack & ~newest
        self.model.drop_rows(np.flatnonzero(loose) + self.compiled.matrix.shape[0])
        self._points = [item for item, out in zip(self._points, loose, strict=True) if not out]

    def _accept(self, answer: OracleAnswer) -> None:
        if answer.status == "optimal" and answer.value < self.value:
            self.x, self.value = answer.x, answer.value

    def _cut_at(self, x: FloatArray, everywhere: bool = False, only: npt.NDArray[np.bool_] | None = None) -> int:
        """Tangents of all cones (``everywhere``), of those in ``only``, or of those that ``x`` misses."""
        cones = self.compiled.cones
        if everywhere:
            which = np.arange(len(cones))
        else:
            which = np.flatnonzero(only if only is not None else cones.violation(x) > CUT_TOLERANCE)
        self._add_points(list(zip(which.tolist(), cones.points_at(x, which), strict=True)))
        return len(which)

    def _add_points(self, points: list[tuple[int, FloatArray]]) -> None:
        which = np.array([cone for cone, _ in points], dtype=np.int64)
        self.model.add_cuts(*self.compiled.cones.tangents([point for _, point in points], which))
        self._points.extend(points)
