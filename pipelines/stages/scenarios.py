"""Joint scenarios: paths of price, wind and load that err together as they did on the recent days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from forecasting.forecast import Forecast
from forecasting.market_day import slot_positions
from forecasting.scenarios import ErrorRanks, sample_paths
from pipelines.stages.night import Night
from pipelines.stages.predict import Target, Trained


@dataclass(frozen=True, eq=False)
class Made:
    """A forecast with what made it."""

    forecast: Forecast
    trained: Trained
    target: Target


def with_joint_paths(made: Mapping[str, Made], night: Night, paths: int, seed: int) -> dict[str, Forecast]:
    """Every forecast with ``paths`` equally likely paths; path ``k`` of all forecasts belongs together.

    The dependence over steps, places and targets is that of the ranks of the recent days' outcomes within their forecasts
    (Gaussian copula); a wind path stays between zero and capacity, a load path above zero.
    """
    if not paths or not made:
        return {name: one.forecast for name, one in made.items()}
    days, ranks = _common_ranks(made, night)
    if len(days) < 2:
        return {name: one.forecast for name, one in made.items()}
    quantiles = {name: one.forecast.quantiles for name, one in made.items()}
    levels = next(iter(made.values())).forecast.quantile_levels
    bounds = {}
    for name, one in made.items():
        low, high = one.target.bounds
        scale = one.target.scale(one.forecast.zone)
        bounds[name] = (low * scale, high * scale)
    drawn = sample_paths(quantiles, levels, ErrorRanks(ranks), paths, bounds=bounds, seed=seed)
    return {name: replace(one.forecast, scenarios=drawn[name]) for name, one in made.items()}


def _common_ranks(made: Mapping[str, Made], night: Night) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    days: np.ndarray | None = None
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    position = slot_positions(
        night.index, np.datetime64(night.delivery_day), night.market_time_zone, night.step_minutes
    )
    for name, one in made.items():
        recent = one.trained.recent.select(np.flatnonzero(one.trained.recent.zone == one.forecast.zone))
        raw = one.trained.forecaster.predict(recent)
        ranks = ErrorRanks.of({name: recent.y.astype(np.float64)}, {name: raw.quantiles}, raw.levels).series[name]
        found[name] = (recent.day, ranks[:, position])
        days = recent.day if days is None else np.intersect1d(days, recent.day)
    assert days is not None
    return days, {name: ranks[np.isin(day, days)] for name, (day, ranks) in found.items()}
