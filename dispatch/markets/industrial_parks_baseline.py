"""The time-of-use tariff as a baseline: what parks paid under it, and who gains what by the agent's prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.markets.industrial_parks_inputs import AgentInputs
from dispatch.markets.industrial_parks_response import ParkResponse, park_response
from dispatch.markets.industrial_parks_solution import ParksSolution

FloatArray = NDArray[np.float64]

#: Change against the time-of-use tariff in Chen et al. 2024, Table 3: profit of the agent, costs of its two parks, percent.
PUBLISHED_CHANGE_PERCENT = (14.815, -2.510, -3.863)
#: Prices this close to a limit, relative to it, are at it.
AT_LIMIT = 1e-5


@dataclass(frozen=True, eq=False)
class Guarantee:
    """A park's best answer to the time-of-use tariff, and what it then pays the agent, currency."""

    response: ParkResponse
    bill: float

    def net_purchase(self, buy_back_ratio: float) -> FloatArray:
        """Energy that is paid at the offered price, ``[T]``, MW."""
        return self.response.purchase_mw - buy_back_ratio * self.response.sale_mw


def guarantees(inputs: AgentInputs) -> list[Guarantee]:
    """What each park is guaranteed under ``bill_guarantee``."""
    tariff, promised = inputs.prices.time_of_use, []
    for i in range(len(inputs.park_ids)):
        response = park_response(inputs, i, tariff)
        paid = tariff * (response.purchase_mw - inputs.buy_back_ratio * response.sale_mw)
        promised.append(Guarantee(response, float(paid.sum() * inputs.step_hours)))
    return promised


def baseline_tables(solution: ParksSolution, baseline: ParksSolution) -> dict[str, pd.DataFrame]:
    """Profit and costs against the time-of-use tariff, and how many prices sit at a limit, by park."""
    return {"against_time_of_use": _comparison(solution, baseline), "price_structure": price_structure(solution)}


def _comparison(solution: ParksSolution, baseline: ParksSolution) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for here, before in zip(solution.agents, baseline.agents, strict=True):
        rows.append(_row(here.inputs.name, "profit", sum(before.money().values()), sum(here.money().values())))
        for i, name in enumerate(here.inputs.park_ids):
            rows.append(_row(name, "cost", before.park_cost(i), here.park_cost(i)))
    frame = pd.DataFrame(rows)
    if len(frame) == len(PUBLISHED_CHANGE_PERCENT):
        frame["chen_2024_change_percent"] = PUBLISHED_CHANGE_PERCENT
    return frame


def _row(party: str, figure: str, before: float, here: float) -> dict[str, object]:
    change = 100 * (here - before) / abs(before) if before else np.nan
    return {"party": party, "figure": figure, "time_of_use": before, "game": here, "change_percent": change}


def price_structure(solution: ParksSolution) -> pd.DataFrame:
    """Steps of each park whose price is at the floor, at the ceiling, at the generator's cost, or between.

    Parks answer step by step, so that the agent's price problem is a fractional knapsack coupled by the cap of the mean
    alone: all but at most one price of a park sit at one of the three.
    """
    rows = []
    for agent in solution.agents:
        prices = agent.inputs.prices
        for i, name in enumerate(agent.inputs.park_ids):
            price = agent.price[i]
            kink = np.full_like(price, agent.inputs.generator_cost[i])
            at = {
                key: np.isclose(price, limit, rtol=AT_LIMIT, atol=AT_LIMIT)
                for key, limit in (("floor", prices.floor), ("ceiling", prices.ceiling), ("generator_cost", kink))
            }
            between = ~np.any(list(at.values()), axis=0)
            counts = {key: int(hits.sum()) for key, hits in (*at.items(), ("between", between))}
            rows.append({"park": name, **counts, "mean_price_per_mwh": float(price.mean())})
    return pd.DataFrame(rows)
