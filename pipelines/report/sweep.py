"""The page of a sweep: one figure per result over what was varied, every job, and the jobs that failed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipelines.report.charts import Chart, bars, lines
from pipelines.report.page import Headline, Page, Section, Table
from pipelines.report.tables import frame_table
from pipelines.report.words import level, number, plain, sentence


def sweep_page(
    rows: pd.DataFrame, *, folder: str, x: str, y: Sequence[str], keys: Sequence[str] = (), currency: str = ""
) -> Page:
    """Results of all jobs of a multirun.

    rows: a row per job with ``job``, ``status``, ``reason``, the overrides and the leaves of the summaries.
    folder: where the jobs are, for the title. x: column for the horizontal axis. y: columns to draw. keys: what else
    differs between the jobs.
    """
    keys = list(dict.fromkeys([x, *keys]))
    done, failed = rows[rows["status"] != "failed"], rows[rows["status"] == "failed"]
    degraded = int((rows["status"] == "degraded").sum())
    sections = [Section("Results", f"By {plain(x)}, over the {len(done)} jobs that finished.", _charts(done, x, y))]
    if len(failed):
        table = Table(
            "Failed jobs",
            ("Job", *(sentence(plain(key)) for key in keys), "Reason"),
            [[str(r["job"]), *(str(r[key]) for key in keys), str(r["reason"])] for _, r in failed.iterrows()],
        )
        sections.append(Section("Failed jobs", f"{len(failed)} of {len(rows)} jobs failed.", tables=[table]))
    shown = rows[list(dict.fromkeys(["job", "status", *keys, *y]))].copy()
    for key in keys:
        shown[key] = [level(value) for value in shown[key]]
    sections.append(Section("Jobs", "", tables=[frame_table("Every job of the sweep", shown, currency, rows=500)]))
    reasons = [f"job {row['job']} failed: {row['reason']}" for _, row in failed.head(10).iterrows()]
    if len(failed) > 10:
        reasons.append(f"{len(failed) - 10} more jobs failed; all are listed below")
    simulated = any(
        name in rows.columns and rows[name].isin([True]).any() for name in ("simulated", "simulated_in_part")
    )
    return Page(
        title="Sweep",
        subtitle=folder,
        status="degraded" if len(failed) else "ok",
        reasons=reasons,
        banners=["This page shows simulated data, at least in part."] if simulated else [],
        headlines=[
            Headline("Jobs", number(len(rows)), "", f"{degraded} degraded" if degraded else "none degraded"),
            Headline("Failed", number(len(failed)), "", "", "bad" if len(failed) else "good"),
        ],
        sections=sections,
        links=[("collected.csv", "collected.csv"), ("collected.parquet", "collected.parquet")],
    )


def _charts(done: pd.DataFrame, x: str, y: Sequence[str]) -> list[Chart]:
    charts = []
    for name in y:
        part = done.dropna(subset=[x, name])
        if part.empty or not pd.api.types.is_numeric_dtype(part[name]):
            continue
        title = f"{sentence(plain(name))} by {plain(x)}"
        if pd.api.types.is_numeric_dtype(part[x]) and part[x].nunique() > 1:
            mean = part.groupby(x)[name].mean()
            low, high = mean.idxmin(), mean.idxmax()
            repeated = " Jobs with the same value are averaged." if len(mean) < len(part) else ""
            ends = [f"{number(float(mean[at]))} at {number(float(at))}" for at in (low, high)]
            caption = f"Lowest {ends[0]}, highest {ends[1]}."
            series = {name: mean.to_numpy(dtype=float)}
            charts.append(
                lines(mean.index.to_numpy(dtype=float), series, title, plain(x), plain(name), caption + repeated)
            )
        else:
            means = part.groupby(part[x].astype(str), sort=False)[name].mean()
            charts.append(bars({str(k): float(v) for k, v in means.items()}, title, plain(name)))
    return charts
