"""Synthetic wind farms: one weather, farms that answer it each in their own way."""

from __future__ import annotations

import numpy as np

from forecasting.benchmarks.wind import HOURS, WindFarms


def make_farms(farms: int = 4, days: int = 150, *, metered_h_before: int = 0, seed: int = 0) -> WindFarms:
    """Farm ``k`` yields ``(speed / (9 + k))^2``, at most 1. Power is metered ``metered_h_before`` hours too late to be known
    in full when the next day is forecast at midnight."""
    rng = np.random.default_rng(seed)
    angle = np.cumsum(rng.normal(0.0, 0.15, days * HOURS))
    strength = (
        7.0
        + 3.0 * np.sin(np.arange(days * HOURS) / 37.0)
        + np.convolve(rng.normal(size=days * HOURS), np.ones(12), "same")
    )
    u, v, power = (np.empty((farms, days, HOURS)) for _ in range(3))
    for farm in range(farms):
        own = np.abs(strength + 0.5 * rng.normal(size=strength.shape))
        u[farm] = (own * np.cos(angle)).reshape(days, HOURS)
        v[farm] = (own * np.sin(angle)).reshape(days, HOURS)
        actual = (own * (1.0 + 0.1 * rng.normal(size=own.shape))).reshape(days, HOURS)
        power[farm] = np.clip((actual / (9.0 + farm)) ** 2, 0.0, 1.0)
    day = np.datetime64("2020-01-01") + np.arange(days)
    start = day.astype("datetime64[ns]")
    metered = start[:, None] + (np.arange(1, HOURS + 1) + metered_h_before) * np.timedelta64(1, "h")
    return WindFarms(
        sites=tuple(str(farm + 1) for farm in range(farms)),
        day=day,
        power=power,
        u=u[..., None],
        v=v[..., None],
        heights_m=(10,),
        issued_at=start,
        power_known_at=metered.astype("datetime64[ns]"),
    )
