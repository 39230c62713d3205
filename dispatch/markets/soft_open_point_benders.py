"""Prices of the operator by decomposition in the space of what the prosumers exchange.

Master: prices, the optimality conditions of every prosumer, their bills as concave quadratics, and one variable per step for
what the network costs. Network: a cone program per step (``soft_open_point_network``) that returns its value and slope, a
cut of the master. Rounds: linear programs with cuts, a mixed-integer program, cuts at its exchanges, its binaries fixed and
the linear rounds repeated for a better value; until value and bound meet.

J. F. Benders, "Partitioning procedures for solving mixed-variables programming problems", Numerische Mathematik 4, 1962, in
the generalised form of A. M. Geoffrion, J. Optimization Theory and Applications 10, 1972.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dispatch.assets.price_taker_conditions import Conditions, Tariffs, declare_price_taker
from dispatch.conic.compiled import Compiled, compile_model
from dispatch.conic.highs_driver import HighsModel
from dispatch.conic.options import SolverOptions
from dispatch.errors import InfeasibleError, SolverError
from dispatch.markets.soft_open_point_inputs import OperatorInputs
from dispatch.markets.soft_open_point_network import (
    NetworkStep,
    NetworkValue,
    Scenario,
    network_points,
    network_values,
)

FloatArray = NDArray[np.float64]

#: Linear rounds at the root and with the binaries fixed.
ROOT_ROUNDS, FIXED_ROUNDS = 40, 12
#: Share of the gap asked for that a mixed-integer program may leave open.
MILP_SHARE = 0.3
#: Gaps of the first mixed-integer programs, whose exchanges are wanted for their cuts; a small gap asked for comes after these.
EARLY_MILP_GAPS = (0.02, 3e-4)
#: Time that the first bound and the first answer get even if none is left, so that there is something to return.
LEAST_SECONDS = 20.0
#: Relative cone violation and share of the gap asked for below which no cut is added.
CONE_TOLERANCE, CUT_SHARE = 1e-6, 0.02


@dataclass(eq=False)
class Master:
    """The master problem: ``network_cost[t]`` in currency over ``scale``; its objective leaves out the uncontrolled cost."""

    inputs: OperatorInputs
    model: Any
    scale: float
    conditions: Conditions = field(default_factory=Conditions)


def build_master(inputs: OperatorInputs, two_prices: bool, converters: bool = True) -> Master:
    """Prices within band and average (Lou et al. 2025, Eqs. 18-19), prosumers' conditions (Eqs. 42-60), objective (Eq. 61).

    Where the buses of ``converters`` are chosen, ``terminal[m]`` is 1 if there is one at candidate ``m``.
    """
    scale = max(float(inputs.price_high.max()), 1e-9)
    times = list(range(inputs.steps))
    low, high = (inputs.price_low / scale).tolist(), (inputs.price_high / scale).tolist()
    model = pyo.ConcreteModel(name="soft open point")
    model.price = pyo.Var(times, bounds=lambda _, t: (low[t], high[t]))
    model.mean_price = pyo.Constraint(expr=pyo.quicksum(model.price.values()) <= float(inputs.hv_buy.sum()) / scale)
    sell = model.price
    if two_prices:
        model.sell_price = pyo.Var(times, bounds=lambda _, t: (low[t], high[t]))
        model.price_order = pyo.Constraint(times, rule=lambda m, t: m.sell_price[t] <= m.price[t])
        sell = model.sell_price
    master = Master(inputs, model, scale)
    tariffs = Tariffs(model.price, sell, inputs.price_low, inputs.price_high, scale)
    model.prosumer = pyo.Block(list(range(len(inputs.prosumers))))
    for n, prosumer in enumerate(inputs.prosumers):
        declare_price_taker(model.prosumer[n], prosumer, tariffs, master.conditions)
    chosen = converters and inputs.chooses_terminals
    model.terminal = pyo.Var(range(len(inputs.sop.buses)) if inputs.sop and chosen else [], domain=pyo.Binary)
    if inputs.sop is not None and chosen:
        model.terminals = pyo.Constraint(expr=pyo.quicksum(model.terminal.values()) <= inputs.sop.terminals_max)
    model.network_cost = pyo.Var(times)
    bills = pyo.quicksum(model.prosumer[n].bill for n in model.prosumer)
    model.cost = pyo.Objective(
        expr=scale * (pyo.quicksum(model.network_cost.values()) - inputs.weights.cost * bills)
        - inputs.uncontrolled_cost
    )
    return master


@dataclass(frozen=True, eq=False)
class BendersAnswer:
    """Best point found; its values are in the master's model.

    value, bound: objective net of the uncontrolled cost, currency. exchange: ``[N, T]``, MW. terminals: ``[M]``, 1 where a
    converter is, empty if that is no choice. network: of each step there.
    rounds: (seconds, value, bound) after the first answers and after each mixed-integer program.
    """

    status: str
    value: float
    bound: float
    exchange: FloatArray
    terminals: FloatArray
    network: tuple[NetworkValue, ...]
    rounds: tuple[tuple[float, float, float], ...]
    seconds: dict[str, float]

    @property
    def gap(self) -> float:
        """Relative to ``max(1, |net objective|)``."""
        return max(self.value - self.bound, 0.0) / max(1.0, abs(self.value))


class Benders:
    """One solve of a master with its networks."""

    def __init__(self, master: Master, scenario: Scenario, options: SolverOptions) -> None:
        self.master, self.options = master, options
        self.started = time.perf_counter()
        self.steps = [NetworkStep(master.inputs, t, scenario) for t in range(master.inputs.steps)]
        self.compiled: Compiled = compile_model(master.model, master.conditions.cones)
        self.highs = HighsModel(self.compiled, replace(options, heuristics=True))
        place, model = self.compiled.place, master.model
        times = range(master.inputs.steps)
        self._exchange = np.array(
            [[place[id(block.exchange_mw[t])] for t in times] for block in model.prosumer.values()]
        )
        self._terminals = np.array([place[id(variable)] for variable in model.terminal.values()], dtype=int)
        sell = getattr(model, "sell_price", None)
        self._prices = np.array([place[id(v)] for offered in (model.price, sell) if offered for v in offered.values()])
        self._theta = np.array([place[id(variable)] for variable in model.network_cost.values()])
        self.value, self.bound = np.inf, -np.inf
        self.x: FloatArray | None = None
        self.network: tuple[NetworkValue, ...] = ()
        self.seconds = {"linear": 0.0, "milp": 0.0}
        self.rounds: list[tuple[float, float, float]] = []

    @property
    def _left(self) -> float:
        return self.started + self.options.time_limit_s - time.perf_counter()

    @property
    def gap(self) -> float:
        """Relative distance of value and bound."""
        if not np.isfinite(self.value) or not np.isfinite(self.bound):
            return np.inf
        return max(self.value - self.bound, 0.0) / max(1.0, abs(self.value))

    def run(self) -> BendersAnswer:
        """Solve to the gap asked for, or until time is up.

        Raises
        ------
        InfeasibleError
            If no prices within the band let the prosumers answer.
        SolverError
            If time ran out before any prices were found.
        """
        compiled = self.compiled
        exchange = np.stack([prosumer.net_load for prosumer in self.master.inputs.prosumers])
        sop = self.master.inputs.sop
        share = (sop.terminals_max or 0) / len(sop.buses) if sop is not None else 0.0
        points = network_points(exchange, np.full(len(self._terminals), share))
        first = tuple(step.value(point) for step, point in zip(self.steps, points, strict=True))
        self._add_network_cuts(np.arange(len(first)), points, first)
        relaxed = self._linear_rounds(compiled.lower, compiled.upper, ROOT_ROUNDS)
        self._first_answers(relaxed)
        self.rounds.append((time.perf_counter() - self.started, self.value, self.bound))
        status, targets = "time_limit", [g for g in EARLY_MILP_GAPS if g > MILP_SHARE * self.options.gap]
        targets.append(MILP_SHARE * self.options.gap)
        while self._left > 0:
            clock = time.perf_counter()
            self.highs.set_bounds(compiled.lower, compiled.upper)
            if self.x is not None:
                self.highs.offer(self.x)
            answer = self.highs.run(targets[0], self._left)
            self.seconds["milp"] += time.perf_counter() - clock
            self.bound = max(self.bound, answer.bound)
            if answer.status == "infeasible":
                raise InfeasibleError("no prices within the band let every prosumer answer")
            if answer.x is None:
                break
            cuts = self._cut(answer.x)
            self._polish(answer.x)
            self.rounds.append((time.perf_counter() - self.started, self.value, self.bound))
            if self.gap <= self.options.gap:
                status = "optimal"
                break
            if len(targets) > 1:
                targets.pop(0)
            elif not cuts:
                targets[0] /= 3.0
        if self.x is None:
            raise SolverError("no prices found before time ran out; allow more time")
        compiled.load(self.x)
        exchange, terminals = self.x[self._exchange], np.round(self.x[self._terminals])
        network = network_values(self.steps, exchange, terminals)
        value = self.value + sum(new.value - old.value for new, old in zip(network, self.network, strict=True))
        return BendersAnswer(
            status,
            value,
            self.bound,
            exchange,
            terminals,
            network,
            tuple(self.rounds),
            self.seconds,
        )

    def _first_answers(self, relaxed: FloatArray | None) -> None:
        """Answers at held prices, the highest and those of the relaxation, so that a time limit always leaves one."""
        compiled = self.compiled
        highest = compiled.upper[self._prices]
        for prices in (highest,) if relaxed is None else (highest, relaxed[self._prices]):
            if self.x is not None and self._left <= 0:
                break
            lower, upper = compiled.lower.copy(), compiled.upper.copy()
            lower[self._prices] = upper[self._prices] = np.clip(prices, lower[self._prices], upper[self._prices])
            self.highs.set_bounds(lower, upper)
            answer = self.highs.run(EARLY_MILP_GAPS[0], max(self._left, LEAST_SECONDS))
            if answer.x is not None:
                self._cut(answer.x)
                self._polish(answer.x)

    def _polish(self, x: FloatArray) -> None:
        """The best answer with the binaries of ``x``."""
        integer, whole = self.compiled.integer, np.round(x)
        lower = np.where(integer, whole, self.compiled.lower)
        self._linear_rounds(lower, np.where(integer, whole, self.compiled.upper), FIXED_ROUNDS)

    def _linear_rounds(self, lower: FloatArray, upper: FloatArray, most: int) -> FloatArray | None:
        """Linear programs with cuts until none is missed; with all binaries fixed their points are answers to the game.

        Returns the last point.
        """
        clock = time.perf_counter()
        self.highs.set_bounds(lower, upper)
        fixed, last = bool((lower == upper)[self.compiled.integer].all()), None
        for place in range(most):
            if place and self._left <= 0:
                break
            answer = self.highs.run(1e-6, max(self._left, LEAST_SECONDS), relaxed=True)
            if answer.status != "optimal" or answer.x is None:
                break
            last = answer.x
            if not fixed:
                self.bound = max(self.bound, answer.value)
            if not self._cut(answer.x, feasible=fixed):
                break
        self.seconds["linear"] += time.perf_counter() - clock
        return last

    def _cut(self, x: FloatArray, feasible: bool = True) -> int:
        """Cuts of networks and squares that ``x`` misses; keeps ``x`` if it is a better answer. Number of cuts."""
        terminals = np.round(x[self._terminals]) if feasible else x[self._terminals]
        points = network_points(x[self._exchange], terminals)
        values = tuple(step.value(point) for step, point in zip(self.steps, points, strict=True))
        true = np.array([value.value for value in values])
        if feasible:
            self._accept(x, values, float(true.sum()))
        compiled, scale = self.compiled, self.master.scale
        which = np.flatnonzero(compiled.cones.violation(x) > CONE_TOLERANCE)
        self.highs.add_cuts(*compiled.cones.tangents(compiled.cones.points_at(x, which), which))
        tolerance = CUT_SHARE * self.options.gap * max(1.0, abs(min(self.value, 1e12))) / len(true)
        missed = np.flatnonzero(true - scale * x[self._theta] > tolerance)
        self._add_network_cuts(missed, points, values)
        return int(which.size + missed.size)

    def _add_network_cuts(self, steps: NDArray[np.int64], points: FloatArray, values: tuple[NetworkValue, ...]) -> None:
        """``network_cost >= bound + slope (P - P0)`` in the given steps, with ``P`` the exchanges and the terminals."""
        scale, rows, cols, data, limits = self.master.scale, [], [], [], []
        for row, t in enumerate(steps.tolist()):
            value = values[t]
            rows += [row] * (len(value.slope) + 1)
            cols += [*self._exchange[:, t].tolist(), *self._terminals.tolist(), int(self._theta[t])]
            data += [*(value.slope / scale).tolist(), -1.0]
            limits.append((float(value.slope @ points[t]) - value.bound) / scale)
        matrix = csr_array((data, (rows, cols)), shape=(len(limits), self.compiled.size))
        self.highs.add_cuts(matrix, np.array(limits))

    def _accept(self, x: FloatArray, values: tuple[NetworkValue, ...], network: float) -> None:
        """Keep a point whose binaries are whole: prices times exchanges multiplied out, networks at their true value."""
        bills = sum(self._true_bill(block, x) for block in self.master.model.prosumer.values())
        inputs = self.master.inputs
        value = network - inputs.weights.cost * bills - inputs.uncontrolled_cost
        if value < self.value:
            self.value, self.x, self.network = value, x.copy(), values

    def _true_bill(self, block: Any, x: FloatArray) -> float:
        """``sum_t dt y_t x_t``: a prosumer trades only where the marginal value of its energy is the price it faces."""
        place, steps = self.compiled.place, range(self.master.inputs.steps)
        price = np.array([x[place[id(block.value[t])]] for t in steps]) * self.master.scale
        exchange = np.array([x[place[id(block.exchange_mw[t])]] for t in steps])
        return float(price @ exchange) * self.master.inputs.step_hours
