"""The page of ``benchmark=paper_tables``: both tables with the paper's figures beside, correlation, days, embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from forecasting.benchmarks.shi_2023 import TABLE_5
from forecasting.transforms import correlation_by_lag
from pipelines.report.benchmark import benchmark_page
from pipelines.report.charts import Chart, lines
from pipelines.report.learned import embedding_section, importance_chart, importance_table
from pipelines.report.page import Page, Section, Table
from pipelines.report.words import number, plain

if TYPE_CHECKING:
    from pipelines.benchmarks.paper_data import PaperTask
    from pipelines.benchmarks.paper_runs import PaperResult, TaskEmbedding

_LAGS = 10
_NOTE_TABLE_2 = (
    "In its task 1 the paper prints an MAE above the RMSE for CNN and for the proposed model, which no single set of errors "
    "can have."
)


def paper_tables_page(
    rows: pd.DataFrame,
    summary: Mapping[str, Any],
    tasks: Sequence[PaperTask],
    embeddings: Mapping[str, TaskEmbedding],
    results: Mapping[tuple[str, str], Sequence[PaperResult]],
    explained: Mapping[str, pd.DataFrame],
) -> Page:
    """Tables 2 and 5, then figures; ``rows`` are those of ``score_rows``."""
    lead = str(summary["note"])
    data = [
        f"Task {task.number}: {task.data}. {len(task.train)} days of training and {len(task.test)} of test, all sources."
        for task in tasks
    ]
    sections = [
        Section(
            "Table 2: errors of the models",
            lead,
            tables=[_table_2(rows, task) for task in tasks],
            text=[*data, _NOTE_TABLE_2],
        ),
        Section(
            "Table 5: without embedding, without condition",
            "p: one-sided Diebold-Mariano test, by squared and absolute error of each date, that the proposed model is better.",
            tables=[_table_5(rows, task) for task in tasks],
        ),
        Section(
            "Figures 3 and 7",
            "The coupling that the condition uses, and one test day with and without embedding and condition.",
            figures=[chart for task in tasks for chart in (_correlations(task), _typical_day(task, results))],
        ),
        embedding_section([(task.name, embeddings[task.name].quality) for task in tasks]),
    ]
    if explained:
        sections.append(
            Section(
                "Importance of the inputs",
                "Each group of inputs in turn is taken from other test days; what the forecast needs costs most.",
                figures=[importance_chart(task.name, explained[task.name], task.test.unit) for task in tasks],
                tables=[importance_table(task.name, explained[task.name], task.test.unit) for task in tasks],
            )
        )
    return benchmark_page(rows, summary, sections=sections)


def _table_2(rows: pd.DataFrame, task: PaperTask) -> Table:
    part = rows[rows["task"] == task.name].set_index("model")
    names = [name for name in part.index if name not in TABLE_5]
    body = []
    for name in names:
        row = part.loc[name]
        body.append(
            [
                plain(name), _with_spread(row["rmse"], row["rmse_sd"]), _three(row["rmse_paper"]),
                _with_spread(row["mae"], row["mae_sd"]), _three(row["mae_paper"]),
                _p_value(row["dm_p_rmse"]), _p_value(row["dm_p_mae"]),
            ]
        )  # fmt: skip
    columns = ["Model", "RMSE", "RMSE, paper", "MAE", "MAE, paper", "p by RMSE", "p by MAE"]
    return Table(_caption(task, part), columns, body, range(1, 7))


def _table_5(rows: pd.DataFrame, task: PaperTask) -> Table:
    part = rows[rows["task"] == task.name].set_index("model")
    body = []
    for name in [*TABLE_5, "proposed"]:
        if name in part.index:
            row = part.loc[name]
            cells = [_with_spread(row["rmse"], row["rmse_sd"]), _three(row["rmse_paper"])]
            body.append([plain(name), *cells, _p_value(row["dm_p_rmse"]), _p_value(row["dm_p_mae"])])
    return Table(_caption(task, part), ["Model", "RMSE", "RMSE, paper", "p by RMSE", "p by MAE"], body, range(1, 5))


def _caption(task: PaperTask, part: pd.DataFrame) -> str:
    kind = {"price": "spot price", "wind": "local wind power"}[task.name]
    runs = int(part["runs"].max())
    spread = f"mean ± deviation of {runs} seeds" if runs > 1 else "one seed"
    return f"Task {task.number}, {kind}: standardised errors, {spread}, {int(part['days'].max())} test days"


def _with_spread(value: float, deviation: float | None) -> str:
    return f"{value:.3f}" if deviation is None or np.isnan(deviation) else f"{value:.3f} ± {deviation:.3f}"


def _three(value: float) -> str:
    return number(value, 3) if pd.isna(value) else f"{value:.3f}"


def _p_value(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else _three(value)


def _correlations(task: PaperTask) -> Chart:
    train = task.train
    series = {}
    for zone in sorted(set(train.zone.tolist())):
        own = train.select(train.zone == zone)
        own = own.select(np.argsort(own.day, kind="stable"))
        found = correlation_by_lag(
            torch.from_numpy(own.y).flatten(), torch.from_numpy(own.future[..., 0]).flatten(), _LAGS
        )
        series[zone] = np.array([found[lag] for lag in range(-_LAGS, _LAGS + 1)])
    strongest = max(series, key=lambda zone: float(np.abs(series[zone]).max()))
    at = int(np.abs(series[strongest]).argmax()) - _LAGS
    caption = f"Strongest for {strongest}: {number(float(series[strongest][at + _LAGS]), 3)} at lag {at}."
    if task.name == "price":
        caption += " The paper finds less than −0.5 at lag 0 between wind and price in Denmark."
    return lines(
        np.arange(-_LAGS, _LAGS + 1, dtype=float), series, f"Correlation of {task.name} with y shifted by N, as Fig. 3",
        "lag N, hours", "Pearson coefficient", caption,
    )  # fmt: skip


def _typical_day(task: PaperTask, results: Mapping[tuple[str, str], Sequence[PaperResult]]) -> Chart:
    names = [name for name in ("proposed", *TABLE_5) if (task.name, name) in results] or [next(iter(results))[1]]
    means = {name: np.mean([run.prediction.mean for run in results[task.name, name]], axis=0) for name in names}
    error = np.abs(means[names[0]] - task.test.y).mean(axis=1)
    row = int(np.argsort(error)[len(error) // 2])  # the day of median error of the first model
    series = {"came": task.test.y[row].astype(float)} | {name: mean[row] for name, mean in means.items()}
    caption = (
        f"{task.test.zone[row]}, {task.test.day[row]}: the test day whose error is the median of the "
        f"{plain(names[0])} model's. Forecasts are means over the seeds."
    )
    return lines(
        np.arange(task.test.slots, dtype=float), series, f"A typical day of {task.name}, as Fig. 7",
        "hour of the day", task.test.unit, caption,
    )  # fmt: skip
