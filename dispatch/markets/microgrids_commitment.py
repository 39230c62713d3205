"""The game where microgrids switch their turbines: value-function cuts and branching on tariffs.

A microgrid's answer is then a mixed-integer program, which no optimality conditions describe. The program here leaves its
switches to the operator, holds the conditions of the rest, and adds for every plan that the microgrid has answered so far::

    bill + own cost <= cost of that plan at the same tariffs

so that it is never made worse off than with a plan of its own. The left side is exact but for the bill, which is a product of
tariff and exchange and may be taken too small by the program (as if the operator paid for obedience). Ranges of tariffs are
therefore split where the program's bill is wrong, with McCormick's lower bounds on the products in each part, until the
true answers earn what the bound allows. Every program is a relaxation: its bound holds whenever the search ends.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.assets.price_taker_response import PriceTakerPlan
from dispatch.assets.turbine_commitment import CommittedTurbineQp, responder
from dispatch.case_microgrids import MicrogridsCase
from dispatch.certificate import TOLERANCES
from dispatch.markets.microgrids_exact import ExactModel, TariffBox, build_exact
from dispatch.markets.microgrids_inputs import MarketInputs
from dispatch.markets.microgrids_solution import MicrogridsSolution, answered, read_exact
from dispatch.solver import SolverOptions
from dispatch.solver import solve as solve_cones

FloatArray = NDArray[np.float64]

#: Relative error of a bill below which a product of tariff and exchange counts as exact.
EXACT_BILL = 1e-7
#: Money over the price scale by which a cut may be missed: a little more than the solver's own tolerance.
CUT_HOLDS = 5e-6


@dataclass(frozen=True, eq=False)
class CommittedGame:
    """Best tariffs found, a bound on every other's profit, and how both came about."""

    solution: MicrogridsSolution
    bound: float
    dual_bound_ratio: float
    progress: pd.DataFrame

    @property
    def gap(self) -> float:
        """Relative distance of profit and bound."""
        return max(self.bound - self.solution.profit, 0.0) / max(1.0, abs(self.solution.profit))


def solve_committed(case: MicrogridsCase, market: MarketInputs, options: SolverOptions) -> CommittedGame:
    """The game with switched turbines, until the gap is closed or time is up."""
    return _Search(case, market, options).run()


class _Search:
    def __init__(self, case: MicrogridsCase, market: MarketInputs, options: SolverOptions) -> None:
        self.case, self.market, self.options = case, market, options
        self.deadline = time.perf_counter() + options.time_limit_s
        self.programs = [responder(grid) for grid in market.grids]
        self.best = answered(case, market, market.grid_buy, market.feed_in)
        self.dual_bound_ratio = 0.0
        #: Plans that microgrids have answered, by place in ``market.grids``: each is a cut.
        self.plans: dict[int, list[PriceTakerPlan]] = {
            j: [plan]
            for j, (grid, plan) in enumerate(zip(market.grids, self.best.plans, strict=True))
            if grid.committed
        }
        self.progress: list[dict[str, float]] = []

    def run(self) -> CommittedGame:
        """Best-first over boxes of tariffs."""
        order = itertools.count()
        waiting: list[tuple[float, int, TariffBox, bool]] = [
            (-math.inf, next(order), TariffBox.whole(self.market), False)
        ]
        closed = -math.inf
        while waiting and time.perf_counter() < self.deadline:
            inherited, _, box, split = heapq.heappop(waiting)
            if self._settled(-inherited):
                closed = max(closed, -inherited)
                break
            bound, halves = self._box(box, -inherited, split)
            if self._settled(bound) or not halves:
                closed = max(closed, bound)
                continue
            for half in halves:
                heapq.heappush(waiting, (-bound, next(order), half, True))
            self._note(max([closed, *(-entry[0] for entry in waiting)]))
        bound = max([self.best.profit, closed, *(-entry[0] for entry in waiting)])
        self._note(bound)
        return CommittedGame(self.best, bound, self.dual_bound_ratio, pd.DataFrame(self.progress))

    def _settled(self, bound: float) -> bool:
        return bound <= self.best.profit + 0.5 * self.options.gap * max(1.0, abs(self.best.profit))

    def _note(self, bound: float) -> None:
        cuts = sum(len(plans) for plans in self.plans.values())
        self.progress.append(
            {"round": len(self.progress) + 1, "profit": self.best.profit, "bound": bound, "cuts": cuts}
        )

    def _box(self, box: TariffBox, bound: float, split: bool) -> tuple[float, tuple[TariffBox, ...]]:
        """Bound in one box, with cuts added until none is violated, and the halves to look at next."""
        while True:
            left = self.deadline - time.perf_counter()
            if left <= 0:
                return bound, (box,)
            built = self._program(box, split)
            options = replace(self.options, heuristics=True, gap=0.25 * self.options.gap, time_limit_s=max(left, 0.1))
            result = solve_cones(built.model, built.conditions.cones, options)
            if result.status == "infeasible":
                return -math.inf, ()
            bound = min(bound, result.bound)
            if not result.has_solution:
                return bound, (box,)
            found = read_exact(built, self.case)
            buy, sell = (
                np.array([v.value for v in var.values()]) * built.price_scale
                for var in (built.model.buy, built.model.sell)
            )
            sell = np.minimum(sell, buy)
            added = self._answer(built, found, buy, sell)
            if self._settled(bound):
                return bound, ()
            if not added:
                halves = self._halves(built, box, buy, sell)
                return bound, halves if split else halves or (box,)

    def _program(self, box: TariffBox, split: bool) -> ExactModel:
        built = build_exact(self.market, box)
        scale, dt = built.price_scale, self.market.step_hours
        times = list(range(self.market.steps))
        for j, plans in self.plans.items():
            block = built.model.grid[j]
            block.no_worse = pyo.ConstraintList()
            for plan in plans:
                own = sum(plan.own_cost(self.market.grids[j]).values()) / scale
                bought, sold = np.clip(plan.exchange, 0, None).tolist(), np.clip(-plan.exchange, 0, None).tolist()
                bill = pyo.quicksum(built.model.buy[t] * bought[t] - built.model.sell[t] * sold[t] for t in times)
                block.no_worse.add(block.bill + block.own_cost <= dt * bill + own)
            if split:
                block.products = pyo.ConstraintList()
                block.paid = pyo.Var(times)
                for t in times:
                    for row in _product_rows(built, box, j, t):
                        block.products.add(block.paid[t] >= row)
                block.least_bill = pyo.Constraint(expr=block.bill >= dt * pyo.quicksum(block.paid.values()))
        return built

    def _answer(self, built: ExactModel, found: MicrogridsSolution, buy: FloatArray, sell: FloatArray) -> bool:
        """True answers to the program's tariffs: the best profit so far, and cuts where the program took too little."""
        added = False
        plans = []
        for j, program in enumerate(self.programs):
            grid = self.market.grids[j]
            plan = program.respond(found.buy, found.sell)
            if isinstance(program, CommittedTurbineQp):
                block = built.model.grid[j]
                running = np.array([t in block.running and block.running[t].value > 0.5 for t in range(grid.steps)])
                cost = plan.cost(grid, found.buy, found.sell)
                slack = 0.5 * TOLERANCES["best_response_gap"] * max(1.0, abs(cost))
                own_answer = program.respond(buy, sell)
                claimed = (block.bill.value + pyo.value(block.own_cost)) * built.price_scale
                if claimed > own_answer.cost(grid, buy, sell) + max(slack, CUT_HOLDS * built.price_scale):
                    self.plans[j].append(own_answer)
                    added = True
                obeyed = program.respond_running(running, found.buy, found.sell)
                if obeyed is not None and obeyed.cost(grid, found.buy, found.sell) <= cost + slack:
                    plan = obeyed
            plans.append(plan)
        solution = MicrogridsSolution(self.case, self.market, found.buy, found.sell, tuple(plans))
        if solution.profit > self.best.profit:
            self.best, self.dual_bound_ratio = solution, built.conditions.dual_bound_ratio
        return added

    def _halves(self, built: ExactModel, box: TariffBox, buy: FloatArray, sell: FloatArray) -> tuple[TariffBox, ...]:
        """The box split where a product of tariff and exchange is worst; none if every bill is exact."""
        scale = built.price_scale
        worst, place = EXACT_BILL, None
        for j in self.plans:
            block = built.model.grid[j]
            for t in range(self.market.steps):
                for kind, tariff, power in (("buy", buy[t], block.bought_mw[t]), ("sell", sell[t], block.sold_mw[t])):
                    low, high = (getattr(box, f"{kind}_{end}")[t] for end in ("low", "high"))
                    most = float(power.ub)
                    used, unused = power.value, most - power.value
                    above, below = (used, unused) if kind == "buy" else (unused, used)
                    error = min((tariff - low) * above, (high - tariff) * below) / scale
                    if error > worst:
                        worst, place = error, (kind, t, low, high, tariff)
        if place is None:
            return ()
        kind, t, low, high, tariff = place
        at = tariff if 0.1 < (tariff - low) / (high - low) < 0.9 else 0.5 * (low + high)
        return tuple(_with_end(box, f"{kind}_{end}", t, at) for end in ("high", "low"))


def _product_rows(built: ExactModel, box: TariffBox, j: int, t: int) -> Iterator[object]:
    """McCormick's lower bounds on ``buy * bought - sell * sold`` in one step, prices over the model's scale."""
    model, scale = built.model, built.price_scale
    block = model.grid[j]
    bought, sold = block.bought_mw[t], block.sold_mw[t]
    for low_end in (True, False):
        if low_end:
            paid = float(box.buy_low[t]) / scale * bought
        else:
            high = float(box.buy_high[t]) / scale
            paid = high * bought + float(bought.ub) * (model.buy[t] - high)
        yield paid - float(box.sell_high[t]) / scale * sold
        low = float(box.sell_low[t]) / scale
        yield paid - low * sold - float(sold.ub) * (model.sell[t] - low)


def _with_end(box: TariffBox, name: str, t: int, value: float) -> TariffBox:
    ends: FloatArray = getattr(box, name).copy()
    ends[t] = value
    return replace(box, **{name: ends})
