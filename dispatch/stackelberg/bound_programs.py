"""Largest value of one column of the single-level problem: by a linear program, or by a short search over the pairs."""

from __future__ import annotations

import time

import numpy as np

from dispatch.errors import SolverError
from dispatch.stackelberg.branching import BranchingLimits, ComplementarityBranching
from dispatch.stackelberg.extraction import FloatArray

#: A proved bound is rounded up by this share, so that solver tolerances cannot make it invalid.
SAFETY = 1e-6


class BoundPrograms:
    """Maximises single columns; narrows ``lower`` and ``upper`` as bounds become known, and uses them from then on.

    nodes: of a search; time_limit_s: for all programs together, after which every answer is "no bound".
    """

    def __init__(self, branching: ComplementarityBranching, nodes: int, time_limit_s: float) -> None:
        self.branching, self.relaxation, self.model = branching, branching.relaxation, branching.model
        self.lower, self.upper = self.model.lower.copy(), self.model.upper.copy()
        self.nodes, self.left_s = nodes, time_limit_s
        self._cut_tried = False

    def restore(self) -> None:
        """Gives the shared relaxation its own objective, bounds and rows back."""
        self.relaxation.lift_limit()
        self.relaxation.set_bounds(self.model.lower, self.model.upper)
        self.relaxation.set_cost(self.model.c, self.model.constant, self.model.Q)

    def forget(self) -> None:
        """Back to the limits of the model itself."""
        self.lower, self.upper = self.model.lower.copy(), self.model.upper.copy()

    def by_linear_program(self, column: int, at_zero: list[int], sign: float = 1.0) -> float:
        """Largest ``sign`` times the column with some others at zero; 0 if that cannot be, infinite if unbounded."""
        if self.left_s <= 0:
            return np.inf
        start = time.perf_counter()
        upper = self.upper.copy()
        upper[at_zero] = 0.0
        self.relaxation.set_bounds(self.lower, upper)
        self._aim_at(column, sign)
        try:
            answer = self.relaxation.solve()
        except SolverError:
            return np.inf
        finally:
            self.left_s -= time.perf_counter() - start
        if answer.status == "infeasible":
            return 0.0
        return np.inf if answer.status == "unbounded" else -answer.value

    def by_search(self, column: int, partner: int) -> float:
        """As above with the complementarity of all pairs and ``partner`` at zero, within the limits of effort.

        If that does not settle it, once more among decisions that are no worse for the leader than a first solution:
        only for those do bounds have to hold.
        """
        found = self._search(column, partner, max(1, self.nodes // 4)) if self.nodes else np.inf
        if not np.isfinite(found) and self.nodes:
            self._cut_off_worse_decisions()
            found = self._search(column, partner, self.nodes)
        return found

    def _search(self, column: int, partner: int, nodes: int) -> float:
        start = time.perf_counter()
        self._aim_at(column, 1.0)
        limits = BranchingLimits(gap=1e-6, nodes=nodes, time_limit_s=max(0.05, self.left_s))
        proved = np.flatnonzero((self.upper < self.model.upper) | (self.lower > self.model.lower))
        known = [(int(k), float(self.lower[k]), float(self.upper[k])) for k in proved]
        try:
            answer = self.branching.minimise(limits, (*known, (int(partner), 0.0, 0.0)))
        except SolverError:
            return np.inf
        finally:
            self.left_s -= time.perf_counter() - start
        return 0.0 if answer.status == "infeasible" else -answer.bound

    def _cut_off_worse_decisions(self) -> None:
        if self._cut_tried:
            return
        self._cut_tried = True
        self.relaxation.set_cost(self.model.c, self.model.constant, self.model.Q)
        limits = BranchingLimits(nodes=self.nodes, time_limit_s=max(0.05, self.left_s), first_solution=True)
        try:
            found = self.branching.minimise(limits)
        except SolverError:
            return
        if found.point is not None:
            self.relaxation.limit_objective(found.value + SAFETY * max(1.0, abs(found.value)))

    def _aim_at(self, column: int, sign: float) -> None:
        cost: FloatArray = np.zeros(len(self.model.variables))
        cost[column] = -sign
        self.relaxation.set_cost(cost)
