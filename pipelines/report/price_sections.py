"""Prices that a market's leader offers, beside the tariffs and prices that they must be judged by."""

from __future__ import annotations

import pandas as pd

from pipelines.report.charts import Chart, TimeAxis, time_lines
from pipelines.report.page import Section
from pipelines.report.schedule_view import ScheduleView
from pipelines.report.words import plain, sentence

TITLE = "Prices offered"
PRICE = "price_per_mwh"
#: What the charts of this section draw, as (kind, quantity).
DRAWN = {("park", PRICE), ("tariff", PRICE), ("price", PRICE), ("price", "retail_price_per_mwh")}


def price_section(view: ScheduleView, time_zone: str | None) -> Section | None:
    """Offered prices within their limits, or cleared prices beside fixed ones; ``None`` for a market without either."""
    axis = view.axis(time_zone)
    offered, tariff = view.table("park", PRICE), view.table("tariff", PRICE)
    if offered is not None and tariff is not None:
        charts = [_chart(view, axis, pd.concat([offered, tariff], axis=1), "Prices offered to parks and their limits")]
        return Section(TITLE, _against(offered, tariff), charts)
    cleared, retail = view.table("price", PRICE), view.table("price", "retail_price_per_mwh")
    if cleared is None or retail is None:
        return None
    spot = view.total("grid", "spot_price_per_mwh")
    charts = []
    for energy in cleared.columns:
        columns = {"cleared": cleared[energy], "fixed retail": retail[energy]}
        if energy == "electricity" and spot is not None:
            columns["grid"] = pd.Series(spot, index=cleared.index)
        charts.append(
            _chart(view, axis, pd.DataFrame(columns), f"{sentence(plain(str(energy)))}: cleared and fixed price")
        )
    return Section(TITLE, "", charts)


def _against(offered: pd.DataFrame, tariff: pd.DataFrame) -> str:
    if not {"floor", "ceiling"} <= set(tariff.columns):
        return ""
    parts = []
    for park in offered.columns:
        at_floor = int((offered[park] <= tariff["floor"] * (1 + 1e-6)).sum())
        at_ceiling = int((offered[park] >= tariff["ceiling"] * (1 - 1e-6)).sum())
        parts.append(f"{plain(str(park))}: {at_floor} steps at the floor, {at_ceiling} at the ceiling")
    return f"{sentence('; '.join(parts))}."


def _chart(view: ScheduleView, axis: TimeAxis, table: pd.DataFrame, title: str) -> Chart:
    return time_lines(axis, table, title, "price", f"{view.schedule.currency}/MWh")
