"""The zones benchmark as a command: rows by zone, zones that cannot be scored, and a run that goes on after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.benchmarks.zones import CheckedSeries, describe_findings, load_zone
from pipelines.benchmarks import zones
from pipelines.stages.sources import open_source
from tests.pipelines.running import run_here

FIRST = "2023-01-01"
DAYS = 110
EARLY = {f"{kind}_forecast": "D-1 10:00" for kind in ("wind", "wind_onshore", "wind_offshore", "solar")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Zones A and B with prices made from load and wind, C without wind forecasts, D with wind that is always zero."""
    hours = pd.date_range(FIRST, periods=24 * DAYS, freq="h", tz="UTC")
    rng = np.random.default_rng(0)
    frames = []
    for zone in "ABCD":
        size = len(hours)
        load = 5000 + 800 * np.sin(np.arange(size) * 2 * np.pi / 24) + 200 * rng.normal(size=size)
        wind = 1000 + 600 * np.sin(np.arange(size) / 50 + ord(zone)) + 50 * rng.normal(size=size)
        price = load / 60 - wind / 30 + 4 * rng.normal(size=size)
        frames.append(
            pd.DataFrame(
                {
                    "time_utc": hours,
                    "price": price,
                    "load_forecast": load,
                    "solar_forecast": np.nan,
                    "wind_onshore_forecast": {"C": np.nan, "D": 0.0}.get(zone, wind),
                    "wind_offshore_forecast": np.nan,
                    "zone": zone,
                }
            )
        )
    table = pd.concat(frames, ignore_index=True)
    table.loc[
        (table["zone"] == "A") & table["time_utc"].between("2023-02-10", "2023-02-11"), "wind_onshore_forecast"
    ] = np.nan
    table.to_parquet(tmp_path / "zones_hourly.parquet")
    return tmp_path


def source_of(root: Path) -> Any:
    return open_source({"kind": "files", "root": root, "layout": "entsoe_zones", "availability": EARLY})


def small(root: Path, parts: Path) -> list[str]:
    return [
        "benchmark=zones", f"benchmark.root={root}", f"parts={parts}", "benchmark.data_from=2023-01-10",
        "benchmark.test_from=2023-04-06", "benchmark.test_until=2023-04-17", "benchmark.burn_in_days=14",
        "benchmark.members.lear.windows=[56]", "benchmark.members.transformer.width=8",
        "benchmark.members.transformer.hidden=8", "benchmark.members.transformer.flat_hidden=8",
        "benchmark.members.transformer.heads=2", "benchmark.members.transformer.training.steps=10",
        "aggregation.least_days=7", "calibration.least_days=7", "benchmark.schedule.recalibrate=14",
    ]  # fmt: skip


def test_zones_are_scored_or_named_with_the_reason_and_a_killed_run_goes_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_here("benchmark", tmp_path / "whole", *small(root, tmp_path / "parts_a"))
    record = whole.outcome.record
    rows = {row["zone"]: row for row in record["rows"]}
    assert set(rows) == {"A", "B"}
    assert "no wind forecast" in record["excluded"]["C"] and "zero throughout" in record["excluded"]["D"]
    assert any("gap" in line for line in record["flaws"]["A"]) and "B" not in record["flaws"]
    for row in rows.values():
        assert row["days"] == 12
        assert row["gain"] == pytest.approx(1 - row["mae"] / row["reference_mae"])
        assert row["lear_weight"] + row["transformer_weight"] == pytest.approx(1.0)
        assert 0.0 <= row["dm_p"] <= 1.0
    assert record["beaten"] == sum(row["gain"] > 0 for row in rows.values())
    predictions = whole.table("predictions.parquet")
    lear = predictions[(predictions["market"] == "A") & (predictions["model"] == "lear")]
    assert (lear["point"] - lear["y"]).abs().mean() == pytest.approx(rows["A"]["reference_mae"])

    jobs, real = [], zones.run_job

    def stopping(job: Any, progress: Any = None) -> Any:
        jobs.append(job.label)
        if len(jobs) == 3:
            raise KeyboardInterrupt
        return real(job, progress)

    monkeypatch.setattr(zones, "run_job", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_here("benchmark", tmp_path / "broken", *small(root, tmp_path / "parts_b"))
    resumed = run_here("benchmark", tmp_path / "broken", *small(root, tmp_path / "parts_b"))
    assert jobs[0] == "all zones transformer seed 0"
    pd.testing.assert_frame_equal(resumed.table("predictions.parquet"), predictions)


def test_what_follows_the_decision_does_not_reach_the_samples(root: Path) -> None:
    day = np.datetime64("2023-03-10")
    before = load_zone(source_of(root), "B", np.datetime64("2023-02-01"), day, history_days=7)
    table = pd.read_parquet(root / "zones_hourly.parquet")
    later = table["time_utc"] >= pd.Timestamp("2023-03-09 23:00", tz="UTC")
    table.loc[later, "price"] += 100.0
    table.to_parquet(root / "zones_hourly.parquet")
    after = load_zone(source_of(root), "B", np.datetime64("2023-02-01"), day, history_days=7)
    assert before.samples is not None and after.samples is not None
    assert np.array_equal(before.samples.history, after.samples.history, equal_nan=True)
    assert np.array_equal(before.samples.future, after.samples.future, equal_nan=True)
    assert after.samples.y[-1] == pytest.approx(before.samples.y[-1] + 100.0, rel=1e-5)


def test_long_gaps_are_borrowed_from_the_week_before_and_reported(root: Path) -> None:
    checked = CheckedSeries(source_of(root))
    span = pd.date_range("2023-02-10", "2023-02-11", freq="h", tz="UTC")
    frame = checked.versions(
        "wind_onshore_forecast", "A", pd.Timestamp(FIRST, tz="UTC"), pd.Timestamp("2023-03-01", tz="UTC")
    )
    borrowed = frame.loc[span, "value"].to_numpy()
    assert borrowed == pytest.approx(frame.loc[span - pd.Timedelta(weeks=1), "value"].to_numpy())
    lines = describe_findings(tuple(checked.findings))
    assert lines == ["wind_onshore_forecast: gap once, 25 h from 2023-02-10 to 2023-02-11, fallback"]
