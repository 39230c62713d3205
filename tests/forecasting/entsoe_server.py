"""A local HTTP server that speaks the XML of the ENTSO-E Transparency Platform, and fails on demand.

It keeps a list of published time series and answers a request with those that overlap its interval, in whole, as the
real service does; in pages of 100; with reason 999 where nothing matches. Faults queued in ``faults`` are served first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pandas as pd

TOKEN = "5ec2e7aa-0000-4bad-cafe-70ken0f0test"
PAGE = 100
MARKET_TIME = "Europe/Copenhagen"
UTC_FORMAT = "%Y-%m-%dT%H:%MZ"

Point = tuple[int, float | str | None]


@dataclass(frozen=True)
class Block:
    """A ``Period``: its bounds, resolution and points (position, value; ``None`` leaves the value element out)."""

    start: pd.Timestamp
    end: pd.Timestamp
    points: Sequence[Point]
    resolution: str = "PT60M"

    @property
    def step(self) -> pd.Timedelta:
        return pd.Timedelta(minutes={"PT15M": 15, "PT30M": 30, "PT60M": 60, "PT1H": 60}[self.resolution])


@dataclass(frozen=True)
class Published:
    """A ``TimeSeries`` as published."""

    document: str
    zone: str
    blocks: Sequence[Block]
    process: str = "A01"
    curve: str = "A01"
    psr: str = ""
    consumption: bool = False
    auction: int | None = None
    agreement: str = "A01"
    currency: str = "EUR"
    unit_code: str = ""
    unit_name: str = ""

    def overlaps(self, start: pd.Timestamp, end: pd.Timestamp) -> bool:
        return any(block.start < end and block.end > start for block in self.blocks)


@dataclass(frozen=True)
class Fault:
    """What to answer instead: a status, a body, a delay before it or between its bytes, or a broken connection."""

    status: int = 200
    body: str = ""
    content_type: str = "text/xml"
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0
    promised_bytes: int | None = None


def hourly(start: str, values: Sequence[float | str | None], resolution: str = "PT60M") -> Block:
    """A block of one point per step from ``start`` (UTC)."""
    begin = pd.Timestamp(start, tz="UTC")
    block = Block(begin, begin, list(enumerate(values, start=1)), resolution)
    return Block(begin, begin + len(values) * block.step, block.points, resolution)


def sparse(start: str, end: str, points: Sequence[Point], resolution: str = "PT60M") -> Block:
    """A block with the points given and none elsewhere."""
    return Block(pd.Timestamp(start, tz="UTC"), pd.Timestamp(end, tz="UTC"), points, resolution)


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
    return list(pd.date_range(first, last, freq="D", tz=MARKET_TIME))


def price(zone: str, *blocks: Block, **more: object) -> Published:
    return Published("A44", zone, blocks, **more)  # type: ignore[arg-type]


def acknowledgement(text: str, code: str = "999") -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Acknowledgement_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0">'
        f"<mRID>be3917c7-0704-4</mRID><Reason><code>{code}</code><text>{text}</text></Reason>"
        "</Acknowledgement_MarketDocument>"
    )


def document(series: Sequence[Published], kind: str, version: str) -> str:
    """The market document that holds ``series``; ``kind`` is the document type, ``version`` that of the namespace."""
    root, name = (
        ("Publication_MarketDocument", "publicationdocument")
        if kind == "A44"
        else (
            "GL_MarketDocument",
            "generationloaddocument",
        )
    )
    part = "451-3" if kind == "A44" else "451-6"
    inner = "".join(_time_series(one, number) for number, one in enumerate(series, start=1))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<{root} xmlns="urn:iec62325.351:tc57wg16:{part}:{name}:{version}">'
        f"<mRID>a1b2c3d4</mRID><revisionNumber>1</revisionNumber><type>{kind}</type>"
        "<createdDateTime>2024-01-01T00:00:00Z</createdDateTime>"
        f"{inner}</{root}>"
    )


def _time_series(one: Published, number: int) -> str:
    tag = "price.amount" if one.document == "A44" else "quantity"
    if one.document == "A44":
        head = (
            f"<auction.type>A01</auction.type><businessType>A62</businessType>"
            f'<in_Domain.mRID codingScheme="A01">{one.zone}</in_Domain.mRID>'
            f'<out_Domain.mRID codingScheme="A01">{one.zone}</out_Domain.mRID>'
            f"<contract_MarketAgreement.type>{one.agreement}</contract_MarketAgreement.type>"
            f"<currency_Unit.name>{one.currency}</currency_Unit.name>"
            "<price_Measure_Unit.name>MWH</price_Measure_Unit.name>"
        )
        if one.auction is not None:
            name = "classificationSequence_AttributeInstanceComponent.position"
            head += f"<{name}>{one.auction}</{name}>"
    else:
        side = "outBiddingZone_Domain" if one.consumption or one.document == "A65" else "inBiddingZone_Domain"
        head = f'<businessType>A01</businessType><{side}.mRID codingScheme="A01">{one.zone}</{side}.mRID>'
        if one.unit_code:
            head += f'<registeredResource.mRID codingScheme="A01">{one.unit_code}</registeredResource.mRID>'
        head += "<quantity_Measure_Unit.name>MAW</quantity_Measure_Unit.name>"
        if one.psr:
            resource = (
                f'<PowerSystemResources><mRID codingScheme="A01">{one.unit_code}</mRID>'
                f"<name>{one.unit_name}</name></PowerSystemResources>"
                if one.unit_name
                else ""
            )
            head += f"<MktPSRType><psrType>{one.psr}</psrType>{resource}</MktPSRType>"
    body = "".join(
        f"<Period><timeInterval><start>{block.start:{UTC_FORMAT}}</start><end>{block.end:{UTC_FORMAT}}</end>"
        f"</timeInterval><resolution>{block.resolution}</resolution>"
        + "".join(
            f"<Point><position>{position}</position>"
            + (f"<{tag}>{value}</{tag}>" if value is not None else "")
            + "</Point>"
            for position, value in block.points
        )
        + "</Period>"
        for block in one.blocks
    )
    curve = f"<curveType>{one.curve}</curveType>"
    return f"<TimeSeries><mRID>{number}</mRID>{head}{curve}{body}</TimeSeries>"


class EntsoeServer:
    """State of the server. ``asked`` holds the parameters of every request; ``version`` that of the namespaces."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        self.faults: list[Fault] = []
        self.asked: list[dict[str, str]] = []
        self.arrived: list[float] = []
        self.versions = {"A44": "7:3", "other": "3:0"}
        self.no_data_status = 200
        self.most_days: int | None = None
        self.answer: Callable[[dict[str, str]], str | None] | None = None
        self.url = ""

    def respond(self, asked: dict[str, str]) -> Fault:
        """The answer to one request."""
        self.asked.append(asked)
        self.arrived.append(time.monotonic())
        if self.faults:
            return self.faults.pop(0)
        if asked.get("securityToken") != TOKEN:
            said = f"Unauthorized. Missing or invalid security token {asked.get('securityToken')}"
            return Fault(401, acknowledgement(said))
        custom = self.answer(asked) if self.answer else None
        if custom is not None:
            return Fault(200, custom)
        start, end = (pd.to_datetime(asked[k], format="%Y%m%d%H%M", utc=True) for k in ("periodStart", "periodEnd"))
        if self.most_days is not None and end - start > pd.Timedelta(days=self.most_days):
            said = "The amount of requested data exceeds allowed limit: 100 allowed, but requested 200 documents"
            return Fault(400, acknowledgement(said))
        found = [one for one in self.published if self._matches(one, asked) and one.overlaps(start, end)]
        offset = int(asked.get("offset", 0))
        page = found[offset : offset + PAGE] if "offset" in asked else found
        if not page:
            return Fault(self.no_data_status, acknowledgement("No matching data found for Data item in this interval"))
        kind = asked["documentType"]
        return Fault(200, document(page, kind, self.versions.get(kind, self.versions["other"])))

    @staticmethod
    def _matches(one: Published, asked: dict[str, str]) -> bool:
        zone = asked.get("in_Domain") or asked.get("outBiddingZone_Domain")
        sequence = asked.get("classificationSequence_AttributeInstanceComponent.position")
        return (
            one.document == asked["documentType"]
            and one.zone == zone
            and (one.document == "A44" or one.process == asked.get("processType", one.process))
            and asked.get("psrType", one.psr) == one.psr
            and asked.get("registeredResource", one.unit_code) == one.unit_code
            and (sequence is None or one.auction == int(sequence))
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: EntsoeServer

    def do_GET(self) -> None:
        parameters = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        answer = self.state.respond(parameters)
        body = answer.body.encode()
        time.sleep(answer.delay_s)
        try:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(answer.promised_bytes or len(body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if answer.drip_s:
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(answer.drip_s)
            else:
                self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        if answer.promised_bytes:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing on standard error."""


@contextmanager
def running() -> Iterator[EntsoeServer]:
    """A server on a free local port for the length of the block."""
    state = EntsoeServer()
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/api"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
