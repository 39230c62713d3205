"""Optimality conditions of a follower as rows of a Pyomo block; the complementarity is left to a choice of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression
from scipy import sparse

from dispatch.stackelberg.extraction import FloatArray, FollowerForm


@dataclass(frozen=True, eq=False)
class KKTBlock:
    """Karush-Kuhn-Tucker conditions of one follower, declared on ``block``.

    form: the follower's matrices.
    block: holds ``mu`` (r duals of inequalities, >= 0), ``nu`` (s duals of equalities), ``slack`` (r, >= 0),
        ``stationarity`` (n rows) and ``slack_definition`` (r rows).
    paired: inequalities whose complementarity is still to be enforced (all, unless strong duality covers some).
    """

    form: FollowerForm
    block: Any
    paired: tuple[int, ...]

    @property
    def pairs(self) -> list[tuple[Any, Any]]:
        """(slack, dual) of each inequality in ``paired``: at most one of the two may be positive."""
        return [(self.block.slack[r], self.block.mu[r]) for r in self.paired]

    def mu_values(self) -> FloatArray:
        """Duals of the inequalities as solved, (r,)."""
        return np.array([self.block.mu[r].value or 0.0 for r in self.block.mu], dtype=float)

    def nu_values(self) -> FloatArray:
        """Duals of the equalities as solved, (s,)."""
        return np.array([self.block.nu[s].value or 0.0 for s in self.block.nu], dtype=float)


def declare_kkt(block: Any, form: FollowerForm) -> KKTBlock:
    """Declares stationarity ``c + B p + Q x + G'mu + E'nu = 0`` and slacks ``h - G x - K p`` on an empty block.

    Necessary and sufficient for a convex quadratic follower with linear rows. The follower's own constraints must stay
    active, its objective must not. Add the complementarity of :attr:`KKTBlock.pairs` by ``declare_big_m`` or a solver
    that has SOS1.
    """
    n, r, s = len(form.x), len(form.inequalities), len(form.equalities)
    block.mu = pyo.Var(range(r), domain=pyo.NonNegativeReals)
    block.nu = pyo.Var(range(s))
    block.slack = pyo.Var(range(r), domain=pyo.NonNegativeReals)
    mu, nu, slack = list(block.mu.values()), list(block.nu.values()), list(block.slack.values())

    gradient = sparse.hstack([form.B, form.Q, form.G.T, form.E.T], format="csr")
    stationarity = affine_rows(gradient, [*form.p, *form.x, *mu, *nu], form.c)
    block.stationarity = pyo.Constraint(range(n), rule=lambda _, i: _equals_zero(stationarity[i]))

    limits = sparse.hstack([form.G, form.K, sparse.eye_array(r)], format="csr")
    balance = affine_rows(limits, [*form.x, *form.p, *slack], -form.h)
    block.slack_definition = pyo.Constraint(range(r), rule=lambda _, k: _equals_zero(balance[k]))
    return KKTBlock(form, block, tuple(range(r)))


def affine_rows(matrix: sparse.csr_array, variables: list[Any], constant: FloatArray) -> list[Any]:
    """Pyomo expressions ``matrix @ variables + constant``, one per row."""
    matrix = sparse.csr_array(matrix)
    rows = []
    for k in range(matrix.shape[0]):
        span = slice(matrix.indptr[k], matrix.indptr[k + 1])
        chosen = [variables[j] for j in matrix.indices[span]]
        weights = [float(v) for v in matrix.data[span]]
        rows.append(LinearExpression(constant=float(constant[k]), linear_coefs=weights, linear_vars=chosen))
    return rows


def _equals_zero(expression: LinearExpression) -> Any:
    if not expression.linear_vars:
        return pyo.Constraint.Feasible if abs(expression.constant) < 1e-12 else pyo.Constraint.Infeasible
    return expression == 0
