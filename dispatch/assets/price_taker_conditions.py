"""The optimality conditions of a price-taker as mixed-integer rows, and its bill without any product of price and quantity.

The price-taker is a convex quadratic program, so that its conditions are necessary and sufficient. Multiplied with the primal
quantities they replace price times exchange by a concave quadratic, without approximation::

    bill = sum_t dt [y net load - (2 a g^2 + b g) - sum_x (2 w x^2 + price x)] - limits times their duals

where ``y`` is the marginal value of energy, ``g`` a turbine and ``x`` the flows of reservoirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.assets.price_taker import Channel, PriceTaker
from dispatch.assets.price_taker_ranges import AnswerRanges, answer_ranges, channel_dual_max
from dispatch.conic.cones import Cone, QuadraticEpigraph, RotatedCone

FloatArray = NDArray[np.float64]

#: Tangents of each square that are in the model from the start.
TANGENTS_TURBINE, TANGENTS_FLOW = 12, 7
#: Room above a proved bound of a dual, so that a dual at its bound means an error.
ROOM = 1.05


@dataclass(frozen=True, eq=False)
class Tariffs:
    """Leader variables ``buy[t]``, ``sell[t]`` (the same object for a single price) between ``lowest`` and ``highest`` ``[T]``.

    Variables are prices over ``scale``; ``lowest`` and ``highest`` are currency/MWh.
    """

    buy: Any
    sell: Any
    lowest: FloatArray
    highest: FloatArray
    scale: float

    @property
    def single(self) -> bool:
        """True if one price holds for both directions."""
        return self.buy is self.sell


@dataclass(eq=False)
class Conditions:
    """What was declared: the cones, every dual as (variable, proved bound), and every binary as (variable, step)."""

    cones: list[Cone] = field(default_factory=list)
    duals: list[tuple[Any, float]] = field(default_factory=list)
    switches: list[tuple[Any, int]] = field(default_factory=list)

    @property
    def dual_bound_ratio(self) -> float:
        """Largest dual over its bound in the solved model."""
        return max((float(variable.value) / bound for variable, bound in self.duals), default=0.0)


def declare_price_taker(block: Any, taker: PriceTaker, tariffs: Tariffs, into: Conditions) -> None:
    """Add the conditions of one price-taker to a block.

    Adds ``exchange_mw[t]`` (bought less sold), ``turbine_mw[t]``, ``flow_mw[reservoir, channel, t]``,
    ``content_mwh[reservoir, t]``, ``curtailed_mw[t]``, ``running[t]`` (hours in which a turbine may be switched on), and over
    the horizon, as money over ``tariffs.scale``, ``bill`` and ``own_cost``; cones and duals go to ``into``.

    The hours in which a switched turbine runs are left to the leader here: see ``dispatch.markets.microgrids_commitment``.
    """
    _Writer(block, taker, tariffs, answer_ranges(taker, tariffs.lowest, tariffs.highest), into).declare()


class _Writer:
    """Writes one price-taker on a block.

    ``outlay`` collects what the bill is less than the value of the net load, ``own`` the cost apart from the bill.
    """

    def __init__(self, block: Any, taker: PriceTaker, tariffs: Tariffs, ranges: AnswerRanges, into: Conditions) -> None:
        self.block, self.taker, self.tariffs, self.ranges, self.into = block, taker, tariffs, ranges, into
        self.scale = tariffs.scale
        self.low, self.high = ranges.value_low / self.scale, ranges.value_high / self.scale
        self.times = list(range(taker.steps))
        self.outlay: list[Any] = []
        self.own: list[Any] = []
        self.supply: list[list[Any]] = [[] for _ in self.times]
        block.rows = pyo.ConstraintList()
        block.squares = pyo.VarList(domain=pyo.NonNegativeReals)
        block.dual = pyo.VarList(domain=pyo.NonNegativeReals)
        block.switch = pyo.VarList(domain=pyo.Binary)
        block.zero = pyo.Var(bounds=(0, 0), initialize=0.0)

    def declare(self) -> None:
        """Everything, and the bill."""
        block, dt = self.block, self.taker.step_hours
        low, high = self.low.tolist(), self.high.tolist()
        block.value = pyo.Var(self.times, bounds=lambda _, t: (low[t], high[t]))
        block.exchange_mw = pyo.Var(self.times)
        self._turbine()
        self._reservoirs()
        self._curtailment()
        limit = self._one_price() if self.tariffs.single else self._two_prices()
        net = self.taker.net_load.tolist()
        for t in self.times:
            block.rows.add(block.exchange_mw[t] + pyo.quicksum(self.supply[t]) == net[t])
        block.bill = pyo.Var()
        consumed = dt * pyo.quicksum(net[t] * block.value[t] for t in self.times)
        block.bill_identity = pyo.Constraint(expr=block.bill <= consumed - pyo.quicksum(self.outlay))
        block.bill_limit = pyo.Constraint(expr=block.bill <= limit)
        block.own_cost = pyo.Expression(expr=pyo.quicksum(self.own))

    def _switch(self, t: int) -> Any:
        """A binary of step ``t``."""
        variable = self.block.switch.add()
        self.into.switches.append((variable, t))
        return variable

    def _dual(self, bound: float, t: int) -> tuple[Any, Any]:
        """A dual of step ``t`` between zero and ``bound`` and the binary that lets it be positive."""
        bound = ROOM * max(bound, 1e-6)
        dual, active = self.block.dual.add(), self._switch(t)
        self.block.rows.add(dual <= bound * active)
        dual.setub(bound)
        self.into.duals.append((dual, bound))
        return dual, active

    def _one_price(self) -> Any:
        """``y`` is the price; the bill is at most the chord of ``max(highest x, lowest x)`` over the range of the exchange.

        Raises
        ------
        ValueError
            If a limit of trade could bind, which a single price does not allow for here.
        """
        block, ranges, dt = self.block, self.ranges, self.taker.step_hours
        if ranges.buy_binds.any() or ranges.sell_binds.any():
            raise ValueError(f"{self.taker.name}: a single price needs a trade limit that cannot bind")
        limit = []
        for t in self.times:
            least, most = self._exchange_range(t)
            block.exchange_mw[t].setlb(least)
            block.exchange_mw[t].setub(most)
            block.rows.add(block.value[t] == self.tariffs.buy[t])
            cheap, dear = float(self.tariffs.lowest[t]) / self.scale, float(self.tariffs.highest[t]) / self.scale
            ends = [dear * x if x > 0 else cheap * x for x in (least, most)]
            slope = (ends[1] - ends[0]) / (most - least) if most > least else 0.0
            limit.append(dt * (ends[0] + slope * (block.exchange_mw[t] - least)))
        return pyo.quicksum(limit)

    def _exchange_range(self, t: int) -> tuple[float, float]:
        """Least and largest exchange whatever the tariffs."""
        least = most = float(self.taker.net_load[t])
        least -= float(self.ranges.turbine_high[t])
        most -= float(self.ranges.turbine_low[t])
        for reservoir in self.taker.reservoirs:
            for channel in reservoir.channels:
                ends = (channel.output * float(channel.lower[t]), channel.output * float(channel.upper[t]))
                least -= max(ends)
                most -= min(ends)
        return least, most

    def _two_prices(self) -> Any:
        """Buying needs ``y = buy``, selling ``y = sell``, at most one of them; the bill is at most that at the outer prices."""
        block, ranges, tariffs = self.block, self.ranges, self.tariffs
        dt, limit, bill = self.taker.step_hours, self.taker.trade_limit, []
        bought, sold = ranges.bought_max.tolist(), ranges.sold_max.tolist()
        block.bought_mw = pyo.Var(self.times, bounds=lambda _, t: (0, bought[t]))
        block.sold_mw = pyo.Var(self.times, bounds=lambda _, t: (0, sold[t]))
        block.buying = pyo.Var(self.times, domain=pyo.Binary)
        block.selling = pyo.Var(self.times, domain=pyo.Binary)
        self.into.switches += [(side[t], t) for side in (block.buying, block.selling) for t in self.times]
        for t in self.times:
            y, buy, sell, scarce, abundant = block.value[t], tariffs.buy[t], tariffs.sell[t], 0.0, 0.0
            cheap, dear = float(tariffs.lowest[t]) / self.scale, float(tariffs.highest[t]) / self.scale
            if ranges.buy_binds[t]:
                scarce, full = self._dual(float(self.high[t]) - cheap, t)
                block.rows.add(block.bought_mw[t] >= limit * full)
                self.outlay.append(dt * limit * scarce)
            if ranges.sell_binds[t]:
                abundant, full = self._dual(dear - float(self.low[t]), t)
                block.rows.add(block.sold_mw[t] >= limit * full)
                self.outlay.append(dt * limit * abundant)
            block.rows.add(y - scarce <= buy)
            block.rows.add(y + abundant >= sell)
            block.rows.add(block.bought_mw[t] <= bought[t] * block.buying[t])
            block.rows.add(block.sold_mw[t] <= sold[t] * block.selling[t])
            block.rows.add(buy - y + scarce <= (dear - float(self.low[t])) * (1 - block.buying[t]))
            block.rows.add(y + abundant - sell <= (float(self.high[t]) - cheap) * (1 - block.selling[t]))
            block.rows.add(block.buying[t] + block.selling[t] <= 1)
            block.rows.add(block.exchange_mw[t] == block.bought_mw[t] - block.sold_mw[t])
            bill.append(dt * (dear * block.bought_mw[t] - cheap * block.sold_mw[t]))
        return pyo.quicksum(bill)

    def _turbine(self) -> None:
        """``2 a g + b - y + (full) - (idle) + (ramps) = 0``; a running unit gives away ``2 a g^2 + b g`` of ``y g``."""
        unit, ranges, block, dt = self.taker.turbine, self.ranges, self.block, self.taker.step_hours
        low, high = ranges.turbine_low.tolist(), ranges.turbine_high.tolist()
        block.turbine_mw = pyo.Var(self.times, bounds=lambda _, t: (low[t], max(low[t], high[t])))
        switched = [t for t in self.times if self.taker.committed and high[t] > 1e-12]
        block.running = pyo.Var(switched, domain=pyo.Binary)
        self.into.switches += [(block.running[t], t) for t in switched]
        if unit is None:
            return
        square, price = unit.cost_quadratic_per_mw2h / self.scale, unit.cost_linear_per_mwh / self.scale
        ramps, room = self._ramp_prices()
        for t in self.times:
            g, y = block.turbine_mw[t], block.value[t]
            if high[t] <= 1e-12:
                continue
            self.supply[t].append(g)
            rest = 2 * square * g + price - y + ramps[t]
            if ranges.full_binds[t]:
                dual, full = self._dual(float(self.high[t]) - price + room[t], t)
                block.rows.add(g >= unit.power_max_mw * full)
                self.outlay.append(dt * unit.power_max_mw * dual)
                rest = rest + dual
            idle_max = price - float(self.low[t]) + room[t]
            if self.taker.committed:
                running = block.running[t]
                stopped_max = float(self.high[t]) - price + room[t]
                block.rows.add(rest <= ROOM * max(idle_max, 0.0) * (1 - running))
                block.rows.add(rest >= -ROOM * max(stopped_max, 0.0) * (1 - running))
                block.rows.add(g <= high[t] * running)
                squared = self._square(f"turbine {t}", g, (0.0, high[t]), TANGENTS_TURBINE, running)
                self.own.append(dt * self.taker.running_cost_per_hour / self.scale * running)
            elif low[t] > 1e-12 or idle_max <= 0:
                block.rows.add(rest == 0)
                squared = self._square(f"turbine {t}", g, (low[t], high[t]), TANGENTS_TURBINE, None)
            else:
                running = self._switch(t)
                block.rows.add(rest >= 0)
                block.rows.add(rest <= ROOM * idle_max * (1 - running))
                block.rows.add(g <= high[t] * running)
                squared = self._square(f"turbine {t}", g, (0.0, high[t]), TANGENTS_TURBINE, running)
            self.outlay.append(dt * (2 * square * squared + price * g))
            self.own.append(dt * (square * squared + price * g))

    def _ramp_prices(self) -> tuple[list[Any], list[float]]:
        """Sum of ramp duals in each step's condition, and the largest amount that they can add to it."""
        block, dt = self.block, self.taker.step_hours
        added: list[Any] = [0.0 for _ in self.times]
        room = [0.0 for _ in self.times]
        for ramp in self.ranges.ramps:
            t, sign = ramp.step, ramp.sign
            dual, binding = self._dual(ramp.dual_max / self.scale, t)
            change = sign * (block.turbine_mw[t] - block.turbine_mw[t - 1])
            least = -float(self.ranges.turbine_high[t - 1 if sign > 0 else t])
            block.rows.add(change <= ramp.change_max)
            block.rows.add(change >= ramp.change_max - (ramp.change_max - least) * (1 - binding))
            self.outlay.append(dt * ramp.change_max * dual)
            for at, effect in ((t, sign), (t - 1, -sign)):
                added[at] = added[at] + effect * dual
                room[at] += ROOM * ramp.dual_max / self.scale
        return added, room

    def _reservoirs(self) -> None:
        block, takers = self.block, self.taker.reservoirs
        count = list(range(len(takers)))
        block.content_value = pyo.Var(count, self.times)
        block.content_mwh = pyo.Var(count, self.times)
        flows = [(r, k) for r in count for k in range(len(takers[r].channels))]
        block.flow_mw = pyo.Var([(*flow, t) for flow in flows for t in self.times])
        for r, reservoir in enumerate(takers):
            worth = self.ranges.content_value[r]
            for t in self.times:
                block.content_value[r, t].setlb(worth[0] / self.scale)
                block.content_value[r, t].setub(worth[1] / self.scale)
            resting = [self._channel(r, k, channel) for k, channel in enumerate(reservoir.channels)]
            if len(resting) == 2 and float(self.low.min()) > 0:
                for at_rest in zip(*resting, strict=True):
                    block.rows.add(pyo.quicksum(at_rest) >= 1)
            self._content(r)

    def _channel(self, r: int, k: int, channel: Channel) -> list[Any]:
        """``2 w x + price + draw sigma + (upper) - (lower) = output y``; the binaries of ``x = lower``."""
        block, dt, worth = self.block, self.taker.step_hours, self.ranges.content_value[r]
        tops, floors = channel_dual_max(channel, self.ranges.value_low, self.ranges.value_high, worth)
        wear, price, resting = channel.wear / self.scale, channel.price / self.scale, []
        for t in self.times:
            low, high = float(channel.lower[t]), float(channel.upper[t])
            x = block.flow_mw[r, k, t]
            x.setlb(low)
            x.setub(high)
            self.supply[t].append(channel.output * x)
            if high - low <= 1e-12:
                resting.append(1.0)
                continue
            top, at_top = self._dual(float(tops[t]) / self.scale, t)
            floor, at_floor = self._dual(float(floors[t]) / self.scale, t)
            marginal = 2 * wear * x + price + channel.draw * block.content_value[r, t]
            block.rows.add(marginal + top - floor == channel.output * block.value[t])
            block.rows.add(x >= low + (high - low) * at_top)
            block.rows.add(x <= high - (high - low) * at_floor)
            block.rows.add(at_top + at_floor <= 1)
            resting.append(at_floor)
            self.outlay.append(dt * (price * x + high * top - low * floor))
            if wear > 0:
                squared = self._square(f"{channel.name} {t}", x, (low, high), TANGENTS_FLOW, None)
                self.outlay.append(dt * 2 * wear * squared)
                self.own.append(dt * wear * squared)
            self.own.append(dt * price * x)
        return resting

    def _content(self, r: int) -> None:
        """Content over the day within its limits; ``sigma`` is constant while none of them binds."""
        block, reservoir, dt = self.block, self.taker.reservoirs[r], self.taker.step_hours
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
            full, at_full = self._dual(width, t)
            empty, at_empty = self._dual(width, t)
            block.rows.add(rise == full - empty)
            block.rows.add(block.content_mwh[r, t] >= low + (high - low) * at_full)
            block.rows.add(block.content_mwh[r, t] <= high - (high - low) * at_empty)
            block.rows.add(at_full + at_empty <= 1)
            self.outlay.append(high * full - low * empty)
        self.outlay.append(start * (block.content_value[r, 0] - block.content_value[r, last]))

    def _curtailment(self) -> None:
        """Surplus is given up only where energy has no value: ``y <= 0`` while it is, ``y >= 0`` while it is not all given up."""
        block, dt = self.block, self.taker.step_hours
        possible = [t for t in self.times if self.taker.curtailable[t] > 0 and self.low[t] <= 0]
        block.curtailed_mw = pyo.Var(possible, domain=pyo.NonNegativeReals)
        for t in possible:
            y, r, most = block.value[t], block.curtailed_mw[t], float(self.taker.curtailable[t])
            r.setub(most)
            spilling = self._switch(t)
            block.rows.add(r <= most * spilling)
            dual, everything = self._dual(-float(self.low[t]), t)
            block.rows.add(r >= most * everything)
            block.rows.add(y + dual >= 0)
            block.rows.add(y + dual <= float(self.high[t]) * (1 - spilling))
            self.supply[t].append(-r)
            self.outlay.append(dt * most * dual)

    def _square(self, name: str, x: Any, span: tuple[float, float], tangents: int, on: Any) -> Any:
        """A column at least ``x^2``; with a binary ``on`` that lets ``x`` be positive, at least ``x^2 / on``."""
        block = self.block
        squared = block.squares.add()
        for at in np.linspace(*span, tangents).tolist():
            block.rows.add(squared >= 2 * at * x - at * at * (1.0 if on is None else on))
        name = f"{self.taker.name}: {name}"
        if on is None:
            self.into.cones.append(QuadraticEpigraph(name, ((1.0, x),), squared))
        else:
            self.into.cones.append(RotatedCone(name, x, block.zero, (squared, on)))
        return squared


def price_taker_values(
    block: Any, taker: PriceTaker
) -> tuple[FloatArray, FloatArray, tuple[tuple[FloatArray, ...], ...]]:
    """Turbine ``[T]``, curtailed production ``[T]`` and flows ``[reservoir][channel][T]`` in the solved block."""
    times = range(taker.steps)
    flows = tuple(
        tuple(np.array([block.flow_mw[r, k, t].value for t in times]) for k in range(len(reservoir.channels)))
        for r, reservoir in enumerate(taker.reservoirs)
    )
    spilled = [block.curtailed_mw[t].value if t in block.curtailed_mw else 0.0 for t in times]
    turbine = np.array([block.turbine_mw[t].value or 0.0 for t in times])
    return turbine, np.array(spilled), flows
