"""A series that becomes quarter-hourly from one market day on: stored as published, and read in either step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.availability import AvailabilityRule
from forecasting.errors import NoDataError
from forecasting.market_day import day_range
from forecasting.series import series_spec
from forecasting.slot_versions import load_slot_versions
from forecasting.store import Store
from pipelines.stages.fetch import Fetched, fetch
from pipelines.stages.night import plan_night

ZONE = "Europe/Copenhagen"
CHANGE = pd.Timestamp("2025-10-01", tz=ZONE).tz_convert("UTC")


def prices(first: str, last: str) -> pd.DataFrame:
    """Hourly before the change, quarter-hourly after: each value tells its time, and no two are equal."""
    start, end = pd.Timestamp(first, tz="UTC"), pd.Timestamp(last, tz="UTC")
    hours = pd.date_range(start, min(end, CHANGE), freq="h", inclusive="left", unit="ns")
    quarters = pd.date_range(max(start, CHANGE), end, freq="15min", inclusive="left", unit="ns")
    index = hours.append(quarters).rename("delivery_utc")
    age = (index - pd.Timestamp("2025-09-01", tz="UTC")) / pd.Timedelta(hours=1)
    value = 60 + 20 * np.sin(np.asarray(age) * np.pi / 12) + np.asarray(age) / 50
    known = series_spec("price").availability.available_at(index, ZONE, 60)
    return pd.DataFrame({"value": value, "available_at": known}, index=index)


class Exchange:
    """A source of prices alone."""

    name = "exchange"
    simulated = False

    def availability(self, series: str) -> AvailabilityRule:
        return series_spec(series).availability

    def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        if series != "price":
            raise NoDataError(f"no data for {zone}, {series}")
        frame = prices("2025-07-01", "2025-10-20")
        return frame[(frame.index >= start) & (frame.index < end)]


def fetched(store: Store, as_of: str) -> Fetched:
    source: Any = Exchange()
    rule = source.availability("price")
    night = plan_night("DK_1", pd.Timestamp(as_of, tz=ZONE).tz_convert("UTC"), ZONE, "auto", 60, rule)
    return fetch(source, store, night, history_days=60, lookback_days=14)


@pytest.mark.parametrize("first", ["2025-09-25T18:30", "2025-10-10T18:30"], ids=["night by night", "in one piece"])
def test_the_store_holds_what_was_published_and_no_night_complains(tmp_path: Path, first: str) -> None:
    store = Store(tmp_path)
    for as_of in pd.date_range(first, "2025-10-10T18:30", freq="D"):
        result = fetched(store, str(as_of))
        assert result.findings == [], as_of
        assert result.records["price"]["origin"] == "measured", as_of
    rows = store.read("price", "DK_1", CHANGE - pd.Timedelta(days=30), CHANGE + pd.Timedelta(days=10))
    wanted = prices("2025-08-31T22:00", "2025-10-10T22:00")
    pd.testing.assert_index_equal(rows.index, wanted.index)
    np.testing.assert_array_equal(rows["value"], wanted["value"])
    assert set(rows["origin"]) == {"measured"}


def test_a_quarter_hour_that_is_missing_after_the_change_is_found(tmp_path: Path) -> None:
    class Gapped(Exchange):
        def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
            return super().read(series, zone, start, end).drop(CHANGE + pd.Timedelta(minutes=615), errors="ignore")

    source: Any = Gapped()
    night = plan_night("DK_1", CHANGE - pd.Timedelta(hours=5.5), ZONE, "auto", 60, source.availability("price"))
    result = fetch(source, Store(tmp_path), night, history_days=60, lookback_days=14)
    assert len(result.findings) == 1
    assert "short gap interpolated: 1 values" in result.findings[0]


@pytest.mark.parametrize(("step_minutes", "slots"), [(15, 96), (60, 24)])
def test_samples_repeat_hours_and_average_quarter_hours(step_minutes: int, slots: int) -> None:
    rows = prices("2025-09-28T22:00", "2025-10-02T22:00")
    days = day_range("2025-09-29", "2025-10-02")
    read = load_slot_versions(rows, days, ZONE, step_minutes).newest()
    assert read.shape == (4, slots)
    assert np.isfinite(read).all()
    each = rows["value"].to_numpy()
    hours, quarters = each[:48], each[48:]
    if step_minutes == 15:
        np.testing.assert_array_equal(read[:2].ravel(), np.repeat(hours, 4))
        np.testing.assert_array_equal(read[2:].ravel(), quarters)
    else:
        np.testing.assert_array_equal(read[:2].ravel(), hours)
        np.testing.assert_allclose(read[2:].ravel(), quarters.reshape(-1, 4).mean(axis=1))
