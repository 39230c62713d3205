"""A probabilistic forecast beside what was known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.report.charts.axes import TimeAxis, frame, legend_on_top, step_band, steps, unit
from pipelines.report.charts.svg import Chart, canvas
from pipelines.report.charts.theme import C
from pipelines.report.words import number

FloatArray = NDArray[np.float64]

#: How each known series is drawn: label, line style, colour.
KNOWN_STYLES: dict[str, tuple[str, str, str]] = {
    "actual": ("actual", "-", "ink"),
    "iso_forecast": ("operator's forecast", "--", "gas"),
    "last_week": ("a week before", ":", "muted"),
}


def forecast_fan(
    title: str,
    axis: TimeAxis,
    mean: FloatArray,
    levels: tuple[float, ...],
    quantiles: FloatArray,
    known: Mapping[str, FloatArray],
    quantity: str,
    unit_text: str,
) -> Chart:
    """Mean and central intervals of a forecast, with what was known at the time and what came, if it has come.

    mean: shape ``[step]``; quantiles: shape ``[step, level]``; known: name to values of shape ``[step]``, NaN where
    missing (``actual``, ``iso_forecast`` and ``last_week`` have their own look).
    """
    with canvas() as sheet:
        ax = sheet.figure.add_subplot()
        bands = central_bands(levels)
        for (low, high), alpha in zip(bands, (0.18, 0.30, 0.42), strict=False):
            share = round(100 * (levels[high] - levels[low]))
            style = {"color": C["accent"], "alpha": alpha, "label": f"{share}% interval"}
            step_band(ax, axis.edges, quantiles[:, low], quantiles[:, high], **style)
        steps(ax, axis.edges, mean, color=C["accent"], label="forecast", linewidth=2.2)
        for position, (name, values) in enumerate(known.items()):
            label, style_name, colour = KNOWN_STYLES.get(
                name, (name.replace("_", " "), "-.", ("wind", "storage")[position % 2])
            )
            steps(ax, axis.edges, values, color=C[colour], linestyle=style_name, linewidth=1.5, label=label)
        if mean.min() < 0 < mean.max():
            ax.axhline(0, color=C["muted"], linewidth=1)
        axis.apply(ax)
        unit(ax, f"{quantity}, {unit_text}")
        frame(sheet.figure, top=legend_on_top(sheet.figure, ax, columns=4))
        caption = _caption(axis, mean, levels, quantiles, bands, known, unit_text)
        return sheet.chart(title, caption)


def central_bands(levels: tuple[float, ...]) -> list[tuple[int, int]]:
    """Positions of the lower and upper level of at most three central intervals, the widest first.

    Of the symmetric pairs of levels those nearest to 98, 90 and 50% coverage are kept.
    """
    pairs = [
        (low, high)
        for low, level in enumerate(levels)
        for high in range(low + 1, len(levels))
        if abs(level + levels[high] - 1) < 1e-6
    ]
    if len(pairs) <= 2:
        return pairs
    coverage = [levels[high] - levels[low] for low, high in pairs]
    wanted = sorted({int(np.argmin([abs(c - goal) for c in coverage])) for goal in (0.98, 0.9, 0.5)})
    return [pairs[k] for k in wanted]


def _caption(
    axis: TimeAxis,
    mean: FloatArray,
    levels: tuple[float, ...],
    quantiles: FloatArray,
    bands: list[tuple[int, int]],
    known: Mapping[str, FloatArray],
    unit_text: str,
) -> str:
    top, bottom = int(mean.argmax()), int(mean.argmin())
    text = (
        f"Mean {number(mean.mean())} {unit_text}; highest {number(mean[top])} at {axis.step_names[top]}, "
        f"lowest {number(mean[bottom])} at {axis.step_names[bottom]}."
    )
    actual = known.get("actual")
    if actual is None or np.isnan(actual).all():
        return text
    seen = ~np.isnan(actual)
    error = float(np.abs(actual - mean)[seen].mean())
    text += f" Mean absolute error against what came: {number(error)} {unit_text}"
    if bands:
        low, high = bands[0]
        inside = (actual >= quantiles[:, low]) & (actual <= quantiles[:, high])
        share = round(100 * (levels[high] - levels[low]))
        text += f"; {int(inside[seen].sum())} of {int(seen.sum())} steps inside the {share}% interval"
    return text + "."


def aligned(known: pd.DataFrame | None, index: pd.DatetimeIndex) -> dict[str, Any]:
    """Columns of ``known`` on the forecast's steps; a column with no value there is left out."""
    if known is None:
        return {}
    table = known.reindex(index)
    return {str(name): table[name].to_numpy(dtype=float) for name in table if table[name].notna().any()}
