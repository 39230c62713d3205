"""What a bilevel solve may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from dispatch.errors import BilevelError

Reformulation = Literal["auto", "kkt_bigm", "kkt_sos1", "kkt_indicator", "strong_duality", "branching"]
SolverName = Literal["highs", "scip"]


@dataclass(frozen=True)
class BilevelOptions:
    """Options of :func:`dispatch.bilevel.solve`.

    gap: proven distance between objective and bound at which to stop, relative to ``max(1, |objective|)``.
    time_limit_s: wall time of the search itself; proofs of dual bounds get as much again.
    threads, seed: of the solver; one thread makes results repeatable.
    bound_search_nodes: effort per row where a dual bound needs a search over the complementarity.
    pessimistic: also value the leader's decision when the followers break ties against it.
    """

    gap: float = 1e-6
    time_limit_s: float = 60.0
    threads: int = 1
    seed: int = 0
    bound_search_nodes: int = 200
    pessimistic: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.gap < 1:
            raise BilevelError(f"option gap is {self.gap}; give a relative gap between 0 and 1, such as 1e-6")
        if not self.time_limit_s > 0:
            raise BilevelError(f"option time_limit_s is {self.time_limit_s}; give a positive number of seconds")


def check_names(reformulation: str, solver: str) -> None:
    """Raises BilevelError for an unknown reformulation or solver, or one that the solver does not have."""
    if reformulation not in get_args(Reformulation):
        raise BilevelError(
            f"reformulation {reformulation!r} is unknown; choose from {', '.join(get_args(Reformulation))}"
        )
    if solver not in get_args(SolverName):
        raise BilevelError(f"solver {solver!r} is unknown; choose from {', '.join(get_args(SolverName))}")
    if solver == "highs" and reformulation in ("kkt_sos1", "kkt_indicator"):
        raise BilevelError(
            f"reformulation {reformulation!r} needs a solver with {reformulation[4:]} constraints; HiGHS has none: use "
            "solver='scip', or reformulation='kkt_bigm' or 'branching'"
        )
