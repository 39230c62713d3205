"""Whole nights over both clock changes, in hours and quarter-hours, and over the day on which prices became quarter-hourly."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.market_day import delivery_index
from forecasting.sources.synthetic import SyntheticSource
from tests.pipelines import faulty
from tests.pipelines.faulty import FaultySource, Night, run_night

ZONE = "Europe/Copenhagen"


@cache
def market_of(year: int, step_minutes: int) -> SyntheticSource:
    return SyntheticSource(seed=0, step_minutes=step_minutes, start=f"{year}-01-01", years=1)


def certified(night: Night, day: str, step_minutes: int) -> pd.DataFrame:
    """The schedule of a night that must have been published as it should, checked against the steps of its day."""
    assert night.code == 0, night.said
    assert night.summary["status"] == "ok", night.reasons
    assert night.summary["dispatch"]["certificate"]["passed"] is True
    steps = delivery_index(day, ZONE, step_minutes)
    table = pd.read_parquet(night.folder / "schedule.parquet")
    for _, rows in table.groupby(["kind", "asset", "quantity"]):
        assert list(rows.sort_values("step")["time"].dt.tz_convert("UTC")) == list(steps)
    plan: dict[str, Any] = json.loads((night.folder / "plan.json").read_text(encoding="utf-8"))
    assert [pd.Timestamp(step) for step in plan["steps"]] == list(steps)
    assert plan["step_minutes"] == step_minutes
    lasts = pd.Timestamp(plan["valid_until"]) - pd.Timestamp(plan["valid_from"])
    assert lasts == len(steps) * pd.Timedelta(minutes=step_minutes)
    return table


def spot(table: pd.DataFrame) -> Any:
    rows = table[(table["kind"] == "grid") & (table["quantity"] == "spot_price_per_mwh")]
    return rows.sort_values("step")["value"].to_numpy()


def published(source: FaultySource, day: str, step_minutes: int) -> Any:
    """The price as the source has it, each step of the day the mean of what is published within it."""
    steps = delivery_index(day, ZONE, step_minutes)
    frame = source.read("price", "COAST_1", steps[0], steps[-1] + pd.Timedelta(minutes=step_minutes))
    values = frame["value"]
    if len(values) < len(steps):
        return values.reindex(steps, method="ffill").to_numpy()
    return values.groupby(values.index.floor(f"{step_minutes}min")).mean().reindex(steps).to_numpy()


@pytest.mark.parametrize("step_minutes", [60, 15])
@pytest.mark.parametrize(
    ("eve", "day", "hours"),
    [("2022-03-26", "2022-03-27", 23), ("2022-10-29", "2022-10-30", 25)],
    ids=["spring", "autumn"],
)
def test_the_days_of_both_clock_changes_are_planned_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eve: str, day: str, hours: int, step_minutes: int
) -> None:
    monkeypatch.setattr(faulty, "market", lambda: market_of(2022, step_minutes))
    source, step = FaultySource(), f"forecast.step_minutes={step_minutes}"
    morning = run_night(tmp_path, step, source=source, as_of=f"{eve}T11:30", name="morning")
    assert morning.code == 2, "an instant without a zone is not guessed, least of all on this night"
    as_of = pd.Timestamp(eve, tz=ZONE)
    morning = run_night(tmp_path, step, source=source, as_of=(as_of + pd.Timedelta(hours=11.5)).isoformat(), name="am")
    assert len(spot(certified(morning, day, step_minutes))) == hours * 60 // step_minutes
    evening = run_night(tmp_path, step, source=source, as_of=(as_of + pd.Timedelta(hours=18.5)).isoformat(), name="pm")
    np.testing.assert_allclose(spot(certified(evening, day, step_minutes)), published(source, day, step_minutes))
    after = pd.Timestamp(f"{day}T11:30", tz=ZONE)
    following = run_night(tmp_path, step, source=source, as_of=after.isoformat(), name="after")
    certified(following, str((after + pd.DateOffset(days=1)).date()), step_minutes)


@pytest.mark.parametrize("step_minutes", [60, 15])
def test_hourly_prices_that_become_quarter_hourly_are_planned_in_the_step_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_minutes: int
) -> None:
    """Delivery day 2025-10-01: the auction before was hourly. A plan keeps its step: an hour is the mean of its quarters, and
    a quarter-hour of an hourly price is that price."""
    monkeypatch.setattr(faulty, "market", lambda: market_of(2025, 60))
    change = pd.Timestamp("2025-10-01", tz=ZONE)

    def by_quarters(series: str, _place: str, frame: pd.DataFrame) -> pd.DataFrame:
        if series != "price":
            return frame
        late = frame[frame.index >= change]
        quarters = [late.assign(value=late["value"] + add) for add in (-3.0, -1.0, 1.0, 3.0)]
        for k, part in enumerate(quarters):
            part.index = part.index + pd.Timedelta(minutes=15 * k)
        both = pd.concat([frame[frame.index < change], *quarters]).sort_index()
        both.index.name = frame.index.name
        both.attrs = frame.attrs
        return both

    source, step = FaultySource(by_quarters), f"forecast.step_minutes={step_minutes}"
    for eve, hours in (("2025-09-30", 11.5), ("2025-09-30", 18.5), ("2025-10-01", 18.5), ("2025-10-03", 18.5)):
        as_of = pd.Timestamp(eve, tz=ZONE) + pd.Timedelta(hours=hours)
        day = str((as_of + pd.DateOffset(days=1)).date())
        night = run_night(tmp_path, step, source=source, as_of=as_of.isoformat(), name=f"{as_of:%d-%H}")
        table = certified(night, day, step_minutes)
        if night.summary["mode"] == "evening":
            np.testing.assert_allclose(spot(table), published(source, day, step_minutes), atol=1e-9)
    stored = faulty.stored_rows(tmp_path)
    kept = stored[(stored["series"] == "series=price") & (stored["delivery_utc"] < change)]
    assert (kept["delivery_utc"].dt.minute == 0).all(), "no quarter-hour was made up for the days before"
    assert set(kept["origin"]) == {"measured"}
