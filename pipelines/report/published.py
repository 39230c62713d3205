"""A published table or figure beside our own: the values, the paper's words, and what is found of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.report.charts import Chart, TimeAxis, bars, estimates, lines, time_lines
from pipelines.report.claims import findings
from pipelines.report.page import Section
from pipelines.report.tables import interval_table
from pipelines.report.words import level, number, plain, quantity_name, quantity_unit, sentence

#: A line is drawn through so many points or more.
FEWEST_POINTS = 3

#: Columns of a job's plan, what they are called, and what their sum over the day is.
PLANNED: dict[str, tuple[str, str]] = {
    "spot_price_per_mwh": ("spot price", ""),
    "purchase_mw": ("planned purchase", "MWh"),
    "gas_units_on": ("gas units that run", "unit-hours"),
    "flexible_mw": ("planned flexible demand", "MWh"),
    "charge_mw": ("planned charging of the stores", "MWh"),
    "discharge_mw": ("planned discharging of the stores", "MWh"),
}

#: The share of foresight and the ends of its interval, as the table of foresight names them.
SHARE = ("share_of_foresight", "share_low", "share_high")


def published_sections(rows: pd.DataFrame, published: Mapping[str, Any], folder: Path) -> list[Section]:
    """Sections of one published result, from the jobs of its sweep.

    rows: a row per job; jobs that failed are left out. published: the section ``published`` of the experiment. folder: where the
    jobs are, for their plans.
    """
    done = rows[rows["status"] != "failed"]
    if done.empty:
        return []
    currency = currency_of(done)
    lead = f"The paper: {published['paper_says']}" if published.get("paper_says") else ""
    text = findings(done, published, currency)
    if published.get("in_general"):
        text.append(f"In general: {published['in_general']}")
    charts = _charts(done, published, currency)
    if published.get("plans"):
        charts = _plans(done, published, folder, currency) + charts
    table = interval_table("Values, with 95% intervals where there are any", _table(done, published), currency)
    return [Section("Results", lead, charts, [table], text)]


def foresight_section(table: pd.DataFrame, published: Mapping[str, Any], currency: str) -> Section:
    """Who captures how much of the worth of perfect foresight.

    table: as ``pipelines.stages.foresight.foresight_table`` returns it, a row per job and one for perfect foresight.
    """
    keys, baseline = _keys(published), _named(published["baseline"], published)
    if "gain" not in table.columns:
        return Section("Foresight", f"No job of {baseline} finished, so there is nothing to measure gains against.")
    columns = [*table.columns, *(name for name in SHARE if name not in table.columns)]
    table = table.reindex(columns=columns).sort_values([*keys[1:], "gain"])
    shown = table[keys].astype(str).map(_named, published=published)
    for name in ("efficiency", "profit_mean", "gain", "gain_low", "gain_high"):
        shown[name] = table[name]
    shown["p_value"] = ["n/a" if np.isnan(p) else "< 0.001" if p < 1e-3 else f"{p:.3f}" for p in table["p_value"]]
    shown["share_of_foresight"] = [
        "n/a" if np.isnan(share) else f"{share:.0f}%" + ("" if np.isnan(low) else f" ({low:.0f} to {high:.0f})")
        for share, low, high in ((table[list(SHARE)] * 100).round() + 0.0).itertuples(index=False, name=None)
    ]
    lead = (
        f"Every row was settled on the same {table['days'].iloc[0]} days. Gains are over {baseline}, paired by day, with 95% "
        "intervals; the share is the gain over that of perfect foresight, its interval from a bootstrap over the days."
    )
    others = table[table[keys[0]] != published["baseline"]]
    charts = [
        estimates(_triples(part, "gain", published), f"Mean gain over {baseline}{of}", _with_unit("gain", currency))
        for of, part in _groups(others, published)
    ]
    return Section("Foresight", lead, charts, [interval_table("Gain over the baseline", shown, currency)])


def currency_of(done: pd.DataFrame) -> str:
    """The currency that all jobs reckon in, or nothing where they differ."""
    named = done["currency"].dropna().unique() if "currency" in done.columns else []
    return str(named[0]) if len(named) == 1 else ""


def _keys(published: Mapping[str, Any]) -> list[str]:
    return [str(published["x"]), *([str(published["by"])] if published.get("by") else [])]


def _named(value: Any, published: Mapping[str, Any]) -> str:
    """A choice as the experiment calls it for its reader."""
    return str((published.get("names") or {}).get(value, level(value)))


def _groups(rows: pd.DataFrame, published: Mapping[str, Any]) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each value of ``by`` with what to add to a title, or all of them."""
    if not published.get("by"):
        return [("", rows)]
    return [(f", {_named(value, published)}", part) for value, part in rows.groupby(str(published["by"]), sort=False)]


def _triples(rows: pd.DataFrame, name: str, published: Mapping[str, Any]) -> dict[str, tuple[float, float, float]]:
    """Estimate and interval of each choice."""
    labels = [_named(value, published) for value in rows[str(published["x"])]]
    triples = rows[[name, f"{name}_low", f"{name}_high"]].itertuples(index=False, name=None)
    return dict(zip(labels, triples, strict=True))


def _table(done: pd.DataFrame, published: Mapping[str, Any]) -> pd.DataFrame:
    keys = _keys(published)
    shown = [
        name
        for column in published["columns"]
        for name in (column, f"{column}_low", f"{column}_high")
        if name in done.columns
    ]
    table = done[[*keys, *dict.fromkeys(shown)]].copy()
    for key in keys:
        table[key] = [_named(value, published) for value in done[key]]
    for column, values in (published.get("paper") or {}).items():
        names = done[keys].astype(str).agg(", ".join, axis=1)
        table.insert(len(keys), f"{column}_paper", names.map(values).astype(float))
    return table.reset_index(drop=True)


def _charts(done: pd.DataFrame, published: Mapping[str, Any], currency: str) -> list[Chart]:
    x = str(published["x"])
    columns = published.get("drawn") or published["columns"]
    present = [name for name in columns if name in done.columns and done[name].notna().any()]
    if not pd.api.types.is_numeric_dtype(done[x]):
        drawn = [name for name in present if not name.endswith(("_low", "_high"))]
        return [chart for name in drawn for chart in _choices(done, published, name, currency)]
    if done[x].nunique() < FEWEST_POINTS:
        return []  # the table says as much as a line between two points
    together: Sequence[str] = published.get("together") or ()
    charts = []
    for names in ([list(together)] if together else []) + [[name] for name in present if name not in together]:
        series, at = _series(done, x, published, names)
        title = f"{' and '.join(quantity_name(name) for name in names)} by {plain(x)}"
        axis = f"{plain(x)}, 1 as in the case" if x.startswith("what_if.") else plain(x)
        charts.append(lines(at, series, sentence(title), axis, _with_unit(names[0], currency), _ends(series, at)))
    return charts


def _ends(series: Mapping[str, np.ndarray[Any, Any]], at: np.ndarray[Any, Any]) -> str:
    """First and last value of every line."""
    told = []
    for name, values in series.items():
        known = np.flatnonzero(np.isfinite(values))
        ends = " and ".join(f"{number(float(values[k]))} at {level(at[k])}" for k in known[[0, -1]])
        told.append(f"{name}: {ends}" if len(series) > 1 else ends)
    return sentence("; ".join(told)) + "."


def _choices(done: pd.DataFrame, published: Mapping[str, Any], name: str, currency: str) -> list[Chart]:
    """A point with its interval, or a bar where there is none, for each named choice."""
    title, label = f"{sentence(quantity_name(name))} by {plain(str(published['x']))}", _with_unit(name, currency)
    charts = []
    for of, part in _groups(done, published):
        if {f"{name}_low", f"{name}_high"} <= set(part.columns):
            charts.append(estimates(_triples(part, name, published), title + of, label))
            continue
        values = {_named(x, published): float(y) for x, y in zip(part[published["x"]], part[name], strict=True)}
        low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
        told = f"Least with {low}, most with {high}."
        charts.append(bars(values, title + of, label, told))
    return charts


def _series(
    done: pd.DataFrame, x: str, published: Mapping[str, Any], names: Sequence[str]
) -> tuple[dict[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    by = published.get("by")
    groups = (
        [("", done)] if by is None else [(_named(key, published), part) for key, part in done.groupby(by, sort=False)]
    )
    tables = {
        " ".join(
            part for part in (quantity_name(name) if len(names) > 1 or not label else "", label) if part
        ): group.groupby(x)[name].mean()
        for label, group in groups
        for name in names
    }
    frame = pd.DataFrame(tables)
    return {str(name): frame[name].to_numpy(dtype=float) for name in frame}, frame.index.to_numpy(dtype=float)


def _with_unit(name: str, currency: str) -> str:
    """A column in words with its unit."""
    unit = quantity_unit(name, currency)
    return quantity_name(name) + (f", {unit}" if unit else "")


def _plans(done: pd.DataFrame, published: Mapping[str, Any], folder: Path, currency: str) -> list[Chart]:
    """The plan of each job by hour, a chart per quantity."""
    plans = {}
    for _, row in done.iterrows():
        path = folder / str(row["job"]) / "plan.parquet"
        if path.exists():
            plans[f"{plain(published['x'])} {level(row[published['x']])}"] = pd.read_parquet(path)
    if not plans:
        return []
    hours = next(iter(plans.values()))["hour"]
    step_hours = float(hours.diff().iloc[-1]) if len(hours) > 1 else 1.0
    axis, charts = TimeAxis.of(hours.index, step_hours), []
    for name, (words, of_the_day) in PLANNED.items():
        table = pd.DataFrame({label: plan[name].to_numpy(dtype=float) for label, plan in plans.items()})
        if not table.to_numpy().any():
            continue
        sums = [f"{label} {number(float(table[label].sum()) * step_hours)} {of_the_day}" for label in table]
        means = [f"{label} {number(float(table[label].mean()))}" for label in table]
        told = f"Over the day: {', '.join(sums)}." if of_the_day else f"On average: {', '.join(means)}."
        unit_text = quantity_unit(name, currency)
        charts.append(replace(time_lines(axis, table, sentence(words), words, unit_text), caption=told))
    return charts
