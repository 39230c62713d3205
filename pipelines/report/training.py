"""The page of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from forecasting.embedding import EmbeddingQuality
from pipelines.report.charts import Chart, learning_curve
from pipelines.report.learned import embedding_section
from pipelines.report.page import SIMULATED_BANNER, Headline, Page, Section
from pipelines.report.provenance import provenance_section
from pipelines.report.tables import frame_table
from pipelines.report.words import number, plain, sentence


def training_page(
    summary: Mapping[str, Any],
    metrics: pd.DataFrame,
    *,
    scores: pd.DataFrame | None = None,
    embedding: EmbeddingQuality | None = None,
    links: Sequence[tuple[str, str]] = (),
) -> Page:
    """Learning curve and scores of one trained forecaster.

    summary: ``summary.json``; ``model``, ``target`` and ``zone`` name the page where they are there.
    metrics: a row per record, with ``epoch`` or ``step`` and columns ending in ``_loss``, NaN where one was not taken.
    scores: scores on the validation days, a row per model or target. embedding: how well the source encoder does on them.
    """
    sections = []
    headlines = []
    charts: list[Chart] = []
    losses = [str(name) for name in metrics.columns if str(name).endswith("_loss")]
    at = "epoch" if "epoch" in metrics.columns else "step"
    if losses and at in metrics.columns:
        table = metrics.groupby(at, sort=True)[losses].mean()
        judged = "valid_loss" if "valid_loss" in losses else losses[0]
        kept = float(table[judged].idxmin()) if table[judged].notna().any() else None
        curves = {name: table[name].to_numpy(dtype=float) for name in losses}
        charts.append(learning_curve(table.index.to_numpy(dtype=float), curves, at, kept))
        if kept is not None:
            headlines.append(
                Headline(f"Best {plain(judged)}", number(float(table[judged].min())), "", f"at {at} {kept:,.0f}")
            )
    lead = "" if charts else "This model is fitted in one step; there is no learning curve."
    tables = [frame_table("Records of the training", metrics)] if len(metrics) else []
    sections.append(Section("Learning", lead, charts, tables))
    if scores is not None and len(scores):
        sections.append(
            Section(
                "Scores",
                "On the validation days: the fit did not learn from them, they chose the weights that are kept.",
                tables=[frame_table("Scores", scores)],
            )
        )
    if embedding is not None:
        sections.append(embedding_section([(str(summary.get("target", "")), embedding)]))
    sections.append(provenance_section(summary, "UTC"))
    name = plain(str(summary.get("model", "forecaster")))
    place = ", ".join(str(summary[key]) for key in ("target", "zone") if summary.get(key))
    return Page(
        title=f"Training of {name}",
        subtitle=sentence(place),
        status=summary.get("status", "ok"),
        reasons=[str(reason) for reason in summary.get("reasons", ())],
        banners=[SIMULATED_BANNER] if summary.get("simulated") else [],
        headlines=headlines,
        sections=sections,
        links=links,
    )
