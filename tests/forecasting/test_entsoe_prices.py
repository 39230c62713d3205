"""Day-ahead prices from ENTSO-E: which auction, which resolution, every page, and what is not a price."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
import pytest

from forecasting.errors import DataError, NoDataError
from forecasting.sources.entsoe import EntsoeSource
from tests.forecasting.entsoe_server import (
    TOKEN,
    Block,
    EntsoeServer,
    Published,
    day_block,
    days,
    document,
    hourly,
    price,
    running,
    stamp_value,
    utc,
)

pytestmark = pytest.mark.filterwarnings("ignore::bs4.builder.XMLParsedAsHTMLWarning")

DK_1, DE_LU, AT = "10YDK-1--------W", "10Y1001A1001A82H", "10YAT-APG------L"
CET = "Europe/Copenhagen"
GO_LIVE = pd.Timestamp("2025-10-01", tz=CET)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EntsoeServer]:
    monkeypatch.setenv("ENTSOE_API_KEY", TOKEN)
    with running() as state:
        yield state


@pytest.fixture
def source(server: EntsoeServer) -> EntsoeSource:
    return EntsoeSource(endpoint=server.url, deadline_s=1.0)


@pytest.mark.parametrize(("zone", "code"), [("DE_LU", DE_LU), ("AT", AT)])
def test_of_two_auctions_the_coupled_one_is_taken(
    server: EntsoeServer, source: EntsoeSource, zone: str, code: str
) -> None:
    both = [
        price(code, day_block(day, "PT15M", level=1000.0 * (auction - 1)), auction=auction)
        for day in days("2025-10-28", "2025-10-30")
        for auction in (2, 1)
    ]
    server.published = both
    start, end = pd.Timestamp("2025-10-29", tz=CET), pd.Timestamp("2025-10-30", tz=CET)
    asked_for_one = source.read("price", zone, start, end)
    assert server.asked[0]["classificationSequence_AttributeInstanceComponent.position"] == "1"
    server.answer = lambda _: document(both, "A44", "7:3")
    given_both = source.read("price", zone, start, end)
    for frame in (asked_for_one, given_both):
        assert len(frame) == 96
        assert frame["value"].tolist() == [stamp_value(t) for t in frame.index]


def test_the_second_auction_alone_is_no_price(server: EntsoeServer, source: EntsoeSource) -> None:
    only_second = [price(DE_LU, day_block(day, "PT15M"), auction=2) for day in days("2025-10-28", "2025-10-30")]
    server.answer = lambda _: document(only_second, "A44", "7:3")
    with pytest.raises(NoDataError, match="no data for DE_LU, price"):
        source.read("price", "DE_LU", utc("2025-10-29T00:00"), utc("2025-10-30T00:00"))


def test_intraday_contracts_and_other_currencies_and_zones_are_no_day_ahead_price(
    server: EntsoeServer, source: EntsoeSource
) -> None:
    day = pd.Timestamp("2024-06-02", tz=CET)
    interval = (day, day + pd.DateOffset(days=1))
    server.published = [price(DK_1, day_block(day)), price(DK_1, day_block(day, level=500), agreement="A07")]
    assert source.read("price", "DK_1", *interval)["value"].iloc[0] == stamp_value(interval[0])
    server.published = [price(DK_1, day_block(day), currency="DKK")]
    with pytest.raises(DataError, match="prices are in DKK, not EUR"):
        source.read("price", "DK_1", *interval)
    server.answer = lambda _: document([price(AT, day_block(day))], "A44", "7:3")
    with pytest.raises(DataError, match=f"about {AT}, asked for {DK_1}"):
        source.read("price", "DK_1", *interval)


def test_prices_turn_from_hours_to_quarter_hours_on_delivery_day_2025_10_01(
    server: EntsoeServer, source: EntsoeSource
) -> None:
    server.published = [
        price(DK_1, day_block(day, "PT60M" if day < GO_LIVE else "PT15M")) for day in days("2025-09-29", "2025-10-02")
    ]
    frame = source.read("price", "DK_1", GO_LIVE - pd.DateOffset(days=1), GO_LIVE + pd.DateOffset(days=1))
    assert (frame.index < GO_LIVE).sum() == 24
    assert (frame.index >= GO_LIVE).sum() == 96
    assert frame.index[24] == utc("2025-09-30T22:00")
    assert frame["value"].tolist() == [stamp_value(t) for t in frame.index]


def repeating(day: pd.Timestamp) -> Published:
    """A day of quarter-hours that leaves out every second one, as curve type A03 does where a value is repeated."""
    block = day_block(day, "PT15M")
    return price(DK_1, replace(block, points=block.points[::2]), curve="A03")


@pytest.mark.parametrize(("day", "quarters"), [("2025-10-26", 100), ("2026-03-29", 92), ("2026-03-30", 96)])
def test_quarter_hourly_days_are_whole_at_both_clock_changes(
    server: EntsoeServer, source: EntsoeSource, day: str, quarters: int
) -> None:
    first = pd.Timestamp(day, tz="Europe/Copenhagen")
    server.published = [repeating(first + pd.DateOffset(days=k)) for k in range(-2, 3)]
    frame = source.read("price", "DK_1", first, first + pd.DateOffset(days=1))
    expected = pd.date_range(first, first + pd.DateOffset(days=1), freq="15min", inclusive="left")
    assert len(expected) == quarters
    assert frame.index.equals(expected.tz_convert("UTC"))
    assert frame["value"].tolist() == [stamp_value(t.floor("30min")) for t in frame.index]
    published = (first - pd.DateOffset(days=1)).replace(hour=12, minute=57)
    assert set(frame["available_at"]) == {published.tz_convert("UTC")}


def test_the_evening_before_the_change_knows_hours_of_today_and_quarter_hours_of_tomorrow(
    server: EntsoeServer, source: EntsoeSource
) -> None:
    today = GO_LIVE - pd.DateOffset(days=1)
    server.published = [price(DK_1, day_block(today)), repeating(GO_LIVE)]
    fetched = today.replace(hour=18, minute=30)
    frame = source.read("price", "DK_1", today, GO_LIVE + pd.DateOffset(days=1), fetched_at=fetched)
    steps = frame.index.to_series().diff().dropna()
    assert (steps == pd.Timedelta(hours=1)).sum() == 24
    assert (steps == pd.Timedelta(minutes=15)).sum() == 95
    assert frame["value"].notna().all()
    assert (frame["available_at"] <= fetched).all()


def test_one_answer_with_both_resolutions_gives_the_traded_one(server: EntsoeServer, source: EntsoeSource) -> None:
    server.published = [
        price(DK_1, day_block(day, resolution, level=0.0 if (day < GO_LIVE) == (resolution == "PT60M") else 900.0))
        for day in days("2025-09-29", "2025-10-02")
        for resolution in ("PT15M", "PT60M")
    ]
    frame = source.read("price", "DK_1", GO_LIVE - pd.DateOffset(days=1), GO_LIVE + pd.DateOffset(days=1))
    assert len(frame) == 24 + 96
    assert frame["value"].tolist() == [stamp_value(t) for t in frame.index]


def test_quarter_hours_before_the_change_count_only_where_they_repeat_the_hour(
    server: EntsoeServer, source: EntsoeSource
) -> None:
    server.published = [price(DK_1, hourly("2024-06-01T00:00", [7, 7, 7, 7, 1, 2, 3, 4], "PT15M"))]
    frame = source.read("price", "DK_1", utc("2024-06-01T00:00"), utc("2024-06-01T02:00"))
    assert frame["value"].to_dict() == {utc("2024-06-01T00:00"): 7.0}
    assert "1 hours before 2025-10-01 have only quarter-hourly prices" in frame.attrs["notes"][0]


def test_a_zone_that_stays_hourly_after_the_change_keeps_its_hours(server: EntsoeServer, source: EntsoeSource) -> None:
    server.published = [price(DK_1, day_block(day)) for day in days("2025-10-10", "2025-10-12")]
    assert len(source.read("price", "DK_1", utc("2025-10-10T22:00"), utc("2025-10-11T22:00"))) == 24


def test_more_than_a_hundred_time_series_are_read_page_by_page(server: EntsoeServer, source: EntsoeSource) -> None:
    hours = pd.date_range("2024-06-01", "2024-06-11", freq="h", inclusive="left")
    server.published = [price(DK_1, hourly(f"{t}", [stamp_value(t.tz_localize("UTC"))])) for t in hours]
    frame = source.read("price", "DK_1", utc("2024-06-01"), utc("2024-06-11"))
    assert len(frame) == 240
    assert [asked["offset"] for asked in server.asked] == ["0", "100", "200"]


def test_exactly_a_hundred_time_series_and_a_server_that_ignores_the_offset(
    server: EntsoeServer, source: EntsoeSource
) -> None:
    hours = pd.date_range("2024-06-01", periods=100, freq="h")
    server.published = [price(DK_1, hourly(f"{t}", [1.0])) for t in hours]
    assert len(source.read("price", "DK_1", utc("2024-06-01"), utc("2024-06-08"))) == 100
    assert [asked["offset"] for asked in server.asked] == ["0", "100"]
    same_page = document(server.published, "A44", "7:3")
    server.answer = lambda _: same_page
    assert len(source.read("price", "DK_1", utc("2024-06-01"), utc("2024-06-08"))) == 100
    assert len(server.asked) == 4


def test_a_zero_for_a_day_to_come_is_not_a_price(server: EntsoeServer, source: EntsoeSource) -> None:
    today, tomorrow = days("2024-07-01", "2024-07-02")
    zeros = Block(tomorrow.tz_convert("UTC"), (tomorrow + pd.DateOffset(days=1)).tz_convert("UTC"), [(1, 0)])
    server.published = [
        price(DK_1, hourly("2024-06-30T22:00", [0.0] * 12 + [5.0] * 12)),
        price(DK_1, zeros, curve="A03"),
    ]
    interval = (today, tomorrow + pd.DateOffset(days=1))
    for clock in ("11:30", "18:30"):
        fetched = pd.Timestamp(f"2024-07-01T{clock}", tz=CET)
        frame = source.read("price", "DK_1", *interval, fetched_at=fetched)
        assert (frame["value"][frame.index < tomorrow] == 0.0).sum() == 12
        assert frame["value"][frame.index >= tomorrow].isna().all()
        assert "24 zeros on 2024-07-02 are placeholders" in frame.attrs["notes"][0]
        with pytest.raises(NoDataError):
            source.read("price", "DK_1", tomorrow, interval[1], fetched_at=fetched)


def test_a_published_zero_among_other_prices_of_tomorrow_stays(server: EntsoeServer, source: EntsoeSource) -> None:
    tomorrow = pd.Timestamp("2024-07-02", tz=CET)
    server.published = [price(DK_1, hourly("2024-07-01T22:00", [30.0] * 11 + [0.0, 0.0] + [25.0] * 11))]
    interval = (tomorrow, tomorrow + pd.DateOffset(days=1))
    evening = source.read("price", "DK_1", *interval, fetched_at=pd.Timestamp("2024-07-01T18:30", tz=CET))
    assert (evening["value"] == 0.0).sum() == 2
    morning = source.read("price", "DK_1", *interval, fetched_at=pd.Timestamp("2024-07-01T11:30", tz=CET))
    assert morning["value"].isna().sum() == 2


def test_a_past_day_of_zeros_is_left_to_the_later_checks(server: EntsoeServer, source: EntsoeSource) -> None:
    day = pd.Timestamp("2024-07-01", tz=CET)
    server.published = [price(DK_1, hourly("2024-06-30T22:00", [0.0] * 24))]
    for fetched in ("2024-07-01T08:00", "2024-07-05T08:00"):
        at = pd.Timestamp(fetched, tz=CET)
        frame = source.fetching_at(at).read("price", "DK_1", day, day + pd.DateOffset(days=1))
        assert frame["value"].tolist() == [0.0] * 24
