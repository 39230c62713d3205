"""Bad input: one clear line that says what, where and what next, the right exit code, and nothing half-written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.pipelines.running import run_shell, summary_of

QUICK = ("model=naive", "history.train_days=60", "history.valid_days=28")
HOURS = pd.date_range("2024-01-01", "2024-06-20", freq="h", tz="UTC", inclusive="left")


def market_file(folder: Path, *, change: object = None) -> tuple[str, ...]:
    """A small CSV market of one zone with price and load forecast, and the overrides that read it."""
    folder.mkdir(parents=True, exist_ok=True)
    hour = HOURS.hour.to_numpy()
    frame = pd.DataFrame(
        {
            "time": HOURS.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "price": 60 + 25 * np.sin(hour / 24 * 2 * np.pi) + HOURS.dayofweek,
            "load": 1000 + 300 * np.sin((hour - 6) / 24 * 2 * np.pi),
            "wind": 400 + 100 * np.cos(hour / 24 * 2 * np.pi),
        }
    )
    if callable(change):
        frame = change(frame)
    frame.to_csv(folder / "market.csv", index=False)
    layout = folder / "layout.yaml"
    layout.write_text(
        """
name: own
description: a small market
market_time_zone: Europe/Copenhagen
zones: [HOME]
tables:
  - file: market.csv
    time: {column: time, zone: UTC, stamp: beginning, step_minutes: 60}
    series:
      price: {column: price, unit: EUR/MWh}
      load_forecast: {column: load, unit: MW}
      wind_forecast: {column: wind, unit: MW}
""",
        encoding="utf-8",
    )
    return ("source=files", f"source.root={folder}", f"source.layout={layout}", "as_of=2024-06-10T11:30+02:00", *QUICK)


def refused(folder: Path, code: int, *overrides: str, command: str = "nightly") -> str:
    """Run, and return the message of a refusal that shows no traceback and publishes nothing."""
    done = run_shell(command, folder, *overrides)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(f"{command}: ")
    assert not list(folder.rglob("schedule.*"))
    assert not list(folder.rglob("report.html"))
    return done.stderr


def test_the_small_market_itself_is_fine(tmp_path: Path) -> None:
    done = run_shell("nightly", tmp_path, *market_file(tmp_path / "data"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("overrides", "code", "words"),
    [
        (("zone=COST_1",), 2, "did you mean 'COAST_1'"),
        (("as_of=2024-10-14T11:30",), 2, "has no time zone"),
        (("as_of=tomorrow",), 2, "as_of=tomorrow is not a time"),
        (("store.rooot=x",), 2, "did you mean store.root?"),
        (("model=lier",), 2, "Could not find 'model/lier'"),
        (("mode=noon",), 2, "use morning, evening or auto"),
        (("as_of=2030-01-01T11:30+01:00",), 1, "it runs from"),
        (("case.retail_price_per_mwh=.nan",), 2, "retail_price_per_mwh"),
        (("case.path=nowhere.yaml",), 2, "nowhere.yaml"),
        (("+case.import_max_mw=1.0",), 2, "import limit 1"),
        (("hydra.run.dir=/proc/nothing",), 1, "cannot write /proc/nothing"),
    ],
    ids=lambda value: value[0].split("=")[0] if isinstance(value, tuple) else None,
)
def test_a_wrong_override_is_explained(tmp_path: Path, overrides: tuple[str, ...], code: int, words: str) -> None:
    assert words in refused(tmp_path, code, *QUICK, *overrides)


def test_a_missing_price_day_is_refused_with_its_date(tmp_path: Path) -> None:
    def without_a_day(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[~frame["time"].str.startswith("2024-06-08")]

    message = refused(tmp_path, 1, *market_file(tmp_path / "data", change=without_a_day))
    assert "price of HOME" in message
    assert "2024-06-08" in message


def test_not_a_number_in_the_price_is_refused_with_its_date(tmp_path: Path) -> None:
    def with_holes(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(price=frame["price"].mask(frame["time"].str.startswith("2024-06-09T1")))

    message = refused(tmp_path, 1, *market_file(tmp_path / "data", change=with_holes))
    assert "price of HOME" in message
    assert "2024-06-09" in message


def test_a_negative_load_is_refused_with_its_date(tmp_path: Path) -> None:
    def negative(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(load=frame["load"].where(frame["time"] != "2024-06-09T12:00:00Z", -50.0))

    message = refused(tmp_path, 1, *market_file(tmp_path / "data", change=negative))
    assert "load_forecast of HOME" in message
    assert "2024-06-09" in message


def test_an_unsorted_file_with_repeated_rows_gives_the_same_night(tmp_path: Path) -> None:
    def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([frame, frame.iloc[100:110]]).sample(frac=1.0, random_state=0)

    plain, mixed = tmp_path / "plain", tmp_path / "mixed"
    for folder, change in ((plain, None), (mixed, shuffled)):
        folder.mkdir()
        assert run_shell("nightly", folder, *market_file(folder / "data", change=change)).returncode == 0
    tables = [pd.read_parquet(next(folder.rglob("schedule.parquet"))) for folder in (plain, mixed)]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_stopped_night_says_so_and_publishes_nothing(tmp_path: Path, sent: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.nightly", "model.training.steps=100000", "model.training.patience=0"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("rows.parquet")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(3.0)
    process.send_signal(sent)
    try:
        _, message = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "nothing was published" in message
    assert "Traceback" not in message
    assert summary_of(tmp_path)["status"] == "failed"
    assert not list(tmp_path.rglob("schedule.*"))
    assert not list(tmp_path.rglob(".*.parquet"))
