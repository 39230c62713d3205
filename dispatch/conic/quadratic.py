"""A convex quadratic form as a weighted sum of squares."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dispatch.errors import SolverError

#: Eigenvalues below minus this share of the largest mean that a form is not convex.
CONVEXITY_TOLERANCE = 1e-9


def square_factors(terms: list[tuple[int, int, float]], name: str) -> list[tuple[float, dict[int, float]]]:
    """``sum coef x_a x_b`` as ``sum weight (combination x)^2`` with positive weights.

    Each connected group of variables is factorised by itself, so a separable form stays separable.

    Raises SolverError if the form is not convex, naming it and the most negative eigenvalue.
    """
    places = sorted({at for a, b, _ in terms for at in (a, b)})
    local = {at: k for k, at in enumerate(places)}
    rows = [local[a] for a, _, _ in terms] + [local[b] for _, b, _ in terms]
    cols = [local[b] for _, b, _ in terms] + [local[a] for a, _, _ in terms]
    values = [coef / 2.0 for _, _, coef in terms] * 2
    matrix = coo_array((values, (rows, cols)), shape=(len(places), len(places))).tocsr()
    _, label = connected_components(matrix, directed=False)
    factors: list[tuple[float, dict[int, float]]] = []
    for group in np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1]):
        eigenvalues, vectors = np.linalg.eigh(matrix[group][:, group].toarray())
        largest = max(abs(eigenvalues).max(initial=0.0), 1e-300)
        if eigenvalues.min(initial=0.0) < -CONVEXITY_TOLERANCE * largest:
            raise SolverError(f"{name} is not convex: its quadratic part has the eigenvalue {eigenvalues.min():.3g}")
        for value, vector in zip(eigenvalues, vectors.T, strict=True):
            if value > CONVEXITY_TOLERANCE * largest:
                kept = np.flatnonzero(np.abs(vector) > 1e-12)
                factors.append((float(value), {places[group[k]]: float(vector[k]) for k in kept}))
    return factors
