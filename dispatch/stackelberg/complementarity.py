"""Complementarity of slacks and duals with binaries (big-M), and the test that no bound was too small."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo

from dispatch.errors import BilevelError
from dispatch.stackelberg.extraction import FloatArray
from dispatch.stackelberg.kkt import KKTBlock

#: A dual this close to its bound (share) may have been cut off: enlarge and solve again.
RATIO_LIMIT = 0.99
#: Bounds are widened by this factor when they are used, so that a dual exactly at a proved bound passes the test above.
MARGIN = 1.05
#: With a larger bound a binary within its tolerance of zero would let a dual through.
LARGEST_BIG_M = 1e6


@dataclass(frozen=True, eq=False)
class PairBounds:
    """Finite bounds of one follower's complementarity pairs, and where each came from.

    slack, dual: (r,) largest slack and dual of each inequality; 0 says that the row is always, or never, binding;
        infinite where no rule applies, or where strong duality makes a bound needless.
    slack_rule, dual_rule: the rule behind each bound, in words.
    equality: (s, 2) limits of the equality duals, infinite unless claimed; no pair needs them.
    """

    slack: FloatArray
    dual: FloatArray
    slack_rule: tuple[str, ...]
    dual_rule: tuple[str, ...]
    equality: FloatArray

    def enlarged(self, factor: float, rows: list[int]) -> PairBounds:
        """The same with the dual bounds of some rows multiplied by a factor."""
        dual = self.dual.copy()
        dual[rows] *= factor
        return replace(self, dual=dual)


def declare_big_m(block: Any, kkt: KKTBlock, bounds: PairBounds) -> None:
    """Declares ``slack <= M z``, ``dual <= M (1 - z)`` with a binary z per row on an empty block.

    A row whose slack or dual is bounded by zero needs no binary. Raises BilevelError for a bound that is not finite or
    too large to be safe.
    """
    form = kkt.form
    for r in kkt.paired:
        row, slack, dual = form.inequalities[r], bounds.slack[r], bounds.dual[r]
        if not max(slack, dual) <= LARGEST_BIG_M:
            what = "slack" if slack > dual else "dual"
            raise BilevelError(
                f"follower {form.name}: row {row.name}: the bound {max(slack, dual):.3g} on its {what} is too large for "
                f"big-M (at most {LARGEST_BIG_M:g}); bound its variables, rescale, or use reformulation='branching'"
            )
    slack_m, dual_m = bounds.slack * MARGIN, bounds.dual * MARGIN
    needed = [r for r in kkt.paired if slack_m[r] > 0 and dual_m[r] > 0]
    slacks, mu = kkt.block.slack, kkt.block.mu
    block.z = pyo.Var(needed, domain=pyo.Binary)
    block.slack_limit = pyo.Constraint(needed, rule=lambda b, r: slacks[r] <= float(slack_m[r]) * b.z[r])
    block.dual_limit = pyo.Constraint(needed, rule=lambda b, r: mu[r] <= float(dual_m[r]) * (1 - b.z[r]))
    settled = [r for r in kkt.paired if r not in set(needed)]
    block.settled = pyo.Constraint(settled, rule=lambda _, r: mu[r] <= 0 if dual_m[r] <= 0 else slacks[r] <= 0)


def dual_ratios(mu: FloatArray, bounds: PairBounds) -> FloatArray:
    """Each dual over its bound as used, (r,); 0 for a dual at zero."""
    used = np.maximum(bounds.dual * MARGIN, 1e-300)
    return np.where(mu > 1e-7, mu / used, 0.0)
