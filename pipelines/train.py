"""``python -m pipelines.train``: train one forecaster and save it as one artefact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import forecasting
from forecasting.embedding import EmbeddingQuality
from forecasting.errors import DataError
from forecasting.metrics import mean_absolute_error, root_mean_square_error
from forecasting.models.base import Forecaster
from forecasting.models.neural import NeuralForecaster
from forecasting.samples import DayAheadSamples
from pipelines.app import Outcome, Run, command
from pipelines.errors import ConfigError
from pipelines.stages import predict
from pipelines.stages.setting import open_setting, training_of
from pipelines.store_lock import store_lock


def run(run: Run) -> Outcome:
    """Series in, artefact out, with its learning curve and its scores on the last days."""
    from pipelines.report.page import render
    from pipelines.report.training import training_page

    config = run.config
    setting = open_setting(config)
    night = setting.night
    with run.phases.phase("fetch", f"fetching {night}"), store_lock(setting.store.root):
        fetched = setting.fetch()
    targets = {target.name: target for target in setting.area.targets(night, fetched.simulated)}
    name = str(config["target"])
    if name not in targets:
        raise ConfigError(f"target={name} is not forecast in the {night.mode}; use one of: {', '.join(targets)}")
    target, training = targets[name], training_of(config, run.seed, progress=run.phases.watched)
    decision = predict.decision_time(night, config["decision_time"])
    with run.phases.phase("samples", f"building samples of {name}"):
        samples = predict.past_samples(setting.store, target, night, decision, training)
    if predict.embedded(training) and not predict.several_sources(samples):
        raise ConfigError(
            f"an embedding tells several zones or sites apart, {name} has {samples.zone[0]} alone: name further zones whose "
            "prices train beside it, as peers=[ZONE, ...], or train target=wind with several sites"
        )
    with run.phases.phase("train", f"training {config['model']['name']}", bar=run.phases.watched):
        model, report = predict.train(samples, night, training)
    path = Path(config["artefact"] or run.folder.path / f"{name}.pt")
    meta = forecasting.save(
        path, model, samples, seed=run.seed, newest_available_at=night.as_of, config=config["model"]
    )
    past, recent = predict.split(samples, night, training.valid_days)
    quality = _embedding_quality(model, past, recent)
    recent = recent.select(np.isin(recent.zone, target.places))
    mean, actual = model.predict(recent).mean, recent.y.astype(np.float64)
    scores = {"mae": mean_absolute_error(actual, mean), "rmse": root_mean_square_error(actual, mean)}
    curve = pd.DataFrame([dict(row) for row in report.curve])
    outcome = Outcome(
        record={
            "artefact": str(path),
            "model": meta.model_id,
            "target": name,
            "zone": night.zone,
            "simulated": sorted(fetched.simulated),
            "sources": sorted(set(samples.zone.tolist())),
            "samples": report.samples,
            "parameters": report.parameters,
            "samples_per_second": report.samples_per_second,
            "valid_days": training.valid_days,
            "valid": scores,
            "embedding": quality and quality.scores(),
        }
    )
    for peer in sorted(set(target.peers) - set(samples.zone.tolist())):
        outcome.degrade(f"{peer} took no part: fewer than {predict.FEWEST_DAYS} days of its {name} are known")
    with run.phases.phase("report", "writing the files and the page"):
        run.folder.frame("metrics.csv", curve)
        summary = {**run.provenance(), "status": outcome.status, "reasons": outcome.reasons, **outcome.record}
        rows = pd.DataFrame([{"model": meta.model, "target": name, **scores}])
        run.folder.text("report.html", render(training_page(summary, curve, scores=rows, embedding=quality)))
    days = len(np.unique(recent.day))
    outcome.headline = (
        f"{meta.model_id}: {name} of {night.zone}, MAE {scores['mae']:.3f} on the last {days} days\n{path}"
    )
    if quality is not None:
        outcome.headline += f"\n{quality}"
    return outcome


def _embedding_quality(model: Forecaster, past: DayAheadSamples, recent: DayAheadSamples) -> EmbeddingQuality | None:
    """How well the model's encoder tells its sources apart on days it has not seen; none without embedding or enough days."""
    if not isinstance(model, NeuralForecaster) or model.sources is None:
        return None
    try:
        return model.sources.quality(past, recent)
    except DataError:  # the days are too few for a segment
        return None


main = command("train", run)

if __name__ == "__main__":
    main()
