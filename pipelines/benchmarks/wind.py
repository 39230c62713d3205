"""Benchmark of local wind: arms by condition and source, known and never-seen farms, several seeds."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.benchmarks.wind import WindFarms, load_wind_farms
from forecasting.benchmarks.wind_regional import RegionalForecaster, regional_power
from forecasting.benchmarks.wind_samples import Condition
from forecasting.benchmarks.wind_study import (
    Arm,
    ArmForecast,
    Fold,
    Source,
    embeddings,
    forecast_arm,
    known_fold,
    unseen_folds,
)
from forecasting.metrics import root_mean_square_error
from forecasting.models import create
from forecasting.names import unknown
from forecasting.sources.files import FileSource
from pipelines.app import Outcome, Run
from pipelines.benchmarks.wind_parts import load_arm, load_arrays, save_arm
from pipelines.benchmarks.wind_scores import SUMMARY_KEYS, Forecasts, headline, prediction_frame, study_rows
from pipelines.errors import ConfigError
from pipelines.report.benchmark import benchmark_page
from pipelines.report.page import render
from pipelines.run_folder import config_hash
from pipelines.stages.sources import open_source

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class WindSettings:
    """The group ``benchmark`` of the configuration, checked."""

    conditions: tuple[Condition, ...]
    sources: tuple[Source, ...]
    first: np.datetime64
    last: np.datetime64
    never_seen: tuple[Condition, ...]
    held_out: int
    history_days: int
    refit_days: int | None
    forecaster: Mapping[str, Any]
    regional: RegionalForecaster
    embeddings: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> WindSettings:
        """Raises ``ConfigError`` naming the nearest right word."""
        first, last = (_day(settings, key) for key in ("test_from", "test_until"))
        if first > last:
            raise ConfigError(f"benchmark.test_from={first} lies after benchmark.test_until={last}")
        forecaster = dict(settings["forecaster"])
        create(str(forecaster["name"]), source_context="none", **{k: v for k, v in forecaster.items() if k != "name"})
        for source in settings["embeddings"]:
            if source not in list(Source):
                raise ConfigError(unknown("benchmark.embeddings", str(source), list(Source)))
        return cls(
            conditions=tuple(Condition(_word("conditions", word, Condition)) for word in settings["conditions"]),
            sources=tuple(Source(_word("sources", word, Source)) for word in settings["sources"]),
            first=first,
            last=last,
            never_seen=tuple(Condition(_word("never_seen", word, Condition)) for word in settings["never_seen"]),
            held_out=int(settings["held_out"]),
            history_days=int(settings["history_days"]),
            refit_days=settings["refit_days"],
            forecaster=forecaster,
            regional=RegionalForecaster(**settings["regional"]),
            embeddings=settings["embeddings"],
        )

    def arms(self, fold: Fold) -> Iterator[Arm]:
        """The variants that mean something for ``fold``.

        Without a condition there is nothing to describe a farm's answer to, and an identity table has no row for a farm
        that never trained.
        """
        strangers = not set(fold.test) <= set(fold.train)
        for condition in self.never_seen if strangers else self.conditions:
            for source in self.sources:
                untold = condition is Condition.NONE or (strangers and not source.described)
                if source is Source.NONE or not untold:
                    yield Arm(condition, source)


def run_wind(run: Run) -> Outcome:
    """Fit every arm on every fold and seed, score it, and write tables and page."""
    config = run.config
    settings = WindSettings.of(config["benchmark"])
    with run.phases.phase("read", "reading the farms"):
        farms = _farms(config["benchmark"], settings)
    folds = [known_fold(farms.sites)]
    if settings.never_seen and len(farms.sites) >= settings.held_out + 2:
        folds += unseen_folds(farms.sites, settings.held_out)
    parts = Path(str(config["parts"])) / f"wind-{_fingerprint(config['benchmark'], farms)}"
    with run.phases.phase("regional", "publishing the regional forecasts"):
        regional = {fold.name: _regional(farms, fold, settings, run.seed, parts) for fold in folds}
    seeds = range(run.seed, run.seed + int(config["seeds"]))
    forecasts = _forecasts(run, farms, folds, regional, settings, seeds, parts)
    with run.phases.phase("score", "scoring"):
        table = pd.DataFrame(study_rows(forecasts))
    overall = table[table["slice"] == "all"].drop(columns="slice")
    rows = overall[[key for key in SUMMARY_KEYS if key in overall]]
    test = (farms.day >= settings.first) & (farms.day <= settings.last)
    truth, published = regional_power(farms, farms.sites)[test], regional["known"][test]
    both = np.isfinite(truth) & np.isfinite(published)
    record: dict[str, Any] = {
        "benchmark": "wind",
        "layout": config["benchmark"]["layout"],
        "farms": list(farms.sites),
        "test_days": [str(settings.first), str(settings.last)],
        "regional_rmse": root_mean_square_error(truth[both], published[both]),
        "rows": rows.astype(object).where(rows.notna(), None).to_dict("records"),
    }
    outcome = Outcome(record=record, headline=headline(rows, record["regional_rmse"]))
    with run.phases.phase("report", "writing the tables and the page"):
        run.folder.frame("metrics.csv", table)
        run.folder.frame("predictions.parquet", prediction_frame(forecasts))
        summary = {**run.provenance(), "status": outcome.status, "reasons": outcome.reasons, **record}
        run.folder.text("report.html", render(benchmark_page(rows, summary)))
    if not config["keep_parts"]:
        shutil.rmtree(parts, ignore_errors=True)
    return outcome


def _regional(farms: WindFarms, fold: Fold, settings: WindSettings, seed: int, parts: Path) -> FloatArray:
    def publish() -> dict[str, FloatArray]:
        return {"published": settings.regional.publish(farms, fold.train, settings.first, seed=seed)}

    published: FloatArray = load_arrays(parts, f"regional {fold.name} seed {seed}", publish)["published"]
    return published


def _forecasts(
    run: Run,
    farms: WindFarms,
    folds: Sequence[Fold],
    regional: Mapping[str, FloatArray],
    settings: WindSettings,
    seeds: Sequence[int],
    parts: Path,
) -> Forecasts:
    """Every arm by group of farms, arm and seed; never-seen farms are joined over their folds."""
    plan = [(seed, fold, arm) for seed in seeds for fold in folds for arm in settings.arms(fold)]
    found: dict[tuple[str, Arm, int], list[ArmForecast]] = {}
    with run.phases.phase("fit", f"{len(plan)} fits", bar=True):
        for number, (seed, fold, arm) in enumerate(plan, 1):
            text = f"fit {number} of {len(plan)}: {fold.name}, {arm.label}, seed {seed}"
            with run.phases.console.status(f"{text} …"):
                forecast = load_arm(parts, f"{fold.name} {arm.label} seed {seed}")
                if forecast is None:
                    forecast = _fit(farms, regional[fold.name], fold, arm, settings, seed, parts)
                    save_arm(parts, f"{fold.name} {arm.label} seed {seed}", forecast)
            group = "known farms" if fold.name == "known" else "never-seen farms"
            found.setdefault((group, arm, seed), []).append(forecast)
    return {key: ArmForecast.joined(found[key]) for key in found}


def _fit(
    farms: WindFarms,
    regional: FloatArray,
    fold: Fold,
    arm: Arm,
    settings: WindSettings,
    seed: int,
    parts: Path,
) -> ArmForecast:
    vectors = None
    if arm.source.described:
        vectors = load_arrays(
            parts,
            f"{arm.source} {fold.name} seed {seed}",
            lambda: embeddings(
                farms, regional, fold, arm.source, settings.first, settings.embeddings[arm.source], seed=seed
            ),
        )
    model = dict(settings.forecaster)
    return forecast_arm(
        farms,
        regional,
        fold,
        arm,
        settings.first,
        settings.last,
        partial(create, str(model.pop("name")), **model),
        vectors,
        refit_days=settings.refit_days,
        history_days=settings.history_days,
        seed=seed,
    )


def _farms(group: Mapping[str, Any], settings: WindSettings) -> WindFarms:
    source = open_source({"kind": "files", "root": group["root"], "layout": group["layout"]})
    assert isinstance(source, FileSource)
    farms = load_wind_farms(source, group["sites"])
    if not farms.day[0] < settings.first <= farms.day[-1]:
        raise ConfigError(
            f"benchmark.test_from={settings.first} is outside the data, {farms.day[0]} to {farms.day[-1]}"
        )
    return farms.until(settings.last)


#: Settings that choose which pieces are made, and change none of them.
_CHOICES = ("conditions", "sources", "never_seen", "sites", "root")


def _fingerprint(group: Mapping[str, Any], farms: WindFarms) -> str:
    """What every finished piece depends on; more seeds or arms go on with the pieces that are there."""
    digest = hashlib.sha256(config_hash({key: group[key] for key in group if key not in _CHOICES}).encode())
    digest.update("|".join(farms.sites).encode())
    for values in (farms.power, farms.u, farms.v, farms.issued_at, farms.power_known_at):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def _word(key: str, word: object, known: type[Condition] | type[Source]) -> str:
    if word not in list(known):
        raise ConfigError(unknown(f"benchmark.{key}", str(word), list(known)))
    return str(word)


def _day(settings: Mapping[str, Any], key: str) -> np.datetime64:
    try:
        return np.datetime64(str(settings[key]), "D")
    except ValueError as error:
        raise ConfigError(f"benchmark.{key}={settings[key]} is not a date; write it like 2013-07-01") from error
