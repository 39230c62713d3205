"""Small leader-follower problems as plain matrices, as Pyomo models, and solved by enumeration of active sets."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import clarabel
import numpy as np
import pyomo.environ as pyo
from scipy import sparse

from dispatch.bilevel import BilevelProblem, Follower


@dataclass
class Case:
    """``min cx'x + cy'y + x'Qx x/2 + y'Qy y/2 + const`` s.t. ``A x + B y <= a`` and y optimal in the lower level.

    Lower level: ``min e'y + y'H y/2 + x'K y`` s.t. ``C x + D y <= b``, the first ``equalities`` rows with ``=``.
    """

    cx: Any
    cy: Any
    e: Any
    C: Any
    D: Any
    b: Any
    A: Any = ()
    B: Any = ()
    a: Any = ()
    Qx: Any = None
    Qy: Any = None
    H: Any = None
    K: Any = None
    const: float = 0.0
    equalities: int = 0
    x_bounds: tuple[float | None, float | None] = (None, None)
    arrays: dict[str, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n, m = len(self.cx), len(self.cy)
        shapes = {"A": (-1, n), "B": (-1, m), "C": (-1, n), "D": (-1, m)}
        self.arrays = {key: np.array(getattr(self, key), dtype=float).reshape(shape) for key, shape in shapes.items()}
        self.arrays |= {key: np.array(getattr(self, key), dtype=float) for key in ("cx", "cy", "e", "a", "b")}
        for key, shape in {"Qx": (n, n), "Qy": (m, m), "H": (m, m), "K": (n, m)}.items():
            value = getattr(self, key)
            self.arrays[key] = np.zeros(shape) if value is None else np.array(value, dtype=float)


def as_problem(case: Case, maximise: bool = False) -> BilevelProblem:
    """The case on Pyomo blocks; ``maximise`` turns both objectives round."""
    v = case.arrays
    n, m = len(v["cx"]), len(v["cy"])
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(n), bounds=case.x_bounds)
    model.follower = pyo.Block()
    model.follower.y = pyo.Var(range(m))
    x, y = list(model.x.values()), list(model.follower.y.values())
    sense, sign = (pyo.maximize, -1.0) if maximise else (pyo.minimize, 1.0)
    upper = _dot(v["cx"], x) + _dot(v["cy"], y) + 0.5 * _form(v["Qx"], x, x) + 0.5 * _form(v["Qy"], y, y) + case.const
    lower = _dot(v["e"], y) + 0.5 * _form(v["H"], y, y) + _form(v["K"], x, y)
    model.objective = pyo.Objective(expr=sign * upper, sense=sense)
    model.follower.objective = pyo.Objective(expr=sign * lower, sense=sense)
    model.rows, model.follower.rows = pyo.ConstraintList(), pyo.ConstraintList()
    for A, B, a in zip(v["A"], v["B"], v["a"], strict=True):
        if A.any() or B.any():
            model.rows.add(_dot(A, x) + _dot(B, y) <= float(a))
    for k, (C, D, b) in enumerate(zip(v["C"], v["D"], v["b"], strict=True)):
        if C.any() or D.any():
            body = _dot(C, x) + _dot(D, y)
            model.follower.rows.add(body == float(b) if k < case.equalities else body <= float(b))
    return BilevelProblem(model, [Follower(model.follower)], leader=model.x)


def _dot(weights: np.ndarray, variables: list[Any]) -> Any:
    return pyo.quicksum(float(w) * z for w, z in zip(weights, variables, strict=True))


def _form(matrix: np.ndarray, left: list[Any], right: list[Any]) -> Any:
    return pyo.quicksum(float(matrix[i, j]) * p * q for i, p in enumerate(left) for j, q in enumerate(right))


def enumerate_active_sets(case: Case) -> float:
    """The optimistic optimum over every choice of binding lower rows; infinite if there is none.

    Each choice leaves a convex program in (x, y, mu), solved by an interior-point method. Keep the case bounded.
    """
    v = case.arrays
    n, m, r = len(v["cx"]), len(v["cy"]), len(v["b"])
    size, best = n + m + r, np.inf
    P = np.zeros((size, size))
    P[:n, :n], P[n : n + m, n : n + m] = v["Qx"], v["Qy"]
    q = np.concatenate([v["cx"], v["cy"], np.zeros(r)])
    stationarity = np.hstack([v["K"].T, v["H"], v["D"].T])
    rows = np.hstack([v["C"], v["D"], np.zeros((r, r))])
    upper = np.hstack([v["A"], v["B"], np.zeros((len(v["a"]), r))])
    box = [(sign * np.eye(size)[i], sign * limit) for i in range(n) for sign, limit in _sides(case.x_bounds)]
    for choice in itertools.product((False, True), repeat=r - case.equalities):
        binding = np.array([True] * case.equalities + list(choice), dtype=bool)
        signed = [r_ for r_ in range(case.equalities, r) if binding[r_]]
        duals_off = np.eye(size)[n + m :][~binding]
        equal = np.vstack([stationarity, rows[binding], duals_off])
        equal_to = np.concatenate([-v["e"], v["b"][binding], np.zeros(len(duals_off))])
        at_most = np.vstack(
            [rows[~binding], upper, -np.eye(size)[[n + m + k for k in signed]], *[b[None] for b, _ in box]]
        )
        limits = np.concatenate([v["b"][~binding], v["a"], np.zeros(len(signed)), [limit for _, limit in box]])
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        answer = clarabel.DefaultSolver(
            sparse.csc_matrix(np.triu(P)),
            q,
            sparse.csc_matrix(np.vstack([equal, at_most])),
            np.concatenate([equal_to, limits]),
            [clarabel.ZeroConeT(len(equal_to)), clarabel.NonnegativeConeT(len(limits))],
            settings,
        ).solve()
        if str(answer.status) in ("Solved", "AlmostSolved"):
            best = min(best, answer.obj_val + case.const)
    return float(best)


def _sides(bounds: tuple[float | None, float | None]) -> list[tuple[float, float]]:
    low, high = bounds
    return [(sign, limit) for sign, limit in ((-1.0, low), (1.0, high)) if limit is not None]
