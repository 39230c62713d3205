"""Which request brings which series, and how an interval becomes requests: UTC months, pages of 100, halves.

``entsoe-py`` forms and sends the requests; its parsers are not used. (They read a missing number as an error or as 0 in
net generation, mix the resolutions of two auctions, and cut blocks in local time, which duplicates rows or loses them
around clock changes and 29 February.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd
import requests
from entsoe import EntsoeRawClient
from entsoe.exceptions import (
    InvalidBusinessParameterError,
    InvalidPSRTypeError,
    NoMatchingDataError,
    PaginationError,
)
from entsoe.mappings import Area

from forecasting.errors import DataError, NoDataError, SourceUnavailableError
from forecasting.series import series_spec
from forecasting.sources.entsoe_http import PoliteSession
from forecasting.sources.entsoe_parse import (
    GENERATION_LOAD,
    PUBLICATION,
    MarketDocument,
    MarketTimeSeries,
    parse_market_document,
)

logger = logging.getLogger(__name__)

PAGE_SIZE = 100
LAST_OFFSET = 4800
_KEY_IS_ADDED_BY_THE_SESSION = "added-by-session"

#: Zones whose day-ahead prices come from two auctions; the first of them is the coupled one.
_TWO_AUCTIONS = ("DE_LU", "AT")


@dataclass(frozen=True)
class Query:
    """How ``entsoe-py`` asks for one series.

    ``method`` is the name of the method of ``EntsoeRawClient``; ``by_day`` marks a service that answers at most one
    day; ``paged`` one that answers in pages of 100 time series.
    """

    method: str
    kind: str
    by_day: bool = False
    paged: bool = False


QUERIES: dict[str, Query] = {
    "price": Query("query_day_ahead_prices", PUBLICATION, paged=True),
    "load_forecast": Query("query_load_forecast", GENERATION_LOAD),
    "load": Query("query_load", GENERATION_LOAD),
    "wind_onshore_forecast": Query("query_wind_and_solar_forecast", GENERATION_LOAD),
    "wind_offshore_forecast": Query("query_wind_and_solar_forecast", GENERATION_LOAD),
    "solar_forecast": Query("query_wind_and_solar_forecast", GENERATION_LOAD),
    "wind_power": Query("query_generation_per_plant", GENERATION_LOAD, by_day=True),
}


@dataclass(frozen=True)
class Collected:
    """Time series of all answers, and ``(start, end, reason)`` of every block for which there was none."""

    series: tuple[MarketTimeSeries, ...]
    without_data: tuple[tuple[pd.Timestamp, pd.Timestamp, str], ...]


def utc_months(start: pd.Timestamp, end: pd.Timestamp) -> Iterator[tuple[pd.Timestamp, pd.Timestamp]]:
    """Cut ``[start, end)`` at the first of each month, 00:00 UTC."""
    return _cut(start, end, lambda t: t.normalize().replace(day=1) + pd.DateOffset(months=1))


def utc_days(start: pd.Timestamp, end: pd.Timestamp) -> Iterator[tuple[pd.Timestamp, pd.Timestamp]]:
    """Cut ``[start, end)`` at 00:00 UTC of each day."""
    return _cut(start, end, lambda t: t.normalize() + pd.Timedelta(days=1))


def _cut(
    start: pd.Timestamp, end: pd.Timestamp, boundary_after: Callable[[pd.Timestamp], pd.Timestamp]
) -> Iterator[tuple[pd.Timestamp, pd.Timestamp]]:
    here, end = start.tz_convert("UTC"), end.tz_convert("UTC")
    while here < end:
        following = min(boundary_after(here), end)
        yield here, following
        here = following


class EntsoeRequests:
    """Ask the service for one series over any interval, through ``session``."""

    def __init__(self, session: PoliteSession) -> None:
        self.client = EntsoeRawClient(
            api_key=_KEY_IS_ADDED_BY_THE_SESSION, session=session, retry_count=1, retry_delay=0
        )

    def collect(
        self, series: str, area: Area, start: pd.Timestamp, end: pd.Timestamp, eic: str | None = None
    ) -> Collected:
        """Every time series that overlaps ``[start, end)`` (it may reach beyond; the caller cuts).

        The interval is widened to whole UTC days, as the service answers by day, and asked by UTC month (``eic``, the
        code of a plant: by UTC day).

        Raises ``SourceUnavailableError`` where the service refuses or does not answer, ``DataError`` for a document of
        another kind than asked for.
        """
        blocks = utc_days if QUERIES[series].by_day else utc_months
        found: list[MarketTimeSeries] = []
        without: list[tuple[pd.Timestamp, pd.Timestamp, str]] = []
        for block_start, block_end in blocks(start.floor("D"), end.ceil("D")):
            try:
                found += self._block(series, area, block_start, block_end, eic)
            except NoDataError as error:
                without.append((block_start, block_end, str(error)))
        return Collected(tuple(found), tuple(without))

    def _block(
        self, series: str, area: Area, start: pd.Timestamp, end: pd.Timestamp, eic: str | None
    ) -> list[MarketTimeSeries]:
        try:
            return self._pages(series, area, start, end, eic)
        except PaginationError as error:
            middle = (start + (end - start) / 2).floor("D")
            if middle <= start:
                raise SourceUnavailableError(f"ENTSO-E will not give even one day in one answer: {error}") from None
        halves: list[MarketTimeSeries] = []
        for half in ((start, middle), (middle, end)):
            try:
                halves += self._block(series, area, *half, eic)
            except NoDataError as error:
                logger.info("%s: no data in half a block: %s", series, error)
        if not halves:
            raise NoDataError("no data in either half of the block")
        return halves

    def _pages(
        self, series: str, area: Area, start: pd.Timestamp, end: pd.Timestamp, eic: str | None
    ) -> list[MarketTimeSeries]:
        first = self._ask(series, area, start, end, eic, offset=0)
        found, page = list(first.series), first
        for offset in range(PAGE_SIZE, LAST_OFFSET + 1, PAGE_SIZE):
            if not QUERIES[series].paged or len(page.series) < PAGE_SIZE:
                return found
            try:
                following = self._ask(series, area, start, end, eic, offset)
            except NoDataError:
                return found
            if str(following.series) == str(page.series):
                return found  # the service ignores the offset
            found += following.series
            page = following
        raise DataError(f"more than {LAST_OFFSET + PAGE_SIZE} time series in one block; the service shows no more")

    def _ask(
        self, series: str, area: Area, start: pd.Timestamp, end: pd.Timestamp, eic: str | None, offset: int
    ) -> MarketDocument:
        query, spec = QUERIES[series], series_spec(series)
        extra: dict[str, object] = {}
        if series == "price":
            extra = {"offset": offset, "sequence": 1 if area.name in _TWO_AUCTIONS else None}
        elif series == "wind_power":
            extra = {"eic_code": eic}
        elif spec.entsoe_psr:
            extra = {"psr_type": spec.entsoe_psr}
        document = parse_market_document(self._text(query, area, start, end, extra))
        if (document.kind, document.document_type) != (query.kind, spec.entsoe_document):
            raise DataError(
                f"asked for document type {spec.entsoe_document}, got {document.document_type or 'none'} "
                f"in a {document.kind}"
            )
        if not any(one.periods for one in document.series):
            raise NoDataError("the document holds no values")
        return document

    def _text(self, query: Query, area: Area, start: pd.Timestamp, end: pd.Timestamp, extra: dict[str, object]) -> str:
        try:
            return str(getattr(self.client, query.method)(area, start=start, end=end, **extra))
        except NoMatchingDataError:
            reason = "no matching data"
        except InvalidPSRTypeError:
            reason = "the zone does not publish this kind of generation"
        except (ValueError, UnboundLocalError) as error:
            reason = f"entsoe-py stopped with {type(error).__name__}"
        except InvalidBusinessParameterError:
            raise SourceUnavailableError("ENTSO-E refused the combination of parameters for this zone") from None
        except requests.HTTPError as error:
            raise SourceUnavailableError(_refusal(error)) from None
        raise NoDataError(reason)


def _refusal(error: requests.HTTPError) -> str:
    answer = error.response
    try:
        parse_market_document(answer.text)
    except (SourceUnavailableError, NoDataError, DataError) as reason:
        return f"HTTP {answer.status_code}: {reason}"
    return f"HTTP {answer.status_code}"
