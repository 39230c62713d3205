"""Fetch: from the source, through the quality rules, into the store, and a record of how fresh each series is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from forecasting.errors import DataError, NoDataError, SourceUnavailableError, UnknownNameError
from forecasting.forecast import InputOrigin
from forecasting.market_day import day_start
from forecasting.quality import check_series, require_time_zone
from forecasting.quality_policy import DEFAULT_POLICY, Origin, Policy, QualityPolicy
from forecasting.series import SeriesKind, series_spec
from forecasting.sources.base import Source
from forecasting.sources.parts import read_series
from forecasting.store import Store
from pipelines.stages.night import Mode, Night

#: Days before the newest stored value that are asked for again, because they may have been revised or completed.
OVERLAP = pd.Timedelta(days=3)

#: What the rules had to mend in this time before delivery degrades the night; older repairs are marked in the store.
LAST_DAYS = pd.Timedelta(days=2)

#: A service that fails for this many series of a night is not asked for the others.
MOST_OUTAGES = 2

#: Hours by which the newest stored value may lag behind what is due, if the service is down.
STALE_HOURS = 48.0

#: Rows from whose spacing the step of a stored series is read: a week of quarter-hours.
WEEK_OF_STEPS = 672

#: Zone series of every night: the first is needed, the others are used where they are published.
ZONE_SERIES = ("price", "load_forecast", "wind_forecast", "solar_forecast")


@dataclass
class Fetched:
    """What the night has to work with.

    records: input name to ``origin``, ``newest`` (delivery time) and ``note``; findings: what the quality rules did to
    this night's data, in words; missing: series that have nothing at all; outages: what the data service said for the
    series that it did not deliver; served: what came from the store in its place, by the newest stored time; simulated:
    names of series that nobody measured.
    """

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    outages: list[str] = field(default_factory=list)
    served: dict[str, list[str]] = field(default_factory=dict)
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
    stale_hours: float = STALE_HOURS,
    seen_at: pd.Timestamp | None = None,
    capacity_mw: Mapping[str, float] = MappingProxyType({}),
) -> Fetched:
    """Bring every series of the night up to ``night.as_of``; nothing published later is stored.

    Months are stored one by one, so that a run that is cut off goes on where it stopped. The rules refuse a hole in the
    last ``lookback_days``; older holes stay missing and cost only their days of training. If the service is down, the
    store serves, as long as it lags at most ``stale_hours`` behind.

    ``local`` names further series as ``(series, site or zone)``. ``seen_at`` is the present instant, for a source that may
    revise what it published: a changed value is stored as known since then. Without it a changed value is refused.
    ``capacity_mw`` by site: what its generation is held against.

    Raises
    ------
    DataError: a rule refuses a series. NoDataError: the price has no history.
    SourceUnavailableError: the service is down and the store does not hold what the night needs.
    """
    result = Fetched()
    recent = day_start(pd.Timestamp(night.delivery_day) - pd.Timedelta(days=lookback_days + 1), night.market_time_zone)
    start = day_start(pd.Timestamp(night.delivery_day) - pd.Timedelta(days=history_days), night.market_time_zone)
    span = _Span(start, max(start, recent), night.index[-1] + (night.index[1] - night.index[0]))
    for series, place in [*((name, night.zone) for name in ZONE_SERIES), *local]:
        told(f"{series} of {place}")
        label = series if place == night.zone else f"{series} {place}"
        bringer = _Bringer(source, store, night, series, place, span, policy, result, seen_at, capacity_mw.get(place))
        try:
            served = _bring_or_serve(bringer, stale_hours)
        except (NoDataError, UnknownNameError) as error:
            if series == "price":
                raise
            result.missing.append(label)
            result.records[label] = {"origin": str(InputOrigin.MISSING), "newest": None, "note": str(error)}
            continue
        result.records[label] = _record(bringer.stored(), night, series, bringer.revised)
        if served:
            result.records[label] |= {
                "origin": str(InputOrigin.FALLBACK),
                "note": "from the store: the service is down",
            }
    result.findings += _told_of_outages(result)
    return result


@dataclass(frozen=True)
class _Span:
    """What a night asks of a series: everything from ``start``, whole from ``recent`` to the end of the delivery day."""

    start: pd.Timestamp
    recent: pd.Timestamp
    end: pd.Timestamp


@dataclass
class _Bringer:
    """Brings one series into the store, piece by piece."""

    source: Source
    store: Store
    night: Night
    series: str
    place: str
    span: _Span
    policy: QualityPolicy
    result: Fetched
    seen_at: pd.Timestamp | None = None
    capacity_mw: float | None = None
    revised: int = 0

    def bring(self) -> None:
        """Read, check and store what is new. Raises what the source or a rule raises."""
        span, stored = self.span, self.stored()
        start = span.start
        if len(stored) and stored.index[0] <= start + pd.Timedelta(days=1):
            start = max(start, (stored.index[-1] - OVERLAP).floor("h"))
        history, refused = stored, None
        for first, last in _pieces(start, span.recent, span.end):
            try:
                frame = read_series(self.source, self.series, self.place, first, last)
            except NoDataError as error:
                refused = error
                if last < span.end:
                    continue
                if history.empty:
                    raise
                frame = stored.iloc[:0][["value", "available_at"]]
            if self.source.simulated or frame.attrs.get("simulated"):
                self.result.simulated.add(self.series)
            require_time_zone(frame, self.series, self.place)
            edges = [first, *_finer_from(frame.index, self.night.market_time_zone), last]
            for begin, end in pairwise(edges):
                history = self.keep(frame[(frame.index >= begin) & (frame.index < end)], begin, end, history)
        if refused is not None and history.empty:
            raise refused

    def stored(self) -> pd.DataFrame:
        """Everything of the series that was known at the night's instant."""
        return self.store.read(self.series, self.place, self.span.start, self.span.end, as_of=self.night.as_of)

    def keep(self, frame: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp, history: pd.DataFrame) -> pd.DataFrame:
        """Check the values delivered in ``[first, last)`` and store them; returns the history with them."""
        night = self.night
        frame = frame[(frame["available_at"] <= night.as_of).to_numpy()]
        step = step_of(frame.index if len(frame) > 1 else history.index[-WEEK_OF_STEPS:], night.step_minutes)
        expected = self.due(first, last, step)
        if not len(expected):
            return history
        checked = check_series(
            frame,
            series=self.series,
            zone=self.place,
            expected=expected,
            step_minutes=step,
            time_zone=night.market_time_zone,
            rule=self.source.availability(self.series),
            history=history if len(history) else None,
            policy=self.policy if last > self.span.recent else replace(self.policy, gap=Policy.ACCEPT),
            capacity_mw=self.capacity_mw,
        )
        written = self.store.write(
            checked.frame,
            series=self.series,
            zone=self.place,
            source=frame.attrs.get("source", self.source.name),
            seen_at=self.seen_at,
        )
        self.revised += written.revised
        result, since = self.result, night.index[0] - LAST_DAYS
        result.rows += written.added + written.revised + written.replaced
        result.findings += [str(finding) for finding in checked.findings if finding.end >= since]
        return pd.concat([history, checked.frame]) if len(history) else checked.frame

    def due(self, first: pd.Timestamp, last: pd.Timestamp, step_minutes: int) -> pd.DatetimeIndex:
        """Delivery times of ``[first, last)`` that must be published at the night's instant."""
        step = pd.Timedelta(minutes=step_minutes)
        times = pd.date_range(first, last, freq=step, inclusive="left", unit="ns")
        rule = self.source.availability(self.series)
        known = rule.available_at(times, self.night.market_time_zone, step_minutes)
        return times[np.asarray(known <= self.night.as_of)]

    def serve_from_store(self, stale_hours: float) -> None:
        """Go on with what is stored, because the service is down; a forecast is borrowed from the week before.

        Raises ``SourceUnavailableError`` if a series that the night needs is absent or lags too far behind.
        """
        night, stored = self.night, self.stored()
        said = self.result.outages[-1]
        name = f"{self.series} of {self.place}"
        needed = series_spec(self.series).kind is not SeriesKind.FORECAST
        if stored.empty:
            if needed:
                raise SourceUnavailableError(f"{name}: the data service is down and the store has none of it; {said}")
            raise NoDataError(f"the data service is down and the store has none of it; {said}")
        if str(stored["source"].iloc[-1]).endswith("(simulated)") or self.source.simulated:
            self.result.simulated.add(self.series)
        newest = stored.index[-1]
        due = self.due(self.span.recent, self.span.end, step_of(stored.index[-WEEK_OF_STEPS:], night.step_minutes))
        lag = due[-1] - newest if len(due) else pd.Timedelta(0)
        until = f"{newest.tz_convert(night.market_time_zone):%Y-%m-%d %H:%M %Z}"
        allowed = pd.Timedelta(hours=stale_hours)
        if self.series == "price" and night.mode is Mode.EVENING:
            allowed = pd.Timedelta(0)
        if needed and lag > allowed:
            raise SourceUnavailableError(
                f"{name}: the data service is down and the newest stored value is of {until}, "
                f"{lag / pd.Timedelta(hours=1):g} h behind what is due ({allowed / pd.Timedelta(hours=1):g} h are allowed); "
                f"run again when the service answers; {said}"
            )
        if not needed and lag > pd.Timedelta(0):
            with suppress(DataError):  # no earlier week to borrow from: the forecasters see the values as missing
                self.keep(
                    stored.iloc[:0][["value", "available_at"]], newest + pd.Timedelta(1, "ns"), self.span.end, stored
                )
        self.result.served.setdefault(until, []).append(name)


def _pieces(
    start: pd.Timestamp, recent: pd.Timestamp, end: pd.Timestamp
) -> Iterator[tuple[pd.Timestamp, pd.Timestamp]]:
    """UTC months from ``start`` to ``recent``, then the rest to ``end`` in one piece."""
    if start < recent:
        months = pd.date_range(start.ceil("D"), recent, freq="MS", inclusive="neither", normalize=True)
        edges = [start, *(month for month in months if start < month < recent), recent]
        yield from pairwise(edges)
    yield max(start, recent), end


def _finer_from(index: pd.DatetimeIndex, time_zone: str) -> list[pd.Timestamp]:
    """The start of the market day from which the rows come more often, as prices do since 2025-10-01; empty if there is none.

    The days on either side are checked apart: an hourly day has no missing quarter-hours.
    """
    if len(index) < 2 or not index.is_monotonic_increasing:
        return []
    minutes = index.as_unit("ns").asi8 // 60_000_000_000
    to_next = np.diff(minutes, append=2 * minutes[-1] - minutes[-2])
    finest = pd.Series(to_next, index=index.tz_convert(time_zone).normalize()).groupby(level=0).min()
    changed = finest[finest.diff().fillna(0.0) != 0]
    if len(changed) != 1 or not set(finest) <= {15, 30, 60} or finest.iloc[0] < finest.iloc[-1]:
        return []
    return [changed.index[0].tz_convert("UTC")]


def _told_of_outages(result: Fetched) -> list[str]:
    """One sentence for everything that the store serves, if it does, then what the service said."""
    parts = [f"{', '.join(names)} (newest value of {until})" for until, names in result.served.items()]
    sentence = f"the data service did not answer, so the store serves: {'; '.join(parts)}"
    return [*([sentence] if parts else []), *(f"the data service: {said}" for said in result.outages)]


def _bring_or_serve(bringer: _Bringer, stale_hours: float) -> bool:
    """Bring a series from the source; True if the service was down and the store serves in its place."""
    outages = bringer.result.outages
    if len(outages) < MOST_OUTAGES:
        try:
            bringer.bring()
            return False
        except SourceUnavailableError as error:
            outages.append(str(error))
    bringer.serve_from_store(stale_hours)
    return True


def step_of(index: pd.DatetimeIndex, default: int) -> int:
    """Minutes between rows: the most frequent spacing, so that a gap does not count."""
    if index.nunique() < 2:
        return default
    spacing = np.diff(np.unique(index.as_unit("ns").asi8)) // 60_000_000_000
    values, counts = np.unique(spacing, return_counts=True)
    return int(values[np.argmax(counts)])


def _record(rows: pd.DataFrame, night: Night, series: str, revised: int) -> dict[str, Any]:
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
    if revised:
        notes.append(f"{revised} values changed by the source since they were stored")
    return {"origin": str(origin), "newest": rows.index[-1], "note": "; ".join(notes)}


def origins(records: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Input name to where it came from, for a message."""
    return {name: str(record["origin"]) for name, record in records.items()}
