"""The paper's metrics on our test days: RMSE and MAE of standardised series, by seed, with paired tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting import metrics
from forecasting.benchmarks.shi_2023 import published_mae, published_rmse
from forecasting.errors import DataError
from forecasting.models.naive import NaiveRule, naive_forecast
from forecasting.significance import diebold_mariano_of_losses
from pipelines.benchmarks.paper_data import PaperTask
from pipelines.benchmarks.paper_runs import PaperResult

FloatArray = NDArray[np.float64]

#: The model that every other one is tested against.
PROPOSED = "proposed"
#: Days of autocorrelation that the Diebold-Mariano tests allow for: test days come in weeks.
_TEST_LAGS = 6


def standard_deviations(task: PaperTask) -> FloatArray:
    """Deviation of the target of each test row's source over its training days, ``[N, 1]``.

    Shi et al. 2023, section 3.2.1, standardise every series by mean and variance; a difference of two standardised values
    is their difference over the deviation.
    """
    spread = {
        zone: float(task.train.y[task.train.zone == zone].std(dtype=np.float64)) for zone in np.unique(task.train.zone)
    }
    return np.array([spread[zone] for zone in task.test.zone])[:, None]


def score_rows(
    task: PaperTask, model: str, runs: Sequence[PaperResult], rivals: Sequence[PaperResult]
) -> dict[str, Any]:
    """One row: the paper's errors (mean and deviation over seeds), further scores, and tests against ``rivals``.

    The point forecast of both errors is the predicted mean, as in the paper. ``dm_p_rmse`` and ``dm_p_mae`` are one-sided
    p-values that the proposed model is better, by squared and by absolute error: losses of a date are averaged over sources
    and seeds, since the sources of one date share their weather.
    """
    scale = standard_deviations(task)
    errors = [_errors(task, run) for run in runs]
    rmse = [float(np.sqrt(np.square(e).mean())) for e in errors]
    mae = [float(np.abs(e).mean()) for e in errors]
    truth = task.test.y.astype(np.float64) / scale
    naive = naive_forecast(task.test, NaiveRule.WEEKLY) / scale
    row: dict[str, Any] = {
        "task": task.name,
        "model": model,
        "rmse": float(np.mean(rmse)),
        "rmse_sd": _deviation(rmse),
        "rmse_paper": published_rmse(model, task.name),
        "mae": float(np.mean(mae)),
        "mae_sd": _deviation(mae),
        "mae_paper": published_mae(model, task.name),
        "rmae": _relative(np.abs(truth - naive), float(np.mean(mae))),
        **_distribution(task, runs, scale),
        "dm_p_rmse": None,
        "dm_p_mae": None,
        "runs": len(runs),
        "days": len(np.unique(task.test.day)),
        "sources": len(np.unique(task.test.zone)),
        "train_seconds": sum(run.train_seconds for run in runs),
        "predict_seconds": sum(run.predict_seconds for run in runs),
    }
    if rivals and model != PROPOSED:
        theirs = [_errors(task, run) for run in rivals]
        for key, loss in (("dm_p_rmse", np.square), ("dm_p_mae", np.abs)):
            row[key] = _better(_by_date(task, [loss(e) for e in theirs]), _by_date(task, [loss(e) for e in errors]))
    return row


def _errors(task: PaperTask, run: PaperResult) -> FloatArray:
    return (task.test.y.astype(np.float64) - run.prediction.mean) / standard_deviations(task)


def _deviation(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _relative(naive_errors: FloatArray, mae: float) -> float | None:
    known = naive_errors[np.isfinite(naive_errors)]
    return mae / float(known.mean()) if known.size else None


def _distribution(task: PaperTask, runs: Sequence[PaperResult], scale: FloatArray) -> dict[str, float]:
    truth = task.test.y.astype(np.float64)
    scores = []
    for run in runs:
        quantiles, levels = run.prediction.quantiles, run.prediction.levels
        low, high = (quantiles[..., levels.index(level)] for level in (0.05, 0.95))
        crps = metrics.crps_from_quantiles(truth / scale, quantiles / scale[..., None], levels)
        scores.append((crps, metrics.interval_coverage(truth, low, high)))
    crps, coverage = np.mean(scores, axis=0)
    return {"crps": float(crps), "coverage_90": float(coverage)}


def _by_date(task: PaperTask, losses: Sequence[FloatArray]) -> FloatArray:
    daily = np.mean([loss.mean(axis=1) for loss in losses], axis=0)
    return np.asarray(pd.Series(daily).groupby(task.test.day).mean().sort_index(), dtype=np.float64)


def _better(loss: FloatArray, rival_loss: FloatArray) -> float | None:
    try:
        return diebold_mariano_of_losses(loss, rival_loss, lags=min(_TEST_LAGS, len(loss) - 1)).p_value
    except DataError:  # one test day, or equal forecasts: there is nothing to test
        return None


def prediction_table(results: Sequence[PaperResult]) -> pd.DataFrame:
    """One row per task, model, seed, source, day and slot: truth, mean and deviation, in the unit of the target."""
    frames = []
    for result in results:
        test = result.job.task.test
        frames.append(
            pd.DataFrame(
                {
                    "task": result.job.task.name,
                    "model": result.job.model,
                    "seed": result.job.seed,
                    "source": np.repeat(test.zone, test.slots),
                    "day": np.repeat(test.day.astype("datetime64[s]"), test.slots),
                    "slot": np.tile(np.arange(test.slots), len(test)),
                    "y": test.y.reshape(-1),
                    "mean": result.prediction.mean.reshape(-1).astype(np.float32),
                    "std": result.prediction.std.reshape(-1).astype(np.float32),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
