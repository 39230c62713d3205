"""Simulated weather: regimes, travelling fronts and correlated noise, hourly, at every zone and site.

Model (all series hourly, in UTC)
---------------------------------
Regime: a Markov chain in steps of six hours over four states (zonal westerlies, storm track, transition, blocking high)
with mean stays of 3 to 6 days; storms are more likely in winter, blocking in summer. A state sets the mean wind, the
rate of fronts, the cloud and the temperature anomaly.

Fronts: a Poisson process whose rate follows the regime. Each crosses the map on a straight line at 30 to 65 km/h and
adds a pulse ``A exp(-((t - t0 - s/v) / w)^2 / 2)`` to wind and cloud, where ``s`` is the distance along its track: a
place 300 km downwind sees the same front five to ten hours later.

Noise: first-order autoregressive in time, correlated ``exp(-distance / 350 km)`` in space.

The sum is a standardised "wind level" ``g``; wind speed follows by the Weibull quantile of ``Phi(g)`` in
``synthetic_power``. Temperature and cloud share the regime and the fronts, so cold calms and dark storms occur together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

FloatArray = NDArray[np.float64]

CORRELATION_LENGTH_KM = 350.0
_STEP_H = 6

#: Rows: zonal, storm track, transition, blocking high.
_WIND_LEVEL = np.array([0.35, 0.85, -0.25, -0.95])
_FRONTS_PER_DAY = np.array([0.45, 0.9, 0.25, 0.05])
_CLOUD_LEVEL = np.array([0.35, 0.7, 0.1, -0.7])
_TEMPERATURE_WINTER = np.array([1.5, 2.0, -0.5, -4.5])
_TEMPERATURE_SUMMER = np.array([-1.0, -2.5, 0.5, 4.5])
_STAY_DAYS = np.array([4.0, 3.0, 3.0, 6.0])
_ATTRACTION_WINTER = np.array([1.0, 1.1, 0.9, 0.6])
_ATTRACTION_SUMMER = np.array([0.8, 0.45, 1.0, 0.9])


@dataclass(frozen=True)
class LargeScale:
    """What all places share: hour index, regime means and the list of fronts.

    ``wind``, ``cloud``, ``temperature_c`` have shape ``[hour]``; ``fronts`` is ``[front, 6]`` with columns start hour,
    direction (radian, towards), speed (km/h), amplitude, width (h), offset of the track origin (km).
    """

    index: pd.DatetimeIndex
    wind: FloatArray
    cloud: FloatArray
    temperature_c: FloatArray
    fronts: FloatArray


def autoregressive(rng: np.random.Generator, hours: int, places: int, memory_h: float) -> FloatArray:
    """Unit-variance first-order autoregressive noise ``[hour, place]``, independent between places."""
    phi = float(np.exp(-1.0 / memory_h))
    shocks = rng.standard_normal((hours, places))
    shocks[1:] *= np.sqrt(1.0 - phi * phi)
    return np.asarray(lfilter([1.0], [1.0, -phi], shocks, axis=0), dtype=np.float64)


def spatial_factor(east_km: FloatArray, north_km: FloatArray, length_km: float = CORRELATION_LENGTH_KM) -> FloatArray:
    """Cholesky factor ``[place, place]`` of the correlation ``exp(-distance / length)``."""
    distance = np.hypot(east_km[:, None] - east_km, north_km[:, None] - north_km)
    return np.asarray(np.linalg.cholesky(np.exp(-distance / length_km) + 1e-9 * np.eye(len(east_km))), dtype=np.float64)


def winter_share(index: pd.DatetimeIndex) -> FloatArray:
    """1 in mid January, 0 in mid July, shape ``[hour]``."""
    return np.asarray(0.5 + 0.5 * np.cos(2 * np.pi * (index.dayofyear.to_numpy() - 15) / 365.25), dtype=np.float64)


def simulate_large_scale(rng: np.random.Generator, index: pd.DatetimeIndex) -> LargeScale:
    """Draw regimes and fronts for the hours of ``index``."""
    hours = len(index)
    winter = winter_share(index)
    regime = _draw_regimes(rng, winter[::_STEP_H])
    per_hour = np.repeat(regime, _STEP_H)[:hours]
    temperature = _TEMPERATURE_WINTER[per_hour] * winter + _TEMPERATURE_SUMMER[per_hour] * (1 - winter)
    return LargeScale(
        index=index,
        wind=_smooth(_WIND_LEVEL[per_hour] + 0.30 * (winter - 0.5), 10.0),
        cloud=_smooth(_CLOUD_LEVEL[per_hour], 10.0),
        temperature_c=_smooth(temperature, 36.0),
        fronts=_draw_fronts(rng, _FRONTS_PER_DAY[per_hour] / 24.0),
    )


def front_pulses(large: LargeScale, east_km: FloatArray, north_km: FloatArray) -> FloatArray:
    """Sum of all front pulses, shape ``[hour, place]``."""
    hours = len(large.index)
    total = np.zeros((hours, len(east_km)))
    for start, direction, speed, amplitude, width, offset in large.fronts:
        along = east_km * np.cos(direction) + north_km * np.sin(direction) + offset
        arrival = start + along / speed
        first = max(0, int(arrival.min() - 3.5 * width))
        last = min(hours, int(arrival.max() + 3.5 * width) + 1)
        if first < last:
            lag = (np.arange(first, last)[:, None] - arrival) / width
            total[first:last] += amplitude * np.exp(-0.5 * lag * lag)
    return total


def _draw_regimes(rng: np.random.Generator, winter: FloatArray) -> NDArray[np.int64]:
    states = np.empty(len(winter), dtype=np.int64)
    leave = _STEP_H / 24.0 / _STAY_DAYS
    uniform = rng.random((len(winter), 2))
    state = 0
    for k, season in enumerate(winter):
        if uniform[k, 0] < leave[state]:
            weight = _ATTRACTION_WINTER * season + _ATTRACTION_SUMMER * (1 - season)
            weight[state] = 0.0
            state = int(np.searchsorted(np.cumsum(weight) / weight.sum(), uniform[k, 1]))
        states[k] = state
    return states


def _draw_fronts(rng: np.random.Generator, rate_per_hour: FloatArray) -> FloatArray:
    starts = np.flatnonzero(rng.random(len(rate_per_hour)) < rate_per_hour).astype(np.float64)
    count = len(starts)
    columns = (
        starts,
        np.deg2rad(rng.normal(-20.0, 35.0, count)),
        rng.uniform(30.0, 65.0, count),
        rng.gamma(4.0, 0.27, count),
        rng.uniform(4.0, 9.0, count),
        rng.uniform(-300.0, 100.0, count),
    )
    return np.column_stack(columns)


def _smooth(values: FloatArray, memory_h: float) -> FloatArray:
    keep = float(np.exp(-1.0 / memory_h))
    start = np.array([keep * values[0]])
    smoothed, _ = lfilter([1.0 - keep], [1.0, -keep], values, zi=start)
    return np.asarray(smoothed, dtype=np.float64)
