"""From a solver's answer within tolerances to a point whose complementarity holds exactly, with the smallest duals."""

from __future__ import annotations

import numpy as np

from dispatch.errors import SolverError
from dispatch.stackelberg.branching import ComplementarityBranching
from dispatch.stackelberg.complementarity import PairBounds
from dispatch.stackelberg.extraction import FloatArray
from dispatch.stackelberg.single_level import SingleLevel

#: A slack or dual below this counts as zero when the smallest duals are looked for.
ZERO = 1e-7


class Polisher:
    """Solves the linear or quadratic program that is left once integers and complementarity are decided."""

    def __init__(self, level: SingleLevel, search: ComplementarityBranching) -> None:
        self.level, self.search = level, search
        self.model, self.pairs = level.compiled, level.pairs

    def exact(self, point: FloatArray, bounds: list[PairBounds] | None) -> FloatArray | None:
        """The best point with the zeros of ``point``: of each pair the member nearer zero, as a share of its bound."""
        scale = np.ones((len(self.pairs), 2))
        if bounds is not None:
            scale[:, 0] = np.concatenate(
                [each.slack[list(k.paired)] for k, each in zip(self.level.kkts, bounds, strict=True)]
            )
            scale[:, 1] = np.concatenate(
                [each.dual[list(k.paired)] for k, each in zip(self.level.kkts, bounds, strict=True)]
            )
        shares = np.abs(point[self.pairs]) / np.maximum(scale, 1e-12)
        lower, upper = self.model.lower.copy(), self.model.upper.copy()
        upper[self.pairs[np.arange(len(self.pairs)), shares.argmin(axis=1)]] = 0.0
        integers = self.model.integer
        lower[integers] = upper[integers] = np.round(point[integers])
        return self._solve(lower, upper, self.model.c, keep_cost=True)

    def smallest_duals(self, point: FloatArray) -> FloatArray:
        """The same decisions with the smallest sum of inequality duals: a dual at its bound is then there for a reason."""
        held = np.ones(len(point), dtype=bool)
        slacks: list[int] = []
        duals: list[int] = []
        for kkt in self.level.kkts:
            slacks += self.model.columns(list(kkt.block.slack.values())).tolist()
            duals += self.model.columns(list(kkt.block.mu.values())).tolist()
            held[self.model.columns(list(kkt.block.nu.values()))] = False
        held[duals] = False
        lower, upper = self.model.lower.copy(), self.model.upper.copy()
        lower[held] = upper[held] = point[held]
        lower[duals] = 0.0
        upper[duals] = np.where(point[slacks] > ZERO, 0.0, np.inf)
        cost = np.zeros(len(point))
        cost[duals] = 1.0
        found = self._solve(lower, upper, cost, keep_cost=False)
        return point if found is None else found

    def _solve(self, lower: FloatArray, upper: FloatArray, cost: FloatArray, keep_cost: bool) -> FloatArray | None:
        relaxation = self.search.relaxation
        relaxation.set_cost(cost, self.model.constant if keep_cost else 0.0, self.model.Q if keep_cost else None)
        relaxation.set_bounds(lower, upper)
        try:
            answer = relaxation.solve()
        except SolverError:
            return None
        finally:
            relaxation.set_cost(self.model.c, self.model.constant, self.model.Q)
        return answer.point if answer.status == "optimal" else None
