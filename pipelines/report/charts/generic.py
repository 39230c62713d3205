"""Charts that any market, training run or benchmark can use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from pipelines.report.charts.axes import TimeAxis, frame, legend_on_top, steps, unit
from pipelines.report.charts.svg import Chart, canvas
from pipelines.report.charts.theme import TICK_PX, C, series_colour, series_style
from pipelines.report.words import number, plain

FloatArray = NDArray[np.float64]
MOST_LINES = 8

#: An axis is written on at its points where there are so many at most, none nearer than this share of the axis.
MOST_TICKS = 12
NEAREST_TICKS = 0.06

#: Longer names are cut where they stand beside a row.
MOST_LETTERS = 32


def time_lines(axis: TimeAxis, values: pd.DataFrame, title: str, quantity: str, unit_text: str) -> Chart:
    """A step line per column; beyond eight columns the range, the mean and nothing else."""
    with canvas() as sheet:
        ax = sheet.figure.add_subplot()
        table = values.to_numpy(dtype=float)
        if table.shape[1] > MOST_LINES:
            low, high = np.nanmin(table, axis=1), np.nanmax(table, axis=1)
            for position, line in enumerate((low, np.nanmean(table, axis=1), high)):
                name = ("lowest", "mean", "highest")[position]
                steps(ax, axis.edges, line, color=series_colour(position), label=f"{name} of {table.shape[1]}")
        else:
            for position, name in enumerate(values):
                style = {"color": series_colour(position), "linestyle": ("-", "--", "-.", ":")[position % 4]}
                steps(ax, axis.edges, table[:, position], label=plain(name), **style)
        if ax.get_ylim()[0] < 0 < ax.get_ylim()[1]:
            ax.axhline(0, color=C["muted"], linewidth=1)
        axis.apply(ax)
        unit(ax, ", ".join(part for part in (quantity, unit_text) if part))
        frame(sheet.figure, left=52, top=legend_on_top(sheet.figure, ax, columns=4))
        caption = f"From {number(float(np.nanmin(table)))} to {number(float(np.nanmax(table)))} {unit_text}".strip()
        return sheet.chart(title, f"{caption}, mean {number(float(np.nanmean(table)))}.")


def lines(
    x: FloatArray,
    series: Mapping[str, FloatArray],
    title: str,
    x_label: str,
    y_label: str,
    caption: str,
    *,
    log_y: bool = False,
) -> Chart:
    """Lines over any number axis, each with a marker per point; NaN leaves a gap."""
    with canvas() as sheet:
        ax = sheet.figure.add_subplot()
        for position, (name, values) in enumerate(series.items()):
            style = {"color": series_colour(position), "linestyle": series_style(position), "markersize": 3.5}
            label = plain(name) if len(series) > 1 else None  # the axis names a line that is alone
            ax.plot(x, values, marker="os^Dv"[position % 5], label=label, **style)
        if log_y:
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())
        if len(x) <= MOST_TICKS and len(x) > 1 and np.diff(x).min() > NEAREST_TICKS * np.ptp(x):
            ax.set_xticks(x, [f"{value:g}" for value in x])
        else:
            ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=bool(np.equal(np.mod(x, 1), 0).all())))
        ax.set_xlabel(x_label)
        unit(ax, y_label + (", logarithmic" if log_y else ""))
        frame(sheet.figure, left=56, top=legend_on_top(sheet.figure, ax, columns=min(4, max(1, len(series)))))
        return sheet.chart(title, caption)


def convergence(table: pd.DataFrame, title: str = "Convergence", caption: str = "") -> Chart:
    """Numeric columns against the first one (a round, a call count); positive values over two decades are drawn in logarithms."""
    numeric = table.select_dtypes("number")
    x_name, *names = [str(c) for c in numeric.columns]
    positive = numeric[names].to_numpy(dtype=float)
    positive = positive[np.isfinite(positive)]
    log_y = bool(len(positive) and positive.min() > 0 and positive.max() > 100 * positive.min())
    series = {name: numeric[name].to_numpy(dtype=float) for name in names}
    last = ", ".join(f"{plain(name)} {number(values[-1])}" for name, values in series.items())
    told = caption or f"After {number(numeric[x_name].iloc[-1])} {plain(x_name)}: {last}."
    return lines(numeric[x_name].to_numpy(dtype=float), series, title, plain(x_name), "value", told, log_y=log_y)


def learning_curve(x: FloatArray, losses: Mapping[str, FloatArray], x_label: str, kept_at: float | None) -> Chart:
    """Training and validation loss, with the point whose weights were kept; NaN where a loss was not taken.

    x: step or epoch, shape ``[point]``; losses: name to values of the same shape.
    """
    with canvas() as sheet:
        ax = sheet.figure.add_subplot()
        for position, (name, values) in enumerate(losses.items()):
            taken = np.isfinite(values)
            style = {"color": series_colour(position), "linestyle": series_style(position)}
            ax.plot(x[taken], values[taken], label=plain(name), **style)
        if kept_at is not None:
            ax.axvline(kept_at, color=C["muted"], linestyle=":", label="weights kept")
        ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        ax.set_xlabel(x_label)
        unit(ax, "loss")
        frame(sheet.figure, left=56, top=legend_on_top(sheet.figure, ax))
        ends = ", ".join(
            f"{plain(n)} {number(float(v[np.isfinite(v)][-1]))}" for n, v in losses.items() if np.isfinite(v).any()
        )
        kept = f" The weights at {x_label} {kept_at:,.0f} were kept." if kept_at is not None else ""
        return sheet.chart("Learning curve", f"At the end: {ends}.{kept}")


def bars(
    values: Mapping[str, float], title: str, x_label: str, caption: str = "", highlight: Sequence[str] = ()
) -> Chart:
    """Horizontal bars, one per name, each with its figure; the ones not in ``highlight``, if given, are grey."""
    names = list(values)
    with canvas(66 + 26 * len(names)) as sheet:
        ax = sheet.figure.add_subplot()
        ax.grid(axis="x")
        ax.grid(visible=False, axis="y")
        amounts = np.array([values[n] for n in names], dtype=float)
        colours = [C["accent"] if n in highlight or not highlight else C["muted"] for n in names]
        ax.barh(range(len(names)), np.nan_to_num(amounts), color=colours, height=0.64)
        for row, amount in enumerate(amounts):
            ax.annotate(
                number(float(amount)), (max(float(np.nan_to_num(amount)), 0.0), row), xytext=(5, 0), textcoords="offset points",
                va="center", fontsize=TICK_PX,
            )  # fmt: skip
        ax.axvline(0, color=C["muted"], linewidth=1)
        ax.set_yticks(range(len(names)), [plain(n)[:MOST_LETTERS] for n in names])
        ax.invert_yaxis()
        low, high = ax.get_xlim()
        ax.set_xlim(low, high + 0.12 * (high - low))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
        ax.set_xlabel(x_label)
        frame(sheet.figure, left=_label_room(names), top=12, right=16)
        told = ", ".join(f"{plain(n)} {number(float(a))}" for n, a in zip(names, amounts, strict=True))
        return sheet.chart(title, caption or f"{told} ({x_label}).", f"{caption} {told} ({x_label}).".strip())


def estimates(values: Mapping[str, tuple[float, float, float]], title: str, x_label: str, caption: str = "") -> Chart:
    """A point with its interval for each name: the estimate and the interval's two ends."""
    names, table = list(values), np.array(list(values.values()), dtype=float)
    with canvas(66 + 26 * len(names)) as sheet:
        ax = sheet.figure.add_subplot()
        ax.grid(axis="x")
        ax.grid(visible=False, axis="y")
        rows = np.arange(len(names))
        ax.hlines(rows, table[:, 1], table[:, 2], color=C["muted"], linewidth=2)
        ax.plot(table[:, 0], rows, "o", color=C["accent"], markersize=6)
        for row, (value, _, high) in zip(rows, table, strict=True):
            ax.annotate(
                number(float(value)), (float(np.nanmax([value, high])), row), xytext=(6, 0), textcoords="offset points",
                va="center", fontsize=TICK_PX,
            )  # fmt: skip
        ax.set_yticks(rows, [plain(name)[:MOST_LETTERS] for name in names])
        ax.set_ylim(len(names) - 0.5, -0.5)
        low, high = ax.get_xlim()
        ax.set_xlim(low, high + 0.14 * (high - low))
        if low < 0 < high:
            ax.axvline(0, color=C["muted"], linewidth=1)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
        ax.set_xlabel(f"{x_label} (line: 95% interval)")
        frame(sheet.figure, left=_label_room(names), top=12, right=16)
        told = ", ".join(
            f"{plain(name)} {number(value)} ({number(low)} to {number(high)})"
            for name, (value, low, high) in values.items()
        )
        return sheet.chart(title, caption, f"{caption} {told} ({x_label}).".strip())


def _label_room(names: Sequence[str]) -> float:
    """Margin in pixels that holds the longest name."""
    return 18 + 6.6 * max(min(len(plain(name)), MOST_LETTERS) for name in names)


def scatter(
    x: FloatArray, y: FloatArray, title: str, x_label: str, y_label: str, caption: str, *, diagonal: bool = False
) -> Chart:
    """Points; with ``diagonal`` also the line where both are equal."""
    with canvas(320) as sheet:
        ax = sheet.figure.add_subplot()
        ax.grid(axis="both")
        ax.plot(x, y, "o", color=C["accent"], alpha=0.6, markersize=4, markeredgewidth=0)
        if diagonal:
            ends = [float(min(np.min(x), np.min(y))), float(max(np.max(x), np.max(y)))]
            ax.plot(ends, ends, color=C["muted"], linewidth=1, linestyle="--")
        ax.set_xlabel(x_label)
        unit(ax, y_label)
        frame(sheet.figure, left=56, top=30)
        return sheet.chart(title, caption)


def histogram(
    values: FloatArray, title: str, x_label: str, caption: str, marks: Mapping[str, float] | None = None
) -> Chart:
    """How often each value occurs, with named marks (a mean, an interval's ends)."""
    with canvas() as sheet:
        ax = sheet.figure.add_subplot()
        counts, edges = np.histogram(values, bins=min(40, max(8, int(np.sqrt(len(values))))))
        ax.stairs(counts, edges, fill=True, color=C["grid"], alpha=0.75, linewidth=0, label="realisations")
        for position, (name, mark) in enumerate((marks or {}).items()):
            style: Any = {
                "color": (C["gas"], C["ink"], C["storage"])[position % 3],
                "linestyle": ("-", "--", ":")[position % 3],
            }
            ax.axvline(mark, label=name, **style)
        ax.set_xlabel(x_label)
        unit(ax, "realisations per bin")
        frame(sheet.figure, left=52, top=legend_on_top(sheet.figure, ax, columns=4))
        return sheet.chart(title, caption)
