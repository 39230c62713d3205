"""Finite, valid bounds of every slack and every dual of a follower, each with the rule that proved it.

No bound is guessed. What is bounded is *some* optimal dual: a basic one, in which of several parallel rows (such as the
two bounds of a variable) one alone has a positive dual. Any optimal dual is complementary to every optimal response, so
restricting the duals to such a box cuts off no bilevel feasible point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dispatch.stackelberg.basis_bounds import basic_dual_bounds
from dispatch.stackelberg.bound_programs import SAFETY, BoundPrograms
from dispatch.stackelberg.branching import ComplementarityBranching
from dispatch.stackelberg.claims import Claims, claimed_bounds
from dispatch.stackelberg.complementarity import PairBounds
from dispatch.stackelberg.extraction import FloatArray, FollowerForm
from dispatch.stackelberg.interval_bounds import bound_of_residual, box, slack_from_box
from dispatch.stackelberg.kkt import KKTBlock

#: Up to this many inequalities, bounds from boxes are tightened further by linear programs, and claims are checked.
TIGHTEN_UP_TO = 400
#: A bound below this is zero: the row never has a positive dual, or never has slack.
NOTHING = 1e-9


@dataclass(frozen=True)
class BoundOptions:
    """Effort: ``nodes`` of the search over complementarity per row, ``time_limit_s`` for all rows together."""

    nodes: int = 200
    time_limit_s: float = 60.0


def prove_bounds(
    kkts: Sequence[KKTBlock], branching: ComplementarityBranching, options: BoundOptions
) -> tuple[list[PairBounds], list[str]]:
    """Bounds per follower (infinite where no rule applies), and remarks about claims, in words.

    ``branching`` holds the compiled single-level problem (leader's rows, followers' rows, stationarity) and its pairs;
    its objective and bounds are changed on the way and put back.
    """
    programs = BoundPrograms(branching, options.nodes, options.time_limit_s)
    small = sum(len(kkt.form.inequalities) for kkt in kkts) <= TIGHTEN_UP_TO
    results, remarks = [], []
    try:
        for kkt in kkts:
            bounds, remark = _follower_bounds(kkt, programs, small)
            results.append(bounds)
            remarks += remark
    finally:
        programs.restore()
    return results, remarks


def _follower_bounds(kkt: KKTBlock, programs: BoundPrograms, small: bool) -> tuple[PairBounds, list[str]]:
    """Own proofs first where they are affordable; then with the user's argued claims, none below what was proved."""
    claims = claimed_bounds(kkt.form)
    argued = bool(kkt.form.follower.dual_bounds_proof) and not claims.empty
    attempt = _Attempt(kkt, programs, Claims(), small)
    if small or not argued:
        attempt.cheap_rules()
    if argued and not attempt.complete:
        lower, upper = attempt.before
        programs.lower, programs.upper = lower, upper
        attempt = _Attempt(kkt, programs, claims.at_least(attempt.dual.value), small)
        attempt.cheap_rules()
    attempt.search()
    return attempt.result(), _remarks_on_claims(kkt.form, claims, attempt)


class _Record:
    """Bound and rule of every row, infinite where still unknown."""

    def __init__(self, count: int) -> None:
        self.value = np.full(count, np.inf)
        self.rule = ["none"] * count

    def tighten(self, row: int, value: float, rule: str) -> None:
        if np.isfinite(value) and not value >= self.value[row] - 1e-9 * max(1.0, abs(value)):
            self.value[row], self.rule[row] = (value * (1 + SAFETY) if value > NOTHING else 0.0), rule


class _Attempt:
    """One follower's bounds under one set of claims."""

    def __init__(self, kkt: KKTBlock, programs: BoundPrograms, claims: Claims, tighten_all: bool) -> None:
        self.kkt, self.form, self.programs, self.claims, self.tighten_all = kkt, kkt.form, programs, claims, tighten_all
        self.before = programs.lower.copy(), programs.upper.copy()
        model = programs.model
        self.slack_at = model.columns(list(kkt.block.slack.values()))
        self.dual_at = model.columns(list(kkt.block.mu.values()))
        self.slack, self.dual = _Record(len(self.slack_at)), _Record(len(self.dual_at))
        self.parallel = parallel_rows(self.form)
        self.own, self.outside = box(self.form.x), box(self.form.p)
        self.equality = np.tile([-np.inf, np.inf], (len(self.form.equalities), 1))
        for row, value in claims.inequalities.items():
            self._note_dual(row, value, self.form.follower.dual_bounds_proof)
        for row, span in claims.equalities.items():
            self.equality[row] = span
            column = model.column[id(kkt.block.nu[row])]
            programs.lower[column], programs.upper[column] = span

    @property
    def complete(self) -> bool:
        """True if every pair has both bounds."""
        rows = list(self.kkt.paired)
        return bool(np.all(np.isfinite(self.slack.value[rows])) and np.all(np.isfinite(self.dual.value[rows])))

    def cheap_rules(self) -> None:
        """Limits of variables, residuals, linear programs (twice: a late bound may help an early row), bases."""
        for row, value in enumerate(slack_from_box(self.form, self.own, self.outside)):
            self.slack.tighten(row, value, "limits of the variables")
        self._residuals()
        for row in self.kkt.paired:
            self._slack_program(row)
        for _ in range(2):
            known = int(np.isfinite(self.dual.value).sum())
            for row in self.kkt.paired:
                self._dual_program(row)
            self._residuals()
            if int(np.isfinite(self.dual.value).sum()) in (known, len(self.dual_at)):
                break
        self._bases()

    def search(self) -> None:
        """What is left, row by row: a linear program with all that is known by now, then the complementarity."""
        for row in self.kkt.paired:
            if not np.isfinite(self.slack.value[row]):
                value = self.programs.by_search(self.slack_at[row], self.dual_at[row])
                self._note_slack(row, value, "search over the complementarity")
        self._bases()
        for row in self.kkt.paired:
            self._dual_program(row, only_unknown=True)
            if not np.isfinite(self.dual.value[row]):
                value = self.programs.by_search(self.dual_at[row], self.slack_at[row])
                self._note_dual(row, value, "search over the complementarity")

    def result(self) -> PairBounds:
        """The record of this attempt."""
        rules = tuple(self.slack.rule), tuple(self.dual.rule)
        return PairBounds(self.slack.value, self.dual.value, *rules, self.equality)

    def _note_slack(self, row: int, value: float, rule: str) -> None:
        self.slack.tighten(row, value, rule)
        column = self.slack_at[row]
        self.programs.upper[column] = min(self.programs.upper[column], self.slack.value[row])

    def _note_dual(self, row: int, value: float, rule: str) -> None:
        self.dual.tighten(row, value, rule)
        column = self.dual_at[row]
        self.programs.upper[column] = min(self.programs.upper[column], self.dual.value[row])

    def _slack_program(self, row: int) -> None:
        if self.tighten_all or not np.isfinite(self.slack.value[row]):
            value = self.programs.by_linear_program(self.slack_at[row], [])
            self._note_slack(row, value, "linear program over the optimality conditions")

    def _dual_program(self, row: int, only_unknown: bool = False) -> None:
        """A positive dual means no slack in its row, and no dual of a parallel one."""
        if row in self.claims.inequalities or (
            np.isfinite(self.dual.value[row]) and (only_unknown or not self.tighten_all)
        ):
            return
        at_zero = [self.slack_at[row], *self.dual_at[self.parallel[row]]]
        value = self.programs.by_linear_program(self.dual_at[row], at_zero)
        self._note_dual(row, value, "linear program over the optimality conditions")

    def _residuals(self) -> None:
        for row, value in bound_of_residual(self.form, self.own, self.outside, self.dual.value, self.equality).items():
            self.dual.tighten(row, value, "residual of stationarity")

    def _bases(self) -> None:
        """Listing bases, for duals of which only a basic choice is bounded; needs finite ranges of x and p."""
        if np.all(np.isfinite(self.dual.value)):
            return
        curved, priced = sparse.csc_array(self.form.Q), sparse.csc_array(self.form.B)
        self._narrow(self.own, self.programs.model.columns(self.form.x), np.diff(curved.indptr))
        self._narrow(self.outside, self.programs.model.columns(self.form.p), np.diff(priced.indptr))
        self._residuals()
        for row, value in enumerate(basic_dual_bounds(self.form, self.own, self.outside, self.claims)):
            self.dual.tighten(row, value, "all bases of the follower's rows")

    def _narrow(self, limits: FloatArray, columns: NDArray[np.int64], matters: NDArray[np.int64]) -> None:
        """Infinite limits of variables that matter to stationarity, replaced by what the rows imply where they do."""
        for k in np.flatnonzero(matters):
            for side, sign in ((0, -1.0), (1, 1.0)):
                if not np.isfinite(limits[k, side]):
                    value = self.programs.by_linear_program(columns[k], [], sign)
                    limits[k, side] = sign * (value + SAFETY * abs(value)) if np.isfinite(value) else limits[k, side]


def _remarks_on_claims(form: FollowerForm, claims: Claims, attempt: _Attempt) -> list[str]:
    remarks = []
    for row, claim in claims.inequalities.items():
        name, value = form.inequalities[row].name, attempt.dual.value[row]
        if not np.isfinite(value):
            remarks.append(
                f"follower {form.name}: the claimed bound {claim:g} on the dual of {name} could not be proved and is not used"
            )
        elif value > claim * (1 + 2 * SAFETY):
            remarks.append(
                f"follower {form.name}: the dual of {name} can reach {value:.6g}, above the claimed bound {claim:g}; the "
                f"larger one is used ({attempt.dual.rule[row]})"
            )
    return remarks


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
