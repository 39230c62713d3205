"""A figure per delivery day, over weeks or a year, with the days marked that were not run as they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from pipelines.report.charts.axes import FloatArray, frame, legend_on_top, unit
from pipelines.report.charts.svg import Chart, canvas
from pipelines.report.charts.theme import C, series_colour, series_style
from pipelines.report.words import number, plain, sentence

#: Beyond so many days a figure is wide, its dots are small, and a marked day is a filled stripe.
MANY_DAYS = 45

#: Marked kinds of days: colour and hatching, so that print in black and white tells them apart too.
_MARKS = {"degraded": ("response", "//"), "failed": ("bad", "xx")}


def day_lines(
    days: Sequence[str],
    series: Mapping[str, FloatArray],
    title: str,
    quantity: str,
    marked: Mapping[str, Sequence[bool]],
) -> Chart:
    """A line with a dot per day; a day without a value leaves a gap.

    days: dates ``YYYY-MM-DD`` in order. series: name to values of shape ``[day]``. marked: ``degraded`` and ``failed`` to a
    flag per day.
    """
    calendar = pd.DatetimeIndex(list(days))
    every = pd.date_range(calendar[0], calendar[-1], freq="D")
    many = len(every) > MANY_DAYS
    width = 900 if many else 500
    with canvas(260, width) as sheet:
        ax = sheet.figure.add_subplot()
        told = []
        for position, (name, values) in enumerate(series.items()):
            on_day = pd.Series(values, calendar).groupby(level=0).last().reindex(every)
            style: dict[str, object] = {"color": series_colour(position), "linestyle": series_style(position)}
            style |= {"marker": "os^D"[position % 4], "markersize": 2 if many else 4, "linewidth": 1.0 if many else 1.8}
            ax.plot(every.to_numpy(), on_day.to_numpy(), label=plain(name), **style)
            known = on_day.dropna()
            if len(known):
                told.append(
                    f"{plain(name)} of {len(known)} days: mean {number(float(known.mean()))}, from "
                    f"{number(float(known.min()))} on {known.idxmin():%d %b %Y} to {number(float(known.max()))} on "
                    f"{known.idxmax():%d %b %Y}"
                )
        half = np.timedelta64(12, "h")
        for kind, flags in marked.items():
            colour, hatch = _MARKS[kind]
            label: str | None = kind
            for day in calendar[np.asarray(flags, dtype=bool)].to_numpy():
                span: dict[str, object] = {"color": C[colour], "alpha": 0.5}
                if not many:
                    span = {"facecolor": "none", "edgecolor": C[colour], "hatch": hatch, "alpha": 0.8}
                ax.axvspan(day - half, day + half, label=label, linewidth=0.0, **span)
                label = None
        ax.set_xlim(every[0].to_numpy() - half, every[-1].to_numpy() + half)
        locator = AutoDateLocator(minticks=3, maxticks=8)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
        ax.set_xlabel(f"delivery day, {every[0]:%d %b %Y} to {every[-1]:%d %b %Y}")
        unit(ax, quantity)
        frame(sheet.figure, left=60, top=legend_on_top(sheet.figure, ax, columns=4))
        return sheet.chart(
            title, sentence("; ".join(told)) + "." if told else "No day has come true yet.", wide=width > 500
        )
