"""The embedded default source: a simulated market of 20 zones and 50 wind sites over three years.

The model is documented where it lives: weather in ``synthetic_weather``, power and forecast error in
``synthetic_power``, demand and price in ``synthetic_market``, the map in ``synthetic_geography``; ``synthetic_world``
puts them together. Nothing here is measured: every page made from it must say "simulated data".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.availability import AvailabilityRule
from forecasting.errors import NoDataError, SettingError, UnknownNameError
from forecasting.market_day import day_start, slots_per_day
from forecasting.names import unknown
from forecasting.series import availability_rules, series_spec
from forecasting.sources.frames import source_frame
from forecasting.sources.site import SiteInfo
from forecasting.sources.synthetic_world import SyntheticWorld

TIME_ZONE = "Europe/Copenhagen"
DEFAULT_START = "2022-01-01"
DEFAULT_YEARS = 3
DEFAULT_ZONE = "COAST_1"

#: The night of a first run: delivery day 15 October 2024 has strong wind, negative night prices and an evening peak.
DEFAULT_AS_OF = pd.Timestamp("2024-10-14T11:30+02:00")

#: The simulated system operator publishes every forecast at 10:00 on the day before, ahead of the auction at noon.
SYNTHETIC_AVAILABILITY: Mapping[str, str] = {
    "load_forecast": "D-1 10:00",
    "wind_onshore_forecast": "D-1 10:00",
    "wind_offshore_forecast": "D-1 10:00",
    "wind_forecast": "D-1 10:00",
    "solar_forecast": "D-1 10:00",
}

ZONE_SERIES = (
    "price",
    "load_forecast",
    "load",
    "wind_onshore_forecast",
    "wind_offshore_forecast",
    "wind_forecast",
    "solar_forecast",
)

_NOTE = "simulated data"


class SyntheticSource:
    """Simulated market data, drawn when first asked for and kept in memory.

    Parameters
    ----------
    seed: every series follows from it; the map of zones and sites does not depend on it.
    step_minutes: 60, 30 or 15.
    start: first local delivery day; ``years``: length of the simulation.
    availability: series name to rule text (``"D-1 18:00"``), on top of ``SYNTHETIC_AVAILABILITY``.

    >>> source = SyntheticSource(years=1)
    >>> frame = source.read("price", "COAST_1", pd.Timestamp("2022-03-26T23:00Z"), pd.Timestamp("2022-03-27T22:00Z"))
    >>> len(frame), frame.attrs["unit"]
    (23, 'EUR/MWh')
    """

    name = "synthetic"
    simulated = True

    def __init__(
        self,
        seed: int = 0,
        step_minutes: int = 60,
        start: str = DEFAULT_START,
        years: int = DEFAULT_YEARS,
        availability: Mapping[str, str] | None = None,
    ) -> None:
        slots_per_day(step_minutes)
        if years < 1:
            raise SettingError(f"source.years must be at least 1, got {years}")
        self.seed, self.step_minutes = seed, step_minutes
        begin = day_start(start, TIME_ZONE)
        end = day_start(pd.Timestamp(start) + pd.DateOffset(years=years), TIME_ZONE)
        step = pd.Timedelta(minutes=step_minutes)
        self.index = pd.date_range(begin, end, freq=step, inclusive="left", name="delivery_utc", unit="ns")
        self.world = SyntheticWorld(seed, self.index, step_minutes, TIME_ZONE)
        self._rules = availability_rules({**SYNTHETIC_AVAILABILITY, **(availability or {})})
        self._zones = {zone.name: k for k, zone in enumerate(self.world.geography.zones)}
        self._sites = {site.name: site for site in self.world.geography.sites}
        self._site_power: dict[str, NDArray[np.float64]] = {}

    def zones(self) -> Sequence[str]:
        """The 20 bidding zones, then the 50 wind sites."""
        return (*self._zones, *self._sites)

    def zone_names(self) -> tuple[str, ...]:
        """The 20 bidding zones."""
        return tuple(self._zones)

    def sites(self, zone: str | None = None) -> tuple[str, ...]:
        """Ids of the wind sites of ``zone``, or of all zones."""
        if zone is not None and zone not in self._zones:
            raise UnknownNameError(unknown("zone", zone, self._zones))
        return tuple(site.name for site in self._sites.values() if zone is None or site.zone == zone)

    def site_info(self, site: str) -> SiteInfo:
        """Zone, capacity and position of ``site``. Raises ``UnknownNameError`` naming the nearest site."""
        if site not in self._sites:
            raise UnknownNameError(unknown("site", site, self._sites))
        return self._sites[site]

    def market_time_zone(self, zone: str) -> str:
        """Every zone and site trades in the same market time."""
        self._check(zone)
        return TIME_ZONE

    def availability(self, series: str) -> AvailabilityRule:
        """When values of ``series`` become known."""
        return self._rules[series_spec(series).name]

    def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """See ``forecasting.sources.base.Source``."""
        series_spec(series)
        self._check(zone)
        values = self._values(series, zone)
        first, last = self.index.searchsorted(start), self.index.searchsorted(end)
        if first >= last:
            raise NoDataError(
                f"the synthetic source has no {series} of {zone} in [{start}, {end}): it runs from {self.index[0]} to "
                f"{self.index[-1]}; choose a day inside, or set source.start and source.years"
            )
        index = self.index[first:last]
        known = self._rules[series].available_at(index, TIME_ZONE, self.step_minutes)
        return source_frame(index, values[first:last], known, series=series, zone=zone, source=self.name, notes=[_NOTE])

    def _check(self, zone: str) -> None:
        if zone not in self._zones and zone not in self._sites:
            raise UnknownNameError(unknown("zone", zone, self.zones()))

    def _values(self, series: str, zone: str) -> NDArray[np.float64]:
        world = self.world
        if zone in self._sites:
            if series != "wind_power":
                raise NoDataError(f"{zone} is a wind site and has wind_power only; ask its zone for {series}")
            if zone not in self._site_power:
                self._site_power[zone] = world.site_power_mw(self._sites[zone])
            return self._site_power[zone]
        column = self._zones[zone]
        if series == "price":
            return world.price_per_mwh[:, column]
        if series == "load":
            return world.load_mw[:, column]
        if series == "load_forecast":
            return world.load_forecast_mw[:, column]
        if series == "solar_forecast":
            return world.solar_forecast_mw[:, column]
        if series == "wind_onshore_forecast":
            return world.onshore_forecast_mw[:, column]
        if series == "wind_forecast":
            return world.onshore_forecast_mw[:, column] + world.offshore_forecast_mw[:, column]
        if series == "wind_offshore_forecast" and world.geography.zones[column].offshore_mw > 0:
            return world.offshore_forecast_mw[:, column]
        raise NoDataError(f"the synthetic source does not publish {series} for {zone}")


@lru_cache(maxsize=4)
def synthetic_source(
    seed: int = 0, step_minutes: int = 60, start: str = DEFAULT_START, years: int = DEFAULT_YEARS
) -> SyntheticSource:
    """One shared instance per setting, so that a process draws each market once."""
    return SyntheticSource(seed, step_minutes, start, years)
