"""Publish a night: tables, the control file, the page, and the record for ``summary.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from dispatch.case import Case
from dispatch.schedule import Schedule
from forecasting.forecast import Forecast
from pipelines.stages.delivery import plan_of
from pipelines.stages.fetch import Fetched
from pipelines.stages.local import LocalArea
from pipelines.stages.monitoring import prometheus_text, status_record
from pipelines.stages.night import Night

if TYPE_CHECKING:
    from pipelines.app import Outcome, Run


#: Files of a published night beside ``summary.json``.
NIGHT_FILES = (
    "forecast.parquet",
    "scenarios.parquet",
    "schedule.parquet",
    "schedule.csv",
    "report.html",
    "plan.json",
    "status.json",
    "status.prom",
)


def schedule_rows(schedule: Schedule) -> pd.DataFrame:
    """The schedule's long table with the time of each step."""
    table = schedule.table.copy()
    table.insert(1, "time", schedule.index[table["step"].to_numpy()])
    return table


def scenario_rows(forecasts: Mapping[str, Forecast]) -> pd.DataFrame:
    """Every joint path: a row per path and step, a column per forecast, values in the forecast's unit."""
    first = next(iter(forecasts.values()))
    index = pd.MultiIndex.from_product([range(len(first.scenarios)), first.index], names=["path", "delivery_utc"])
    columns = {name: forecast.scenarios.ravel() for name, forecast in forecasts.items()}
    return pd.DataFrame(columns, index=index).reset_index()


def dispatch_record(schedule: Schedule) -> dict[str, Any]:
    """What ``summary.json`` says about a schedule."""
    return {
        "market": schedule.market,
        "case": schedule.case,
        "variant": schedule.variant,
        "method": schedule.method,
        "solver": schedule.solver,
        "currency": schedule.currency,
        "objective": schedule.objective,
        "bound": schedule.bound,
        "gap": schedule.gap,
        "money": schedule.money,
        "certificate": schedule.certificate.as_dict(),
        "notes": list(schedule.notes),
        "seconds": schedule.seconds,
    }


def forecast_record(forecasts: Mapping[str, Forecast], fallbacks: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What ``summary.json`` says about the forecasts, by name; ``fallbacks``: why one is not by the configured model."""
    return {
        name: {
            "target": forecast.target,
            "zone": forecast.zone,
            "unit": forecast.unit,
            "model": forecast.model_id,
            "fallback": (fallbacks or {}).get(name) or None,
            "simulated": forecast.simulated,
            "mean": float(forecast.mean.mean()),
            "low": float(forecast.mean.min()),
            "high": float(forecast.mean.max()),
            "steps": len(forecast.index),
            "paths": len(forecast.scenarios),
        }
        for name, forecast in forecasts.items()
    }


def publish_night(
    run: Run,
    night: Night,
    outcome: Outcome,
    forecasts: Mapping[str, Forecast],
    known: Mapping[str, pd.DataFrame],
    case: Case,
    schedule: Schedule,
    fetched: Fetched,
    area: LocalArea,
    fallbacks: Mapping[str, str] | None = None,
    forecasters: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Write every file of the night but ``summary.json``, and fill the outcome's record; returns the status record."""
    from pipelines.report.nightly import nightly_page
    from pipelines.report.page import render
    from pipelines.stages.pages import network_view

    outcome.record = {
        "delivery_day": night.delivery_day.isoformat(),
        "as_of": night.as_of,
        "mode": str(night.mode),
        "zone": night.zone,
        "source": area.source.name,
        "simulated": area.source.simulated,
        "inputs": fetched.records,
        "forecast": forecast_record(forecasts, fallbacks),
        "forecasters": forecasters or {},
        "dispatch": dispatch_record(schedule),
    }
    summary = {**run.provenance(), "status": outcome.status, "reasons": outcome.reasons, "seconds": run.phases.seconds}
    page = nightly_page(
        forecasts,
        known,
        schedule,
        summary={**summary, **outcome.record},
        market_time_zone=night.market_time_zone,
        links=[(name, name) for name in ("schedule.csv", "plan.json", "status.json")],
        **network_view(case, schedule),
    )
    rows = schedule_rows(schedule)
    delivered = plan_of(
        schedule,
        night,
        status=outcome.status,
        reasons=outcome.reasons,
        simulated=area.source.simulated or bool(fetched.simulated),
        provenance=run.provenance(),
    )
    status = status_record(night, outcome.status, outcome.reasons, run.phases.seconds, forecasters)
    with run.folder.together() as folder:
        folder.frame(
            "forecast.parquet", pd.concat([forecast.to_frame() for forecast in forecasts.values()]).reset_index()
        )
        folder.frame("scenarios.parquet", scenario_rows(forecasts))
        folder.frame("schedule.parquet", rows)
        folder.frame("schedule.csv", rows)
        folder.text("report.html", render(page))
        folder.text("plan.json", delivered.model_dump_json(indent=2) + "\n")
        folder.record("status.json", status)
        folder.text("status.prom", prometheus_text(night, status, schedule.objective))
    outcome.headline = f"{night}\n{schedule}\nreport: {run.folder.path / 'report.html'}"
    return status
