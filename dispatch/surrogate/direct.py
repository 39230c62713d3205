"""Particle swarm and genetic algorithm on the true answers, without a model of them (Chen et al. 2024, Table 4)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dispatch.surrogate.record import CallRecord, OutOfCallsError
from dispatch.surrogate.swarm import PARTICLES, heuristic_maximum

FloatArray = NDArray[np.float64]


def direct_search(record: CallRecord, algorithm: Literal["pso", "ga"], seed: int) -> None:
    """Ask until no question is left; the corners of the tariffs' range are in the first generation."""
    space = record.space
    generations = -(-record.most_calls // PARTICLES)

    def profits(points: FloatArray) -> FloatArray:
        return np.array([record.ask(point) for point in space.ordered(points)])

    box = np.zeros(space.dimensions), np.ones(space.dimensions)
    try:
        heuristic_maximum(profits, *box, space.corners(), generations, seed, algorithm)
    except OutOfCallsError:
        return
