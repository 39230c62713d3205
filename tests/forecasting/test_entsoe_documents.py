"""The strict reader of ENTSO-E documents: what each form of answer means, and that nothing missing becomes a number."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from entsoe.parsers import parse_generation, parse_loads, parse_prices

from forecasting.errors import DataError, NoDataError, SourceUnavailableError
from forecasting.sources.entsoe_curves import finest, tabulate
from forecasting.sources.entsoe_parse import parse_market_document
from tests.forecasting.entsoe_server import Block, Published, acknowledgement, document, hourly, price, sparse

DK_1 = "10YDK-1--------W"
as_html = pytest.mark.filterwarnings("ignore::bs4.builder.XMLParsedAsHTMLWarning")


def values_of(text: str) -> pd.Series:
    return finest(tabulate(parse_market_document(text).series, "test"))["value"]


def same(left: pd.Series, right: pd.Series) -> None:
    pd.testing.assert_series_equal(
        left.dropna(), right.dropna(), check_names=False, check_freq=False, check_index_type=False
    )


@pytest.mark.parametrize("version", ["7:0", "7:3"])
def test_prices_are_read_in_either_namespace_version(version: str) -> None:
    text = document([price(DK_1, hourly("2024-01-01", [10.5, -3, 0]))], "A44", version)
    parsed = parse_market_document(text)
    assert (parsed.kind, parsed.document_type) == ("Publication_MarketDocument", "A44")
    assert values_of(text).tolist() == [10.5, -3.0, 0.0]


@pytest.mark.parametrize(("kind", "psr"), [("A65", ""), ("A69", "B19"), ("A73", "B18")])
def test_generation_and_load_documents_are_read(kind: str, psr: str) -> None:
    text = document([Published(kind, DK_1, [hourly("2024-01-01", [100, 200])], psr=psr)], kind, "3:0")
    parsed = parse_market_document(text)
    assert (parsed.kind, parsed.document_type) == ("GL_MarketDocument", kind)
    assert parsed.series[0].psr_type == psr
    assert values_of(text).tolist() == [100.0, 200.0]


def test_curve_a03_repeats_a_value_to_the_declared_end_of_the_period() -> None:
    block = sparse("2024-01-01", "2024-01-01T06:00", [(1, 50), (3, 55)])
    text = document([price(DK_1, block, curve="A03")], "A44", "7:3")
    assert values_of(text).tolist() == [50, 50, 55, 55, 55, 55]


def test_curve_a03_is_never_carried_into_the_next_period() -> None:
    first = sparse("2024-01-01", "2024-01-01T03:00", [(1, 50)])
    second = sparse("2024-01-01T03:00", "2024-01-01T06:00", [(2, 70)])
    later = sparse("2024-01-01T08:00", "2024-01-01T09:00", [(1, 80)])
    text = document([price(DK_1, first, second, later, curve="A03")], "A44", "7:3")
    got = values_of(text)
    assert [None if math.isnan(v) else v for v in got] == [50, 50, 50, None, 70, 70, 80]
    assert pd.Timestamp("2024-01-01T06:00Z") not in got.index


def test_curve_a01_leaves_an_absent_position_missing() -> None:
    text = document([price(DK_1, sparse("2024-01-01", "2024-01-01T03:00", [(1, 50), (3, 55)]))], "A44", "7:3")
    assert [None if math.isnan(v) else v for v in values_of(text)] == [50, None, 55]


@pytest.mark.parametrize("absent", [None, ""])
def test_a_point_without_a_number_is_missing_and_ends_the_repetition(absent: str | None) -> None:
    block = sparse("2024-01-01", "2024-01-01T04:00", [(1, 50), (2, absent), (4, 60)])
    text = document([price(DK_1, block, curve="A03")], "A44", "7:3")
    assert [None if math.isnan(v) else v for v in values_of(text)] == [50, None, None, 60]


@pytest.mark.parametrize(("resolution", "minutes"), [("PT60M", 60), ("PT1H", 60), ("PT30M", 30), ("PT15M", 15)])
def test_each_resolution_has_its_step(resolution: str, minutes: int) -> None:
    got = values_of(document([price(DK_1, hourly("2024-01-01", [1, 2, 3], resolution))], "A44", "7:3"))
    assert got.index.tolist() == [
        pd.Timestamp("2024-01-01", tz="UTC") + k * pd.Timedelta(minutes=minutes) for k in range(3)
    ]


def test_where_two_resolutions_overlap_the_finer_one_counts() -> None:
    series = [
        Published("A65", DK_1, [hourly("2024-01-01", [100, 200])]),
        Published("A65", DK_1, [hourly("2024-01-01", [90, 95, 105, 110], "PT15M")]),
    ]
    got = values_of(document(series, "A65", "3:0"))
    assert got.tolist() == [90, 95, 105, 110, 200]


def test_a_step_published_twice_is_kept_once_where_it_agrees() -> None:
    series = [
        price(DK_1, hourly("2024-01-01", [1, 2, 3])),
        price(DK_1, sparse("2024-01-01T01:00", "2024-01-01T04:00", [(1, 2), (3, 4)])),
    ]
    assert values_of(document(series, "A44", "7:3")).tolist() == [1, 2, 3, 4]


def test_a_step_published_twice_with_different_values_is_refused_with_its_time() -> None:
    series = [price(DK_1, hourly("2024-01-01", [1, 2, 3])), price(DK_1, hourly("2024-01-01T02:00", [9]))]
    with pytest.raises(DataError, match=r"1 steps are published twice .*2024-01-01T02:00Z as 3 and 9"):
        values_of(document(series, "A44", "7:3"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        acknowledgement("No matching data found"),
        acknowledgement("No matching data found for Data item Day-ahead Prices [12.1.D] (10Y, 10Y) and interval 2016."),
    ],
)
def test_an_answer_without_data_says_so(text: str) -> None:
    with pytest.raises(NoDataError):
        parse_market_document(text)


def test_a_document_without_points_holds_no_values() -> None:
    nothing = document([], "A44", "7:3")
    hollow = document([price(DK_1, sparse("2024-01-01", "2024-01-02", []))], "A44", "7:3")
    assert parse_market_document(nothing).series == ()
    assert parse_market_document(hollow).series[0].periods == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (acknowledgement("Delivered time interval is not valid for this Data item."), "999 Delivered time interval"),
        ("<!DOCTYPE html><html><body>Maintenance</body></html>", "web page"),
        ("<html><body>Maintenance</body></html>", "<html>"),
        ("Service unavailable", "no complete XML"),
        (document([price(DK_1, hourly("2024-01-01", [1, 2]))], "A44", "7:3")[:-40], "cut"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><Publication_MarketDocument>&b;</Publication_MarketDocument>', "document type"),
    ],
)
def test_an_answer_that_is_no_market_document_is_the_service_failing(text: str, said: str) -> None:
    with pytest.raises(SourceUnavailableError, match=said):
        parse_market_document(text)


@pytest.mark.parametrize(
    ("published", "said"),
    [
        (price(DK_1, hourly("2024-01-01", ["12,5"])), "'12,5' where a number"),
        (price(DK_1, hourly("2024-01-01", ["inf"])), "'inf' where a number"),
        (price(DK_1, hourly("2024-01-01", ["n/e"])), "'n/e' where a number"),
        (price(DK_1, sparse("2024-01-01", "2024-01-01T02:00", [(3, 1)])), "2 steps and a point at position '3'"),
        (price(DK_1, sparse("2024-01-01", "2024-01-01T02:00", [(0, 1)])), "position '0'"),
        (price(DK_1, sparse("2024-01-01", "2024-01-01T02:00", [(1, 1), (1, 2)])), "position 1 twice, as 1 and 2"),
        (price(DK_1, sparse("2024-01-01", "2024-01-01T02:30", [(1, 1)])), "not a whole number of steps"),
        (price(DK_1, sparse("2024-01-01", "2024-01-01", [(1, 1)])), "not a whole number of steps"),
        (price(DK_1, hourly("2024-01-01", [1]), curve="A02"), "curve type A02"),
    ],
)
def test_a_document_that_contradicts_itself_is_refused(published: Published, said: str) -> None:
    with pytest.raises(DataError, match=said):
        parse_market_document(document([published], "A44", "7:3"))


def test_daily_values_are_refused_rather_than_read_as_something_else() -> None:
    text = document([price(DK_1, hourly("2024-01-01", [1]))], "A44", "7:3")
    with pytest.raises(DataError, match="resolution 'P1D'"):
        parse_market_document(text.replace("PT60M", "P1D"))
    with pytest.raises(DataError, match="no instant in UTC"):
        parse_market_document(text.replace("00:00Z</start>", "00:00</start>"))


def test_a_thousands_mark_is_understood() -> None:
    assert values_of(document([price(DK_1, hourly("2024-01-01", ["1,234.5", "-2,000"]))], "A44", "7:3")).tolist() == [
        1234.5,
        -2000.0,
    ]


@as_html
@pytest.mark.parametrize("curve", ["A01", "A03"])
@pytest.mark.parametrize("resolution", ["PT60M", "PT15M"])
def test_prices_equal_those_of_entsoe_py_on_well_formed_documents(curve: str, resolution: str) -> None:
    skipped = (3, 4, 17) if curve == "A03" else ()
    days = [
        price(DK_1, _without(hourly(day, [round(20 + 7.31 * (k % 11) - k, 2) for k in range(24)], resolution), skipped),
              curve=curve)
        for day in ("2024-03-30T23:00", "2024-04-01T22:00")
    ]  # fmt: skip
    text = document(days, "A44", "7:3")
    theirs = parse_prices(text)["15min" if resolution == "PT15M" else "60min"]
    assert len(theirs) == 48
    same(values_of(text), theirs)


@as_html
def test_load_and_generation_equal_those_of_entsoe_py_on_well_formed_documents() -> None:
    values = [1000 + 13 * k for k in range(96)]
    load = document([Published("A65", DK_1, [hourly("2024-01-01T23:00", values, "PT15M")])], "A65", "3:0")
    same(values_of(load), parse_loads(load)["Forecasted Load"])
    block = sparse("2024-01-01T23:00", "2024-01-02T23:00", [(1, 5), (9, 7.5), (20, 0)])
    wind = document([Published("A69", DK_1, [block], psr="B19", curve="A03")], "A69", "3:0")
    theirs = parse_generation(wind, nett=True)
    assert len(theirs) == 24
    same(values_of(wind), theirs["Wind Onshore"])


@pytest.mark.data
def test_published_samples_are_read(public_data: Callable[[str], Path]) -> None:
    folder = public_data("entsoe_xml_samples")
    sparse_prices = values_of((folder / "publication.a03curvetype.xml").read_text())
    assert sparse_prices.tolist() == [50, 50, 55, 55, 55, 60]
    load = values_of((folder / "gl.load.singlepoint.xml").read_text())
    assert len(load) == 8784
    assert load.notna().sum() == 1
    assert load[pd.Timestamp("2015-12-31T23:00Z")] == 6288
    with pytest.raises(NoDataError, match="999 No matching data found"):
        parse_market_document((folder / "acknowledgement.invalidrequest.xml").read_text())


def _without(block: Block, positions: tuple[int, ...]) -> Block:
    points = [point for point in block.points if point[0] not in positions]
    return Block(block.start, block.end, points, block.resolution)
