"""Rolling-origin backtests: refit on a stated schedule, predict every day from what was known, resume after a kill."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from forecasting.backtest_parts import PartStore, Span
from forecasting.code_version import code_version
from forecasting.errors import DataError, SettingError
from forecasting.models.base import Forecaster, Prediction
from forecasting.recalibration import Recalibration
from forecasting.samples import DayAheadSamples

#: Called as ``progress(days done, days in all)``.
Progress = Callable[[int, int], None]

_ONE_DAY = np.timedelta64(1, "D")


@runtime_checkable
class WarmStarting(Protocol):
    """A forecaster that can take a few optimiser steps on new days in place of a refit."""

    def warm_start_steps(self, samples: DayAheadSamples, steps: int = 2, *, seed: int = 0) -> None:
        """Take ``steps`` steps on ``samples``, newest day included."""


@runtime_checkable
class FineTuning(Protocol):
    """A forecaster that, trained on many zones, can go on with the rows of a few."""

    def fine_tune(self, samples: DayAheadSamples, steps: int, *, seed: int = 0) -> None:
        """Take ``steps`` steps on ``samples``."""


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """Predictions of every test row in order of day, and what they cost.

    ``rows`` are the test samples (``y`` included); ``prediction`` has the same order. Seconds are those of the process
    that did the work, resumed parts included.
    """

    rows: DayAheadSamples
    prediction: Prediction
    refits: int
    warm_starts: int
    fit_seconds: float
    predict_seconds: float
    parameters: int


@dataclass(frozen=True, eq=False)
class BacktestJob:
    """One backtest. ``factory`` builds a fresh forecaster; ``zones`` are tested (``None``: all), all zones train."""

    label: str
    factory: Callable[[], Forecaster]
    samples: DayAheadSamples
    first: np.datetime64
    last: np.datetime64
    recalibration: Recalibration = field(default_factory=Recalibration)
    zones: tuple[str, ...] | None = None
    seed: int = 0
    parts: Path | None = None


def backtest(
    factory: Callable[[], Forecaster],
    samples: DayAheadSamples,
    first: np.datetime64 | str,
    last: np.datetime64 | str,
    *,
    recalibration: Recalibration | None = None,
    zones: Sequence[str] | None = None,
    seed: int = 0,
    parts: Path | None = None,
    progress: Progress | None = None,
) -> BacktestResult:
    """Predict every day in ``[first, last]`` from forecasters trained on what was known at its decision time.

    ``parts`` is a folder in which finished stretches are kept: the same call after a kill goes on from the last one and
    gives the same result as an uninterrupted run. A changed model, setting, seed, data set or source code starts anew.

    Raises ``DataError`` if no test day lies in the interval or nothing is known before it.

    >>> from forecasting.models.naive import Naive
    >>> values = np.sin(np.arange(60 * 24) * np.pi / 12).reshape(60, 24).astype(np.float32)
    >>> day = np.datetime64("2024-01-01") + np.arange(7, 60)
    >>> history = np.stack([values[k - 7 : k, :, None] for k in range(7, 60)])
    >>> issued = (day - np.timedelta64(13, "h")).astype("datetime64[ns]")
    >>> nothing = np.zeros((53, 24, 0), dtype=np.float32)
    >>> zone = np.full(53, "DK_1")
    >>> samples = DayAheadSamples(
    ...     "price", "EUR/MWh", 60, zone, day, issued, history, ("price",), nothing, (), values[7:]
    ... )
    >>> result = backtest(Naive, samples, day[40], day[-1], recalibration=Recalibration(every_days=7))
    >>> result.refits, result.prediction.mean.shape
    (2, (13, 24))
    """
    job = BacktestJob(
        label="backtest",
        factory=factory,
        samples=samples,
        first=np.datetime64(str(first), "D"),
        last=np.datetime64(str(last), "D"),
        recalibration=recalibration or Recalibration(),
        zones=None if zones is None else tuple(zones),
        seed=seed,
        parts=parts,
    )
    return run_job(job, progress)


def backtest_many(
    jobs: Sequence[BacktestJob], *, workers: int = 1, progress: Callable[[str, BacktestResult], None] | None = None
) -> dict[str, BacktestResult]:
    """Run jobs (markets, seeds, windows) on ``workers`` processes; results by label, ``progress`` as each one ends."""
    if len({job.label for job in jobs}) != len(jobs):
        raise SettingError("every backtest job needs a label of its own")
    results: dict[str, BacktestResult] = {}
    running = Parallel(n_jobs=workers, return_as="generator_unordered")(delayed(_labelled)(job) for job in jobs)
    for label, result in running:
        results[label] = result
        if progress is not None:
            progress(label, result)
    return {job.label: results[job.label] for job in jobs}


def _labelled(job: BacktestJob) -> tuple[str, BacktestResult]:
    return job.label, run_job(job)


def known_before(samples: DayAheadSamples, day: np.datetime64) -> DayAheadSamples:
    """Rows of earlier days whose whole target was known at the decision time of ``day``, in order of day.

    A measured target of yesterday is still incomplete when today's decision for tomorrow falls; the history of the row
    to be predicted shows it as NaN. A date that is incomplete there, in any zone, trains nothing.
    """
    asking = samples.select(samples.day == day)
    incomplete = np.isnan(asking.history[..., 0]).any(axis=(0, 2)) if len(asking) else np.zeros(0, dtype=bool)
    lags = samples.history_days - np.flatnonzero(incomplete)
    usable = (samples.day < day) & np.isfinite(samples.y).all(axis=1) & ~np.isin(samples.day, day - lags * _ONE_DAY)
    rows = np.flatnonzero(usable)
    return samples.select(rows[np.argsort(samples.day[rows], kind="stable")])


def run_job(job: BacktestJob, progress: Progress | None = None) -> BacktestResult:
    """Run one job in this process; see ``backtest``."""
    test = _test_rows(job)
    days = np.unique(test.day)
    store = PartStore(job.parts, _fingerprint(job)) if job.parts is not None else PartStore(None, "")
    spans = list(_spans(len(days), job.recalibration))
    model: Forecaster | None = None
    for span in spans:
        if store.has(span):
            continue
        rows = test.select((test.day >= days[span.start]) & (test.day <= days[span.stop - 1]))
        if span.refit:
            model, cost = _fit(job, days[span.start])
        else:
            # A reload at every boundary, also without a kill: optimiser memory does not cross it, so that a resumed
            # run and an uninterrupted one agree to the last bit.
            before = spans[span.number - 1]
            model, cost = job.factory().load_state(store.state(before)), {}
        part = _predict_span(job, model, rows, span, days)
        store.save(span, part | cost, model.state())
        if progress is not None:
            progress(span.stop, len(days))
    return _gather(test, store, spans)


def discard_parts(job: BacktestJob) -> None:
    """Remove what ``job`` has kept in its folder of parts; a folder left empty goes too."""
    if job.parts is None:
        return
    shutil.rmtree(job.parts / _fingerprint(job), ignore_errors=True)
    if job.parts.is_dir() and not any(job.parts.iterdir()):
        job.parts.rmdir()


def _test_rows(job: BacktestJob) -> DayAheadSamples:
    test = job.samples.between(job.first, job.last)
    if job.zones is not None:
        test = test.select(np.isin(test.zone, job.zones))
    if len(test) == 0:
        raise DataError(f"{job.label}: no samples of {job.samples.target} from {job.first} to {job.last}")
    return test.select(np.argsort(test.day, kind="stable"))


def _spans(days: int, recalibration: Recalibration) -> Iterator[Span]:
    """Stretches of test days that are saved together; a refit starts a new one."""
    every = recalibration.every_days or days
    number = 0
    for block in range(0, days, every):
        end = min(block + every, days)
        for start in range(block, end, recalibration.part_days):
            yield Span(number, start, min(start + recalibration.part_days, end), refit=start == block)
            number += 1


def _fit(job: BacktestJob, day: np.datetime64) -> tuple[Forecaster, dict[str, Any]]:
    known = known_before(job.samples, day)
    plan = job.recalibration
    valid = None
    if plan.valid_days:
        newest = known.day.max() if len(known) else day
        valid = known.select(known.day > newest - plan.valid_days * _ONE_DAY)
        known = known.select(known.day <= newest - plan.valid_days * _ONE_DAY)
    if plan.train_days is not None and len(known):
        known = known.select(known.day > known.day.max() - plan.train_days * _ONE_DAY)
    if len(known) == 0:
        raise DataError(f"{job.label}: no day before {day} is known; start the test later or add earlier data")
    model = job.factory()
    started = time.perf_counter()
    report = model.fit(known, valid, seed=job.seed)
    if plan.fine_tune_steps and isinstance(model, FineTuning):
        model.fine_tune(_own(job, known), plan.fine_tune_steps, seed=job.seed)
    return model, {"fit_seconds": time.perf_counter() - started, "refits": 1, "parameters": report.parameters}


def _own(job: BacktestJob, known: DayAheadSamples) -> DayAheadSamples:
    """The rows that a fine-tuned forecaster goes on learning from: those of the tested zones."""
    if job.zones is None or not job.recalibration.fine_tune_steps:
        return known
    return known.select(np.isin(known.zone, job.zones))


def _predict_span(
    job: BacktestJob, model: Forecaster, rows: DayAheadSamples, span: Span, days: NDArray[np.datetime64]
) -> dict[str, Any]:
    plan = job.recalibration
    warm = plan.warm_start_steps > 0 and isinstance(model, WarmStarting)
    warm_starts, warm_seconds, predict_seconds = 0, 0.0, 0.0
    predictions: list[Prediction] = []
    steps = range(span.start, span.stop) if warm else (span.start,)
    for position in steps:
        today = rows.select(rows.day == days[position]) if warm else rows
        if isinstance(model, WarmStarting) and warm and not (span.refit and position == span.start):
            started = time.perf_counter()
            recent = _own(job, known_before(job.samples, days[position]))
            recent = recent.select(recent.day > recent.day.max() - plan.warm_start_days * _ONE_DAY)
            model.warm_start_steps(recent, plan.warm_start_steps, seed=job.seed + position)
            warm_seconds += time.perf_counter() - started
            warm_starts += 1
        started = time.perf_counter()
        predictions.append(model.predict(today))
        predict_seconds += time.perf_counter() - started
    return {
        "mean": np.concatenate([p.mean for p in predictions]),
        "std": np.concatenate([p.std for p in predictions]),
        "quantiles": np.concatenate([p.quantiles for p in predictions]),
        "levels": np.asarray(predictions[0].levels),
        "warm_starts": warm_starts,
        "predict_seconds": predict_seconds,
        "warm_seconds": warm_seconds,
    }


def _gather(test: DayAheadSamples, store: PartStore, spans: Sequence[Span]) -> BacktestResult:
    parts: list[Mapping[str, Any]] = [store.load(span) for span in spans]

    def stacked(name: str) -> NDArray[np.float64]:
        return np.concatenate([part[name] for part in parts])

    def total(name: str) -> float:
        return float(sum(float(part.get(name, 0.0)) for part in parts))

    levels = tuple(float(level) for level in parts[0]["levels"])
    return BacktestResult(
        rows=test,
        prediction=Prediction(stacked("mean"), stacked("std"), stacked("quantiles"), levels),
        refits=int(total("refits")),
        warm_starts=int(total("warm_starts")),
        fit_seconds=total("fit_seconds") + total("warm_seconds"),
        predict_seconds=total("predict_seconds"),
        parameters=max(int(part.get("parameters", 0)) for part in parts),
    )


def _fingerprint(job: BacktestJob) -> str:
    """What a saved part depends on: code, model, settings, schedule, seed and every value of the samples."""
    model = job.factory()
    digest = hashlib.sha256()
    code = [code_version(__name__), code_version(type(model).__module__)]
    about = [
        code,
        model.name,
        model.settings(),
        str(job.first),
        str(job.last),
        vars(job.recalibration),
        job.zones,
        job.seed,
    ]
    digest.update(json.dumps(about, sort_keys=True, default=str).encode())
    for name in ("history", "future", "y"):
        digest.update(np.ascontiguousarray(getattr(job.samples, name)).tobytes())
    digest.update(np.ascontiguousarray(job.samples.day.astype(np.int64)).tobytes())
    digest.update("|".join(job.samples.zone.tolist()).encode())
    return digest.hexdigest()[:16]
