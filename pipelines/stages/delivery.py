"""``plan.json``: the schedule as a control system reads it. The JSON Schema is ``pipelines/plan.schema.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from dispatch.schedule import Schedule
from pipelines.errors import PipelineError
from pipelines.report.words import quantity_unit
from pipelines.stages.night import Night

#: The first number changes when a reader of the old plan would misread the new one, the second when fields are added.
PLAN_VERSION: Literal["1.0"] = "1.0"

SCHEMA_FILE = Path(__file__).resolve().parents[1] / "plan.schema.json"

#: Kinds of rows that are computed states of the network, not orders; they are in ``schedule.parquet``.
STATES = frozenset({"bus", "line"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Profile(_Strict):
    """One quantity of one asset or customer, a value for each step of the plan."""

    asset: str = Field(description="id of the asset, customer or tariff as in the case")
    kind: str = Field(description="what it is: gas, storage, wind, grid, customer, ...")
    quantity: str = Field(description="name of the quantity, with its unit at the end")
    unit: str
    values: list[FiniteFloat]


class PlanCertificate(_Strict):
    """The proof of the plan: every figure that was checked, and the largest value with which it passes."""

    passed: bool
    figures: dict[str, FiniteFloat]
    tolerances: dict[str, FiniteFloat]
    notes: list[str]


class Plan(_Strict):
    """A day's plan. Nothing in it holds outside ``valid_from`` to ``valid_until``."""

    format: Literal["adno-plan"] = "adno-plan"
    version: Literal["1.0"] = PLAN_VERSION
    zone: str
    market: str
    case: str
    variant: str
    currency: str
    delivery_day: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    as_of: AwareDatetime = Field(description="instant at which the plan was decided; nothing later was known to it")
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    step_minutes: int = Field(gt=0)
    steps: list[AwareDatetime] = Field(min_length=1, description="start of each step, UTC")
    status: Literal["ok", "degraded"]
    reasons: list[str] = Field(description="why the plan is degraded, one sentence each")
    simulated: bool = Field(description="made from simulated data: not for use in a plant")
    set_points: list[Profile] = Field(min_length=1)
    prices: list[Profile] = Field(description="prices and subsidies offered, money per MWh")
    objective: FiniteFloat
    gap: FiniteFloat | None = Field(description="proven relative distance from the best plan possible")
    certificate: PlanCertificate
    software_version: str
    config_hash: str
    seed: int

    @model_validator(mode="after")
    def _one_value_per_step(self) -> Plan:
        for profile in (*self.set_points, *self.prices):
            if len(profile.values) != len(self.steps):
                raise ValueError(f"{profile.quantity} of {profile.asset} has {len(profile.values)} values")
        if not self.valid_from < self.valid_until:
            raise ValueError("the plan ends before it begins")
        return self


def plan_of(
    schedule: Schedule, night: Night, *, status: str, reasons: list[str], simulated: bool, provenance: Mapping[str, Any]
) -> Plan:
    """The plan of a certified schedule. Raises ``PipelineError`` for one that is not finite or not whole."""
    certificate = schedule.certificate
    figures = {name: getattr(certificate, name) for name in certificate.tolerances}
    profiles = [
        {
            "asset": str(asset),
            "kind": str(kind),
            "quantity": str(quantity),
            "unit": quantity_unit(str(quantity), schedule.currency),
            "values": rows.sort_values("step")["value"].tolist(),
        }
        for (kind, asset, quantity), rows in schedule.table.groupby(["kind", "asset", "quantity"], sort=False)
        if kind not in STATES
    ]
    step = pd.Timedelta(minutes=night.step_minutes)
    content = {
        "zone": night.zone,
        "market": schedule.market,
        "case": schedule.case,
        "variant": schedule.variant,
        "currency": schedule.currency,
        "delivery_day": night.delivery_day.isoformat(),
        "as_of": night.as_of.to_pydatetime(),
        "valid_from": night.index[0].to_pydatetime(),
        "valid_until": (night.index[-1] + step).to_pydatetime(),
        "step_minutes": night.step_minutes,
        "steps": [stamp.to_pydatetime() for stamp in night.index],
        "status": "ok" if status == "ok" else "degraded",
        "reasons": reasons,
        "simulated": simulated,
        "set_points": [one for one in profiles if not str(one["quantity"]).endswith("_per_mwh")],
        "prices": [one for one in profiles if str(one["quantity"]).endswith("_per_mwh")],
        "objective": schedule.objective,
        "gap": schedule.gap,
        "certificate": {
            "passed": certificate.passed,
            "figures": {name: value for name, value in figures.items() if value is not None},
            "tolerances": certificate.tolerances,
            "notes": list(certificate.notes),
        },
        "software_version": str(provenance["version"]),
        "config_hash": str(provenance["config_hash"]),
        "seed": int(provenance["seed"]),
    }
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        raise PipelineError(f"the schedule cannot be delivered as a plan: {error}") from error


def plan_schema() -> str:
    """The JSON Schema of the plan, as the package ships it."""
    return json.dumps(Plan.model_json_schema(), indent=2) + "\n"
