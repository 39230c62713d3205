"""The benchmark command: published figures beside ours, its files and rows, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from forecasting.errors import UnknownNameError
from pipelines.app import CONF
from pipelines.benchmarks.members import members_of
from pipelines.errors import ConfigError
from tests.pipelines.running import run_here, run_shell, summary_of

ROW_KEYS = {
    "market", "model", "mae", "rmae", "smape", "rmse", "crps", "coverage_90", "days", "refits", "train_seconds",
    "predict_seconds",
}  # fmt: skip


@pytest.fixture
def small_market(tmp_path: Path) -> Path:
    """Two years of a market whose price follows its load forecast, as ``NP.parquet``."""
    days = 420
    rng = np.random.default_rng(0)
    index = pd.date_range("2020-01-01", periods=24 * days, freq="h", name="time_local_naive")
    load = 40_000 + 4_000 * np.sin(np.arange(24 * days) * 2 * np.pi / 24) + 1_500 * rng.standard_normal(24 * days)
    frame = pd.DataFrame({"load_forecast": load, "wind_forecast": 2_000 + 500 * rng.standard_normal(24 * days)}, index)
    frame["price"] = 30 + (load - 40_000) / 500 - frame["wind_forecast"] / 400 + rng.standard_normal(24 * days)
    root = tmp_path / "data"
    root.mkdir()
    frame.to_parquet(root / "NP.parquet")
    return root


def small(root: Path, folder: Path, *others: str) -> list[str]:
    return [
        f"benchmark.root={root}", f"parts={folder / 'parts'}", "benchmark.test_from=2020-12-27",
        "benchmark.burn_in_days=60", "benchmark.history_days=7", "calibration.window_days=60", *others,
    ]  # fmt: skip


def test_run_leaves_its_files_and_the_promised_rows(small_market: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    finished = run_here(
        "benchmark", folder, *small(small_market, tmp_path, "model=lear", "model.windows=[84]", "recalibrate=28")
    )
    assert {path.name for path in folder.iterdir()} >= {"metrics.csv", "predictions.parquet", "report.html"}
    rows = {row["model"]: row for row in finished.outcome.record["rows"]}
    assert set(rows) == {"lear", "naive_standard", "naive_weekly"}
    lear = rows["lear"]
    assert lear.keys() >= ROW_KEYS
    assert lear["days"] == 59
    assert lear["refits"] == 5 and isinstance(lear["refits"], int)  # 119 days, burn-in included, every 28
    assert lear["mae"] < 0.7 * rows["naive_weekly"]["mae"]
    assert lear["coverage_90"] == pytest.approx(0.9, abs=0.05)
    assert lear["rmae"] == pytest.approx(lear["mae"] / rows["naive_weekly"]["mae"])
    assert rows["naive_weekly"]["crps"] is None

    table = finished.table("predictions.parquet")
    own = table[table["model"] == "lear"]
    assert len(own) == 59 * 24
    assert (own["point"] - own["y"]).abs().mean() == pytest.approx(lear["mae"])
    metrics = pd.read_csv(folder / "metrics.csv")
    hours = metrics[(metrics["model"] == "lear") & metrics["slice"].str.startswith("hour_")]
    assert len(hours) == 24
    assert hours["mae"].mean() == pytest.approx(lear["mae"])
    assert not (tmp_path / "parts").exists() or not any((tmp_path / "parts").iterdir())
    json.dumps(finished.outcome.record["rows"])


def test_ensemble_of_members_with_their_own_schedules(small_market: Path, tmp_path: Path) -> None:
    members = "model.members={lear: {name: lear, windows: [84]}, naive: {name: naive}}"
    schedules = "schedules={lear: {recalibrate: never}}"
    finished = run_here(
        "benchmark",
        tmp_path / "run",
        *small(
            small_market, tmp_path, "model=ensemble", "~model.members", f"+{members}", "~schedules", f"+{schedules}"
        ),
    )
    record = finished.outcome.record
    rows = {row["model"]: row for row in record["rows"]}
    assert rows["ensemble"]["refits"] == 1 + 17
    assert record["recalibration"] == {"lear": "fitted once", "naive": "refitted every 7 days"}
    assert sum(record["weights"]["NP"].values()) == pytest.approx(1.0)
    assert record["weights"]["NP"]["lear"] > 0.7


def test_parts_of_an_ensemble_are_scored_and_kept_backtests_are_not_repeated(
    small_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = "{name: feed_forward, history_days: 7, hidden: [8], training: {steps: 40}}"
    members = f"model.members={{net: {net}, naive: {{name: naive}}}}"
    schedules = "schedules={net: {recalibrate: never, seeds: 2}, naive: {recalibrate: never}}"
    others = ("model=ensemble", "~model.members", f"+{members}", "~schedules", f"+{schedules}", "keep_parts=true")
    command = small(small_market, tmp_path, *others)
    first = run_here("benchmark", tmp_path / "first", *command)
    rows = {row["model"]: row for row in first.outcome.record["rows"]}
    assert rows.keys() >= {
        "ensemble", "ensemble: net", "ensemble: net, one seed", "ensemble: naive", "ensemble, one seed",
        "ensemble, equal weights", "ensemble, intervals not calibrated",
    }  # fmt: skip
    assert rows["ensemble"]["refits"] == 3 and rows["ensemble, one seed"]["refits"] == 2
    assert rows["ensemble: naive"]["mae"] == pytest.approx(rows["naive_standard"]["mae"])
    assert rows["ensemble, intervals not calibrated"]["mae"] == pytest.approx(rows["ensemble"]["mae"])
    assert rows["ensemble, intervals not calibrated"]["coverage_90"] != rows["ensemble"]["coverage_90"]

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a kept backtest was computed again")

    monkeypatch.setattr("forecasting.models.neural.NeuralForecaster.fit", never)
    again = run_here("benchmark", tmp_path / "again", *command, "aggregation.weighting=equal")
    own = {row["model"]: row for row in again.outcome.record["rows"]}
    assert own["ensemble"]["mae"] == pytest.approx(rows["ensemble, equal weights"]["mae"])


def test_production_forecaster_is_the_default_of_the_price_benchmark() -> None:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        config, alone = (
            cast(
                dict[str, Any],
                OmegaConf.to_container(compose("benchmark", ["benchmark.root=/data", *more]), resolve=True),
            )
            for more in ([], ["model=lear"])
        )
    members = {member.name: member for member in members_of(config)}
    assert {member.model for member in members.values()} == {
        "conditional_transformer",
        "feed_forward",
        "cnn",
        "lear",
        "gradient_boosting",
    }
    assert members["transformer_pooled"].recalibration.fine_tune_steps > 0
    assert set(config["schedules"]) == set(members)
    assert [member.model for member in members_of(alone)] == ["lear"]


def test_schedule_of_a_strange_member_is_refused(small_market: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'transformer'"):
        run_here(
            "benchmark", tmp_path / "run", *small(small_market, tmp_path, "model=ensemble", "+schedules.transformr={}")
        )


def test_unknown_benchmark_market_and_setting_are_refused(small_market: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean NP"):
        run_here("benchmark", tmp_path / "a", *small(small_market, tmp_path, "benchmark.market=NO"))
    with pytest.raises(ConfigError, match="did you mean 'epf'"):
        run_here("benchmark", tmp_path / "b", *small(small_market, tmp_path, "benchmark.name=epff"))
    with pytest.raises(ConfigError, match="holds no day"):
        run_here("benchmark", tmp_path / "c", *small(small_market, tmp_path, "benchmark.test_from=2031-01-01"))
    with pytest.raises(UnknownNameError, match="did you mean 'windows'"):
        run_here("benchmark", tmp_path / "d", *small(small_market, tmp_path, "model=lear", "+model.window=[84]"))
    with pytest.raises(UnknownNameError, match="did you mean 'shrinkage'"):
        run_here("benchmark", tmp_path / "e", *small(small_market, tmp_path, "+model.shrink=0.1"))


def test_command_line_ends_with_zero_and_a_summary(small_market: Path, tmp_path: Path) -> None:
    done = run_shell("benchmark", tmp_path, *small(small_market, tmp_path, "model=naive", "recalibrate=never"))
    assert done.returncode == 0, done.stderr
    assert "1 refits in all" in done.stdout
    summary = summary_of(tmp_path / "outputs")
    assert summary["command"] == "benchmark" and summary["status"] == "ok"
    wrong = run_shell("benchmark", tmp_path, *small(small_market, tmp_path, "model=naive", "recalibrate=monthly"))
    assert wrong.returncode == 2
    assert "never, daily, weekly" in wrong.stderr


@pytest.mark.data
def test_published_ensembles_stand_beside_with_their_published_errors(
    public_data: Callable[[str], Path], tmp_path: Path
) -> None:
    finished = run_here(
        "benchmark",
        tmp_path / "run",
        f"benchmark.root={public_data('epf')}",
        f"parts={tmp_path / 'parts'}",
        "model=naive",
        "recalibrate=never",
    )
    rows = {row["model"]: row for row in finished.outcome.record["rows"]}
    assert {name: round(row["mae"], 3) for name, row in rows.items() if "ensemble" in name} == {
        "dnn_ensemble": 1.683,
        "lear_ensemble": 1.738,
    }
    assert rows["lear_ensemble"]["dm_p"] > 0.95  # worse than the reference, the DNN
    assert rows["naive"]["mae"] == pytest.approx(rows["naive_standard"]["mae"])
