"""Local wind sites and feeder load simulated from what a zone really publishes; every such series is marked.

Public platforms publish wind and load by zone. Where no site is metered, a site is simulated: the zone's wind forecast,
as a share of the 99.5% level of its first year, becomes a wind speed through the inverse of the regional power curve; an
autoregressive error, partly shared by all sites of the zone, moves the speed; the turbine curve gives the power. In the
same way measured load is the published load forecast with an autoregressive error. The notes of a frame say
"simulated", and so must every page that shows it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.availability import AvailabilityRule
from forecasting.errors import NoDataError, UnknownNameError
from forecasting.names import unknown
from forecasting.quality import check_series
from forecasting.series import availability_rules, series_spec
from forecasting.sources.base import Source
from forecasting.sources.frames import source_frame
from forecasting.sources.site import SiteInfo
from forecasting.sources.synthetic_power import SITE_CURVE, ZONE_CURVE, power_of_speed, speed_of_power
from forecasting.sources.synthetic_weather import autoregressive

FloatArray = NDArray[np.float64]

#: Spread of the wind speed around the forecast in m/s, the part of it that sites of one zone share, and its memory.
SPEED_ERROR_M_S, SHARED_PART, ERROR_MEMORY_H = 1.5, 0.6, 6.0
#: Relative spread of measured load around its forecast, and its memory.
LOAD_ERROR, LOAD_MEMORY_H = 0.025, 8.0

_BEGIN, _END = pd.Timestamp("1990-01-01", tz="UTC"), pd.Timestamp("2100-01-01", tz="UTC")


def even_sites(zone: str, count: int, capacity_mw: float) -> tuple[SiteInfo, ...]:
    """``count`` sites of equal capacity, named ``<zone>_W1`` and so on."""
    return tuple(SiteInfo(f"{zone}_W{k}", zone, capacity_mw) for k in range(1, count + 1))


class SimulatedSites:
    """``source`` with ``wind_power`` of ``sites`` and, where it has none, the measured ``load`` of ``zone`` simulated.

    The simulation runs over the whole period of the zone's forecasts, so a value does not depend on the interval asked.
    Simulated measurements become known like metered ones. Series that ``source`` has are passed through.
    """

    def __init__(
        self,
        source: Source,
        zone: str,
        sites: Sequence[SiteInfo],
        seed: int = 0,
        availability: Mapping[str, str] | None = None,
    ) -> None:
        if zone not in source.zones():
            raise UnknownNameError(unknown("zone", zone, source.zones()))
        self.source, self.zone, self.seed = source, zone, seed
        self.name, self.simulated = source.name, source.simulated
        self._sites = {site.name: site for site in sites}
        self._rules = {name: availability_rules(availability)[name] for name in availability or {}}
        self._cache: dict[tuple[str, str], pd.DataFrame] = {}

    def availability(self, series: str) -> AvailabilityRule:
        """When values of ``series`` become known: the source's rule, and the metered delay for simulated meters."""
        if series in self._rules:
            return self._rules[series]
        return self.source.availability(series)

    def zones(self) -> Sequence[str]:
        """Zones of the source, then the simulated sites."""
        return (*self.source.zones(), *self._sites)

    def sites(self, zone: str | None = None) -> tuple[str, ...]:
        """Ids of the simulated sites; none for another zone."""
        return tuple(self._sites) if zone in (None, self.zone) else ()

    def site_info(self, site: str) -> SiteInfo:
        """Zone and capacity of ``site``. Raises ``UnknownNameError`` naming the nearest site."""
        if site not in self._sites:
            raise UnknownNameError(unknown("site", site, self._sites))
        return self._sites[site]

    def market_time_zone(self, zone: str) -> str:
        """Market time of the zone, for its sites too."""
        return self.source.market_time_zone(self.zone if zone in self._sites else zone)

    def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """See ``forecasting.sources.base.Source``."""
        series_spec(series)
        if zone in self._sites:
            if series != "wind_power":
                raise NoDataError(
                    f"{zone} is a simulated wind site and has wind_power only; ask {self.zone} for {series}"
                )
            return self._slice(("wind_power", zone), start, end)
        if series == "load" and zone == self.zone:
            try:
                return self.source.read(series, zone, start, end)
            except NoDataError:
                return self._slice(("load", zone), start, end)
        return self.source.read(series, zone, start, end)

    def _slice(self, key: tuple[str, str], start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        if key not in self._cache:
            self._cache[key] = self._simulate_load() if key[0] == "load" else self._simulate_site(self._sites[key[1]])
        whole = self._cache[key]
        part = whole.iloc[whole.index.searchsorted(start) : whole.index.searchsorted(end)]
        if part.empty:
            raise NoDataError(
                f"no {key[0]} of {key[1]} in [{start}, {end}): {self.zone} has no forecast to simulate it from"
            )
        part.attrs.update(whole.attrs)
        return part

    def _simulate_site(self, site: SiteInfo) -> pd.DataFrame:
        forecast = self._published("wind_forecast")
        values = forecast["value"].to_numpy()
        first_year = values[forecast.index < forecast.index[0] + pd.Timedelta(days=365)]
        share = np.clip(values / np.quantile(first_year, 0.995), 0.0, 1.0)
        hours = _hours(forecast)
        shared = autoregressive(self._rng(self.zone), len(values), 1, ERROR_MEMORY_H / hours)[:, 0]
        own = autoregressive(self._rng(site.name), len(values), 1, ERROR_MEMORY_H / hours)[:, 0]
        error = SHARED_PART * shared + np.sqrt(1 - SHARED_PART**2) * own
        speed = speed_of_power(share, ZONE_CURVE) + SPEED_ERROR_M_S * error
        power = power_of_speed(np.maximum(speed, 0.0), SITE_CURVE) * site.capacity_mw
        return self._frame(forecast, power, "wind_power", site.name, f"simulated from the wind forecast of {self.zone}")

    def _simulate_load(self) -> pd.DataFrame:
        forecast = self._published("load_forecast")
        error = autoregressive(self._rng("load"), len(forecast), 1, LOAD_MEMORY_H / _hours(forecast))[:, 0]
        load = forecast["value"].to_numpy() * np.maximum(1.0 + LOAD_ERROR * error, 0.0)
        return self._frame(forecast, load, "load", self.zone, f"simulated from the load forecast of {self.zone}")

    def _published(self, series: str) -> pd.DataFrame:
        """The whole forecast with its gaps mended by the usual rules, so that simulated meters have none."""
        frame = self.source.read(series, self.zone, _BEGIN, _END)
        step = round(60 * _hours(frame))
        grid = pd.date_range(frame.index[0], frame.index[-1], freq=pd.Timedelta(minutes=step), unit="ns")
        return check_series(
            frame,
            series=series,
            zone=self.zone,
            expected=grid,
            step_minutes=step,
            time_zone=self.market_time_zone(self.zone),
            rule=self.source.availability(series),
        ).frame

    def _frame(self, forecast: pd.DataFrame, values: FloatArray, series: str, zone: str, note: str) -> pd.DataFrame:
        index = pd.DatetimeIndex(forecast.index)
        step = round(60 * _hours(forecast))
        known = self.availability(series).available_at(index, self.market_time_zone(self.zone), step)
        frame = source_frame(
            index, values, known, series=series, zone=zone, source=f"{self.name} (simulated)", notes=[note]
        )
        frame.attrs["simulated"] = True
        return frame

    def _rng(self, word: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(word.encode())])


def _hours(frame: pd.DataFrame) -> float:
    """Step of the frame in hours."""
    if len(frame) < 2:
        return 1.0
    return float(np.diff(pd.DatetimeIndex(frame.index).as_unit("ns").asi8).min() / 3.6e12)
