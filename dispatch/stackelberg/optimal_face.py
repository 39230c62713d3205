"""All optimal responses of the followers at one leader decision, as linear rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import pyomo.environ as pyo
from scipy import sparse

from dispatch.errors import SolverError
from dispatch.stackelberg.extraction import FloatArray
from dispatch.stackelberg.kkt import KKTBlock
from dispatch.stackelberg.relaxation import highs_program

#: A dual above this, relative to the largest one or to 1, keeps its row binding in every optimal response. A smaller one
#: counts as zero, so that a decision within rounding of a tie is treated as a tie.
POSITIVE_DUAL = 1e-6
#: Room given to each row, relative to its size: the response at hand meets the rows only up to rounding.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class OptimalFace:
    """``low <= A y <= high``: the responses ``y`` (all followers stacked) that are optimal at the present decision.

    variables: Pyomo variable of each of the n entries of y; at: the response at hand, (n,).
    """

    variables: tuple[Any, ...]
    at: FloatArray
    A: sparse.csr_array
    low: FloatArray
    high: FloatArray

    def largest(self, direction: FloatArray) -> tuple[float, FloatArray]:
        """Largest ``direction'y`` over the face and where it is reached; infinite if the face is unbounded that way."""
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        free = np.full(len(self.variables), np.inf)
        solver.passModel(highs_program(-direction, sparse.csc_array(self.A), self.low, self.high, -free, free))
        solver.run()
        status = solver.getModelStatus()
        point = np.array(solver.getSolution().col_value)
        if status == highspy.HighsModelStatus.kOptimal:
            return float(direction @ point), point
        if status in (highspy.HighsModelStatus.kUnbounded, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return np.inf, point
        raise SolverError(f"HiGHS stopped with {solver.modelStatusToString(status)} on the set of optimal responses")

    def is_single(self, seed: int) -> bool:
        """True if the optimal response is unique: a random direction has one value all over the face."""
        direction = np.random.default_rng(seed).standard_normal(len(self.variables))
        high, _ = self.largest(direction)
        low, _ = self.largest(-direction)
        return bool(high + low <= 1e-5 * max(1.0, abs(high)))


def optimal_face(kkts: Sequence[KKTBlock]) -> OptimalFace:
    """The face at the values now in the model, which must be optimal for every follower, duals included.

    A response is optimal if and only if it is feasible, leaves no slack where an optimal dual is positive, and (convex
    quadratic follower) has the same ``Q y`` as any other optimal one (Mangasarian 1988, Oper. Res. Lett. 7(1)).
    """
    blocks, lows, highs = [], [], []
    for kkt in kkts:
        form, mu = kkt.form, kkt.mu_values()
        y = np.array([pyo.value(variable) for variable in form.x])
        p = np.array([pyo.value(variable) for variable in form.p])
        binding = mu > POSITIVE_DUAL * max(1.0, mu.max(initial=0.0))
        curved = np.flatnonzero(np.diff(form.Q.indptr))
        level, used = (form.Q @ y)[curved], form.G @ y
        limit = np.maximum(form.h - form.K @ p, used)
        equal = form.f - form.L @ p
        rows = sparse.vstack([form.G, form.E, form.Q[curved]])
        low = np.concatenate([np.where(binding, used, -np.inf), equal, level])
        high = np.concatenate([np.where(binding, used, limit), equal, level])
        blocks.append(rows)
        lows.append(low - ROUNDING * np.maximum(1.0, np.abs(low)))
        highs.append(high + ROUNDING * np.maximum(1.0, np.abs(high)))
    variables = tuple(variable for kkt in kkts for variable in kkt.form.x)
    A = sparse.csr_array(sparse.block_diag(blocks, format="csr"))
    at = np.array([pyo.value(variable) for variable in variables])
    return OptimalFace(variables, at, A, np.concatenate(lows), np.concatenate(highs))
