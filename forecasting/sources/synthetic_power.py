"""From weather to megawatts: turbine and regional power curves, solar position, and the day-ahead forecast error."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from forecasting.sources.synthetic_weather import LargeScale, autoregressive, front_pulses, winter_share

FloatArray = NDArray[np.float64]

WEIBULL_SHAPE = 2.1
_CUT_IN, _RATED, _CUT_OUT = 3.0, 12.5, 25.0
_SPEEDS = np.arange(0.0, 45.0, 0.1)

#: Standard deviation of the forecast error of the wind level at lead 0, and its growth per hour of lead.
WIND_ERROR_BASE, WIND_ERROR_PER_H = 0.07, 0.0065


def turbine_curve() -> FloatArray:
    """Output share of one turbine on the speed grid: cubic between cut-in and rated speed, storm ramp at cut-out."""
    rising = (_SPEEDS**3 - _CUT_IN**3) / (_RATED**3 - _CUT_IN**3)
    storm = np.clip((_CUT_OUT + 2.0 - _SPEEDS) / 4.0, 0.0, 1.0)
    return np.asarray(np.clip(rising, 0.0, 1.0) * storm, dtype=np.float64)


def smoothed_curve(spread_m_s: float) -> FloatArray:
    """Power curve of turbines whose local winds differ by ``spread_m_s`` (normal): the turbine curve, convolved."""
    offsets = np.linspace(-3.0, 3.0, 25)
    weights = np.exp(-0.5 * offsets**2)
    curve = turbine_curve()
    shifted = [np.interp(_SPEEDS + offset * spread_m_s, _SPEEDS, curve) for offset in offsets]
    return np.asarray(np.tensordot(weights / weights.sum(), np.array(shifted), axes=1), dtype=np.float64)


SITE_CURVE = smoothed_curve(0.6)
ZONE_CURVE = smoothed_curve(2.0)


def power_of_speed(speed_m_s: FloatArray, curve: FloatArray) -> FloatArray:
    """Output share of ``curve`` at ``speed_m_s``, any shape."""
    return np.asarray(np.interp(speed_m_s, _SPEEDS, curve), dtype=np.float64)


def speed_of_power(share: FloatArray, curve: FloatArray) -> FloatArray:
    """Lowest wind speed in m/s at which ``curve`` gives ``share`` of its maximum (the rising branch), any shape."""
    rising = curve[: int(np.argmax(curve)) + 1]
    return np.asarray(np.interp(share * rising[-1], rising, _SPEEDS[: len(rising)]), dtype=np.float64)


def wind_level(
    large: LargeScale, noise: FloatArray, local: FloatArray, east_km: FloatArray, north_km: FloatArray
) -> FloatArray:
    """Standardised wind level ``[hour, place]`` from regime, fronts, correlated noise and local noise."""
    level = large.wind[:, None] + 0.75 * front_pulses(large, east_km, north_km) + 0.55 * noise + 0.22 * local
    standard: FloatArray = (level - level.mean(axis=0)) / level.std(axis=0)
    return standard


def wind_share(level: FloatArray, scale_m_s: FloatArray, curve: FloatArray) -> FloatArray:
    """Output share in [0, 1] from the wind level: Weibull quantile of ``Phi(level)``, then the power curve."""
    speed = scale_m_s * (-np.log(np.maximum(ndtr(-level), 1e-12))) ** (1.0 / WEIBULL_SHAPE)
    return power_of_speed(speed, curve)


def forecast_level(
    rng: np.random.Generator, level: FloatArray, lead_h: FloatArray, factor: FloatArray, step_minutes: int
) -> FloatArray:
    """What the weather model expected: the level seen through a timing error and an error that grows with lead.

    ``level`` is ``[step, place]``, ``lead_h`` ``[step]``, ``factor`` the spatial factor ``[place, place]``.
    """
    steps, places = level.shape
    per_hour = 60 // step_minutes
    timing = autoregressive(rng, steps, 1, 30.0 * per_hour)[:, 0] * 0.9 * per_hour * lead_h / 24.0
    where = np.clip(np.arange(steps) + timing, 0, steps - 1)
    low = np.minimum(where.astype(np.int64), steps - 2)
    part = (where - low)[:, None]
    shifted = level[low] * (1 - part) + level[low + 1] * part
    error = autoregressive(rng, steps, places, 9.0 * per_hour) @ factor.T
    return np.asarray(shifted + (WIND_ERROR_BASE + WIND_ERROR_PER_H * lead_h)[:, None] * error, dtype=np.float64)


def sun_height(index: pd.DatetimeIndex, latitude_deg: FloatArray, longitude_deg: FloatArray) -> FloatArray:
    """Sine of the solar elevation, not below zero, ``[step, place]`` (declination and hour angle, no refraction)."""
    hours = (index.hour + index.minute / 60.0).to_numpy()[:, None] + longitude_deg / 15.0
    angle = np.deg2rad(15.0 * (hours - 12.0))
    day = index.dayofyear.to_numpy()[:, None]
    declination = np.deg2rad(-23.44) * np.cos(2 * np.pi * (day + 10) / 365.25)
    latitude = np.deg2rad(latitude_deg)
    height = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(angle)
    return np.asarray(np.maximum(height, 0.0), dtype=np.float64)


def solar_share(height: FloatArray, cloud: FloatArray) -> FloatArray:
    """Output share of solar capacity from sun height and the standardised cloud level, ``[step, place]``."""
    transmission = 1.0 - 0.78 * ndtr(cloud) ** 1.5
    return np.asarray(0.86 * height**1.15 * transmission, dtype=np.float64)


def cloud_level(large: LargeScale, noise: FloatArray, east_km: FloatArray, north_km: FloatArray) -> FloatArray:
    """Cloud level ``[hour, place]``: regime and fronts, and correlated noise."""
    pulses = front_pulses(large, east_km, north_km)
    return np.asarray(large.cloud[:, None] + 0.5 * pulses + 0.7 * noise - 0.25, dtype=np.float64)


def temperature(large: LargeScale, noise: FloatArray, latitude_deg: FloatArray) -> FloatArray:
    """Air temperature in Celsius ``[hour, place]``: season, time of day, regime and correlated noise."""
    winter = winter_share(large.index)
    solar_time = large.index.hour.to_numpy() + 0.8
    daily = -np.cos(2 * np.pi * (solar_time - 3.0) / 24.0) * (2.0 + 2.5 * (1 - winter))
    shared = 18.5 - 16.5 * winter + daily + large.temperature_c
    return np.asarray(shared[:, None] - 0.45 * (latitude_deg - 50.0) + 2.2 * noise, dtype=np.float64)


def to_step(hourly: FloatArray, per_hour: int) -> FloatArray:
    """Linear interpolation of ``[hour, place]`` to ``per_hour`` steps an hour."""
    if per_hour == 1:
        return hourly
    following = np.vstack([hourly[1:], hourly[-1:]])
    parts = [hourly + (following - hourly) * (k / per_hour) for k in range(per_hour)]
    return np.stack(parts, axis=1).reshape(-1, hourly.shape[1])
