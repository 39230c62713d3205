"""The backfill command against a local server that speaks the service's documents."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecasting.store import Store
from pipelines.store_lock import store_lock
from tests.forecasting.entsoe_server import TOKEN, EntsoeServer, Fault, Published, day_block, hourly, price, running
from tests.pipelines.running import execute_here, summary_of

DK_1 = "10YDK-1--------W"
FIRST, LAST = "2023-12-01", "2024-02-29"
HOURS = 24 * (31 + 31 + 29)
START, END = pd.Timestamp("2023-11-01T00:00Z"), pd.Timestamp("2024-04-01T00:00Z")


def day_shape(day: pd.Timestamp, level: float) -> list[float]:
    """A day that is neither flat nor yesterday's again."""
    return [level + 10.0 * ((k * 7 + day.dayofyear) % 24) for k in range(24)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EntsoeServer]:
    monkeypatch.setenv("ENTSOE_API_KEY", TOKEN)
    with running() as state:
        for day in pd.date_range("2023-11-29", "2024-03-02"):
            at = f"{day:%Y-%m-%d}T00:00"
            state.published.append(price(DK_1, hourly(at, day_shape(day, 20.0))))
            state.published.append(Published("A69", DK_1, [hourly(at, day_shape(day, 500.0))], psr="B19"))
            state.published.append(Published("A69", DK_1, [hourly(at, day_shape(day, 300.0))], psr="B18"))
        yield state


@dataclass(frozen=True)
class Ran:
    code: int
    said: str
    summary: dict[str, Any]


def overrides(folder: Path, server: EntsoeServer, *more: str) -> tuple[str, ...]:
    places = (f"store.root={folder / 'store'}", f"source.endpoint={server.url}", "source.deadline_s=0.5")
    return (*places, "zone=DK_1", f"first={FIRST}", f"last={LAST}", "series=[price,wind_forecast]", *more)


def fill(folder: Path, server: EntsoeServer, *more: str, name: str = "run") -> Ran:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = execute_here("backfill", folder / name, *overrides(folder, server, *more))
    return Ran(code, output.getvalue(), summary_of(folder / name))


def store_of(folder: Path) -> Store:
    return Store(folder / "store" / "entsoe")


def test_years_are_stored_as_the_nights_read_them_and_a_second_run_asks_only_for_what_is_not_whole(
    tmp_path: Path, server: EntsoeServer
) -> None:
    done = fill(tmp_path, server)
    assert (done.code, done.summary["status"]) == (0, "ok"), done.said
    store = store_of(tmp_path)
    prices = store.read("price", "DK_1", START, END)
    assert len(prices) == HOURS
    assert prices.index[0] == pd.Timestamp("2023-12-01", tz="Europe/Copenhagen")
    wind = store.read("wind_forecast", "DK_1", START, END)["value"]
    noon = pd.Timestamp("2024-01-10T12:00Z")
    assert wind[noon] == 2 * (prices["value"][noon] - 20.0) + 800.0, "onshore and offshore together"
    due = store.read("wind_forecast", "DK_1", noon, noon + pd.Timedelta(hours=1))["available_at"].iloc[0]
    assert due == pd.Timestamp("2024-01-09T18:00", tz="Europe/Copenhagen")
    asked = len(server.asked)
    again = fill(tmp_path, server, name="again")
    assert again.summary["rows"] == 0
    assert again.summary["months"]["already complete"] == 8
    assert len(server.asked) == asked


def test_a_service_that_dies_stops_the_run_with_its_place_and_the_next_one_goes_on(
    tmp_path: Path, server: EntsoeServer
) -> None:
    honest = server.respond

    def dies(asked: dict[str, str]) -> Fault:
        return Fault(503) if len(server.asked) >= 3 else honest(asked)

    server.respond = dies  # type: ignore[method-assign]
    broken = fill(tmp_path, server)
    assert broken.code == 1
    assert "backfill stopped after 3 of 4 months" in broken.said
    assert "run it again to go on" in broken.said
    assert TOKEN not in broken.said + str(broken.summary)
    server.respond = honest  # type: ignore[method-assign]
    asked = len(server.asked)
    assert fill(tmp_path, server, name="next").code == 0
    assert len(store_of(tmp_path).read("price", "DK_1", START, END)) == HOURS
    assert len(server.asked) - asked == 1 + 2 * 4, "one month of prices, and the two parts of the wind forecast"


def test_a_month_that_the_rules_refuse_is_named_and_the_others_are_stored(tmp_path: Path, server: EntsoeServer) -> None:
    month = [one for one in server.published if one.document == "A44" and one.blocks[0].start.month == 1]
    for one in month:
        server.published.remove(one)
        block = one.blocks[0]
        points = [(position, float(str(value)) * 1e4) for position, value in block.points]
        server.published.append(price(DK_1, type(block)(block.start, block.end, points, block.resolution)))
    done = fill(tmp_path, server, "series=[price,solar_forecast]")
    assert (done.code, done.summary["status"]) == (0, "degraded")
    assert "price DK_1: refused in 1 months (2024-01)" in done.said
    assert "not credible in EUR/MWh" in done.said
    assert "solar_forecast DK_1: no data in 4 months" in done.said
    assert len(store_of(tmp_path).read("price", "DK_1", START, END)) == HOURS - 744


def test_a_value_revised_since_is_a_later_version(tmp_path: Path, server: EntsoeServer) -> None:
    last = next(one for one in reversed(server.published) if one.document == "A44")
    day = last.blocks[0].start
    values = day_shape(day, 20.0)
    assert fill(tmp_path, server, "first=2024-03-01", "last=2024-03-02", "series=[price]").code == 0
    server.published.remove(last)
    server.published.append(price(DK_1, hourly(f"{day:%Y-%m-%dT%H:%M}", [*values[:12], 77.0, *values[13:]])))
    before = pd.Timestamp.now(tz="UTC")
    assert fill(tmp_path, server, "first=2024-03-01", "last=2024-03-10", "series=[price]", name="later").code == 0
    noon = day + pd.Timedelta(hours=12), day + pd.Timedelta(hours=13)
    assert store_of(tmp_path).read("price", "DK_1", *noon)["value"].tolist() == [77.0]
    assert store_of(tmp_path).read("price", "DK_1", *noon, as_of=before)["value"].tolist() == [values[12]]


def test_the_months_in_which_prices_turn_to_quarter_hours_are_stored_as_traded(
    tmp_path: Path, server: EntsoeServer
) -> None:
    for day in pd.date_range("2025-09-28", "2025-10-03", tz="Europe/Copenhagen"):
        step = "PT60M" if day < pd.Timestamp("2025-10-01", tz="Europe/Copenhagen") else "PT15M"
        server.published.append(price(DK_1, day_block(day, step, level=-50_000.0)))
    assert fill(tmp_path, server, "first=2025-09-29", "last=2025-10-02", "series=[price]").code == 0
    start = pd.Timestamp("2025-09-28T22:00Z")
    stored = store_of(tmp_path).read("price", "DK_1", start, start + pd.Timedelta(days=4))["value"]
    assert len(stored) == 2 * 24 + 2 * 96
    assert stored.index.is_unique


def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, server: EntsoeServer) -> None:
    for number, (override, words) in enumerate(
        {
            "zone=null": "zone is empty; name one or several",
            "first=soon": "first=soon is no date",
            "last=2023-01-01": "lies after last=2023-01-01",
            "source=synthetic": "needs no backfill; use source=entsoe",
        }.items()
    ):
        more = (override,) if override != "source=synthetic" else ()
        base = overrides(tmp_path, server) if more else ("source=synthetic",)
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = execute_here("backfill", tmp_path / str(number), *base, *more)
        assert code == 2
        assert words in output.getvalue()
    with store_lock(tmp_path / "store" / "entsoe"):
        locked = fill(tmp_path, server)
    assert (locked.code, server.asked) == (1, [])
    assert "is in use by process" in locked.said


def test_the_command_stops_cleanly_when_it_is_told_to_and_shows_no_token(tmp_path: Path, server: EntsoeServer) -> None:
    honest = server.respond
    server.respond = lambda asked: honest(asked) if len(server.asked) < 2 else Fault(delay_s=20.0)  # type: ignore[method-assign]
    words = [word for word in overrides(tmp_path, server) if "deadline" not in word]
    command = [sys.executable, "-m", "pipelines.backfill", *words, "source.deadline_s=60"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stop = time.monotonic() + 120
    while len(server.asked) < 2 and time.monotonic() < stop:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "stopped by SIGTERM" in err
    assert "Traceback" not in err
    assert len(store_of(tmp_path).read("price", "DK_1", START, END)) > 0
    everything = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in [*everything, out.encode(), err.encode()] if TOKEN.encode() in text]
