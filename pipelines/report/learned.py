"""Sections on what a model has learned: its source embedding, the importance of its inputs, its attention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.embedding import EmbeddingQuality
from pipelines.report.charts.learned import bars_with_errors, matrix_heatmap, point_map
from pipelines.report.charts.svg import Chart
from pipelines.report.page import Section, Table
from pipelines.report.tables import frame_table
from pipelines.report.words import number, plain

FloatArray = NDArray[np.float64]


def embedding_charts(name: str, quality: EmbeddingQuality) -> list[Chart]:
    """Map of the embeddings of unseen days, with how well they are told apart in its caption."""
    points, share = quality.plane()
    told = (
        f"{quality.segments} segments of days that training never saw. Nearest-centroid accuracy "
        f"{number(quality.nearest_centroid_accuracy, 3)} (chance {number(quality.chance, 3)}), equal error rate "
        f"{number(quality.equal_error_rate, 3)} (chance 0.5). The plane holds {number(100 * share, 2)}% of the variance; "
        "large marks are the centres."
    )
    return [point_map(points, quality.source, f"Embeddings of the sources, {name}", told)]


def embedding_section(qualities: Sequence[tuple[str, EmbeddingQuality]]) -> Section:
    """Maps of the embeddings of each named target, with how well its sources are told apart."""
    return Section(
        "Source embedding",
        "A good encoder tells the sources of unseen days apart: accuracy 1 and equal error rate 0 are perfect.",
        figures=[chart for name, quality in qualities for chart in embedding_charts(name, quality)],
    )


def importance_chart(name: str, table: pd.DataFrame, unit_text: str) -> Chart:
    """Bars of a table of :func:`forecasting.explain.permutation_importance`, largest first."""
    bars = {str(row.group): (float(row.increase), float(row.standard_error)) for row in table.itertuples(index=False)}
    first = table.iloc[0]
    caption = (
        f"Growth of the MAE ({number(float(first['loss']), 3)} {unit_text}) when a group of inputs is taken from other days. "
        f"Most depends on {plain(str(first['group']))}: {number(100 * float(first['share']), 3)}%. "
        "Whiskers: two standard errors over the shuffles."
    )
    return bars_with_errors(bars, f"Importance of the inputs, {name}", f"growth of the MAE, {unit_text}", caption)


def attention_chart(name: str, weights: FloatArray, history_days: int) -> Chart:
    """Heat map of cross attention ``[S, history_days + 1 (+ 24)]``, averaged over days: hours look at days and conditions."""
    days = [f"d-{history_days - k}" for k in range(history_days)]
    conditions = [f"{hour:02d}:00" for hour in range(weights.shape[1] - history_days - 1)]
    steps_per_hour = weights.shape[0] // 24
    hourly = weights.reshape(24, steps_per_hour, -1).mean(axis=1)
    on_history = float(hourly[:, :history_days].sum(axis=1).mean())
    on_day = float(hourly[:, history_days].mean())
    own = float(np.mean([hourly[h, history_days + 1 + h] for h in range(24)])) if conditions else 0.0
    told = (
        f"Of each hour's attention {100 * on_history:.0f}% goes to the days of history, "
        f"{100 * on_day:.0f}% to the delivery day as a whole"
    )
    if conditions:
        told += (
            f" and {100 * (1 - on_history - on_day):.0f}% to what is published for its hours, "
            f"{100 * own:.1f}% to that of the hour itself"
        )
    return matrix_heatmap(
        hourly,
        [f"{hour:02d}:00" for hour in range(24)],
        [*days, "day", *conditions],
        f"What the hours of the delivery day look at, {name}",
        "delivery hour",
        "day of history | delivery day | published for the hour",
        "weight",
        told + ". Weights of the last cross attention, mean over heads and test days.",
        breaks=[history_days, history_days + 1],
    )


def importance_table(name: str, table: pd.DataFrame, unit_text: str) -> Table:
    """The figures behind :func:`importance_chart`."""
    shown = table.rename(columns={"increase": "increase of the MAE"})
    return frame_table(f"Importance of the inputs, {name}, {unit_text}", shown)
