"""Fill a store with years of ENTSO-E series: month by month, so that a stop loses nothing and a second run goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import pandas as pd

from forecasting.errors import DataError, NoDataError, SourceUnavailableError
from forecasting.sources.entsoe_curves import month_is_complete
from forecasting.sources.entsoe_requests import utc_months
from forecasting.store import Store


class Outcome(StrEnum):
    """What happened to one month of one series."""

    STORED = "stored"
    ALREADY_COMPLETE = "already complete"
    NO_DATA = "no data"
    REFUSED = "refused"


@dataclass(frozen=True)
class MonthReport:
    """One month of one series. ``number`` of ``total`` counts all months; ``reason`` is empty if all is well."""

    series: str
    zone: str
    start: pd.Timestamp
    outcome: Outcome
    rows: int
    reason: str
    number: int
    total: int


class DatedSource(Protocol):
    """A source that can be told the instant at which it is read, as ``EntsoeSource``."""

    def read(
        self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp, *, fetched_at: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """Values delivered in ``[start, end)``, as the protocol ``Source`` says."""
        ...


def backfill(
    source: DatedSource,
    store: Store,
    wanted: Sequence[tuple[str, str]],
    start: pd.Timestamp,
    end: pd.Timestamp,
    *,
    fetched_at: pd.Timestamp | None = None,
    on_progress: Callable[[MonthReport], None] | None = None,
    check: Callable[[pd.DataFrame, pd.Timestamp, pd.Timestamp], pd.DataFrame] | None = None,
) -> list[MonthReport]:
    """Store every ``(series, zone)`` of ``wanted`` over ``[start, end)``.

    A month whose hours are all in the store is not asked for again. A month with nothing, or with answers that
    contradict each other or the store, is reported and the next one follows. A value that differs from the stored one
    is a revision known since ``fetched_at``; without ``fetched_at`` it is refused. ``on_progress`` is called after
    each month. ``check`` sees each answer with its bounds before it is stored and returns what is to be stored; if it
    raises ``DataError`` the month is refused.

    Raises ``SourceUnavailableError`` saying how far it came; running it again goes on from there.
    """
    jobs = [(series, zone, a, b) for series, zone in wanted for a, b in utc_months(start, end)]
    reports: list[MonthReport] = []
    for number, (series, zone, a, b) in enumerate(jobs, start=1):
        try:
            outcome, rows, reason = _one_month(source, store, series, zone, a, b, fetched_at, check)
        except SourceUnavailableError as error:
            raise SourceUnavailableError(
                f"backfill stopped after {number - 1} of {len(jobs)} months ({error}); run it again to go on"
            ) from None
        reports.append(MonthReport(series, zone, a, outcome, rows, reason, number, len(jobs)))
        if on_progress is not None:
            on_progress(reports[-1])
    return reports


def _one_month(
    source: DatedSource,
    store: Store,
    series: str,
    zone: str,
    start: pd.Timestamp,
    end: pd.Timestamp,
    fetched_at: pd.Timestamp | None,
    check: Callable[[pd.DataFrame, pd.Timestamp, pd.Timestamp], pd.DataFrame] | None,
) -> tuple[Outcome, int, str]:
    stored = store.read(series, zone, start, end)
    if month_is_complete(stored["value"], start, end):
        return Outcome.ALREADY_COMPLETE, 0, ""
    try:
        frame = source.read(series, zone, start, end, fetched_at=fetched_at)
        checked = frame if check is None else check(frame, start, end)
        written = store.write(checked, series=series, zone=zone, source=frame.attrs["source"], seen_at=fetched_at)
    except NoDataError as error:
        return Outcome.NO_DATA, 0, str(error)
    except DataError as error:
        return Outcome.REFUSED, 0, str(error)
    return Outcome.STORED, written.added + written.revised + written.replaced, "; ".join(frame.attrs["notes"])
