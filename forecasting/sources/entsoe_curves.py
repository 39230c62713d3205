"""From the time series of several answers to one value per step: duplicates, resolutions, auctions, placeholders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from forecasting.errors import DataError
from forecasting.sources.entsoe_parse import MarketTimeSeries

#: First delivery instant of the quarter-hourly day-ahead auction: delivery day 2025-10-01 in market time.
QUARTER_HOURLY_PRICES_FROM = pd.Timestamp("2025-10-01", tz="Europe/Brussels").tz_convert("UTC").as_unit("ns")

_HOUR = pd.Timedelta(hours=1)
_SHOWN = 3


def tabulate(series: Iterable[MarketTimeSeries], what: str) -> pd.DataFrame:
    """All values by ``(step, instant)``: columns ``delivery_utc``, ``step`` (timedelta), ``value``; one row per pair.

    The same step published twice is kept once where the values agree (a value beats "missing") and raises ``DataError``
    naming ``what`` and the first instants where they do not. Values are never carried from one period into another.
    """
    blocks = [
        pd.DataFrame({"delivery_utc": period.index, "step": period.step, "value": period.values})
        for one in series
        for period in one.periods
    ]
    if not blocks:
        return pd.DataFrame({"delivery_utc": pd.DatetimeIndex([], tz="UTC"), "step": pd.to_timedelta([]), "value": []})
    rows = pd.concat(blocks, ignore_index=True)
    spread = rows.groupby(["step", "delivery_utc"], sort=True)["value"].agg(["min", "max"])
    apart = spread[spread["max"] != spread["min"]].dropna()
    if len(apart):
        shown = "; ".join(
            f"{instant:%Y-%m-%dT%H:%MZ} as {low:g} and {high:g}"
            for (_, instant), low, high in apart.head(_SHOWN).itertuples()
        )
        raise DataError(
            f"{what}: {len(apart)} steps are published twice with different values ({shown}); "
            "neither is used, ask again later or drop the days"
        )
    return spread["min"].rename("value").reset_index()[["delivery_utc", "step", "value"]]


def finest(rows: pd.DataFrame) -> pd.DataFrame:
    """Where two resolutions cover the same time, the finer one alone; indexed by ``delivery_utc``."""
    kept: list[pd.DataFrame] = []
    for _, coarse in rows.sort_values(["step", "delivery_utc"]).groupby("step", sort=True):
        begins = coarse["delivery_utc"].to_numpy()
        ends = (coarse["delivery_utc"] + coarse["step"]).to_numpy()
        free = np.ones(len(coarse), dtype=bool)
        for finer in kept:
            taken = finer["delivery_utc"].to_numpy()
            free &= np.searchsorted(taken, begins) == np.searchsorted(taken, ends)
        kept.append(coarse[free])
    return pd.concat(kept).set_index("delivery_utc").sort_index() if kept else rows.set_index("delivery_utc")


def day_ahead_auction(series: Sequence[MarketTimeSeries]) -> list[MarketTimeSeries]:
    """The series of the coupled day-ahead auction: sequence 1 (or none given) and contract type daily (or none given).

    DE_LU and AT publish a second auction under sequence 2, and some zones answer with intraday contracts too.
    """
    return [one for one in series if one.auction in (None, 1) and one.agreement in ("", "A01")]


def prices_in_market_resolution(rows: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Hourly prices before delivery day 2025-10-01, the finest published from then on.

    Quarter-hours before that day that merely repeat the hour stand for it where no hourly price is given; others belong
    to another auction and are dropped with a line in ``notes``.
    """
    early = rows["delivery_utc"] < QUARTER_HOURLY_PRICES_FROM
    hourly = rows[early & (rows["step"] == _HOUR)]
    finer = rows[early & (rows["step"] < _HOUR)]
    hours = finer["delivery_utc"].dt.floor("h")
    finer = finer[~hours.isin(hourly["delivery_utc"])]
    if len(finer):
        covered = finer.assign(hour=finer["delivery_utc"].dt.floor("h"))
        parts = covered.groupby("hour").agg(
            low=("value", "min"), high=("value", "max"), known=("value", "count"), whole=("step", "sum")
        )
        size = covered.groupby("hour")["value"].size()
        same = (parts["low"] == parts["high"]) & (parts["known"] == size) & (parts["whole"] == _HOUR)
        stand_in = parts.loc[same, "low"].rename_axis("delivery_utc").reset_index(name="value").assign(step=_HOUR)
        hourly = pd.concat([hourly, stand_in], ignore_index=True)
        if not same.all():
            notes.append(
                f"{int((~same).sum())} hours before 2025-10-01 have only quarter-hourly prices of another auction; "
                "they are missing"
            )
    return pd.concat([hourly, rows[~early]], ignore_index=True)


def net_generation(generation: pd.DataFrame, consumption: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Generation less own consumption where both are published.

    Without generation the value is missing, whatever is consumed: missing is never zero.
    """
    if consumption.empty or generation.empty:
        return generation
    taken = consumption["value"].reindex(generation.index)
    notes.append(f"own consumption is subtracted at {int(taken.notna().sum())} of {len(generation)} steps")
    return generation.assign(value=generation["value"] - taken.where(taken.notna(), 0.0))


def drop_placeholder_zeros(
    values: pd.Series, published_by_rule: pd.DatetimeIndex, fetched_at: pd.Timestamp, time_zone: str, notes: list[str]
) -> pd.Series:
    """A price of 0 for a day to come is missing, unless the day is published and shows other prices as well.

    ``published_by_rule`` is the UTC instant at which each value is due. A zero before that instant is a placeholder; so
    is a whole market day of nothing but zeros that lies after ``fetched_at``.
    """
    local_day = pd.Series(values.index.tz_convert(time_zone).date, index=values.index)
    today = fetched_at.tz_convert(time_zone).date()
    only_zeros = (values.fillna(0.0) == 0.0).groupby(local_day.to_numpy()).transform("all")
    not_due = pd.Series(published_by_rule > fetched_at, index=values.index)
    placeholder = (values == 0.0) & (local_day > today) & (only_zeros | not_due)
    if placeholder.any():
        days = ", ".join(sorted({f"{day}" for day in local_day[placeholder]}))
        notes.append(f"{int(placeholder.sum())} zeros on {days} are placeholders, not prices; they are missing")
    return values.mask(placeholder)


def month_is_complete(values: pd.Series, start: pd.Timestamp, end: pd.Timestamp) -> bool:
    """Whether ``values`` cover every hour of ``[start, end)`` in a regular step that changes at most once."""
    known = values.dropna()
    known = known[(known.index >= start) & (known.index < end)]
    hours = pd.date_range(start, end, freq="h", inclusive="left")
    per_hour = known.groupby(known.index.floor("h")).size().reindex(hours, fill_value=0)
    return bool(per_hour.isin((1, 2, 4)).all()) and int((per_hour.diff().iloc[1:] != 0).sum()) <= 1
