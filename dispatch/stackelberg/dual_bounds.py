"""Finite, valid bounds of every slack and every dual of a follower, each with the rule that proved it.

No bound is guessed. What is bounded is *some* optimal dual: a basic one, in which of several parallel rows (such as the
two bounds of a variable) one alone has a positive dual. Any optimal dual is complementary to every optimal response, so
restricting the duals to such a box cuts off no bilevel feasible point.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dispatch.errors import SolverError
from dispatch.stackelberg.basis_bounds import basic_dual_bounds
from dispatch.stackelberg.branching import BranchingLimits, ComplementarityBranching
from dispatch.stackelberg.claims import Claims, claimed_bounds
from dispatch.stackelberg.complementarity import PairBounds
from dispatch.stackelberg.extraction import FloatArray, FollowerForm
from dispatch.stackelberg.interval_bounds import bound_of_residual, box, slack_from_box
from dispatch.stackelberg.kkt import KKTBlock

#: Up to this many inequalities, bounds from boxes are tightened further by linear programs.
TIGHTEN_UP_TO = 400
#: A proved bound is rounded up by this share, so that solver tolerances cannot make it invalid.
SAFETY = 1e-6
#: A bound below this is zero: the row never has a positive dual, or never has slack.
NOTHING = 1e-9


@dataclass(frozen=True)
class BoundOptions:
    """Effort: ``nodes`` of the search over complementarity per row, ``time_limit_s`` for all rows together."""

    nodes: int = 200
    time_limit_s: float = 60.0


@dataclass
class _Record:
    """Bound and rule per row, NaN where still unknown."""

    value: FloatArray
    rule: list[str]

    @classmethod
    def empty(cls, count: int) -> _Record:
        return cls(np.full(count, np.inf), ["none"] * count)

    def tighten(self, row: int, value: float, rule: str) -> bool:
        if np.isfinite(value) and not value >= self.value[row] - 1e-9 * max(1.0, abs(value)):
            self.value[row], self.rule[row] = (value * (1 + SAFETY) if value > NOTHING else 0.0), rule
            return True
        return False


def prove_bounds(
    kkts: Sequence[KKTBlock], branching: ComplementarityBranching, options: BoundOptions
) -> tuple[list[PairBounds], list[str]]:
    """Bounds per follower (infinite where no rule applies), and remarks about claims, in words.

    ``branching`` holds the compiled single-level problem (leader's rows, followers' rows, stationarity) and its pairs;
    its objective and dual bounds are changed on the way and put back.
    """
    return _Prover(kkts, branching, options).run()


@dataclass(frozen=True)
class _Ranges:
    """Lower and upper limits of own variables (n, 2), of outside variables (m, 2) and of equality duals (s, 2)."""

    variables: FloatArray
    outside: FloatArray
    equality_dual: FloatArray


class _Prover:
    def __init__(self, kkts: Sequence[KKTBlock], branching: ComplementarityBranching, options: BoundOptions) -> None:
        self.kkts, self.branching, self.options = kkts, branching, options
        self.model = branching.model
        self.relaxation = branching.relaxation
        self.lower, self.upper = self.model.lower.copy(), self.model.upper.copy()
        self.remarks: list[str] = []
        self.tighten_all = sum(len(kkt.form.inequalities) for kkt in kkts) <= TIGHTEN_UP_TO
        self.left_s = options.time_limit_s
        self.cut_tried = False

    def run(self) -> tuple[list[PairBounds], list[str]]:
        cost, constant, Q = self.model.c, self.model.constant, self.model.Q
        try:
            return [self._follower(kkt) for kkt in self.kkts], self.remarks
        finally:
            self.relaxation.lift_limit()
            self.relaxation.set_bounds(self.model.lower, self.model.upper)
            self.relaxation.set_cost(cost, constant, Q)

    def _follower(self, kkt: KKTBlock) -> PairBounds:
        form = kkt.form
        slack_at = self.model.columns(list(kkt.block.slack.values()))
        dual_at = self.model.columns(list(kkt.block.mu.values()))
        claims = claimed_bounds(form, trust=not self.tighten_all)
        slack, dual = _Record.empty(len(slack_at)), _Record.empty(len(dual_at))
        equality_dual = np.tile([-np.inf, np.inf], (len(form.equalities), 1))
        if claims.trusted:
            self._trust(kkt, claims, dual, dual_at, equality_dual)
        ranges = _Ranges(box(form.x), box(form.p), equality_dual)

        for row, value in enumerate(slack_from_box(form, ranges.variables, ranges.outside)):
            slack.tighten(row, value, "limits of the variables")
        self._from_residuals(form, dual, ranges)
        for row in kkt.paired:
            if self.tighten_all or not np.isfinite(slack.value[row]):
                self._by_linear_program(slack, row, slack_at[row], [])
        self._duals_by_linear_programs(kkt, dual, slack_at, dual_at, ranges, claims)
        for row in kkt.paired:
            if not np.isfinite(slack.value[row]):
                self._by_search(slack, row, slack_at[row], dual_at[row])
        if not np.all(np.isfinite(dual.value)):
            ranges = self._narrowed(form, ranges)
            self._from_residuals(form, dual, ranges)
            for row, value in enumerate(basic_dual_bounds(form, ranges.variables, ranges.outside, claims)):
                dual.tighten(row, value, "all bases of the follower's rows")
        for row in kkt.paired:
            if not np.isfinite(dual.value[row]):
                self._by_search(dual, row, dual_at[row], slack_at[row])
        self._remark_on_claims(form, dual, claims)
        return PairBounds(slack.value, dual.value, tuple(slack.rule), tuple(dual.rule), equality_dual)

    def _trust(
        self, kkt: KKTBlock, claims: Claims, dual: _Record, dual_at: NDArray[np.int64], equality_dual: FloatArray
    ) -> None:
        for row, value in claims.inequalities.items():
            dual.tighten(row, value, kkt.form.follower.dual_bounds_proof)
            self.upper[dual_at[row]] = min(self.upper[dual_at[row]], value)
        for row, (low, high) in claims.equalities.items():
            equality_dual[row] = low, high
            column = self.model.column[id(kkt.block.nu[row])]
            self.lower[column], self.upper[column] = low, high

    def _duals_by_linear_programs(
        self,
        kkt: KKTBlock,
        dual: _Record,
        slack_at: NDArray[np.int64],
        dual_at: NDArray[np.int64],
        ranges: _Ranges,
        claims: Claims,
    ) -> None:
        """Twice at most: a bound found late may make an earlier one provable."""
        form, parallel = kkt.form, parallel_rows(kkt.form)
        for _ in range(2):
            known = int(np.isfinite(dual.value).sum())
            for row in kkt.paired:
                settled = claims.trusted and row in claims.inequalities
                if settled or (np.isfinite(dual.value[row]) and not self.tighten_all):
                    continue
                self._by_linear_program(dual, row, dual_at[row], [slack_at[row], *dual_at[parallel[row]]])
            self._from_residuals(form, dual, ranges)
            if int(np.isfinite(dual.value).sum()) in (known, len(dual_at)):
                return

    def _narrowed(self, form: FollowerForm, ranges: _Ranges) -> _Ranges:
        """Infinite limits of variables that matter to stationarity, replaced by what the rows imply where they do."""
        variables, outside = ranges.variables.copy(), ranges.outside.copy()
        for limits, players, matters in (
            (variables, form.x, np.diff(sparse.csc_array(form.Q).indptr)),
            (outside, form.p, np.diff(sparse.csc_array(form.B).indptr)),
        ):
            for k in np.flatnonzero(matters):
                for side, sign in ((0, 1.0), (1, -1.0)):
                    if not np.isfinite(limits[k, side]):
                        limits[k, side] = sign * self._least(self.model.column[id(players[k])], sign)
        return _Ranges(variables, outside, ranges.equality_dual)

    def _least(self, column: int, sign: float) -> float:
        """Lower bound of ``sign`` times a column over the rows and the bounds proved so far."""
        self.relaxation.set_bounds(self.lower, self.upper)
        self._aim_at(column, sign)
        answer = self.relaxation.solve()
        return answer.value - SAFETY * abs(answer.value) if answer.status == "optimal" else -np.inf

    def _from_residuals(self, form: FollowerForm, dual: _Record, ranges: _Ranges) -> None:
        found = bound_of_residual(form, ranges.variables, ranges.outside, dual.value, ranges.equality_dual)
        for row, value in found.items():
            dual.tighten(row, value, "residual of stationarity")

    def _by_linear_program(self, record: _Record, row: int, column: int, at_zero: list[int]) -> None:
        """Largest value of a column over all rows, others at zero (a positive dual means no slack)."""
        if self.left_s <= 0:
            return
        start = time.perf_counter()
        lower, upper = self.lower.copy(), self.upper.copy()
        upper[at_zero] = 0.0
        self.relaxation.set_bounds(lower, upper)
        self._aim_at(column)
        answer = self.relaxation.solve()
        self.left_s -= time.perf_counter() - start
        if answer.status == "unbounded":
            return
        largest = 0.0 if answer.status == "infeasible" else -answer.value
        if record.tighten(row, largest, "linear program over the optimality conditions"):
            self.upper[column] = min(self.upper[column], record.value[row])

    def _by_search(self, record: _Record, row: int, column: int, partner: int) -> None:
        """As the linear program, but with the complementarity of all pairs, within a limit of nodes and time."""
        start = time.perf_counter()
        self._cut_off_worse_decisions()
        self._aim_at(column)
        limits = BranchingLimits(gap=1e-6, nodes=self.options.nodes, time_limit_s=max(0.1, self.left_s))
        proved = np.flatnonzero((self.upper < self.model.upper) | (self.lower > self.model.lower))
        known = [(int(k), float(self.lower[k]), float(self.upper[k])) for k in proved]
        try:
            answer = self.branching.minimise(limits, (*known, (int(partner), 0.0, 0.0)))
        except SolverError:
            return
        self.left_s -= time.perf_counter() - start
        if answer.status == "infeasible":
            record.tighten(row, 0.0, "search over the complementarity")
        elif np.isfinite(answer.bound):
            record.tighten(row, -answer.bound, "search over the complementarity")
        if np.isfinite(record.value[row]):
            self.upper[column] = min(self.upper[column], record.value[row])

    def _cut_off_worse_decisions(self) -> None:
        """Once: from here on, bounds need to hold only for decisions that are no worse than a first solution."""
        if self.cut_tried:
            return
        self.cut_tried = True
        self.relaxation.set_cost(self.model.c, self.model.constant, self.model.Q)
        limits = BranchingLimits(nodes=self.options.nodes, time_limit_s=max(0.1, self.left_s), first_solution=True)
        found = self.branching.minimise(limits)
        if found.point is not None:
            self.relaxation.limit_objective(found.value + SAFETY * max(1.0, abs(found.value)))

    def _aim_at(self, column: int, sign: float = -1.0) -> None:
        cost = np.zeros(len(self.model.variables))
        cost[column] = sign
        self.relaxation.set_cost(cost)

    def _remark_on_claims(self, form: FollowerForm, dual: _Record, claims: Claims) -> None:
        for row, claim in claims.inequalities.items() if not claims.trusted else ():
            name, value = form.inequalities[row].name, dual.value[row]
            if not np.isfinite(value):
                self.remarks.append(
                    f"follower {form.name}: the claimed bound {claim:g} on the dual of {name} could not be proved and is "
                    "not used"
                )
            elif value > claim * (1 + SAFETY):
                self.remarks.append(
                    f"follower {form.name}: the dual of {name} can reach {value:.6g}, above the claimed bound {claim:g}; "
                    f"the larger one is used ({dual.rule[row]})"
                )


def parallel_rows(form: FollowerForm) -> list[list[int]]:
    """For each inequality, the others with the same or the opposite coefficients."""
    groups: dict[object, list[int]] = {}
    for k, row in enumerate(form.inequalities):
        groups.setdefault(row.direction()[0], []).append(k)
    result: list[list[int]] = [[] for _ in form.inequalities]
    for members in groups.values():
        for k in members:
            result[k] = [other for other in members if other != k]
    return result
