"""The proof that travels with every schedule: the record of checks and its verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields

#: Largest value with which each figure still passes. Relative figures are scaled by ``max(1, |objective|)``.
TOLERANCES: dict[str, float] = {
    "balance_max": 1e-6,
    "best_response_gap": 1e-6,
    "duality_gap": 1e-6,
    "objective_identity": 1e-4,
    "cone_gap": 1e-4,
    "dual_bound_ratio": 0.99,
    "mip_gap": 1e-4,
    "ac_voltage_error_pu": 1e-5,
    "ac_loss_error_mw": 1e-5,
}


@dataclass(frozen=True)
class Certificate:
    """Figures that prove a schedule; ``None`` where a figure does not apply to the model.

    balance_max: largest violation of any balance or limit, p.u. or MW.
    best_response_gap: what the worst-off follower could still gain alone at the leader's decision, relative.
    duality_gap: primal minus dual objective of the followers, relative.
    objective_identity: leader profit with price x quantity multiplied out against the linearised one, relative.
    cone_gap: largest ``l u - P^2 - Q^2`` over lines and hours, p.u.
    dual_bound_ratio: largest dual over its bound; at 1 the bound may have cut off the optimum.
    mip_gap: proven relative distance of the objective from the best bound.
    tie_width: change of the leader's profit when followers break ties against it, in money; reported, never failed.
    ac_voltage_error_pu, ac_loss_error_mw: against an independent AC power flow at the scheduled injections.
    tolerances: figure name to the largest passing value.
    """

    balance_max: float | None = None
    best_response_gap: float | None = None
    duality_gap: float | None = None
    objective_identity: float | None = None
    cone_gap: float | None = None
    dual_bound_ratio: float | None = None
    mip_gap: float | None = None
    tie_width: float | None = None
    ac_voltage_error_pu: float | None = None
    ac_loss_error_mw: float | None = None
    tolerances: dict[str, float] = field(default_factory=lambda: dict(TOLERANCES))
    notes: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Names of the figures that do not pass; NaN never passes."""
        figures = {name: getattr(self, name) for name in self.tolerances}
        return tuple(n for n, v in figures.items() if v is not None and not v <= self.tolerances[n])

    @property
    def passed(self) -> bool:
        """True if at least one figure was checked and none failed."""
        checked = any(getattr(self, name) is not None for name in self.tolerances)
        return checked and not self.failures

    def as_dict(self) -> dict[str, object]:
        """Plain values for ``summary.json``: every figure, and ``passed``."""
        record = asdict(self)
        record.pop("tolerances")
        record["notes"] = list(self.notes)
        return {"passed": self.passed, "failures": list(self.failures), **record}

    def __str__(self) -> str:
        lines = [f"certificate: {'passed' if self.passed else 'FAILED ' + ', '.join(self.failures)}"]
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, float):
                limit = self.tolerances.get(item.name)
                lines.append(f"  {item.name:<22}{value:>12.3e}" + (f"  (at most {limit:g})" if limit else ""))
        return "\n".join(lines)
