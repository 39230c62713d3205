"""What a data source is: it answers "give me series X of zone Z over [start, end)" with a tidy frame in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import pandas as pd

from forecasting.availability import AvailabilityRule

#: Columns of every frame that a source returns, beside its index ``delivery_utc`` (start of the step, tz-aware UTC).
COLUMNS: tuple[str, ...] = ("value", "available_at")


@runtime_checkable
class Source(Protocol):
    """Where series come from.

    ``name`` is a short word for reports, ``simulated`` says whether pages made from it must say "simulated data".
    """

    name: str
    simulated: bool

    def zones(self) -> Sequence[str]:
        """Zones (and sites) that this source knows."""

    def market_time_zone(self, zone: str) -> str:
        """IANA name of the zone in which the market day of ``zone`` is cut."""

    def availability(self, series: str) -> AvailabilityRule:
        """When values of ``series`` become known, for what is not recorded row by row."""

    def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Values of ``series`` (see ``forecasting.series.CATALOGUE``) delivered in ``[start, end)``.

        Returns a frame with a unique, increasing, tz-aware UTC index ``delivery_utc``, columns ``value`` (float, in the
        catalogue's unit; NaN where the source says "missing") and ``available_at`` (UTC instant at which the value
        became known). ``frame.attrs`` holds ``unit``, ``series``, ``zone``, ``source`` and ``notes`` (list of text).

        Raises ``UnknownNameError`` for a series or zone it does not know, ``NoDataError`` where it has nothing.
        """
