"""Money by item, from the first amount to the total."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.ticker import FuncFormatter, MaxNLocator

from pipelines.report.charts.axes import frame
from pipelines.report.charts.svg import Chart, canvas
from pipelines.report.charts.theme import TICK_PX, C
from pipelines.report.words import amount, money, number, plain


def money_waterfall(items: Mapping[str, float], currency: str, title: str, total_name: str = "total") -> Chart:
    """Income and cost items as steps from zero to their sum; the largest income first, then the costs by size."""
    ordered = sorted(items.items(), key=lambda item: (item[1] < 0, -abs(item[1])))
    total = sum(items.values())
    names = [*(plain(name) for name, _ in ordered), total_name]
    with canvas(70 + 30 * len(names)) as sheet:
        ax = sheet.figure.add_subplot()
        ax.grid(axis="x")
        ax.grid(visible=False, axis="y")
        reached = 0.0
        for row, (_, value) in enumerate(ordered):
            colour = C["good"] if value >= 0 else C["gas"]
            ax.barh(row, value, left=reached, color=colour, height=0.62)
            reached += value
            ax.plot([reached, reached], [row - 0.31, row + 1.31], color=C["muted"], linewidth=1)
            _write(ax, max(reached, reached - value), row, value)
        ax.barh(len(ordered), total, color=C["accent"], height=0.62)
        _write(ax, max(total, 0.0), len(ordered), total, weight="bold")
        ax.axvline(0, color=C["muted"], linewidth=1)
        ax.set_yticks(range(len(names)), names)
        ax.invert_yaxis()
        left, right = ax.get_xlim()
        ax.set_xlim(left, right + 0.16 * (right - left))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(float(value))))
        ax.set_xlabel(f"{currency} over the horizon")
        frame(sheet.figure, left=18 + 6.6 * max(len(n) for n in names), top=12, right=16)
        listed = ", ".join(f"{plain(name)} {money(value, currency)}" for name, value in ordered)
        income = sum(value for value in items.values() if value > 0)
        result = f"{total_name} {money(total, currency)}."
        caption = f"Income {money(income, currency)}, costs {money(income - total, currency)}: {result}"
        return sheet.chart(title, caption, f"{listed}: {result}")


def _write(ax: Any, x: float, row: int, value: float, weight: str = "normal") -> None:
    style = {"va": "center", "fontsize": TICK_PX, "fontweight": weight}
    ax.annotate(amount(value, "")[0], (x, row), xytext=(5, 0), textcoords="offset points", **style)
