"""Simulated demand and the day-ahead price: calendar and temperature, residual load, merit order, scarcity, surplus."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from forecasting.sources.synthetic_weather import autoregressive

FloatArray = NDArray[np.float64]

#: Share of activity by local hour on a working day, on a Saturday, and on a Sunday or holiday.
_WORKING = [52, 50, 49, 49, 51, 57, 68, 80, 87, 89, 90, 91, 90, 88, 87, 86, 88, 93, 95, 91, 84, 76, 67, 58]
_SATURDAY = [53, 50, 48, 47, 48, 50, 54, 60, 68, 74, 77, 78, 77, 75, 73, 73, 75, 81, 84, 81, 75, 69, 63, 57]
_SUNDAY = [51, 48, 46, 45, 45, 46, 48, 52, 58, 64, 68, 71, 71, 68, 66, 66, 69, 76, 80, 78, 73, 67, 60, 54]
_ACTIVITY = np.array([_WORKING, _SATURDAY, _SUNDAY], dtype=np.float64) / 100.0

#: Merit order at a fuel level of 1: EUR/MWh against residual load as a share of dispatchable capacity. Below zero load
#: subsidised wind pays to run, up to 0.25 must-run and baseload, then gas, and scarcity above 0.9.
_RESIDUAL = [-1.2, -0.5, -0.2, -0.03, 0.06, 0.15, 0.3, 0.45, 0.6, 0.75, 0.85, 0.92, 1.0, 1.1, 1.3]
_PRICE = [-250.0, -75.0, -24.0, -3.0, 6.0, 28.0, 58.0, 76.0, 90.0, 110.0, 150.0, 235.0, 520.0, 1400.0, 3500.0]
_MERIT_ORDER = PchipInterpolator(_RESIDUAL, _PRICE)

PRICE_FLOOR, PRICE_CAP = -500.0, 4000.0

#: Part of a zone's price that follows its neighbours' residual load through market coupling.
COUPLING = 0.35
_COUPLING_LENGTH_KM = 250.0


def day_types(local: pd.DatetimeIndex) -> NDArray[np.int64]:
    """0 working day, 1 Saturday, 2 Sunday or public holiday, for each local time."""
    weekday = local.dayofweek.to_numpy()
    kind = np.where(weekday == 5, 1, np.where(weekday == 6, 2, 0))
    years = np.unique(local.year.to_numpy())
    fixed = [f"{year}-{md}" for year in years for md in ("01-01", "05-01", "12-24", "12-25", "12-26", "12-31")]
    movable = [_easter(int(year)) + pd.Timedelta(days=d) for year in years for d in (-3, -2, 1, 39, 50)]
    holidays = pd.DatetimeIndex(fixed).append(pd.DatetimeIndex(movable))
    kind[local.tz_localize(None).normalize().isin(holidays)] = 2
    return np.asarray(kind, dtype=np.int64)


def _easter(year: int) -> pd.Timestamp:
    return pd.Timestamp(year, 1, 1) + pd.offsets.Easter()


def demand_share(local: pd.DatetimeIndex, temperature_c: FloatArray) -> FloatArray:
    """Load as a share of a nominal peak, ``[step, zone]``: activity by calendar, heating below 15 C, cooling above 22 C."""
    kind = day_types(local)
    hour = local.hour.to_numpy() + local.minute.to_numpy() / 60.0
    low = local.hour.to_numpy()
    part = hour - low
    activity = _ACTIVITY[kind, low] * (1 - part) + _ACTIVITY[kind, (low + 1) % 24] * part
    heating = 0.0085 * np.maximum(15.0 - temperature_c, 0.0)
    cooling = 0.010 * np.maximum(temperature_c - 22.0, 0.0)
    return np.asarray(0.84 * activity[:, None] * (1.0 + heating + cooling), dtype=np.float64)


def load_noise(rng: np.random.Generator, steps: int, zones: int, per_hour: int) -> FloatArray:
    """Relative deviation of measured load from calendar and temperature, ``[step, zone]``."""
    slow = autoregressive(rng, steps, zones, 14.0 * per_hour)
    fast = autoregressive(rng, steps, zones, 1.5 * per_hour)
    return 0.012 * slow + 0.006 * fast


def load_forecast_error(rng: np.random.Generator, lead_h: FloatArray, zones: int, per_hour: int) -> FloatArray:
    """Relative error of the day-ahead load forecast, growing with lead, ``[step, zone]``."""
    steps = len(lead_h)
    slow = autoregressive(rng, steps, zones, 120.0 * per_hour)
    fast = autoregressive(rng, steps, zones, 7.0 * per_hour)
    return np.asarray((0.4 + 0.6 * lead_h / 24.0)[:, None] * (0.005 * slow + 0.011 * fast), dtype=np.float64)


def fuel_level(rng: np.random.Generator, hours: int) -> FloatArray:
    """Cost of fuel relative to its long-run mean: exponential of slow autoregressive noise, ``[hour]``."""
    slow = autoregressive(rng, hours, 1, 24.0 * 110.0)[:, 0]
    return np.asarray(np.exp(0.16 * slow), dtype=np.float64)


def available_capacity(rng: np.random.Generator, hours: int, capacity_mw: FloatArray) -> FloatArray:
    """Dispatchable capacity in MW after forced outages (six a year and zone, half a day to three days), ``[hour, zone]``."""
    share = np.ones((hours, len(capacity_mw)))
    for zone in range(len(capacity_mw)):
        for start in np.flatnonzero(rng.random(hours) < 6.0 / 8766.0):
            share[start : start + int(rng.integers(12, 72)), zone] -= rng.uniform(0.06, 0.18)
    return np.asarray(np.maximum(share, 0.6) * capacity_mw, dtype=np.float64)


def day_ahead_price(
    rng: np.random.Generator,
    residual_share: FloatArray,
    fuel: FloatArray,
    east_km: FloatArray,
    north_km: FloatArray,
    per_hour: int,
) -> FloatArray:
    """Day-ahead price in EUR/MWh ``[step, zone]`` from expected residual load over available capacity.

    Neighbours within some 250 km share surplus and scarcity (``COUPLING``); fuel scales the positive part only; bids
    that the model does not explain add autoregressive noise.
    """
    distance = np.hypot(east_km[:, None] - east_km, north_km[:, None] - north_km)
    weight = np.exp(-distance / _COUPLING_LENGTH_KM)
    weight /= weight.sum(axis=1, keepdims=True)
    coupled = (1 - COUPLING) * residual_share + COUPLING * residual_share @ weight.T
    clearing = _MERIT_ORDER(np.clip(coupled, _RESIDUAL[0], _RESIDUAL[-1]))
    price = np.where(clearing > 0, clearing * fuel[:, None], clearing)
    steps, zones = price.shape
    noise = autoregressive(rng, steps, zones, 5.0 * per_hour)
    price = price + noise * (2.0 + 0.035 * np.abs(price))
    return np.asarray(np.round(np.clip(price, PRICE_FLOOR, PRICE_CAP), 2), dtype=np.float64)
