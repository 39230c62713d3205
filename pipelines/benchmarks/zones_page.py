"""The page and the terminal table of the zones benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipelines.report.charts import bars
from pipelines.report.page import Headline, Page, Section
from pipelines.report.provenance import provenance_section
from pipelines.report.tables import frame_table
from pipelines.report.words import plain

#: Columns of the terminal table.
_SHOWN = ("zone", "mae", "rmae", "reference_mae", "naive_mae", "gain", "dm_p", "coverage_90", "seconds")


def zones_page(table: pd.DataFrame, summary: Mapping[str, Any]) -> Page:
    """Gains over the reference by zone, one row of scores per zone, excluded zones and flaws of the data."""
    reference = str(summary["reference"])
    ranked = table.sort_values("gain", ascending=False)
    gains = {str(zone): 100.0 * float(gain) for zone, gain in zip(ranked["zone"], ranked["gain"], strict=True)}
    excluded = [f"{zone}: {reason}." for zone, reason in summary["excluded"].items()]
    flaws = [f"{zone}: {'; '.join(lines)}." for zone, lines in summary["flaws"].items()]
    sections = [
        Section(
            "Zones",
            f"Lower mean absolute error than {reference} in {summary['beaten']} of {summary['zones']} zones, in "
            f"{summary['beaten_significantly']} of them by the Diebold-Mariano test at 5%.",
            [bars(gains, f"Gain over {reference} in MAE", "%", "Positive: the average is better.")],
            [frame_table("Scores by zone", table.rename(columns=_titles(table, reference)))],
        )
    ]
    if excluded:
        sections.append(Section("Zones that are not scored", text=excluded))
    if flaws:
        sections.append(Section("Flaws of the data", "What the quality rules found, and what was done.", text=flaws))
    sections.append(provenance_section(summary, "UTC"))
    return Page(
        title="Benchmark zones",
        subtitle="Day-ahead prices out of sample; lower is better, except for the coverage, which aims at 0.9.",
        status=summary.get("status", "ok"),
        reasons=[str(reason) for reason in summary.get("reasons", ())],
        headlines=[Headline("Zones beaten", f"{summary['beaten']} of {summary['zones']}", "", f"against {reference}")],
        sections=sections,
    )


def _titles(table: pd.DataFrame, reference: str) -> dict[str, str]:
    named = {f"{name}_mae": f"{plain(name)} MAE" for name in (*_members(table), "naive")}
    return {"reference_mae": f"{reference} MAE", "dm_p": "Diebold-Mariano p", "gain": f"gain over {reference}"} | named


def _members(table: pd.DataFrame) -> list[str]:
    return [str(name).removesuffix("_weight") for name in table.columns if str(name).endswith("_weight")]


def headline(table: pd.DataFrame, record: Mapping[str, Any]) -> str:
    """The table for the terminal, and how many zones are beaten."""
    shown = table[[name for name in _SHOWN if name in table]].rename(
        columns={"reference_mae": f"{record['reference']}_mae"}
    )
    lines = [shown.round(3).to_string(index=False, na_rep="")]
    lines += [f"{zone} is not scored: {reason}" for zone, reason in record["excluded"].items()]
    lines.append(
        f"{record['beaten']} of {record['zones']} zones beat {record['reference']}, "
        f"{record['beaten_significantly']} with p < 0.05; {len(record['flaws'])} zones with flaws in their data (see the page)"
    )
    return "\n".join(lines)
