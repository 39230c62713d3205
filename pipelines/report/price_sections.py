"""Prices that a market's leader offers, beside the tariffs and prices that they must be judged by."""

from __future__ import annotations

import pandas as pd

from pipelines.report.charts import Chart, TimeAxis, time_lines
from pipelines.report.page import Section
from pipelines.report.schedule_view import ScheduleView
from pipelines.report.words import plain, sentence

TITLE = "Prices offered"
PRICE = "price_per_mwh"
#: Names of the prices of the grid above: its sale price, which is the lower, and its purchase price.
GRID = ("grid sale", "grid purchase")
#: A market with a tariff for either direction: the operator's two, and the grid's two that they lie between.
TWO_WAY = ("buy", "sell", "grid buy", "feed-in")
#: What the charts of this section draw, as (kind, quantity).
DRAWN = {("park", PRICE), ("tariff", PRICE), ("price", PRICE), ("price", "retail_price_per_mwh")}


def price_section(view: ScheduleView, time_zone: str | None) -> Section | None:
    """Offered prices within their limits or beside the grid's, or cleared prices beside fixed ones; ``None`` without either."""
    axis = view.axis(time_zone)
    offered, tariff = view.table("park", PRICE), view.table("tariff", PRICE)
    if offered is not None and tariff is not None:
        charts = [_chart(view, axis, pd.concat([offered, tariff], axis=1), "Prices offered to parks and their limits")]
        return Section(TITLE, _against(offered, tariff), charts)
    if tariff is not None and set(TWO_WAY) <= set(tariff.columns):
        return Section(
            TITLE, _two_way(tariff), [_chart(view, axis, tariff, "Tariffs offered and the grid's own around them")]
        )
    cleared, retail = view.table("price", PRICE), view.table("price", "retail_price_per_mwh")
    if cleared is not None and set(GRID) <= set(cleared.columns):
        chart = _chart(view, axis, cleared, "Prices offered to prosumers and those of the grid above")
        return Section(TITLE, _between(cleared), [chart])
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


def _two_way(tariff: pd.DataFrame) -> str:
    """How often the operator passes the grid's tariffs on."""
    buy, sell, dear, cheap = (tariff[name] for name in TWO_WAY)
    bought, sold = int((buy >= dear * (1 - 1e-6)).sum()), int((sell <= cheap * (1 + 1e-6)).sum())
    return (
        f"Whoever buys pays less than the grid asks in {len(tariff) - bought} of {len(tariff)} steps; "
        f"whoever sells gets more than the grid pays in {len(tariff) - sold}."
    )


def _between(prices: pd.DataFrame) -> str:
    """How often each offered price is the grid's own."""
    low, high = (prices[name] for name in GRID)
    parts = []
    for name in prices.columns.drop(list(GRID)):
        at_low = int((prices[name] <= low * (1 + 1e-6)).sum())
        at_high = int((prices[name] >= high * (1 - 1e-6)).sum())
        parts.append(
            f"{plain(str(name))}: {at_low} of {len(prices)} steps at the grid's sale price, {at_high} at its purchase price"
        )
    return f"{sentence('; '.join(parts))}."


def _chart(view: ScheduleView, axis: TimeAxis, table: pd.DataFrame, title: str) -> Chart:
    return time_lines(axis, table, title, "price", f"{view.schedule.currency}/MWh")
