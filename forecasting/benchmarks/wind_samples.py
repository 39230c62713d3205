"""Day-ahead samples of wind farms, conditioned on a regional forecast, on the farm's own weather, or on nothing."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from forecasting.benchmarks.wind import HOURS, WindFarms
from forecasting.errors import DataError
from forecasting.samples import DayAheadSamples

FloatArray = NDArray[np.float64]

#: Name of the condition, the regional forecast.
REGIONAL = "regional_wind_forecast"


class Condition(StrEnum):
    """What a farm is forecast from, beside its own past."""

    NONE = "none"
    REGIONAL = "regional"
    REGIONAL_AND_WEATHER = "regional_and_weather"


def wind_samples(
    farms: WindFarms,
    regional: FloatArray,
    condition: Condition,
    sites: Sequence[str],
    history_days: int = 28,
) -> DayAheadSamples:
    """One sample per farm of ``sites`` and day, in shares of capacity, as known when the day's weather forecast was out.

    ``regional`` ``[D, 24]`` is the published regional forecast: of the delivery day it is a future channel, of earlier days
    a history channel. Power that was not metered by then is NaN. With weather, the future channels also hold the farm's own
    wind components, their speed, and sine and cosine of the direction at the greatest height.
    """
    if regional.shape != (len(farms.day), HOURS):
        raise DataError(f"the regional forecast has shape {regional.shape}, expected {(len(farms.day), HOURS)}")
    if len(farms.day) <= history_days:
        raise DataError(
            f"{len(farms.day)} days of wind farms leave none to forecast after {history_days} days of history"
        )
    days = np.arange(history_days, len(farms.day))
    window = days[:, None] - history_days + np.arange(history_days)  # [N, H]
    metered = farms.power_known_at[window] <= farms.issued_at[days][:, None, None]
    with_region = condition is not Condition.NONE
    parts = []
    for row, site in zip(farms.positions(sites), sites, strict=True):
        channels = [np.where(metered, farms.power[row][window], np.nan)]
        future: dict[str, FloatArray] = {}
        if with_region:
            channels.append(regional[window])
            future[REGIONAL] = regional[days]
        if condition is Condition.REGIONAL_AND_WEATHER:
            future |= {name: values[days] for name, values in _own_weather(farms, int(row)).items()}
        values = list(future.values())
        parts.append(
            DayAheadSamples(
                target="wind",
                unit="share of capacity",
                step_minutes=60,
                zone=np.full(len(days), site),
                day=farms.day[days],
                issued_at=farms.issued_at[days],
                history=np.stack(channels, axis=-1).astype(np.float32),
                history_channels=("wind_power", *([REGIONAL] if with_region else [])),
                future=np.stack(values, axis=-1).astype(np.float32)
                if values
                else np.zeros((len(days), HOURS, 0), dtype=np.float32),
                future_channels=tuple(future),
                y=farms.power[row][days].astype(np.float32),
            )
        )
    return DayAheadSamples.concat(parts)


def _own_weather(farms: WindFarms, row: int) -> dict[str, FloatArray]:
    channels: dict[str, FloatArray] = {}
    for k, height in enumerate(farms.heights_m):
        u, v = farms.u[row, ..., k], farms.v[row, ..., k]
        channels |= {f"wind_u{height}": u, f"wind_v{height}": v, f"wind_speed{height}": np.hypot(u, v)}
    direction = np.arctan2(v, u)
    return channels | {"wind_direction_sin": np.sin(direction), "wind_direction_cos": np.cos(direction)}
