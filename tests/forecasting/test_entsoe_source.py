"""The ENTSO-E source as a whole, against a local server: intervals, auctions, resolutions, paging, and "no data"."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from entsoe.exceptions import InvalidPSRTypeError, NoMatchingDataError
from entsoe_server import (
    TOKEN,
    Block,
    EntsoeServer,
    Fault,
    Published,
    acknowledgement,
    document,
    hourly,
    price,
    running,
    sparse,
)

from forecasting.errors import DataError, NoDataError, SettingError, SourceUnavailableError, UnknownNameError
from forecasting.sources.base import COLUMNS, Source
from forecasting.sources.entsoe import EntsoeSource

pytestmark = pytest.mark.filterwarnings("ignore::bs4.builder.XMLParsedAsHTMLWarning")

DK_1, DE_LU, AT = "10YDK-1--------W", "10Y1001A1001A82H", "10YAT-APG------L"
CET = "Europe/Copenhagen"
GO_LIVE = pd.Timestamp("2025-10-01", tz=CET)


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def day_block(day: pd.Timestamp, resolution: str = "PT60M", level: float = 0.0) -> Block:
    """One market day (23, 24 or 25 hours) whose values tell the hour since 2020, so that no two instants share one."""
    start, end = day.tz_convert("UTC"), (day + pd.DateOffset(days=1)).tz_convert("UTC")
    step = pd.Timedelta(minutes=15 if resolution == "PT15M" else 60)
    index = pd.date_range(start, end, freq=step, inclusive="left")
    return Block(start, end, [(k, level + stamp_value(t)) for k, t in enumerate(index, start=1)], resolution)


def stamp_value(t: pd.Timestamp) -> float:
    return float((t - utc("2020-01-01")) / pd.Timedelta(hours=1))


def days(first: str, last: str) -> list[pd.Timestamp]:
    return list(pd.date_range(first, last, freq="D", tz=CET))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EntsoeServer]:
    monkeypatch.setenv("ENTSOE_API_KEY", TOKEN)
    with running() as state:
        yield state


@pytest.fixture
def source(server: EntsoeServer) -> EntsoeSource:
    plants = {
        "anholt": {"area": "DK_1", "eic": "45W000000000046I"},
        "horns_rev": {"area": "DK_1", "unit": "Horns Rev Ø"},
    }
    return EntsoeSource(endpoint=server.url, plants=plants, deadline_s=1.0)


def test_a_read_keeps_the_protocol(server: EntsoeServer, source: EntsoeSource) -> None:
    server.published = [price(DK_1, day_block(day)) for day in days("2024-06-01", "2024-06-03")]
    frame = source.read("price", "DK_1", utc("2024-06-01T22:00"), utc("2024-06-02T22:00"))
    assert isinstance(source, Source)
    assert tuple(frame.columns) == COLUMNS
    assert frame.index.name == "delivery_utc"
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert str(frame["available_at"].dtype) == "datetime64[ns, UTC]"
    assert frame.attrs == {"unit": "EUR/MWh", "series": "price", "zone": "DK_1", "source": "entsoe", "notes": []}
    assert frame["value"].tolist() == [stamp_value(t) for t in frame.index]


def test_an_interval_is_half_open(server: EntsoeServer, source: EntsoeSource) -> None:
    server.published = [price(DK_1, day_block(day)) for day in days("2024-05-31", "2024-06-04")]
    quarters = [Published("A65", DK_1, [day_block(day, "PT15M")]) for day in days("2024-05-31", "2024-06-04")]
    server.published += quarters
    start, end = utc("2024-06-01T22:00"), utc("2024-06-02T22:00")
    assert len(source.read("price", "DK_1", start, end)) == 24
    assert len(source.read("load_forecast", "DK_1", start, end)) == 96


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25), ("2024-02-29", 24)])
def test_days_of_23_and_25_hours_and_leap_days_are_whole(
    server: EntsoeServer, source: EntsoeSource, day: str, hours: int
) -> None:
    first = pd.Timestamp(day, tz=CET)
    around = [first + pd.DateOffset(days=k) for k in range(-3, 4)]
    server.published = [price(DK_1, day_block(d)) for d in around]
    server.published += [Published("A65", DK_1, [day_block(d, "PT15M")]) for d in around]
    start, end = first, first + pd.DateOffset(days=1)
    hourly_prices = source.read("price", "DK_1", start, end)
    assert hourly_prices.index.equals(pd.date_range(start, end, freq="h", inclusive="left").tz_convert("UTC"))
    assert hourly_prices["value"].tolist() == [stamp_value(t) for t in hourly_prices.index]
    assert len(source.read("load_forecast", "DK_1", start, end)) == 4 * hours


def test_years_are_asked_by_utc_month_and_come_back_whole(server: EntsoeServer, source: EntsoeSource) -> None:
    server.published = [price(DK_1, day_block(day)) for day in days("2024-02-20", "2025-03-10")]
    start, end = utc("2024-02-29T10:30"), utc("2025-03-01T07:00")
    frame = source.read("price", "DK_1", start, end)
    assert frame.index.equals(pd.date_range(utc("2024-02-29T11:00"), end, freq="h", inclusive="left"))
    assert frame["value"].tolist() == [stamp_value(t) for t in frame.index]
    bounds = [(asked["periodStart"], asked["periodEnd"]) for asked in server.asked]
    assert bounds[:2] == [("202402290000", "202403010000"), ("202403010000", "202404010000")]
    assert bounds[-1] == ("202503010000", "202503020000")
    assert len(bounds) == 14


def test_days_repeated_in_two_answers_agree_or_are_refused(server: EntsoeServer, source: EntsoeSource) -> None:
    server.published = [price(DK_1, day_block(day)) for day in days("2024-05-30", "2024-06-02")]
    assert len(source.read("price", "DK_1", utc("2024-05-30T22:00"), utc("2024-06-01T22:00"))) == 48
    server.published.append(price(DK_1, hourly("2024-05-31T23:00", [1.0])))
    with pytest.raises(DataError, match=r"DK_1, price, .*1 steps are published twice .*2024-05-31T23:00Z as 1 and"):
        source.read("price", "DK_1", utc("2024-05-30T22:00"), utc("2024-06-01T22:00"))


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


def test_a_block_that_is_too_long_is_asked_in_halves(server: EntsoeServer, source: EntsoeSource) -> None:
    server.published = [price(DK_1, day_block(day)) for day in days("2024-05-31", "2024-07-01")]
    server.most_days = 8
    frame = source.read("price", "DK_1", utc("2024-06-01"), utc("2024-07-01"))
    assert frame.index.equals(pd.date_range("2024-06-01", "2024-07-01", freq="h", inclusive="left", tz="UTC"))


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("content_type", ["text/xml", "application/xml", "text/xml;charset=UTF-8"])
def test_reason_999_is_no_data(server: EntsoeServer, source: EntsoeSource, status: int, content_type: str) -> None:
    server.faults = [Fault(status, acknowledgement("No matching data found for Data item"), content_type)]
    line = r"^no data for DK_1, price, 2024-06-01T00:00Z to 2024-06-02T00:00Z \("
    with pytest.raises(NoDataError, match=line):
        source.read("price", "DK_1", utc("2024-06-01"), utc("2024-06-02"))


@pytest.mark.parametrize("kind", ["A44", "A65"])
@pytest.mark.parametrize("hollow", ["empty text", "no time series", "no points", "only empty points"])
def test_an_empty_document_is_no_data(server: EntsoeServer, source: EntsoeSource, kind: str, hollow: str) -> None:
    block = sparse("2024-06-01", "2024-06-02", [] if hollow == "no points" else [(1, None)])
    inside = [] if hollow == "no time series" else [Published(kind, DK_1, [block])]
    server.faults = [Fault(200, "" if hollow == "empty text" else document(inside, kind, "3:0"))]
    series = "price" if kind == "A44" else "load_forecast"
    with pytest.raises(NoDataError, match=f"no data for DK_1, {series}, 2024-06-01"):
        source.read(series, "DK_1", utc("2024-06-01"), utc("2024-06-02"))


@pytest.mark.parametrize("error", [NoMatchingDataError, InvalidPSRTypeError, ValueError, UnboundLocalError])
def test_what_entsoe_py_raises_for_nothing_is_no_data(
    source: EntsoeSource, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def stop(*_: object, **__: object) -> str:
        raise error("No objects to concatenate")

    monkeypatch.setattr(source.requests.client, "query_wind_and_solar_forecast", stop)
    with pytest.raises(NoDataError, match="no data for DK_1, solar_forecast, 2024-06-01T00:00Z to 2024-06-02T00:00Z"):
        source.read("solar_forecast", "DK_1", utc("2024-06-01"), utc("2024-06-02"))


def test_months_without_data_are_noted_and_not_filled(server: EntsoeServer, source: EntsoeSource) -> None:
    server.published = [
        Published("A65", DK_1, [hourly("2024-01-31", [5.0] * 24)]),
        Published("A65", DK_1, [hourly("2024-03-01", [6.0] * 24)]),
    ]
    frame = source.read("load_forecast", "DK_1", utc("2024-01-31"), utc("2024-03-02"))
    assert len(frame) == 48
    assert frame.attrs["notes"] == ["no data from 2024-02-01 to 2024-03-01: no matching data"]


def test_missing_stays_missing(server: EntsoeServer, source: EntsoeSource) -> None:
    server.published = [
        Published("A69", DK_1, [hourly("2024-06-01", [None, 10, 20])], psr="B19"),
        Published("A69", DK_1, [hourly("2024-06-01", [3, 1])], psr="B19", consumption=True),
    ]
    frame = source.read("wind_onshore_forecast", "DK_1", utc("2024-06-01"), utc("2024-06-02"))
    np.testing.assert_array_equal(frame["value"], [np.nan, 9.0, 20.0])


@pytest.mark.parametrize(
    ("series", "document_type", "process", "psr"),
    [
        ("load_forecast", "A65", "A01", ""),
        ("load", "A65", "A16", ""),
        ("wind_onshore_forecast", "A69", "A01", "B19"),
        ("wind_offshore_forecast", "A69", "A01", "B18"),
        ("solar_forecast", "A69", "A01", "B16"),
    ],
)
def test_each_series_is_its_own_document(
    server: EntsoeServer, source: EntsoeSource, series: str, document_type: str, process: str, psr: str
) -> None:
    kinds = [
        ("A65", "A01", ""),
        ("A65", "A16", ""),
        ("A69", "A01", "B16"),
        ("A69", "A01", "B18"),
        ("A69", "A01", "B19"),
    ]
    server.published = [
        Published(kind, DK_1, [hourly("2024-06-01", [100.0 + k] * 24)], process=how, psr=what)
        for k, (kind, how, what) in enumerate(kinds)
    ]
    frame = source.read(series, "DK_1", utc("2024-06-01"), utc("2024-06-02"))
    assert set(frame["value"]) == {100.0 + kinds.index((document_type, process, psr))}
    assert frame.attrs["unit"] == "MW"


def test_a_document_of_another_kind_is_refused(server: EntsoeServer, source: EntsoeSource) -> None:
    server.answer = lambda _: document([Published("A65", DK_1, [hourly("2024-06-01", [1])])], "A65", "3:0")
    with pytest.raises(DataError, match="asked for document type A44, got A65"):
        source.read("price", "DK_1", utc("2024-06-01"), utc("2024-06-02"))


def test_generation_of_a_plant_is_asked_by_day_and_found_by_code_or_name(
    server: EntsoeServer, source: EntsoeSource
) -> None:
    units = [("45W000000000046I", "Anholt", 1.0), ("45W000000000077X", "Horns Rev Ø", 2.0)]
    server.published = [
        Published("A73", DK_1, [hourly(day, [level] * 24)], process="A16", psr="B18", unit_code=code, unit_name=name)
        for day in ("2024-06-01", "2024-06-02")
        for code, name, level in units
    ]
    server.published.append(
        Published("A73", DK_1, [hourly("2024-06-01", [9.0] * 24)], process="A16", psr="B18", consumption=True,
                  unit_code=units[0][0], unit_name=units[0][1])
    )  # fmt: skip
    anholt = source.read("wind_power", "anholt", utc("2024-06-01"), utc("2024-06-03"))
    assert anholt["value"].tolist() == [1.0] * 48
    assert [asked["periodEnd"] for asked in server.asked] == ["202406020000", "202406030000"]
    assert {asked["registeredResource"] for asked in server.asked} == {"45W000000000046I"}
    horns_rev = source.read("wind_power", "horns_rev", utc("2024-06-01"), utc("2024-06-02"))
    assert horns_rev["value"].tolist() == [2.0] * 24


def test_history_is_available_by_rule(server: EntsoeServer, source: EntsoeSource) -> None:
    day = pd.Timestamp("2024-07-02", tz=CET)
    server.published = [
        price(DK_1, day_block(day)),
        Published("A69", DK_1, [day_block(day)], psr="B16"),
        Published("A65", DK_1, [day_block(day, "PT15M")], process="A16"),
    ]
    interval = (day, day + pd.DateOffset(days=1))
    assert set(source.read("price", "DK_1", *interval)["available_at"]) == {utc("2024-07-01T10:57")}
    assert set(source.read("solar_forecast", "DK_1", *interval)["available_at"]) == {utc("2024-07-01T16:00")}
    load = source.read("load", "DK_1", *interval)["available_at"]
    assert load.iloc[0] == utc("2024-07-01T22:15") + pd.Timedelta(hours=1)


def test_what_is_fetched_ahead_of_delivery_is_available_as_fetched(server: EntsoeServer, source: EntsoeSource) -> None:
    server.published = [Published("A69", DK_1, [day_block(d)], psr="B19") for d in days("2024-07-01", "2024-07-02")]
    fetched = pd.Timestamp("2024-07-01T11:30", tz=CET)
    early = source.read(
        "wind_onshore_forecast", "DK_1", utc("2024-06-30T22:00"), utc("2024-07-02T22:00"), fetched_at=fetched
    )["available_at"]
    assert (early[early.index >= fetched] == fetched).all()
    assert set(early[early.index < fetched]) == {utc("2024-06-30T16:00")}
    assert early.max() <= fetched
    with pytest.raises(SettingError, match="no time zone"):
        source.read("price", "DK_1", utc("2024-07-01"), utc("2024-07-02"), fetched_at=pd.Timestamp("2024-07-01"))


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


def test_a_refused_request_is_told_with_its_reason_and_not_as_no_data(
    server: EntsoeServer, source: EntsoeSource
) -> None:
    server.faults = [Fault(400, acknowledgement(f"Delivered time interval is not valid {TOKEN}"))]
    with pytest.raises(SourceUnavailableError, match=r"DK_1, price, .*HTTP 400.*999 Delivered time interval") as caught:
        source.read("price", "DK_1", utc("2024-06-01"), utc("2024-06-02"))
    assert TOKEN not in str(caught.value)
    server.faults = [Fault(400, acknowledgement("please check you request against dependency tables"))]
    with pytest.raises(SourceUnavailableError, match="refused the combination of parameters"):
        source.read("price", "DK_1", utc("2024-06-01"), utc("2024-06-02"))


def test_names_and_intervals_that_make_no_sense_are_refused_before_any_request(
    server: EntsoeServer, source: EntsoeSource
) -> None:
    day = (utc("2024-06-01"), utc("2024-06-02"))
    with pytest.raises(UnknownNameError, match="'DK1'; did you mean 'DK_1'"):
        source.read("price", "DK1", *day)
    with pytest.raises(UnknownNameError, match="did you mean 'price'"):
        source.read("prices", "DK_1", *day)
    with pytest.raises(UnknownNameError, match=r"name the plant in source\.plants"):
        source.read("wind_power", "DK_1", *day)
    with pytest.raises(UnknownNameError, match="anholt is a plant"):
        source.read("price", "anholt", *day)
    with pytest.raises(SettingError, match="no time zone"):
        source.read("price", "DK_1", pd.Timestamp("2024-06-01"), day[1])
    with pytest.raises(SettingError, match="is empty"):
        source.read("price", "DK_1", day[1], day[0])
    assert server.asked == []


def test_settings_are_checked_when_the_source_is_made() -> None:
    with pytest.raises(SettingError, match="use 1 to 400"):
        EntsoeSource(requests_per_minute=401)
    with pytest.raises(SettingError, match=r"source\.plants\.a needs 'area' and one of"):
        EntsoeSource(plants={"a": {"area": "DK_1"}})
    with pytest.raises(SettingError, match=r"source\.plants\.a: unknown key 'aera'; did you mean 'area'"):
        EntsoeSource(plants={"a": {"aera": "DK_1"}})
    with pytest.raises(UnknownNameError, match="series"):
        EntsoeSource(availability={"prise": "D-1 12:57"})


def test_nothing_shows_the_key(source: EntsoeSource) -> None:
    assert "ENTSOE_API_KEY" in repr(source)
    shown = repr(source) + repr(vars(source)) + repr(vars(source.requests)) + repr(vars(source.requests.client))
    assert TOKEN not in shown + repr(vars(source.requests.client.session))


def test_the_market_day_is_central_european_in_the_coupled_market(source: EntsoeSource) -> None:
    assert source.market_time_zone("DK_1") == "Europe/Copenhagen"
    assert source.market_time_zone("FI") == "Europe/Brussels"
    assert source.market_time_zone("GB") == "Europe/London"
    assert source.market_time_zone("anholt") == "Europe/Copenhagen"
    assert {"DE_LU", "FI", "anholt"} <= set(source.zones())
