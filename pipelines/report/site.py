"""Pages of a store's site: an index over all nights of a zone, and one page a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from dispatch.settlement.efficiency import ratio_estimate
from pipelines.report.charts import Chart, TimeAxis, forecast_fan
from pipelines.report.charts.days import day_lines
from pipelines.report.page import SIMULATED_BANNER, Cell, Headline, Page, Section, Status, Table
from pipelines.report.words import amount, instant, number, plain, sentence
from pipelines.stages.ledger import Entry

_TONES: dict[str, Literal["good", "warn", "bad"]] = {"ok": "good", "degraded": "warn", "failed": "bad"}
_WORDS = {"ok": "OK", "degraded": "Degraded", "failed": "Failed"}

#: Reasons of a day that the index shows.
MOST_REASONS = 2

#: What a kept file is called in a link.
FILE_WORDS = {
    "report.html": "full page of the night",
    "schedule.csv": "schedule.csv",
    "plan.json": "plan.json",
    "status.json": "status.json",
}

#: Items of a settled day as the page lists them, costs with their sign turned.
_MONEY = (
    "purchase_cost",
    "imbalance_cost",
    "gas_cost",
    "start_cost",
    "wear_cost",
    "subsidy_cost",
    "curtailment_cost",
    "shed_cost",
)


def in_force(runs: Sequence[Entry]) -> Entry:
    """Of the runs of one day the last one that published a plan; the last one, if none did."""
    published = [entry for entry in runs if entry.record is not None]
    return (published or list(runs))[-1]


def by_day(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The nights of one zone by delivery day."""
    days: dict[str, list[Entry]] = {}
    for entry in entries:
        days.setdefault(entry.day, []).append(entry)
    return days


def error_of(entry: Entry, target: str) -> float:
    """Mean absolute error of a target in its own unit; wind as percent of capacity over all sites; NaN if not known."""
    if entry.record is None or entry.settled is None:
        return float("nan")
    found = [
        (entry.settled["errors"][label], one["capacity_mw"])
        for label, one in entry.record["forecasts"].items()
        if one["target"] == target
    ]
    if not found:
        return float("nan")
    if target == "wind":
        return float(100 * sum(error for error, _ in found) / sum(size for _, size in found))
    return float(np.mean([error for error, _ in found]))


def first_error(runs: Sequence[Entry], target: str) -> float:
    """Error of the earliest run of a day that forecast the target: in the evening the price is known already."""
    return next((error for entry in runs if np.isfinite(error := error_of(entry, target))), float("nan"))


def efficiency_of(entries: Sequence[Entry]) -> float:
    """Income over cost of all settled days together (Shi et al. 2023, Eq. 25); NaN if none has a positive cost."""
    money = [entry.money for entry in entries if entry.money is not None]
    if not money or sum(item["cost"] for item in money) <= 0:
        return float("nan")
    return float(ratio_estimate(np.array([m["income"] for m in money]), np.array([m["cost"] for m in money])).value)


def index_page(zone: str, entries: Sequence[Entry], prefix: str, trail: Sequence[tuple[str, str]] = ()) -> Page:
    """Every night of a zone. ``prefix``: relative address of the folder that holds the day pages."""
    days = by_day(entries)
    chosen = {day: in_force(runs) for day, runs in days.items()}
    newest = chosen[max(chosen)]
    waiting = [day for day, entry in chosen.items() if entry.record is not None and entry.settled is None]
    currency = next((str(e.record["currency"]) for e in reversed(entries) if e.record), "")
    return Page(
        title=f"Nights of {zone}",
        subtitle=_span(list(days)),
        status=cast(Status, newest.status),
        reasons=newest.reasons,
        banners=[SIMULATED_BANNER] if any(e.record and e.record["simulated"] for e in entries) else [],
        headlines=_index_headlines(chosen, days, waiting, currency),
        sections=[
            Section("Run of the days", _run_lead(waiting), _index_charts(days, chosen, currency)),
            _not_as_planned(chosen, prefix),
            Section("All nights", "The newest first.", tables=[_nights_table(days, chosen, prefix, currency)]),
        ],
        footer="A day is settled when its prices, wind and load are in the store. Money as in the case of the plan.",
        status_words=f"{_WORDS[newest.status]}: the newest night, for {_date(newest.day)}",
        trail=trail,
    )


def _span(days: Sequence[str]) -> str:
    first, last = min(days), max(days)
    without = (pd.Timestamp(last) - pd.Timestamp(first)).days + 1 - len(days)
    text = f"{_counted(len(days), 'delivery day')} from {_date(first)} to {_date(last)}"
    return text + (f"; {_counted(without, 'day')} between them without any night" if without else "")


def _run_lead(waiting: Sequence[str]) -> str:
    lead = "Efficiency is income over cost of the plan as it came true. Marked days were degraded or failed."
    return lead + (f" Not settled yet: {', '.join(map(_date, waiting[-3:]))}." if waiting else "")


def _index_headlines(
    chosen: Mapping[str, Entry], days: Mapping[str, Sequence[Entry]], waiting: Sequence[str], currency: str
) -> list[Headline]:
    counts = {status: sum(e.status == status for e in chosen.values()) for status in ("ok", "degraded", "failed")}
    settled = [entry for entry in chosen.values() if entry.money is not None]
    profit = sum(entry.money["profit"] for entry in settled if entry.money)
    price = np.array([first_error(runs, "price") for runs in days.values()])
    wind = np.array([first_error(runs, "wind") for runs in days.values()])
    return [
        Headline("Efficiency", number(efficiency_of(settled)), "", _counted(len(settled), "settled day")),
        Headline("Settled profit", *amount(profit, currency), f"{_counted(len(waiting), 'day')} not settled yet"),
        Headline("Price error", *_mean_error(price, "EUR/MWh"), "mean absolute, morning forecast"),
        Headline("Wind error", *_mean_error(wind, "% of capacity"), "mean absolute"),
        _count_of(counts, "degraded", "warn"),
        _count_of(counts, "failed", "bad"),
    ]


def _count_of(counts: Mapping[str, int], status: str, tone: Literal["warn", "bad"]) -> Headline:
    number_of, unit = _counted(counts[status], "day").split(" ")
    return Headline(_WORDS[status], number_of, unit, "", tone if counts[status] else "good")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _date(day: str) -> str:
    return f"{pd.Timestamp(day):%d %b %Y}"


def _mean_error(values: Any, unit: str) -> tuple[str, str]:
    known = values[np.isfinite(values)]
    return (number(float(known.mean())), unit) if len(known) else ("n/a", "")


def _index_charts(days: Mapping[str, Sequence[Entry]], chosen: Mapping[str, Entry], currency: str) -> list[Chart]:
    names = list(days)
    marked = {status: [chosen[day].status == status for day in names] for status in ("degraded", "failed")}

    def money(item: str) -> Any:
        return np.array([entry.money[item] if entry.money else np.nan for entry in chosen.values()])

    planned = np.array([float(e.record["objective"]) if e.record else np.nan for e in chosen.values()])
    return [
        day_lines(names, {"efficiency": money("efficiency")}, "Efficiency by day", "income over cost", marked),
        day_lines(names, {"planned": planned, "settled": money("profit")}, "Profit by day", currency, marked),
        *(
            day_lines(names, {label: values}, title, unit, marked)
            for target, label, title, unit in (
                ("price", "price error", "Price error by day", "mean absolute, EUR/MWh"),
                ("wind", "wind error", "Wind error by day", "mean absolute, % of capacity"),
            )
            if np.isfinite(values := np.array([first_error(runs, target) for runs in days.values()])).any()
        ),
    ]


def _not_as_planned(chosen: Mapping[str, Entry], prefix: str) -> Section:
    rows: list[list[str | Cell]] = [
        [
            Cell(day, links=[(day, f"{prefix}{day}.html")]),
            Cell(_WORDS[entry.status], _TONES[entry.status]),
            _first(entry.reasons),
        ]
        for day, entry in sorted(chosen.items(), reverse=True)
        if entry.status != "ok"
    ]
    table = Table("Days that were degraded or failed, with the reasons", ("Delivery day", "Status", "Why"), rows)
    lead = f"{len(rows)} of {len(chosen)} days." if rows else "Every day was run as it should be."
    return Section("Degraded and failed days", lead, tables=[table] if rows else [])


def _first(reasons: Sequence[str]) -> str:
    more = len(reasons) - MOST_REASONS
    return "; ".join(reasons[:MOST_REASONS]) + (f"; and {more} more, on the page of the day" if more > 0 else "")


def _nights_table(
    days: Mapping[str, Sequence[Entry]], chosen: Mapping[str, Entry], prefix: str, currency: str
) -> Table:
    rows: list[list[str | Cell]] = []
    for day in sorted(days, reverse=True):
        entry = chosen[day]
        money = entry.money or {}
        files = [(name, f"{prefix}{day}/{entry.mode}/{name}") for name in entry.files if name != "report.html"]
        rows.append(
            [
                Cell(day, links=[(day, f"{prefix}{day}.html")]),
                Cell(_WORDS[entry.status], _TONES[entry.status]),
                entry.mode,
                amount(float(entry.record["objective"]), "")[0] if entry.record else "no plan",
                _settled_cell(entry, amount(money["profit"], "")[0] if money else ""),
                _settled_cell(entry, number(money.get("efficiency"))),
                number(first_error(days[day], "price")),
                number(first_error(days[day], "wind")),
                Cell("none", links=files),
            ]
        )
    columns = (
        "Delivery day",
        "Status",
        "Plan in force",
        f"Planned, {currency}",
        f"Settled, {currency}",
        "Efficiency",
        "Price error, EUR/MWh",
        "Wind error, %",
        "Data files",
    )
    return Table("Nights by delivery day", columns, rows, numeric=(3, 4, 5, 6, 7))


def _settled_cell(entry: Entry, text: str) -> str:
    if entry.record is None:
        return "no plan"
    if entry.settled is None:
        return "not settled yet"
    return text if entry.money is not None else "n/a"


def day_page(
    zone: str, day: str, runs: Sequence[Entry], trail: Sequence[tuple[str, str]], waiting: Mapping[str, Sequence[str]]
) -> Page:
    """One delivery day: what each of its runs forecast and planned, beside what came.

    ``waiting``: mode to labels of the series that an unsettled run still waits for.
    """
    chosen = in_force(runs)
    reasons = [f"{sentence(e.mode)}: {reason}" if len(runs) > 1 else reason for e in runs for reason in e.reasons]
    record = chosen.record or {}
    return Page(
        title=f"{pd.Timestamp(day):%A %d %B %Y}, {zone}",
        subtitle=", ".join(f"{e.mode} run {_WORDS[e.status].lower()}" for e in runs),
        status=cast(Status, chosen.status),
        reasons=reasons,
        banners=[SIMULATED_BANNER] if record.get("simulated") else [],
        headlines=_day_headlines(chosen, runs),
        sections=[_run_section(entry, waiting.get(entry.mode, ()), reasons=len(runs) > 1) for entry in reversed(runs)],
        footer=f"Times are {record['time_zone']} time." if record else "",
        status_words=_day_words(chosen),
        trail=trail,
    )


def _day_words(entry: Entry) -> str:
    if entry.record is None:
        return "Failed: nothing was published"
    settled = "settled" if entry.settled is not None else "not settled yet"
    return f"{_WORDS[entry.status]}: {entry.mode} plan published, {settled}"


def _day_headlines(entry: Entry, runs: Sequence[Entry]) -> list[Headline]:
    if entry.record is None:
        return []
    record, money, currency = entry.record, entry.money, str(entry.record["currency"])
    word = "profit" if record["sense"] == "max" else "cost"
    words, tone = ("Certified", _TONES["ok"]) if record["certified"] else ("Not certified", _TONES["failed"])
    proof = Headline("Plan", words, "", f"{entry.mode} run", tone)
    items = [proof, Headline(f"Planned {word}", *amount(float(record["objective"]), currency))]
    if money is not None:
        gap = money["profit"] - float(record["objective"])
        words = f"{amount(abs(gap), currency)[0]} {'above' if gap >= 0 else 'below'} the plan"
        items.append(Headline("Settled profit", *amount(money["profit"], currency), words))
        items.append(Headline("Efficiency", number(money["efficiency"]), "", "income over cost"))
    elif entry.settled is None:
        items.append(Headline("Settled profit", "Not yet", "", "the day has not come true in the store", "warn"))
    price, wind = first_error(runs, "price"), first_error(runs, "wind")
    if np.isfinite(price):
        items.append(Headline("Price error", number(price), "EUR/MWh", "mean absolute"))
    if np.isfinite(wind):
        items.append(Headline("Wind error", number(wind), "%", "mean absolute, of capacity"))
    return items


def _run_section(entry: Entry, waiting: Sequence[str], *, reasons: bool) -> Section:
    """What one run said and what came; its ``reasons`` where the head of the page holds those of several runs."""
    title, why = f"{sentence(entry.mode)} run", entry.reasons if reasons else []
    if entry.record is None:
        return Section(title, "Nothing was published.", text=why)
    record = entry.record
    lead = f"Decided as of {instant(record['as_of'], record['time_zone'])}: {record['market']} on {record['case']}."
    if waiting:
        lead += f" Not settled yet, waiting for {', '.join(waiting)}."
    steps = pd.DatetimeIndex(pd.to_datetime(list(record["steps"]), utc=True))
    axis = TimeAxis.of(steps, record["step_minutes"] / 60, str(record["time_zone"]))
    fans, rows = [], []
    for label, one in record["forecasts"].items():
        mean = np.asarray(one["mean"], dtype=float)
        came = entry.settled["truth"].get(label) if entry.settled else None
        known = {} if came is None else {"actual": np.asarray(came, dtype=float)}
        title_of = f"{sentence(one['target'])}, {one['place']}"
        levels, quantiles = tuple(one["levels"]), np.asarray(one["quantiles"], dtype=float)
        fans.append(forecast_fan(title_of, axis, mean, levels, quantiles, known, one["target"], one["unit"]))
        error = entry.settled["errors"][label] if entry.settled else None
        actual = float(np.mean(came)) if came is not None else None
        told = number(error) if error is not None else "not yet"
        rows.append([title_of, one["unit"], number(float(mean.mean())), number(actual), told, one["model"]])
    columns = ("Forecast", "Unit", "Mean forecast", "Mean of what came", "Mean absolute error", "Model")
    tables = [Table(f"Forecasts of the {entry.mode} run", columns, rows, numeric=(2, 3, 4))] if rows else []
    if entry.money is not None:
        tables.append(_money_table(entry.money, str(record["currency"]), entry.mode))
    links = [(FILE_WORDS[name], f"{entry.day}/{entry.mode}/{name}") for name in entry.files]
    return Section(title, lead, fans, tables, why, links)


def _money_table(money: Mapping[str, float], currency: str, mode: str) -> Table:
    rows: list[list[str | Cell]] = [["income", amount(money["income"], currency)[0]]]
    rows += [[plain(name), amount(-money[name], currency)[0]] for name in _MONEY if money[name] != 0]
    rows.append(["profit", amount(money["profit"], currency)[0]])
    caption = f"Money of the {mode} plan as the day came true; income positive, cost negative"
    return Table(caption, ("Item", f"Amount, {currency}"), rows, numeric=(1,))


def zones_page(zones: Mapping[str, Sequence[Entry]], folders: Mapping[str, str]) -> Page:
    """The entrance to a site of several zones. ``folders``: zone to the relative address of its folder."""
    rows: list[list[str | Cell]] = []
    worst = "ok"
    for zone, entries in zones.items():
        chosen = {day: in_force(runs) for day, runs in by_day(entries).items()}
        newest = chosen[max(chosen)]
        worst = max(worst, newest.status, key=["ok", "degraded", "failed"].index)
        rows.append(
            [
                Cell(zone, links=[(zone, f"{folders[zone]}/index.html")]),
                Cell(_WORDS[newest.status], _TONES[newest.status]),
                newest.day,
                str(len(chosen)),
                number(efficiency_of(list(chosen.values()))),
                str(sum(entry.status == "degraded" for entry in chosen.values())),
                str(sum(entry.status == "failed" for entry in chosen.values())),
            ]
        )
    columns = ("Zone", "Newest night", "Delivery day", "Days", "Efficiency", "Degraded", "Failed")
    table = Table("Zones of this store", columns, rows, numeric=(3, 4, 5, 6))
    return Page(
        title="Nights by zone",
        subtitle=f"{len(zones)} zones",
        status=cast(Status, worst),
        sections=[Section("Zones", "", tables=[table])],
        status_words=f"{_WORDS[worst]}: the worst of the newest nights",
    )
