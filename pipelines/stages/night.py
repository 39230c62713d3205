"""Which night is run: the instant, the delivery day, and whether the price is already known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import pandas as pd

from forecasting.availability import AvailabilityRule
from forecasting.market_day import delivery_index
from pipelines.errors import ConfigError


class Mode(StrEnum):
    """Morning: before the day-ahead auction, the price is forecast. Evening: the price is known."""

    MORNING = "morning"
    EVENING = "evening"


@dataclass(frozen=True)
class Night:
    """One run of the chain: what is decided when, for which market day.

    ``as_of`` is a UTC instant; ``index`` holds the UTC start of every delivery step of ``delivery_day``.
    """

    zone: str
    as_of: pd.Timestamp
    delivery_day: date
    market_time_zone: str
    mode: Mode
    step_minutes: int
    index: pd.DatetimeIndex

    @property
    def step_hours(self) -> float:
        """Length of a delivery step in hours."""
        return self.step_minutes / 60

    def __str__(self) -> str:
        local = self.as_of.tz_convert(self.market_time_zone)
        return f"{self.zone}, delivery {self.delivery_day}, as of {local:%Y-%m-%d %H:%M %Z} ({self.mode})"


def plan_night(
    zone: str, as_of: pd.Timestamp, time_zone: str, mode: str, step_minutes: int, price_rule: AvailabilityRule
) -> Night:
    """The night at ``as_of``: delivery is the market day after it.

    ``mode`` is ``morning``, ``evening`` or ``auto``; ``auto`` asks whether ``price_rule`` has the delivery day's price
    published at ``as_of``. Raises ``ConfigError`` for any other mode, and for ``evening`` before the price is out.
    """
    today = as_of.tz_convert(time_zone).date()
    delivery_day = today + timedelta(days=1)
    index = delivery_index(delivery_day, time_zone, step_minutes)
    published = price_rule.available_at(index[:1], time_zone, step_minutes)[0]
    known = as_of >= published
    match mode:
        case "auto":
            chosen = Mode.EVENING if known else Mode.MORNING
        case "morning" | "evening":
            chosen = Mode(mode)
        case _:
            raise ConfigError(f"mode={mode} is unknown; use morning, evening or auto")
    if chosen is Mode.EVENING and not known:
        local = published.tz_convert(time_zone)
        raise ConfigError(
            f"mode=evening needs the price of {delivery_day}, which is published at {local:%Y-%m-%d %H:%M %Z}; "
            "use a later as_of, or mode=morning"
        )
    return Night(zone, as_of, delivery_day, time_zone, chosen, step_minutes, index)
