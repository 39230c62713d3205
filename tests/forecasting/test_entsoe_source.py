"""The ENTSO-E source as a whole, against a local server: intervals, auctions, resolutions, paging, and "no data"."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from entsoe.exceptions import InvalidPSRTypeError, NoMatchingDataError

from forecasting.errors import DataError, NoDataError, SettingError, SourceUnavailableError, UnknownNameError
from forecasting.sources.base import COLUMNS, Source
from forecasting.sources.entsoe import EntsoeSource
from forecasting.sources.site import SiteInfo
from tests.forecasting.entsoe_server import (
    TOKEN,
    EntsoeServer,
    Fault,
    Published,
    acknowledgement,
    day_block,
    days,
    document,
    hourly,
    price,
    running,
    sparse,
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
    plants = {
        "anholt": {"area": "DK_1", "eic": "45W000000000046I", "capacity_mw": 400},
        "horns_rev": {"area": "DK_1", "unit": "Horns Rev Ø", "capacity_mw": 160},
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


def test_plants_are_wind_sites_of_their_area(source: EntsoeSource) -> None:
    assert source.sites("DK_1") == source.sites() == ["anholt", "horns_rev"]
    assert source.sites("SE_3") == []
    assert source.site_info("anholt") == SiteInfo("anholt", "DK_1", 400.0)
    with pytest.raises(UnknownNameError, match="did you mean 'anholt'"):
        source.site_info("anhold")


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


def test_a_source_dated_to_the_fetch_reads_like_one_told_each_time(server: EntsoeServer, source: EntsoeSource) -> None:
    server.published = [Published("A69", DK_1, [day_block(d)], psr="B16") for d in days("2024-07-01", "2024-07-02")]
    interval = (utc("2024-06-30T22:00"), utc("2024-07-02T22:00"))
    fetched = pd.Timestamp("2024-07-01T11:30", tz=CET)
    dated = source.fetching_at(fetched).read("solar_forecast", "DK_1", *interval)
    pd.testing.assert_frame_equal(dated, source.read("solar_forecast", "DK_1", *interval, fetched_at=fetched))
    by_rule = source.read("solar_forecast", "DK_1", *interval)
    assert by_rule["available_at"].max() == utc("2024-07-01T16:00")
    assert str(source.availability("solar_forecast")) == "D-1 18:00"


@pytest.mark.parametrize(("first", "last"), [("2024-03-29", "2024-04-02"), ("2024-10-25", "2024-10-29")])
def test_a_plant_is_whole_across_clock_changes(
    server: EntsoeServer, source: EntsoeSource, first: str, last: str
) -> None:
    server.published = [
        Published("A73", DK_1, [day_block(d)], process="A16", psr="B18", unit_code="45W000000000046I", unit_name="A")
        for d in days(first, last)
    ]
    start, end = pd.Timestamp(first, tz=CET), pd.Timestamp(last, tz=CET)
    frame = source.read("wind_power", "anholt", start, end)
    assert frame.index.equals(pd.date_range(start, end, freq="h", inclusive="left").tz_convert("UTC"))
    assert frame["value"].tolist() == [stamp_value(t) for t in frame.index]


def test_the_logs_of_a_whole_read_hold_no_token(
    server: EntsoeServer, source: EntsoeSource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    server.faults = [Fault(503)] * 1
    with pytest.raises(SourceUnavailableError, match="gave no usable answer within 1 s"):
        source.read("price", "DK_1", utc("2024-06-01"), utc("2024-06-02"))
    assert {"entsoe.entsoe", "urllib3.connectionpool"} <= {record.name for record in caplog.records}
    assert server.asked[0]["securityToken"] == TOKEN
    assert TOKEN not in caplog.text


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
    with pytest.raises(SettingError, match=r"source\.plants\.a\.capacity_mw must be a positive number of MW, not '9'"):
        EntsoeSource(plants={"a": {"area": "DK_1", "eic": "x", "capacity_mw": "9"}})
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
