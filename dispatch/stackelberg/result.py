"""What a bilevel solve hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatch.certificate import Certificate


@dataclass(frozen=True)
class DualBound:
    """Bound used on the dual of a follower's row: its value, the dual found, and the rule that gave the bound."""

    bound: float
    dual: float
    rule: str


@dataclass(frozen=True, eq=False)
class BilevelResult:
    """The optimistic answer; the values of all variables are in the user's model.

    Attributes
    ----------
    status: ``optimal`` (gap closed) or ``time_limit`` (best proven so far).
    objective, bound, gap: leader's objective in its own sense, the best it could be, their relative distance.
    reformulation, solver: the route taken (which may differ from the one asked for: then ``messages`` says why).
    certificate: the proof; ``certificate.passed`` is the verdict.
    duals: follower to row to dual. A variable's bounds are rows ``name >=`` and ``name <=``; of all optimal duals
        those with the smallest sum are given.
    dual_bounds: follower to row to the bound used; empty where the route needs none.
    pessimistic_objective: leader's objective at the same decision when each follower picks, among its optimal
        responses, what is worst for the leader; infinite if some optimal response breaks a row of the leader; None if
        not computed.
    tie_width: ``|pessimistic - optimistic|``; 0 says that ties do not matter.
    messages: what a reader must know, one sentence each.
    seconds: wall time by phase.
    """

    status: str
    objective: float
    bound: float
    gap: float
    reformulation: str
    solver: str
    certificate: Certificate
    duals: Mapping[str, Mapping[str, float]]
    dual_bounds: Mapping[str, Mapping[str, DualBound]] = field(default_factory=dict)
    pessimistic_objective: float | None = None
    tie_width: float | None = None
    messages: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        verdict = "certified" if self.certificate.passed else f"NOT certified ({', '.join(self.certificate.failures)})"
        ties = f", pessimistic {self.pessimistic_objective:.6g}" if self.tie_width else ""
        return (
            f"leader's objective {self.objective:.6g} ({self.status}, gap {self.gap:.1e}{ties}), {verdict}; "
            f"{self.reformulation} on {self.solver}, {self.seconds.get('total', 0.0):.2f} s"
        )
