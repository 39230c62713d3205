"""What the forecasters of a benchmark lean on: importance of their inputs and, for Transformers, their attention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecasting.backtesting import BacktestJob, known_before
from forecasting.explain import permutation_importance
from forecasting.models.base import Forecaster
from forecasting.models.conditional_transformer import ConditionalTransformer
from pipelines.benchmarks.task import BenchmarkTask
from pipelines.report.learned import attention_chart, importance_chart, importance_table
from pipelines.report.page import Section


def explain_sections(
    tasks: Sequence[BenchmarkTask], jobs: Sequence[BacktestJob], *, repeats: int, seed: int
) -> list[Section]:
    """One section per task with the figures of every forecaster, each fitted once more, before the first test day.

    jobs: the backtests of the run; of each forecaster the one with the first seed is explained. repeats: shuffles of each
    group of inputs, see :func:`forecasting.explain.permutation_importance`.
    """
    first = min(job.seed for job in jobs)
    sections = []
    for task in tasks:
        figures, tables = [], []
        for job in (job for job in jobs if job.zones == (task.place,) and job.seed == first):
            name = job.label.removeprefix(f"{task.place} ").removesuffix(f" seed {job.seed}")
            model = _fitted(job, task.first)
            importance = permutation_importance(model, task.test, repeats=repeats, seed=seed)
            table = pd.DataFrame([vars(item) for item in importance])
            figures.append(importance_chart(name, table, task.samples.unit))
            tables.append(importance_table(name, table, task.samples.unit))
            if isinstance(model, ConditionalTransformer):
                weights = np.mean(model.attention(task.test), axis=0)
                figures.append(attention_chart(name, weights, model.history_days))
        sections.append(
            Section(
                f"What the forecast of {task.place} leans on",
                "Each group of inputs in turn is taken from other test days; what the forecast needs costs most. "
                "The forecasters were fitted once, before the first test day.",
                figures,
                tables,
            )
        )
    return sections


def _fitted(job: BacktestJob, day: np.datetime64) -> Forecaster:
    """The forecaster of ``job`` on what was known before ``day``, its newest days kept for validation as in the backtest."""
    known, plan = known_before(job.samples, day), job.recalibration
    held = np.timedelta64(plan.valid_days, "D")
    valid = known.select(known.day > known.day.max() - held) if plan.valid_days else None
    train = known.select(known.day <= known.day.max() - held)
    if plan.train_days is not None:
        train = train.select(train.day > train.day.max() - np.timedelta64(plan.train_days, "D"))
    model = job.factory()
    model.fit(train, valid, seed=job.seed)
    return model
