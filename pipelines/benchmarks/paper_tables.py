"""``benchmark=paper_tables``: Tables 2 and 5 of Shi et al. 2023 on other data, the paper's figures beside ours."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from forecasting.benchmarks.shi_2023 import TABLE_2, TABLE_5
from forecasting.models import create
from forecasting.names import unknown
from pipelines.app import Outcome, Run
from pipelines.benchmarks.paper_data import PaperTask, paper_tasks
from pipelines.benchmarks.paper_runs import PaperJob, PaperResult, TaskEmbedding, embed_sources, run_paper_jobs
from pipelines.benchmarks.paper_scores import PROPOSED, prediction_table, score_rows
from pipelines.errors import ConfigError
from pipelines.report.page import render

Results = Mapping[tuple[str, str], list[PaperResult]]

#: What must be read with the figures.
DATA_DIFFER = (
    "The data differ: the paper takes 20 ENTSO-E markets and 50 wind sites that it does not name, here the series are "
    "those named below; compare the order of the models and the size of the gaps, not the figures."
)


def run_paper_tables(run: Run) -> Outcome:
    """Train every model of both tables on the same days, score it as the paper does, write tables and page."""
    from pipelines.report.paper_tables import paper_tables_page

    settings = run.config["benchmark"]
    models = _models(settings)
    parts = Path(str(run.config["parts"])) / run.hash
    with run.phases.phase("read", "reading the series"):
        tasks = paper_tasks(settings, run.seed)
    with run.phases.phase("embed", "training the source encoders"):
        embeddings = {task.name: embed_sources(task, settings["embedding"], run.seed, parts) for task in tasks}
    jobs = [
        PaperJob(task, name, model, seed, _vectors(model, embeddings[task.name]), parts)
        for seed in range(run.seed, run.seed + int(settings["runs"]))
        for task in tasks
        for name, model in models.items()
    ]
    results = _train(run, jobs)
    with run.phases.phase("score", "scoring"):
        table = pd.DataFrame(
            [
                score_rows(task, name, results[task.name, name], results.get((task.name, PROPOSED), ()))
                for task in tasks
                for name in models
            ]
        )
    record = _record(run, tasks, embeddings, table)
    explained = _explained(run, settings, tasks, results) if settings["explain"] else {}
    outcome = Outcome(record=record, headline=_headline(table, tasks))
    with run.phases.phase("report", "writing the tables and the page"):
        run.folder.frame("metrics.csv", table)
        everything = [result for runs in results.values() for result in runs]
        run.folder.frame("predictions.parquet", prediction_table(everything))
        summary = {**run.provenance(), "status": outcome.status, "reasons": outcome.reasons, **record}
        page = paper_tables_page(table, summary, tasks, embeddings, results, explained)
        run.folder.text("report.html", render(page))
    shutil.rmtree(parts, ignore_errors=True)  # kept only to resume; a finished run is computed anew
    return outcome


def _models(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    models = {str(name): dict(model) for name, model in settings["models"].items()}
    for model in models.values():
        options = {key: value for key, value in model.items() if key != "name"}
        create(str(model["name"]), **options)  # a wrong setting ends the run here, not hours later in a worker
    if settings["explain"] and settings["explained"] not in models:
        raise ConfigError(unknown("model in benchmark.explained", str(settings["explained"]), models))
    return models


def _vectors(model: Mapping[str, Any], embedding: TaskEmbedding) -> Any:
    return embedding.vectors if model.get("source_context") == "given" else {}


def _train(run: Run, jobs: list[PaperJob]) -> Results:
    phases = run.phases

    def finished(result: PaperResult, done: int) -> None:
        if phases.watched:
            phases.console.print(
                f"  {done} of {len(jobs)}: {result.job.label}, {result.train_seconds:.0f} s of processor time",
                highlight=False,
            )

    with phases.phase("train", f"{len(jobs)} trainings", bar=True):
        return run_paper_jobs(jobs, int(run.config["workers"]), finished)


def _explained(
    run: Run, settings: Mapping[str, Any], tasks: list[PaperTask], results: Results
) -> dict[str, pd.DataFrame]:
    """Importance of the inputs of one trained model, by task."""
    from forecasting.explain import permutation_importance

    tables = {}
    with run.phases.phase("explain", "shuffling groups of inputs"):
        for task in tasks:
            chosen = results[task.name, str(settings["explained"])][0]
            importance = permutation_importance(
                chosen.trained(),
                task.test,
                repeats=int(settings["explain_repeats"]),
                seed=run.seed,
                vectors=chosen.job.vectors,
            )
            tables[task.name] = pd.DataFrame([vars(item) for item in importance])
    return tables


def _record(
    run: Run, tasks: list[PaperTask], embeddings: Mapping[str, TaskEmbedding], table: pd.DataFrame
) -> dict[str, Any]:
    return {
        "benchmark": "paper_tables",
        "note": DATA_DIFFER,
        "simulated": tasks[0].simulated,
        "data": {task.name: task.data for task in tasks},
        "rows": table.astype(object).where(table.notna(), None).to_dict("records"),
        "steps": int(run.config["benchmark"]["steps"]),
        "train_rows": {task.name: len(task.train) for task in tasks},
        "test_rows": {task.name: len(task.test) for task in tasks},
        "embedding": {
            name: {**embedding.quality.scores(), "train_seconds": embedding.train_seconds}
            for name, embedding in embeddings.items()
        },
    }


def _headline(table: pd.DataFrame, tasks: list[PaperTask]) -> str:
    lines = []
    for number, names in ((2, TABLE_2), (5, TABLE_5)):
        kept = {
            2: ["rmse", "rmse_sd", "rmse_paper", "mae", "mae_sd", "mae_paper"],
            5: ["rmse", "rmse_sd", "rmse_paper"],
        }
        for task in tasks:
            chosen = table[(table["task"] == task.name) & table["model"].isin([*names, f"{PROPOSED}_direct"])]
            if number == 5:
                chosen = table[(table["task"] == task.name) & table["model"].isin([*names, PROPOSED])]
            columns = chosen[["model", *kept[number], "dm_p_rmse"]].dropna(axis="columns", how="all")
            shown = columns.round(3).to_string(index=False, na_rep="")
            lines.append(f"Table {number}, task {task.number} ({task.name}), standardised errors\n{shown}")
    return "\n".join([*lines, DATA_DIFFER])
