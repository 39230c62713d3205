"""A park's best answer to given prices, from its data alone: sources in merit order, moved load by bracketing.

Knows nothing of optimality conditions or solvers, so that it can judge what they found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from dispatch.markets.industrial_parks_inputs import AgentInputs

FloatArray = NDArray[np.float64]

#: Marginal costs this close, relative to the larger, leave a park indifferent.
TIE_TOLERANCE = 1e-5
PURCHASE, GENERATION, RENEWABLE, UNSOLD = range(4)
Preference = Literal["none", "buy", "make"]


@dataclass(frozen=True, eq=False)
class ParkResponse:
    """What a park buys, sells, generates, uses of wind and sun, and moves, ``[T]``, MW."""

    purchase_mw: FloatArray
    sale_mw: FloatArray
    generation_mw: FloatArray
    renewable_used_mw: FloatArray
    shift_mw: FloatArray

    @property
    def net_purchase_mw(self) -> FloatArray:
        """Purchase less sale."""
        return self.purchase_mw - self.sale_mw


def park_response(
    inputs: AgentInputs, park: int, price_per_mwh: FloatArray, when_tied: Preference = "none"
) -> ParkResponse:
    """The cheapest response of one park to prices ``[T]``.

    Without moved load, each step is served by its cheapest sources; with it, the price of the fixed daily energy is found
    by bracketing, since every step's load falls as it rises.

    Parameters
    ----------
    when_tied: among responses that cost the same, the one that buys most (``buy``) or makes most itself (``make``).
    """
    cost, size, order = _sources(inputs, park, price_per_mwh, when_tied)
    load, most = inputs.load_mw[park], inputs.shift_max_mw[park]
    base = inputs.generator_min_mw[park] - inputs.sale_max_mw[park]
    shift = _moved_load(inputs.discomfort, cost, size, order, load - base, most)
    used = _fill(size, order, load - base + shift)
    return ParkResponse(
        purchase_mw=used[PURCHASE],
        sale_mw=inputs.sale_max_mw[park] - used[UNSOLD],
        generation_mw=inputs.generator_min_mw[park] + used[GENERATION],
        renewable_used_mw=used[RENEWABLE],
        shift_mw=shift,
    )


def park_cost(inputs: AgentInputs, park: int, price_per_mwh: FloatArray, response: ParkResponse) -> float:
    """A park's cost over the horizon, currency: purchase less sale, generation, discomfort of moved load."""
    bill = price_per_mwh * (response.purchase_mw - inputs.buy_back_ratio * response.sale_mw)
    generation = inputs.generator_cost[park] * response.generation_mw
    discomfort = 0.5 * inputs.discomfort * response.shift_mw**2
    return float((bill + generation + discomfort).sum() * inputs.step_hours)


def park_dual_value(
    inputs: AgentInputs, park: int, price: FloatArray, energy_value: FloatArray, shift_value: float
) -> float:
    """Value of a park's Lagrangian dual at given multipliers, currency: a lower bound on its cost, whatever they are.

    Parameters
    ----------
    energy_value: ``[T]``, of the park's balances; shift_value: of the fixed energy of moved load.
    """
    y, most = energy_value, inputs.shift_max_mw[park]
    natural = inputs.load_mw[park] + most + inputs.sale_max_mw[park] - inputs.generator_min_mw[park]
    buy_max = np.minimum(inputs.purchase_max_mw[park], np.maximum(natural, 0.0))
    value = y * inputs.load_mw[park]
    value = value + np.minimum(price - y, 0.0) * buy_max
    value = value + np.minimum(y - inputs.buy_back_ratio * price, 0.0) * inputs.sale_max_mw[park]
    margin = inputs.generator_cost[park] - y
    value = value + np.where(margin < 0, inputs.generator_top_mw[park], inputs.generator_min_mw[park]) * margin
    value = value + np.minimum(-y, 0.0) * inputs.renewable_mw[park]
    moved = np.clip(-(y + shift_value) / inputs.discomfort, -most, most)
    value = value + (y + shift_value) * moved + 0.5 * inputs.discomfort * moved**2
    return float(value.sum() * inputs.step_hours)


def _sources(
    inputs: AgentInputs, park: int, price: FloatArray, when_tied: Preference
) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Marginal cost, size and merit order of each source, ``[4, T]``; not selling is a source of energy as well."""
    steps = inputs.steps
    cost = np.empty((4, steps))
    cost[PURCHASE], cost[GENERATION] = price, inputs.generator_cost[park]
    cost[RENEWABLE], cost[UNSOLD] = 0.0, inputs.buy_back_ratio * price
    size = np.empty((4, steps))
    size[PURCHASE] = inputs.purchase_max_mw[park]
    size[GENERATION] = inputs.generator_top_mw[park] - inputs.generator_min_mw[park]
    size[RENEWABLE], size[UNSOLD] = inputs.renewable_mw[park], inputs.sale_max_mw[park]
    lean = {"none": 0.0, "buy": -1.0, "make": 1.0}[when_tied] * TIE_TOLERANCE * np.maximum(1.0, np.abs(price))
    ranked = cost.copy()
    ranked[PURCHASE] += lean
    ranked[UNSOLD] += lean
    return cost, size, np.argsort(ranked, axis=0, kind="stable")


def _fill(size: FloatArray, order: NDArray[np.int64], need: FloatArray) -> FloatArray:
    """Energy taken from each source, ``[4, T]``, in merit order until the need ``[T]`` is met."""
    ordered = np.take_along_axis(size, order, axis=0)
    before = np.cumsum(np.vstack([np.zeros_like(need), ordered[:-1]]), axis=0)
    used = np.empty_like(size)
    np.put_along_axis(used, order, np.clip(need - before, 0.0, ordered), axis=0)
    return used


def _moved_load(
    discomfort: float,
    cost: FloatArray,
    size: FloatArray,
    order: NDArray[np.int64],
    need: FloatArray,
    most: FloatArray,
) -> FloatArray:
    if not most.any():
        return np.zeros_like(need)
    slope = np.take_along_axis(cost, order, axis=0)
    end = np.cumsum(np.take_along_axis(size, order, axis=0), axis=0)
    start = np.vstack([np.zeros_like(need), end[:-1]])
    low, high = np.maximum(start - need, -most), np.minimum(end - need, most)
    reachable = low <= high

    def moved(value: float) -> FloatArray:
        """The stationary point lies in the one segment whose own stationary point is not beyond its end."""
        wanted = -(slope + value) / discomfort
        beyond = np.where(reachable, wanted > high, True)
        segment = np.argmin(beyond, axis=0)
        last = reachable.shape[0] - 1 - np.argmax(reachable[::-1], axis=0)
        segment = np.where(beyond.all(axis=0), last, segment)
        columns = np.arange(len(need))
        inside: FloatArray = np.clip(wanted[segment, columns], low[segment, columns], high[segment, columns])
        return inside

    finite = slope[np.isfinite(slope)]
    reach = discomfort * float(most.max()) + 1.0
    lowest, highest = -float(finite.max()) - reach, -float(finite.min()) + reach
    return moved(brentq(lambda v: float(moved(v).sum()), lowest, highest, xtol=1e-13, rtol=1e-14, maxiter=500))
