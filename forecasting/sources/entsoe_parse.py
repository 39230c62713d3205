"""Read the XML market documents of ENTSO-E into plain records, strictly: what is not there is missing, never zero.

Two kinds carry data: ``Publication_MarketDocument`` (prices, type A44) and ``GL_MarketDocument`` (load and generation,
types A65, A69, A73); the third, ``Acknowledgement_MarketDocument``, carries a reason. Namespaces are not compared, as
the service changes their version (7:0, 7:3) without changing the content.

Curve types as in ENTSO-E, "Introduction of different timeseries possibilities (curve types)", version 1.4:
A01 has one point per step, and an absent position is missing; A03 leaves out a position that repeats the last value.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from forecasting.errors import DataError, NoDataError, SourceUnavailableError

PUBLICATION = "Publication_MarketDocument"
GENERATION_LOAD = "GL_MarketDocument"
_ACKNOWLEDGEMENT = "Acknowledgement_MarketDocument"

_RESOLUTION = re.compile(r"^PT(?:(\d+)H)?(?:(\d+)M)?$")
_THOUSANDS = re.compile(r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$")


@dataclass(frozen=True)
class Period:
    """A block ``[start, end)`` (UTC) of equal steps; ``values`` holds one number per step, NaN where missing."""

    start: pd.Timestamp
    end: pd.Timestamp
    step: pd.Timedelta
    values: tuple[float, ...]

    @property
    def index(self) -> pd.DatetimeIndex:
        """Start of each step."""
        return pd.date_range(self.start, periods=len(self.values), freq=self.step, unit="ns")


@dataclass(frozen=True)
class MarketTimeSeries:
    """One ``TimeSeries`` element. Codes are as published; ``None`` or empty where the element is absent.

    ``auction`` is the classification sequence: 1 is the coupled day-ahead auction, 2 a second auction of the same zone.
    ``agreement`` is the contract type (A01 daily, A07 intraday). ``consumption`` marks energy taken, not generated.
    """

    auction: int | None
    agreement: str
    currency: str
    domain: str
    psr_type: str
    consumption: bool
    resource_codes: tuple[str, ...]
    resource_name: str
    periods: tuple[Period, ...]


@dataclass(frozen=True)
class MarketDocument:
    """A parsed answer: its root element, document type (A44, A65, ...) and time series."""

    kind: str
    document_type: str
    series: tuple[MarketTimeSeries, ...]


def parse_market_document(text: str) -> MarketDocument:
    """Parse one answer of the service.

    Raises ``NoDataError`` for an empty answer and for an acknowledgement of "no matching data",
    ``SourceUnavailableError`` for any other acknowledgement and for text that is no complete market document, and
    ``DataError`` for a market document that contradicts itself.
    """
    if not text.strip():
        raise NoDataError("the answer is empty")
    if "<!DOCTYPE" in text[:1000]:
        raise SourceUnavailableError("the answer is a web page or declares a document type, not a market document")
    try:
        root = ET.fromstring(text.lstrip("\ufeff \r\n\t"))
    except ET.ParseError as error:
        raise SourceUnavailableError(f"the answer is no complete XML document ({error}); it was probably cut") from None
    kind = _local_name(root)
    if kind == _ACKNOWLEDGEMENT:
        _raise_acknowledged(root)
    if kind not in (PUBLICATION, GENERATION_LOAD):
        raise SourceUnavailableError(f"the answer is a <{kind}>, not a market document")
    return MarketDocument(kind, _text(root, "type"), tuple(_time_series(e) for e in _children(root, "TimeSeries")))


def _raise_acknowledged(root: ET.Element) -> None:
    reasons = [(_text(reason, "code"), _text(reason, "text")) for reason in _children(root, "Reason")]
    words = "; ".join(f"{code} {text}".strip() for code, text in reasons) or "no reason given"
    if any(code == "999" and "no matching data" in text.lower() for code, text in reasons):
        raise NoDataError(words)
    raise SourceUnavailableError(f"ENTSO-E refused the request: {words}")


def _time_series(element: ET.Element) -> MarketTimeSeries:
    curve_type = _text(element, "curveType") or "A01"
    if curve_type not in ("A01", "A03"):
        raise DataError(f"curve type {curve_type} is not one of A01, A03; this time series cannot be read")
    auction = _text(element, "classificationSequence_AttributeInstanceComponent.position")
    consumption = _text(element, "outBiddingZone_Domain.mRID")
    resources = [r for psr in _children(element, "MktPSRType") for r in _children(psr, "PowerSystemResources")]
    codes = [_text(element, "registeredResource.mRID"), *(_text(r, "mRID") for r in resources)]
    names = [_text(element, "registeredResource.name"), *(_text(r, "name") for r in resources)]
    return MarketTimeSeries(
        auction=int(auction) if auction.isdigit() else None,
        agreement=_text(element, "contract_MarketAgreement.type"),
        currency=_text(element, "currency_Unit.name"),
        domain=_text(element, "in_Domain.mRID") or _text(element, "inBiddingZone_Domain.mRID") or consumption,
        psr_type=next((_text(psr, "psrType") for psr in _children(element, "MktPSRType")), ""),
        consumption=bool(consumption),
        resource_codes=tuple(code for code in codes if code),
        resource_name=next((name for name in names if name), ""),
        periods=tuple(
            _period(p, curve_type) for p in _children(element, "Period") if next(_children(p, "Point"), None)
        ),
    )


def _period(element: ET.Element, curve_type: str) -> Period:
    interval = next(_children(element, "timeInterval"), element)
    start, end = _instant(_text(interval, "start")), _instant(_text(interval, "end"))
    step = _resolution(_text(element, "resolution"))
    where = f"the period from {start:%Y-%m-%dT%H:%MZ} to {end:%Y-%m-%dT%H:%MZ}"
    count, rest = divmod(end - start, step)
    if count < 1 or rest:
        raise DataError(f"{where} is not a whole number of steps of {step}")
    points: dict[int, float] = {}
    for point in _children(element, "Point"):
        position, value = _position(point, count, where), _value(point, where)
        known = points.setdefault(position, value)
        if known != value and not (math.isnan(known) and math.isnan(value)):
            raise DataError(f"{where} gives position {position} twice, as {known:g} and {value:g}")
    repeat = curve_type == "A03"
    values: list[float] = []
    for position in range(1, count + 1):
        absent = values[-1] if repeat and values else math.nan
        values.append(points.get(position, absent))
    return Period(start, end, step, tuple(values))


def _position(point: ET.Element, count: int, where: str) -> int:
    text = _text(point, "position").replace(",", "")
    if not text.isdigit() or not 1 <= int(text) <= count:
        raise DataError(f"{where} has {count} steps and a point at position {text or 'nothing'!r}")
    return int(text)


def _value(point: ET.Element, where: str) -> float:
    """A point's number; an empty or absent one is missing. A comma is a thousands mark or an error, never a decimal."""
    text = _text(point, "price.amount") or _text(point, "quantity")
    if not text:
        return math.nan
    try:
        value = float(text.replace(",", "") if _THOUSANDS.match(text) else text)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise DataError(f"{where} holds {text!r} where a number belongs")
    return value


def _resolution(text: str) -> pd.Timedelta:
    found = _RESOLUTION.match(text)
    minutes = 60 * int(found[1] or 0) + int(found[2] or 0) if found else 0
    if minutes < 1 or 60 % minutes:
        raise DataError(f"resolution {text or 'nothing'!r} is not a step that divides an hour (PT15M, PT30M, PT60M)")
    return pd.Timedelta(minutes=minutes)


def _instant(text: str) -> pd.Timestamp:
    try:
        instant = pd.Timestamp(text)
    except ValueError:
        instant = pd.NaT
    if instant is pd.NaT or instant.tzinfo is None:
        raise DataError(f"a period is bounded by {text or 'nothing'!r}, which is no instant in UTC")
    return instant.tz_convert("UTC").as_unit("ns")


def _local_name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: ET.Element, name: str) -> Iterator[ET.Element]:
    return (child for child in element if _local_name(child) == name)


def _has(element: ET.Element, name: str) -> bool:
    return any(True for _ in _children(element, name))


def _text(element: ET.Element, name: str) -> str:
    return next(((child.text or "").strip() for child in _children(element, name)), "")
