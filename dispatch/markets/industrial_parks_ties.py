"""What it is worth to the agent that parks which do not care choose in its favour, and how little avoids the question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from dispatch.markets.industrial_parks_response import Preference, park_response
from dispatch.markets.industrial_parks_solution import AgentSolution, ParksSolution

FloatArray = NDArray[np.float64]

#: Share of a tied price that is given up so that the park's answer is unique.
UNDERCUT = 1e-3
NOTHING_MW = 1e-6
PREFERENCES: tuple[Preference, Preference] = ("buy", "make")


@dataclass(frozen=True)
class TieReport:
    """Profit when tied parks choose for the agent, against it, and at prices that leave no tie, currency.

    against: ``None`` where the agent's trade limits could not serve that choice.
    steps: number of (park, step) pairs with a tie.
    """

    for_agent: float
    against: float | None
    undercut: float
    steps: int

    @property
    def width(self) -> float | None:
        """Money lost if all ties go against the agent."""
        return None if self.against is None else max(0.0, self.for_agent - self.against)

    def notes(self, currency: str) -> Iterator[str]:
        """One sentence on ties, if there are any."""
        if not self.steps:
            return
        loss = "more than the agent's trade limits can serve" if self.width is None else f"{self.width:,.2f} {currency}"
        yield (
            f"Optimistic value: in {self.steps} park-steps the price equals a park's own cost, so that buying and making "
            f"cost it the same; all ties against the agent would cost it {loss}. Moving these prices by "
            f"{100 * UNDERCUT:g}% removes the ties at a profit of {self.undercut:,.2f} {currency}."
        )


@dataclass(frozen=True, eq=False)
class _Answers:
    """All parks' answers: what they take from the agent ``net_mw`` and what they pay ``paid``, currency, ``[I, T]``."""

    net_mw: FloatArray
    paid: FloatArray


def tie_report(solution: ParksSolution) -> TieReport:
    """Profit under both ways of breaking ties and without them; storage and tie line stay as planned, trade adapts."""
    against: float | None = 0.0
    undercut, steps = 0.0, 0
    for agent in solution.agents:
        wear = agent.money()["storage_wear"]
        ends = [_answers(agent, agent.price, preference) for preference in PREFERENCES]
        tied = np.abs(ends[0].net_mw - ends[1].net_mw) > NOTHING_MW
        steps += int(tied.sum())
        worst = [_worst(agent, t, ends, tied[:, t]) for t in range(agent.inputs.steps)]
        against = against + sum(worst) + wear if against is not None and np.isfinite(worst).all() else None
        unique = _answers(agent, _untied_price(agent, ends, tied), "buy")
        undercut += wear + sum(
            float(unique.paid[:, t].sum()) - _trade_cost(agent, t, float(unique.net_mw[:, t].sum()))
            for t in range(agent.inputs.steps)
        )
    return TieReport(solution.profit, against, undercut, steps)


def _untied_price(agent: AgentSolution, ends: list[_Answers], tied: NDArray[np.bool_]) -> FloatArray:
    """Prices a little lower where a tied park buys as planned and a little higher where it makes, ``[I, T]``.

    What this adds to the mean price comes off the prices without a tie, so that the cap of the mean still holds.
    """
    prices, price = agent.inputs.prices, agent.price
    net = np.array([park.net_purchase_mw for park in agent.parks])
    buys = net > 0.5 * (ends[0].net_mw + ends[1].net_mw)
    step = np.where(tied, np.where(buys, -UNDERCUT, UNDERCUT), 0.0) * np.abs(price)
    moved = np.clip(price + step, prices.floor, prices.ceiling)
    room = np.where(tied, 0.0, moved - prices.floor)
    excess = np.clip(moved.sum(axis=1) - price.sum(axis=1), 0.0, None)
    share = np.divide(excess, room.sum(axis=1), out=np.zeros_like(excess), where=room.sum(axis=1) > 0)
    untied: FloatArray = moved - np.minimum(share, 1.0)[:, None] * room
    return untied


def _answers(agent: AgentSolution, price: FloatArray, preference: Preference) -> _Answers:
    inputs = agent.inputs
    parks = [park_response(inputs, i, price[i], preference) for i in range(len(agent.parks))]
    billed = np.array([park.purchase_mw - inputs.buy_back_ratio * park.sale_mw for park in parks])
    return _Answers(np.array([park.net_purchase_mw for park in parks]), price * billed * inputs.step_hours)


def _worst(agent: AgentSolution, t: int, ends: list[_Answers], tied: NDArray[np.bool_]) -> float:
    """Least profit of one step over all combinations of the tied parks' ends; minus infinity if one cannot be served.

    Income is linear and the cost of trade convex in what parks take, so that the least profit is at such a combination.
    """
    least = np.inf
    for choice in product(*((0, 1) if each else (0,) for each in tied)):
        net = sum(float(ends[side].net_mw[i, t]) for i, side in enumerate(choice))
        paid = sum(float(ends[side].paid[i, t]) for i, side in enumerate(choice))
        least = min(least, paid - _trade_cost(agent, t, net))
    return least


def _trade_cost(agent: AgentSolution, t: int, net_sale_mw: float) -> float:
    """Least cost of one step's trade that serves ``net_sale_mw``, storage as planned, currency; infinite if nothing does."""
    inputs, prices = agent.inputs, agent.inputs.prices
    sell_max = inputs.real_time_max_mw
    if inputs.sale_within_discharge:
        sell_max = min(sell_max, float(agent.discharge_mw[:, t].sum()))
    outlets = [(prices.real_time_sell[t], sell_max), (prices.neighbour[t], inputs.neighbour_sell_max_mw[t])]
    sources = [
        *outlets,
        (prices.neighbour[t], inputs.neighbour_buy_max_mw[t]),
        (prices.day_ahead[t], inputs.day_ahead_max_mw),
        (prices.real_time_buy[t], inputs.real_time_max_mw),
    ]
    need = net_sale_mw + float(agent.tie_mw[t] + (agent.charge_mw - agent.discharge_mw)[:, t].sum())
    need += sum(float(size) for _, size in outlets)
    cost = -sum(float(price * size) for price, size in outlets)
    if need < -NOTHING_MW:
        return float("inf")
    for price, size in sorted((float(p), float(s)) for p, s in sources):
        taken = min(max(need, 0.0), size)
        cost += price * taken
        need -= taken
    return cost * inputs.step_hours if need <= NOTHING_MW else float("inf")
