"""The simulation behind the synthetic source, stage by stage; every stage is drawn once, when it is first needed."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.availability import AvailabilityRule
from forecasting.sources import synthetic_market as market
from forecasting.sources import synthetic_power as power
from forecasting.sources import synthetic_weather as weather
from forecasting.sources.site import SiteInfo
from forecasting.sources.synthetic_geography import Geography, build_geography

FloatArray = NDArray[np.float64]

#: The map is the same for every seed, so that zone names and capacities mean the same thing everywhere.
_MAP_SEED = 2023

#: When the simulated system operator runs its forecasts, whatever a config says about their publication.
FORECAST_ISSUE = AvailabilityRule.parse("D-1 10:00")


class SyntheticWorld:
    """Weather, generation, demand and prices for the steps of ``index`` (UTC, whole hours of ``time_zone`` days).

    Arrays are ``[step, zone]`` in the order of ``geography.zones``; power in MW, prices in EUR/MWh.
    """

    def __init__(self, seed: int, index: pd.DatetimeIndex, step_minutes: int, time_zone: str) -> None:
        self.seed, self.index, self.step_minutes, self.time_zone = seed, index, step_minutes, time_zone
        self.per_hour = 60 // step_minutes
        self.hours = index[:: self.per_hour]
        self.geography: Geography = build_geography(np.random.default_rng(_MAP_SEED))
        self.zone_count = len(self.geography.zones)
        self.east_km, self.north_km = self._attribute("east_km"), self._attribute("north_km")

    # -- what the source publishes ------------------------------------------------------------------------------------

    @cached_property
    def wind_share(self) -> FloatArray:
        """True regional output as a share of capacity."""
        return power.wind_share(self._wind_level, self._attribute("wind_scale_m_s"), power.ZONE_CURVE)

    @cached_property
    def wind_share_forecast(self) -> FloatArray:
        """Regional output that the operator expects."""
        expected = power.forecast_level(self._rng(5), self._wind_level, self.lead_h, self._factor, self.step_minutes)
        return power.wind_share(expected, self._attribute("wind_scale_m_s"), power.ZONE_CURVE)

    @cached_property
    def onshore_forecast_mw(self) -> FloatArray:
        """Day-ahead forecast of onshore wind."""
        return self.wind_share_forecast * self._attribute("onshore_mw")

    @cached_property
    def offshore_forecast_mw(self) -> FloatArray:
        """Day-ahead forecast of offshore wind: steadier wind at sea lifts the share of the same weather."""
        return self.wind_share_forecast**0.8 * self._attribute("offshore_mw")

    @cached_property
    def solar_forecast_mw(self) -> FloatArray:
        """Day-ahead forecast of solar generation."""
        steps = len(self.index)
        shocks = weather.autoregressive(self._rng(7), steps, self.zone_count, 6.0 * self.per_hour)
        cloud = power.to_step(self._cloud, self.per_hour) + 0.35 * shocks @ self._factor.T
        latitude, longitude = self._attribute("latitude_deg"), self._attribute("longitude_deg")
        middle = self.index + pd.Timedelta(minutes=self.step_minutes / 2)
        return power.solar_share(power.sun_height(middle, latitude, longitude), cloud) * self._attribute("solar_mw")

    @cached_property
    def load_mw(self) -> FloatArray:
        """Measured load."""
        noise = market.load_noise(self._rng(8), len(self.index), self.zone_count, self.per_hour)
        share = market.demand_share(self._local, power.to_step(self._temperature, self.per_hour))
        return share * (1.0 + noise) * self._attribute("peak_load_mw")

    @cached_property
    def load_forecast_mw(self) -> FloatArray:
        """Day-ahead load forecast: load at the forecast temperature, with the operator's own error."""
        steps = len(self.index)
        shocks = weather.autoregressive(self._rng(9), steps, self.zone_count, 20.0 * self.per_hour) @ self._factor.T
        expected_c = power.to_step(self._temperature, self.per_hour) + (self.lead_h / 24.0)[:, None] * 0.9 * shocks
        error = market.load_forecast_error(self._rng(10), self.lead_h, self.zone_count, self.per_hour)
        return market.demand_share(self._local, expected_c) * (1.0 + error) * self._attribute("peak_load_mw")

    @cached_property
    def price_per_mwh(self) -> FloatArray:
        """Day-ahead price; the auction clears on what is expected at noon, so on the published forecasts."""
        renewables = self.onshore_forecast_mw + self.offshore_forecast_mw + self.solar_forecast_mw
        hours = len(self.hours)
        capacity = market.available_capacity(self._rng(11), hours, self._attribute("dispatchable_mw"))
        fuel = market.fuel_level(self._rng(12), hours)
        residual = (self.load_forecast_mw - renewables) / np.repeat(capacity, self.per_hour, axis=0)
        fuel = np.repeat(fuel, self.per_hour)
        return market.day_ahead_price(self._rng(13), residual, fuel, self.east_km, self.north_km, self.per_hour)

    def site_power_mw(self, site: SiteInfo) -> FloatArray:
        """Measured generation of one site, ``[step]``: the weather of its zone, its own place and its own gusts."""
        number = self.geography.sites.index(site)
        column = [zone.name for zone in self.geography.zones].index(site.zone)
        rng = self._rng(1000 + number)
        east, north = np.array([site.east_km]), np.array([site.north_km])
        own = weather.autoregressive(rng, len(self.hours), 1, 8.0)
        noise = 0.93 * self._zone_noise[:, [column]] + np.sqrt(1 - 0.93**2) * own
        gusts = weather.autoregressive(rng, len(self.hours), 1, 2.5)
        level = self._at_step(power.wind_level(self._large, noise, gusts, east, north), rng, 0.12)
        scale = self._attribute("wind_scale_m_s")[[column]] * rng.uniform(0.94, 1.06)
        return power.wind_share(level, scale, power.SITE_CURVE)[:, 0] * site.capacity_mw

    @cached_property
    def lead_h(self) -> FloatArray:
        """Hours from the operator's forecast to delivery, ``[step]``: 14 to 38."""
        issued = FORECAST_ISSUE.available_at(self.index, self.time_zone, self.step_minutes)
        return np.asarray((self.index.asi8 - issued.asi8) / 3.6e12, dtype=np.float64)

    # -- shared stages ------------------------------------------------------------------------------------------------

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])

    def _attribute(self, name: str) -> FloatArray:
        return np.array([getattr(zone, name) for zone in self.geography.zones], dtype=np.float64)

    def _correlated(self, stream: int, memory_h: float) -> FloatArray:
        return weather.autoregressive(self._rng(stream), len(self.hours), self.zone_count, memory_h) @ self._factor.T

    @cached_property
    def _local(self) -> pd.DatetimeIndex:
        return self.index.tz_convert(self.time_zone)

    @cached_property
    def _factor(self) -> FloatArray:
        return weather.spatial_factor(self.east_km, self.north_km)

    @cached_property
    def _large(self) -> weather.LargeScale:
        return weather.simulate_large_scale(self._rng(1), self.hours)

    @cached_property
    def _zone_noise(self) -> FloatArray:
        return self._correlated(2, 16.0)

    @cached_property
    def _wind_level(self) -> FloatArray:
        local = weather.autoregressive(self._rng(3), len(self.hours), self.zone_count, 4.0)
        hourly = power.wind_level(self._large, self._zone_noise, local, self.east_km, self.north_km)
        return self._at_step(hourly, self._rng(4), 0.04)

    @cached_property
    def _cloud(self) -> FloatArray:
        return power.cloud_level(self._large, self._correlated(6, 10.0), self.east_km, self.north_km)

    @cached_property
    def _temperature(self) -> FloatArray:
        return power.temperature(self._large, self._correlated(14, 60.0), self._attribute("latitude_deg"))

    def _at_step(self, hourly: FloatArray, rng: np.random.Generator, gust_size: float) -> FloatArray:
        """Bring an hourly level to the step of this world; parts of an hour also get short-lived gusts."""
        level = power.to_step(hourly, self.per_hour)
        if self.per_hour == 1:
            return level
        steps, places = level.shape
        return level + gust_size * weather.autoregressive(rng, steps, places, 2.0)
