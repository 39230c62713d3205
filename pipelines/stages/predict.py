"""Forecast: samples from the store, a trained forecaster for each target, one ``Forecast`` for each place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import forecasting
from forecasting.artefact import TrainedForecaster
from forecasting.calibration import RollingConformal
from forecasting.errors import ArtefactError, DataError, NoDataError
from forecasting.forecast import Forecast, InputRecord
from forecasting.models.base import FitReport, Forecaster, Prediction
from forecasting.samples import DayAheadSamples
from forecasting.store import Store
from forecasting.windows import ChannelPlan, DecisionTime, build_samples, channel_plan, live_sample
from pipelines.errors import ConfigError
from pipelines.stages.night import Mode, Night

#: Hours on either side whose errors calibrate an hour's intervals too: the recent days alone are few.
POOLED_HOURS = 3

#: Fewer known days than this cannot train any forecaster.
FEWEST_DAYS = 28


@dataclass(frozen=True)
class Target:
    """What is forecast: ``price``, ``wind`` or ``load``, at one or several places that share one forecaster.

    ``capacity_mw`` holds the size of each place; its series are divided by it, so that sites of all sizes train together,
    and forecasts are multiplied back. ``peers`` are further zones that train the forecaster and are not forecast, with the
    time zone of their market.
    """

    name: str
    places: tuple[str, ...]
    capacity_mw: Mapping[str, float]
    simulated: bool = False
    peers: Mapping[str, str] = field(default_factory=dict)

    @property
    def bounds(self) -> tuple[float, float]:
        """Physical range in units of the samples: wind within its capacity, load not negative."""
        return {"wind": (0.0, 1.0), "load": (0.0, np.inf)}.get(self.name, (-np.inf, np.inf))

    def scale(self, place: str) -> float:
        """What one unit of the samples means, in the unit of the series."""
        return self.capacity_mw.get(place, 1.0)


@dataclass(frozen=True)
class Training:
    """How a forecaster is trained, as ``conf`` says it."""

    model: Mapping[str, Any]
    train_days: int
    valid_days: int
    lookback_days: int
    seed: int
    progress: bool = False


@dataclass(frozen=True, eq=False)
class Trained:
    """A forecaster ready to predict, with the last days that it did not learn from.

    ``credible``: range, in units of the samples, outside which a prediction is taken for a failure of the model.
    """

    forecaster: TrainedForecaster
    recent: DayAheadSamples
    report: FitReport | None
    credible: tuple[float, float] = (-np.inf, np.inf)


def decision_time(night: Night, times: Mapping[str, str]) -> DecisionTime:
    """The decision time that training imitates. Raises ``ConfigError`` for a clock time that cannot be read."""
    text = str(times[night.mode])
    try:
        return DecisionTime(-1, time.fromisoformat(text))
    except ValueError as error:
        raise ConfigError(f"decision_time.{night.mode}={text} is no clock time; write it like 11:30") from error


def plan_of(target: Target, place: str, night: Night) -> ChannelPlan:
    """The input series of one place."""
    return channel_plan(target.name, place, condition_zone=night.zone, price_known=night.mode is Mode.EVENING)


def past_samples(
    store: Store, target: Target, night: Night, decision: DecisionTime, training: Training
) -> DayAheadSamples:
    """Every past day whose target is known at ``night.as_of``, all places stacked, then the peers that are known as long.

    Raises ``DataError`` if fewer than ``FEWEST_DAYS`` days of a place are known, naming the target and the place.
    """
    parts = []
    for place in target.places:
        samples = _known_days(store, target, place, night, decision, training)
        if len(samples) < FEWEST_DAYS:
            raise DataError(
                f"{target.name} of {place}: only {len(samples)} of the {training.train_days + training.valid_days} days before "
                f"{night.delivery_day} are known at as_of; {FEWEST_DAYS} are needed, fetch more history or take a later as_of"
            )
        parts.append(scaled(samples, 1 / target.scale(place)))
    for peer, time_zone in target.peers.items():
        there = replace(night, zone=peer, market_time_zone=time_zone)
        with suppress(NoDataError):
            samples = _known_days(store, target, peer, there, decision, training)
            if len(samples) >= FEWEST_DAYS:
                parts.append(samples)
    return DayAheadSamples.concat(parts)


def _known_days(
    store: Store, target: Target, place: str, night: Night, decision: DecisionTime, training: Training
) -> DayAheadSamples:
    first = night.delivery_day - timedelta(days=training.train_days + training.valid_days)
    return build_samples(
        store,
        plan_of(target, place, night),
        first_day=np.datetime64(first),
        last_day=np.datetime64(night.delivery_day - timedelta(days=1)),
        time_zone=night.market_time_zone,
        decision=decision,
        history_days=training.lookback_days,
        step_minutes=night.step_minutes,
        as_of=night.as_of,
    ).known()


def scaled(samples: DayAheadSamples, factor: float) -> DayAheadSamples:
    """The samples with target and target history multiplied by ``factor``."""
    if factor == 1.0:
        return samples
    history = samples.history.copy()
    history[..., 0] *= np.float32(factor)
    return replace(samples, history=history, y=samples.y * np.float32(factor))


def split(samples: DayAheadSamples, night: Night, valid_days: int) -> tuple[DayAheadSamples, DayAheadSamples]:
    """Training days, and the last ``valid_days`` days."""
    edge = np.datetime64(night.delivery_day - timedelta(days=valid_days))
    return samples.select(samples.day < edge), samples.select(samples.day >= edge)


def train(samples: DayAheadSamples, night: Night, training: Training) -> tuple[Forecaster, FitReport]:
    """A fresh forecaster of the configured model, fitted on all but the last days, which stop it early.

    Samples of one place have no other to be told apart from: their forecaster goes without the embedding.
    """
    settings = {key: value for key, value in training.model.items() if key != "name"}
    if embedded(training) and not several_sources(samples):
        del settings["embedding"], settings["source_context"]
    model = forecasting.create(str(training.model["name"]), **settings)
    past, recent = split(samples, night, training.valid_days)
    if not len(past) or not len(recent):
        raise NoDataError(
            f"{samples.target}: {len(past)} days to train on and {len(recent)} to stop on before {night.delivery_day}; "
            "shorten history.valid_days or fetch more history"
        )
    return model, model.fit(past, recent, seed=training.seed, progress=training.progress)


def embedded(training: Training) -> bool:
    """Whether the configured model describes its zones or sites by a source embedding."""
    return training.model.get("embedding") is not None


def several_sources(samples: DayAheadSamples) -> bool:
    """Whether an embedding has anything to tell apart."""
    return len(np.unique(samples.zone)) > 1


def artefact_path(root: Path, source: str, target: Target, night: Night, training: Training) -> Path:
    """Where the artefact of this night would lie: a folder per source and zone, a name per recipe and day."""
    recipe = {
        "model": training.model,
        "days": [training.train_days, training.valid_days, training.lookback_days],
        "places": target.places,
        "step": night.step_minutes,
        "seed": training.seed,
        **({"peers": sorted(target.peers)} if target.peers else {}),
    }
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True, default=str).encode()).hexdigest()[:8]
    stamp = night.as_of.strftime("%Y-%m-%dT%H%MZ")
    return root / source / night.zone / f"{target.name}-{night.mode}-{training.model['name']}-{digest}-{stamp}.pt"


def recipe_of(path: Path) -> str:
    """What the names of all artefacts of one recipe begin with."""
    return path.name.rsplit("-", 3)[0]


def saved_artefact(path: Path, night: Night, max_age_days: float) -> Path | None:
    """The newest artefact of the same recipe that was trained at or before ``night.as_of`` and is not too old."""
    for stamp, other in saved_artefacts(path, night):
        return other if night.as_of - stamp <= pd.Timedelta(days=max_age_days) else None
    return None


def saved_artefacts(path: Path, night: Night) -> list[tuple[pd.Timestamp, Path]]:
    """Every artefact of the same recipe trained at or before ``night.as_of``, with that instant, the newest first."""
    prefix = recipe_of(path)
    found = []
    for other in path.parent.glob(f"{prefix}-*.pt"):
        stamp = pd.to_datetime(
            other.stem.removeprefix(f"{prefix}-"), format="%Y-%m-%dT%H%MZ", utc=True, errors="coerce"
        )
        if stamp is not pd.NaT and stamp <= night.as_of:
            found.append((stamp, other))
    return sorted(found, reverse=True)


def obtain(
    store: Store,
    source: str,
    target: Target,
    night: Night,
    decision: DecisionTime,
    training: Training,
    root: Path,
    max_age_days: float,
) -> Trained:
    """The saved forecaster of this recipe, or a newly trained one, saved. A damaged artefact is trained anew."""
    samples = past_samples(store, target, night, decision, training)
    path = artefact_path(root, source, target, night, training)
    return loaded_or_trained(saved_artefact(path, night, max_age_days), path, samples, night, training)


def loaded_or_trained(
    saved: Path | None, path: Path, samples: DayAheadSamples, night: Night, training: Training
) -> Trained:
    """The forecaster of ``saved``; if there is none, or it is damaged, one trained on ``samples`` and saved at ``path``."""
    if saved is not None:
        try:
            return loaded(saved, samples, night, training)
        except ArtefactError:
            saved = None
    model, report = train(samples, night, training)
    save(path, model, samples, night, training)
    return replace(loaded(path, samples, night, training), report=report)


def loaded(path: Path, samples: DayAheadSamples, night: Night, training: Training) -> Trained:
    """The forecaster saved at ``path``, with the recent days of ``samples``, its places described by those before them.

    Raises ``ArtefactError``.
    """
    past, recent = split(samples, night, training.valid_days)
    forecaster = forecasting.load(path)
    forecaster.describe_sources(past)
    return Trained(forecaster, recent, None, credible_range(samples))


def save(path: Path, model: Forecaster, samples: DayAheadSamples, night: Night, training: Training) -> None:
    """Write ``model`` as the artefact ``path`` of this night."""
    forecasting.save(
        path, model, samples, seed=training.seed, newest_available_at=night.as_of, config=dict(training.model)
    )


def credible_range(past: DayAheadSamples) -> tuple[float, float]:
    """The range of the past outcomes, widened by its own width on either side."""
    low, high = float(np.nanmin(past.y)), float(np.nanmax(past.y))
    room = max(high - low, abs(high), abs(low), 1e-9)
    return low - room, high + room


def refuse_absurd(prediction: Prediction, credible: tuple[float, float], what: str) -> None:
    """Raise ``DataError`` for a prediction that is not finite or whose mean leaves the credible range."""
    for name in ("mean", "std", "quantiles"):
        if not np.isfinite(getattr(prediction, name)).all():
            raise DataError(f"{what}: the predicted {name} is not finite")
    low, high = credible
    if prediction.mean.min() < low or prediction.mean.max() > high:
        raise DataError(
            f"{what}: the predicted mean runs from {prediction.mean.min():.4g} to {prediction.mean.max():.4g}, "
            f"outside what the past makes credible ({low:.4g} to {high:.4g})"
        )


def forecast_places(
    store: Store,
    target: Target,
    night: Night,
    trained: Trained,
    training: Training,
    records: Mapping[str, Mapping[str, Any]],
) -> list[Forecast]:
    """One forecast for each place of the target, in the unit of its series."""
    forecasts = []
    for place in target.places:
        unit_row = live_row(store, target, place, night, training)
        forecast = trained.forecaster.forecast(
            unit_row,
            night.index,
            time_zone=night.market_time_zone,
            inputs=_inputs(plan_of(target, place, night), night, records),
            simulated=target.simulated,
            prediction=calibrated(trained, target, place, unit_row),
        )
        forecasts.append(times(forecast, target.scale(place)))
    return forecasts


def live_row(store: Store, target: Target, place: str, night: Night, training: Training) -> DayAheadSamples:
    """What is known of the delivery day at ``night.as_of``, in units of the samples: one row."""
    row = live_sample(
        store,
        plan_of(target, place, night),
        day=night.delivery_day,
        as_of=night.as_of,
        time_zone=night.market_time_zone,
        history_days=training.lookback_days,
        step_minutes=night.step_minutes,
    )
    return scaled(row, 1 / target.scale(place))


def times(forecast: Forecast, factor: float) -> Forecast:
    """The forecast multiplied by a positive factor."""
    if factor == 1.0:
        return forecast
    names = ("mean", "std", "quantiles", "scenarios")
    return replace(forecast, **{name: getattr(forecast, name) * factor for name in names})


def _inputs(plan: ChannelPlan, night: Night, records: Mapping[str, Mapping[str, Any]]) -> dict[str, InputRecord]:
    inputs = {}
    for channel in dict.fromkeys((*plan.history, *plan.future)):
        name = channel.series if channel.zone == night.zone else f"{channel.series} {channel.zone}"
        record = records.get(name)
        if record is not None:
            inputs[name] = InputRecord(record["origin"], record["newest"], str(record["note"]))
    return inputs


def calibrated(trained: Trained, target: Target, place: str, row: DayAheadSamples) -> Prediction:
    """The prediction of ``row``, its intervals corrected by the recent days of the place and kept inside what is physical.

    Raises ``DataError`` for a prediction that cannot be meant.
    """
    recent = trained.recent.select(np.flatnonzero(trained.recent.zone == place))
    raw = trained.forecaster.predict(recent)
    rule = RollingConformal(pooled_steps=POOLED_HOURS * 60 // row.step_minutes)
    correction = rule.learn(raw.quantiles, recent.y.astype(np.float64), raw.levels)
    live = trained.forecaster.predict(row)
    refuse_absurd(live, trained.credible, f"{target.name} of {place}, {trained.forecaster.meta.model_id}")
    prediction = rule.apply(live, correction)
    low, high = target.bounds
    return replace(
        prediction, mean=np.clip(prediction.mean, low, high), quantiles=np.clip(prediction.quantiles, low, high)
    )


def unpublished(forecasts: Sequence[Forecast], night: Night, records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Forecast inputs that were not out for the delivery day when the night was decided, in words."""
    texts = []
    for name in sorted({name for forecast in forecasts for name in forecast.inputs if name.endswith("_forecast")}):
        newest = records[name]["newest"]
        if newest is not None and newest < night.index[0]:
            texts.append(f"{name} of the delivery day was not published yet")
    return texts
