"""From a relaxation that invents losses to a physical schedule with a bound: secants, linearisation, segments."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dispatch.conic.clarabel_oracle import solve_continuous
from dispatch.conic.compiled import Compiled
from dispatch.conic.options import SolverOptions, Status
from dispatch.conic.outer_approximation import OuterApproximation
from dispatch.conic.tangents import CutPool
from dispatch.network.linearisation import physical_point
from dispatch.network.secants import FlowRanges
from dispatch.network.segments import loosest_lines, with_segments

FloatArray = npt.NDArray[np.float64]

#: Passes of narrowing; each costs one continuous cone program.
NARROWINGS = 5
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
    if state.x is None or state.relaxed_x is None or state.status == "optimal" or options.cone_oracle == "none":
        return state
    narrowed, narrow_ranges = search.narrow(problem)
    where = loosest_lines(narrow_ranges, block.distflow.feeder.r_pu, state.relaxed_x)
    if state.gap() > options.gap and len(where) and time.perf_counter() < deadline:
        search.solve(*with_segments(narrow_ranges, narrowed, where, state.x))
    state.status = search.verdict(state.status)
    return state


@dataclass
class _Search:
    state: Repair
    compiled: Compiled
    block: Any
    ranges: FlowRanges
    tolerance: float
    options: SolverOptions
    deadline: float

    def solve(self, problem: Compiled, start: FloatArray | None = None) -> None:
        """One mixed-integer solve with secants, and a physical schedule from its commitment."""
        state = self.state
        engine = OuterApproximation(problem, self.options, state.cuts, self.deadline)
        engine.run(start=start)
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

    def narrow(self, problem: Compiled) -> tuple[Compiled, FlowRanges]:
        """The problem and its flow ranges, shrunk by reduced costs.

        No schedule that beats the known one leaves these ranges. Narrower ranges make tighter chords, which raise the
        bound, which narrows the ranges further.
        """
        state, began, ranges = self.state, time.perf_counter(), self.ranges
        for _ in range(NARROWINGS):
            left = self.deadline - time.perf_counter()
            answer = solve_continuous(problem, problem.lower, problem.upper, left, self.options.threads)
            if answer.status == "infeasible":
                state.bound = state.value
            bounds = answer.bounds_within(state.value)
            if bounds is None:
                break
            state.bound = max(state.bound, min(answer.bound, state.value))
            narrower = self._within(*bounds)
            ranges = FlowRanges.of(narrower, self.block)
            problem = ranges.with_secants(narrower)
        state.seconds["relax"] = state.seconds.get("relax", 0.0) + time.perf_counter() - began
        return problem, ranges

    def _within(self, lower: FloatArray, upper: FloatArray) -> Compiled:
        whole = self.compiled.integer
        lower = np.where(whole, np.ceil(lower - INTEGER_SLACK), lower)
        upper = np.where(whole, np.floor(upper + INTEGER_SLACK), upper)
        lower = np.maximum(lower, self.compiled.lower)
        upper = np.maximum(np.minimum(upper, self.compiled.upper), lower)
        return replace(self.compiled, lower=lower, upper=upper)

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
