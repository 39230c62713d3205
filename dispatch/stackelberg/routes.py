"""From optimality conditions to an answer: one route per way of enforcing complementarity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import pyomo.environ as pyo

from dispatch.errors import BilevelError, InfeasibleError, SolverError, UnboundedError
from dispatch.solver import Cone, SolverOptions
from dispatch.solver import solve as solve_model
from dispatch.stackelberg.branching import BranchingLimits, ComplementarityBranching, refuse_unbounded
from dispatch.stackelberg.complementarity import MARGIN, RATIO_LIMIT, PairBounds, declare_big_m
from dispatch.stackelberg.extraction import FloatArray
from dispatch.stackelberg.options import BilevelOptions
from dispatch.stackelberg.polish import Polisher
from dispatch.stackelberg.scip_indicator import solve_with_indicators
from dispatch.stackelberg.single_level import SingleLevel

#: How often bounds on duals are enlarged, and by what factor, before the answer is refused.
ENLARGEMENTS, FACTOR = 3, 10.0
#: Statuses of a solver that ran out of time; what it has found by then counts.
STOPPED = ("time_limit", "interrupted", "stalled")
#: A solver's bound at or beyond this is its infinity.
NO_BOUND = 1e15


@dataclass
class Outcome:
    """point (N,) over the compiled columns, or None; value and bound of the minimised objective; what to tell."""

    reformulation: str
    status: str
    point: FloatArray | None
    value: float
    bound: float
    pair_bounds: list[PairBounds] | None = None
    messages: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Route:
    """What every route needs: the problem, the search object over its pairs, the solver's name and the cones."""

    level: SingleLevel
    search: ComplementarityBranching
    options: BilevelOptions
    solver: str
    cones: Sequence[Cone] = ()

    def branch(self) -> Outcome:
        """Branch and bound over the pairs; no bound on any dual is used."""
        if self.cones:
            raise BilevelError("reformulation 'branching' works on linear and quadratic leaders; cones need kkt_bigm")
        limits = BranchingLimits(min(self.options.gap, 1e-9), self.options.time_limit_s)
        answer = self.search.minimise(limits)
        refuse_unbounded(answer, "the leader's objective")
        if answer.point is None:
            self._refuse("infeasible" if answer.status == "infeasible" else "time_limit")
        status = "optimal" if answer.status == "optimal" else "time_limit"
        point = Polisher(self.level, self.search).smallest_duals(answer.point)
        outcome = Outcome("branching", status, point, answer.value, answer.bound)
        outcome.messages.append(f"{answer.nodes} nodes over {len(self.level.pairs)} complementarity pairs")
        return outcome

    def big_m(self, bounds: list[PairBounds]) -> Outcome:
        """Binaries with bounded big-M; a dual at its bound enlarges the bound and solves again, then is an error."""
        messages: list[str] = []
        for _ in range(ENLARGEMENTS + 1):
            outcome = self._run("kkt_bigm", lambda b, current=bounds: _all_big_m(b, self.level, current), bounds)
            outcome.pair_bounds = bounds
            at_bound = self._rows_at_bound(outcome, bounds)
            if not any(at_bound):
                outcome.messages = messages + outcome.messages
                return outcome
            messages += self._enlarged_messages(at_bound, bounds)
            bounds = [each.enlarged(FACTOR, rows) for each, rows in zip(bounds, at_bound, strict=True)]
        raise BilevelError(
            f"bounds on duals were enlarged {ENLARGEMENTS} times and the answer still depends on them: "
            f"{'; '.join(messages[-3:])}. Use reformulation='branching', or SCIP with 'kkt_sos1'"
        )

    def sos1(self) -> Outcome:
        """Each slack and its dual form a set of which one member may be positive; no bound on any dual is used."""
        return self._run("kkt_sos1", self._declare_sets, None)

    def indicator(self) -> Outcome:
        """A binary per row switches off either its slack or its dual (SCIP)."""
        if self.cones:
            raise BilevelError("reformulation 'kkt_indicator' does not take cones; use kkt_sos1 or kkt_bigm")
        status, point, bound = solve_with_indicators(self.level.compiled, self.level.pairs, self.options)
        if point is None or not _is_verdict(status, bound):
            return self._second_verdict(status)
        return self._polished(Outcome("kkt_indicator", status, point, self.level.compiled.value(point), bound), None)

    def _declare_sets(self, block: Any) -> None:
        pairs = [pair for kkt in self.level.kkts for pair in kkt.pairs]
        block.sets = pyo.SOSConstraint(range(len(pairs)), rule=lambda _, k: list(pairs[k]), sos=1)

    def _run(self, name: str, declare: Any, bounds: list[PairBounds] | None) -> Outcome:
        """One mixed-integer solve of the user's model with a temporary block that enforces complementarity."""
        level, options = self.level, self.options
        level.block.complementarity = pyo.Block(concrete=True)
        try:
            declare(level.block.complementarity)
            result = solve_model(
                level.problem.model,
                self.cones,
                SolverOptions(
                    gap=options.gap,
                    time_limit_s=options.time_limit_s,
                    threads=options.threads,
                    seed=options.seed,
                    solver="scip" if self.solver == "scip" else "highs",
                ),
            )
        finally:
            level.block.del_component(level.block.complementarity)
        if not np.isfinite(result.objective) or not _is_verdict(result.status, result.bound):
            return self._second_verdict(result.status)
        point = np.array([variable.value or 0.0 for variable in level.compiled.variables], dtype=float)
        outcome = Outcome(name, result.status, point, result.objective, result.bound)
        return outcome if self.cones else self._polished(outcome, bounds)

    def _second_verdict(self, status: str) -> Outcome:
        """Solvers may confuse infeasible with unbounded: the branching tells the two apart, or finds the answer."""
        if self.cones or status in STOPPED or not self.level.convex:
            self._refuse(status)
        outcome = self.branch()
        outcome.messages.append(
            f"{self.solver} ended with {status}; solved by branching on the complementarity instead"
        )
        return outcome

    def _polished(self, outcome: Outcome, bounds: list[PairBounds] | None) -> Outcome:
        assert outcome.point is not None
        polisher = Polisher(self.level, self.search)
        if not self.level.convex:
            outcome.point = polisher.smallest_duals(outcome.point)
            return outcome
        exact = polisher.exact(outcome.point, bounds)
        if exact is None:
            outcome.messages.append("the answer is as exact as the solver's tolerances: no polished point was found")
        else:
            outcome.value = self.level.compiled.value(exact)
            outcome.point = polisher.smallest_duals(exact)
        return outcome

    def _rows_at_bound(self, outcome: Outcome, bounds: list[PairBounds]) -> list[list[int]]:
        assert outcome.point is not None
        found = []
        for kkt, each in zip(self.level.kkts, bounds, strict=True):
            mu = outcome.point[self.level.compiled.columns(list(kkt.block.mu.values()))]
            used = each.dual * MARGIN
            found.append([int(r) for r in np.flatnonzero((mu > RATIO_LIMIT * used) & (used > 0) & (mu > 1e-7))])
        return found

    def _enlarged_messages(self, rows: list[list[int]], bounds: list[PairBounds]) -> Iterable[str]:
        for kkt, each, chosen in zip(self.level.kkts, bounds, rows, strict=True):
            for r in chosen:
                yield (
                    f"follower {kkt.form.name}: the bound {each.dual[r]:g} on the dual of {kkt.form.inequalities[r].name} "
                    f"({each.dual_rule[r]}) was reached; solved again with {FACTOR * each.dual[r]:g}"
                )

    def _refuse(self, status: str) -> NoReturn:
        if status == "infeasible":
            raise InfeasibleError(
                "no decision of the leader together with optimal responses of the followers meets all rows; relax the "
                "leader's rows, or check that each follower has an optimum for some decision"
            )
        if status == "unbounded":
            raise UnboundedError("the leader's objective can improve without limit; bound the leader's variables")
        raise SolverError(f"no answer was found: {status}; allow more time or try another reformulation")


def _is_verdict(status: str, bound: float) -> bool:
    return abs(bound) < NO_BOUND and (status == "optimal" or status in STOPPED)


def _all_big_m(block: Any, level: SingleLevel, bounds: list[PairBounds]) -> None:
    block.follower = pyo.Block(range(len(level.kkts)))
    for k, (kkt, each) in enumerate(zip(level.kkts, bounds, strict=True)):
        declare_big_m(block.follower[k], kkt, each)
