"""Tariffs and plans of a solved microgrids case, their money, and the schedule's tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.assets.price_taker_conditions import price_taker_values
from dispatch.assets.price_taker_response import PriceTakerPlan, contents
from dispatch.assets.turbine_commitment import responder
from dispatch.case_microgrids import MicrogridsCase
from dispatch.markets.microgrids_exact import ExactModel
from dispatch.markets.microgrids_inputs import MarketInputs

FloatArray = NDArray[np.float64]

#: An exchange below this counts as none, MW.
NO_TRADE_MW = 1e-6


@dataclass(frozen=True, eq=False)
class MicrogridsSolution:
    """Tariffs ``[T]``, currency/MWh, and what each microgrid does."""

    case: MicrogridsCase
    inputs: MarketInputs
    buy: FloatArray
    sell: FloatArray
    plans: tuple[PriceTakerPlan, ...]

    @property
    def exchange(self) -> FloatArray:
        """Bought less sold, ``[J, T]``, MW."""
        return np.stack([plan.exchange for plan in self.plans])

    @property
    def profit(self) -> float:
        """The operator's profit, currency."""
        return self.inputs.profit(self.buy, self.sell, self.exchange)

    def money(self) -> dict[str, dict[str, float]]:
        """Amounts by party and item, tariff times exchange multiplied out; income positive, cost negative."""
        dt, total = self.inputs.step_hours, self.exchange.sum(axis=0)
        taken, given = np.clip(self.exchange, 0, None), np.clip(-self.exchange, 0, None)
        parties = {
            "operator": {
                "sold_to_microgrids": float((self.buy * taken).sum() * dt),
                "bought_from_microgrids": -float((self.sell * given).sum() * dt),
                "grid_sale": float((self.inputs.feed_in * np.clip(-total, 0, None)).sum() * dt),
                "grid_purchase": -float((self.inputs.grid_buy * np.clip(total, 0, None)).sum() * dt),
            }
        }
        for j, (grid, plan) in enumerate(zip(self.inputs.grids, self.plans, strict=True)):
            own = {item: -value for item, value in plan.own_cost(grid).items()}
            parties[grid.name] = {
                "purchase": -float((self.buy * taken[j]).sum() * dt),
                "sale": float((self.sell * given[j]).sum() * dt),
                **own,
            }
        return {party: {item: value + 0.0 for item, value in items.items()} for party, items in parties.items()}

    def table(self) -> pd.DataFrame:
        """Tidy long table: ``step``, ``asset``, ``kind``, ``quantity``, ``value``."""
        parts = [
            pd.DataFrame({"step": np.arange(len(v)), "asset": a, "kind": k, "quantity": q, "value": v})
            for a, k, q, v in self._series()
        ]
        return pd.concat(parts, ignore_index=True)

    def _series(self) -> Iterator[tuple[str, str, str, FloatArray]]:
        yield "buy", "tariff", "price_per_mwh", self.buy
        yield "sell", "tariff", "price_per_mwh", self.sell
        yield "grid buy", "tariff", "price_per_mwh", self.inputs.grid_buy
        yield "feed-in", "tariff", "price_per_mwh", self.inputs.feed_in
        yield "grid", "grid", "import_mw", self.exchange.sum(axis=0)
        sources = {grid.id: "wind" if grid.pv_mw is None else "renewable" for grid in self.case.microgrids}
        for grid, plan in zip(self.inputs.grids, self.plans, strict=True):
            yield grid.name, "microgrid", "exchange_mw", plan.exchange
            yield grid.name, "customer", "rigid_mw", grid.load
            yield grid.name, sources[grid.name], "available_mw", grid.available
            yield grid.name, sources[grid.name], "power_mw", grid.available - plan.curtailed
            if grid.turbine is not None:
                yield grid.name, "gas", "power_mw", plan.turbine
            held = iter(plan.content)
            for reservoir, flows in zip(grid.reservoirs, plan.flows, strict=True):
                if reservoir.bounded:
                    net = np.sum([c.output * f for c, f in zip(reservoir.channels, flows, strict=True)], axis=0)
                    yield grid.name, "storage", "charge_mw", np.clip(-net, 0, None)
                    yield grid.name, "storage", "discharge_mw", np.clip(net, 0, None)
                    yield grid.name, "storage", "energy_mwh", next(held)
                else:
                    yield grid.name, "customer", "flexible_mw", flows[0]


def read_exact(built: ExactModel, case: MicrogridsCase) -> MicrogridsSolution:
    """Tariffs and plans in the solved single-level model.

    A tariff at which nobody trades could take many values without changing any answer; the grid's own is given then.
    """
    market, model = built.market, built.model
    times = range(market.steps)
    plans = []
    for j, grid in enumerate(market.grids):
        turbine, spilled, flows = price_taker_values(model.grid[j], grid)
        net = grid.net_load + spilled - turbine
        for reservoir, found in zip(grid.reservoirs, flows, strict=True):
            for channel, flow in zip(reservoir.channels, found, strict=True):
                net = net - channel.output * flow
        plans.append(PriceTakerPlan(net, turbine, spilled, flows, contents(grid, flows)))
    exchange = np.stack([plan.exchange for plan in plans])
    buy = np.array([model.buy[t].value for t in times]) * built.price_scale
    sell = np.array([model.sell[t].value for t in times]) * built.price_scale
    buy = np.where((exchange > NO_TRADE_MW).any(axis=0), buy, market.grid_buy)
    sell = np.where((exchange < -NO_TRADE_MW).any(axis=0), sell, market.feed_in)
    return MicrogridsSolution(case, market, buy, np.minimum(sell, buy), tuple(plans))


def answered(case: MicrogridsCase, inputs: MarketInputs, buy: FloatArray, sell: FloatArray) -> MicrogridsSolution:
    """The microgrids' own answers to given tariffs."""
    plans = tuple(responder(grid).respond(buy, sell) for grid in inputs.grids)
    return MicrogridsSolution(case, inputs, buy, sell, plans)


def compared(solution: MicrogridsSolution, baseline: MicrogridsSolution) -> pd.DataFrame:
    """Result of each party here and under the grid's own tariffs (Chen et al. 2024, Table 3), currency."""
    here, before = solution.money(), baseline.money()
    return pd.DataFrame(
        {
            "party": list(here),
            "grid_tariffs": [sum(before[party].values()) for party in here],
            "this_plan": [sum(here[party].values()) for party in here],
            "gain": [sum(here[party].values()) - sum(before[party].values()) for party in here],
        }
    )
