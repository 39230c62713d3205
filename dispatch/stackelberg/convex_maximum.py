"""The largest value of a convex quadratic over a polyhedron, through its optimality conditions."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from dispatch.stackelberg.branching import BranchingLimits, ComplementarityBranching
from dispatch.stackelberg.compiled import CompiledModel
from dispatch.stackelberg.extraction import FloatArray
from dispatch.stackelberg.optimal_face import OptimalFace
from dispatch.stackelberg.options import BilevelOptions


def largest_convex(slope: FloatArray, hessian: FloatArray, face: OptimalFace, options: BilevelOptions) -> float | None:
    """``max slope'y + y'hessian y/2`` over a bounded face, or None if the search does not finish.

    A maximum meets ``slope + hessian y = M'lambda``, ``lambda >= 0`` complementary to ``M y <= m``, and there the value
    is ``(slope'y + m'lambda)/2``: linear, so the search branches on linear programs.
    """
    upper, lower = np.isfinite(face.high), np.isfinite(face.low)
    M = sparse.vstack([face.A[upper], -face.A[lower]], format="csr")
    m = np.concatenate([face.high[upper], -face.low[lower]])
    n, r = len(slope), len(m)
    none = sparse.csr_array((n, r))
    A = sparse.block_array([[sparse.csr_array(-hessian), M.T, none], [M, None, sparse.eye_array(r)]], format="csr")
    right = np.concatenate([slope, m])
    count = n + 2 * r
    model = CompiledModel(
        variables=tuple(range(count)),
        column={},
        c=-0.5 * np.concatenate([slope, m, np.zeros(r)]),
        Q=sparse.csr_array((count, count)),
        constant=0.0,
        A=sparse.csr_array(A),
        row_lower=right,
        row_upper=right,
        lower=np.concatenate([np.full(n, -np.inf), np.zeros(2 * r)]),
        upper=np.full(count, np.inf),
        integer=np.zeros(count, dtype=bool),
        row_names=(),
    )
    pairs = np.column_stack([n + r + np.arange(r), n + np.arange(r)]).astype(np.int64)
    answer = ComplementarityBranching(model, pairs).minimise(BranchingLimits(1e-9, options.time_limit_s))
    return -answer.value if answer.status == "optimal" else None
