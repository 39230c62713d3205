"""The page of one solved market model, whichever it is: every quantity of its tables, its money and its certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dispatch.schedule import Schedule
from pipelines.report.certificate_words import certificate_headline
from pipelines.report.charts import Chart, TimeAxis, bars, time_heatmap, time_lines
from pipelines.report.extra_sections import extra_sections, losers_of
from pipelines.report.page import SIMULATED_BANNER, Headline, Page, Section, Table
from pipelines.report.price_sections import DRAWN as PRICES_DRAWN
from pipelines.report.price_sections import TITLE as PRICES_TITLE
from pipelines.report.price_sections import price_section
from pipelines.report.provenance import provenance_section
from pipelines.report.schedule_sections import (
    Asset,
    certificate_section,
    dispatch_section,
    money_section,
    network_section,
    response_section,
    storage_section,
)
from pipelines.report.schedule_view import ScheduleView
from pipelines.report.words import MARKET_NAMES, amount, money, number, plain, quantity_name, quantity_unit, sentence

#: What the sections on dispatch, storage, response and network draw, by the title of the section.
DRAWN_ELSEWHERE: dict[str, set[tuple[str, str]]] = {
    "Dispatch": {
        ("grid", "import_mw"),
        ("grid", "spot_price_per_mwh"),
        ("gas", "power_mw"),
        ("wind", "power_mw"),
        ("pv", "power_mw"),
        ("storage", "charge_mw"),
        ("storage", "discharge_mw"),
    },
    "Storage": {("storage", "energy_mwh"), ("storage", "charge_mw"), ("storage", "discharge_mw")},
    "Subsidies and response": {("customer", "subsidy_per_mwh"), ("customer", "flexible_mw")},
    "Network": {("bus", "voltage_pu")},
    PRICES_TITLE: PRICES_DRAWN,
}

MOST_CHARTS = 30
SMALLEST_DRAWN = 1e-7


def optimize_page(
    schedule: Schedule,
    summary: Mapping[str, Any] | None = None,
    *,
    baseline: Mapping[str, Mapping[str, float]] | None = None,
    feeder: Any | None = None,
    assets: Sequence[Asset] = (),
    voltage_limits_pu: tuple[float, float] | None = None,
    market_time_zone: str | None = None,
    links: Sequence[tuple[str, str]] = (),
) -> Page:
    """Everything in a schedule of any market model.

    A market with a grid connection, stores, a feeder or subsidies gets the sections that the nightly page has for them;
    every other quantity gets a chart in the section of its kind; further tables (convergence, baselines) follow.
    ``baseline`` is the money (party to item to amount) of the plan that this one is compared with.
    Times are shown in ``market_time_zone``; a case without dates counts its hours.
    """
    record = {"status": "ok", **(summary or {})}
    view = ScheduleView(schedule)
    standard = [
        price_section(view, market_time_zone),
        dispatch_section(view, market_time_zone, _spot(view)) if view.supply_mw() else None,
        storage_section(view, market_time_zone),
        response_section(view, market_time_zone),
        network_section(view, market_time_zone, feeder, assets, voltage_limits_pu),
    ]
    sections = [section for section in standard if section is not None]
    drawn = set().union(*(DRAWN_ELSEWHERE[section.title] for section in sections))
    sections += kind_sections(view, market_time_zone, drawn)
    sections.append(money_section(view))
    if baseline is not None:
        sections.append(baseline_section(schedule, baseline))
    sections += [*extra_sections(schedule), certificate_section(schedule)]
    sections += [quantities_section(schedule), provenance_section(record, market_time_zone or "UTC", schedule)]
    word = "Profit" if schedule.sense == "max" else "Cost"
    gap = "" if schedule.gap is None else f"gap {schedule.gap:.1e}"
    seconds = number(float(sum(schedule.seconds.values())), 3)
    return Page(
        title=f"{MARKET_NAMES.get(schedule.market, sentence(plain(schedule.market)))}: {schedule.case}",
        subtitle=f"variant {plain(schedule.variant)}, method {plain(schedule.method)}, solved by {schedule.solver}",
        status=record["status"],
        reasons=[str(reason) for reason in record.get("reasons", ())],
        banners=[SIMULATED_BANNER] if record.get("simulated") else [],
        headlines=[
            certificate_headline(schedule.certificate),
            Headline(word, *amount(schedule.objective, schedule.currency), gap),
            Headline("Solution time", seconds, "s", ", ".join(schedule.seconds)),
        ],
        sections=sections,
        links=links,
    )


def kind_sections(view: ScheduleView, time_zone: str | None, drawn: set[tuple[str, str]]) -> list[Section]:
    """A section per kind, with a chart per quantity that no other section has drawn."""
    axis = view.axis(time_zone)
    pairs = view.schedule.table[["kind", "quantity"]].drop_duplicates()
    sections = []
    room = MOST_CHARTS
    for kind, group in pairs.groupby("kind", sort=False):
        charts = [
            chart
            for quantity in [q for q in group["quantity"] if (kind, q) not in drawn][:room]
            if (chart := quantity_chart(view, axis, str(kind), str(quantity))) is not None
        ]
        room -= len(charts)
        if charts:
            sections.append(Section(sentence(plain(str(kind))), "", charts))
    return sections


def quantity_chart(view: ScheduleView, axis: TimeAxis, kind: str, quantity: str) -> Chart | None:
    """Lines for up to eight assets, a heat map for more and for states; nothing for one constant or rounding around it."""
    table = view.table(kind, quantity)
    if table is None:
        return None
    values = np.nan_to_num(table.to_numpy(dtype=float))
    if np.ptp(values) < SMALLEST_DRAWN:
        return None
    unit = quantity_unit(quantity, view.schedule.currency)
    title = f"{sentence(plain(kind))}: {quantity_name(quantity)}" + (f", {unit}" if unit else "")
    if not unit and np.isin(values, (0.0, 1.0)).all():
        return time_heatmap(axis, table, title, "0 no, 1 yes", plain(kind))
    if len(table.columns) > 8:
        return time_heatmap(axis, table, title, unit or quantity_name(quantity), plain(kind))
    return time_lines(axis, table, title, quantity_name(quantity), unit)


def quantities_section(schedule: Schedule) -> Section:
    """Range of every quantity, so that nothing in the schedule stays unseen."""
    grouped = schedule.table.groupby(["kind", "quantity"], sort=False)
    rows = [
        [
            plain(str(kind)),
            quantity_name(str(quantity)),
            quantity_unit(str(quantity), schedule.currency) or "–",
            number(int(part["asset"].nunique())),
            *(number(float(figure)) for figure in (part["value"].min(), part["value"].mean(), part["value"].max())),
        ]
        for (kind, quantity), part in grouped
    ]
    columns = ("Kind", "Quantity", "Unit", "Assets", "Lowest", "Mean", "Highest")
    table = Table("Every quantity of the schedule over its horizon", columns, rows, numeric=(3, 4, 5, 6))
    return Section("All quantities", "", tables=[table])


def _spot(view: ScheduleView) -> dict[str, np.ndarray]:
    spot = view.total("grid", "spot_price_per_mwh")
    return {} if spot is None else {"spot price": spot}


def baseline_section(schedule: Schedule, baseline: Mapping[str, Mapping[str, float]]) -> Section:
    """Who gains what: each party's total here, in the baseline, and the difference."""
    parties = list(dict.fromkeys([*schedule.money, *baseline]))
    totals = {p: (sum(schedule.money.get(p, {}).values()), sum(baseline.get(p, {}).values())) for p in parties}
    gains = {party: here - before for party, (here, before) in totals.items()}
    rows = [[plain(p), *(money(v, schedule.currency) for v in (*totals[p], gains[p]))] for p in parties]
    table = Table("Result of each party", ("Party", "This plan", "Baseline", "Gain"), rows, numeric=(1, 2, 3))
    lead = losers_of(gains)
    chart = bars(gains, "Gain against the baseline", f"gain, {schedule.currency}")
    return Section("Against the baseline", lead, [chart], [table])
