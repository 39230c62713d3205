"""The page of one night: what was forecast, what is planned for the delivery day, and why it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dispatch.schedule import Schedule
from forecasting.forecast import Forecast, InputRecord
from pipelines.report.certificate_words import certificate_headline
from pipelines.report.charts import Chart, TimeAxis, forecast_fan
from pipelines.report.charts.forecasts import aligned
from pipelines.report.extra_sections import extra_sections
from pipelines.report.page import SIMULATED_BANNER, Cell, Headline, Page, Section, Table
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
from pipelines.report.words import amount, instant, number, sentence

#: At most this many forecasts are drawn; the table lists all of them.
MOST_FANS = 8

_TONES: dict[str, Any] = {"fallback": "warn", "missing": "bad"}


def nightly_page(
    forecasts: Mapping[str, Forecast],
    known: Mapping[str, pd.DataFrame],
    schedule: Schedule,
    feeder: Any | None,
    summary: Mapping[str, Any],
    market_time_zone: str,
    *,
    assets: Sequence[Asset] = (),
    voltage_limits_pu: tuple[float, float] | None = None,
    prices: Mapping[str, np.ndarray] | None = None,
    links: Sequence[tuple[str, str]] = (),
) -> Page:
    """The morning page.

    Parameters
    ----------
    forecasts: name to forecast, in the order of the page.
    known: the same names to what was known beside the forecast, indexed by the UTC start of each step, with any of the
        columns ``actual``, ``iso_forecast``, ``last_week``.
    schedule: the plan with its certificate.
    feeder: a ``dispatch.network.Feeder``, or ``None`` for a market without a network.
    summary: the content of ``summary.json``; keys that are absent are left out of the page.
    market_time_zone: IANA name; every time on the page is in it.
    assets: (name, kind, bus) of what the map marks; see ``schedule_view.assets_of``.
    voltage_limits_pu: lowest and highest voltage allowed.
    prices: name to price per step, currency per MWh, shape ``[step]``, drawn over the dispatch (spot, retail).
    links: (text, relative address) of files beside the page.
    """
    view = ScheduleView(schedule)
    price = dict(prices or {}) or _planned_prices(view, forecasts)
    sections = [
        forecast_section(forecasts, known, market_time_zone),
        forecasters_section(summary, market_time_zone),
        inputs_section(forecasts, summary, market_time_zone),
        price_section(view, market_time_zone),
        dispatch_section(view, market_time_zone, price),
        storage_section(view, market_time_zone),
        response_section(view, market_time_zone),
        network_section(view, market_time_zone, feeder, assets, voltage_limits_pu),
        money_section(view),
        *extra_sections(schedule),
        certificate_section(schedule),
        provenance_section(summary, market_time_zone, schedule),
    ]
    day = summary.get("delivery_day") or TimeAxis.of(schedule.index, schedule.step_hours, market_time_zone).label
    zone = f" in {summary['zone']}" if summary.get("zone") else ""
    return Page(
        title=f"Plan for {_day_name(day)}{zone}",
        subtitle=_subtitle(summary, schedule, market_time_zone),
        status=summary.get("status", "ok"),
        reasons=[str(reason) for reason in summary.get("reasons", ())],
        banners=simulated_banners(forecasts, simulated=bool(summary.get("simulated"))),
        headlines=_headlines(view, price, forecasts),
        sections=[section for section in sections if section is not None],
        links=links,
        status_words=_status_words(summary.get("status", "ok"), certified=schedule.certificate.passed),
        footer=f"Times are {market_time_zone} time. adno {summary.get('version', '')}".strip(),
    )


def simulated_banners(forecasts: Mapping[str, Forecast], *, simulated: bool = False) -> list[str]:
    """The warning that all of the data is simulated (``simulated``), or some of the forecasts' own series."""
    named = [name for name, forecast in forecasts.items() if forecast.simulated]
    if simulated:
        return [SIMULATED_BANNER]
    if named:
        return [f"This page shows simulated data in part: {', '.join(named)}. The other series are real."]
    return []


def forecast_section(forecasts: Mapping[str, Forecast], known: Mapping[str, pd.DataFrame], time_zone: str) -> Section:
    """A fan for each forecast beside what was known, and a table of all of them."""
    charts: list[Chart] = []
    rows: list[list[str]] = []
    for name, forecast in forecasts.items():
        hours = (forecast.index[1] - forecast.index[0]).total_seconds() / 3600 if len(forecast.index) > 1 else 1.0
        axis = TimeAxis.of(forecast.index, hours, time_zone)
        title = f"{sentence(forecast.target)}, {forecast.zone}"
        if len(charts) < MOST_FANS:
            beside = aligned(known.get(name), forecast.index)
            levels, quantiles = forecast.quantile_levels, forecast.quantiles
            charts.append(
                forecast_fan(title, axis, forecast.mean, levels, quantiles, beside, forecast.target, forecast.unit)
            )
        span = [number(float(value)) for value in (forecast.mean.min(), forecast.mean.mean(), forecast.mean.max())]
        rows.append(
            [
                title,
                forecast.unit,
                *span,
                number(float(forecast.std.mean())),
                forecast.model_id,
                instant(forecast.issued_at, time_zone),
            ]
        )
    columns = ("Forecast", "Unit", "Lowest", "Mean", "Highest", "Mean std", "Model", "Made at")
    table = Table("All forecasts of this night", columns, rows, numeric=(2, 3, 4, 5))
    hidden = len(rows) - len(charts)
    lead = "Shaded: central intervals of the forecast. Lines: its mean, and what was known beside it."
    if hidden > 0:
        lead += f" {hidden} more are listed in the table."
    return Section("Forecast", lead if charts else "This plan used no forecast.", charts, [table] if rows else [])


def forecasters_section(summary: Mapping[str, Any], time_zone: str) -> Section | None:
    """Which artefact serves each target, and how its challenger does on the days delivered since."""
    contests: Mapping[str, Mapping[str, Any]] = summary.get("forecasters") or {}
    rows: list[list[str | Cell]] = []
    for target, one in contests.items():
        gain = one["challenger_gain"]
        rows.append(
            [
                sentence(target),
                instant(one["champion"], time_zone),
                instant(one["serving_since"], time_zone),
                instant(one["challenger"], time_zone) if one["challenger"] else "none",
                number(100 * gain) if gain is not None else "not yet",
                f"{one['days_compared']} of {one['days_needed']}",
                one["event"] or "no change",
            ]
        )
    if not rows:
        return None
    lead = "; ".join(f"{sentence(target)}: {one['words']}" for target, one in contests.items()) + "."
    columns = (
        "Forecaster",
        "Champion learned up to",
        "Serves since",
        "Challenger learned up to",
        "Challenger better by, %",
        "Days compared",
        "This night",
    )
    table = Table("Champion and challenger of each forecaster", columns, rows, numeric=(4,))
    return Section("Forecasters", lead, tables=[table])


def inputs_section(forecasts: Mapping[str, Forecast], summary: Mapping[str, Any], time_zone: str) -> Section:
    """Where each input series came from and how fresh it is."""
    records: dict[str, tuple[str, object, str]] = {}
    for forecast in forecasts.values():
        for name, record in forecast.inputs.items():
            records[name] = _record(record)
    for name, entry in (summary.get("inputs") or {}).items():
        records[name] = _record(entry)
    rows: list[list[str | Cell]] = []
    for name, (origin, newest, note) in records.items():
        rows.append([name, Cell(origin, _TONES.get(origin)), instant(newest, time_zone), note])
    doubtful = [name for name, (origin, _, _) in records.items() if origin in _TONES]
    lead = f"{len(records)} series were used; "
    lead += f"replaced or missing: {', '.join(doubtful)}." if doubtful else "none was replaced or missing."
    table = Table("Input series", ("Series", "Origin", "Newest value", "Note"), rows)
    return Section("Inputs", lead if rows else "No input series was recorded.", tables=[table] if rows else [])


def _record(entry: Any) -> tuple[str, object, str]:
    if isinstance(entry, InputRecord):
        return str(entry.origin), entry.newest, entry.note
    if isinstance(entry, Mapping):
        return str(entry.get("origin", "")), entry.get("newest"), str(entry.get("note") or "")
    return str(entry), None, ""


def _planned_prices(view: ScheduleView, forecasts: Mapping[str, Forecast]) -> dict[str, np.ndarray]:
    spot = view.total("grid", "spot_price_per_mwh")
    if spot is not None:
        return {"spot price": spot}
    unit = f"{view.schedule.currency}/MWh"  # a forecast in another currency has no place on the plan's axis
    named = {f"{f.zone} price": f for f in forecasts.values() if f.target == "price" and f.unit == unit}
    return {name: f.mean for name, f in named.items() if len(f.mean) == view.steps}


def _headlines(
    view: ScheduleView, price: Mapping[str, np.ndarray], forecasts: Mapping[str, Forecast]
) -> list[Headline]:
    schedule = view.schedule
    gap = "" if schedule.gap is None else f"proven within {100 * schedule.gap:.3g}% of the best"
    word = "Profit" if schedule.sense == "max" else "Cost"
    items = [
        certificate_headline(schedule.certificate),
        Headline(word, *amount(schedule.objective, schedule.currency), gap),
    ]
    for name, values in list(price.items())[:1]:
        spread = f"{number(float(values.min()))} to {number(float(values.max()))}"
        items.append(Headline(f"Mean {name}", number(float(values.mean())), f"{schedule.currency}/MWh", spread))
    wind, available = view.total("wind", "power_mw"), view.total("wind", "available_mw")
    if wind is not None:
        used = view.energy_mwh(wind)
        lost = view.energy_mwh(available) - used if available is not None else 0.0
        note = f"{number(lost)} MWh curtailed" if lost > 1e-6 else "none curtailed"
        items.append(Headline("Wind energy", number(used), "MWh", note))
    grid = view.total("grid", "import_mw")
    if grid is not None:
        items.append(
            Headline(
                "Bought from the grid",
                number(view.energy_mwh(np.maximum(grid, 0))),
                "MWh",
                f"peak {number(float(grid.max()))} MW",
            )
        )
    voltage = view.table("bus", "voltage_pu")
    if voltage is not None:
        low = voltage.min()
        items.append(
            Headline(
                "Lowest voltage",
                number(float(low.min()), 5),
                "p.u.",
                f"bus {low.idxmin()}",
            )
        )
    return items


def _status_words(status: str, *, certified: bool) -> str:
    if status == "failed" or not certified:
        return ""
    return {"ok": "OK: published, every check passed"}.get(status, "Degraded: published, with a fallback or a repair")


def _subtitle(summary: Mapping[str, Any], schedule: Schedule, time_zone: str) -> str:
    parts = [f"{schedule.market} on {schedule.case}"]
    if summary.get("mode"):
        parts.append(f"{summary['mode']} run")
    if summary.get("as_of"):
        parts.append(f"decided as of {instant(summary['as_of'], time_zone)}")
    return ", ".join(parts)


def _day_name(day: object) -> str:
    try:
        return f"{pd.Timestamp(str(day)):%A %d %B %Y}"
    except ValueError:
        return str(day)
