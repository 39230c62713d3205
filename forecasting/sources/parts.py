"""A series that a source holds only in parts, such as wind as onshore and offshore: their sum."""

from __future__ import annotations

import pandas as pd

from forecasting.errors import NoDataError, UnknownNameError
from forecasting.series import series_spec
from forecasting.sources.base import Source


def read_series(source: Source, series: str, place: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Read a series, or the sum of its parts where the source holds only those (a part it does not publish counts not).

    Raises what the source raises, and ``NoDataError`` if no part is published.
    """
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
