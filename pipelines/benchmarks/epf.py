"""Tasks of the EPF benchmark: one per market, the published DNN and LEAR forecasts beside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from forecasting.benchmarks.epf import EPF_MARKETS, PeerForecasts, epf_test_start, load_epf, load_peers, pooled_epf
from forecasting.errors import NoDataError
from forecasting.samples import DayAheadSamples
from pipelines.benchmarks.task import BenchmarkTask
from pipelines.errors import ConfigError


def epf_tasks(settings: Mapping[str, Any]) -> list[BenchmarkTask]:
    """One task per market named in ``market`` (a name, a list, or ``all``)."""
    chosen = settings["market"]
    markets = list(EPF_MARKETS) if chosen == "all" else [chosen] if isinstance(chosen, str) else list(chosen)
    root, history_days = Path(str(settings["root"])), int(settings["history_days"])
    samples = {str(market): load_epf(root, str(market), history_days) for market in markets}
    pool = pooled_epf(root, history_days)
    return [_task(market, samples[market], pool, settings) for market in samples]


def _task(market: str, samples: DayAheadSamples, pool: DayAheadSamples, settings: Mapping[str, Any]) -> BenchmarkTask:
    root = Path(str(settings["root"]))
    first = _day(settings, "test_from") or epf_test_start(samples)
    last = _day(settings, "test_until") or np.datetime64(samples.day.max())
    days = samples.day[(samples.day >= first) & (samples.day <= last)]
    if not len(days):
        raise ConfigError(
            f"benchmark.test_from={first} to benchmark.test_until={last} holds no day of {market}; "
            f"its days are {samples.day.min()} to {samples.day.max()}"
        )
    try:
        published: PeerForecasts | None = load_peers(root, market)
    except NoDataError:
        published = None
    peers = {}
    if published is not None and np.isin(days, published.day).all():
        rows = np.searchsorted(published.day, np.sort(days))
        wanted = [str(name) for name in settings["peers"]]
        absent = [name for name in wanted if name not in published.forecasts]
        if absent:
            raise ConfigError(f"benchmark.peers: no {', '.join(absent)}; published: {', '.join(published.forecasts)}")
        peers = {name: published.forecasts[name][rows] for name in wanted}
    reference = settings["reference"]
    return BenchmarkTask(
        kind="market",
        place=market,
        samples=samples,
        first=first,
        last=last,
        burn_in_days=int(settings["burn_in_days"]),
        peers=peers,
        reference=str(reference) if reference in peers else None,
        pool=pool,
    )


def _day(settings: Mapping[str, Any], key: str) -> np.datetime64 | None:
    value = settings[key]
    if value is None:
        return None
    try:
        return np.datetime64(str(value), "D")
    except ValueError as error:
        raise ConfigError(f"benchmark.{key}={value} is not a date; write it like 2017-06-30") from error
