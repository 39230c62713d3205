"""``python -m pipelines.forecast``: forecast one delivery day from a saved artefact."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import forecasting
from pipelines.app import Outcome, Run, command
from pipelines.errors import ConfigError
from pipelines.stages import predict
from pipelines.stages.publish import forecast_record
from pipelines.stages.scenarios import Made, with_joint_paths
from pipelines.stages.setting import open_setting, training_of
from pipelines.store_lock import store_lock


def run(run: Run) -> Outcome:
    """Artefact and series in, one table of quantiles and paths out."""
    config = run.config
    artefact = forecasting.load(Path(config["artefact"]))
    config["model"] = {"name": artefact.meta.model, **artefact.meta.settings}
    history = config["history"]
    history["lookback_days"] = artefact.meta.history_days
    if artefact.meta.settings.get("embedding"):  # as many days as each place is to be described by
        history["train_days"] = max(history["train_days"], artefact.meta.settings["embedding"]["average_days"])
    setting = open_setting(config)
    night = setting.night
    with run.phases.phase("fetch", f"fetching {night}"), store_lock(setting.store.root):
        fetched = setting.fetch()
    targets = {target.name: target for target in setting.area.targets(night, fetched.simulated)}
    name = artefact.meta.target
    if name not in targets:
        raise ConfigError(f"the artefact forecasts {name}, which is known in the {night.mode}; use an earlier as_of")
    target, training = targets[name], training_of(config, run.seed, progress=False)
    decision = predict.decision_time(night, config["decision_time"])
    with run.phases.phase("forecast", f"forecast of {name} for {night.delivery_day}"):
        samples = predict.past_samples(setting.store, target, night, decision, training)
        past, recent = predict.split(samples, night, training.valid_days)
        artefact.describe_sources(past)
        trained = predict.Trained(artefact, recent, None)
        places = predict.forecast_places(setting.store, target, night, trained, training, fetched.records)
        made = {setting.area.label(target, one.zone): Made(one, trained, target) for one in places}
        forecasts = with_joint_paths(made, night, int(config["forecast"]["scenarios"]), run.seed)
        run.folder.frame("forecast.parquet", pd.concat([one.to_frame() for one in forecasts.values()]).reset_index())
    outcome = Outcome(
        record={
            "delivery_day": night.delivery_day.isoformat(),
            "as_of": night.as_of,
            "mode": str(night.mode),
            "inputs": fetched.records,
            "forecast": forecast_record(forecasts),
        }
    )
    for finding in fetched.findings:
        outcome.degrade(finding)
    outcome.headline = "\n".join(str(forecast) for forecast in forecasts.values())
    return outcome


main = command("forecast", run)

if __name__ == "__main__":
    main()
