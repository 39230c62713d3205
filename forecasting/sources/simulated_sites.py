"""Local wind sites and feeder load simulated from what a zone really publishes; every such series is marked.

Public platforms publish wind and load by zone. Where no site is metered, a site is simulated: the zone's wind forecast,
as a share of the 99.5% level of the twelve months before, becomes a wind speed through the inverse of the regional power
curve; a correlated error, partly shared by all sites of the zone, moves the speed; the turbine curve gives the power. In
the same way measured load is the published load forecast with a correlated error. The notes of a frame say "simulated",
and so must every page that shows it.

Everything is simulated by whole UTC months from errors that belong to absolute time, so a value does not depend on the
interval asked, and a live service is asked for a year at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.availability import AvailabilityRule
from forecasting.errors import DataError, NoDataError, UnknownNameError
from forecasting.names import unknown
from forecasting.quality import check_series
from forecasting.quality_policy import DEFAULT_POLICY, Policy, QualityPolicy
from forecasting.series import availability_rules, series_spec
from forecasting.sources.base import Source
from forecasting.sources.frames import source_frame
from forecasting.sources.parts import read_series
from forecasting.sources.site import SiteInfo
from forecasting.sources.steady_noise import steady_noise
from forecasting.sources.synthetic_power import SITE_CURVE, ZONE_CURVE, power_of_speed, speed_of_power

FloatArray = NDArray[np.float64]

#: Spread of the wind speed around the forecast in m/s, the part of it that sites of one zone share, and its memory.
SPEED_ERROR_M_S, SHARED_PART, ERROR_MEMORY_H = 1.5, 0.6, 6.0
#: Relative spread of measured load around its forecast, and its memory.
LOAD_ERROR, LOAD_MEMORY_H = 0.025, 8.0

#: Months before a month whose forecasts say what full output is, and the level that counts as full.
LEVEL_MONTHS, FULL_LEVEL = 12, 0.995

_MONTH = pd.DateOffset(months=1)


def even_sites(zone: str, count: int, capacity_mw: float) -> tuple[SiteInfo, ...]:
    """``count`` sites of equal capacity, named ``<zone>_W1`` and so on."""
    return tuple(SiteInfo(f"{zone}_W{k}", zone, capacity_mw) for k in range(1, count + 1))


class SimulatedSites:
    """``source`` with ``wind_power`` of ``sites`` and, where it has none, the measured ``load`` of ``zone`` simulated.

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
        self._simulated: dict[tuple[str, str, pd.Timestamp], pd.DataFrame | None] = {}
        self._forecasts: dict[tuple[str, pd.Timestamp], pd.DataFrame | None] = {}

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
            return self._simulate("wind_power", zone, start, end)
        if series == "load" and zone == self.zone:
            try:
                return self.source.read(series, zone, start, end)
            except NoDataError:
                return self._simulate("load", zone, start, end)
        return self.source.read(series, zone, start, end)

    def _simulate(self, series: str, place: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        first = start.tz_convert("UTC").normalize().replace(day=1)
        months = pd.date_range(first, end.tz_convert("UTC") - pd.Timedelta(1, "ns"), freq="MS")
        parts = [part for month in months if (part := self._month(series, place, month)) is not None]
        whole = pd.concat(parts) if parts else None
        if whole is not None:
            whole = whole[(whole.index >= start) & (whole.index < end)]
        if whole is None or whole.empty:
            raise NoDataError(
                f"no {series} of {place} in [{start}, {end}): {self.zone} has no forecast to simulate it from"
            )
        whole.attrs.update(parts[0].attrs)
        return whole

    def _month(self, series: str, place: str, month: pd.Timestamp) -> pd.DataFrame | None:
        key = (series, place, month)
        if key not in self._simulated:
            forecast = self._whole(f"{'wind' if series == 'wind_power' else 'load'}_forecast", month)
            if forecast is None:
                self._simulated[key] = None
            elif series == "load":
                self._simulated[key] = self._load_of(forecast)
            else:
                self._simulated[key] = self._power_of(self._sites[place], forecast, month)
        return self._simulated[key]

    def _power_of(self, site: SiteInfo, forecast: pd.DataFrame, month: pd.Timestamp) -> pd.DataFrame:
        index = pd.DatetimeIndex(forecast.index)
        share = np.clip(forecast["value"].to_numpy() / self._full_output(month), 0.0, 1.0)
        shared = steady_noise(index, ERROR_MEMORY_H, self.seed, self.zone)
        own = steady_noise(index, ERROR_MEMORY_H, self.seed, site.name)
        error = SHARED_PART * shared + np.sqrt(1 - SHARED_PART**2) * own
        speed = speed_of_power(share, ZONE_CURVE) + SPEED_ERROR_M_S * error
        power = power_of_speed(np.maximum(speed, 0.0), SITE_CURVE) * site.capacity_mw
        return self._frame(forecast, power, "wind_power", site.name, f"simulated from the wind forecast of {self.zone}")

    def _load_of(self, forecast: pd.DataFrame) -> pd.DataFrame:
        error = steady_noise(pd.DatetimeIndex(forecast.index), LOAD_MEMORY_H, self.seed, "load")
        load = forecast["value"].to_numpy() * np.maximum(1.0 + LOAD_ERROR * error, 0.0)
        return self._frame(forecast, load, "load", self.zone, f"simulated from the load forecast of {self.zone}")

    def _full_output(self, month: pd.Timestamp) -> float:
        """What the zone's forecast reaches at full output, by the months before; by the month itself where it is the first."""
        before = [self._published("wind_forecast", month - k * _MONTH) for k in range(1, LEVEL_MONTHS + 1)]
        known = [part for part in before if part is not None]
        values = pd.concat(known or [self._published("wind_forecast", month)])["value"].dropna()
        return max(float(np.quantile(values, FULL_LEVEL)), 1e-9)

    def _published(self, series: str, month: pd.Timestamp) -> pd.DataFrame | None:
        """The zone's forecast in one UTC month as the source has it; None where it has nothing."""
        key = (series, month)
        if key not in self._forecasts:
            try:
                frame = read_series(self.source, series, self.zone, month, month + _MONTH)
                self._forecasts[key] = frame if frame["value"].notna().any() else None
            except NoDataError:
                self._forecasts[key] = None
        return self._forecasts[key]

    def _whole(self, series: str, month: pd.Timestamp) -> pd.DataFrame | None:
        """A month's forecast with its gaps mended from the month before by the usual rules; a gap that cannot be stays."""
        frame, before = self._published(series, month), self._published(series, month - _MONTH)
        if frame is None:
            return None
        step = round(60 * _hours(frame))
        grid = pd.date_range(frame.index[0], frame.index[-1], freq=pd.Timedelta(minutes=step), unit="ns")

        def mended(policy: QualityPolicy) -> pd.DataFrame:
            return check_series(
                frame,
                series=series,
                zone=self.zone,
                expected=grid,
                step_minutes=step,
                time_zone=self.market_time_zone(self.zone),
                rule=self.source.availability(series),
                history=before,
                policy=policy,
            ).frame

        try:
            return mended(DEFAULT_POLICY)
        except DataError:
            return mended(replace(DEFAULT_POLICY, gap=Policy.ACCEPT))

    def _frame(self, forecast: pd.DataFrame, values: FloatArray, series: str, zone: str, note: str) -> pd.DataFrame:
        index = pd.DatetimeIndex(forecast.index)
        step = round(60 * _hours(forecast))
        known = self.availability(series).available_at(index, self.market_time_zone(self.zone), step)
        frame = source_frame(
            index, values, known, series=series, zone=zone, source=f"{self.name} (simulated)", notes=[note]
        )
        frame.attrs["simulated"] = True
        return frame


def _hours(frame: pd.DataFrame) -> float:
    """Step of the frame in hours."""
    if len(frame) < 2:
        return 1.0
    return float(np.diff(pd.DatetimeIndex(frame.index).as_unit("ns").asi8).min() / 3.6e12)
