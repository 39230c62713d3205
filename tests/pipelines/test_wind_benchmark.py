"""The wind benchmark as a command: its rows, its controls, and a run that goes on after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.benchmarks import wind
from pipelines.errors import ConfigError
from tests.forecasting.wind_farms import make_farms
from tests.pipelines.running import run_here

LAYOUT = """
name: small
description: four synthetic farms
market_time_zone: UTC
capacity_mw: {default: 1.0}
tables:
  - file: farms.parquet
    zone_column: zone
    time: {column: time, zone: UTC, stamp: beginning, step_minutes: 60}
    series:
      wind_power: {column: power, unit: pu}
      wind_u10_forecast: {column: u}
      wind_v10_forecast: {column: v}
availability:
  wind_power: delivery end + 0 min
  wind_u10_forecast: "D 00:00"
  wind_v10_forecast: "D 00:00"
"""


@pytest.fixture
def small(tmp_path: Path) -> list[str]:
    """Overrides of a run on four synthetic farms, tested over ten days, with networks too small to be good."""
    farms = make_farms(4, 110)
    hours = pd.date_range(farms.day[0], periods=farms.power[0].size, freq="h", tz="UTC")
    frames = [
        pd.DataFrame(
            {
                "time": hours,
                "zone": site,
                "power": farms.power[k].ravel(),
                "u": farms.u[k].ravel(),
                "v": farms.v[k].ravel(),
            }
        )
        for k, site in enumerate(farms.sites)
    ]
    pd.concat(frames).to_parquet(tmp_path / "farms.parquet")
    (tmp_path / "layout.yaml").write_text(LAYOUT)
    encoder = "{segment_days: 3, average_days: 21, steps: 2, bank: 2, width: 8, size: 4}"
    return [
        "benchmark=wind", f"benchmark.root={tmp_path}", f"benchmark.layout={tmp_path / 'layout.yaml'}",
        "benchmark.test_from=2020-04-08", "benchmark.test_until=2020-04-17", "benchmark.history_days=7",
        "benchmark.conditions=[none,regional]", "benchmark.sources=[none,identity,joint_embedding]", "seeds=2",
        "benchmark.regional.nets=1", "benchmark.regional.steps=20", "benchmark.regional.folds=2",
        "benchmark.regional.refit_days=null",
        f"benchmark.embeddings={{joint_embedding: {encoder}}}",
        "+benchmark.forecaster.width=8", "benchmark.forecaster.history_days=7",
        "+benchmark.forecaster.training={steps: 5, checks: 1}",
    ]  # fmt: skip


def test_a_killed_run_goes_on_and_gives_what_an_unbroken_one_gives(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_here("benchmark", tmp_path / "whole", f"parts={tmp_path / 'parts_a'}", *small)
    rows = pd.DataFrame(whole.outcome.record["rows"]).set_index(["site", "model"])
    assert set(rows.loc["known farms"].index) == {
        "none", "regional", "regional + identity", "regional + joint_embedding", "regional + joint_embedding, shuffled",
        "regional + joint_embedding, zero",
    }  # fmt: skip
    assert "regional + identity" not in rows.loc["never-seen farms"].index
    assert (rows["seeds"] == 2).all() and (rows["days"] == 10).all()
    known = rows.loc["known farms"]
    assert known.loc["regional", "gain_over_no_source"] == 0.0
    embedded = known.loc["regional + joint_embedding"]
    assert embedded["gain_low"] <= embedded["gain_over_no_source"] <= embedded["gain_high"]

    predictions = whole.table("predictions.parquet")
    one = predictions[(predictions["group"] == "known farms") & (predictions["model"] == "regional")]
    assert len(one) == 4 * 10 * 24
    assert np.sqrt(((one["mean"] - one["y"]) ** 2).mean()) == pytest.approx(known.loc["regional", "rmse"], rel=1e-5)
    assert {path.name for path in (tmp_path / "whole").iterdir()} >= {"metrics.csv", "report.html"}
    assert not any((tmp_path / "parts_a").iterdir())

    fits, real = [], wind.forecast_arm

    def stopping(*args: Any, **others: Any) -> Any:
        fits.append(others["seed"])
        if len(fits) == 6:
            raise KeyboardInterrupt
        return real(*args, **others)

    monkeypatch.setattr(wind, "forecast_arm", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_here("benchmark", tmp_path / "broken", f"parts={tmp_path / 'parts_b'}", *small)
    resumed = run_here("benchmark", tmp_path / "resumed", f"parts={tmp_path / 'parts_b'}", *small)
    assert len(fits) == 2 * (4 + 2 * 2) + 1
    again = resumed.table("predictions.parquet")
    pd.testing.assert_frame_equal(again, predictions)


def test_a_wrong_word_is_refused_before_any_work(small: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="regional"):
        run_here("benchmark", tmp_path, *small, "benchmark.conditions=[regionl]")
    with pytest.raises(ConfigError, match="outside the data"):
        run_here("benchmark", tmp_path, *small, "benchmark.test_from=2031-01-01", "benchmark.test_until=2031-02-01")
