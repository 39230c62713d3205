"""Branch and bound over complementarity pairs: exact without a bound on any dual.

Each node is the linear or convex quadratic relaxation with, for the pairs decided so far, either the slack or the dual
at zero (Bard and Moore 1990, SIAM J. Sci. Stat. Comput. 11(2)); integer leader variables are branched on alike.
"""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import UnboundedError
from dispatch.stackelberg.compiled import CompiledModel
from dispatch.stackelberg.extraction import FloatArray
from dispatch.stackelberg.relaxation import Relaxation, RelaxationAnswer

#: Both members of a pair above this (absolute) violate it; also the distance of an integer column from an integer.
PAIR_TOLERANCE = 1e-7

Bound = tuple[int, float, float]


@dataclass(frozen=True)
class BranchingLimits:
    """When to stop: proven relative ``gap``, wall time in seconds, number of nodes, or the first solution."""

    gap: float = 1e-9
    time_limit_s: float = 60.0
    nodes: int = 1_000_000
    first_solution: bool = False


@dataclass(frozen=True)
class BranchingAnswer:
    """status: ``optimal`` within the gap, ``limit`` (stopped early), ``infeasible``, ``unbounded``.

    value and point (N,): best found, NaN and None if none; bound: no point is better than this; nodes: solved.
    """

    status: Literal["optimal", "limit", "infeasible", "unbounded"]
    value: float
    bound: float
    point: FloatArray | None
    nodes: int


class ComplementarityBranching:
    """Minimises the objective of a compiled model with pairs of nonnegative columns of which one must be zero."""

    def __init__(self, model: CompiledModel, pairs: NDArray[np.int64]) -> None:
        self.model = model
        self.pairs = pairs
        self.relaxation = Relaxation(model)
        self.integers = np.flatnonzero(model.integer)

    def minimise(self, limits: BranchingLimits, fixed: tuple[Bound, ...] = ()) -> BranchingAnswer:
        """Best-first search with plunging; ``fixed`` narrows columns for this call."""
        start = time.perf_counter()
        counter = itertools.count()
        open_nodes: list[tuple[float, int, tuple[Bound, ...]]] = [(-np.inf, next(counter), fixed)]
        best, incumbent, nodes = np.inf, None, 0
        plunge: tuple[float, tuple[Bound, ...]] | None = None
        while open_nodes or plunge:
            found = limits.first_solution and incumbent is not None
            if found or nodes >= limits.nodes or time.perf_counter() - start > limits.time_limit_s:
                break
            parent_bound, bounds = plunge or heapq.heappop(open_nodes)[::2]
            plunge = None
            if parent_bound >= _cutoff(best, limits.gap):
                continue
            nodes += 1
            answer = self._solve_node(bounds)
            if answer.status == "infeasible" or answer.value >= _cutoff(best, limits.gap):
                continue
            choice = self._branching_choice(answer, bounds)
            if choice is None:
                if answer.status == "unbounded":
                    return BranchingAnswer("unbounded", -np.inf, -np.inf, answer.point, nodes)
                exact = self._polish(answer, bounds)
                if exact.value < best:
                    best, incumbent = exact.value, exact.point
                continue
            first, second = choice
            plunge = (answer.value, (*bounds, first))
            heapq.heappush(open_nodes, (answer.value, next(counter), (*bounds, second)))
        remaining = [node[0] for node in open_nodes] + ([plunge[0]] if plunge else [])
        bound = min([best, *remaining])
        if remaining and bound < _cutoff(best, limits.gap):
            value = best if incumbent is not None else np.nan
            return BranchingAnswer("limit", value, bound, incumbent, nodes)
        if incumbent is None:
            return BranchingAnswer("infeasible", np.nan, np.inf, None, nodes)
        return BranchingAnswer("optimal", best, bound, incumbent, nodes)

    def _solve_node(self, bounds: tuple[Bound, ...]) -> RelaxationAnswer:
        lower, upper = self.model.lower.copy(), self.model.upper.copy()
        for column, low, high in bounds:
            lower[column] = max(lower[column], low)
            upper[column] = min(upper[column], high)
        self.relaxation.set_bounds(lower, upper)
        return self.relaxation.solve()

    def _branching_choice(self, answer: RelaxationAnswer, bounds: tuple[Bound, ...]) -> tuple[Bound, Bound] | None:
        """The most violated pair or integer; two bounds, the more promising one first. None if nothing is violated."""
        assert answer.point is not None
        if answer.status == "unbounded":
            return self._choice_along_ray(answer, bounds)
        values = answer.point[self.pairs]
        violation = values.min(axis=1, initial=np.inf)
        if len(violation) and violation.max() > PAIR_TOLERANCE:
            slack, dual = self.pairs[int(violation.argmax())]
            at_zero = [(int(slack), 0.0, 0.0), (int(dual), 0.0, 0.0)]
            if answer.point[slack] > answer.point[dual]:
                at_zero.reverse()
            return at_zero[0], at_zero[1]
        if len(self.integers):
            at = answer.point[self.integers]
            distance = np.abs(at - np.round(at))
            if distance.max() > PAIR_TOLERANCE:
                column, value = int(self.integers[distance.argmax()]), float(at[distance.argmax()])
                down, up = (column, -np.inf, np.floor(value)), (column, np.ceil(value), np.inf)
                return (down, up) if value - np.floor(value) <= 0.5 else (up, down)
        return None

    def _choice_along_ray(self, answer: RelaxationAnswer, bounds: tuple[Bound, ...]) -> tuple[Bound, Bound] | None:
        """A pair that the ray violates; failing that any undecided pair, since a bounded node may hide behind it."""
        assert answer.point is not None and answer.ray is not None
        decided = {column for column, low, high in bounds if low == high == 0.0}
        far = answer.point + 1e6 * answer.ray
        for k in np.argsort(-far[self.pairs].min(axis=1, initial=np.inf)):
            slack, dual = (int(column) for column in self.pairs[k])
            if slack not in decided and dual not in decided:
                return (slack, 0.0, 0.0), (dual, 0.0, 0.0)
        return None

    def _polish(self, answer: RelaxationAnswer, bounds: tuple[Bound, ...]) -> RelaxationAnswer:
        """The node again with every pair decided and every integer fixed, so that zeros are exact zeros, if it can be."""
        assert answer.point is not None
        values = answer.point[self.pairs]
        smaller = self.pairs[np.arange(len(self.pairs)), values.argmin(axis=1)] if len(self.pairs) else []
        exact = [(int(column), 0.0, 0.0) for column in smaller]
        exact += [(int(k), float(np.round(answer.point[k])), float(np.round(answer.point[k]))) for k in self.integers]
        polished = self._solve_node((*bounds, *exact))
        return polished if polished.status == "optimal" else answer


def _cutoff(best: float, gap: float) -> float:
    """Value from which on a node cannot improve the best one by more than the gap; infinite while there is none."""
    return best - gap * max(1.0, abs(best)) if np.isfinite(best) else np.inf


def refuse_unbounded(answer: BranchingAnswer, what: str) -> None:
    """Raises UnboundedError if the branching found a complementary direction of unlimited gain."""
    if answer.status == "unbounded":
        raise UnboundedError(f"{what} can improve without limit; bound the leader's variables")
