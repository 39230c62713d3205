"""Rows of a benchmark: every score of one model on one task, over all hours and over the slices that matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting import metrics
from forecasting.errors import DataError
from forecasting.models.base import Prediction
from forecasting.models.naive import NaiveRule, naive_forecast
from forecasting.samples import DayAheadSamples
from forecasting.significance import diebold_mariano, diebold_mariano_by_step, giacomini_white
from pipelines.benchmarks.members import ScoredForecast
from pipelines.benchmarks.task import BenchmarkTask

FloatArray = NDArray[np.float64]

_SEASONS = {"winter": (12, 1, 2), "spring": (3, 4, 5), "summer": (6, 7, 8), "autumn": (9, 10, 11)}
_SPIKE_SHARE = 0.05


def score_rows(task: BenchmarkTask, forecast: ScoredForecast) -> list[dict[str, Any]]:
    """Rows of an own forecast, one per slice; the first is ``all``.

    The point forecast of MAE, sMAPE and rMAE is the median, that of RMSE the mean: each is the best answer to its score.
    """
    costs = {
        "refits": forecast.refits,
        "train_seconds": round(forecast.train_seconds, 2),
        "predict_seconds": round(forecast.predict_seconds, 3),
    }
    prediction = forecast.prediction
    median = prediction.quantiles[..., prediction.levels.index(0.5)]
    return _rows(task, forecast.model, median, prediction.mean, prediction, costs)


def peer_rows(task: BenchmarkTask) -> list[dict[str, Any]]:
    """Rows of the published point forecasts and of the two naive rules."""
    test = task.test
    points = dict(task.peers)
    for rule in (NaiveRule.STANDARD, NaiveRule.WEEKLY):
        points[f"naive_{rule}"] = naive_forecast(test, rule)
    rows = []
    for model, point in points.items():
        rows += _rows(task, model, point, point, None, {"refits": None, "train_seconds": None, "predict_seconds": None})
    return rows


def _rows(
    task: BenchmarkTask,
    model: str,
    median: FloatArray,
    mean: FloatArray,
    full: Prediction | None,
    costs: Mapping[str, Any],
) -> list[dict[str, Any]]:
    test = task.test
    y = test.y.astype(np.float64)
    naive = {rule: naive_forecast(test, rule) for rule in (NaiveRule.WEEKLY, NaiveRule.STANDARD)}
    known = np.isfinite(y)
    rows = []
    for name, mask in _slices(test, y).items():
        hours = mask & known
        if not hours.any():
            continue
        row: dict[str, Any] = {
            task.kind: task.place,
            "model": model,
            "slice": name,
            "mae": metrics.mean_absolute_error(y[hours], median[hours]),
            "rmae": metrics.relative_mae(y[hours], median[hours], naive[NaiveRule.WEEKLY][hours]),
            "rmae_standard": metrics.relative_mae(y[hours], median[hours], naive[NaiveRule.STANDARD][hours]),
            "smape": metrics.symmetric_mape(y[hours], median[hours]),
            "rmse": metrics.root_mean_square_error(y[hours], mean[hours]),
            **_distribution_scores(y, full, hours),
            "hours": int(hours.sum()),
            "days": int(hours.any(axis=1).sum()),
        }
        if name == "all":
            row |= {"mase": _mase(task, y[hours], median[hours]), **_significance(task, model, y, median), **costs}
        rows.append(row)
    return rows


def _distribution_scores(y: FloatArray, full: Prediction | None, hours: NDArray[np.bool_]) -> dict[str, float | None]:
    names = ("crps", "pinball", "coverage_90", "coverage_50", "winkler_90")
    if full is None:
        return dict.fromkeys(names)
    quantiles, truth = full.quantiles[hours], y[hours]
    at = {level: quantiles[:, full.levels.index(level)] for level in (0.05, 0.25, 0.75, 0.95)}
    return {
        "crps": metrics.crps_from_quantiles(truth, quantiles, full.levels),
        "pinball": metrics.pinball_loss(truth, quantiles, full.levels),
        "coverage_90": metrics.interval_coverage(truth, at[0.05], at[0.95]),
        "coverage_50": metrics.interval_coverage(truth, at[0.25], at[0.75]),
        "winkler_90": metrics.winkler_score(truth, at[0.05], at[0.95], coverage=0.9),
    }


def _mase(task: BenchmarkTask, y: FloatArray, median: FloatArray) -> float | None:
    """MASE with the weekly season of the known days before the test."""
    before = task.samples.select((task.samples.zone == task.place) & (task.samples.day < task.first)).known()
    ordered = before.select(np.argsort(before.day, kind="stable"))
    season = 7 * ordered.slots
    if ordered.y.size <= season:
        return None
    return metrics.mean_absolute_scaled_error(y, median, ordered.y, season)


def _significance(task: BenchmarkTask, model: str, y: FloatArray, median: FloatArray) -> dict[str, Any]:
    if task.reference is None or model == task.reference:
        return {}
    whole = np.isfinite(y).all(axis=1)
    truth, ours, theirs = y[whole], median[whole], task.peers[task.reference][whole]
    try:
        by_hour = diebold_mariano_by_step(truth, ours, theirs)
        return {
            "reference": task.reference,
            "dm_p": diebold_mariano(truth, ours, theirs).p_value,
            "dm_hours_better": sum(result.p_value < 0.05 for result in by_hour),
            "gw_p": giacomini_white(truth, ours, theirs).p_value,
        }
    except DataError:  # too few days, or equal forecasts: there is nothing to test
        return {"reference": task.reference, "dm_p": None, "dm_hours_better": None, "gw_p": None}


def _slices(test: DayAheadSamples, y: FloatArray) -> dict[str, NDArray[np.bool_]]:
    """Masks ``[N, S]``: all, seasons, high and low spikes, quarters of the wind forecast, hours of the day."""
    everything = np.ones(y.shape, dtype=bool)
    month = test.day.astype("datetime64[M]").astype(np.int64) % 12 + 1
    slices = {"all": everything}
    slices |= {name: np.isin(month, months)[:, None] & everything for name, months in _SEASONS.items()}
    low, high = np.nanquantile(y, [_SPIKE_SHARE, 1.0 - _SPIKE_SHARE])
    slices |= {"highest_5_percent": y > high, "lowest_5_percent": y < low}
    windy = [k for k, name in enumerate(test.future_channels) if "wind" in name]
    if windy:
        wind = test.future[..., windy].sum(axis=-1)
        edges = np.nanquantile(wind, [0.25, 0.5, 0.75])
        quarter = np.digitize(wind, edges)
        slices |= {f"wind_quarter_{k + 1}": (quarter == k) & np.isfinite(wind) for k in range(4)}
    steps_per_hour = test.slots // 24
    for hour in range(24):
        mask = np.zeros(y.shape, dtype=bool)
        mask[:, hour * steps_per_hour : (hour + 1) * steps_per_hour] = True
        slices[f"hour_{hour:02d}"] = mask
    return slices


def prediction_table(task: BenchmarkTask, forecasts: list[ScoredForecast]) -> pd.DataFrame:
    """One row per model, day and slot: truth, point forecast, and mean, std and quantiles of own forecasts."""
    test = task.test
    base = {
        task.kind: task.place,
        "day": np.repeat(test.day.astype("datetime64[s]"), test.slots),
        "slot": np.tile(np.arange(test.slots), len(test)),
        "y": test.y.astype(np.float64).reshape(-1),
    }
    frames = [pd.DataFrame({**base, "model": name, "point": point.reshape(-1)}) for name, point in task.peers.items()]
    for forecast in forecasts:
        prediction = forecast.prediction
        columns = {
            f"q{round(level * 100):02d}": prediction.quantiles[..., k].reshape(-1)
            for k, level in enumerate(prediction.levels)
        }
        frames.append(
            pd.DataFrame(
                {
                    **base,
                    "model": forecast.model,
                    "point": columns["q50"],
                    "mean": prediction.mean.reshape(-1),
                    "std": prediction.std.reshape(-1),
                    **columns,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
