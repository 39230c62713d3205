"""The common beginning of every command that forecasts: source, night, store and local area from the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from forecasting.errors import DataError, SourceUnavailableError
from forecasting.names import unknown
from forecasting.quality_policy import DEFAULT_POLICY, QualityPolicy, quality_policy
from forecasting.sources.base import Source
from forecasting.sources.entsoe import EntsoeSource
from forecasting.store import Store
from pipelines import clock
from pipelines.errors import ConfigError, first_line
from pipelines.stages import fetch
from pipelines.stages.fetch import Fetched
from pipelines.stages.local import LocalArea, local_area
from pipelines.stages.night import Mode, Night, plan_night
from pipelines.stages.predict import Training
from pipelines.stages.sources import default_zone, moment, open_source


@dataclass(frozen=True)
class Setting:
    """Where a night takes place. ``seen_at``: the present instant, for a source that may revise what it published."""

    night: Night
    store: Store
    area: LocalArea
    history: Mapping[str, int]
    policy: QualityPolicy = DEFAULT_POLICY
    stale_hours: float = fetch.STALE_HOURS
    seen_at: pd.Timestamp | None = None

    @property
    def source(self) -> Source:
        """The source, simulated local series included."""
        return self.area.source

    def fetch(self) -> Fetched:
        """Bring every series up to the night's instant; a peer that cannot be brought is left out and named."""
        fetched = self._fetch(self.night, self.area.series())
        for peer, time_zone in self.area.peers.items() if self.night.mode is Mode.MORNING else ():
            try:
                self._fetch(replace(self.night, zone=peer, market_time_zone=time_zone), ())
            except (DataError, SourceUnavailableError) as error:
                fetched.findings.append(f"{peer} adds nothing new to the training: {first_line(error)}")
        return fetched

    def _fetch(self, night: Night, local: Sequence[tuple[str, str]]) -> Fetched:
        return fetch.fetch(
            self.source,
            self.store,
            night,
            history_days=sum(self.history[key] for key in ("train_days", "valid_days", "lookback_days")),
            lookback_days=self.history["lookback_days"],
            local=local,
            policy=self.policy,
            stale_hours=self.stale_hours,
            seen_at=self.seen_at,
            capacity_mw=self.area.capacity_mw,
        )


def open_setting(config: Mapping[str, Any]) -> Setting:
    """Read the configuration's source, zone, instant and mode.

    Raises ``ConfigError`` or ``UnknownNameError`` for what does not exist or cannot be.
    """
    source = open_source(config["source"])
    seen_at = None if source.simulated else clock.now()
    if config["as_of"] is None and seen_at is not None and isinstance(source, EntsoeSource):
        source = source.fetching_at(seen_at)  # what the service shows now is known now, whatever the rule says
    zone = str(config["zone"] or default_zone(source))
    night = plan_night(
        zone,
        moment(config["as_of"], source),
        source.market_time_zone(zone),
        str(config["mode"]),
        int(config["forecast"]["step_minutes"]),
        source.availability("price"),
    )
    store = Store(Path(config["store"]["root"]) / source.name)
    return Setting(
        night,
        store,
        replace(local_area(source, zone, config["local"]), peers=_peers(config.get("peers") or (), source, zone)),
        config["history"],
        quality_policy(**config.get("quality", {})),
        float(config.get("fallback", {}).get("stale_hours", fetch.STALE_HOURS)),
        seen_at,
    )


def _peers(names: Sequence[str], source: Source, zone: str) -> dict[str, str]:
    """Time zones of the markets of the zones that train beside ``zone``. Raises ``ConfigError`` for one that is unknown."""
    for name in names:
        if name not in source.zones():
            raise ConfigError(unknown("zone in peers", str(name), source.zones()))
    return {str(name): source.market_time_zone(name) for name in names if name != zone}


def training_of(config: Mapping[str, Any], seed: int, *, progress: bool) -> Training:
    """How the configured model is trained."""
    history = config["history"]
    return Training(
        config["model"], history["train_days"], history["valid_days"], history["lookback_days"], seed, progress
    )
