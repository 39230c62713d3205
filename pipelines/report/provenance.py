"""What every figure of a page can be traced to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dispatch.schedule import Schedule
from pipelines.report.page import Section, Table
from pipelines.report.schedule_sections import solution_rows
from pipelines.report.words import figures, instant


def provenance_section(summary: Mapping[str, Any], time_zone: str, schedule: Schedule | None = None) -> Section:
    """What every figure of the page can be traced to."""
    names = {
        "run_id": "Run",
        "command": "Command",
        "version": "Version",
        "config_hash": "Configuration fingerprint",
        "source": "Data source",
        "data_vintage": "Data vintage",
        "seed": "Seed",
        "mode": "Mode",
    }
    rows = [[label, str(summary[key])] for key, label in names.items() if summary.get(key) is not None]
    if summary.get("as_of") is not None:
        rows.append(["Decided as of", instant(summary["as_of"], time_zone)])
    if summary.get("seconds"):
        rows.append(["Seconds by phase", figures(summary["seconds"])])
    rows += solution_rows(schedule) if schedule is not None else []
    return Section(
        "Provenance", "What every figure on this page can be traced to.", tables=[Table("Run", ("What", "Value"), rows)]
    )
