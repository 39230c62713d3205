"""``python -m pipelines.backfill``: fill the store with years of ENTSO-E series, month by month."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from forecasting.market_day import day_start
from forecasting.quality import check_series
from forecasting.quality_policy import Policy, QualityPolicy, quality_policy
from forecasting.sources.entsoe import EntsoeSource
from forecasting.sources.entsoe_backfill import MonthReport, backfill
from forecasting.sources.entsoe_backfill import Outcome as Month
from forecasting.sources.entsoe_requests import utc_months
from forecasting.sources.parts import read_series
from forecasting.store import Store
from pipelines import clock
from pipelines.app import Outcome, Run, command
from pipelines.errors import ConfigError
from pipelines.stages.fetch import step_of
from pipelines.stages.sources import open_source
from pipelines.store_lock import store_lock

log = logging.getLogger("adno")

#: Stored history beside which a month is judged.
BESIDE = pd.Timedelta(days=60)

#: Months of a series that are named one by one at the end; the log names all.
MOST_NAMED = 3

Tell = Callable[[MonthReport], None]


def run(run: Run) -> Outcome:
    """Ask for every month that the store does not hold whole; what a stopped run has stored is not asked for again."""
    config, now = run.config, clock.now()
    source = open_source(config["source"])
    if not isinstance(source, EntsoeSource):
        raise ConfigError(
            f"source={config['source']['kind']} is read by the nights themselves and needs no backfill; use source=entsoe"
        )
    store = Store(Path(str(config["store"]["root"])) / source.name)
    policy = replace(quality_policy(**config["quality"]), gap=Policy.ACCEPT)  # a hole of years ago costs only its days
    jobs = [
        _Job(zone, str(series), place, *_interval(config, source.market_time_zone(zone), now))
        for zone in _zones(config)
        for series, place in [*((name, zone) for name in config["series"]), *_sites(source, zone)]
    ]
    months = sum(len(list(utc_months(job.first, job.last))) for job in jobs)
    reports: list[MonthReport] = []
    watched = run.phases.watched
    with (
        store_lock(store.root),
        run.phases.phase("backfill", f"{months} months of {len(jobs)} series", bar=watched),
        _told(run.phases.console if watched else None, months) as tell,
    ):
        for job in jobs:
            check, wanted = _Check(source, store, policy, job), [(job.series, job.place)]
            reports += backfill(
                _Summing(source), store, wanted, job.first, job.last, fetched_at=now, on_progress=tell, check=check
            )
    return _outcome(reports, store)


@dataclass(frozen=True)
class _Job:
    """One series of one zone or plant, over ``[first, last)``."""

    zone: str
    series: str
    place: str
    first: pd.Timestamp
    last: pd.Timestamp


@dataclass(frozen=True)
class _Summing:
    """The source as the nights read it: a series that is not published itself is the sum of its parts."""

    source: EntsoeSource

    def read(
        self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp, *, fetched_at: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """As ``read_series``, dated as fetched."""
        source = self.source if fetched_at is None else self.source.fetching_at(fetched_at)
        return read_series(source, series, zone, start, end)


@dataclass(frozen=True)
class _Check:
    """The quality rules of the nights, beside the history that is stored already."""

    source: EntsoeSource
    store: Store
    policy: QualityPolicy
    job: _Job

    def __call__(self, frame: pd.DataFrame, start: pd.Timestamp, _end: pd.Timestamp) -> pd.DataFrame:
        job = self.job
        history = self.store.read(job.series, job.place, start - BESIDE, start)
        checked = check_series(
            frame,
            series=job.series,
            zone=job.place,
            expected=pd.DatetimeIndex(frame.index),
            step_minutes=step_of(pd.DatetimeIndex(frame.index), 60),
            time_zone=self.source.market_time_zone(job.place),
            rule=self.source.availability(job.series),
            history=history if len(history) else None,
            policy=self.policy,
        )
        for finding in checked.findings:
            log.info("%s", finding)
        return checked.frame


def _zones(config: Mapping[str, Any]) -> list[str]:
    named = config["zone"]
    zones = [str(zone) for zone in (named if isinstance(named, list) else [named]) if zone]
    if not zones:
        raise ConfigError("zone is empty; name one or several: zone=DK_1 or zone=[DK_1,DK_2]")
    return zones


def _sites(source: EntsoeSource, zone: str) -> Sequence[tuple[str, str]]:
    return [("wind_power", site) for site in source.sites(zone)]


def _interval(config: Mapping[str, Any], time_zone: str, now: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The market days ``first`` to ``last``, both included, as UTC instants; ``last`` defaults to what is published now."""

    def day(key: str) -> pd.Timestamp:
        try:
            return pd.Timestamp(str(config[key])).normalize()
        except ValueError as error:
            raise ConfigError(f"{key}={config[key]} is no date; write it like 2022-01-01") from error

    start = day_start(day("first"), time_zone)
    end = now.ceil("h") if config["last"] is None else day_start(day("last") + pd.Timedelta(days=1), time_zone)
    if not start < end:
        raise ConfigError(f"first={config['first']} lies after last={config['last'] or 'now'}")
    return start, end


@contextmanager
def _told(console: Console | None, months: int) -> Iterator[Tell]:
    """A bar for who watches; the log gets a line per month in any case."""

    def write(report: MonthReport) -> None:
        place = f"{report.series} of {report.zone}, {report.start:%Y-%m}"
        log.info(
            "%s: %s, %d rows%s", place, report.outcome, report.rows, f" ({report.reason})" if report.reason else ""
        )

    if console is None:
        yield write
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("backfill", total=months)

        def show(report: MonthReport) -> None:
            write(report)
            progress.update(task, advance=1, description=f"{report.series} of {report.zone}, {report.start:%Y-%m}")

        yield show


def _outcome(reports: Sequence[MonthReport], store: Store) -> Outcome:
    outcome, counts = Outcome(), Counter(str(report.outcome) for report in reports)
    rows = sum(report.rows for report in reports)
    by_series: dict[str, Counter[str]] = {}
    for report in reports:
        by_series.setdefault(f"{report.series} {report.zone}", Counter())[str(report.outcome)] += 1
    for bad in (Month.REFUSED, Month.NO_DATA):
        for name, found in by_series.items():
            months = [r for r in reports if f"{r.series} {r.zone}" == name and r.outcome is bad]
            if not months:
                continue
            named = ", ".join(f"{r.start:%Y-%m}" for r in months[:MOST_NAMED])
            more = f" and {len(months) - MOST_NAMED} more" if len(months) > MOST_NAMED else ""
            outcome.degrade(f"{name}: {bad} in {found[str(bad)]} months ({named}{more}): {months[0].reason}")
    outcome.record = {"months": dict(counts), "rows": rows, "series": {k: dict(v) for k, v in by_series.items()}}
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    outcome.headline = f"{len(reports)} months: {told}; {rows} rows added to {store.root}"
    return outcome


main = command("backfill", run)

if __name__ == "__main__":
    main()
