"""What comes out of a market model: set-points, prices offered, money, and the certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd

from dispatch.certificate import Certificate


class ScheduledCase(Protocol):
    """What a schedule takes from its case."""

    name: str
    currency: str
    index: Any

    @property
    def steps(self) -> int: ...
    @property
    def step_hours(self) -> float: ...


class TabledSolution(Protocol):
    """What a schedule takes from the solution of a market."""

    def table(self) -> pd.DataFrame: ...
    def money(self) -> Mapping[str, Mapping[str, float]]: ...


@dataclass(frozen=True, eq=False)
class Schedule:
    """A solved market model.

    Attributes
    ----------
    market, case, variant, method, solver: how the schedule was made.
    currency: unit of money; prices are in ``currency`` per MWh.
    index: start of each step (UTC if the case carries dates, else 0..T-1).
    step_hours: length of a step.
    table: tidy long frame with columns ``step`` (position), ``asset`` (id), ``kind`` (``gas``, ``storage``, ``wind``,
        ``customer``, ``bus``, ``line``, ``grid``, ...), ``quantity`` (field's name with its unit at the end, such as
        ``power_mw``, ``energy_mwh``, ``voltage_pu``, ``subsidy_per_mwh``) and ``value``.
    money: party to item to amount in ``currency`` for the whole horizon; income positive, cost negative.
    objective: the leader's physical profit (maximised) or cost (minimised), never a penalised objective.
    bound: proven bound on ``objective``; gap: their relative distance.
    sense: ``max`` or ``min``.
    certificate: the proof.
    seconds: wall time by phase (``build``, ``solve``, ``certify``).
    extras: further tables by name (convergence, baselines), each a tidy frame.
    notes: what a reader must know (optimistic value, soft limits used), one sentence each.
    status: ``optimal`` (gap closed as asked), or how the solver stopped before: ``feasible`` (bound could not be closed),
        ``time_limit``, ``interrupted``, ``stalled``; the schedule then is the best found and ``gap`` what is proven of it.
    """

    market: str
    case: str
    variant: str
    method: str
    solver: str
    currency: str
    index: pd.Index
    step_hours: float
    table: pd.DataFrame
    money: Mapping[str, Mapping[str, float]]
    objective: float
    bound: float | None
    gap: float | None
    sense: str
    certificate: Certificate
    seconds: Mapping[str, float]
    extras: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    status: str = "optimal"

    @classmethod
    def of(cls, case: ScheduledCase, solution: TabledSolution, **made: Any) -> Schedule:
        """The schedule of a solution: name, currency and steps are its case's, table and money its own.

        ``made`` has the other fields: how it was made, its objective with what is proven of it, certificate and notes.
        """
        return cls(
            case=case.name,
            currency=case.currency,
            index=_utc(case),
            step_hours=case.step_hours,
            table=solution.table(),
            money=solution.money(),
            **made,
        )

    def wide(self, quantity: str, kind: str | None = None) -> pd.DataFrame:
        """Values of one quantity, a row per step and a column per asset."""
        rows = self.table[self.table["quantity"] == quantity]
        if kind is not None:
            rows = rows[rows["kind"] == kind]
        return rows.pivot_table(index="step", columns="asset", values="value", sort=False)

    def __str__(self) -> str:
        verdict = "certified" if self.certificate.passed else "NOT certified"
        gap = f", gap {self.gap:.1e}" if self.gap is not None else ""
        word = "profit" if self.sense == "max" else "cost"
        return f"{self.market} on {self.case} ({self.variant}): {word} {self.objective:,.2f} {self.currency}{gap}, {verdict}"


def _utc(case: ScheduledCase) -> pd.Index:
    """Start of each step: UTC where the case carries dates, else 0..T-1."""
    if case.index is None:
        return pd.RangeIndex(case.steps)
    return case.index if case.index.tz is None else case.index.tz_convert("UTC")
