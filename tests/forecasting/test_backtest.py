"""Backtests: what trains when, how often, and what is left after a kill."""

from __future__ import annotations

import doctest
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch
from torch import Tensor

from forecasting import backtesting
from forecasting.backtesting import BacktestJob, backtest, backtest_many, known_before
from forecasting.errors import DataError, SettingError
from forecasting.models.base import QUANTILE_LEVELS, FitReport, Forecaster, Prediction
from forecasting.models.naive import Naive
from forecasting.recalibration import Recalibration
from forecasting.samples import DayAheadSamples

FIRST_DAY = np.datetime64("2024-01-08")


def noisy_days(rows: int = 60, zone: str = "Z", seed: int = 0, measured: bool = False) -> DayAheadSamples:
    """Random prices with 7 days of history; ``measured`` hides the afternoon of the day before delivery."""
    values = np.random.default_rng(seed).normal(50, 10, (rows + 7, 24)).astype(np.float32)
    history = np.stack([values[k : k + 7] for k in range(rows)])[..., None]
    if measured:
        history[:, -1, 12:] = np.nan
    day = FIRST_DAY + np.arange(rows)
    return DayAheadSamples(
        target="price",
        unit="EUR/MWh",
        step_minutes=60,
        zone=np.full(rows, zone),
        day=day,
        issued_at=(day - np.timedelta64(13, "h")).astype("datetime64[ns]"),
        history=history,
        history_channels=("price",),
        future=np.zeros((rows, 24, 0), dtype=np.float32),
        future_channels=(),
        y=values[7:],
    )


class Recorder(Forecaster):
    """Predicts a number that tells its whole past: days trained on, warm starts taken, optimiser memory."""

    name: ClassVar[str] = "recorder"
    uses_future_condition: ClassVar[bool] = False
    fits: ClassVar[list[tuple[np.datetime64, int]]] = []
    kill_at: ClassVar[np.datetime64 | None] = None

    def __init__(self) -> None:
        self.value = torch.zeros(1, dtype=torch.float64)
        self.momentum = 0.0

    def fit(
        self, train: DayAheadSamples, valid: DayAheadSamples | None = None, *, seed: int = 0, progress: bool = False
    ) -> FitReport:
        Recorder.fits.append((train.day.max(), 0 if valid is None else len(valid)))
        self.value = torch.tensor([float(train.y.mean()) + seed], dtype=torch.float64)
        return FitReport(0.0, len(train), 1)

    def warm_start_steps(self, samples: DayAheadSamples, steps: int = 2, *, seed: int = 0) -> None:
        self.momentum = 0.9 * self.momentum + float(samples.y[-1].mean())
        self.value = self.value + 0.01 * steps * self.momentum

    def predict(self, samples: DayAheadSamples) -> Prediction:
        if Recorder.kill_at is not None and (samples.day >= Recorder.kill_at).any():
            raise KeyboardInterrupt
        mean = np.full((len(samples), samples.slots), float(self.value))
        return Prediction(mean, np.ones_like(mean), np.repeat(mean[..., None], len(QUANTILE_LEVELS), axis=-1))

    def settings(self) -> dict[str, Any]:
        return {}

    def state(self) -> dict[str, Tensor]:
        return {"value": self.value}

    def load_state(self, state: Mapping[str, Tensor]) -> Self:
        self.value = state["value"]
        return self


@pytest.fixture(autouse=True)
def _fresh_recorder() -> None:
    Recorder.fits, Recorder.kill_at = [], None


@pytest.mark.parametrize(("every", "refits"), [(None, 1), (7, 3), (1, 20)])
def test_refits_happen_on_schedule_and_train_to_the_day_before(every: int | None, refits: int) -> None:
    samples = noisy_days()
    result = backtest(Recorder, samples, FIRST_DAY + 40, FIRST_DAY + 59, recalibration=Recalibration(every))
    assert result.refits == len(Recorder.fits) == refits
    expected = [FIRST_DAY + 39 + k * (every or 0) for k in range(refits)]
    assert [day for day, _ in Recorder.fits] == expected
    assert result.prediction.mean.shape == (20, 24)
    assert (result.rows.day == FIRST_DAY + np.arange(40, 60)).all()


def test_measured_target_of_yesterday_does_not_train() -> None:
    samples = noisy_days(measured=True)
    known = known_before(samples, FIRST_DAY + 40)
    assert known.day.max() == FIRST_DAY + 38


def test_a_later_value_changes_no_earlier_prediction() -> None:
    samples = noisy_days()
    y = samples.y.copy()
    y[50:] += 1000.0
    first, last = FIRST_DAY + 40, FIRST_DAY + 59
    plan = Recalibration(1)
    before = backtest(Naive, samples, first, last, recalibration=plan).prediction.quantiles
    after = backtest(Naive, replace(samples, y=y), first, last, recalibration=plan).prediction.quantiles
    assert (before[:11] == after[:11]).all()
    assert (before[11:] != after[11:]).any()


def test_zones_are_tested_alone_but_train_together() -> None:
    both = DayAheadSamples.concat([noisy_days(zone="A"), noisy_days(zone="B", seed=1)])
    result = backtest(Recorder, both, FIRST_DAY + 40, FIRST_DAY + 45, zones=["B"])
    assert set(result.rows.zone) == {"B"}
    assert result.prediction.mean[0, 0] == pytest.approx(float(both.y[both.day < FIRST_DAY + 40].mean()))


def test_validation_days_are_the_newest_and_do_not_train() -> None:
    backtest(Recorder, noisy_days(), FIRST_DAY + 40, FIRST_DAY + 45, recalibration=Recalibration(valid_days=10))
    assert Recorder.fits == [(FIRST_DAY + 29, 10)]


def test_warm_starts_replace_refits_on_the_other_days() -> None:
    plan = Recalibration(every_days=5, warm_start_steps=2)
    result = backtest(Recorder, noisy_days(), FIRST_DAY + 40, FIRST_DAY + 49, recalibration=plan)
    assert (result.refits, result.warm_starts) == (2, 8)
    assert len(np.unique(result.prediction.mean[:, 0])) == 10


@pytest.mark.parametrize("plan", [Recalibration(None, warm_start_steps=2, part_days=4), Recalibration(3)])
def test_a_killed_run_goes_on_and_ends_with_the_same_result(plan: Recalibration, tmp_path: Path) -> None:
    samples, first, last = noisy_days(), FIRST_DAY + 40, FIRST_DAY + 59
    whole = backtest(Recorder, samples, first, last, recalibration=plan)
    fits_of_whole = len(Recorder.fits)
    Recorder.fits, Recorder.kill_at = [], FIRST_DAY + 50
    with pytest.raises(KeyboardInterrupt):
        backtest(Recorder, samples, first, last, recalibration=plan, parts=tmp_path)
    fits_before_kill = len(Recorder.fits)
    assert fits_before_kill >= 1
    Recorder.kill_at = None
    resumed = backtest(Recorder, samples, first, last, recalibration=plan, parts=tmp_path)
    assert (resumed.prediction.mean == whole.prediction.mean).all()
    assert (resumed.refits, resumed.warm_starts) == (whole.refits, whole.warm_starts)
    assert len(Recorder.fits) <= fits_of_whole + 1
    Recorder.fits = []
    again = backtest(Recorder, samples, first, last, recalibration=plan, parts=tmp_path)
    assert Recorder.fits == []
    assert (again.prediction.mean == whole.prediction.mean).all()


def test_changed_data_starts_anew(tmp_path: Path) -> None:
    samples = noisy_days()
    first, last = FIRST_DAY + 40, FIRST_DAY + 45
    backtest(Recorder, samples, first, last, parts=tmp_path)
    backtest(Recorder, replace(samples, y=samples.y + 1), first, last, parts=tmp_path)
    assert len(Recorder.fits) == 2


def test_many_jobs_in_parallel_equal_one_by_one() -> None:
    jobs = [
        BacktestJob(f"seed {k}", partial(Naive, rule), noisy_days(seed=k), FIRST_DAY + 40, FIRST_DAY + 45)
        for k, rule in enumerate(("standard", "weekly"))
    ]
    ended: list[str] = []
    results = backtest_many(jobs, workers=2, progress=lambda label, _: ended.append(label))
    assert list(results) == ["seed 0", "seed 1"] and sorted(ended) == ["seed 0", "seed 1"]
    alone = backtest(Naive, noisy_days(seed=0), FIRST_DAY + 40, FIRST_DAY + 45)
    assert (results["seed 0"].prediction.quantiles == alone.prediction.quantiles).all()


def test_example_of_the_documentation_runs() -> None:
    assert doctest.testmod(backtesting).failed == 0


def test_progress_counts_days() -> None:
    seen: list[tuple[int, int]] = []
    plan = Recalibration(7)
    backtest(
        Recorder, noisy_days(), FIRST_DAY + 40, FIRST_DAY + 59, recalibration=plan, progress=lambda *at: seen.append(at)
    )
    assert seen == [(7, 20), (14, 20), (20, 20)]


def test_nothing_to_test_or_to_train_is_refused() -> None:
    with pytest.raises(DataError, match="no samples"):
        backtest(Recorder, noisy_days(), "2030-01-01", "2030-02-01")
    with pytest.raises(DataError, match="no day before"):
        backtest(Recorder, noisy_days(), FIRST_DAY, FIRST_DAY + 3)


@pytest.mark.parametrize(("text", "days"), [("never", None), ("daily", 1), ("weekly", 7), (28, 28), ("28", 28)])
def test_recalibration_is_read_from_words_and_numbers(text: str | int, days: int | None) -> None:
    assert Recalibration.parse(text).every_days == days


def test_wrong_recalibration_names_the_choices() -> None:
    with pytest.raises(SettingError, match="never, daily, weekly"):
        Recalibration.parse("monthly")
    with pytest.raises(SettingError, match="at least 1"):
        Recalibration(0)
