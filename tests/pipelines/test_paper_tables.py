"""The paper's tables: the metric against hand-worked errors, tests by date, resumption, and the page of a small run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.benchmarks.shi_2023 import TABLE_2, published_mae, published_rmse
from forecasting.held_out import split_days
from forecasting.models.base import QUANTILE_LEVELS, Prediction
from forecasting.models.lstm import LSTMForecaster
from pipelines.benchmarks.paper_data import PaperTask
from pipelines.benchmarks.paper_runs import PaperJob, PaperResult, embed_sources, run_paper_job, run_paper_jobs
from pipelines.benchmarks.paper_scores import score_rows, standard_deviations
from pipelines.errors import ConfigError
from tests.forecasting.neural_samples import make_samples
from tests.pipelines.running import run_here

LSTM = {"name": "lstm", "width": 4, "condition": False, "training": {"steps": 3, "checks": 1}}


@pytest.fixture(scope="module")
def task() -> PaperTask:
    samples = make_samples(40, zones=("A", "B"), history_days=7)
    train, test = split_days(samples, samples.day[20:27], window_days=3)
    return PaperTask("price", "made-up prices", True, train, test)


def missing_by(task: PaperTask, deviations: float, *, seed: int = 0, model: str = "proposed") -> PaperResult:
    """A forecast that is wrong by so many deviations of its own source, upwards and downwards in turn."""
    sign = np.where(np.arange(24) % 2, 1.0, -1.0)
    mean = task.test.y + sign * deviations * standard_deviations(task)
    quantiles = np.repeat(mean[..., None], len(QUANTILE_LEVELS), axis=-1)
    job = PaperJob(task, model, LSTM, seed)
    return PaperResult(job, Prediction(mean, np.ones_like(mean), quantiles), 1.0, 0.1)


def test_errors_are_those_of_standardised_series_averaged_over_seeds(task: PaperTask) -> None:
    for zone in ("A", "B"):
        own = task.train.y[task.train.zone == zone].astype(float)
        assert standard_deviations(task)[task.test.zone == zone] == pytest.approx(own.std(), rel=1e-5)
    row = score_rows(task, "lstm", [missing_by(task, 0.5), missing_by(task, 1.0, seed=1)], ())
    assert (row["rmse"], row["mae"]) == pytest.approx((0.75, 0.75), rel=1e-5)
    assert row["rmse_sd"] == pytest.approx(np.std([0.5, 1.0], ddof=1), rel=1e-5)
    assert (row["runs"], row["days"], row["sources"]) == (2, 7, 2)
    assert (row["rmse_paper"], row["mae_paper"]) == (1.003, 0.836)


def test_tests_are_paired_by_date_and_one_sided(task: PaperTask) -> None:
    rng = np.random.default_rng(0)
    noisy = [replace(missing_by(task, size), prediction=_shaken(missing_by(task, size), rng)) for size in (0.5, 0.9)]
    worse = score_rows(task, "cnn", [noisy[1]], [noisy[0]])
    better = score_rows(task, "cnn", [noisy[0]], [noisy[1]])
    assert worse["dm_p_rmse"] < 0.01 and worse["dm_p_mae"] < 0.01
    assert better["dm_p_rmse"] > 0.99 and better["dm_p_mae"] > 0.99
    assert score_rows(task, "proposed", [noisy[0]], [noisy[0]])["dm_p_rmse"] is None


def _shaken(result: PaperResult, rng: np.random.Generator) -> Prediction:
    prediction = result.prediction
    return replace(prediction, mean=prediction.mean + rng.normal(0, 0.3, (len(prediction.mean), 1)))


def test_published_figures_are_those_of_the_paper() -> None:
    assert published_rmse("proposed", "wind") == 0.469 and published_mae("seq2seq", "price") == 0.616
    assert published_rmse("without_embedding", "price") == 0.621 and published_mae("without_embedding", "price") is None
    assert published_rmse("something of ours", "price") is None
    impossible = [(m, t) for m, row in TABLE_2.items() for t, (rmse, mae) in row.items() if mae > rmse]
    assert impossible == [("cnn", "price"), ("proposed", "price")]


def test_a_stopped_run_goes_on_where_it_stood_and_ends_the_same(
    task: PaperTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [PaperJob(task, "lstm", LSTM, seed, parts=tmp_path) for seed in (0, 1)]
    whole = [run_paper_job(replace(job, parts=None)) for job in jobs]
    run_paper_job(jobs[0])
    fits = []
    real = LSTMForecaster.fit
    monkeypatch.setattr(LSTMForecaster, "fit", lambda self, *a, **k: fits.append(k["seed"]) or real(self, *a, **k))
    heard: list[tuple[str, int]] = []
    results = run_paper_jobs(jobs, 1, lambda result, done: heard.append((result.job.label, done)))
    assert fits == [1]
    assert heard == [("price lstm seed 0", 1), ("price lstm seed 1", 2)]
    for alone, resumed in zip(whole, results["price", "lstm"], strict=True):
        assert np.array_equal(alone.prediction.quantiles, resumed.prediction.quantiles)
    again = results["price", "lstm"][0].trained().predict(task.test)
    assert np.array_equal(again.mean, whole[0].prediction.mean) and fits == [1]


def test_source_encoder_is_trained_once_and_judged_on_the_test_days(task: PaperTask, tmp_path: Path) -> None:
    settings = {
        "segment_days": 2,
        "size": 4,
        "bank": 2,
        "width": 4,
        "steps": 2,
        "segments_per_source": 2,
        "average_days": 9,
    }
    first = embed_sources(task, settings, 0, tmp_path)
    second = embed_sources(task, settings, 0, tmp_path)
    assert first.train_seconds == second.train_seconds > 0
    assert set(first.vectors) == {"A", "B"} and np.array_equal(first.vectors["A"], second.vectors["A"])
    assert first.quality.segments == 2 * 3  # seven test days hold three separate segments of two days


def test_the_command_prints_both_tables_beside_the_paper_and_draws_its_page(tmp_path: Path) -> None:
    small = "{width: 8, heads: 2, hidden: 8, encoder_blocks: 1, decoder_blocks: 1, name: paper_transformer, training: {steps: 2}"
    models = (
        "lstm: {name: lstm, width: 4, condition: false, training: {steps: 2}}, "
        f"proposed: {small}, autoregressive: true, source_context: given}}, "
        f"without_condition: {small}, autoregressive: false, condition: false, source_context: given}}"
    )
    finished = run_here(
        "benchmark", tmp_path / "run", "benchmark=paper_tables_quick", f"parts={tmp_path / 'parts'}", "benchmark.runs=2",
        "benchmark.explain=true", "benchmark.explained=proposed", "~benchmark.models", f"+benchmark.models={{{models}}}",
    )  # fmt: skip
    text = finished.outcome.headline
    assert "Table 2, task 2 (wind)" in text and "Table 5, task 2 (wind)" in text and "The data differ" in text
    assert "0.909" in text and "0.469" in text and "0.553" in text
    rows = {row["model"]: row for row in finished.outcome.record["rows"]}
    table = finished.table("predictions.parquet")
    assert len(table) == 3 * 2 * finished.outcome.record["test_rows"]["wind"] * 24
    own = table[(table["model"] == "lstm") & (table["seed"] == 0)]
    assert rows["lstm"]["runs"] == 2 and rows["lstm"]["rmse"] < 2 and rows["lstm"]["rmse_sd"] > 0
    assert np.isfinite(own["mean"]).all()
    assert pd.read_csv(finished.folder / "metrics.csv")["rmse_paper"].tolist() == [0.909, 0.469, 0.553]
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    for words in (
        "Table 2: errors of the models",
        "Source embedding",
        "Importance of the inputs",
        "simulated data",
        "0.909",
    ):
        assert words in page
    assert finished.outcome.record["simulated"] is True
    assert 0 <= finished.outcome.record["embedding"]["wind"]["equal_error_rate"] <= 1
    assert not any((tmp_path / "parts").iterdir())


def test_wrong_names_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose from price, wind"):
        run_here("benchmark", tmp_path / "a", "benchmark=paper_tables_quick", "benchmark.tasks=[load]")
    with pytest.raises(ConfigError, match="did you mean 'proposed'"):
        run_here(
            "benchmark",
            tmp_path / "b",
            "benchmark=paper_tables_quick",
            "benchmark.explain=true",
            "benchmark.explained=propsed",
        )
