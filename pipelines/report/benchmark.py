"""The page of a benchmark: every model's scores on every market, beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipelines.report.charts import Chart, bars
from pipelines.report.page import SIMULATED_BANNER, Headline, Page, Section, Table
from pipelines.report.provenance import provenance_section
from pipelines.report.tables import frame_table
from pipelines.report.words import number, plain

#: Scores that are drawn, the first for the ranking, and what they are called; lower is better in each.
DRAWN_SCORES: dict[str, str] = {"mae": "MAE", "rmae": "rMAE (1 is the weekly naive)", "crps": "CRPS"}


def benchmark_page(
    rows: Sequence[Mapping[str, Any]] | pd.DataFrame,
    summary: Mapping[str, Any],
    *,
    published: Sequence[str] = (),
    variants: Sequence[str] = (),
    charts: Sequence[Chart] = (),
    sections: Sequence[Section] = (),
    links: Sequence[tuple[str, str]] = (),
) -> Page:
    """Scores by market or site.

    rows: records with ``market``, ``site`` or ``task``, ``model`` and the scores (``mae``, ``rmae``, ``smape``, ``rmse``,
        ``crps``, ``coverage_90``, ``days``, ``refits``, ``train_seconds``, ``predict_seconds``).
    published: models whose figures are the published ones; bars of all others are in the accent colour.
    variants: models that are parts of another, or another less one part; they are listed after it and not drawn.
    charts: scores by hour of the day, put first; sections: put before the scores.
    """
    table = pd.DataFrame(rows)
    place = next((name for name in ("market", "site", "task") if name in table.columns), "site")
    parts = [Section("By hour of the day", "", charts)] if charts else []
    parts += sections
    headlines = []
    for name, part in table.groupby(place, sort=False) if place in table.columns else []:
        everything = part.sort_values("mae") if "mae" in part.columns else part
        less = everything["model"].isin(list(variants))
        ranked = everything[~less]
        drawn = [
            _score_bars(ranked, score, label, published)
            for score, label in DRAWN_SCORES.items()
            if score in ranked.columns and ranked[score].notna().any()
        ]
        lead = ""
        if "mae" in ranked.columns and ranked["mae"].notna().any():
            best = ranked.iloc[0]
            lead = f"Lowest MAE: {plain(best['model'])} with {number(float(best['mae']))}{_over(best)}."
            headlines.append(Headline(f"Best on {name}", number(float(best["mae"])), "MAE", plain(best["model"])))
        tables = [_scores(f"Scores on {name}", ranked, place)]
        if less.any():
            tables.append(_scores("What each part is worth", everything[less], place))
        parts.append(Section(str(name), lead, drawn, tables))
    parts.append(provenance_section(summary, "UTC"))
    return Page(
        title=f"Benchmark {summary.get('benchmark', '')}".strip(),
        subtitle="Out-of-sample scores; lower is better, except for the coverage, which aims at 0.9.",
        status=summary.get("status", "ok"),
        reasons=[str(reason) for reason in summary.get("reasons", ())],
        banners=[SIMULATED_BANNER] if summary.get("simulated") else [],
        headlines=headlines[:8],
        sections=parts,
        links=links,
    )


def _scores(caption: str, ranked: pd.DataFrame, place: str) -> Table:
    shown = ranked.drop(columns=[place]).dropna(axis=1, how="all")
    return frame_table(caption, shown[["model", *(c for c in shown.columns if c != "model")]])


def _over(best: pd.Series) -> str:
    days = best.get("days")
    return "" if days is None or pd.isna(days) else f", over {int(days)} days"


def _score_bars(ranked: pd.DataFrame, score: str, label: str, published: Sequence[str]) -> Chart:
    values = {
        str(model): float(value) for model, value in zip(ranked["model"], ranked[score], strict=True) if pd.notna(value)
    }
    own = [model for model in values if model not in published] if published else []
    caption = "Blue: computed by this package; grey: published forecasts, scored in the same way." if own else ""
    return bars(values, label, label, caption, own)
