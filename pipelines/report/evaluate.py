"""The page of an evaluation: what the plan earned over many realisations, and what the forecast errors cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipelines.report.charts import Chart, bars, histogram
from pipelines.report.page import SIMULATED_BANNER, Headline, Page, Section, Table
from pipelines.report.provenance import provenance_section
from pipelines.report.tables import frame_table
from pipelines.report.words import number, plain, sentence

#: Columns of the realisations that are drawn where they are there, with what they are called.
DRAWN: dict[str, str] = {
    "profit": "Profit",
    "regret": "Regret against perfect information",
    "efficiency": "Efficiency of a day",
}

UNIT_PRICED = ("efficiency", "efficiency_without_subsidy")
UNIT_PRICE_TITLE = "Each deviation at a unit price, and the index with these penalties (Shi et al. 2023, Eqs 24 to 26)"


def evaluate_page(
    summary: Mapping[str, Any],
    realisations: pd.DataFrame,
    *,
    currency: str = "",
    comparison: pd.DataFrame | None = None,
    links: Sequence[tuple[str, str]] = (),
) -> Page:
    """Efficiency, profit, regret and penalties of a settled plan.

    summary: ``summary.json`` with ``efficiency``, ``efficiency_ci95``, ``profit_mean``, ``profit_ci95``, ``regret_mean``
        and ``penalty`` (by reason).
    realisations: a row per realisation, with ``profit``, ``regret`` or ``efficiency`` among its columns.
    comparison: a row per method that was settled on the same realisations.
    """
    sections = [distribution_section(summary, realisations, currency), penalty_section(summary, currency)]
    sections.append(scenario_section(summary, currency))
    if comparison is not None and len(comparison):
        sections.append(comparison_section(comparison, currency))
    sections.append(provenance_section(summary, "UTC"))
    count = number(int(summary.get("realisations") or len(realisations)))
    return Page(
        title="Worth of the forecast",
        subtitle=f"{count} realisations settled"
        + (
            f", {number(summary['realisations_per_second'], 3)} a second"
            if summary.get("realisations_per_second")
            else ""
        ),
        status=summary.get("status", "ok"),
        reasons=[str(reason) for reason in summary.get("reasons", ())],
        banners=_banners(summary),
        headlines=[
            Headline("Efficiency", number(summary.get("efficiency")), "", _interval(summary.get("efficiency_ci95"))),
            Headline(
                "Mean profit", number(summary.get("profit_mean")), currency, _interval(summary.get("profit_ci95"))
            ),
            Headline("Mean regret", number(summary.get("regret_mean")), currency, "against perfect information"),
        ],
        sections=[section for section in sections if section is not None],
        links=links,
    )


def _banners(summary: Mapping[str, Any]) -> list[str]:
    """What nobody measured."""
    if summary.get("simulated"):
        return [SIMULATED_BANNER]
    named = [plain(name) for name in summary.get("simulated_series") or ()]
    return [f"This page shows simulated data in part: {', '.join(named)}. The other series are real."] if named else []


def distribution_section(summary: Mapping[str, Any], realisations: pd.DataFrame, currency: str) -> Section:
    """How profit, regret and efficiency spread over the realisations."""
    charts: list[Chart] = []
    for name, title in DRAWN.items():
        if name not in realisations.columns:
            continue
        values = realisations[name].dropna().to_numpy(dtype=float)
        if len(values) < 2:
            continue
        unit = "" if name == "efficiency" else currency
        low, high = (float(q) for q in np.quantile(values, (0.05, 0.95)))
        spread = f"nine in ten lie between {number(low)} and {number(high)} {unit}".strip()
        caption = f"Mean {number(float(values.mean()))} {unit}".strip() + f"; {spread}."
        label = ", ".join(part for part in (plain(name), unit) if part)
        marks = {"mean": float(values.mean()), "5%": low, "95%": high}
        charts.append(histogram(values, title, label, caption, marks))
    return Section("Realisations", "" if charts else "Fewer than two realisations: no distribution is drawn.", charts)


def penalty_section(summary: Mapping[str, Any], currency: str) -> Section | None:
    """What each forecast error costs, by Shapley value; the items add up to the total.

    Beside it stand the penalties as the paper counts them, where ``summary`` holds ``unit_price``.
    """
    penalty = {str(name): float(value) for name, value in (summary.get("penalty") or {}).items() if value is not None}
    if not penalty:
        return None
    parts = {name: value for name, value in penalty.items() if name != "total"}
    total = penalty.get("total", sum(parts.values()))
    columns = ["Reason", f"Penalty, {currency}".rstrip(", ")]
    rows = [[plain(name), number(value)] for name, value in {**parts, "total": total}.items()]
    tables = [Table("Mean penalty by reason", tuple(columns), rows, numeric=(1,))]
    counted = summary.get("unit_price") or {}
    if counted:
        printed = [[plain(name), number(value)] for name, value in counted["penalty"].items()]
        printed += [[plain(name), number(counted[name])] for name in UNIT_PRICED]
        tables.append(Table(UNIT_PRICE_TITLE, ("Item", columns[1]), printed, numeric=(1,)))
    lead = f"Forecast errors cost {number(total)} {currency} on average.".replace(" .", ".")
    return Section("Penalties", lead, [bars(parts, "Penalty by reason", f"penalty, {currency}".rstrip(", "))], tables)


def scenario_section(summary: Mapping[str, Any], currency: str) -> Section | None:
    """What the plan on scenarios earned above the plan on the forecast, settled on the same days."""
    found = summary.get("stochastic")
    if not found:
        return None
    money = f", {currency}".rstrip(", ")
    rows = [
        [f"Gain over the plan on the forecast{money}", f"{number(found['vss'])} ({_interval(found['vss_ci95'])})"],
        ["p-value, paired by day", number(found["p_value"])],
        [f"Profit of the plan on the forecast{money}", number(found["deterministic_profit_mean"])],
        [f"Mean of its worst days{money}", number(found["deterministic_worst_days_mean"])],
        [f"Mean of the worst days of the plan on scenarios{money}", number(found["worst_days_mean"])],
        [f"Promised on its scenarios{money}", number(found["promised"])],
        ["Proven relative gap", number(found["gap"])],
        ["Scenarios, of draws", f"{number(found['scenarios'])} of {number(found['draws'])}"],
        ["Price, wind and load of a draw", "belong together" if found["coupling"] == "keep" else "are independent"],
    ]
    low, high = found["vss_ci95"]
    verdict = (
        "earns more"
        if low > 0
        else "earns less"
        if high < 0
        else "earns neither more nor less, as far as these days tell"
    )
    lead = f"Settled on days that it was not made on, the plan on scenarios {verdict}."
    return Section(
        "Plan on scenarios", lead, tables=[Table("Value of the stochastic solution", ("What", "Value"), rows)]
    )


def comparison_section(comparison: pd.DataFrame, currency: str) -> Section:
    """Methods on the same realisations: a bar chart per score that every row has."""
    names = [str(name) for name in comparison.iloc[:, 0]]
    charts = []
    for score in ("efficiency", "profit_mean", "regret_mean"):
        if score in comparison.columns and comparison[score].notna().all():
            unit = "" if score == "efficiency" else currency
            label = ", ".join(part for part in (plain(score), unit) if part)
            charts.append(
                bars(dict(zip(names, map(float, comparison[score]), strict=True)), sentence(plain(score)), label)
            )
    return Section(
        "Comparison",
        "All rows were settled on the same realisations.",
        charts,
        [frame_table("Methods", comparison, currency)],
    )


def _interval(value: Any) -> str:
    if not value:
        return ""
    low, high = value
    return f"95% interval {number(low)} to {number(high)}"
