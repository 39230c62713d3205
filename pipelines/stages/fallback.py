"""When a model fails: an older artefact of the same recipe, then simpler models, and every step of it in words."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from forecasting.errors import ForecastingError, NoDataError, StorageError
from forecasting.forecast import Forecast, InputOrigin
from forecasting.samples import DayAheadSamples
from forecasting.store import Store
from forecasting.windows import DecisionTime
from pipelines.errors import MODEL_FAILURES, ForecastFailedError, first_line
from pipelines.progress import Phases
from pipelines.stages import predict
from pipelines.stages.night import Night
from pipelines.stages.predict import Target, Trained, Training
from pipelines.stages.recalibrate import Contest, Rules
from pipelines.time_budget import TimeBudget

log = logging.getLogger("adno")

#: Older artefacts of the same recipe that are tried before another model is.
OLDER_ARTEFACTS = 3


@dataclass(frozen=True)
class Attempt:
    """One way to a forecaster: its name for a sentence, and how to get it."""

    name: str
    training: Training
    obtain: Callable[[], Trained]


@dataclass(frozen=True)
class TargetForecasts:
    """Forecasts of one target, and why they are not from the configured model (empty if they are).

    contest: what the status says of champion and challenger, if the model is recalibrated.
    """

    trained: Trained
    forecasts: list[Forecast]
    fallback: str = ""
    contest: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ForecastDesk:
    """What every forecast of a night shares.

    source: name of the data source; root: folder of artefacts; models: names to fall back to, in order. rules: how the
    champion is challenged, within ``budget``; without them an artefact serves until it is too old.
    """

    store: Store
    source: str
    night: Night
    decision: DecisionTime
    training: Training
    root: Path
    max_age_days: float
    models: Sequence[str]
    records: Mapping[str, Mapping[str, Any]]
    rules: Rules | None = None
    budget: TimeBudget = field(default_factory=lambda: TimeBudget(0.0))

    def forecast(self, target: Target, phases: Phases) -> TargetForecasts:
        """The forecasts of the first attempt that succeeds.

        Raises ``DataError`` if the past is too short for any model, ``ForecastFailedError`` with every reason if no
        attempt succeeds, and at once what says that the configuration is wrong or the disk full.
        """
        samples = self._past_samples(target)
        contest = self._contest(target)
        if contest is not None:
            contest.settle(samples)
        failures: list[tuple[str, Exception]] = []
        for attempt in self._attempts(target, samples, contest):
            try:
                with phases.phase("train", f"{attempt.name} for {target.name}", bar=phases.watched):
                    trained = attempt.obtain()
                with phases.phase("forecast", f"forecast of {target.name} at {', '.join(target.places)}"):
                    forecasts = predict.forecast_places(
                        self.store, target, self.night, trained, attempt.training, self.records
                    )
            except MODEL_FAILURES as error:
                if isinstance(error, StorageError) or (isinstance(error, ForecastingError) and error.exit_code != 1):
                    raise
                log.warning("%s for %s failed", attempt.name, target.name, exc_info=True)
                failures.append((attempt.name, error))
                continue
            verdict = None
            if contest is not None and attempt.training is self.training:
                with phases.phase("recalibrate", f"champion and challenger for {target.name}"):
                    contest.used(trained, first_line(failures[0][1]) if failures else "")
                    contest.enter(trained, samples)
                verdict = contest.verdict()
            return TargetForecasts(trained, forecasts, self._words(target, failures, attempt), verdict)
        told = "; ".join(f"{name} failed: {first_line(error)}" for name, error in failures)
        raise ForecastFailedError(f"no forecast of {target.name}: {told}") from failures[0][1]

    def _past_samples(self, target: Target) -> DayAheadSamples:
        try:
            return predict.past_samples(self.store, target, self.night, self.decision, self.training)
        except NoDataError as error:
            why = "; ".join(
                str(record["note"]) for name, record in self.records.items() if _missing(record, name, target)
            )
            if not why:
                raise
            hint = "; without wind sites in the zone set local.sites=0" if target.name == "wind" else ""
            raise NoDataError(f"{target.name} cannot be forecast: {why}{hint}") from error

    def _words(self, target: Target, failures: Sequence[tuple[str, Exception]], used: Attempt) -> str:
        if not failures:
            return ""
        name, error = failures[0]
        return f"{target.name} forecast by {used.name}, because {name} failed: {first_line(error)}"

    def _contest(self, target: Target) -> Contest | None:
        if self.rules is None:
            return None
        path = predict.artefact_path(self.root, self.source, target, self.night, self.training)
        return Contest(path, self.store, target, self.night, self.training, self.rules, self.budget)

    def _attempts(self, target: Target, samples: DayAheadSamples, contest: Contest | None) -> Iterator[Attempt]:
        path = predict.artefact_path(self.root, self.source, target, self.night, self.training)
        saved = (
            predict.saved_artefact(path, self.night, self.max_age_days)
            if contest is None
            else contest.serving(self.max_age_days)
        )
        yield self._of_model(self.training, target, samples, saved)
        older = dict(contest.reserves() if contest is not None else [])
        older |= dict(predict.saved_artefacts(path, self.night)[:OLDER_ARTEFACTS])
        for stamp, reserve in sorted(older.items(), reverse=True):
            if reserve != saved:
                yield self._of_file(reserve, f"its artefact of {stamp:%Y-%m-%d %H:%M} UTC", samples)
        for name in self.models:
            if name != self.training.model["name"]:
                training = replace(self.training, model={"name": name})
                other = predict.artefact_path(self.root, self.source, target, self.night, training)
                saved = predict.saved_artefact(other, self.night, self.max_age_days)
                yield self._of_model(training, target, samples, saved)

    def _of_model(self, training: Training, target: Target, samples: DayAheadSamples, saved: Path | None) -> Attempt:
        path = predict.artefact_path(self.root, self.source, target, self.night, training)
        return Attempt(
            str(training.model["name"]),
            training,
            lambda: predict.loaded_or_trained(saved, path, samples, self.night, training),
        )

    def _of_file(self, path: Path, name: str, samples: DayAheadSamples) -> Attempt:
        return Attempt(name, self.training, lambda: predict.loaded(path, samples, self.night, self.training))


def _missing(record: Mapping[str, Any], name: str, target: Target) -> bool:
    series = {"wind": "wind_power"}.get(target.name, target.name)
    return record["origin"] == str(InputOrigin.MISSING) and name.split()[0] == series
