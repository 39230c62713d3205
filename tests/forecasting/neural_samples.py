"""Small samples made from arrays, in which the target depends on a published forecast and on the day before."""

from __future__ import annotations

import numpy as np

from forecasting.samples import DayAheadSamples


def make_samples(
    days: int = 60,
    *,
    target: str = "price",
    step_minutes: int = 60,
    zones: tuple[str, ...] = ("A",),
    history_days: int = 14,
    seed: int = 0,
) -> DayAheadSamples:
    """``y = 50 + shape of the day - 8 wind + 0.5 (yesterday's deviation) + noise``, per zone with its own level."""
    parts = []
    for number, zone in enumerate(zones):
        rng = np.random.default_rng(seed + number)
        slots, total = 1440 // step_minutes, days + history_days
        shape = 10 * np.sin(2 * np.pi * np.arange(slots) / slots)
        wind = np.repeat(rng.normal(size=(total, 4)), slots // 4, axis=1) + 0.2 * rng.normal(size=(total, slots))
        y = np.empty((total, slots))
        deviation = np.zeros(slots)
        for day in range(total):
            deviation = 0.5 * deviation - 8 * wind[day] + rng.normal(size=slots)
            y[day] = (50 + 20 * number) + shape + deviation
        if target != "price":
            y = np.maximum(y, 0)
        both = np.stack([y, 5000 + 1000 * wind], axis=-1).astype(np.float32)
        history = np.stack([both[day : day + history_days] for day in range(days)])
        day = np.arange("2023-01-02", "2025-01-01", dtype="datetime64[D]")[:days]
        parts.append(
            DayAheadSamples(
                target=target,
                unit="EUR/MWh" if target == "price" else "MW",
                step_minutes=step_minutes,
                zone=np.full(days, zone),
                day=day,
                issued_at=(day - 1).astype("datetime64[ns]") + np.timedelta64(11, "h"),
                history=history,
                history_channels=(target if target == "price" else f"{target}_power", "wind_forecast"),
                future=both[history_days:, :, 1:].copy(),
                future_channels=("wind_forecast",),
                y=both[history_days:, :, 0].copy(),
            )
        )
    return DayAheadSamples.concat(parts)
