"""Pages of published results: intervals beside their estimate, money with its currency, choices by name, and foresight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.collect import varied
from pipelines.report.charts import estimates
from pipelines.report.claims import findings
from pipelines.report.page import Section
from pipelines.report.published import foresight_section, published_sections
from pipelines.report.tables import interval_table
from pipelines.report.words import level


def test_an_interval_stands_beside_its_estimate() -> None:
    frame = pd.DataFrame({"what_if.spot": [0.5], "profit_mean": [10.0], "gain": [2.0], "gain_low": [1.0]})
    table = interval_table("Values", frame.assign(gain_high=3.0), "USD")
    assert list(table.columns) == ["Spot price level", "Mean profit, USD", "Gain, USD"]
    assert list(table.rows[0]) == ["0.500", "10.00", "2.000 (1.000 to 3.000)"]
    assert list(table.numeric) == [1, 2]
    assert "Gain low" in interval_table("Values", frame).columns, "an interval with one end is left as it is"


def test_a_setting_is_written_as_it_is_typed() -> None:
    assert [level(value) for value in (0.1, 1.0, 30, "keep", True)] == ["0.1", "1", "30", "keep", "True"]


def _sweep(**columns: Any) -> pd.DataFrame:
    rows = pd.DataFrame({"job": ["0", "1", "2"], "status": "ok", "currency": "USD", **columns})
    return pd.concat([rows, pd.DataFrame([{"job": "3", "status": "failed", "model": "slow"}])], ignore_index=True)


def test_named_choices_carry_the_experiments_words_and_failed_jobs_are_left_out(tmp_path: Path) -> None:
    rows = _sweep(
        model=["naive", "lear", "slow"],
        efficiency=[2.0, 2.5, 2.2],
        efficiency_low=[1.0, 1.5, 1.2],
        efficiency_high=[3.0, 3.5, 3.2],
        regret_mean=[30.0, 10.0, 20.0],
    )
    published = {
        "x": "model",
        "columns": ["efficiency", "regret_mean"],
        "names": {"lear": "LEAR"},
        "paper": {"efficiency": {"slow": 2.25}},
        "paper_says": "Slow wins.",
    }
    (section,) = published_sections(rows, published, tmp_path)
    assert section.lead == "The paper: Slow wins."
    assert [list(row)[:3] for row in section.tables[0].rows] == [
        ["naive", "n/a", "2.000 (1.000 to 3.000)"],
        ["LEAR", "n/a", "2.500 (1.500 to 3.500)"],
        ["slow", "2.250", "2.200 (1.200 to 3.200)"],
    ]
    intervals, regret = section.figures
    assert "LEAR 2.500 (1.500 to 3.500)" in intervals.description
    assert regret.caption == "Least with LEAR, most with naive."
    assert "mean regret, USD" in regret.svg


def test_a_claim_that_fails_says_where() -> None:
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0], "profit_mean": [100.0, 110.0, 90.0]})
    published = {"x": "x", "checks": [{"column": "profit_mean", "claim": "never_rises", "kind": "general"}]}
    (said,) = findings(rows, published, "USD")
    assert said.startswith("Follows from the model: mean profit never rises with x. It does not hold here: ")
    assert said.endswith(": 100.0 USD at 1, 90.00 USD at 3; it rises by 9.1% from 1 to 2.")


def _foresight(**columns: Any) -> pd.DataFrame:
    rows = pd.DataFrame(
        {"model": ["naive", "perfect foresight", "lear"], "efficiency": 2.0, "profit_mean": 50.0, "days": 7}
    )
    return rows.assign(**columns)


def _shown(section: Section) -> dict[str, list[str]]:
    return {str(row[0]): [str(value) for value in row[3:]] for row in section.tables[0].rows}


def test_foresight_is_shared_out_in_per_cent() -> None:
    table = _foresight(
        gain=[0.0, 40.0, 20.0],
        gain_low=[0.0, 30.0, 15.0],
        gain_high=[0.0, 50.0, 25.0],
        p_value=[1.0, np.nan, 1e-5],
        share_of_foresight=[-0.001, 1.0, 0.5],
        share_low=[-0.02, np.nan, 0.44],
        share_high=[0.02, np.nan, 0.58],
    )
    section = foresight_section(table, {"x": "model", "baseline": "naive", "names": {"lear": "LEAR"}}, "USD")
    assert "the same 7 days" in section.lead
    assert _shown(section) == {
        "naive": ["0 (0 to 0)", "1.000", "0% (-2 to 2)"],
        "LEAR": ["20.00 (15.00 to 25.00)", "< 0.001", "50% (44 to 58)"],
        "perfect foresight": ["40.00 (30.00 to 50.00)", "n/a", "100%"],
    }
    (chart,) = section.figures
    assert "naive 0" not in chart.description, "the baseline gains nothing over itself"


def test_without_the_baseline_no_gain_is_claimed() -> None:
    section = foresight_section(_foresight(), {"x": "model", "baseline": "naive"}, "USD")
    assert not section.tables and "No job of naive finished" in section.lead


def test_intervals_are_drawn_for_every_name() -> None:
    chart = estimates({"one": (1.0, 0.5, 1.5), "two": (-2.0, -3.0, -1.0)}, "Gain", "gain, USD")
    assert (
        chart.description
        == "one 1.000 (0.500 to 1.500), two \N{MINUS SIGN}2.000 (\N{MINUS SIGN}3.000 to \N{MINUS SIGN}1.000) (gain, USD)."
    )
    assert "95% interval" in chart.svg and ">two<" in chart.svg


def test_only_what_was_chosen_differs_between_jobs() -> None:
    rows = pd.DataFrame(
        {"job": ["0", "1"], "model": ["a", "b"], "seed": [0.0, None], "config_hash": ["x", "y"], "status": "ok"}
    )
    assert varied(rows) == ["model"]
