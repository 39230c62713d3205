"""Rules that compare new values with the past: ``spike``, ``duplicated_day``, ``repeated_forecast``, ``time_shift``.

They look at the new rows only, need two weeks of past, and stay silent without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.quality_policy import Finding, Policy, RuleContext
from forecasting.series import SeriesKind

FloatArray = NDArray[np.float64]

#: Days of past that a rule needs.
FEWEST_DAYS = 14

#: A series that repeats a day of its past this often repeats days by habit.
HABIT_SHARE = 0.1

#: Series with a daily shape that is steady enough to tell the hour, and the clock that their shape follows.
SHAPED = {"load": "market", "load_forecast": "market", "solar_forecast": "UTC"}

#: A shift is believed if the shifted shape explains the day this many times better, with this correlation, on this many
#: new days. In ten zones of the ENTSO-E platform, 2022 to June 2024, four weeks of solar forecasts meet this, three of
#: them within a fortnight of a clock change, and no load forecast does.
SHIFT_GAIN, SHIFT_CORRELATION, SHIFT_DAYS = 8.0, 0.98, 2


def check_spike(frame: pd.DataFrame, context: RuleContext) -> tuple[pd.DataFrame, list[Finding]]:
    """``spike``: outside the range from the 1% to the 99% level of the past by more than so many widths of it."""
    past = context.past.dropna() if context.past is not None else frame["value"].iloc[:0]
    enough = pd.Timedelta(days=FEWEST_DAYS)
    known = past if len(past) * context.step >= enough else _with_past(frame, context).dropna()
    if len(known) * context.step < enough:
        return frame, []
    low, high = np.quantile(known.to_numpy(), (0.01, 0.99))
    room = context.policy.spike_limit(context.spec) * (high - low)
    if not room > 0:
        return frame, []
    beyond = np.maximum(low - frame["value"], frame["value"] - high)
    outside = (beyond > room).to_numpy()
    if not outside.any():
        return frame, []
    index = frame.index[outside]
    worst = frame["value"].iloc[int(np.nanargmax(beyond))]
    text = f"spike: {context.span(index)}, up to {worst:.6g}, usual are {low:.4g} to {high:.4g}"
    return _answer("spike", frame, outside, text, context, context.policy.spike_policy(context.spec))


def check_repeated_day(frame: pd.DataFrame, context: RuleContext) -> tuple[pd.DataFrame, list[Finding]]:
    """``duplicated_day``, of a forecast ``repeated_forecast``: a day whose every value is that of the day before.

    A series that does so by habit (steady plants, forecasts by persistence) is left alone.
    """
    days = _days(_with_past(frame, context), context.time_zone)
    if len(days) <= FEWEST_DAYS:
        return frame, []
    same = [_same(days.get(day - timedelta(days=1)), values) for day, values in days.items()]
    new = set(frame.index.tz_convert(context.time_zone).date)
    past = [flag for day, flag in zip(days, same, strict=True) if day not in new]
    if len(past) < FEWEST_DAYS or np.mean(past) > HABIT_SHARE:
        return frame, []
    repeated = [day for day, flag in zip(days, same, strict=True) if flag and day in new]
    if not repeated:
        return frame, []
    forecast = context.spec.kind is SeriesKind.FORECAST
    name = "repeated_forecast" if forecast else "duplicated_day"
    what = "the forecast of the day before served again" if forecast else "the values of the day before again"
    rejected = _on_days(frame.index, repeated, context.time_zone)
    text = f"{what}: {', '.join(map(str, repeated))}"
    return _answer(name, frame, rejected, text, context, getattr(context.policy, name))


def check_time_shift(frame: pd.DataFrame, context: RuleContext) -> tuple[pd.DataFrame, list[Finding]]:
    """``time_shift``: the shape of the new days is that of the same weekdays before, an hour or two early or late."""
    clock = SHAPED.get(context.spec.name)
    if clock is None or not len(frame):
        return frame, []
    time_zone = "UTC" if clock == "UTC" else context.time_zone
    days = _days(_with_past(frame, context), time_zone)
    per_hour = max(int(pd.Timedelta(hours=1) / context.step), 1)
    new = sorted(set(frame.index.tz_convert(time_zone).date) & set(days))
    shifts = [_shift_hours(days, day, per_hour) for day in new]
    for hours in (-2, -1, 1, 2):
        shifted = [day for day, found in zip(new, shifts, strict=True) if found == hours]
        if len(shifted) >= SHIFT_DAYS and len(shifted) > len(new) / 2:
            rejected = _on_days(frame.index, shifted, time_zone)
            word = "late" if hours > 0 else "early"
            text = (
                f"time zone: the days {shifted[0]} to {shifted[-1]} come {abs(hours)} h {word} against the weeks before"
            )
            return _answer("time_shift", frame, rejected, text, context, context.policy.time_shift)
    return frame, []


def _with_past(frame: pd.DataFrame, context: RuleContext) -> pd.Series:
    if context.past is None or context.past.empty:
        return frame["value"]
    both = pd.concat([context.past[~context.past.index.isin(frame.index)], frame["value"]])
    return both.sort_index()


def _days(values: pd.Series, time_zone: str) -> dict[date, FloatArray]:
    """Values of every whole day that has no gap."""
    values = values[values.notna()]
    local = values.index.tz_convert(time_zone).tz_localize(None).normalize().to_numpy()
    if not len(local):
        return {}
    first = np.concatenate([[0], np.flatnonzero(np.diff(local)) + 1])
    parts = np.split(values.to_numpy(dtype=np.float64), first[1:])
    longest = max(len(part) for part in parts)
    enough = longest * 0.9  # the day of 23 hours is whole
    stamps = pd.DatetimeIndex(local[first]).date
    return {day: part for day, part in zip(stamps, parts, strict=True) if len(part) >= enough}


def _on_days(index: pd.DatetimeIndex, days: Sequence[date], time_zone: str) -> NDArray[np.bool_]:
    wanted = set(days)
    return np.array([day in wanted for day in index.tz_convert(time_zone).date], dtype=np.bool_)


def _same(before: FloatArray | None, values: FloatArray) -> bool:
    if before is None or len(before) != len(values) or np.ptp(values) == 0:
        return False
    return bool(np.allclose(before, values, rtol=1e-9, atol=1e-9))


def _shift_hours(days: dict[date, FloatArray], day: date, per_hour: int) -> int:
    """Hours by which ``day`` comes late against the same weekday of the weeks before; 0 if that cannot be said."""
    values = days[day]
    weeks = [days.get(day - timedelta(weeks=k)) for k in range(1, 5)]
    alike = [one for one in weeks if one is not None and len(one) == len(values)]
    if len(alike) < 2 or np.ptp(values) == 0:
        return 0
    usual = np.median(alike, axis=0)
    if np.ptp(usual) == 0:
        return 0
    unexplained = {}
    for hours in range(-2, 3):
        correlation = float(np.corrcoef(np.roll(usual, hours * per_hour), values)[0, 1])
        unexplained[hours] = 1.0 - correlation**2 if correlation > 0 else 1.0
    best = min(unexplained, key=lambda hours: unexplained[hours])
    sure = unexplained[0] > SHIFT_GAIN * unexplained[best] and unexplained[best] < 1.0 - SHIFT_CORRELATION**2
    return best if sure else 0


def _answer(
    name: str, frame: pd.DataFrame, rejected: NDArray[np.bool_], text: str, context: RuleContext, policy: Policy
) -> tuple[pd.DataFrame, list[Finding]]:
    """What the policy says: refuse, count the rows as missing, or keep them and report."""
    index = frame.index[rejected]
    if policy is Policy.REFUSE:
        raise DataError(
            f"{context.spec.name} of {context.zone}: {text}; correct the source, or set quality.{name}=repair (counts as "
            "missing) or accept"
        )
    if policy is Policy.ACCEPT:
        return frame, [context.finding(name, index, "kept", text)]
    found = context.finding(name, index, "repaired", f"{text}; treated as missing")
    return frame.assign(value=frame["value"].mask(rejected)), [found]
