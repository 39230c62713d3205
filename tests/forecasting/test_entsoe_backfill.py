"""Backfill of ENTSO-E months into the store: resumable, without asking twice, and honest about what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from forecasting.errors import SourceUnavailableError
from forecasting.sources.entsoe import EntsoeSource
from forecasting.sources.entsoe_backfill import MonthReport, Outcome, backfill
from forecasting.sources.entsoe_curves import month_is_complete
from forecasting.store import Store
from tests.forecasting.entsoe_server import TOKEN, EntsoeServer, Fault, Published, hourly, price, running

DK_1 = "10YDK-1--------W"
START, END = pd.Timestamp("2023-11-01", tz="UTC"), pd.Timestamp("2024-04-01", tz="UTC")
WANTED = [("price", "DK_1"), ("load_forecast", "DK_1")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EntsoeServer]:
    monkeypatch.setenv("ENTSOE_API_KEY", TOKEN)
    with running() as state:
        for day in pd.date_range("2023-10-31", "2024-04-01"):
            values = [float(day.dayofyear + k) for k in range(24)]
            state.published.append(price(DK_1, hourly(f"{day:%Y-%m-%d}T00:00", values)))
            state.published.append(Published("A65", DK_1, [hourly(f"{day:%Y-%m-%d}T00:00", values)]))
        yield state


@pytest.fixture
def source(server: EntsoeServer) -> EntsoeSource:
    return EntsoeSource(endpoint=server.url, deadline_s=0.5)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def hours_stored(store: Store, series: str) -> int:
    return len(store.read(series, "DK_1", START, END))


def test_every_month_is_stored_once_and_a_second_run_asks_nothing(
    server: EntsoeServer, source: EntsoeSource, store: Store
) -> None:
    told: list[MonthReport] = []
    reports = backfill(source, store, WANTED, START, END, on_progress=told.append)
    assert told == reports
    assert [report.number for report in told] == list(range(1, 11))
    assert {report.outcome for report in told} == {Outcome.STORED}
    assert [report.rows for report in told[:5]] == [720, 744, 744, 696, 744]
    assert hours_stored(store, "price") == hours_stored(store, "load_forecast") == 3648
    asked = len(server.asked)
    again = backfill(source, store, WANTED, START, END)
    assert {report.outcome for report in again} == {Outcome.ALREADY_COMPLETE}
    assert len(server.asked) == asked
    assert hours_stored(store, "price") == 3648


def test_a_run_that_breaks_goes_on_where_it_stopped(server: EntsoeServer, source: EntsoeSource, store: Store) -> None:
    told: list[MonthReport] = []

    def break_after_three(report: MonthReport) -> None:
        told.append(report)
        if len(told) == 3:
            server.faults = [Fault(503)] * 100

    with pytest.raises(SourceUnavailableError, match=r"stopped after 3 of 10 months .*run it again") as caught:
        backfill(source, store, WANTED, START, END, on_progress=break_after_three)
    assert TOKEN not in str(caught.value)
    assert hours_stored(store, "price") == 720 + 744 + 744
    server.faults = []
    asked = len(server.asked)
    rest = backfill(source, store, WANTED, START, END)
    assert [report.outcome for report in rest[:4]] == [Outcome.ALREADY_COMPLETE] * 3 + [Outcome.STORED]
    assert len(server.asked) - asked == 7
    assert hours_stored(store, "price") == hours_stored(store, "load_forecast") == 3648


def test_a_month_with_a_gap_is_asked_again_and_an_empty_one_is_reported(
    server: EntsoeServer, source: EntsoeSource, store: Store
) -> None:
    late = server.published.pop()
    while late.blocks[0].start != pd.Timestamp("2024-02-10", tz="UTC"):
        late = server.published.pop()
    first = backfill(source, store, [("load_forecast", "DK_1")], START, END)
    assert [report.outcome for report in first] == [Outcome.STORED] * 4 + [Outcome.NO_DATA]
    assert first[-1].reason.startswith("no data for DK_1, load_forecast, 2024-03-01T00:00Z to 2024-04-01T00:00Z")
    server.published.append(late)
    second = backfill(source, store, [("load_forecast", "DK_1")], START, END)
    assert [report.rows for report in second] == [0, 0, 0, 24, 0]


def test_contradicting_answers_are_reported_and_the_rest_is_stored(
    server: EntsoeServer, source: EntsoeSource, store: Store
) -> None:
    server.published.append(price(DK_1, hourly("2024-01-05T03:00", [-999.0])))
    reports = backfill(source, store, [("price", "DK_1")], START, END)
    assert [report.outcome for report in reports] == [Outcome.STORED] * 2 + [Outcome.REFUSED] + [Outcome.STORED] * 2
    assert "2024-01-05T03:00Z as -999 and 8" in reports[2].reason
    assert hours_stored(store, "price") == 3648 - 744


def test_a_revised_value_is_a_later_version(server: EntsoeServer, source: EntsoeSource, store: Store) -> None:
    january = (pd.Timestamp("2024-01-01", tz="UTC"), pd.Timestamp("2024-02-01", tz="UTC"))
    server.published = [Published("A65", DK_1, [hourly("2024-01-01", [100.0] * 24)])]
    backfill(source, store, [("load_forecast", "DK_1")], *january)
    server.published = [Published("A65", DK_1, [hourly("2024-01-01", [100.0] * 23 + [120.0])])]
    refused = backfill(source, store, [("load_forecast", "DK_1")], *january)
    assert refused[0].outcome is Outcome.REFUSED
    fetched = pd.Timestamp("2024-03-01T08:00", tz="UTC")
    reports = backfill(source, store, [("load_forecast", "DK_1")], *january, fetched_at=fetched)
    assert (reports[0].outcome, reports[0].rows) == (Outcome.STORED, 1)
    before = store.read("load_forecast", "DK_1", *january, as_of=fetched - pd.Timedelta(seconds=1))["value"]
    after = store.read("load_forecast", "DK_1", *january, as_of=fetched)["value"]
    assert (before.iloc[-1], after.iloc[-1]) == (100.0, 120.0)


def test_completeness_allows_one_change_of_resolution_and_no_gap() -> None:
    start, end = pd.Timestamp("2025-09-01", tz="UTC"), pd.Timestamp("2025-10-01", tz="UTC")
    change = pd.Timestamp("2025-09-30T22:00", tz="UTC")
    hours = pd.date_range(start, change, freq="h", inclusive="left")
    quarters = pd.date_range(change, end, freq="15min", inclusive="left")
    values = pd.Series(1.0, index=hours.append(quarters))
    assert month_is_complete(values, start, end)
    assert not month_is_complete(values.drop(hours[100]), start, end)
    assert not month_is_complete(values.drop(quarters[3]), start, end)
    assert not month_is_complete(values.mask(values.index == hours[7]), start, end)
    assert not month_is_complete(values.iloc[:-4], start, end)
    assert not month_is_complete(values.iloc[:0], start, end)
