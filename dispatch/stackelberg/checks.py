"""Checks before a search: can every follower answer at all, and does its optimum exist?"""

from __future__ import annotations

import highspy
import numpy as np
from scipy import sparse

from dispatch.errors import BilevelError
from dispatch.stackelberg.extraction import FloatArray, FollowerForm
from dispatch.stackelberg.interval_bounds import box
from dispatch.stackelberg.relaxation import highs_program


def refuse_unanswerable(form: FollowerForm) -> None:
    """Raises BilevelError for a follower without any response, or without a finite optimum, at every leader decision.

    Limits of the leader's variables count, the leader's other rows do not.
    """
    leader = box(form.p)
    n, r, s = len(form.x), len(form.inequalities), len(form.equalities)
    rows = sparse.block_array([[form.G, form.K], [form.E, form.L]], format="csc")
    free = np.tile([-np.inf, np.inf], (n, 1))
    low, high = np.append(np.full(r, -np.inf), form.f), np.append(form.h, form.f)
    if r + s and not _has_point(rows, low, high, np.vstack([free, leader])):
        conflict = _smallest_violation(form, rows, low, high, np.vstack([free, leader]))
        raise BilevelError(
            f"follower {form.name} has no feasible response, whatever the leader decides within its limits{conflict}"
        )
    stationarity = sparse.hstack([form.B, form.Q, form.G.T, form.E.T], format="csc")
    duals = np.vstack([np.tile([0.0, np.inf], (r, 1)), np.tile([-np.inf, np.inf], (s, 1))])
    if not _has_point(stationarity, -form.c, -form.c, np.vstack([leader, free, duals])):
        raise BilevelError(
            f"follower {form.name} is unbounded, whatever the leader decides: its objective improves for ever in "
            f"{_improving_names(form)}; bound its variables"
        )


def _has_point(matrix: sparse.csc_array, low: FloatArray, high: FloatArray, limits: FloatArray) -> bool:
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    cost = np.zeros(matrix.shape[1])
    solver.passModel(highs_program(cost, matrix, low, high, limits[:, 0], limits[:, 1]))
    solver.run()
    return bool(solver.getModelStatus() != highspy.HighsModelStatus.kInfeasible)


def _smallest_violation(
    form: FollowerForm, matrix: sparse.csc_array, low: FloatArray, high: FloatArray, limits: FloatArray
) -> str:
    """The rows that give way, and by how much, when the sum of violations is least."""
    count = matrix.shape[0]
    eye = sparse.eye_array(count)
    elastic = sparse.hstack([matrix, eye, -eye], format="csc")
    cost = np.append(np.zeros(matrix.shape[1]), np.ones(2 * count))
    slack = np.tile([0.0, np.inf], (2 * count, 1))
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    bounds = np.vstack([limits, slack])
    solver.passModel(highs_program(cost, elastic, low, high, bounds[:, 0], bounds[:, 1]))
    solver.run()
    used = np.array(solver.getSolution().col_value)[matrix.shape[1] :].reshape(2, count).sum(axis=0)
    names = [row.name for row in (*form.inequalities, *form.equalities)]
    worst = [f"{names[k]} by {used[k]:.4g}" for k in np.argsort(-used)[:3] if used[k] > 1e-7]
    return f"; nearest to feasible if it breaks {', '.join(worst)}" if worst else ""


def _improving_names(form: FollowerForm) -> str:
    """Variables along a direction in which the objective falls for ever at every leader decision in its limits."""
    unlimited = set(range(len(form.x))) - set(form.G.indices) - set(form.E.indices)
    chosen = sorted(unlimited) or range(len(form.x))
    names = [form.x[k].name for k in chosen]
    return ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
