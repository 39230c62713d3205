"""The two tasks of Shi et al. 2023 on data that anyone can have: spot prices of zones, and power of local wind farms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.held_out import draw_weeks, split_days
from forecasting.samples import DayAheadSamples
from forecasting.sources.base import Source
from forecasting.windows import DecisionTime, build_samples, channel_plan
from pipelines.errors import ConfigError
from pipelines.stages.sources import open_source

#: The paper's 24 hours follow directly on its 72: the forecast is made when the delivery day begins.
AT_MIDNIGHT = DecisionTime(0, time(0, 0))


@dataclass(frozen=True, eq=False)
class PaperTask:
    """One task of the paper: ``price`` is its task 1, ``wind`` its task 2.

    ``data`` says in a sentence what the series are. ``train`` and ``test`` come from :func:`split_days`; test days are
    weeks drawn at random, or the last ones.
    """

    name: str
    data: str
    simulated: bool
    train: DayAheadSamples
    test: DayAheadSamples

    @property
    def number(self) -> int:
        """The paper's number of the task."""
        return 1 if self.name == "price" else 2


class _AsRead:
    """A source in place of a store: the benchmark reads each series once and keeps nothing."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def versions(
        self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp, as_of: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        frame = self.source.read(series, zone, start, end).dropna(subset="value")
        return frame if as_of is None else frame[frame["available_at"] <= as_of]


def paper_tasks(settings: Mapping[str, Any], seed: int) -> list[PaperTask]:
    """The tasks named in ``settings["tasks"]``. Raises ``ConfigError`` for one that does not exist."""
    makers = {"price": _price, "wind": _wind}
    unknown = [name for name in settings["tasks"] if name not in makers]
    if unknown or not settings["tasks"]:
        raise ConfigError(f"benchmark.tasks={list(settings['tasks'])}: choose from price, wind")
    tasks = []
    for name in settings["tasks"]:
        samples, data = makers[name](settings)
        known = samples.known()
        test_days = _test_days(known.day, settings, seed)
        train, test = split_days(known, test_days, int(settings["input_days"]))
        tasks.append(PaperTask(name, data, settings["root"] is None, train, test))
    return tasks


def _test_days(days: NDArray[np.datetime64], settings: Mapping[str, Any], seed: int) -> NDArray[np.datetime64]:
    share = float(settings["test_share"])
    if settings["split"] == "random":
        return draw_weeks(days, share, seed)
    if settings["split"] == "last":
        every = np.unique(days)
        return every[len(every) - max(1, round(share * len(every))) :]
    raise ConfigError(f"benchmark.split={settings['split']}: choose random or last")


def _price(settings: Mapping[str, Any]) -> tuple[DayAheadSamples, str]:
    source, part = _source(settings, "price", "entsoe_2022_2024H1", "entsoe_zones")
    zones = list(part["zones"])
    samples = _stacked(source, settings, part, [(zone, zone) for zone in zones], "price")
    kind = "simulated prices" if source.simulated else "ENTSO-E day-ahead prices"
    return samples, (
        f"{kind} of {', '.join(zones)}, {samples.day.min()} to {samples.day.max()}; "
        "y is the day-ahead wind forecast of the zone"
    )


def _wind(settings: Mapping[str, Any]) -> tuple[DayAheadSamples, str]:
    if settings["root"] is not None:
        return _farms(settings)
    source, part = _source(settings, "wind", "", "")
    from forecasting.sources.synthetic import SyntheticSource

    assert isinstance(source, SyntheticSource)
    pairs = [(site, zone) for zone in part["zones"] for site in source.sites(zone)[: int(part["sites_per_zone"])]]
    samples = _stacked(source, settings, part, pairs, "wind")
    return samples, (
        f"simulated power of {len(pairs)} wind sites, {samples.day.min()} to {samples.day.max()}; "
        "y is the wind forecast of the site's zone"
    )


def _farms(settings: Mapping[str, Any]) -> tuple[DayAheadSamples, str]:
    """Farms of GEFCom2014: y is a forecast of their mean power from all farms' weather forecasts, out of fold."""
    from forecasting.benchmarks.wind import load_wind_farms
    from forecasting.benchmarks.wind_regional import RegionalForecaster
    from forecasting.benchmarks.wind_samples import Condition, wind_samples
    from forecasting.sources.files import FileSource

    source, part = _source(settings, "wind", "gefcom2014_wind", "gefcom2014_wind")
    assert isinstance(source, FileSource)
    farms = load_wind_farms(source, [str(farm) for farm in part["farms"]])
    regional = RegionalForecaster().publish(farms, farms.sites, farms.day[-1], seed=0)
    samples = wind_samples(farms, regional, Condition.REGIONAL, farms.sites, int(settings["history_days"]))
    chosen = samples.between(str(part["first"]), str(part["last"]))
    return chosen, (
        f"power of the GEFCom2014 wind farms {', '.join(farms.sites)} in shares of capacity, {chosen.day.min()} to "
        f"{chosen.day.max()}; y is a forecast of their mean power from the weather forecasts of all of them, each week by a "
        "regression that has not seen its power"
    )


def _source(settings: Mapping[str, Any], task: str, folder: str, layout: str) -> tuple[Source, Mapping[str, Any]]:
    if settings["root"] is None:
        part = settings["simulated"]
        options = {"kind": "synthetic", "seed": int(part["seed"]), "years": int(part["years"])}
        return open_source(options), part[task]
    root = Path(str(settings["root"])) / folder
    return open_source({"kind": "files", "root": str(root), "layout": layout}), settings["public"][task]


def _stacked(
    source: Source,
    settings: Mapping[str, Any],
    part: Mapping[str, Any],
    places: Sequence[tuple[str, str]],
    target: str,
) -> DayAheadSamples:
    rows = []
    for place, condition_zone in places:
        plan = channel_plan(target, place, condition_zone=condition_zone, conditions=("wind_forecast",))
        rows.append(
            build_samples(
                _AsRead(source),
                plan,
                first_day=str(part["first"]),
                last_day=str(part["last"]),
                time_zone=source.market_time_zone(place),
                decision=AT_MIDNIGHT,
                history_days=int(settings["history_days"]),
            )
        )
    return DayAheadSamples.concat(rows)
