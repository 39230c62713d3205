"""Bounds that follow from the limits of single variables, by interval arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from dispatch.stackelberg.extraction import FloatArray, FollowerForm
from dispatch.stackelberg.polynomial import VarData


def box(variables: Sequence[VarData]) -> FloatArray:
    """Lower and upper limits, (n, 2); a fixed variable has both at its value."""
    limits = [
        (v.value, v.value) if v.fixed else (-np.inf if v.lb is None else v.lb, np.inf if v.ub is None else v.ub)
        for v in variables
    ]
    return np.array(limits, dtype=float).reshape(len(limits), 2)


def product_range(matrix: sparse.csr_array, limits: FloatArray) -> FloatArray:
    """Smallest and largest value of ``matrix @ v`` for v within limits: (rows, 2)."""
    matrix = sparse.csr_array(matrix)
    result = np.zeros((matrix.shape[0], 2))
    for k in range(matrix.shape[0]):
        span = slice(matrix.indptr[k], matrix.indptr[k + 1])
        ends = matrix.data[span, None] * limits[matrix.indices[span]]
        result[k] = ends.min(axis=1).sum(), ends.max(axis=1).sum()
    return result


def slack_from_box(form: FollowerForm, variables: FloatArray, outside: FloatArray) -> FloatArray:
    """Largest ``h - G x - K p`` within the limits of all variables, (r,); may be infinite."""
    used = product_range(form.G, variables)[:, 0] + product_range(form.K, outside)[:, 0]
    return np.asarray(np.maximum(form.h - used, 0.0), dtype=float)


def bound_of_residual(
    form: FollowerForm, variables: FloatArray, outside: FloatArray, dual: FloatArray, equality_dual: FloatArray
) -> dict[int, float]:
    """Duals of the bounds of single variables, as what stationarity leaves once all other duals are bounded.

    ``dual`` (r,) and ``equality_dual`` (s, 2) hold the limits known so far. Of the two bounds of a variable at most one
    has a positive dual.
    """
    single = np.diff(form.G.indptr) == 1
    with np.errstate(invalid="ignore"):
        gradient = product_range(form.B, outside) + product_range(form.Q, variables) + form.c[:, None]
        rest = form.G[~single]
        limits = np.column_stack([np.zeros(rest.shape[0]), dual[~single]])
        gradient += product_range(sparse.csr_array(rest.T), limits)
        gradient += product_range(sparse.csr_array(form.E.T), equality_dual)
    found: dict[int, float] = {}
    for r in np.flatnonzero(single):
        i, weight = form.G.indices[form.G.indptr[r]], form.G.data[form.G.indptr[r]]
        needed = -gradient[i, 0] / weight if weight > 0 else -gradient[i, 1] / weight
        if np.isfinite(needed):
            found[int(r)] = max(0.0, float(needed))
    return found
