"""The operator's own surroundings: which wind sites and which load it forecasts, measured or simulated."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from forecasting.errors import DataError
from forecasting.sources.base import Source
from forecasting.sources.simulated_sites import SimulatedSites, even_sites
from forecasting.sources.site import SiteInfo
from forecasting.store import Store
from pipelines.errors import ConfigError
from pipelines.stages.night import Mode, Night
from pipelines.stages.predict import Target

#: Days over which the peak of the load is looked up.
PEAK_DAYS = 365


@runtime_checkable
class SiteSource(Protocol):
    """A source that knows wind sites."""

    def sites(self, zone: str | None = None) -> Sequence[str]:
        """Ids of the sites in ``zone``."""

    def site_info(self, site: str) -> SiteInfo:
        """Zone and capacity of a site."""


@dataclass(frozen=True)
class LocalArea:
    """Wind sites and load of one operator inside a zone.

    source: where every series of the night is read, simulated sites included; capacity_mw: by site; peers: further zones
    whose prices train the price forecaster, with the time zone of their market.
    """

    source: Source
    zone: str
    sites: tuple[str, ...]
    capacity_mw: Mapping[str, float]
    peers: Mapping[str, str] = field(default_factory=dict)

    def series(self) -> list[tuple[str, str]]:
        """Local series to fetch, as ``(series, place)``."""
        return [("load", self.zone), *(("wind_power", site) for site in self.sites)]

    def targets(self, night: Night, simulated: Collection[str]) -> list[Target]:
        """What is forecast this night: the price unless it is known, local wind, and load.

        ``simulated`` names the series that were not measured.
        """
        targets = []
        if night.mode is Mode.MORNING:
            targets.append(Target("price", (self.zone,), {}, "price" in simulated, self.peers))
        if self.sites:
            targets.append(Target("wind", self.sites, self.capacity_mw, "wind_power" in simulated))
        targets.append(Target("load", (self.zone,), {}, "load" in simulated))
        return targets

    @staticmethod
    def label(target: Target, place: str) -> str:
        """How a forecast is called in files and pages: ``price``, ``load`` or ``wind SITE``."""
        return f"{target.name} {place}" if target.name == "wind" else target.name

    def peak_load(self, store: Store, night: Night) -> float:
        """Largest load of the zone in the year before the delivery day, MW.

        Raises ``DataError`` if nothing is known of it.
        """
        start = night.index[0] - pd.Timedelta(days=PEAK_DAYS)
        known = store.read("load", self.zone, start, night.index[0], as_of=night.as_of)["value"]
        if not known.max() > 0:
            raise DataError(f"load of {self.zone}: no positive value in the year before {night.delivery_day}")
        return float(known.max())


def local_area(source: Source, zone: str, settings: Mapping[str, Any]) -> LocalArea:
    """The operator's area in ``zone``: the source's own sites and load, or ones simulated from the zone's real series.

    Raises ``ConfigError`` if the source has no sites there and ``local.simulate`` is ``never``.
    """
    count, simulate = int(settings["sites"]), str(settings["simulate"])
    if simulate not in ("auto", "never"):
        raise ConfigError(f"local.simulate={simulate} is unknown; use auto or never")
    own = _sites(source, zone)
    if not own and count and simulate == "never":
        raise ConfigError(
            f"the source has no wind sites in {zone}; name some, set local.sites=0, or let them be simulated from the "
            "zone's forecast with local.simulate=auto"
        )
    if not own and simulate == "auto":
        source = SimulatedSites(source, zone, even_sites(zone, count, float(settings["capacity_mw"])), settings["seed"])
        own = source.sites(zone)
    sites = own[:count]
    return LocalArea(source, zone, sites, {site: _capacity(source, site) for site in sites})


def _sites(source: Source, zone: str) -> tuple[str, ...]:
    return tuple(source.sites(zone)) if isinstance(source, SiteSource) else ()


def _capacity(source: Source, site: str) -> float:
    assert isinstance(source, SiteSource)
    return float(source.site_info(site).capacity_mw)
