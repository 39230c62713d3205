"""What a forecast leans on, on the benchmark's page: one bar chart per forecaster, a heat map for each Transformer."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.backtesting import BacktestJob
from forecasting.models import create
from pipelines.benchmarks.explain import explain_sections
from pipelines.benchmarks.task import BenchmarkTask
from pipelines.report.learned import attention_chart, importance_chart
from pipelines.report.page import Page, render
from tests.forecasting.neural_samples import make_samples
from tests.pipelines.running import run_here

SMALL = {
    "width": 8,
    "heads": 2,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "hidden": 8,
    "flat_hidden": 8,
    "history_days": 7,
}


def test_every_forecaster_is_explained_once_and_a_transformer_shows_its_attention() -> None:
    samples = make_samples(60, history_days=7)
    first, last = samples.day[45], samples.day[-1]
    task = BenchmarkTask("market", "A", samples, first, last)
    models = {
        "ours": partial(create, "conditional_transformer", **SMALL, training={"steps": 4, "checks": 1}),
        "yesterday": partial(create, "naive", rule="daily"),
    }
    jobs = [
        BacktestJob(f"A {name} seed {seed}", factory, samples, first, last, zones=("A",), seed=seed)
        for name, factory in models.items()
        for seed in (0, 1)
    ]
    (section,) = explain_sections([task], jobs, repeats=2, seed=0)
    assert [figure.title for figure in section.figures] == [
        "Importance of the inputs, ours",
        "What the hours of the delivery day look at, ours",
        "Importance of the inputs, yesterday",
    ]
    by_group = {str(row[0]): row for row in section.tables[1].rows}
    assert by_group["calendar"][2] == "0" and by_group["price d-1"][2] != "0"
    html = render(Page("Benchmark", "", "ok", sections=[section]))
    assert "price d-7" in html and "published wind forecast" in html


def test_attention_is_told_in_shares_of_history_day_and_condition() -> None:
    weights = np.zeros((24, 7 + 1 + 24))
    weights[:, :7] = 0.5 / 7
    weights[:, 7] = 0.2
    weights[np.arange(24), 8 + np.arange(24)] = 0.3
    chart = attention_chart("ours", weights, 7)
    assert "50% goes to the days of history, 20% to the delivery day" in chart.caption
    assert "30% to what is published for its hours, 30.0% to that of the hour itself" in chart.caption
    bare = attention_chart("ours", np.full((96, 8), 1 / 8), 7)  # quarter-hours, nothing published
    assert "88% goes to the days of history" in bare.caption and "published for its hours" not in bare.caption


def test_bars_say_what_the_forecast_needs_most() -> None:
    rows = [("published wind forecast", 2.0, 3.0, 0.1, 1.5), ("calendar", 2.0, 0.0, 0.0, 0.0)]
    table = pd.DataFrame(rows, columns=["group", "loss", "increase", "standard_error", "share"])
    chart = importance_chart("ours", table, "EUR/MWh")
    assert "Most depends on published wind forecast: 150%" in chart.caption
    assert "calendar 0 (growth of the MAE, EUR/MWh)" in chart.description


@pytest.mark.parametrize("explain", [False, True])
def test_the_command_explains_only_when_asked(explain: bool, tmp_path: Path) -> None:
    hours = 24 * 60
    index = pd.date_range("2020-01-01", periods=hours, freq="h", name="time_local_naive")
    rng = np.random.default_rng(0)
    columns = ("price", "load_forecast", "wind_forecast")
    pd.DataFrame({name: 50 + rng.normal(size=hours) for name in columns}, index).to_parquet(tmp_path / "NP.parquet")
    run_here(
        "benchmark", tmp_path / "run", f"benchmark.root={tmp_path}", f"parts={tmp_path / 'parts'}", "model=naive",
        "recalibrate=never", "benchmark.test_from=2020-02-20", "benchmark.burn_in_days=5", "benchmark.history_days=7",
        "calibration.window_days=0", f"benchmark.explain={explain}", "benchmark.explain_repeats=2",
    )  # fmt: skip
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert ("What the forecast of NP leans on" in page) is explain
    assert ("published load forecast" in page) is explain
