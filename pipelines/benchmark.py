"""``python -m pipelines.benchmark``: score a forecaster on a benchmark, beside the published peers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasting.backtesting import BacktestJob, BacktestResult, backtest_many, discard_parts, run_job
from pipelines.app import Outcome, Run, command
from pipelines.benchmarks import OWN_RUNS, BenchmarkTask, benchmark_tasks
from pipelines.benchmarks.members import Combining, Member, combine, jobs_of, members_of, parts_of_ensemble
from pipelines.benchmarks.scores import peer_rows, prediction_table, score_rows
from pipelines.report.charts import Chart, lines
from pipelines.report.page import render

#: What ``summary.json`` keeps of each row; ``metrics.csv`` has all columns and all slices.
SUMMARY_KEYS = (
    "model", "mae", "rmae", "rmae_standard", "smape", "rmse", "mase", "crps", "pinball", "coverage_90", "coverage_50",
    "winkler_90", "days", "refits", "train_seconds", "predict_seconds", "reference", "dm_p", "dm_hours_better", "gw_p",
)  # fmt: skip


def run(run: Run) -> Outcome:
    """Backtest every market, score it beside the published forecasts, write tables and page."""
    from pipelines.report.benchmark import benchmark_page

    config = run.config
    name = str(config["benchmark"]["name"])
    if name in OWN_RUNS:
        return OWN_RUNS[name](run)
    members = members_of(config)
    with run.phases.phase("read", "reading the benchmark"):
        tasks = benchmark_tasks(config["benchmark"])
    jobs = jobs_of(tasks, members, Path(str(config["parts"])))
    results = _backtests(run, jobs, int(config["workers"]))
    rows: list[dict[str, Any]] = []
    tables: list[pd.DataFrame] = []
    weights: dict[str, dict[str, float]] = {}
    variants: list[str] = []
    with run.phases.phase("score", "scoring"):
        for task in tasks:
            plan = (str(config["model"]["name"]), members, results, Combining.of(config))
            forecast, parts_alone = combine(task, *plan), parts_of_ensemble(task, *plan)
            rows += score_rows(task, forecast) + peer_rows(task)
            rows += [row for part in parts_alone for row in score_rows(task, part) if row["slice"] == "all"]
            tables.append(prediction_table(task, [forecast, *parts_alone]))
            weights[task.place] = dict(forecast.weights)
            variants = [part.model for part in parts_alone]
    table = pd.DataFrame(rows).astype({"refits": "Int64"})
    overall = table[table["slice"] == "all"].sort_values([tasks[0].kind, "mae"])
    kept = [tasks[0].kind, *(key for key in SUMMARY_KEYS if key in overall)]
    record: dict[str, Any] = {
        "benchmark": config["benchmark"]["name"],
        "model": config["model"]["name"],
        "rows": overall[kept].astype(object).where(overall[kept].notna(), None).to_dict("records"),
        "recalibration": {member.name: str(member.recalibration) for member in members},
        "weights": weights if len(members) > 1 else {},
        "test_days": {task.place: [str(task.first), str(task.last)] for task in tasks},
    }
    sections = []
    if config["benchmark"]["explain"]:
        from pipelines.benchmarks.explain import explain_sections

        with run.phases.phase("explain", "shuffling groups of inputs"):
            repeats = int(config["benchmark"]["explain_repeats"])
            sections = explain_sections(tasks, jobs, repeats=repeats, seed=run.seed)
    outcome = Outcome(record=record, headline=_headline(overall, tasks, members, results))
    with run.phases.phase("report", "writing the tables and the page"):
        run.folder.frame("metrics.csv", table)
        run.folder.frame("predictions.parquet", pd.concat(tables, ignore_index=True))
        summary = {**run.provenance(), "status": outcome.status, "reasons": outcome.reasons, **record}
        published = sorted({name for task in tasks for name in task.peers} | {"naive_standard", "naive_weekly"})
        page = benchmark_page(
            overall[kept].dropna(axis=1, how="all"),
            summary,
            published=published,
            variants=variants,
            charts=_hourly_charts(table[~table["model"].isin(variants)], tasks),
            sections=sections,
        )
        run.folder.text("report.html", render(page))
    if not config["keep_parts"]:
        for job in jobs:
            discard_parts(job)
    return outcome


def _backtests(run: Run, jobs: list[BacktestJob], workers: int) -> dict[str, BacktestResult]:
    console = run.phases.console
    watched = run.phases.watched

    def finished(label: str, result: BacktestResult) -> None:
        if watched:
            console.print(
                f"  {label}: {len(result.rows)} days, {result.refits} refits, {result.warm_starts} warm starts, "
                f"{result.fit_seconds:.1f} s training",
                highlight=False,
            )

    with run.phases.phase("backtest", f"{len(jobs)} backtests", bar=True):
        if workers != 1:
            return backtest_many(jobs, workers=workers, progress=finished)
        results = {}
        for job in jobs:
            label = job.label
            with console.status(f"{label} …") as status:

                def show(done: int, total: int, label: str = label, status: Any = status) -> None:
                    status.update(f"{label}: {done} of {total} days")

                results[label] = run_job(job, show if watched else None)
            finished(label, results[label])
        return results


def _headline(
    overall: pd.DataFrame, tasks: list[BenchmarkTask], members: list[Member], results: dict[str, BacktestResult]
) -> str:
    kind = tasks[0].kind
    shown = overall[[kind, "model", "mae", "rmae", "crps", "coverage_90", "days", "refits"]]
    refits = sum(result.refits for result in results.values())
    plans = "; ".join(f"{member.name} {member.recalibration}" for member in members)
    return f"{shown.round(3).to_string(index=False, na_rep='')}\n{plans}; {refits} refits in all"


def _hourly_charts(table: pd.DataFrame, tasks: list[BenchmarkTask]) -> list[Chart]:
    charts = []
    for task in tasks:
        hourly = table[(table[task.kind] == task.place) & table["slice"].str.startswith("hour_")]
        by_model = hourly.pivot_table(index="slice", columns="model", values="mae", sort=False)
        best = by_model.mean().sort_values().index[:5]
        charts.append(
            lines(
                np.arange(len(by_model), dtype=float),
                {str(model): by_model[model].to_numpy(dtype=float) for model in best},
                f"MAE by hour of the day, {task.place}",
                "hour of the day",
                task.samples.unit,
                "The five models with the lowest error.",
            )
        )
    return charts


main = command("benchmark", run)

if __name__ == "__main__":
    main()
