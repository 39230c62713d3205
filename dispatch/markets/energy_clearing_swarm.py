"""Clearing by a particle swarm over posted prices: the method of Wu et al. 2024 (doi 10.3389/fenrg.2024.1342516).

The operator's printed objective does not contain the price at all, so that a swarm would drift; here a particle is charged
for the cost of the market at the parks' true answers and for the distance of its prices from the marginal costs they cause.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.markets.energy_clearing_iteration import Answer
from dispatch.markets.energy_clearing_program import ClearingPoint, ClearingProgram
from dispatch.markets.energy_clearing_response import reductions

FloatArray = NDArray[np.float64]

#: Constriction of M. Clerc and J. Kennedy (IEEE Trans. Evol. Comput. 6(1), 2002) for two pulls of 2.05 each.
CONSTRICTION, PULL = 0.7298, 2.05
INERTIA_FIRST, INERTIA_LAST = 0.9, 0.4


def swarm(program: ClearingProgram, seed: int) -> Answer:
    """The best prices ``[2, T]`` within the bid bands that a swarm finds::

        v <- chi [w v + 2.05 r1 (own best - p) + 2.05 r2 (best of all - p)],   p <- p + v, reflected at the band
        w from 0.9 to 0.4;   fitness = cost of the market + penalty || p - marginal cost(p) ||

    The paper calls its swarm improved without saying how: falling inertia, constriction and reflection are chosen here.
    Same seed, same result.
    """
    settings, inputs = program.case.swarm, program.inputs
    rng = np.random.default_rng(seed)
    bands = [(energy.floor, energy.ceiling) for energy in inputs.energies]
    low = np.concatenate([np.full(inputs.steps, floor) for floor, _ in bands])
    high = np.concatenate([np.full(inputs.steps, ceiling) for _, ceiling in bands])
    place = rng.uniform(low, high, (settings.particles, len(low)))
    speed = rng.uniform(-0.5, 0.5, place.shape) * (high - low)
    own, own_fitness = place.copy(), np.full(settings.particles, np.inf)
    best, best_fitness, rows = place[0].copy(), np.inf, []
    for iteration in range(settings.iterations):
        for k in range(settings.particles):
            fitness = _fitness(program, place[k], settings.residual_penalty)
            if fitness < own_fitness[k]:
                own[k], own_fitness[k] = place[k], fitness
            if fitness < best_fitness:
                best, best_fitness = place[k].copy(), fitness
        cost, residual, _, _ = respond(program, best.reshape(2, -1))
        rows.append((iteration + 1, cost, best_fitness, residual))
        inertia = INERTIA_FIRST + (INERTIA_LAST - INERTIA_FIRST) * iteration / max(1, settings.iterations - 1)
        pulls = PULL * rng.random((2, *place.shape))
        speed = CONSTRICTION * (inertia * speed + pulls[0] * (own - place) + pulls[1] * (best - place))
        place = place + speed
        outside = (place < low) | (place > high)
        place = np.clip(
            np.where(place < low, 2 * low - place, np.where(place > high, 2 * high - place, place)), low, high
        )
        speed = np.where(outside, -speed, speed)
    price = best.reshape(2, -1)
    _, _, reduction, point = respond(program, price)
    table = pd.DataFrame(rows, columns=["iteration", "cost", "fitness", "price_residual_per_mwh"])
    tables = {
        "convergence": table[["iteration", "cost", "fitness"]],
        "residuals": table[["iteration", "price_residual_per_mwh"]],
    }
    return Answer(price, reduction, point, tables, settings.particles * settings.iterations)


def respond(program: ClearingProgram, price: FloatArray) -> tuple[float, float, FloatArray, ClearingPoint]:
    """Cost of the market at posted prices ``[2, T]``, their distance from marginal costs, and both followers' answers."""
    reduction = reductions(program.inputs, price)
    point = program.serve(reduction)
    residual = float(np.linalg.norm(price - point.price))
    return point.supplier_cost + program.discomfort(reduction), residual, reduction, point


def _fitness(program: ClearingProgram, particle: FloatArray, penalty: float) -> float:
    cost, residual, _, _ = respond(program, particle.reshape(2, -1))
    return cost + penalty * residual
