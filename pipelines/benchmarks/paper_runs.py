"""Training of every model of the paper's tables on the same days: resumable, on as many processes as wanted."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from forecasting.backtest_parts import PartStore, Span
from forecasting.embedding import EmbeddingQuality, SourceEncoder
from forecasting.models import create
from forecasting.models.base import Forecaster, Prediction
from forecasting.models.neural import NeuralForecaster
from forecasting.samples import DayAheadSamples
from pipelines.benchmarks.paper_data import PaperTask

Vectors = Mapping[str, NDArray[np.float32]]

_WHOLE = Span(0, 0, 1, refit=True)


@dataclass(frozen=True, eq=False)
class PaperJob:
    """One model, trained on one task from one seed. ``vectors`` are the source embeddings, for models that take them."""

    task: PaperTask
    model: str
    settings: Mapping[str, Any]
    seed: int
    vectors: Vectors = field(default_factory=dict)
    parts: Path | None = None

    @property
    def label(self) -> str:
        """What progress calls it."""
        return f"{self.task.name} {self.model} seed {self.seed}"

    def fresh(self) -> Forecaster:
        """The untrained model."""
        settings = dict(self.settings)
        model = create(str(settings.pop("name")), **settings)
        if isinstance(model, NeuralForecaster) and self.vectors:
            model.set_context(self.vectors)
        return model

    def store(self) -> PartStore:
        """Where the finished training lies, in memory without a folder."""
        about = [self.model, dict(self.settings), self.seed]
        return PartStore(self.parts, _digest(about, [self.task.train, self.task.test], self.vectors))


@dataclass(frozen=True, eq=False)
class PaperResult:
    """Predictions of the test rows by one trained model, and what they cost."""

    job: PaperJob
    prediction: Prediction
    train_seconds: float
    predict_seconds: float

    def trained(self) -> Forecaster:
        """The model itself, read back from the parts folder; trained again if there is none."""
        store = self.job.store()
        if store.has(_WHOLE):
            return self.job.fresh().load_state(store.state(_WHOLE))
        model = self.job.fresh()
        model.fit(self.job.task.train, seed=self.job.seed)
        return model


def run_paper_job(job: PaperJob) -> PaperResult:
    """Train and predict, or read what an earlier run of the same job left."""
    store = job.store()
    if not store.has(_WHOLE):
        model = job.fresh()
        started = time.process_time()
        model.fit(job.task.train, seed=job.seed)
        fitted = time.process_time()
        prediction = model.predict(job.task.test)
        found = {
            "mean": prediction.mean,
            "std": prediction.std,
            "quantiles": prediction.quantiles,
            "levels": np.asarray(prediction.levels),
            "train_seconds": fitted - started,
            "predict_seconds": time.process_time() - fitted,
        }
        store.save(_WHOLE, found, model.state())
    part = store.load(_WHOLE)
    levels = tuple(float(level) for level in part["levels"])
    prediction = Prediction(part["mean"], part["std"], part["quantiles"], levels)
    return PaperResult(job, prediction, float(part["train_seconds"]), float(part["predict_seconds"]))


def run_paper_jobs(
    jobs: Sequence[PaperJob], workers: int, progress: Callable[[PaperResult, int], None]
) -> dict[tuple[str, str], list[PaperResult]]:
    """Results by task and model, one per seed in order; ``progress`` hears each one and how many are done."""
    results: dict[tuple[str, str], list[PaperResult]] = {(job.task.name, job.model): [] for job in jobs}
    for done, result in enumerate(_each(jobs, workers), start=1):
        results[result.job.task.name, result.job.model].append(result)
        progress(result, done)
    for runs in results.values():
        runs.sort(key=lambda result: result.job.seed)
    return results


def _each(jobs: Sequence[PaperJob], workers: int) -> Iterator[PaperResult]:
    if workers == 1:
        yield from map(run_paper_job, jobs)
        return
    yield from Parallel(n_jobs=workers, return_as="generator_unordered")(delayed(run_paper_job)(job) for job in jobs)


@dataclass(frozen=True, eq=False)
class TaskEmbedding:
    """Source embeddings of one task: a vector per source from training days, and how well unseen days are told apart."""

    vectors: Vectors
    quality: EmbeddingQuality
    train_seconds: float


def embed_sources(task: PaperTask, settings: Mapping[str, Any], seed: int, parts: Path | None) -> TaskEmbedding:
    """Train the source encoder on the training days of ``task``, or read what an earlier run left."""
    encoder = SourceEncoder(**settings)
    digest = _digest(["source encoder", encoder.settings(), seed], [task.train], {})
    store = PartStore(parts, digest)
    if not store.has(_WHOLE):
        started = time.process_time()
        losses = encoder.fit(task.train, seed=seed)
        took = time.process_time() - started
        store.save(_WHOLE, {"losses": np.asarray(losses), "train_seconds": took}, encoder.state())
    encoder.load_state(store.state(_WHOLE))
    quality = encoder.quality(task.train, task.test)
    return TaskEmbedding(encoder.describe(task.train), quality, float(store.load(_WHOLE)["train_seconds"]))


def _digest(about: Sequence[Any], samples: Sequence[DayAheadSamples], vectors: Vectors) -> str:
    """What a saved part depends on: model, settings, seed, embeddings and every value of the samples."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
    for part in samples:
        for array in (part.history, part.future, part.y, part.day.astype(np.int64)):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update("|".join(part.zone.tolist()).encode())
    for zone in sorted(vectors):
        digest.update(zone.encode() + np.ascontiguousarray(vectors[zone]).tobytes())
    return digest.hexdigest()[:16]
