"""Operator and microgrids as one convex mixed-integer program with the optimum of the game.

Chen et al. 2024 (doi 10.3389/fenrg.2024.1450731) hold that the binary of buying or selling (Eqs. 11-12) rules out optimality
conditions. It is redundant: lowering purchase and sale together never costs, as the sell tariff is at most the buy tariff.
What is left of a microgrid is a convex quadratic program, whose conditions are necessary and sufficient. Multiplying them
with the primal quantities replaces tariff times exchange by a concave quadratic, without any approximation.

All prices of the model are divided by ``price_scale``, so that duals are of order one; its objective is in currency.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.conic.cones import Cone, QuadraticEpigraph, RotatedCone
from dispatch.markets.microgrids_inputs import MarketInputs, MicrogridInputs
from dispatch.markets.microgrids_ranges import GridRanges, channel_dual_max, grid_ranges

FloatArray = NDArray[np.float64]

#: Tangents of each square that are in the model from the start.
TANGENTS_TURBINE, TANGENTS_FLOW = 12, 7
#: Room above a proved bound of a dual, so that a dual at its bound means an error.
ROOM = 1.05


@dataclass(eq=False)
class ExactModel:
    """The single-level model. ``duals``: every dual with a proved bound, as (variable, bound)."""

    market: MarketInputs
    model: Any
    price_scale: float
    cones: list[Cone] = field(default_factory=list)
    duals: list[tuple[Any, float]] = field(default_factory=list)

    @property
    def dual_bound_ratio(self) -> float:
        """Largest dual over its bound in the solved model."""
        return max((float(variable.value) / bound for variable, bound in self.duals), default=0.0)


def build_exact(market: MarketInputs) -> ExactModel:
    """Leader (Eqs. 3-5), the conditions of every microgrid (Eqs. 6-18), and the operator's profit with linearised payments."""
    scale = max(float(market.grid_buy.max()), 1e-9)
    model = pyo.ConcreteModel(name="microgrids")
    built = ExactModel(market, model, scale)
    declare_tariffs(model, market, scale)
    model.grid = pyo.Block(list(range(len(market.grids))))
    for j, grid in enumerate(market.grids):
        _GridConditions(built, model.grid[j], grid, grid_ranges(market, grid)).declare()
    declare_wholesale(model, market, scale)
    model.profit = pyo.Objective(
        sense=pyo.maximize,
        expr=scale * (pyo.quicksum(model.grid[j].payment for j in model.grid) + pyo.quicksum(model.wholesale.values())),
    )
    return built


def declare_tariffs(model: Any, market: MarketInputs, scale: float) -> None:
    """``feed_in <= sell <= buy <= grid_buy`` (Chen et al. 2024, Eq. 4)."""
    times = list(range(market.steps))
    low, high = (market.feed_in / scale).tolist(), (market.grid_buy / scale).tolist()
    model.buy = pyo.Var(times, bounds=lambda _, t: (low[t], high[t]))
    model.sell = pyo.Var(times, bounds=lambda _, t: (low[t], high[t]))
    model.tariff_order = pyo.Constraint(times, rule=lambda m, t: m.sell[t] <= m.buy[t])


def declare_wholesale(model: Any, market: MarketInputs, scale: float) -> None:
    """Trade with the grid above (Eq. 5); no binary, since ``grid_buy >= feed_in`` and profit falls in both."""
    times, dt = list(range(market.steps)), market.step_hours
    model.grid_bought_mw = pyo.Var(times, bounds=(0, None))
    model.grid_sold_mw = pyo.Var(times, bounds=(0, None))

    def balance(m: Any, t: int) -> Any:
        exchange = pyo.quicksum(m.grid[j].bought_mw[t] - m.grid[j].sold_mw[t] for j in m.grid)
        return m.grid_bought_mw[t] - m.grid_sold_mw[t] - exchange == 0.0

    def money(m: Any, t: int) -> Any:
        sale, purchase = float(market.feed_in[t]) / scale * dt, float(market.grid_buy[t]) / scale * dt
        return sale * m.grid_sold_mw[t] - purchase * m.grid_bought_mw[t]

    model.wholesale_balance = pyo.Constraint(times, rule=balance)
    model.wholesale = pyo.Expression(times, rule=money)


class _GridConditions:
    """Writes one microgrid's optimality conditions and its payment on a block; ``y`` is ``value``, prices are scaled."""

    def __init__(self, built: ExactModel, block: Any, grid: MicrogridInputs, ranges: GridRanges) -> None:
        self.built, self.block, self.grid, self.ranges = built, block, grid, ranges
        self.scale = built.price_scale
        self.times = list(range(grid.steps))
        #: Terms of the payment by the identity: money is minus the sum of these.
        self.outlay: list[Any] = []
        block.rows = pyo.ConstraintList()
        block.squares = pyo.VarList(domain=pyo.NonNegativeReals)
        block.dual = pyo.VarList(domain=pyo.NonNegativeReals)
        block.switch = pyo.VarList(domain=pyo.Binary)
        block.zero = pyo.Var(bounds=(0, 0), initialize=0.0)

    def declare(self) -> None:
        """Everything, and ``payment`` (scaled money over the horizon)."""
        block, grid, dt = self.block, self.grid, self.grid.step_hours
        low, high = (self.ranges.value_low / self.scale).tolist(), (self.ranges.value_high / self.scale).tolist()
        block.value = pyo.Var(self.times, bounds=lambda _, t: (low[t], high[t]))
        supply: list[list[Any]] = [[] for _ in self.times]
        self._trade()
        self._turbine(supply)
        self._reservoirs(supply)
        self._curtailment(supply)
        net = grid.net_load.tolist()
        for t in self.times:
            block.rows.add(block.bought_mw[t] - block.sold_mw[t] + pyo.quicksum(supply[t]) == net[t])
        block.payment = pyo.Var()
        consumed = dt * pyo.quicksum(net[t] * block.value[t] for t in self.times)
        block.payment_identity = pyo.Constraint(expr=block.payment <= consumed - pyo.quicksum(self.outlay))
        market = self.built.market
        buy, sell = (market.grid_buy / self.scale * dt).tolist(), (market.feed_in / self.scale * dt).tolist()
        at_grid_tariffs = pyo.quicksum(buy[t] * block.bought_mw[t] - sell[t] * block.sold_mw[t] for t in self.times)
        block.payment_limit = pyo.Constraint(expr=block.payment <= at_grid_tariffs)

    def _dual(self, bound: float) -> tuple[Any, Any]:
        """A dual between zero and ``bound`` and the binary that lets it be positive."""
        bound = ROOM * max(bound, 1e-6)
        dual, active = self.block.dual.add(), self.block.switch.add()
        self.block.rows.add(dual <= bound * active)
        dual.setub(bound)
        self.built.duals.append((dual, bound))
        return dual, active

    def _trade(self) -> None:
        """Buying needs ``y = buy``, selling ``y = sell``; at most one of the two."""
        block, grid, ranges = self.block, self.grid, self.ranges
        model, dt = self.built.model, grid.step_hours
        most_bought, most_sold = ranges.bought_max.tolist(), ranges.sold_max.tolist()
        block.bought_mw = pyo.Var(self.times, bounds=lambda _, t: (0, most_bought[t]))
        block.sold_mw = pyo.Var(self.times, bounds=lambda _, t: (0, most_sold[t]))
        block.buying = pyo.Var(self.times, domain=pyo.Binary)
        block.selling = pyo.Var(self.times, domain=pyo.Binary)
        for t in self.times:
            y, scarce, abundant = block.value[t], 0.0, 0.0
            limit = grid.trade_limit
            if ranges.buy_binds[t]:
                scarce, full = self._dual(float(ranges.value_high[t]) / self.scale - float(model.buy[t].lb))
                block.rows.add(block.bought_mw[t] >= limit * full)
                self.outlay.append(dt * limit * scarce)
            if ranges.sell_binds[t]:
                abundant, full = self._dual(float(model.sell[t].ub) - float(ranges.value_low[t]) / self.scale)
                block.rows.add(block.sold_mw[t] >= limit * full)
                self.outlay.append(dt * limit * abundant)
            block.rows.add(y - scarce <= model.buy[t])
            block.rows.add(y + abundant >= model.sell[t])
            block.rows.add(block.bought_mw[t] <= most_bought[t] * block.buying[t])
            block.rows.add(block.sold_mw[t] <= most_sold[t] * block.selling[t])
            above, below = float(model.buy[t].ub - y.lb), float(y.ub - model.sell[t].lb)
            block.rows.add(model.buy[t] - y + scarce <= above * (1 - block.buying[t]))
            block.rows.add(y + abundant - model.sell[t] <= below * (1 - block.selling[t]))
            block.rows.add(block.buying[t] + block.selling[t] <= 1)

    def _turbine(self, supply: list[list[Any]]) -> None:
        """``2 a g + b - y + (full) - (idle) + (ramps) = 0``; a running unit gives away ``2 a g^2 + b g`` of ``y g``."""
        unit, ranges, block, dt = self.grid.turbine, self.ranges, self.block, self.grid.step_hours
        low, high = ranges.turbine_low.tolist(), ranges.turbine_high.tolist()
        block.turbine_mw = pyo.Var(self.times, bounds=lambda _, t: (low[t], max(low[t], high[t])))
        if unit is None:
            return
        square, price = unit.cost_quadratic_per_mw2h / self.scale, unit.cost_linear_per_mwh / self.scale
        ramps, room = self._ramp_prices()
        for t in self.times:
            g, y = block.turbine_mw[t], block.value[t]
            if high[t] <= 1e-12:
                continue
            supply[t].append(g)
            rest = 2 * square * g + price - y + ramps[t]
            if ranges.full_binds[t]:
                dual, full = self._dual((float(ranges.value_high[t]) / self.scale - price) + room[t])
                block.rows.add(g >= unit.power_max_mw * full)
                self.outlay.append(dt * unit.power_max_mw * dual)
                rest = rest + dual
            idle_max = price - float(ranges.value_low[t]) / self.scale + room[t]
            if low[t] > 1e-12 or idle_max <= 0:
                block.rows.add(rest == 0)
                squared = self._square(f"turbine {t}", g, (low[t], high[t]), TANGENTS_TURBINE, None)
            else:
                running = block.switch.add()
                block.rows.add(rest >= 0)
                block.rows.add(rest <= ROOM * idle_max * (1 - running))
                block.rows.add(g <= high[t] * running)
                squared = self._square(f"turbine {t}", g, (0.0, high[t]), TANGENTS_TURBINE, running)
            self.outlay.append(dt * (2 * square * squared + price * g))

    def _ramp_prices(self) -> tuple[list[Any], list[float]]:
        """Sum of ramp duals in each step's condition, and the largest amount that they can add to it."""
        block, dt = self.block, self.grid.step_hours
        added: list[Any] = [0.0 for _ in self.times]
        room = [0.0 for _ in self.times]
        for ramp in self.ranges.ramps:
            t, sign = ramp.step, ramp.sign
            dual, binding = self._dual(ramp.dual_max / self.scale)
            change = sign * (block.turbine_mw[t] - block.turbine_mw[t - 1])
            least = -float(self.ranges.turbine_high[t - 1 if sign > 0 else t])
            block.rows.add(change <= ramp.change_max)
            block.rows.add(change >= ramp.change_max - (ramp.change_max - least) * (1 - binding))
            self.outlay.append(dt * ramp.change_max * dual)
            for at, effect in ((t, sign), (t - 1, -sign)):
                added[at] = added[at] + effect * dual
                room[at] += ROOM * ramp.dual_max / self.scale
        return added, room

    def _reservoirs(self, supply: list[list[Any]]) -> None:
        """``2 w x + draw sigma + (upper) - (lower) = output y`` and ``sigma`` constant while the content is within its limits."""
        block, dt = self.block, self.grid.step_hours
        count = list(range(len(self.grid.reservoirs)))
        block.content_value = pyo.Var(count, self.times)
        block.content_mwh = pyo.Var(count, self.times)
        flows = [(r, k) for r in count for k in range(len(self.grid.reservoirs[r].channels))]
        block.flow_mw = pyo.Var([(*flow, t) for flow in flows for t in self.times])
        for r, reservoir in enumerate(self.grid.reservoirs):
            worth = self.ranges.content_value[r]
            for t in self.times:
                block.content_value[r, t].setlb(worth[0] / self.scale)
                block.content_value[r, t].setub(worth[1] / self.scale)
            for k, channel in enumerate(reservoir.channels):
                tops, floors = channel_dual_max(channel, self.ranges.value_low, self.ranges.value_high, worth)
                for t in self.times:
                    low, high = float(channel.lower[t]), float(channel.upper[t])
                    x = block.flow_mw[r, k, t]
                    x.setlb(low)
                    x.setub(high)
                    supply[t].append(channel.output * x)
                    if high - low <= 1e-12:
                        continue
                    held = channel.draw * block.content_value[r, t]
                    wear = channel.wear / self.scale
                    top, at_top = self._dual(float(tops[t]) / self.scale)
                    floor, at_floor = self._dual(float(floors[t]) / self.scale)
                    block.rows.add(2 * wear * x + held + top - floor == channel.output * block.value[t])
                    block.rows.add(x >= low + (high - low) * at_top)
                    block.rows.add(x <= high - (high - low) * at_floor)
                    block.rows.add(at_top + at_floor <= 1)
                    squared = self._square(f"{channel.name} {t}", x, (low, high), TANGENTS_FLOW, None)
                    self.outlay.append(dt * (2 * wear * squared + high * top - low * floor))
            self._content(r)

    def _content(self, r: int) -> None:
        """Content over the day, its limits, and ``-sum e_t (sigma_t - sigma_{t+1})`` as what storing is worth."""
        block, reservoir, dt = self.block, self.grid.reservoirs[r], self.grid.step_hours
        last = self.times[-1]
        start, low, high = reservoir.energy_start, reservoir.energy_min, reservoir.energy_max
        width = (self.ranges.content_value[r][1] - self.ranges.content_value[r][0]) / self.scale
        for t in self.times:
            drawn = pyo.quicksum(c.draw * block.flow_mw[r, k, t] for k, c in enumerate(reservoir.channels))
            before = block.content_mwh[r, t - 1] if t else start
            block.rows.add(block.content_mwh[r, t] == before - dt * drawn)
            if t == last:
                block.content_mwh[r, t].setlb(start)
                block.content_mwh[r, t].setub(start)
                continue
            rise = block.content_value[r, t + 1] - block.content_value[r, t]
            if not reservoir.bounded:
                block.rows.add(rise == 0)
                continue
            block.content_mwh[r, t].setlb(low)
            block.content_mwh[r, t].setub(high)
            full, at_full = self._dual(width)
            empty, at_empty = self._dual(width)
            block.rows.add(rise == full - empty)
            block.rows.add(block.content_mwh[r, t] >= low + (high - low) * at_full)
            block.rows.add(block.content_mwh[r, t] <= high - (high - low) * at_empty)
            block.rows.add(at_full + at_empty <= 1)
            self.outlay.append(high * full - low * empty)
        self.outlay.append(start * (block.content_value[r, 0] - block.content_value[r, last]))

    def _curtailment(self, supply: list[list[Any]]) -> None:
        """Surplus is given up only where energy has no value: ``y <= 0`` while it is, ``y >= 0`` while it is not all given up."""
        block, dt = self.block, self.grid.step_hours
        possible = [t for t in self.times if self.grid.curtailable[t] > 0 and self.ranges.value_low[t] <= 0]
        block.curtailed_mw = pyo.Var(possible, domain=pyo.NonNegativeReals)
        for t in possible:
            y, r, most = block.value[t], block.curtailed_mw[t], float(self.grid.curtailable[t])
            r.setub(most)
            worth = float(self.ranges.value_high[t]) / self.scale
            spilling = block.switch.add()
            block.rows.add(r <= most * spilling)
            dual, everything = self._dual(max(-float(self.ranges.value_low[t]) / self.scale, 0.0))
            block.rows.add(r >= most * everything)
            block.rows.add(y + dual >= 0)
            block.rows.add(y + dual <= worth * (1 - spilling))
            supply[t].append(-r)
            self.outlay.append(dt * most * dual)

    def _square(self, name: str, x: Any, span: tuple[float, float], tangents: int, on: Any) -> Any:
        """A column at least ``x^2``; with a binary ``on`` that lets ``x`` be positive, at least ``x^2 / on``."""
        block = self.block
        squared = block.squares.add()
        for at in np.linspace(*span, tangents).tolist():
            block.rows.add(squared >= 2 * at * x - at * at * (1.0 if on is None else on))
        name = f"{self.grid.name}: {name}"
        if on is None:
            self.built.cones.append(QuadraticEpigraph(name, ((1.0, x),), squared))
        else:
            self.built.cones.append(RotatedCone(name, x, block.zero, (squared, on)))
        return squared
