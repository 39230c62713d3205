"""A published table or figure beside our own: the values, the paper's words, and what is found of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.report.charts import Chart, bars, lines
from pipelines.report.page import Section
from pipelines.report.tables import frame_table
from pipelines.report.words import number, plain, quantity_name, quantity_unit, sentence

#: Relative change that still counts as none.
SAME = 1e-6
FLAT = 0.02

#: A line is drawn through so many points or more.
FEWEST_POINTS = 3


def published_sections(rows: pd.DataFrame, published: Mapping[str, Any], folder: Path) -> list[Section]:
    """Sections of one published result, from the jobs of its sweep.

    rows: a row per job; jobs that failed are left out. published: the section ``published`` of the experiment. folder: where the
    jobs are, for their plans.
    """
    done = rows[rows["status"] != "failed"]
    if done.empty:
        return []
    text = [f"The paper: {published['paper_says']}"] if published.get("paper_says") else []
    if published.get("in_general"):
        text.append(f"In general: {published['in_general']}")
    text += findings(done, published)
    charts = _charts(done, published)
    if published.get("plans"):
        charts += _plans(done, published, folder)
    table = frame_table(published["title"], _table(done, published))
    return [Section(str(published["title"]), "", charts, [table], text)]


def findings(done: pd.DataFrame, published: Mapping[str, Any]) -> list[str]:
    """One sentence per check of the experiment: what was claimed, by whom, and what the jobs show."""
    found = []
    for check in published.get("checks", ()):
        part = done if check.get("where") is None else done[done[published["by"]].astype(str) == str(check["where"])]
        series = part.groupby(str(published["x"]))[check["column"]].mean().dropna()
        where = "" if check.get("where") is None else f" ({plain(published['by'])} {check['where']})"
        by = "Follows from the model" if check["kind"] == "general" else "The paper reports"
        verdict, words = _verdict(series, check)
        answer = "holds here" if verdict else "does not hold here"
        found.append(f"{by}: {_words(check['column'])}{where} {words[0]}. It {answer}: {words[1]}.")
    return found


def _verdict(series: pd.Series, check: Mapping[str, Any]) -> tuple[bool, tuple[str, str]]:
    values, size = series.to_numpy(dtype=float), max(float(series.abs().max()), 1e-12)
    change = np.diff(values) / size
    first, last = (f"{number(float(values[k]))} at {number(float(series.index[k]))}" for k in (0, -1))
    ends = f"{first}, {last}"
    match check["claim"]:
        case "never_rises":
            return bool((change <= SAME).all()), (f"never rises with {plain(str(series.index.name))}", ends)
        case "never_falls":
            return bool((change >= -SAME).all()), (f"never falls with {plain(str(series.index.name))}", ends)
        case "turns":
            peak = int(values.argmax())
            turned = peak > 0 and values[-1] < values[peak] - SAME * size
            return turned, (
                "rises to a turning point and then falls",
                f"its peak is at {number(float(series.index[peak]))}",
            )
        case "flat_beyond":
            tail = series[series.index >= check["beyond"] - 1e-9].to_numpy(dtype=float)
            spread = float(np.ptp(tail) / np.abs(tail).max())
            return spread <= FLAT, (
                f"hardly changes beyond {number(float(check['beyond']))}",
                f"it changes by {100 * spread:.1f}% there",
            )
        case "zero_up_to":
            zeros = next((at for at, value in enumerate(values) if abs(value) > SAME), len(values))
            reached = f"zero up to {number(float(series.index[zeros - 1]))}" if zeros else "at no point zero"
            return zeros == len(values), ("is zero", f"it is {reached}")
        case other:
            raise ValueError(f"published.checks: no claim is named {other}")


def _table(done: pd.DataFrame, published: Mapping[str, Any]) -> pd.DataFrame:
    keys = [str(published["x"]), *([str(published["by"])] if published.get("by") else [])]
    shown = [
        name
        for column in published["columns"]
        for name in (column, f"{column}_low", f"{column}_high")
        if name in done.columns
    ]
    table = done[[*keys, *dict.fromkeys(shown)]].copy()
    for column, values in (published.get("paper") or {}).items():
        names = done[keys].astype(str).agg(", ".join, axis=1)
        table.insert(len(keys), f"{column}_paper", names.map(values).astype(float))
    return table.reset_index(drop=True)


def _charts(done: pd.DataFrame, published: Mapping[str, Any]) -> list[Chart]:
    x = str(published["x"])
    if not pd.api.types.is_numeric_dtype(done[x]):
        return _bars(done, [x, *([str(published["by"])] if published.get("by") else [])], published["columns"])
    if done[x].nunique() < FEWEST_POINTS:
        return []  # the table says as much as a line between two points
    together: Sequence[str] = published.get("together") or ()
    present = [name for name in published["columns"] if name in done.columns and done[name].notna().any()]
    alone = [name for name in present if name not in together]
    charts = []
    for names in ([list(together)] if together else []) + [[name] for name in alone]:
        series, at = _series(done, x, published.get("by"), names)
        title = f"{' and '.join(_words(name) for name in names)} by {plain(x)}"
        first = next(iter(series.values()))
        caption = f"From {number(float(np.nanmin(first)))} to {number(float(np.nanmax(first)))}."
        charts.append(lines(at, series, sentence(title), plain(x), _words(names[0]), caption))
    return charts


def _bars(done: pd.DataFrame, keys: Sequence[str], columns: Sequence[str]) -> list[Chart]:
    """A bar per named choice and column."""
    charts = []
    labels = done[list(keys)].astype(str).agg(", ".join, axis=1)
    for name in columns:
        if name in done.columns and done[name].notna().any() and not name.endswith(("_low", "_high")):
            values = {str(key): float(value) for key, value in zip(labels, done[name], strict=True)}
            charts.append(bars(values, f"{sentence(plain(name))} by {plain(keys[0])}", plain(name)))
    return charts


def _series(
    done: pd.DataFrame, x: str, by: str | None, names: Sequence[str]
) -> tuple[dict[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    groups = [("", done)] if by is None else [(str(key), part) for key, part in done.groupby(by, sort=False)]
    tables = {
        " ".join(part for part in (_words(name) if len(names) > 1 or not label else "", label) if part): group.groupby(
            x
        )[name].mean()
        for label, group in groups
        for name in names
    }
    frame = pd.DataFrame(tables)
    return {str(name): frame[name].to_numpy(dtype=float) for name in frame}, frame.index.to_numpy(dtype=float)


def _words(name: str) -> str:
    """A column in words with its unit, money aside."""
    unit = quantity_unit(name)
    return quantity_name(name) + (f", {unit}" if unit else "")


def _plans(done: pd.DataFrame, published: Mapping[str, Any], folder: Path) -> list[Chart]:
    """The plan of each job by step, a chart per quantity."""
    plans = {}
    for _, row in done.iterrows():
        path = folder / str(row["job"]) / "plan.parquet"
        if path.exists():
            plans[f"{plain(published['x'])} {number(float(row[published['x']]))}"] = pd.read_parquet(path)
    charts = []
    for name in ("purchase_mw", "flexible_mw", "gas_units_on", "charge_mw", "discharge_mw"):
        series = {label: plan[name].to_numpy(dtype=float) for label, plan in plans.items()}
        if series and any(np.any(values) for values in series.values()):
            step = next(iter(plans.values()))["step"].to_numpy(dtype=float)
            charts.append(
                lines(step, series, f"Planned {_words(name)}", "step", _words(name), "The day-ahead plan by step.")
            )
    return charts
