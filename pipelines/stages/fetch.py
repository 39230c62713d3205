"""Fetch: from the source, through the quality rules, into the store, and a record of how fresh each series is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from forecasting.errors import NoDataError, UnknownNameError
from forecasting.forecast import InputOrigin
from forecasting.market_day import day_start
from forecasting.quality import check_series
from forecasting.quality_policy import DEFAULT_POLICY, Origin, Policy, QualityPolicy
from forecasting.series import SeriesKind, series_spec
from forecasting.sources.base import Source
from forecasting.store import Store
from pipelines.stages.night import Night

#: Days before the newest stored value that are asked for again, because they may have been revised or completed.
OVERLAP = pd.Timedelta(days=3)

#: What the rules had to mend in this time before delivery degrades the night; older repairs are marked in the store.
LAST_DAYS = pd.Timedelta(days=2)

#: Zone series of every night: the first is needed, the others are used where they are published.
ZONE_SERIES = ("price", "load_forecast", "wind_forecast", "solar_forecast")


@dataclass
class Fetched:
    """What the night has to work with.

    records: input name to ``origin``, ``newest`` (delivery time) and ``note``; findings: what the quality rules did to
    this night's data, in words; missing: series that have nothing at all; simulated: names of series that nobody measured.
    """

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    simulated: set[str] = field(default_factory=set)
    rows: int = 0


def fetch(
    source: Source,
    store: Store,
    night: Night,
    history_days: int,
    lookback_days: int,
    local: Sequence[tuple[str, str]] = (),
    policy: QualityPolicy = DEFAULT_POLICY,
    told: Callable[[str], None] = lambda _: None,
) -> Fetched:
    """Bring every series of the night up to ``night.as_of``; nothing published later is stored.

    The rules refuse a hole in the last ``lookback_days``; older holes stay missing and cost only their days of training.
    ``local`` names further series as ``(series, site or zone)``. Raises ``DataError`` where a rule refuses a series, and
    ``NoDataError`` if the price has no history.
    """
    result = Fetched()
    recent = day_start(pd.Timestamp(night.delivery_day) - pd.Timedelta(days=lookback_days + 1), night.market_time_zone)
    start = day_start(pd.Timestamp(night.delivery_day) - pd.Timedelta(days=history_days), night.market_time_zone)
    for series, place in [*((name, night.zone) for name in ZONE_SERIES), *local]:
        told(f"{series} of {place}")
        label = series if place == night.zone else f"{series} {place}"
        try:
            _bring(source, store, night, series, place, (start, recent), policy, result)
        except (NoDataError, UnknownNameError) as error:
            if series == "price":
                raise
            result.missing.append(label)
            result.records[label] = {"origin": str(InputOrigin.MISSING), "newest": None, "note": str(error)}
            continue
        result.records[label] = _record(store, night, series, place, start)
    return result


def _bring(
    source: Source,
    store: Store,
    night: Night,
    series: str,
    place: str,
    since: tuple[pd.Timestamp, pd.Timestamp],
    policy: QualityPolicy,
    result: Fetched,
) -> None:
    start, recent = since
    end = night.index[-1] + (night.index[1] - night.index[0])
    stored = store.read(series, place, start, end, as_of=night.as_of)
    if len(stored) and stored.index[0] <= start + pd.Timedelta(days=1):
        start = max(start, stored.index[-1] - OVERLAP)
    frame = read_series(source, series, place, start, end)
    if source.simulated or frame.attrs.get("simulated"):
        result.simulated.add(series)
    frame = frame[(frame["available_at"] <= night.as_of).to_numpy()]
    step = _step_of(frame.index, night.step_minutes)
    rule = source.availability(series)
    due = pd.date_range(start, end, freq=pd.Timedelta(minutes=step), inclusive="left", unit="ns")
    due = due[np.asarray(rule.available_at(due, night.market_time_zone, step) <= night.as_of)]
    history = stored
    for part, expected, part_policy in (
        (frame[frame.index < recent], due[due < recent], replace(policy, gap=Policy.ACCEPT)),
        (frame[frame.index >= recent], due[due >= recent], policy),
    ):
        if not len(expected):
            continue
        checked = check_series(
            part,
            series=series,
            zone=place,
            expected=expected,
            step_minutes=step,
            time_zone=night.market_time_zone,
            rule=rule,
            history=history,
            policy=part_policy,
        )
        written = store.write(checked.frame, series=series, zone=place, source=frame.attrs.get("source", source.name))
        result.rows += written.added + written.revised + written.replaced
        result.findings += [str(finding) for finding in checked.findings if finding.end >= night.index[0] - LAST_DAYS]
        history = pd.concat([history, checked.frame[["value"]]]) if len(history) else checked.frame


def read_series(source: Source, series: str, place: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Read a series, or the sum of its parts where the source holds only those (a part it does not publish counts not)."""
    try:
        return source.read(series, place, start, end)
    except (NoDataError, UnknownNameError):
        parts = series_spec(series).derived_from
        if not parts:
            raise
    frames = []
    for part in parts:
        try:
            frames.append(source.read(part, place, start, end))
        except NoDataError:
            continue
    if not frames:
        raise NoDataError(f"no data for {place}, {series}, {start:%Y-%m-%d} to {end:%Y-%m-%d}: no part is published")
    value = sum((frame["value"] for frame in frames[1:]), frames[0]["value"])
    available = pd.concat([frame["available_at"] for frame in frames], axis=1).max(axis=1)
    total = pd.DataFrame({"value": value, "available_at": available.reindex(value.index)})
    total.attrs = {**frames[0].attrs, "series": series}
    return total


def _step_of(index: pd.DatetimeIndex, default: int) -> int:
    """Minutes between rows: the most frequent spacing, so that a gap does not count."""
    if len(index) < 2:
        return default
    spacing = np.diff(index.as_unit("ns").asi8) // 60_000_000_000
    values, counts = np.unique(spacing, return_counts=True)
    return int(values[np.argmax(counts)])


def _record(store: Store, night: Night, series: str, place: str, start: pd.Timestamp) -> dict[str, Any]:
    end = night.index[-1] + (night.index[1] - night.index[0])
    rows = store.read(series, place, start, end, as_of=night.as_of)
    if rows.empty:
        return {"origin": str(InputOrigin.MISSING), "newest": None, "note": "nothing was known at the decision time"}
    forecast = series_spec(series).kind is SeriesKind.FORECAST
    recent = rows[rows.index >= night.index[0] - LAST_DAYS]
    borrowed = recent["origin"] == str(Origin.FALLBACK)
    repaired = recent["origin"] == str(Origin.REPAIRED)
    origin = InputOrigin.FORECAST if forecast else InputOrigin.MEASURED
    notes = []
    if borrowed.any():
        origin = InputOrigin.FALLBACK
        notes.append(f"{int(borrowed.sum())} values of the last days borrowed from the week before")
    if repaired.any():
        notes.append(f"{int(repaired.sum())} values of the last days interpolated")
    return {"origin": str(origin), "newest": rows.index[-1], "note": "; ".join(notes)}


def origins(records: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Input name to where it came from, for a message."""
    return {name: str(record["origin"]) for name, record in records.items()}
