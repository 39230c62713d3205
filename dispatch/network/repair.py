"""From a relaxation that invents losses to a physical schedule with a bound: secants, linearisation, segments."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dispatch.conic.clarabel_oracle import OracleAnswer, solve_continuous
from dispatch.conic.compiled import Compiled
from dispatch.conic.options import SolverOptions, Status
from dispatch.conic.outer_approximation import OuterApproximation
from dispatch.conic.propagation import propagate
from dispatch.conic.tangents import CutPool
from dispatch.network.linearisation import physical_point
from dispatch.network.secants import FlowRanges
from dispatch.network.segments import loosest_lines, with_segments

FloatArray = npt.NDArray[np.float64]

#: Passes of narrowing, each one continuous cone program, and the least share of the gap that one must close to go on.
NARROWINGS, LEAST_PROGRESS = 8, 0.1
#: Turns of narrowing and segments; each may find a better schedule, with which narrowing starts again.
ATTEMPTS = 3
#: Distance from an integer at which a narrowed bound still admits it.
INTEGER_SLACK = 1e-5


@dataclass
class Repair:
    """State of a repair, in the minimised sense; ``x`` is the best physical point found, None if there is none.

    relaxed_x: last optimum of the relaxation, for a message if no physical point was found.
    """

    x: FloatArray | None = None
    value: float = np.inf
    bound: float = -np.inf
    status: Status = "stalled"
    relaxed_x: FloatArray | None = None
    rounds: int = 0
    cuts: CutPool = field(default_factory=CutPool)
    seconds: dict[str, float] = field(default_factory=dict)

    def gap(self) -> float:
        """Relative distance of value and bound."""
        return (self.value - self.bound) / max(1.0, abs(self.value)) if np.isfinite(self.value) else np.inf


def repair(
    compiled: Compiled,
    block: Any,
    ranges: FlowRanges,
    tolerance: float,
    options: SolverOptions,
    warm_cuts: CutPool | None,
    deadline: float,
) -> Repair:
    """Physical schedule and valid bound of a model whose relaxed cones are slack.

    tolerance: largest cone gap, p.u., of a relaxed point that counts as physical.
    """
    state = Repair(cuts=warm_cuts or CutPool())
    search = _Search(state, compiled, block, ranges, tolerance, options, deadline)
    problem = ranges.with_secants(compiled)
    search.solve(problem)
    if options.cone_oracle == "none":
        return state
    for _ in range(ATTEMPTS):
        if state.x is None or state.status == "optimal" or state.status == "interrupted":
            break
        problem = search.narrow(problem)
        where = loosest_lines(search.ranges, block.distflow.feeder.r_pu, search.invented_at)
        if state.gap() > options.gap and len(where) and time.perf_counter() < deadline:
            search.solve(*with_segments(search.ranges, problem, where, state.x))
        state.status = search.verdict(state.status)
    return state


@dataclass
class _Search:
    """The model without secants, its present flow ranges, and what is known of its relaxation.

    relaxation: optimum of the problem's relaxation if it is already at hand; invented_at: where the last relaxation put
    its invented losses.
    """

    state: Repair
    compiled: Compiled
    block: Any
    ranges: FlowRanges
    tolerance: float
    options: SolverOptions
    deadline: float
    relaxation: OracleAnswer | None = None
    invented_at: FloatArray = field(default_factory=lambda: np.zeros(0))

    def solve(self, problem: Compiled, start: FloatArray | None = None) -> None:
        """One mixed-integer solve with secants, and a physical schedule from its commitment."""
        state = self.state
        engine = OuterApproximation(problem, self.options, state.cuts, self.deadline)
        engine.run(start=start)
        if start is None:
            self.relaxation = engine.relaxation
        state.rounds, state.cuts = state.rounds + engine.rounds, engine.pool()
        for phase, spent in engine.seconds.items():
            state.seconds[phase] = state.seconds.get(phase, 0.0) + spent
        if engine.status == "infeasible" and state.x is not None:
            state.bound = state.value
        else:
            state.bound = max(state.bound, min(engine.bound, state.value))
        if engine.x is not None:
            self._propose(engine.x[: self.compiled.size])
        state.status = self.verdict(engine.status)

    def verdict(self, last: Status) -> Status:
        """Status of the repair after a solve that ended as ``last``."""
        if self.state.x is None:
            return last
        if self.state.gap() <= self.options.gap:
            return "optimal"
        return last if last in ("time_limit", "interrupted") else "feasible"

    def narrow(self, problem: Compiled) -> Compiled:
        """The problem with flow ranges shrunk by reduced costs.

        No schedule that beats the known one leaves these ranges. Narrower ranges make tighter chords, which raise the
        bound, which narrows the ranges further.
        """
        state, began = self.state, time.perf_counter()
        for count in range(NARROWINGS):
            open_before = state.gap()
            answer = self.relaxation or solve_continuous(
                problem, problem.lower, problem.upper, self.deadline - time.perf_counter(), self.options.threads
            )
            self.relaxation = None
            if answer.status == "infeasible":
                state.bound = state.value
            bounds = answer.bounds_within(state.value)
            if bounds is None:
                break
            state.bound = max(state.bound, min(answer.bound, state.value))
            self.invented_at = answer.x
            if state.gap() <= self.options.gap or (count and state.gap() > (1.0 - LEAST_PROGRESS) * open_before):
                break
            narrower = self._within(*bounds)
            self.ranges = FlowRanges.of(narrower, self.block)
            problem = self.ranges.with_secants(narrower)
        state.seconds["relax"] = state.seconds.get("relax", 0.0) + time.perf_counter() - began
        return problem

    def _within(self, lower: FloatArray, upper: FloatArray) -> Compiled:
        compiled, whole = self.compiled, self.compiled.integer
        lower, upper = np.maximum(lower, compiled.lower), np.minimum(upper, compiled.upper)
        lower, upper = propagate(compiled.matrix, compiled.row_lower, compiled.row_upper, lower, upper)
        lower = np.where(whole, np.ceil(lower - INTEGER_SLACK), lower)
        upper = np.where(whole, np.floor(upper + INTEGER_SLACK), upper)
        return replace(compiled, lower=lower, upper=np.maximum(upper, lower))

    def _propose(self, x: FloatArray) -> None:
        """Make a relaxed point physical and keep it if it is the best so far."""
        state, began = self.state, time.perf_counter()
        state.relaxed_x = x
        point: FloatArray | None = x
        if np.abs(self.ranges.at.gap(x)).max() > self.tolerance:
            bounded = self.ranges.bounding(self.compiled)
            point = physical_point(bounded, self.block, x, max(self.deadline - began, 5.0))
        if point is not None:
            value = float(self.compiled.cost @ point) + self.compiled.offset
            if value < state.value:
                state.x, state.value = point, value
        state.seconds["repair"] = state.seconds.get("repair", 0.0) + time.perf_counter() - began
