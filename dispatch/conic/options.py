"""What a solve may use, and what it hands back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dispatch.conic.tangents import CutPool
from dispatch.errors import SolverError

Status = Literal["optimal", "feasible", "time_limit", "interrupted", "infeasible", "unbounded", "stalled"]


@dataclass(frozen=True)
class SolverOptions:
    """Options of :func:`dispatch.solver.solve`.

    gap: proven distance between objective and bound at which to stop, relative to ``max(1, |objective|)``.
    time_limit_s: wall time for everything, compilation included.
    threads: threads of HiGHS, SCIP and Clarabel; 1 makes results repeatable.
    seed: random seed of the branch-and-bound solver.
    cone_oracle: ``clarabel`` finds the points where cones are tangent; ``none`` uses rounds of linear programs instead.
    heuristics: let HiGHS run its sub-MIP heuristics (RENS, RINS, root reduced cost).
    solver: ``highs`` (tangents in rounds) or ``scip`` (the true cones inside one branch and bound).
    max_rounds: rounds of tangents before a solve is given up as ``stalled``.
    scip_tolerance: absolute feasibility tolerance of SCIP. Its own default of 1e-6 suits models whose quantities are of order
        one; squared currents of lightly loaded lines need a finer one.
    """

    gap: float = 1e-4
    time_limit_s: float = 60.0
    threads: int = 1
    seed: int = 0
    cone_oracle: Literal["clarabel", "none"] = "clarabel"
    heuristics: bool = False
    solver: Literal["highs", "scip"] = "highs"
    max_rounds: int = 40
    scip_tolerance: float = 1e-8

    def __post_init__(self) -> None:
        if not 0 < self.gap < 1:
            raise SolverError(f"solver option gap is {self.gap}; give a relative gap between 0 and 1, such as 1e-4")
        if not self.time_limit_s > 0:
            raise SolverError(f"solver option time_limit_s is {self.time_limit_s}; give a positive number of seconds")
        if self.threads < 1 or self.max_rounds < 1:
            raise SolverError("solver options threads and max_rounds must be at least 1")
        if self.solver not in ("highs", "scip"):
            raise SolverError(f"solver {self.solver!r} is not known; choose highs or scip")
        if self.cone_oracle not in ("clarabel", "none"):
            raise SolverError(f"cone_oracle {self.cone_oracle!r} is not known; choose clarabel or none")


@dataclass(frozen=True)
class SolveResult:
    """Outcome of a solve; the values of the incumbent are in the model's variables.

    status: ``optimal`` (gap closed), ``feasible`` (a physical point with a valid bound but an open gap),
        ``time_limit``, ``interrupted`` or ``stalled`` (best incumbent so far, if ``has_solution``), ``infeasible``,
        ``unbounded``.
    objective: value of the incumbent in the model's own sense; NaN if there is none.
    bound: proven bound on the objective (below it for a minimum, above it for a maximum).
    gap: ``|objective - bound| / max(1, |objective|)``.
    seconds: wall time by phase: ``build`` (compile), ``relax``, ``milp``, ``polish``, ``total``.
    rounds: MILPs solved. cuts: tangents in force at the end; pass them to the next solve as ``warm_cuts``.
    message: one sentence for a log.
    """

    status: Status
    objective: float
    bound: float
    gap: float
    seconds: Mapping[str, float]
    rounds: int = 0
    cuts: CutPool = field(default_factory=CutPool)
    message: str = ""

    @property
    def has_solution(self) -> bool:
        """True if the model's variables hold a feasible point."""
        return math.isfinite(self.objective)


def result_of(
    sense: int,
    status: Status,
    value: float,
    bound: float,
    seconds: Mapping[str, float],
    rounds: int,
    cuts: CutPool,
    message: str,
) -> SolveResult:
    """A result in the model's own sense from figures of the minimised problem."""
    known = math.isfinite(value)
    gap = max(value - bound, 0.0) / max(1.0, abs(value)) if known and math.isfinite(bound) else math.inf
    return SolveResult(
        status=status,
        objective=sense * value if known else math.nan,
        bound=sense * min(bound, value) if not math.isnan(bound) else math.nan,
        gap=gap,
        seconds=seconds,
        rounds=rounds,
        cuts=cuts,
        message=message or f"{status}, gap {gap:.1e}, {rounds} rounds, {len(cuts)} tangents",
    )
