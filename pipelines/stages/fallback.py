"""When a model fails: an older artefact of the same recipe, then simpler models, and every step of it in words."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import forecasting
from forecasting.errors import ForecastingError, StorageError
from forecasting.forecast import Forecast
from forecasting.samples import DayAheadSamples
from forecasting.store import Store
from forecasting.windows import DecisionTime
from pipelines.errors import ForecastFailedError
from pipelines.progress import Phases
from pipelines.stages import predict
from pipelines.stages.night import Night
from pipelines.stages.predict import Target, Trained, Training

log = logging.getLogger("adno")

#: What a model that fails may raise; anything else is a defect of the job itself.
FAILURES = (ForecastingError, RuntimeError, ArithmeticError, ValueError, MemoryError)

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
    """Forecasts of one target, and why they are not from the configured model (empty if they are)."""

    trained: Trained
    forecasts: list[Forecast]
    fallback: str = ""


@dataclass(frozen=True)
class ForecastDesk:
    """What every forecast of a night shares.

    source: name of the data source; root: folder of artefacts; models: names to fall back to, in order.
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

    def forecast(self, target: Target, phases: Phases) -> TargetForecasts:
        """The forecasts of the first attempt that succeeds.

        Raises ``DataError`` if the past is too short for any model, ``ForecastFailedError`` with every reason if no
        attempt succeeds, and at once what says that the configuration is wrong or the disk full.
        """
        samples = predict.past_samples(self.store, target, self.night, self.decision, self.training)
        failures: list[tuple[str, Exception]] = []
        for attempt in self._attempts(target, samples):
            try:
                with phases.phase("train", f"{attempt.name} for {target.name}", bar=phases.watched):
                    trained = attempt.obtain()
                with phases.phase("forecast", f"forecast of {target.name} at {', '.join(target.places)}"):
                    forecasts = predict.forecast_places(
                        self.store, target, self.night, trained, attempt.training, self.records
                    )
            except FAILURES as error:
                if isinstance(error, StorageError) or (isinstance(error, ForecastingError) and error.exit_code != 1):
                    raise
                log.warning("%s for %s failed", attempt.name, target.name, exc_info=True)
                failures.append((attempt.name, error))
                continue
            return TargetForecasts(trained, forecasts, self._words(target, failures, attempt))
        told = "; ".join(f"{name} failed: {_first_line(error)}" for name, error in failures)
        raise ForecastFailedError(f"no forecast of {target.name}: {told}") from failures[0][1]

    def _words(self, target: Target, failures: Sequence[tuple[str, Exception]], used: Attempt) -> str:
        if not failures:
            return ""
        name, error = failures[0]
        return f"{target.name} forecast by {used.name}, because {name} failed: {_first_line(error)}"

    def _attempts(self, target: Target, samples: DayAheadSamples) -> Iterator[Attempt]:
        first = self._of_model(self.training, target, samples)
        yield first
        path = predict.artefact_path(self.root, self.source, target, self.night, self.training)
        for stamp, older in predict.saved_artefacts(path, self.night)[:OLDER_ARTEFACTS]:
            yield self._of_file(older, f"its artefact of {stamp:%Y-%m-%d %H:%M} UTC", samples)
        for name in self.models:
            if name != self.training.model["name"]:
                yield self._of_model(replace(self.training, model={"name": name}), target, samples)

    def _of_model(self, training: Training, target: Target, samples: DayAheadSamples) -> Attempt:
        def obtain() -> Trained:
            return predict.obtain(
                self.store,
                self.source,
                target,
                self.night,
                self.decision,
                training,
                self.root,
                self.max_age_days,
                samples,
            )

        return Attempt(str(training.model["name"]), training, obtain)

    def _of_file(self, path: Path, name: str, samples: DayAheadSamples) -> Attempt:
        def obtain() -> Trained:
            recent = predict.split(samples, self.night, self.training.valid_days)[1]
            return Trained(forecasting.load(path), recent, None, predict.credible_range(samples))

        return Attempt(name, self.training, obtain)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
