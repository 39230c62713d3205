"""From the configured model to one calibrated forecast per task: members, seeds, backtests, averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.backtesting import BacktestJob, BacktestResult
from forecasting.calibration import RollingConformal
from forecasting.ensemble import Aggregation, Weighting
from forecasting.error_correction import ErrorCorrection
from forecasting.models import create
from forecasting.models.base import Prediction
from forecasting.names import unknown
from forecasting.recalibration import Recalibration
from forecasting.samples import DayAheadSamples
from pipelines.benchmarks.task import BenchmarkTask
from pipelines.errors import ConfigError

_RECALIBRATION_KEYS = ("warm_start_steps", "warm_start_days", "fine_tune_steps", "valid_days", "train_days")


@dataclass(frozen=True)
class Member:
    """One forecaster of a benchmark run and how it is kept up to date."""

    name: str
    model: str
    settings: Mapping[str, Any]
    recalibration: Recalibration
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Combining:
    """How runs become one forecast: weights of an ensemble, correction of its errors, calibration of its intervals."""

    aggregation: Mapping[str, Any]
    error_correction: Mapping[str, Any]
    calibration: Mapping[str, Any]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Combining:
        """The three groups of that name in the configuration."""
        return cls(config["aggregation"], config["error_correction"], config["calibration"])


@dataclass(frozen=True, eq=False)
class ScoredForecast:
    """A finished forecast of the test days and what it took."""

    model: str
    prediction: Prediction
    refits: int
    train_seconds: float
    predict_seconds: float
    weights: Mapping[str, float]


def members_of(config: Mapping[str, Any]) -> list[Member]:
    """The members of ``config["model"]``: itself, or, if it is an ensemble, those it lists.

    ``config["schedules"]`` gives members of an ensemble a ``recalibrate``, ``warm_start_steps``, ``seeds`` of their own.
    """
    model = dict(config["model"])
    if model["name"] != "ensemble":
        return [_member(str(model["name"]), model, config)]
    listed = model.get("members") or {}
    if not listed:
        raise ConfigError("model=ensemble needs model.members, a mapping of names to {name: MODEL, ...settings}")
    create("ensemble", **{key: value for key, value in model.items() if key != "name"})
    schedules = dict(config["schedules"])
    for name, schedule in schedules.items():
        if name not in listed:
            raise ConfigError(unknown("ensemble member in schedules", str(name), [str(member) for member in listed]))
        for key in schedule:
            if key not in (*_RECALIBRATION_KEYS, "recalibrate", "seeds"):
                raise ConfigError(unknown("schedule key", str(key), [*_RECALIBRATION_KEYS, "recalibrate", "seeds"]))
    return [_member(str(n), dict(entry), {**config, **schedules.get(n, {})}) for n, entry in listed.items()]


def _member(name: str, model: dict[str, Any], config: Mapping[str, Any]) -> Member:
    model_name = str(model.pop("name"))
    create(model_name, **model)  # a wrong setting ends the run here, not hours later in a worker
    plan = Recalibration.parse(config["recalibrate"], **{key: config[key] for key in _RECALIBRATION_KEYS})
    first = int(config["seed"])
    return Member(name, model_name, model, plan, tuple(range(first, first + int(config["seeds"]))))


def jobs_of(tasks: Sequence[BenchmarkTask], members: Sequence[Member], parts: Path) -> list[BacktestJob]:
    """One backtest per market, member and seed."""
    return [
        BacktestJob(
            label=_label(task, member, seed),
            factory=partial(create, member.model, **member.settings),
            samples=_samples_for(task, member),
            first=task.start,
            last=task.last,
            recalibration=member.recalibration,
            zones=(task.place,),
            seed=seed,
            parts=parts,
        )
        for task in tasks
        for member in members
        for seed in member.seeds
    ]


def _samples_for(task: BenchmarkTask, member: Member) -> DayAheadSamples:
    """Fine-tuning has a point where other places trained before."""
    if member.recalibration.fine_tune_steps and task.pool is not None:
        return task.pool
    return task.samples


def _label(task: BenchmarkTask, member: Member, seed: int) -> str:
    return f"{task.place} {member.name} seed {seed}"


def combine(
    task: BenchmarkTask,
    name: str,
    members: Sequence[Member],
    results: Mapping[str, BacktestResult],
    rules: Combining,
) -> ScoredForecast:
    """Average seeds, then members, correct the average's errors, calibrate its intervals; keep the test days."""
    parts = {m.name: [results[_label(task, m, seed)] for seed in m.seeds] for m in members}
    rows = next(iter(parts.values()))[0].rows
    predictions = {member: _mean([part.prediction for part in runs]) for member, runs in parts.items()}
    if len(predictions) > 1:
        given = rules.aggregation
        rule = Aggregation(**{**given, "weighting": _weighting(given), "delay_days": task.delay_days})
        joined = rule.combine(predictions, rows.y, rows.day)
        prediction, weights = joined.prediction, joined.weights
        if rules.error_correction["window_days"]:
            correction = ErrorCorrection(**rules.error_correction, delay_days=task.delay_days)
            prediction = correction.correct(prediction, rows.y, rows.day)
    else:
        prediction, weights = next(iter(predictions.values())), np.ones((len(rows), 1))
    if rules.calibration["window_days"]:
        conformal = RollingConformal(**rules.calibration, delay_days=task.delay_days)
        prediction = conformal.calibrate(prediction, rows.y, rows.day, bounds=task.bounds)
    counted = rows.day >= task.first
    runs = [run for part in parts.values() for run in part]
    return ScoredForecast(
        model=name,
        prediction=_rows(prediction, counted),
        refits=sum(run.refits for run in runs),
        train_seconds=sum(run.fit_seconds for run in runs),
        predict_seconds=sum(run.predict_seconds for run in runs),
        weights=dict(zip(predictions, weights[counted].mean(axis=0).tolist(), strict=True)),
    )


def parts_of_ensemble(
    task: BenchmarkTask,
    name: str,
    members: Sequence[Member],
    results: Mapping[str, BacktestResult],
    rules: Combining,
) -> list[ScoredForecast]:
    """What each part of an ensemble is worth, from the same backtests: the members alone, and the ensemble less one idea.

    Each member alone (and from one seed), the ensemble without that member, with one seed of each member, with equal
    weights, without correction of its errors, and without calibrated intervals. Empty for a single forecaster from one seed.
    """
    if len(members) == 1 and len(members[0].seeds) == 1:
        return []
    first = [replace(member, seeds=member.seeds[:1]) for member in members]
    uncalibrated = replace(rules, calibration={**rules.calibration, "window_days": 0})
    plans: dict[str, tuple[Sequence[Member], Combining]] = {
        f"{name}, intervals not calibrated": (members, uncalibrated)
    }
    if any(len(member.seeds) > 1 for member in members):
        plans[f"{name}, one seed"] = (first, rules)
    if len(members) > 1:
        equal = {**rules.aggregation, "weighting": Weighting.EQUAL}
        plans[f"{name}, equal weights"] = (members, replace(rules, aggregation=equal))
        if rules.error_correction["window_days"]:
            uncorrected = {**rules.error_correction, "window_days": 0}
            plans[f"{name}, errors not corrected"] = (members, replace(rules, error_correction=uncorrected))
        for member, one in zip(members, first, strict=True):
            plans[f"{name}: {member.name}"] = ([member], rules)
            if len(member.seeds) > 1:
                plans[f"{name}: {member.name}, one seed"] = ([one], rules)
            if len(members) > 2:
                plans[f"{name} without {member.name}"] = ([m for m in members if m is not member], rules)
    return [combine(task, label, some, results, rule) for label, (some, rule) in plans.items()]


def _weighting(aggregation: Mapping[str, Any]) -> Weighting:
    try:
        return Weighting(aggregation["weighting"])
    except ValueError:
        raise ConfigError(f"aggregation.weighting={aggregation['weighting']}: choose {', '.join(Weighting)}") from None


def _mean(predictions: Sequence[Prediction]) -> Prediction:
    return Prediction(
        mean=np.mean([p.mean for p in predictions], axis=0),
        std=np.mean([p.std for p in predictions], axis=0),
        quantiles=np.mean([p.quantiles for p in predictions], axis=0),
        levels=predictions[0].levels,
    )


def _rows(prediction: Prediction, rows: NDArray[np.bool_]) -> Prediction:
    return Prediction(prediction.mean[rows], prediction.std[rows], prediction.quantiles[rows], prediction.levels)
