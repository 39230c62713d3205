"""The nightly job on the simulated market: what it publishes, twice, as of, and in both modes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.pipelines.running import Finished, run_here, run_shell, summary_of

#: A night that runs in seconds: a forecaster that has nothing to train, on a short history.
QUICK = ("model=naive", "history.train_days=60", "history.valid_days=28")


def night(folder: Path, *overrides: str, name: str = "run") -> Finished:
    places = (f"store.root={folder / 'store'}", f"artefacts.root={folder / 'artefacts'}")
    return run_here("nightly", folder / name, *places, *QUICK, *overrides)


@pytest.fixture(scope="module")
def default_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    folder = tmp_path_factory.mktemp("night")
    return folder, night(folder)


def test_a_night_publishes_forecast_schedule_and_page(default_night: tuple[Path, Finished]) -> None:
    finished = default_night[1]
    record = finished.outcome.record
    assert finished.outcome.status == "ok"
    assert record["delivery_day"] == "2024-10-15"
    assert record["dispatch"]["certificate"]["passed"] is True
    assert record["dispatch"]["certificate"]["mip_gap"] <= 1e-4
    assert record["dispatch"]["certificate"]["ac_voltage_error_pu"] <= 1e-5
    for name in ("forecast.parquet", "schedule.parquet", "schedule.csv", "report.html", "status.json"):
        assert (finished.folder / name).stat().st_size > 100
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert "simulated data" in page
    assert "COAST_1" in page


def test_the_schedule_serves_the_load_in_every_hour(default_night: tuple[Path, Finished]) -> None:
    """Import + gas + wind + discharge = rigid and flexible demand + charging + losses, read back from the file."""
    table = default_night[1].table("schedule.parquet")
    total = table.groupby(["step", "kind", "quantity"])["value"].sum().unstack(["kind", "quantity"])
    supply = total["grid"]["import_mw"] + total["gas"]["power_mw"] + total["wind"]["power_mw"]
    supply = supply + total["storage"]["discharge_mw"]
    demand = total["customer"]["rigid_mw"] + total["customer"]["flexible_mw"] + total["storage"]["charge_mw"]
    np.testing.assert_allclose(supply, demand + total["line"]["loss_mw"], atol=1e-5)


def test_the_forecast_covers_the_delivery_day_with_intervals(default_night: tuple[Path, Finished]) -> None:
    table = default_night[1].table("forecast.parquet")
    assert set(table["target"]) == {"price", "wind", "load"}
    price = table[table["target"] == "price"]
    assert len(price) == 24
    assert (price["q05"] <= price["q50"]).all()
    assert (price["q50"] <= price["q95"]).all()


def test_scenarios_keep_wind_inside_its_capacity_and_share_their_paths(default_night: tuple[Path, Finished]) -> None:
    paths = default_night[1].table("scenarios.parquet")
    assert len(paths) == 50 * 24
    wind = paths[[name for name in paths.columns if name.startswith("wind ")]]
    assert (wind >= 0).all(axis=None)
    means = paths.groupby("path").mean(numeric_only=True)
    assert means[wind.columns[0]].corr(means[wind.columns[1]]) > 0.3  # sites of one zone err together


def test_a_second_run_of_the_same_night_changes_nothing(default_night: tuple[Path, Finished]) -> None:
    folder, first = default_night
    rows = _stored_rows(folder)
    second = night(folder, name="again")
    pd.testing.assert_frame_equal(first.table("schedule.parquet"), second.table("schedule.parquet"))
    pd.testing.assert_frame_equal(first.table("forecast.parquet"), second.table("forecast.parquet"))
    assert _stored_rows(folder) == rows


def _stored_rows(folder: Path) -> int:
    return sum(len(pd.read_parquet(path)) for path in (folder / "store").rglob("rows.parquet"))


def test_data_published_later_changes_nothing(default_night: tuple[Path, Finished], tmp_path: Path) -> None:
    """A store that has already seen the following nights gives the same forecast as one that never did."""
    night(tmp_path, "as_of=2024-10-18T18:30+02:00", name="later")
    seen = night(tmp_path, "as_of=2024-10-14T11:30+02:00")
    pd.testing.assert_frame_equal(default_night[1].table("forecast.parquet"), seen.table("forecast.parquet"))
    pd.testing.assert_frame_equal(default_night[1].table("schedule.parquet"), seen.table("schedule.parquet"))


def test_in_the_evening_the_price_is_known_and_not_forecast(tmp_path: Path) -> None:
    finished = night(tmp_path, "as_of=2024-10-14T18:30+02:00")
    assert finished.outcome.record["mode"] == "evening"
    assert "price" not in finished.outcome.record["forecast"]
    grid = finished.table("schedule.parquet")
    spot = grid[(grid["kind"] == "grid") & (grid["quantity"] == "spot_price_per_mwh")]["value"].to_numpy()
    stored = pd.concat(pd.read_parquet(p) for p in (tmp_path / "store").glob("*/series=price/**/rows.parquet"))
    known = stored.set_index("delivery_utc")["value"].sort_index()
    day = pd.date_range("2024-10-15", periods=24, freq="h", tz="Europe/Copenhagen").tz_convert("UTC")
    np.testing.assert_allclose(spot, known.reindex(day), atol=1e-9)


@pytest.mark.parametrize(
    ("as_of", "steps"), [("2024-03-30T11:30+01:00", 23), ("2024-10-26T11:30+02:00", 25)], ids=["spring", "autumn"]
)
def test_days_of_23_and_25_hours_are_forecast_and_dispatched(tmp_path: Path, as_of: str, steps: int) -> None:
    finished = night(tmp_path, f"as_of={as_of}")
    assert finished.outcome.record["dispatch"]["certificate"]["passed"] is True
    assert finished.table("schedule.parquet")["step"].nunique() == steps


def test_a_trained_forecaster_is_saved_and_used_again(tmp_path: Path) -> None:
    small = ("model=conditional_transformer_small", "model.training.steps=20", "model.training.checks=2")
    first = run_here("nightly", tmp_path / "one", *_places(tmp_path), *QUICK[1:], *small)
    saved = sorted((tmp_path / "artefacts").rglob("*.pt"))
    assert {path.name.split("-")[0] for path in saved} == {"price", "wind", "load"}
    changed = [path.stat().st_mtime_ns for path in saved]
    second = run_here("nightly", tmp_path / "two", *_places(tmp_path), *QUICK[1:], *small)
    assert [path.stat().st_mtime_ns for path in saved] == changed
    pd.testing.assert_frame_equal(first.table("forecast.parquet"), second.table("forecast.parquet"))


def _places(folder: Path) -> tuple[str, str]:
    return f"store.root={folder / 'store'}", f"artefacts.root={folder / 'artefacts'}"


def test_the_command_says_what_it_did_and_ends_with_0(tmp_path: Path) -> None:
    done = run_shell("nightly", tmp_path, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "certified" in done.stdout
    assert done.stderr == ""
    summary = summary_of(tmp_path / "outputs")
    assert {"command", "status", "reasons", "seed", "version", "seconds", "config_hash"} <= summary.keys()
    assert {"delivery_day", "as_of", "inputs", "forecast", "dispatch"} <= summary.keys()
    assert json.dumps(summary, allow_nan=False)
