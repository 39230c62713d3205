"""``python -m pipelines.collect``: the runs of a sweep as one table and one page, failed ones with their reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pipelines.app import Outcome, Run, command
from pipelines.errors import ConfigError

#: Columns drawn when the user names none, in this order.
DRAWN = ("efficiency", "profit_mean", "objective", "dispatch.objective")

#: What every summary begins with; none of it was chosen for the sweep.
PROVENANCE = ("command", "version", "config_hash")


def flatten(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a nested record as dotted names; an interval becomes two, other lists do not fit in one cell."""
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        elif key.endswith("_ci95") and isinstance(value, list) and len(value) == 2:
            name = f"{prefix}{key.removesuffix('_ci95')}"
            yield from ((f"{name}_low", value[0]), (f"{name}_high", value[1]))
        elif not isinstance(value, list):
            yield f"{prefix}{key}", value


def read_job(folder: Path) -> dict[str, Any]:
    """One row: the job's overrides and the leaves of its summary; a job without a summary is a failed one."""
    overrides = folder / ".hydra" / "overrides.yaml"
    listed = yaml.safe_load(overrides.read_text(encoding="utf-8")) if overrides.exists() else []
    row: dict[str, Any] = {"job": folder.name}
    for item in listed or []:
        key, _, value = str(item).lstrip("+~").partition("=")
        given = yaml.safe_load(value) if value else value
        row[key] = " ".join(map(str, given)) if isinstance(given, list) else given
    summary = folder / "summary.json"
    if not summary.exists():
        return {**row, "status": "failed", "reason": "no summary.json: the job was killed or is still running"}
    try:
        record = json.loads(summary.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        return {**row, "status": "failed", "reason": f"summary.json is damaged: {error}"}
    leaves = {key: value for key, value in flatten(record) if key not in row and not key.startswith("published.")}
    return {**row, **leaves, "reason": "; ".join(record.get("reasons", []))}


def read_sweep(folder: Path) -> pd.DataFrame:
    """All jobs of a sweep, a row each, in the order of their numbers.

    Raises ``ConfigError`` if ``folder`` is no sweep folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"folder={folder} does not exist; name the folder that --multirun wrote")
    jobs = [path for path in folder.iterdir() if path.is_dir() and (path / ".hydra").is_dir()]
    if not jobs:
        raise ConfigError(f"folder={folder} holds no jobs; name the folder that --multirun wrote")
    jobs.sort(key=lambda path: (not path.name.isdigit(), int(path.name) if path.name.isdigit() else 0, path.name))
    rows = pd.DataFrame([read_job(job) for job in jobs])
    for name in rows.select_dtypes("object"):  # a column of mixed types cannot be stored
        kinds = {type(value) for value in rows[name] if value is not None and value == value}
        if len(kinds) > 1 and not kinds <= {int, float}:
            rows[name] = rows[name].astype("string")
    return rows


def published_of(folder: Path) -> dict[str, Any] | None:
    """The published result that the jobs of a sweep repeat, as the first of them that finished says it."""
    for path in sorted(folder.glob("*/summary.json")):
        try:
            found = json.loads(path.read_text(encoding="utf-8")).get("published")
        except json.JSONDecodeError:
            continue
        if found:
            return dict(found)
    return None


def varied(rows: pd.DataFrame) -> list[str]:
    """Names of the overrides that differ between jobs, numbers first."""
    given = [name for name in rows.columns[1 : rows.columns.get_loc("status")] if name not in PROVENANCE]
    names = [name for name in given if rows[name].dropna().astype(str).nunique() > 1]
    return sorted(names, key=lambda name: not pd.api.types.is_numeric_dtype(rows[name]))


def run(run: Run) -> Outcome:
    """Read the sweep, write ``collected.parquet``, ``collected.csv`` and ``report.html`` beside the jobs."""
    from pipelines.report.claims import findings
    from pipelines.report.page import render
    from pipelines.report.published import currency_of, foresight_section, published_sections
    from pipelines.report.sweep import sweep_page
    from pipelines.stages.foresight import foresight_table

    folder = Path(run.config["folder"])
    with run.phases.phase("collect", f"reading the jobs of {folder}"):
        rows = read_sweep(folder)
    published = published_of(folder)
    if published is not None:
        named = [published["x"], *([published["by"]] if published.get("by") else [])]
        for name in named:
            if name not in rows.columns:
                raise ConfigError(
                    f"folder={folder}: {published['name']} needs jobs that vary {name}; run the whole experiment"
                )
    axes = varied(rows) if published is None else [str(published["x"])]
    x = run.config["x"] or (axes[0] if axes else "job")
    y = run.config["y"] or [name for name in DRAWN if name in rows.columns and rows[name].notna().any()]
    for name in (x, *y):
        if name not in rows.columns:
            raise ConfigError(f"no column {name} in this sweep; it has {', '.join(rows.columns)}")
    comparison = None
    if published is not None and published.get("baseline"):
        comparison = foresight_table(rows, folder, named, str(published["baseline"]))
    with run.phases.phase("report", "drawing the page"):
        currency = currency_of(rows)
        page = sweep_page(rows, folder=str(folder), x=x, y=y, keys=varied(rows), currency=currency)
        if published is not None:
            added = published_sections(rows, published, folder)
            if comparison is not None:
                added.append(foresight_section(comparison, published, currency))
            shown = any(section.figures for section in added)  # then the general figures would only repeat them
            others = [section for section in page.sections if section.title != "Results" or not shown]
            page = replace(page, title=str(published["title"]), sections=[*added, *others])
        for target in {folder, run.folder.path}:
            place = type(run.folder)(target)
            place.frame("collected.parquet", rows)
            place.frame("collected.csv", rows)
            place.text("report.html", render(page))
            if comparison is not None:
                place.frame("foresight.csv", comparison)
    failed = rows[rows["status"] == "failed"]
    outcome = Outcome(record={"jobs": len(rows), "failed": len(failed), "x": x, "y": y})
    if published is not None:
        done = rows[rows["status"] != "failed"]
        outcome.record |= {
            "published": published["name"],
            "findings": findings(done, published, currency) if len(done) else [],
        }
    if comparison is not None:
        outcome.record["foresight"] = comparison.to_dict("records")
    outcome.headline = f"{len(rows)} jobs, {len(failed)} failed: {folder / 'report.html'}"
    for _, row in failed.iterrows():
        outcome.degrade(f"job {row['job']} failed: {row['reason']}")
    return outcome


main = command("collect", run)

if __name__ == "__main__":
    main()
