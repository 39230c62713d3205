"""Values of a solved model of industrial parks as arrays, its money, and its schedule tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.case_parks import IndustrialParksCase
from dispatch.markets.industrial_parks_followers import dual_bound_ratio
from dispatch.markets.industrial_parks_inputs import AgentInputs
from dispatch.markets.industrial_parks_response import ParkResponse, park_cost

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AgentSolution:
    """One agent's decisions ``[T]``, its storage ``[S, T]`` and its parks ``[I, T]``; MW, MWh, currency per MWh.

    tie_mw: power passed to the other agent. energy_value, shift_value: duals of the parks' balances and moved load.
    """

    inputs: AgentInputs
    day_ahead_mw: FloatArray
    real_time_buy_mw: FloatArray
    real_time_sell_mw: FloatArray
    neighbour_buy_mw: FloatArray
    neighbour_sell_mw: FloatArray
    tie_mw: FloatArray
    charge_mw: FloatArray
    discharge_mw: FloatArray
    stored_mwh: FloatArray
    price: FloatArray
    parks: tuple[ParkResponse, ...]
    energy_value: FloatArray
    shift_value: FloatArray
    dual_bound_ratio: float

    @property
    def net_sale_mw(self) -> FloatArray:
        """What the parks take from the agent, ``[T]``."""
        total: FloatArray = np.sum([park.net_purchase_mw for park in self.parks], axis=0)
        return total

    @property
    def bought_mw(self) -> FloatArray:
        """What the agent takes from outside, ``[T]``."""
        own = self.day_ahead_mw + self.real_time_buy_mw - self.real_time_sell_mw
        return own + self.neighbour_buy_mw - self.neighbour_sell_mw - self.tie_mw

    def money(self) -> dict[str, float]:
        """The agent's amounts by item, price times quantity multiplied out; income positive, cost negative."""
        prices, dt = self.inputs.prices, self.inputs.step_hours
        wear = [
            unit.wear_per_mwh * (self.charge_mw[s] + self.discharge_mw[s]).sum()
            for s, unit in enumerate(self.inputs.storage)
        ]
        sold = sum(float(self.price[i] @ park.purchase_mw) for i, park in enumerate(self.parks))
        bought = sum(float(self.price[i] @ park.sale_mw) for i, park in enumerate(self.parks))
        traded = self.neighbour_sell_mw - self.neighbour_buy_mw + self.tie_mw
        amounts = {
            "sale_to_parks": sold,
            "purchase_from_parks": -self.inputs.buy_back_ratio * bought,
            "day_ahead_purchase": -float(prices.day_ahead @ self.day_ahead_mw),
            "real_time_purchase": -float(prices.real_time_buy @ self.real_time_buy_mw),
            "real_time_sale": float(prices.real_time_sell @ self.real_time_sell_mw),
            "neighbour_trade": float(prices.neighbour @ traded),
            "storage_wear": -float(sum(wear)),
        }
        return {item: dt * value + 0.0 for item, value in amounts.items()}

    def park_money(self, i: int) -> dict[str, float]:
        """A park's amounts by item; income positive, cost negative."""
        inputs, park, dt = self.inputs, self.parks[i], self.inputs.step_hours
        amounts = {
            "purchase": -float(self.price[i] @ park.purchase_mw),
            "sale": inputs.buy_back_ratio * float(self.price[i] @ park.sale_mw),
            "generation": -float(inputs.generator_cost[i] * park.generation_mw.sum()),
            "discomfort": -0.5 * inputs.discomfort * float(park.shift_mw @ park.shift_mw),
        }
        return {item: dt * value + 0.0 for item, value in amounts.items()}

    def park_cost(self, i: int) -> float:
        """A park's cost over the horizon, currency."""
        return park_cost(self.inputs, i, self.price[i], self.parks[i])


@dataclass(frozen=True, eq=False)
class ParksSolution:
    """All agents that were solved together; linear_profit: the objective in which no price is multiplied by a quantity."""

    agents: tuple[AgentSolution, ...]
    linear_profit: float

    @property
    def profit(self) -> float:
        """Profit of all agents together, currency."""
        return float(sum(sum(agent.money().values()) for agent in self.agents))

    def money(self) -> dict[str, dict[str, float]]:
        """Amounts by party and item."""
        parties = {agent.inputs.name: agent.money() for agent in self.agents}
        for agent in self.agents:
            parties |= {name: agent.park_money(i) for i, name in enumerate(agent.inputs.park_ids)}
        return parties

    def table(self) -> pd.DataFrame:
        """Tidy long table: ``step``, ``asset``, ``kind``, ``quantity``, ``value``."""
        parts = [
            pd.DataFrame({"step": np.arange(len(v)), "asset": a, "kind": k, "quantity": q, "value": v})
            for a, k, q, v in self._series()
        ]
        return pd.concat(parts, ignore_index=True)

    def _series(self) -> Iterator[tuple[str, str, str, FloatArray]]:
        prices = self.agents[0].inputs.prices
        for agent in self.agents:
            yield agent.inputs.name, "grid", "import_mw", agent.bought_mw
        yield "grid", "grid", "spot_price_per_mwh", prices.day_ahead
        yield "floor", "tariff", "price_per_mwh", prices.floor
        yield "ceiling", "tariff", "price_per_mwh", prices.ceiling
        yield "time of use", "tariff", "price_per_mwh", prices.time_of_use
        for agent in self.agents:
            prefix = f"{agent.inputs.name} " if len(self.agents) > 1 else ""
            trades = ("day_ahead", "real_time_buy", "real_time_sell", "neighbour_buy", "neighbour_sell", "tie")
            for name in trades if len(self.agents) > 1 else trades[:-1]:
                yield prefix + name.replace("_", " "), "trade", "power_mw", getattr(agent, f"{name}_mw")
            for s, unit in enumerate(agent.inputs.storage):
                yield unit.id, "storage", "charge_mw", agent.charge_mw[s]
                yield unit.id, "storage", "discharge_mw", agent.discharge_mw[s]
                yield unit.id, "storage", "energy_mwh", agent.stored_mwh[s]
            yield from _park_series(agent)


def _park_series(agent: AgentSolution) -> Iterator[tuple[str, str, str, FloatArray]]:
    inputs = agent.inputs
    for i, (name, park) in enumerate(zip(inputs.park_ids, agent.parks, strict=True)):
        yield name, "park", "price_per_mwh", agent.price[i]
        yield name, "park", "energy_value_per_mwh", agent.energy_value[i]
        yield name, "park", "load_mw", inputs.load_mw[i]
        yield name, "park", "purchase_mw", park.purchase_mw
        yield name, "park", "sale_mw", park.sale_mw
        yield name, "park", "generation_mw", park.generation_mw
        yield name, "park", "reserve_mw", inputs.reserve_mw[i]
        yield name, "park", "renewable_used_mw", park.renewable_used_mw
        yield name, "park", "curtailed_mw", inputs.renewable_mw[i] - park.renewable_used_mw
        yield name, "park", "shift_mw", park.shift_mw


def read_solution(model: Any, inputs: list[AgentInputs], case: IndustrialParksCase) -> ParksSolution:
    """The values that a solver left in the model's variables.

    Where a park sells at the price at which it buys, doing both in one step changes nothing; the smaller is taken off both.
    """
    tie = np.array([_value(model.tie_mw, t) for t in range(case.steps)])
    agents = [_agent(model.agent[a], agent, tie if a == 0 else -tie) for a, agent in enumerate(inputs)]
    return ParksSolution(tuple(agents), float(pyo.value(model.profit)))


def _agent(block: Any, inputs: AgentInputs, tie: FloatArray) -> AgentSolution:
    times, parks = range(inputs.steps), range(len(inputs.park_ids))

    def line(variable: Any) -> FloatArray:
        return np.array([_value(variable, t) for t in times])

    def grid(variable: Any, rows: int) -> FloatArray:
        return np.array([[_value(variable, (k, t)) for t in times] for k in range(rows)]).reshape(rows, inputs.steps)

    count, units = len(parks), len(inputs.storage)
    purchase, sale = grid(block.purchase_mw, count), grid(block.sale_mw, count)
    both = np.minimum(purchase, sale) if inputs.buy_back_ratio == 1 else np.zeros_like(sale)
    generation, renewable, shift = (
        grid(variable, count) for variable in (block.generation_mw, block.renewable_used_mw, block.shift_mw)
    )
    return AgentSolution(
        inputs=inputs,
        day_ahead_mw=line(block.day_ahead_mw),
        real_time_buy_mw=line(block.real_time_buy_mw),
        real_time_sell_mw=line(block.real_time_sell_mw),
        neighbour_buy_mw=line(block.neighbour_buy_mw),
        neighbour_sell_mw=line(block.neighbour_sell_mw),
        tie_mw=tie,
        charge_mw=grid(block.charge_mw, units),
        discharge_mw=grid(block.discharge_mw, units),
        stored_mwh=grid(block.stored_mwh, units),
        price=grid(block.price, count),
        parks=tuple(
            ParkResponse(purchase[i] - both[i], sale[i] - both[i], generation[i], renewable[i], shift[i]) for i in parks
        ),
        energy_value=grid(block.energy_value, count),
        shift_value=np.array([_value(block.shift_value, i) for i in parks]),
        dual_bound_ratio=dual_bound_ratio(block),
    )


def _value(variable: Any, index: Any) -> float:
    return float(variable[index].value) if index in variable else 0.0
