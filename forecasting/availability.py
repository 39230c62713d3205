"""When a value becomes known: the rule that keeps tomorrow's data out of today's forecast."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time

import numpy as np
import pandas as pd

from forecasting.errors import SettingError

_DAY_RULE = re.compile(r"^D(?:([+-])(\d+))?\s+(\d{1,2}):(\d{2})$")
_DELAY_RULE = re.compile(r"^delivery end\s*\+\s*(\d+)\s*min$")


@dataclass(frozen=True)
class AvailabilityRule:
    """Publication time of a value delivered on market day D.

    Either a fixed local time on day ``D + day_offset`` (``local_time``), or ``delay_minutes`` after the end of the
    delivery step. Written ``"D-1 12:57"`` or ``"delivery end + 60 min"``; local time is market time.

    >>> AvailabilityRule.parse("D-1 12:57")
    AvailabilityRule(day_offset=-1, local_time=datetime.time(12, 57), delay_minutes=None)
    >>> str(AvailabilityRule.parse("delivery end + 60 min"))
    'delivery end + 60 min'
    """

    day_offset: int = 0
    local_time: time | None = None
    delay_minutes: int | None = None

    def __post_init__(self) -> None:
        if (self.local_time is None) == (self.delay_minutes is None):
            raise SettingError("an availability rule has either a local time or a delay after delivery, not both")

    @classmethod
    def parse(cls, text: str) -> AvailabilityRule:
        """Read a rule from its text. Raises ``SettingError`` showing the two accepted forms."""
        day = _DAY_RULE.match(text.strip())
        if day and int(day[3]) < 24 and int(day[4]) < 60:
            offset = int(day[2] or 0) * (-1 if day[1] == "-" else 1)
            return cls(day_offset=offset, local_time=time(int(day[3]), int(day[4])))
        delay = _DELAY_RULE.match(text.strip())
        if delay:
            return cls(delay_minutes=int(delay[1]))
        raise SettingError(
            f"availability rule {text!r} is not understood; write 'D-1 12:57' (market time) or 'delivery end + 60 min'"
        )

    def __str__(self) -> str:
        if self.local_time is None:
            return f"delivery end + {self.delay_minutes} min"
        return f"D{self.day_offset:+d} {self.local_time:%H:%M}" if self.day_offset else f"D {self.local_time:%H:%M}"

    def available_at(self, index: pd.DatetimeIndex, time_zone: str, step_minutes: int) -> pd.DatetimeIndex:
        """UTC instants at which values delivered at ``index`` (UTC, step starts) become known, same length."""
        if self.local_time is None:
            return index + pd.Timedelta(minutes=step_minutes + (self.delay_minutes or 0))
        local_days = index.tz_convert(time_zone).tz_localize(None).normalize().to_numpy()
        days, position = np.unique(local_days, return_inverse=True)
        return local_instants(days, self.day_offset, self.local_time, time_zone)[position]


def local_instants(
    days: np.ndarray[tuple[int], np.dtype[np.datetime64]], day_offset: int, local_time: time, time_zone: str
) -> pd.DatetimeIndex:
    """UTC instants of ``local_time`` on each of ``days`` shifted by ``day_offset``.

    A local time that a clock change repeats means its second pass (nothing is known too early); one that it skips is
    moved forward to the first existing instant.
    """
    clock = pd.Timedelta(hours=local_time.hour, minutes=local_time.minute)
    wall = pd.DatetimeIndex(days.astype("datetime64[ns]")) + pd.Timedelta(days=day_offset) + clock
    ambiguous = np.zeros(len(wall), dtype=bool)
    return wall.tz_localize(time_zone, ambiguous=ambiguous, nonexistent="shift_forward").tz_convert("UTC")


def with_overrides(
    defaults: Mapping[str, AvailabilityRule], overrides: Mapping[str, str] | None
) -> dict[str, AvailabilityRule]:
    """``defaults`` with the rules named in ``overrides`` (series name to rule text) replaced."""
    return {**defaults, **{series: AvailabilityRule.parse(text) for series, text in (overrides or {}).items()}}
