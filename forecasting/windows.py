"""Day-ahead samples from the store: for each delivery day, only what was known at its decision time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Protocol

import numpy as np
import pandas as pd

from forecasting.availability import local_instants
from forecasting.errors import NoDataError, SettingError, UnknownNameError
from forecasting.market_day import Day, Days, as_day, day_range, day_start, slots_per_day
from forecasting.names import unknown
from forecasting.samples import DayAheadSamples
from forecasting.series import series_spec
from forecasting.slot_versions import SlotVersions, load_slot_versions


class VersionedSeries(Protocol):
    """Where samples read from: a :class:`forecasting.store.Store`, or anything that answers like one."""

    def versions(
        self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp, as_of: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """Every version known at ``as_of``: index ``delivery_utc``, columns ``value`` and ``available_at``."""


#: The series that each target means.
TARGET_SERIES = {"price": "price", "wind": "wind_power", "load": "load"}


@dataclass(frozen=True)
class DecisionTime:
    """When the forecast for delivery day D is made: ``at`` (market time) on day ``D + day_offset``."""

    day_offset: int = -1
    at: time = time(11, 30)

    def instants(self, days: Days, time_zone: str) -> pd.DatetimeIndex:
        """UTC decision time of each delivery day."""
        return local_instants(days, self.day_offset, self.at, time_zone)


#: Before the auction closes at noon, and after its result and the wind and solar forecasts are out.
MORNING = DecisionTime(-1, time(11, 30))
EVENING = DecisionTime(-1, time(18, 30))


@dataclass(frozen=True)
class Channel:
    """One input series and the zone or site it belongs to."""

    series: str
    zone: str


@dataclass(frozen=True)
class ChannelPlan:
    """Inputs of one target. ``history[0]`` is the target itself; ``future`` holds forecasts for the delivery day."""

    target: str
    history: tuple[Channel, ...]
    future: tuple[Channel, ...]

    def __post_init__(self) -> None:
        if self.target not in TARGET_SERIES:
            raise UnknownNameError(unknown("target", self.target, TARGET_SERIES))
        for channel in (*self.history, *self.future):
            series_spec(channel.series)
        if not self.history or self.history[0].series != TARGET_SERIES[self.target]:
            raise SettingError(
                f"the first history channel of target {self.target} must be {TARGET_SERIES[self.target]}"
            )


def channel_plan(
    target: str,
    zone: str,
    *,
    condition_zone: str | None = None,
    conditions: Sequence[str] | None = None,
    price_known: bool = False,
) -> ChannelPlan:
    """The usual inputs of ``target`` in ``zone``.

    Parameters
    ----------
    condition_zone: zone whose forecasts condition a site (``target="wind"``) or feeder; ``zone`` itself if left out.
    conditions: names of the forecast series; by default load, wind and solar for price, wind for wind, load for load.
    price_known: evening mode; the cleared price of the delivery day joins the future channels of wind and load.

    Raises ``UnknownNameError`` for an unknown target or series.

    >>> plan = channel_plan("wind", "COAST_1_W1", condition_zone="COAST_1")
    >>> [channel.series for channel in plan.history], [channel.zone for channel in plan.future]
    (['wind_power', 'wind_forecast'], ['COAST_1'])
    """
    if target not in TARGET_SERIES:
        raise UnknownNameError(unknown("target", target, TARGET_SERIES))
    defaults = {
        "price": ("load_forecast", "wind_forecast", "solar_forecast"),
        "wind": ("wind_forecast",),
        "load": ("load_forecast",),
    }
    names = tuple(defaults[target] if conditions is None else conditions)
    inputs = tuple(Channel(name, condition_zone or zone) for name in names)
    history = (Channel(TARGET_SERIES[target], zone), *inputs)
    if price_known and target != "price":
        price = Channel("price", condition_zone or zone)
        return ChannelPlan(target, (*history, price), (*inputs, price))
    return ChannelPlan(target, history, inputs)


def build_samples(
    store: VersionedSeries,
    plan: ChannelPlan,
    *,
    first_day: Day,
    last_day: Day,
    time_zone: str,
    decision: DecisionTime = MORNING,
    history_days: int = 14,
    step_minutes: int = 60,
    as_of: pd.Timestamp | None = None,
) -> DayAheadSamples:
    """One sample per delivery day of ``[first_day, last_day]``.

    Each row uses only values with ``available_at`` at or before its own decision time; ``y`` is the newest value known
    at ``as_of`` (``None``: ever). Days whose decision lies after ``as_of`` are left out. A value not known is NaN.

    Raises
    ------
    NoDataError: no day is left, or the target has no value at all.
    SettingError: ``as_of`` without time zone, or settings out of range.
    """
    days = day_range(first_day, last_day)
    issued = decision.instants(days, time_zone)
    if as_of is not None:
        _check_moment(as_of)
        kept = np.asarray(issued <= as_of)
        days, issued = days[kept], issued[kept]
    if len(days) == 0:
        raise NoDataError(f"no delivery day from {first_day} to {last_day} has its decision time before {as_of}")
    return _assemble(store, plan, days, issued, time_zone, history_days, step_minutes, as_of)


def live_sample(
    store: VersionedSeries,
    plan: ChannelPlan,
    *,
    day: Day | date,
    as_of: pd.Timestamp,
    time_zone: str,
    history_days: int = 14,
    step_minutes: int = 60,
) -> DayAheadSamples:
    """The one sample from which delivery day ``day`` is forecast at ``as_of``; ``y`` is what is known then (NaN)."""
    _check_moment(as_of)
    issued = pd.DatetimeIndex([as_of.tz_convert("UTC")])
    days = np.array([as_day(day)])
    return _assemble(store, plan, days, issued, time_zone, history_days, step_minutes, as_of)


def _check_moment(as_of: pd.Timestamp) -> None:
    if as_of.tzinfo is None:
        raise SettingError(f"as_of={as_of.isoformat()} has no time zone; write for example {as_of.isoformat()}+02:00")


def _assemble(
    store: VersionedSeries,
    plan: ChannelPlan,
    days: Days,
    issued: pd.DatetimeIndex,
    time_zone: str,
    history_days: int,
    step_minutes: int,
    as_of: pd.Timestamp | None,
) -> DayAheadSamples:
    if history_days < 1:
        raise SettingError(f"history_days must be at least 1, got {history_days}")
    span = np.arange(days[0] - history_days, days[-1] + 1)
    start, end = day_start(span[0], time_zone), day_start(span[-1] + np.timedelta64(1, "D"), time_zone)
    loaded: dict[Channel, SlotVersions] = {}
    for channel in (*plan.history, *plan.future):
        if channel not in loaded:
            rows = store.versions(channel.series, channel.zone, start, end, as_of)
            loaded[channel] = load_slot_versions(rows, span, time_zone, step_minutes)
    target = loaded[plan.history[0]]
    if not target.has_values:
        raise NoDataError(
            f"the store has no {plan.history[0].series} of {plan.history[0].zone} from {span[0]} to {span[-1]}"
            + (f" known at {as_of}" if as_of is not None else "")
            + "; ingest it from the source first"
        )
    moments = issued.as_unit("ns").asi8
    slots = slots_per_day(step_minutes)
    position = (days - span[0]).astype(np.int64)
    window = position[:, None] - history_days + np.arange(history_days)
    history = np.empty((len(days), history_days, slots, len(plan.history)), dtype=np.float32)
    for k, channel in enumerate(plan.history):
        history[..., k] = loaded[channel].known_at(window, moments)
    future = np.empty((len(days), slots, len(plan.future)), dtype=np.float32)
    for k, channel in enumerate(plan.future):
        future[..., k] = loaded[channel].known_at(position[:, None], moments)[:, 0]
    spec = series_spec(plan.history[0].series)
    return DayAheadSamples(
        target=plan.target,
        unit=spec.unit,
        step_minutes=step_minutes,
        zone=np.full(len(days), plan.history[0].zone),
        day=days,
        issued_at=np.asarray(moments.view("datetime64[ns]")),
        history=history,
        history_channels=_names(plan.history),
        future=future,
        future_channels=_names(plan.future),
        y=target.newest()[position].astype(np.float32),
    )


def _names(channels: Sequence[Channel]) -> tuple[str, ...]:
    return tuple(channel.series for channel in channels)
