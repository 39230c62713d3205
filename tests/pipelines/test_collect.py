"""Sweeps gathered into one table and page: published figures beside ours, failed jobs with their reason, and foresight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pipelines.app import CONF
from pipelines.errors import ConfigError
from pipelines.report.claims import findings
from pipelines.stages.foresight import foresight_table
from tests.pipelines.running import run_here, run_shell


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three jobs of the Fig. 10 experiment, the first of which cannot run."""
    folder = tmp_path_factory.mktemp("sweep")
    done = run_shell(
        "evaluate", folder, "--multirun", "+experiment=fig10", "realisations.count=6", "what_if.spot=0,0.5,1.0"
    )
    assert done.returncode == 2, done.stderr
    (jobs,) = (folder / "multirun" / "evaluate").iterdir()
    return jobs


def test_a_sweep_becomes_one_table_and_one_page(sweep: Path, tmp_path: Path) -> None:
    collected = run_here("collect", tmp_path, f"folder={sweep}")
    rows = pd.read_csv(sweep / "collected.csv")
    assert rows["what_if.spot"].tolist() == [0.0, 0.5, 1.0]
    assert rows["status"].tolist() == ["failed", "ok", "ok"]
    assert "must be above zero" in rows["reason"][0]
    assert rows["efficiency"][1] > rows["efficiency"][2]
    assert (rows["efficiency_low"][1:] < rows["efficiency"][1:]).all()
    assert (rows["efficiency"][1:] < rows["efficiency_high"][1:]).all()
    stored = collected.table("collected.parquet")
    assert stored.columns.tolist() == rows.columns.tolist()
    np.testing.assert_allclose(stored["efficiency"], rows["efficiency"])
    assert collected.outcome.status == "degraded"
    assert "job 0 failed" in collected.outcome.reasons[0]


def test_the_page_says_what_the_paper_reports_and_what_is_found(sweep: Path, tmp_path: Path) -> None:
    collected = run_here("collect", tmp_path, f"folder={sweep}")
    page = (sweep / "report.html").read_text(encoding="utf-8")
    assert "Spot price level (Shi et al. 2023, Fig. 10)" in page
    assert "above 40% of the benchmark price it has almost no effect" in page
    general, moved, flat = collected.outcome.record["findings"]
    assert general.startswith("Follows from the model") and "It holds here" in general
    assert "USD at 0.5" in general
    assert moved.startswith("The paper reports") and "It holds here: it changes by 4" in moved  # from half the price on
    assert flat.startswith("The paper reports") and "It does not hold here" in flat


def test_a_folder_without_jobs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no jobs"):
        run_here("collect", tmp_path, f"folder={tmp_path}")


def test_findings_read_the_figures_off_the_jobs() -> None:
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "up": [1, 2, 3, 3], "hill": [1, 4, 3, 2], "flat": [5, 2, 2.01, 2]})

    def found(column: str, claim: str, **more: float) -> str:
        checks = [{"column": column, "claim": claim, "kind": "paper", **more}]
        return findings(rows, {"x": "x", "checks": checks})[0]

    assert "It holds here" in found("up", "never_falls")
    assert "does not hold" in found("up", "never_rises")
    assert "It holds here: its peak is at 2" in found("hill", "turns")
    assert "does not hold" in found("up", "turns")
    assert "It holds here: it changes by 0.5% there" in found("flat", "flat_beyond", beyond=2.0)
    assert "does not hold" in found("flat", "flat_beyond", beyond=1.0)
    assert "changes by about 60% with x. It holds here: it changes by 66.7%" in found("up", "moves_by", share=0.6)
    assert "does not hold here: it changes by 66.7%, 1.000 at 1, 3.000 at 4" in found("up", "moves_by", share=0.5)
    rows["late"] = [0.0, 0.0, 0.2, 0.3]
    assert "does not hold here: it is zero up to 2" in found("late", "zero_up_to")
    assert "it is at no point zero" in found("up", "zero_up_to")


def test_experiments_name_columns_and_claims_that_exist() -> None:
    columns = {"efficiency", "efficiency_perfect", "profit_mean", "profit_perfect_mean", "regret_mean", "penalty.wind"}
    columns |= {f"plan.{name}" for name in ("purchase_mwh", "gas_unit_hours", "flexible_mwh", "charge_mwh")}
    columns |= {
        f"stochastic.{name}"
        for name in ("vss", "vss_low", "vss_high", "worst_days_mean", "deterministic_worst_days_mean", "promised")
    }
    columns |= {"efficiency_without_subsidy", "unit_price.efficiency", "objective"}
    columns |= {
        f"figures.{name}"
        for name in ("over_limit_share", "highest_pu", "lowest_pu", "line_losses_mwh", "converter_losses_mwh")
    }
    names = {path.stem for path in (CONF / "experiment").glob("*.yaml")}
    assert {"table6", "fig8", "fig9", "fig10", "fig11", "fig12", "nights", "stochastic"} <= names
    for name in names:
        published = yaml.safe_load((CONF / "experiment" / f"{name}.yaml").read_text(encoding="utf-8"))["published"]
        assert published["name"] == name
        assert {check["column"] for check in published["checks"]} | set(published["columns"]) <= columns
        assert {check["claim"] for check in published["checks"]} <= {
            "never_rises",
            "never_falls",
            "turns",
            "flat_beyond",
            "moves_by",
            "zero_up_to",
        }


def _job(folder: Path, name: str, days: list[str], profit: list[float], best: list[float]) -> dict[str, str]:
    frame = pd.DataFrame({"day": pd.to_datetime(days), "profit": profit, "best_profit": best})
    frame = frame.assign(income=200.0, cost=100.0, best_income=200.0, best_cost=80.0)
    (folder / name).mkdir()
    frame.to_parquet(folder / name / "realisations.parquet")
    return {"job": name, "status": "ok", "model": name}


def test_share_of_foresight_is_measured_on_the_days_that_all_share(tmp_path: Path) -> None:
    """Baseline earns 100 and 110 where 120 and 150 were possible; the other 110 and 130: 30 of 60, a half."""
    naive = _job(tmp_path, "naive", ["2024-01-01", "2024-01-02", "2024-01-03"], [100, 110, 0], [120, 150, 999])
    better = _job(tmp_path, "better", ["2024-01-01", "2024-01-02"], [110, 130], [120, 150])
    table = foresight_table(pd.DataFrame([naive, better]), tmp_path, ["model"], "naive")
    assert table is not None
    table = table.set_index("model")
    assert table["days"].unique().tolist() == [2]
    assert table["share_of_foresight"].to_dict() == pytest.approx(
        {"naive": 0.0, "perfect foresight": 1.0, "better": 0.5}
    )
    # resampling two days: both the first (10 of 20), both the second (20 of 40), or either once: always a half
    assert table.loc["better", "share_low"] == pytest.approx(0.5)
    assert table.loc["better", "share_high"] == pytest.approx(0.5)
    assert table.loc["better", "gain"] == pytest.approx(15.0)
    # two days: half-width 12.706 * (7.071 / sqrt 2)
    assert table.loc["better", "gain_high"] - 15.0 == pytest.approx(12.7062 * 5.0, rel=1e-4)
    assert table.loc["perfect foresight", "efficiency"] == pytest.approx(2.5)
    assert np.isnan(table.loc["perfect foresight", "p_value"])
