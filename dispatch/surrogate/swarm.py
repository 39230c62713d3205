"""Particle swarm and genetic algorithm of pymoo behind one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import SolverError

FloatArray = NDArray[np.float64]

PARTICLES = 30


def heuristic_maximum(
    function: Callable[[FloatArray], FloatArray],
    lower: FloatArray,
    upper: FloatArray,
    start: FloatArray,
    generations: int,
    seed: int,
    algorithm: Literal["pso", "ga"] = "pso",
) -> FloatArray:
    """The best point found in a box.

    Parameters
    ----------
    function: ``[n, d]`` to values ``[n]``, maximised.
    lower, upper: ``[d]``.
    start: points ``[k, d]`` that are in the first generation; the rest of its 30 is drawn uniformly.
    generations: after the first.

    Raises
    ------
    SolverError
        If the optional package pymoo is not installed.
    """
    try:
        from pymoo.algorithms.soo.nonconvex.ga import GA
        from pymoo.algorithms.soo.nonconvex.pso import PSO
        from pymoo.core.problem import Problem
        from pymoo.optimize import minimize
    except ImportError as error:
        raise SolverError(
            "methods kriging, pso and ga need the optional package pymoo: pip install 'adno[metamodel]'"
        ) from error
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(lower, upper, (max(PARTICLES - len(start), 0), len(lower)))
    first = np.vstack([np.clip(start, lower, upper), drawn])
    best_value = -np.inf
    best_point: FloatArray = first[0]

    def evaluate(_: Any, points: FloatArray, out: dict[str, FloatArray], *__: Any, **___: Any) -> None:
        nonlocal best_value, best_point
        values = function(points)
        place = int(np.argmax(values))
        if values[place] > best_value:
            best_value, best_point = float(values[place]), points[place].copy()
        out["F"] = -values[:, None]

    problem = type("Box", (Problem,), {"_evaluate": evaluate})(n_var=len(lower), n_obj=1, xl=lower, xu=upper)
    kind = PSO if algorithm == "pso" else GA
    minimize(problem, kind(pop_size=len(first), sampling=first), ("n_gen", generations + 1), seed=seed, verbose=False)
    return best_point
