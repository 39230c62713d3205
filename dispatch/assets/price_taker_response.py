"""A price-taker's own problem: a convex quadratic program, solved alone.

Chen et al. 2024, doi 10.3389/fenrg.2024.1450731, Eqs. 6-18; Lou et al. 2025, doi 10.3389/fenrg.2025.1537562, Eqs. 20-27. With
a quadratic cost on every flow the answer is unique; a battery with linear wear may have several.
The binary of buying or selling is left out: doing both can only cost, since the sell tariff is never above the buy tariff.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import clarabel
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, diags, eye, vstack

from dispatch.assets.price_taker import PriceTaker
from dispatch.assets.price_taker_program import follower_program
from dispatch.errors import SolverError

FloatArray = NDArray[np.float64]

#: Interior-point tolerance; answers near a kink of the response are only as exact as its square root.
TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class PriceTakerPlan:
    """What a price-taker does, ``[T]`` in MW except where said.

    exchange: bought less sold. flows: by reservoir and channel. content: of each bounded reservoir at the end of a step, MWh.
    """

    exchange: FloatArray
    turbine: FloatArray
    curtailed: FloatArray
    flows: tuple[tuple[FloatArray, ...], ...]
    content: tuple[FloatArray, ...]

    def own_cost(self, grid: PriceTaker) -> dict[str, float]:
        """Fuel, wear and discomfort over the horizon (Chen et al. 2024, Eqs. 7-8), currency; the fixed charge where committed."""
        unit, dt = grid.turbine, grid.step_hours
        fuel = 0.0
        if unit is not None:
            cost = unit.cost_quadratic_per_mw2h * self.turbine**2 + unit.cost_linear_per_mwh * self.turbine
            running = (self.turbine > 0.0).sum() * grid.running_cost_per_hour
            fuel = float((cost.sum() + running) * dt)
        wear = {"battery": 0.0, "shifted load": 0.0}
        for reservoir, flows in zip(grid.reservoirs, self.flows, strict=True):
            for channel, flow in zip(reservoir.channels, flows, strict=True):
                wear[reservoir.name] += float((channel.wear * flow**2 + channel.price * flow).sum() * dt)
        return {"fuel": fuel, "battery_wear": wear["battery"], "discomfort": wear["shifted load"]}

    def bill(self, buy: FloatArray, sell: FloatArray, step_hours: float) -> float:
        """What is paid to the operator, currency."""
        exchange = self.exchange
        return float((buy * np.clip(exchange, 0, None) + sell * np.clip(exchange, None, 0)).sum() * step_hours)

    def cost(self, grid: PriceTaker, buy: FloatArray, sell: FloatArray) -> float:
        """The follower's objective (Chen et al. 2024, Eq. 6), currency."""
        return self.bill(buy, sell, grid.step_hours) + sum(self.own_cost(grid).values())


class PriceTakerQp:
    """The follower's quadratic program, built once; only prices change between answers."""

    def __init__(self, grid: PriceTaker) -> None:
        self.grid = grid
        self.calls = 0
        #: Lower bound on the cost of the last answer by its dual, currency.
        self.proven_cost = -np.inf
        #: Columns of the program in the last answer, buying and selling apart.
        self.columns: FloatArray = np.zeros(0)
        self.program = program = follower_program(grid)
        self._scale = max(float(np.abs(np.concatenate([program.quadratic, program.linear])).max()), 1.0)
        size = len(program.lower)
        rows = vstack([program.equal, program.below, eye(size), -eye(size)], format="csc")
        limits = np.concatenate([program.target, program.limit, program.upper, -program.lower])
        equal = len(program.target)
        cones = [clarabel.ZeroConeT(equal), clarabel.NonnegativeConeT(len(limits) - equal)]
        square = csc_matrix(diags(program.quadratic / self._scale))
        self._solver = clarabel.DefaultSolver(
            square, program.linear / self._scale, rows, limits, cones, quiet_settings()
        )

    def respond(self, buy: FloatArray, sell: FloatArray) -> PriceTakerPlan:
        """The cheapest plan at tariffs ``[T]``, currency/MWh.

        Raises
        ------
        SolverError
            If no plan serves the load, whatever the tariffs.
        """
        self.calls += 1
        T, program = self.grid.steps, self.program
        cost = program.linear.copy()
        cost[program.bought], cost[program.sold] = buy, -sell
        self._solver.update(q=cost / self._scale)
        answer = self._solver.solve()
        if str(answer.status) not in ("Solved", "AlmostSolved"):
            raise SolverError(f"{self.grid.name}: no plan serves its load ({answer.status})")
        self.proven_cost = float(answer.obj_val_dual) * self._scale * self.grid.step_hours
        x = self.columns = np.clip(np.asarray(answer.x), program.lower, program.upper)
        flows = tuple(tuple(x[place] for place in places) for places in program.flows)
        return PriceTakerPlan(
            exchange=x[program.bought] - x[program.sold],
            turbine=x[program.turbine] if program.turbine is not None else np.zeros(T),
            curtailed=x[program.curtailed],
            flows=flows,
            content=contents(self.grid, flows),
        )


def quiet_settings() -> Any:
    """Clarabel on one thread, to ``TOLERANCE``, with rows kept as they are so that data can be updated."""
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.presolve_enable, settings.max_threads = False, False, 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = TOLERANCE
    return settings


def contents(grid: PriceTaker, flows: tuple[tuple[FloatArray, ...], ...]) -> tuple[FloatArray, ...]:
    """Content of each bounded reservoir at the end of every step, MWh (Chen et al. 2024, Eq. 16 with ``E_max`` for ``T``)."""
    return tuple(
        reservoir.energy_start
        - grid.step_hours * np.cumsum(sum(c.draw * f for c, f in zip(reservoir.channels, found, strict=True)))
        for reservoir, found in zip(grid.reservoirs, flows, strict=True)
        if reservoir.bounded
    )


def plan_violations(grid: PriceTaker, plan: PriceTakerPlan) -> Iterator[FloatArray]:
    """How far each balance and limit of a plan is missed, MW and MWh; nothing is positive in a feasible plan."""
    surplus = plan.exchange + plan.turbine - plan.curtailed - grid.net_load
    for reservoir, flows in zip(grid.reservoirs, plan.flows, strict=True):
        drawn = np.zeros(grid.steps)
        for channel, flow in zip(reservoir.channels, flows, strict=True):
            surplus = surplus + channel.output * flow
            drawn = drawn + channel.draw * flow
            yield channel.lower - flow
            yield flow - channel.upper
        content = reservoir.energy_start - grid.step_hours * np.cumsum(drawn)
        yield reservoir.energy_min - content
        yield content - reservoir.energy_max
        yield np.abs(content[-1:] - reservoir.energy_start)
    yield np.abs(surplus)
    yield np.abs(plan.exchange) - grid.trade_limit
    yield -plan.curtailed
    yield plan.curtailed - grid.curtailable
    yield -plan.turbine
    unit = grid.turbine
    yield plan.turbine - (unit.power_max_mw if unit is not None else 0.0)
    change = np.diff(plan.turbine)
    if unit is not None and unit.ramp_up_mw_per_hour is not None:
        yield change - unit.ramp_up_mw_per_hour * grid.step_hours
    if unit is not None and unit.ramp_down_mw_per_hour is not None:
        yield -change - unit.ramp_down_mw_per_hour * grid.step_hours
