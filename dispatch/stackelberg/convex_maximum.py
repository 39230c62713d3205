"""The largest value of a convex quadratic over a polyhedron, through its optimality conditions."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from dispatch.stackelberg.branching import BranchingLimits, ComplementarityBranching
from dispatch.stackelberg.compiled import CompiledModel
from dispatch.stackelberg.extraction import FloatArray
from dispatch.stackelberg.optimal_face import OptimalFace
from dispatch.stackelberg.options import BilevelOptions

#: Limits closer than this, relative to their size, make a row an equality, whose multiplier is free.
SAME_LIMIT = 1e-7


def largest_convex(slope: FloatArray, hessian: FloatArray, face: OptimalFace, options: BilevelOptions) -> float | None:
    """``max slope'y + y'hessian y/2`` over a bounded face, or None if the search does not finish.

    A maximum meets ``slope + hessian y = M'lambda``, ``lambda >= 0`` complementary to ``M y <= m``, and there the value
    is ``(slope'y + m'lambda)/2``: linear, so the search branches on linear programs.
    """
    equal = face.high - face.low <= SAME_LIMIT * np.maximum(1.0, np.abs(face.high))
    upper, lower = np.isfinite(face.high) & ~equal, np.isfinite(face.low) & ~equal
    M = sparse.vstack([face.A[upper], -face.A[lower], face.A[equal]], format="csr")
    m = np.concatenate([face.high[upper], -face.low[lower], (face.low[equal] + face.high[equal]) / 2])
    n, r, pairs = len(slope), len(m), int(upper.sum() + lower.sum())
    none = sparse.csr_array((n, r))
    A = sparse.block_array([[sparse.csr_array(-hessian), M.T, none], [M, None, sparse.eye_array(r)]], format="csr")
    right = np.concatenate([slope, m])
    count = n + 2 * r
    free = np.full(r - pairs, np.inf)
    model = CompiledModel(
        variables=tuple(range(count)),
        column={},
        c=-0.5 * np.concatenate([slope, m, np.zeros(r)]),
        Q=sparse.csr_array((count, count)),
        constant=0.0,
        A=sparse.csr_array(A),
        row_lower=right,
        row_upper=right,
        lower=np.concatenate([np.full(n, -np.inf), np.zeros(pairs), -free, np.zeros(r)]),
        upper=np.concatenate([np.full(n + r, np.inf), np.full(pairs, np.inf), np.zeros(r - pairs)]),
        integer=np.zeros(count, dtype=bool),
        row_names=(),
    )
    at = np.arange(pairs)
    complementary = np.column_stack([n + r + at, n + at]).astype(np.int64)
    answer = ComplementarityBranching(model, complementary).minimise(BranchingLimits(1e-9, options.time_limit_s))
    return -answer.value if answer.status == "optimal" else None
