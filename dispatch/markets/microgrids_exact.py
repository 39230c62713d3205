"""Operator and microgrids as one convex mixed-integer program with the optimum of the game.

Chen et al. 2024 (doi 10.3389/fenrg.2024.1450731) hold that the binary of buying or selling (Eqs. 11-12) rules out optimality
conditions. It is redundant: lowering purchase and sale together never costs, as the sell tariff is at most the buy tariff.
What is left of a microgrid is a convex quadratic program, and its conditions replace it exactly.

All prices of the model are divided by ``price_scale``, so that duals are of order one; its objective is in currency.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.assets.price_taker_conditions import Conditions, Tariffs, declare_price_taker
from dispatch.markets.microgrids_inputs import MarketInputs

FloatArray = NDArray[np.float64]

#: Hours whose binaries are decided together in a first answer.
STAGE_HOURS = 3.0


@dataclass(frozen=True, eq=False)
class ExactModel:
    """The single-level model, ready to be solved with its cones."""

    market: MarketInputs
    model: Any
    price_scale: float
    conditions: Conditions = field(default_factory=Conditions)

    @property
    def stages(self) -> list[list[Any]]:
        """Binaries by parts of the day, for a first answer; see :func:`dispatch.solver.solve`."""
        length = max(round(STAGE_HOURS / self.market.step_hours), 1)
        parts: dict[int, list[Any]] = {}
        for variable, step in self.conditions.switches:
            parts.setdefault(step // length, []).append(variable)
        return [parts[part] for part in sorted(parts)]


@dataclass(frozen=True, eq=False)
class TariffBox:
    """Ranges of both tariffs, ``[T]``, currency/MWh."""

    buy_low: FloatArray
    buy_high: FloatArray
    sell_low: FloatArray
    sell_high: FloatArray

    @classmethod
    def whole(cls, market: MarketInputs) -> TariffBox:
        """All that Eq. 4 allows."""
        return cls(market.feed_in, market.grid_buy, market.feed_in, market.grid_buy)


def build_exact(market: MarketInputs, box: TariffBox | None = None) -> ExactModel:
    """Leader (Eqs. 3-5), the conditions of every microgrid (Eqs. 6-18), and the operator's profit with linearised bills.

    ``box``: where the tariffs are; by default all that Eq. 4 allows.
    """
    box = box or TariffBox.whole(market)
    scale = max(float(market.grid_buy.max()), 1e-9)
    model = pyo.ConcreteModel(name="microgrids")
    built = ExactModel(market, model, scale)
    declare_tariffs(model, box, scale)
    tariffs = Tariffs(model.buy, model.sell, box.sell_low, box.buy_high, scale)
    model.grid = pyo.Block(list(range(len(market.grids))))
    for j, grid in enumerate(market.grids):
        declare_price_taker(model.grid[j], grid, tariffs, built.conditions)
    declare_wholesale(model, market, scale)
    bills = pyo.quicksum(model.grid[j].bill for j in model.grid)
    model.profit = pyo.Objective(sense=pyo.maximize, expr=scale * (bills + pyo.quicksum(model.wholesale.values())))
    return built


def declare_tariffs(model: Any, box: TariffBox, scale: float) -> None:
    """``feed_in <= sell <= buy <= grid_buy`` (Chen et al. 2024, Eq. 4)."""
    times = list(range(len(box.buy_low)))
    buy, sell = (
        np.stack(ends, axis=1) / scale for ends in ((box.buy_low, box.buy_high), (box.sell_low, box.sell_high))
    )
    model.buy = pyo.Var(times, bounds=lambda _, t: tuple(buy[t].tolist()))
    model.sell = pyo.Var(times, bounds=lambda _, t: tuple(sell[t].tolist()))
    model.tariff_order = pyo.Constraint(times, rule=lambda m, t: m.sell[t] <= m.buy[t])


def declare_wholesale(model: Any, market: MarketInputs, scale: float) -> None:
    """Trade with the grid above (Eq. 5); no binary, since ``grid_buy >= feed_in`` and profit falls in both."""
    times, dt = list(range(market.steps)), market.step_hours
    model.grid_bought_mw = pyo.Var(times, bounds=(0, None))
    model.grid_sold_mw = pyo.Var(times, bounds=(0, None))

    def balance(m: Any, t: int) -> Any:
        exchange = pyo.quicksum(m.grid[j].exchange_mw[t] for j in m.grid)
        return m.grid_bought_mw[t] - m.grid_sold_mw[t] - exchange == 0.0

    def money(m: Any, t: int) -> Any:
        sale, purchase = float(market.feed_in[t]) / scale * dt, float(market.grid_buy[t]) / scale * dt
        return sale * m.grid_sold_mw[t] - purchase * m.grid_bought_mw[t]

    model.wholesale_balance = pyo.Constraint(times, rule=balance)
    model.wholesale = pyo.Expression(times, rule=money)
