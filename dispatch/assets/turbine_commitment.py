"""A price-taker that may switch its turbine off: the answer as a small mixed-integer program, by branch and bound.

Chen et al. 2024 (doi 10.3389/fenrg.2024.1450731), Eq. 7, charge ``c`` without a binary, so that it would be paid in idle hours
too. Here it is paid while the turbine runs: ``c u + a g^2 + b g`` with ``0 <= g <= g_max u``. Every node of the search is a
convex quadratic program in which an undecided hour costs the convex envelope of that: a line of slope ``b + 2 sqrt(a c)`` up
to ``g0 = sqrt(c / a)``, and the parabola from there.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import clarabel
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix, eye, hstack, vstack

from dispatch.assets.price_taker import PriceTaker
from dispatch.assets.price_taker_program import follower_program
from dispatch.assets.price_taker_response import PriceTakerPlan, PriceTakerQp, contents, quiet_settings
from dispatch.errors import SolverError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int8]

#: States of an hour in the search.
OFF, UNDECIDED, ON = -1, 0, 1
#: Relative cost by which a plan must be better to replace another; the bound is as exact.
SAME_COST = 1e-9
#: Output below this share of the largest is rounding of the interior-point method.
IDLE_SHARE = 1e-6


@dataclass(frozen=True, eq=False)
class _Node:
    """Solution of one node: its lower bound, the plan's columns, and what the envelope leaves out in each hour."""

    bound: float
    x: FloatArray
    missing: FloatArray


class CommittedTurbineQp:
    """Answers like ``PriceTakerQp`` for a price-taker with a running cost."""

    def __init__(self, grid: PriceTaker) -> None:
        unit = grid.turbine
        assert unit is not None and grid.committed
        self.grid = grid
        self.calls = 0
        #: Lower bound on the cost of the last answer, currency.
        self.proven_cost = -np.inf
        self.program = program = follower_program(grid)
        assert program.turbine is not None
        T, size = grid.steps, len(program.lower)
        self._a, self._b, self._c = (
            unit.cost_quadratic_per_mw2h,
            unit.cost_linear_per_mwh,
            grid.running_cost_per_hour,
        )
        self._top = unit.power_max_mw
        self._knee = min(float(np.sqrt(self._c / self._a)), self._top)
        self._slope = self._b + self._a * self._knee + self._c / self._knee
        self._scale = max(float(np.abs(np.concatenate([program.quadratic, program.linear, [self._slope]])).max()), 1.0)
        beyond = csr_matrix(
            (np.ones(T), (np.arange(T), np.arange(program.turbine.start, program.turbine.stop))), (T, size)
        )
        wide = [hstack([matrix, csr_matrix((matrix.shape[0], T))]) for matrix in (program.equal, program.below)]
        unity = eye(size + T)
        rows = vstack([*wide, hstack([beyond, -eye(T)]), unity, -unity], format="csc")
        self._equal, self._below = len(program.target), len(program.limit)
        self._limits = np.concatenate(
            [program.target, program.limit, np.zeros(T), program.upper, np.zeros(T), -program.lower, np.zeros(T)]
        )
        self._squares = np.concatenate([program.quadratic, np.zeros(T)])
        count = size + T
        square = csc_matrix((self._squares / self._scale, np.arange(count), np.arange(count + 1)), (count, count))
        cones = [clarabel.ZeroConeT(self._equal), clarabel.NonnegativeConeT(len(self._limits) - self._equal)]
        self._solver = clarabel.DefaultSolver(square, np.zeros(count), rows, self._limits, cones, quiet_settings())

    def respond(self, buy: FloatArray, sell: FloatArray) -> PriceTakerPlan:
        """The cheapest plan at tariffs ``[T]``, currency/MWh.

        Raises
        ------
        SolverError
            If no plan serves the load, whatever the tariffs.
        """
        self.calls += 1
        best: PriceTakerPlan | None = None
        best_cost, proven = np.inf, np.inf
        order = itertools.count()
        waiting: list[tuple[float, int, IntArray, _Node]] = []
        states = [np.zeros(self.grid.steps, dtype=np.int8)]
        while states:
            for state in states:
                node = self._node(state, buy, sell)
                if node is None:
                    continue
                plan = self.respond_running(self._rounded(state, node), buy, sell)
                cost = np.inf if plan is None else plan.cost(self.grid, buy, sell)
                if cost < best_cost:
                    best, best_cost = plan, cost
                if node.missing.max() > 0:
                    heapq.heappush(waiting, (node.bound, next(order), state, node))
                else:
                    proven = min(proven, node.bound)
            states = []
            if waiting and waiting[0][0] < best_cost - SAME_COST * max(1.0, abs(best_cost)):
                _, _, state, node = heapq.heappop(waiting)
                states = [_decided(state, int(np.argmax(node.missing)), choice) for choice in (OFF, ON)]
        if best is None:
            raise SolverError(f"{self.grid.name}: no plan serves its load")
        self.proven_cost = min(proven, best_cost, waiting[0][0] if waiting else np.inf)
        return best

    def respond_running(self, running: NDArray[np.bool_], buy: FloatArray, sell: FloatArray) -> PriceTakerPlan | None:
        """The cheapest plan whose turbine runs in the given hours ``[T]`` and no others; ``None`` if there is none."""
        found = self._node(np.where(running, ON, OFF).astype(np.int8), buy, sell)
        return None if found is None else self._plan(found.x, running)

    def _rounded(self, state: IntArray, node: _Node) -> NDArray[np.bool_]:
        """Hours that run if every undecided one follows its output."""
        assert self.program.turbine is not None
        likely: NDArray[np.bool_] = (state == ON) | (
            (state == UNDECIDED) & (node.x[self.program.turbine] > 0.5 * self._knee)
        )
        return likely

    def _node(self, state: IntArray, buy: FloatArray, sell: FloatArray) -> _Node | None:
        """The relaxation with some hours decided; ``None`` if it is infeasible."""
        program, T = self.program, self.grid.steps
        place = program.turbine
        assert place is not None
        on, undecided = state == ON, state == UNDECIDED
        squares, linear, limits = (
            self._squares.copy(),
            np.concatenate([program.linear, np.zeros(T)]),
            self._limits.copy(),
        )
        size = len(program.lower)
        linear[program.bought], linear[program.sold] = buy, -sell
        squares[place] = np.where(on, 2 * self._a, 0.0)
        squares[size:] = np.where(undecided, 2 * self._a, 0.0)
        linear[place] = np.where(undecided, self._slope, self._b)
        first = self._equal + self._below
        limits[first : first + T] = np.where(undecided, self._knee, self._top)
        tops = first + T
        limits[tops + place.start : tops + place.stop] = np.where(state == OFF, 0.0, self._top)
        limits[tops + size : tops + size + T] = np.where(undecided, self._top - self._knee, 0.0)
        self._solver.update(P=squares / self._scale, q=linear / self._scale, b=limits)
        answer = self._solver.solve()
        if str(answer.status) not in ("Solved", "AlmostSolved"):
            return None
        bound = (float(answer.obj_val_dual) * self._scale + self._c * float(on.sum())) * self.grid.step_hours
        x = np.clip(np.asarray(answer.x)[:size], program.lower, program.upper)
        x[place] = np.where(state == OFF, 0.0, x[place])
        g = x[place]
        real = np.where(g > IDLE_SHARE * self._top, self._c + self._a * g**2 + self._b * g, 0.0)
        envelope = self._slope * g + self._a * np.clip(g - self._knee, 0.0, None) ** 2
        missing = np.where(undecided, real - envelope, 0.0)
        missing[missing < SAME_COST * max(1.0, self._c)] = 0.0
        return _Node(bound, x, missing)

    def _plan(self, x: FloatArray, running: NDArray[np.bool_]) -> PriceTakerPlan:
        program = self.program
        assert program.turbine is not None
        flows = tuple(tuple(x[place] for place in places) for places in program.flows)
        return PriceTakerPlan(
            exchange=x[program.bought] - x[program.sold],
            turbine=np.where(running, x[program.turbine], 0.0),
            curtailed=x[program.curtailed],
            flows=flows,
            content=contents(self.grid, flows),
        )


def _decided(state: IntArray, hour: int, choice: int) -> IntArray:
    decided = state.copy()
    decided[hour] = choice
    return decided


Responder = PriceTakerQp | CommittedTurbineQp


def responder(grid: PriceTaker) -> Responder:
    """The program that answers for a price-taker, with or without a turbine that is switched."""
    return CommittedTurbineQp(grid) if grid.committed else PriceTakerQp(grid)
