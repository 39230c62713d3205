"""Benchmark of many bidding zones: the production average against LEAR and the naive forecasts, zone by zone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasting.backtesting import BacktestJob, BacktestResult, run_job
from forecasting.benchmarks.zones import ZoneData, describe_findings, load_zone
from forecasting.errors import DataError
from forecasting.models import create
from forecasting.models.base import Prediction
from forecasting.samples import DayAheadSamples
from forecasting.significance import diebold_mariano
from forecasting.sources.base import Source
from pipelines.app import Outcome, Run
from pipelines.benchmarks.members import Combining, Member, ScoredForecast, combine, jobs_of, members_of
from pipelines.benchmarks.scores import peer_rows, prediction_table, score_rows
from pipelines.benchmarks.task import BenchmarkTask
from pipelines.benchmarks.zones_page import headline, zones_page
from pipelines.errors import ConfigError
from pipelines.report.page import render
from pipelines.stages.sources import open_source

#: Name of the average of all members in tables.
AVERAGE = "average"


@dataclass(frozen=True, eq=False)
class ZonesPlan:
    """What is forecast where: one task per zone that qualifies, the members, and which of them train on all zones."""

    tasks: Sequence[BenchmarkTask]
    members: Sequence[Member]
    pooled: tuple[str, ...]
    reference: str


def run_zones(run: Run) -> Outcome:
    """Read the zones, backtest the members, score their average, and write tables and page."""
    config, group = run.config, run.config["benchmark"]
    members = members_of({**config, **group["schedule"], "schedules": group["schedules"], "model": _ensemble(group)})
    pooled, reference = tuple(map(str, group["pooled"])), str(group["reference"])
    for name in (*pooled, reference):
        if name not in group["members"]:
            raise ConfigError(f"benchmark: no member {name}; benchmark.members has {', '.join(group['members'])}")
    with run.phases.phase("read", "reading the zones", bar=True):
        zones = _read(run, group)
    tasks = [_task(zone, group) for zone in zones if not zone.excluded]
    if not tasks:
        reasons = "; ".join(f"{zone.zone}: {zone.excluded}" for zone in zones)
        raise ConfigError(f"no zone can be scored: {reasons}")
    parts = Path(str(config["parts"])) / run.hash
    plan = ZonesPlan(tasks, members, pooled, reference)
    rows, details, tables = _scores(run, plan, parts)
    table = pd.DataFrame(rows)
    beaten = int((table["gain"] > 0).sum())
    record: dict[str, Any] = {
        "benchmark": "zones",
        "reference": reference,
        "zones": len(table),
        "beaten": beaten,
        "beaten_significantly": int((table["dm_p"] < 0.05).sum()),
        "rows": table.astype(object).where(table.notna(), None).to_dict("records"),
        "test_days": {task.place: [str(task.test.day.min()), str(task.test.day.max())] for task in tasks},
        "recalibration": {member.name: str(member.recalibration) for member in members},
        "excluded": {zone.zone: zone.excluded for zone in zones if zone.excluded},
        "flaws": {zone.zone: describe_findings(zone.findings) for zone in zones if zone.findings},
    }
    outcome = Outcome(record=record, headline=headline(table, record))
    with run.phases.phase("report", "writing the tables and the page"):
        run.folder.frame("metrics.csv", pd.DataFrame(details))
        run.folder.frame("predictions.parquet", pd.concat(tables, ignore_index=True))
        summary = {**run.provenance(), "status": outcome.status, "reasons": outcome.reasons, **record}
        run.folder.text("report.html", render(zones_page(table, summary)))
    if not config["keep_parts"]:
        shutil.rmtree(parts, ignore_errors=True)
    return outcome


def _ensemble(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": "ensemble", "members": group["members"]}


def _read(run: Run, group: Mapping[str, Any]) -> list[ZoneData]:
    options = {key: group[key] for key in ("root", "layout", "availability")}
    source = open_source({"kind": "files", **options})
    chosen = source.zones() if group["zones"] in (None, "all") else [str(zone) for zone in group["zones"]]
    first, last = _day(group, "data_from"), _day(group, "test_until")
    found = []
    for number, zone in enumerate(chosen, 1):
        with run.phases.console.status(f"reading {zone}, {number} of {len(chosen)} …"):
            found.append(_read_zone(source, zone, first, last, group))
    return found


def _read_zone(
    source: Source, zone: str, first: np.datetime64, last: np.datetime64, group: Mapping[str, Any]
) -> ZoneData:
    least = float(group["least_known_wind"])
    data = load_zone(source, zone, first, last, history_days=int(group["history_days"]), least_known=least)
    if data.excluded or data.samples is None:
        return data
    asked = data.samples.between(_day(group, "test_from"), last)
    if not np.isfinite(asked.y).all(axis=1).any():
        return replace(data, excluded=f"no complete day of prices from {group['test_from']} to {last}")
    return data


def _task(zone: ZoneData, group: Mapping[str, Any]) -> BenchmarkTask:
    assert zone.samples is not None
    return BenchmarkTask(
        kind="market",
        place=zone.zone,
        samples=zone.samples,
        first=_day(group, "test_from"),
        last=_day(group, "test_until"),
        burn_in_days=int(group["burn_in_days"]),
    )


def _scores(
    run: Run, plan: ZonesPlan, parts: Path
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[pd.DataFrame]]:
    """One row per zone, the rows of every model and slice, and the forecasts."""
    results: dict[str, BacktestResult] = {}
    with run.phases.phase("pooled", "training on all zones", bar=True):
        for member in plan.members:
            if member.name in plan.pooled:
                results |= _pooled(run, plan.tasks, member, parts)
    rows, details, tables = [], [], []
    alone = [member for member in plan.members if member.name not in plan.pooled]
    with run.phases.phase("zones", f"{len(plan.tasks)} zones", bar=True):
        for number, task in enumerate(plan.tasks, 1):
            for job in jobs_of([task], alone, parts):
                results[job.label] = _backtest(run, job, f"{number} of {len(plan.tasks)}: {job.label}")
            row, own, table = _score(run, plan, task, results)
            rows.append(row)
            details += own
            tables.append(table)
            if run.phases.watched:
                line = f"  {task.place}: MAE {row['mae']:.2f}, {plan.reference} {row['reference_mae']:.2f}, p {row['dm_p']:.3f}"
                run.phases.console.print(line, highlight=False)
    return rows, details, tables


def _backtest(run: Run, job: BacktestJob, text: str) -> BacktestResult:
    with run.phases.console.status(f"{text} …") as status:
        return run_job(job, lambda done, total: status.update(f"{text}, {done} of {total} days"))


def _pooled(run: Run, tasks: Sequence[BenchmarkTask], member: Member, parts: Path) -> dict[str, BacktestResult]:
    """One backtest per seed over all zones together, handed out to the zones under the labels of their own jobs."""
    pool = DayAheadSamples.concat([task.samples for task in tasks])
    results: dict[str, BacktestResult] = {}
    for seed in member.seeds:
        own = {task.place: jobs_of([task], [replace(member, seeds=(seed,))], parts)[0] for task in tasks}
        job = BacktestJob(
            label=f"all zones {member.name} seed {seed}",
            factory=partial(create, member.model, **member.settings),
            samples=pool,
            first=min(one.first for one in own.values()),
            last=max(one.last for one in own.values()),
            recalibration=member.recalibration,
            seed=seed,
            parts=parts,
        )
        whole = _backtest(run, job, job.label)
        results |= {one.label: _share(whole, place) for place, one in own.items()}
    return results


def _share(whole: BacktestResult, zone: str) -> BacktestResult:
    """The rows of one zone, and its share of the seconds."""
    mine = whole.rows.zone == zone
    share = float(mine.mean())
    prediction = whole.prediction
    return replace(
        whole,
        rows=whole.rows.select(mine),
        prediction=Prediction(
            prediction.mean[mine], prediction.std[mine], prediction.quantiles[mine], prediction.levels
        ),
        fit_seconds=whole.fit_seconds * share,
        predict_seconds=whole.predict_seconds * share,
    )


def _score(
    run: Run, plan: ZonesPlan, task: BenchmarkTask, results: Mapping[str, BacktestResult]
) -> tuple[dict[str, Any], list[dict[str, Any]], pd.DataFrame]:
    rules = Combining.of(run.config)
    average = combine(task, AVERAGE, plan.members, results, rules)
    single = {member.name: combine(task, member.name, [member], results, rules) for member in plan.members}
    details = [row for one in (average, *single.values()) for row in score_rows(task, one)] + peer_rows(task)
    overall = {row["model"]: row for row in details if row["slice"] == "all"}
    ours, rival = overall[AVERAGE], overall[plan.reference]
    row = {
        "zone": task.place,
        "mae": ours["mae"],
        "rmae": ours["rmae"],
        "reference_mae": rival["mae"],
        "naive_mae": overall["naive_weekly"]["mae"],
        "gain": 1.0 - ours["mae"] / rival["mae"],
        "dm_p": _p_value(task, average, single[plan.reference]),
        **{f"{name}_mae": overall[name]["mae"] for name in single if name != plan.reference},
        **{f"{name}_weight": weight for name, weight in average.weights.items()},
        "rmse": ours["rmse"],
        "smape": ours["smape"],
        "crps": ours["crps"],
        "coverage_90": ours["coverage_90"],
        "days": ours["days"],
        "refits": ours["refits"],
        "seconds": round(ours["train_seconds"] + ours["predict_seconds"], 1),
    }
    return row, details, prediction_table(task, [average, single[plan.reference]])


def _p_value(task: BenchmarkTask, ours: ScoredForecast, rival: ScoredForecast) -> float | None:
    """One-sided Diebold-Mariano p-value of the median forecasts; ``None`` where there is nothing to test."""
    y = task.test.y.astype(np.float64)
    whole = np.isfinite(y).all(axis=1)
    middle = ours.prediction.levels.index(0.5)
    mine, theirs = (one.prediction.quantiles[..., middle][whole] for one in (ours, rival))
    try:
        return diebold_mariano(y[whole], mine, theirs).p_value
    except DataError:
        return None


def _day(group: Mapping[str, Any], key: str) -> np.datetime64:
    try:
        return np.datetime64(str(group[key]), "D")
    except ValueError as error:
        raise ConfigError(f"benchmark.{key}={group[key]} is not a date; write it like 2024-01-01") from error
