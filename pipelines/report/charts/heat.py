"""Heat maps: one cell per asset and step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipelines.report.charts.axes import TimeAxis, frame
from pipelines.report.charts.svg import Chart, canvas
from pipelines.report.charts.theme import TICK_PX, C
from pipelines.report.words import number


def time_heatmap(
    axis: TimeAxis, values: pd.DataFrame, title: str, unit_text: str, row_name: str, colours: str = "viridis"
) -> Chart:
    """Values with a row per column of ``values`` (an asset) and a cell per step."""
    cells = values.to_numpy(dtype=float).T
    cells = np.where(np.abs(cells) < 1e-6 * np.nanmax(np.abs(cells)), 0.0, cells)  # a solver's zero
    low, high = float(np.nanmin(cells)), float(np.nanmax(cells))
    with canvas(100 + min(330, max(9 * cells.shape[0], 15 * min(16, cells.shape[0])))) as sheet:
        ax = sheet.figure.add_subplot()
        ax.grid(visible=False)
        shown = {"aspect": "auto", "interpolation": "none", "cmap": colours, "origin": "upper"}
        ax.imshow(
            cells, extent=(axis.edges[0], axis.edges[-1], cells.shape[0] - 0.5, -0.5), vmin=low, vmax=high, **shown
        )
        every = max(1, int(np.ceil(cells.shape[0] / 16)))
        rows = np.arange(0, cells.shape[0], every)
        names = [str(values.columns[r]) for r in rows]
        ax.set_yticks(rows, names)
        axis.apply(ax)
        frame(sheet.figure, left=min(130, 22 + 6.4 * max(len(n) for n in names)), top=44)
        sheet.figure.text(
            0.0, 1 - 16 / (sheet.figure.get_size_inches()[1] * 72), row_name, fontsize=TICK_PX, color=C["muted"]
        )
        colour_bar(
            sheet.figure,
            (0.5, 1 - 20 / (sheet.figure.get_size_inches()[1] * 72), 0.47, 0.03),
            colours,
            low,
            high,
            unit_text,
        )
        asset, step = np.unravel_index(int(np.nanargmax(cells)), cells.shape)
        name = str(values.columns[asset])
        highest = name if name.startswith(row_name) else f"{row_name} {name}"
        caption = (
            f"{title}: from {number(low)} to {number(high)} {unit_text}; the highest is {highest} at "
            f"{axis.step_names[step]}; mean {number(float(np.nanmean(cells)))}."
        )
        return sheet.chart(title, caption)


def colour_bar(
    figure: Any,
    box: tuple[float, float, float, float],
    colours: str,
    low: float,
    high: float,
    label: str,
    digits: int = 3,
) -> None:
    """A horizontal scale: ``box`` is left, bottom, width and height as shares of the figure."""
    bar = figure.add_axes(box)
    bar.imshow(np.linspace(0, 1, 64)[None, :], aspect="auto", cmap=colours, interpolation="none", extent=(0, 1, 0, 1))
    bar.grid(visible=False)
    bar.set_yticks([])
    bar.set_xticks([])
    bar.spines[:].set_visible(False)
    bar.text(-0.02, 0.4, number(low, digits), ha="right", va="center", fontsize=TICK_PX, color=C["muted"])
    bar.text(0.0, -0.5, label, ha="left", va="top", fontsize=TICK_PX, color=C["muted"])
    bar.text(1.0, -0.5, number(high, digits), ha="right", va="top", fontsize=TICK_PX, color=C["muted"])
