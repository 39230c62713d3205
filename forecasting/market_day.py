"""Market days of 23, 24 and 25 hours, and the normalised day of 24 (or 96) slots that models see.

The normalised day follows Lago et al., Applied Energy 293 (2021) 116983: the hour that spring skips is the mean of its
neighbours, the hour that autumn doubles is averaged. For quarter-hours the skipped quarter is the mean of the same
quarter one hour earlier and one hour later, so that its hourly means are those of the hourly convention.
"""

from __future__ import annotations

from datetime import date
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.errors import SettingError

FloatArray = NDArray[np.float64]
Days = NDArray[np.datetime64]

#: A local date in any of the forms that users write.
Day: TypeAlias = date | str | np.datetime64 | pd.Timestamp

DAY_MINUTES = 1440


def as_day(day: Day) -> np.datetime64:
    """``day`` as ``datetime64[D]``; a clock time and a time zone in it are dropped."""
    found: np.datetime64 = pd.Timestamp(day).tz_localize(None).to_datetime64().astype("datetime64[D]")
    return found


def slots_per_day(step_minutes: int) -> int:
    """Slots in the normalised market day. Raises ``SettingError`` unless the step divides an hour."""
    if step_minutes <= 0 or 60 % step_minutes:
        raise SettingError(f"step_minutes must divide 60, got {step_minutes}; use 60, 30 or 15")
    return DAY_MINUTES // step_minutes


def day_start(day: Day, time_zone: str) -> pd.Timestamp:
    """UTC instant at which market day ``day`` begins in ``time_zone``."""
    naive = pd.Timestamp(day).tz_localize(None).normalize()
    return naive.tz_localize(time_zone, ambiguous=True, nonexistent="shift_forward").tz_convert("UTC")


def delivery_index(day: Day, time_zone: str, step_minutes: int = 60) -> pd.DatetimeIndex:
    """UTC start of every delivery step of one market day: 23, 24 or 25 hours, or 92, 96 or 100 quarter-hours.

    >>> [len(delivery_index(day, "Europe/Berlin")) for day in ("2024-03-31", "2024-06-01", "2024-10-27")]
    [23, 24, 25]
    """
    slots_per_day(step_minutes)
    start = day_start(day, time_zone)
    end = day_start(pd.Timestamp(day).tz_localize(None) + pd.Timedelta(days=1), time_zone)
    return pd.date_range(
        start, end, freq=pd.Timedelta(minutes=step_minutes), inclusive="left", name="delivery_utc", unit="ns"
    )


def delivery_day(instant: pd.Timestamp, time_zone: str) -> date:
    """Market day in which the UTC ``instant`` lies."""
    local: date = instant.tz_convert(time_zone).date()
    return local


def day_range(first_day: Day, last_day: Day) -> Days:
    """Every day from ``first_day`` to ``last_day``, both included, as ``datetime64[D]``."""
    first, last = as_day(first_day), as_day(last_day)
    if last < first:
        raise SettingError(f"last day {last} lies before first day {first}")
    return np.arange(first, last + 1)


def slot_positions(
    index: pd.DatetimeIndex, first_day: np.datetime64, time_zone: str, step_minutes: int
) -> NDArray[np.int64]:
    """Position of each UTC step in the flattened slot array that begins with ``first_day``; negative before it."""
    wall = index.tz_convert(time_zone).tz_localize(None).as_unit("ns").asi8
    origin = first_day.astype("datetime64[ns]").astype(np.int64)
    return np.asarray((wall - origin) // (step_minutes * 60_000_000_000), dtype=np.int64)


def skipped_slots(first_day: np.datetime64, days: int, time_zone: str, step_minutes: int) -> NDArray[np.int64]:
    """Flattened positions of the slots that do not exist on the clock (the spring hour), for ``days`` days."""
    slots = slots_per_day(step_minutes)
    start, end = day_start(first_day, time_zone), day_start(first_day + np.timedelta64(days, "D"), time_zone)
    index = pd.date_range(start, end, freq=pd.Timedelta(minutes=step_minutes), inclusive="left", unit="ns")
    exists = np.zeros(days * slots, dtype=bool)
    exists[slot_positions(index, first_day, time_zone, step_minutes)] = True
    return np.flatnonzero(~exists)


def to_slots(
    index: pd.DatetimeIndex, values: FloatArray, days: Days, time_zone: str, step_minutes: int = 60
) -> FloatArray:
    """Normalise a UTC series to market days.

    Parameters
    ----------
    index: UTC step starts, shape ``[step]``; steps outside ``days`` are ignored.
    values: shape ``[step]``. NaN stays NaN (and makes an averaged slot NaN): missing is never zero.
    days: consecutive local days, shape ``[day]``.

    Returns
    -------
    Array ``[day, slot]``; NaN where the series has nothing.
    """
    slots = slots_per_day(step_minutes)
    size = len(days) * slots
    position = slot_positions(index, days[0], time_zone, step_minutes)
    inside = (position >= 0) & (position < size)
    position, inner = position[inside], np.asarray(values, dtype=np.float64)[inside]
    count = np.bincount(position, minlength=size)
    total = np.bincount(position, weights=inner, minlength=size)
    flat = np.full(size, np.nan)
    np.divide(total, count, out=flat, where=count > 0)
    return fill_skipped(flat, days, time_zone, step_minutes)


def fill_skipped(flat: FloatArray, days: Days, time_zone: str, step_minutes: int) -> FloatArray:
    """Fill the skipped spring hour of a flattened slot array and shape it ``[day, slot]``."""
    slots, hour = slots_per_day(step_minutes), 60 // step_minutes
    filled = flat.copy()
    for position in skipped_slots(days[0], len(days), time_zone, step_minutes):
        before, after = position - hour, position + hour
        if before >= 0 and after < len(flat):
            filled[position] = 0.5 * (flat[before] + flat[after])
    return filled.reshape(len(days), slots)


def from_slots(slot_values: FloatArray, day: Day, time_zone: str, step_minutes: int = 60) -> FloatArray:
    """Values of the real delivery steps of ``day`` from its normalised slots.

    ``slot_values`` has shape ``[slot, ...]``; the result ``[step, ...]`` follows ``delivery_index``: the skipped spring
    hour is dropped and both passes of the autumn hour get the same value.
    """
    slots = slots_per_day(step_minutes)
    if slot_values.shape[0] != slots:
        raise SettingError(f"expected {slots} slots of {step_minutes} minutes, got {slot_values.shape[0]}")
    positions = slot_positions(delivery_index(day, time_zone, step_minutes), as_day(day), time_zone, step_minutes)
    return slot_values[positions]
