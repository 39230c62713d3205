"""What a model has learned: a map of embeddings, the importance of inputs, what attention looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pipelines.report.charts.axes import frame, legend_on_top, unit
from pipelines.report.charts.heat import colour_bar
from pipelines.report.charts.svg import Chart, canvas
from pipelines.report.charts.theme import TICK_PX, C, series_colour
from pipelines.report.words import number

FloatArray = NDArray[np.float64]

_MARKERS = "os^Dv<>P"


def point_map(points: FloatArray, group: Sequence[str], title: str, caption: str) -> Chart:
    """Points ``[n, 2]`` of several groups on a plane without units; each group has its colour and marker and its mean."""
    names = sorted(set(group))
    member = np.asarray(group)
    with canvas(360) as sheet:
        ax = sheet.figure.add_subplot()
        ax.grid(axis="both")
        for position, name in enumerate(names):
            own = points[member == name]
            marker = _MARKERS[(position + position // 8) % len(_MARKERS)]
            style = {"marker": marker, "linestyle": "none", "color": series_colour(position), "markeredgewidth": 0}
            ax.plot(*own.T, **style, markersize=4, alpha=0.55)
            edge = {**style, "markeredgewidth": 1.2, "markeredgecolor": C["ink"]}
            (centre,) = ax.plot(*own.mean(axis=0), **edge, markersize=10, label=name)
            sheet.hint(centre, f"centre of {name}, {len(own)} segments")
        ax.set_xlabel("first principal component")
        unit(ax, "second principal component")
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6))
        frame(sheet.figure, left=46, top=legend_on_top(sheet.figure, ax, columns=4))
        return sheet.chart(title, caption)


def bars_with_errors(values: Mapping[str, tuple[float, float]], title: str, x_label: str, caption: str) -> Chart:
    """Horizontal bars with whiskers of two standard errors to either side: name to (value, standard error)."""
    names = list(values)
    amounts = np.array([values[name][0] for name in names])
    errors = np.array([values[name][1] for name in names])
    with canvas(66 + 26 * len(names)) as sheet:
        ax = sheet.figure.add_subplot()
        ax.grid(axis="x")
        ax.grid(visible=False, axis="y")
        ax.barh(range(len(names)), amounts, color=C["accent"], height=0.64)
        ax.errorbar(amounts, range(len(names)), xerr=2 * errors, fmt="none", ecolor=C["ink"], elinewidth=1.2, capsize=3)
        for row, (amount, error) in enumerate(zip(amounts, errors, strict=True)):
            ax.annotate(
                number(float(amount), 3), (max(0.0, amount + 2 * error), row), xytext=(6, 0), textcoords="offset points",
                va="center", fontsize=TICK_PX,
            )  # fmt: skip
        ax.axvline(0, color=C["muted"], linewidth=1)
        ax.set_yticks(range(len(names)), names)
        ax.invert_yaxis()
        low, high = ax.get_xlim()
        ax.set_xlim(low, high + 0.14 * (high - low))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
        ax.set_xlabel(x_label)
        frame(sheet.figure, left=18 + 6.6 * max(len(name) for name in names), top=12, right=16)
        told = ", ".join(f"{name} {number(float(a), 3)}" for name, a in zip(names, amounts, strict=True))
        return sheet.chart(title, caption, f"{caption} {told} ({x_label}).")


def matrix_heatmap(
    values: FloatArray,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    row_name: str,
    column_name: str,
    unit_text: str,
    caption: str,
    breaks: Sequence[int] = (),
) -> Chart:
    """A matrix with a cell per row and column; at most twelve names a side; ``breaks`` are columns before which a line runs."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    height = 130 + min(330, 14 * len(rows))
    with canvas(height) as sheet:
        ax = sheet.figure.add_subplot()
        ax.grid(visible=False)
        ax.imshow(values, aspect="auto", interpolation="none", cmap="viridis", vmin=low, vmax=high)
        for at in breaks:
            ax.axvline(at - 0.5, color=C["surface"], linewidth=1.5)
        for names, axis in ((rows, ax.yaxis), (columns, ax.xaxis)):
            shown = range(0, len(names), max(1, -(-len(names) // 12)))
            axis.set_ticks(shown, [names[k] for k in shown])
        ax.tick_params(axis="x", labelrotation=45)
        ax.set_xlabel(column_name)
        frame(sheet.figure, left=min(130, 22 + 6.4 * max(len(name) for name in rows)), top=50, bottom=76)
        sheet.figure.text(0.0, 1 - 16 / height, row_name, fontsize=TICK_PX, color=C["muted"])
        colour_bar(sheet.figure, (0.5, 1 - 20 / height, 0.47, 0.03), "viridis", low, high, unit_text)
        return sheet.chart(title, caption)
