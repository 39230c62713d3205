"""Bounds of a basic dual by listing the bases of the follower's rows: works even where the set of duals is unbounded."""

from __future__ import annotations

import itertools
import math

import numpy as np

from dispatch.stackelberg.claims import Claims
from dispatch.stackelberg.extraction import FloatArray, FollowerForm
from dispatch.stackelberg.interval_bounds import product_range

#: Most sets of rows that are tried; beyond it the rule does not apply.
MOST_BASES = 20_000
#: A set of rows whose smallest singular value is below this is dependent.
INDEPENDENT = 1e-9


def basic_dual_bounds(form: FollowerForm, variables: FloatArray, outside: FloatArray, claims: Claims) -> FloatArray:
    """Largest dual of each inequality over all basic duals, (r,); infinite where the rule does not apply.

    Stationarity ``G'mu + E'nu = -(c + B p + Q x)`` has, if any solution, one whose positive ``mu`` belong, together with
    the rows of ``E``, to linearly independent rows (Caratheodory). Each maximal independent set gives its duals as a
    linear function of the gradient, whose range follows from the limits of ``p`` and ``x``. Rows with a claimed range
    count as part of the gradient.
    """
    r, s = len(form.inequalities), len(form.equalities)
    unknown = np.full(r, np.inf)
    gradient = product_range(form.B, outside) + product_range(form.Q, variables) + form.c[:, None]
    free, free_equalities = np.ones(r, dtype=bool), np.ones(s, dtype=bool)
    for k, value in claims.inequalities.items():
        free[k] = False
        gradient += product_range(form.G[[k]].T, np.array([[0.0, value]]))
    for k, span in claims.equalities.items():
        free_equalities[k] = False
        gradient += product_range(form.E[[k]].T, np.array([span]))
    if not np.all(np.isfinite(gradient)):
        return unknown
    E, G, at = form.E.toarray()[free_equalities], form.G.toarray()[free], np.flatnonzero(free)
    rank = int(np.linalg.matrix_rank(np.vstack([E, G])))
    size = rank - (int(np.linalg.matrix_rank(E)) if len(E) else 0)
    if math.comb(len(at), size) > MOST_BASES:
        return unknown
    bounds = np.zeros(len(at))
    middle, half = -gradient.mean(axis=1), (gradient[:, 1] - gradient[:, 0]) / 2
    for chosen in itertools.combinations(range(len(at)), size):
        rows = np.vstack([G[list(chosen)], E])
        values = np.linalg.svd(rows, compute_uv=False)
        if np.sum(values > INDEPENDENT * max(1.0, values[0])) < rank:
            continue
        inverse = np.linalg.pinv(rows.T)[:size]
        largest = inverse @ middle + np.abs(inverse) @ half
        bounds[list(chosen)] = np.maximum(bounds[list(chosen)], largest)
    unknown[at] = bounds
    return unknown
