"""Scores of the wind benchmark: by group of farms and arm, gains with their confidence intervals over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student_t

from forecasting import metrics
from forecasting.benchmarks.wind_samples import Condition
from forecasting.benchmarks.wind_study import Arm, ArmForecast, Source
from forecasting.models.base import Prediction

FloatArray = NDArray[np.float64]

#: Forecasts by group of farms, arm and seed.
Forecasts = Mapping[tuple[str, Arm, int], ArmForecast]

#: What ``summary.json`` and the page keep of each row; ``metrics.csv`` has single farms too.
SUMMARY_KEYS = (
    "site", "model", "rmse", "mae", "crps", "coverage_90", "rmse_one_seed", "gain_over_no_condition",
    "gain_over_no_source", "gain_low", "gain_high", "seeds", "days", "refits", "train_seconds",
)  # fmt: skip

#: Power in shares of capacity.
_RANGE = (0.0, 1.0)
_SHOWN_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def study_rows(forecasts: Forecasts) -> list[dict[str, Any]]:
    """One row per group, arm and control over all farms (slice ``all``), and one per farm.

    Scores are those of the average over seeds. ``rmse_one_seed`` is the mean RMSE of the single runs, and gains compare
    single runs of the same seed: ``gain_over_no_condition`` with the arm without condition, ``gain_over_no_source`` with
    the same condition and no source, whose 95% interval (``gain_low`` to ``gain_high``) is Student's over the seeds.
    """
    rows: list[dict[str, Any]] = []
    for group in dict.fromkeys(key[0] for key in forecasts):
        arms = list(dict.fromkeys(arm for found, arm, _ in forecasts if found == group))
        single = {arm: _runs(forecasts, group, arm) for arm in arms}
        for arm in arms:
            runs = single[arm]
            for control in (None, *runs[0].controls):
                predictions = [_prediction(run, control) for run in runs]
                errors = np.array([_rmse(run.y, p) for run, p in zip(runs, predictions, strict=True)])
                label = arm.label if control is None else f"{arm.label}, {control}"
                average = _average(predictions)
                shared = {
                    "site": group,
                    "model": label,
                    "seeds": len(runs),
                    "refits": sum(run.refits for run in runs),
                    "train_seconds": round(sum(run.fit_seconds for run in runs), 1),
                }
                gains = {
                    **_gain("gain_over_no_condition", errors, single.get(Arm(Condition.NONE, Source.NONE))),
                    **_gain("gain_over_no_source", errors, single.get(Arm(arm.condition, Source.NONE)), interval=True),
                }
                rows.append(
                    shared
                    | {"slice": "all", "rmse_one_seed": errors.mean()}
                    | (gains if arm.condition is not Condition.NONE else {})
                    | _scores(runs[0], average, np.ones(len(runs[0]), dtype=bool))
                )
                rows += [
                    shared | {"slice": f"farm {site}"} | _scores(runs[0], average, runs[0].site == site)
                    for site in np.unique(runs[0].site)
                ]
    return rows


def _runs(forecasts: Forecasts, group: str, arm: Arm) -> list[ArmForecast]:
    return [run for (found, other, _), run in forecasts.items() if (found, other) == (group, arm)]


def _prediction(run: ArmForecast, control: str | None = None) -> Prediction:
    prediction = run.true if control is None else run.controls[control]
    return Prediction(
        np.clip(prediction.mean, *_RANGE), prediction.std, np.clip(prediction.quantiles, *_RANGE), prediction.levels
    )


def _average(predictions: Sequence[Prediction]) -> Prediction:
    mean, std, quantiles = (
        np.mean([getattr(p, name) for p in predictions], axis=0) for name in ("mean", "std", "quantiles")
    )
    return Prediction(mean, std, quantiles, predictions[0].levels)


def _rmse(y: FloatArray, prediction: Prediction) -> float:
    known = np.isfinite(y)
    return metrics.root_mean_square_error(y[known], prediction.mean[known])


def _gain(
    name: str, errors: FloatArray, other: list[ArmForecast] | None, *, interval: bool = False
) -> dict[str, float]:
    """Share by which the RMSE is lower than that of ``other``, run by run."""
    if other is None:
        return {}
    theirs = np.array([_rmse(run.y, _prediction(run)) for run in other])
    gains = 1.0 - errors / theirs
    found = {name: float(gains.mean())}
    if interval and len(gains) > 1 and gains.any():
        reach = float(student_t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains)))
        found |= {"gain_low": found[name] - reach, "gain_high": found[name] + reach}
    return found


def _scores(run: ArmForecast, prediction: Prediction, rows: NDArray[np.bool_]) -> dict[str, Any]:
    known = np.isfinite(run.y) & rows[:, None]
    y, quantiles = run.y[known], prediction.quantiles[known]
    at = {level: quantiles[:, prediction.levels.index(level)] for level in (0.05, 0.5, 0.95)}
    return {
        "rmse": metrics.root_mean_square_error(y, prediction.mean[known]),
        "mae": metrics.mean_absolute_error(y, at[0.5]),
        "crps": metrics.crps_from_quantiles(y, quantiles, prediction.levels),
        "coverage_90": metrics.interval_coverage(y, at[0.05], at[0.95]),
        "days": len(np.unique(run.day[rows])),
    }


def prediction_frame(forecasts: Forecasts) -> pd.DataFrame:
    """Average over seeds of every arm: one row per farm, day and hour, with mean and five quantiles."""
    frames = []
    for group, arm in dict.fromkeys((group, arm) for group, arm, _ in forecasts):
        runs = _runs(forecasts, group, arm)
        average = _average([_prediction(run) for run in runs])
        first, slots = runs[0], runs[0].y.shape[1]
        columns = {f"q{round(100 * q):02d}": average.quantiles[..., average.levels.index(q)] for q in _SHOWN_LEVELS}
        frames.append(
            pd.DataFrame(
                {
                    "group": group,
                    "model": arm.label,
                    "site": np.repeat(first.site, slots),
                    "day": np.repeat(first.day.astype("datetime64[s]"), slots),
                    "slot": np.tile(np.arange(slots, dtype=np.int8), len(first)),
                    "y": first.y.reshape(-1).astype(np.float32),
                    "mean": average.mean.reshape(-1).astype(np.float32),
                    **{name: values.reshape(-1).astype(np.float32) for name, values in columns.items()},
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def headline(rows: pd.DataFrame, regional_rmse: float) -> str:
    """The table for the terminal."""
    shown = rows.drop(columns=["mae", "refits", "train_seconds", "days"])
    text = shown.round(4).to_string(index=False, na_rep="")
    return f"{text}\nregional forecast: RMSE {regional_rmse:.4f} of the mean power of all farms"
