"""The evaluate command: one answer for any number of workers, resumed runs, perfect forecasts, and all kinds of days."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from hydra.errors import ConfigCompositionException

import dispatch
from dispatch.case_adno import AdnoCase
from dispatch.settlement.planner import CopperPlatePlanner
from pipelines.errors import ConfigError
from pipelines.stages import settle_days as settling
from pipelines.stages.realisations import synthetic_days
from pipelines.stages.what_if import at_levels
from tests.pipelines.running import Finished, run_here

QUICK = ("realisations.count=24", "realisations.chunk=8")
NIGHT = ("model=naive", "history.train_days=60", "history.valid_days=28")


def evaluate(folder: Path, *overrides: str, name: str = "run") -> Finished:
    places = [f"{key}.root={folder / key}" for key in ("store", "artefacts")]
    return run_here("evaluate", folder / name, *places, f"parts.root={folder / 'parts'}", *QUICK, *overrides)


@pytest.fixture(scope="module")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return evaluate(tmp_path_factory.mktemp("evaluate"))


def test_summary_says_what_the_forecast_is_worth(default_run: Finished) -> None:
    record = default_run.outcome.record
    low, high = record["efficiency_ci95"]
    assert low < record["efficiency"] < high
    assert record["efficiency_without_subsidy"] > record["efficiency"]
    assert record["profit_ci95"][0] < record["profit_mean"] < record["profit_ci95"][1]
    assert record["realisations"] == record["regret_realisations"] == 24
    assert record["regret_mean"] > 0
    parts = sum(record["penalty"][name] for name in ("price", "wind", "load"))
    assert parts == pytest.approx(record["penalty"]["total"], abs=1e-8)
    assert record["efficiency_perfect"] > record["efficiency"]
    counted = record["unit_price"]
    assert counted["efficiency_ci95"][0] < counted["efficiency"] < counted["efficiency_without_subsidy"]
    parts = sum(counted["penalty"][name] for name in ("price", "wind", "load"))
    assert parts == pytest.approx(counted["penalty"]["total"])
    assert record["realisations_per_second"] > 1
    assert "simulated data" in (default_run.folder / "report.html").read_text(encoding="utf-8")


def test_money_of_every_realisation_adds_up(default_run: Finished) -> None:
    table = default_run.table("realisations.parquet")
    costs = [name for name in table.columns if name.endswith("_cost") and not name.startswith(("best_", "unit_price_"))]
    np.testing.assert_allclose(table[costs].sum(axis=1), table["cost"], atol=1e-6)
    np.testing.assert_allclose(table["income"] - table["cost"], table["profit"], atol=1e-6)
    np.testing.assert_allclose(table["best_profit"] - table["profit"], table["regret"], atol=1e-9)
    shares = table[["penalty_price", "penalty_wind", "penalty_load"]].sum(axis=1)
    np.testing.assert_allclose(shares, table["regret"], atol=1e-8)
    assert (table["regret"] >= -1e-6).all()


def test_errors_of_size_zero_cost_nothing(tmp_path: Path) -> None:
    none = [f"realisations.error_model.{name}_std=0" for name in ("price", "wind", "load")]
    record = evaluate(tmp_path, *none, "realisations.count=2").outcome.record
    assert record["regret_mean"] == pytest.approx(0.0, abs=1e-9)
    assert all(value == pytest.approx(0.0, abs=1e-9) for value in record["penalty"].values())
    assert all(value == pytest.approx(0.0, abs=1e-9) for value in record["unit_price"]["penalty"].values())
    # without errors both ways of counting know the same costs, but for wear, which the paper's storage has not
    assert record["unit_price"]["efficiency"] == pytest.approx(record["efficiency"], rel=1e-3)


def test_two_workers_give_the_same_rows_as_one(default_run: Finished, tmp_path: Path) -> None:
    two = evaluate(tmp_path, "parallel.n_jobs=2", "parts.root=null")
    pd.testing.assert_frame_equal(two.table("realisations.parquet"), default_run.table("realisations.parquet"))


def test_two_dask_workers_give_the_same_rows_as_one(default_run: Finished, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = f"parallel.scheduler='{cluster.scheduler_address}'"
        two = evaluate(tmp_path, "parallel.backend=dask", address, "parts.root=null")
    pd.testing.assert_frame_equal(two.table("realisations.parquet"), default_run.table("realisations.parquet"))


def test_a_killed_run_goes_on_where_it_stopped(
    default_run: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = settling._settle_chunk
    calls: list[int] = []

    def killed(*arguments: Any) -> pd.DataFrame:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(settling, "_settle_chunk", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path)
    assert len(list((tmp_path / "parts" / "evaluate").glob("*.parquet"))) == 2
    monkeypatch.setattr(settling, "_settle_chunk", real)
    again = evaluate(tmp_path, name="again")
    assert again.outcome.record["reused"] == 16
    pd.testing.assert_frame_equal(again.table("realisations.parquet"), default_run.table("realisations.parquet"))


def test_another_case_or_seed_uses_no_part_of_this_one(default_run: Finished, tmp_path: Path) -> None:
    shutil.copytree(default_run.folder.parent / "parts", tmp_path / "parts")
    for k, changed in enumerate(("seed=1", "what_if.wind=0.5", "variant=no_subsidy", "case.imbalance.buy_markup=0.3")):
        assert evaluate(tmp_path, changed, name=f"run{k}").outcome.record["reused"] == 0
    assert evaluate(tmp_path, name="same").outcome.record["reused"] == 24


def test_regret_can_be_left_to_the_first_realisations(default_run: Finished, tmp_path: Path) -> None:
    finished = evaluate(tmp_path, "regret.realisations=10")
    table, full = finished.table("realisations.parquet"), default_run.table("realisations.parquet")
    assert table["regret"].notna().sum() == 10
    pd.testing.assert_series_equal(table["profit"], full["profit"])
    pd.testing.assert_series_equal(table["regret"].head(10), full["regret"].head(10))
    assert "first 10 of 24" in finished.outcome.record["notes"][0]


def test_joint_scenarios_of_a_night_are_settled(tmp_path: Path) -> None:
    finished = evaluate(tmp_path, *NIGHT, "realisations.kind=scenarios")
    record = finished.outcome.record
    assert record["kind"] == "scenarios"
    assert record["delivery_day"] == "2024-10-15"
    assert len(finished.table("realisations.parquet")) == 24
    assert record["regret_mean"] > 0


def test_past_nights_are_settled_day_by_day(tmp_path: Path) -> None:
    span = ("realisations.first=2024-09-02", "realisations.last=2024-09-08")
    finished = evaluate(tmp_path, *NIGHT, "realisations.kind=history", *span)
    table = finished.table("realisations.parquet")
    assert [f"{day:%m-%d}" for day in table["day"]] == [f"09-{day:02d}" for day in range(2, 9)]
    assert (table["regret"] >= -1e-6).all()
    assert table["regret"].max() > 1.0


def test_methods_are_compared_on_the_same_days(tmp_path: Path) -> None:
    """Whatever is planned and however, what comes true is the same: the truth's own plan earns the same in both."""
    span = ("realisations.kind=history", "realisations.first=2024-09-02", "realisations.last=2024-09-04")
    made = [evaluate(tmp_path, *NIGHT, *span, f"model={name}", name=name) for name in ("naive", "naive_weekly")]
    first, second = (finished.table("realisations.parquet") for finished in made)
    np.testing.assert_allclose(first["best_profit"], second["best_profit"], atol=1e-9)
    assert not np.allclose(first["profit"], second["profit"])


@pytest.mark.data
def test_real_nights_are_settled_at_their_prices(public_data: Callable[[str], Path], tmp_path: Path) -> None:
    """Denmark West around 9 June 2024, whose price fell to -37 EUR/MWh; local wind and load are simulated, and it is said."""
    root = public_data("entsoe_2022_2024H1/zones_hourly.parquet").parent
    source = (
        "source=files",
        f"source.root={root}",
        "source.layout=entsoe_zones",
        "zone=DK_1",
        "as_of=2024-06-12T12:00Z",
    )
    span = ("realisations.kind=history", "realisations.first=2024-06-08", "realisations.last=2024-06-09")
    finished = evaluate(tmp_path, *NIGHT, *source, *span)
    table, record = finished.table("realisations.parquet"), finished.outcome.record
    assert [f"{day:%m-%d}" for day in table["day"]] == ["06-08", "06-09"]
    assert (table["best_profit"] >= table["profit"] - 1e-6).all()
    assert record["simulated_in_part"] and record["simulated_series"] == ["load", "wind_power"]
    prices = pd.read_parquet(root / "zones_hourly.parquet", filters=[("zone", "=", "DK_1")]).set_index("time_utc")[
        "price"
    ]
    spot = prices.loc["2024-06-08 22:00":"2024-06-09 21:00"].to_numpy()
    assert spot.min() == pytest.approx(-37.0, abs=1.0)
    # the plan buys 0 to 4.7 MW in every hour, and pays for it between the day's lowest and highest price
    assert 24 * 4.7 * spot.min() <= table["purchase_cost"][1] <= 24 * 4.7 * spot.max()


def test_levels_and_variants_meet_the_same_errors() -> None:
    settings = {"count": 5, "chunk": 2, "error_model": {}}
    case = dispatch.load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    levels = dict.fromkeys(("spot", "wind", "elasticity", "subsidy", "storage"), 1.0)
    usual, cheap, other = (
        synthetic_days(at_levels(case, {**levels, "spot": spot}), settings, seed)
        for spot, seed in ((1.0, 3), (0.5, 3), (1.0, 4))
    )
    np.testing.assert_array_equal(usual.truth.wind_mw, cheap.truth.wind_mw)
    np.testing.assert_array_equal(usual.truth.load_mw, cheap.truth.load_mw)
    np.testing.assert_allclose(usual.truth.price_per_mwh, 2 * cheap.truth.price_per_mwh)
    assert not np.allclose(usual.truth.load_mw, other.truth.load_mw)


def test_a_worker_computes_with_one_thread() -> None:
    with settling.workers({"n_jobs": 2, "backend": "loky"}):
        found = joblib.Parallel()(joblib.delayed(os.environ.get)("OMP_NUM_THREADS") for _ in range(2))
    assert found == ["1", "1"]


def test_past_nights_that_are_not_over_are_refused(tmp_path: Path) -> None:
    span = ("realisations.first=2024-10-01", "realisations.last=2024-10-20")
    with pytest.raises(ConfigError, match="is not over at as_of"):
        evaluate(tmp_path, *NIGHT, "realisations.kind=history", *span)


def test_the_certified_network_plan_can_be_settled(tmp_path: Path) -> None:
    finished = evaluate(tmp_path, "plan.network=true", "realisations.count=6", "regret.realisations=0")
    plate = evaluate(tmp_path, "realisations.count=6", name="plate")
    assert finished.outcome.record["network"] is True
    assert finished.outcome.record["regret_mean"] is None
    assert finished.outcome.record["profit_mean"] == pytest.approx(plate.outcome.record["profit_mean"], rel=0.01)


def test_days_can_be_replayed_on_the_feeder(default_run: Finished, tmp_path: Path) -> None:
    finished = evaluate(tmp_path, "settle.network=true", "realisations.count=8", "regret.realisations=0")
    table, record = finished.table("realisations.parquet"), finished.outcome.record["feeder"]
    np.testing.assert_allclose(table["feeder_profit"], table["profit"], rtol=0.05)
    assert record["loss_mwh_mean"] == pytest.approx(table["feeder_loss_mwh"].mean())
    assert 0.85 < record["voltage_min_pu"] < 1.0
    np.testing.assert_array_equal(table["outside_hours"] > 0, table["voltage_min_pu"] < 0.9 - 1e-6)


def test_levels_of_the_case_move_what_they_name(tmp_path: Path) -> None:
    """At half the spot price, gas at 91 USD/MWh never runs; without subsidies only the free 8% of load is flexible."""
    half = evaluate(tmp_path, "what_if.spot=0.5", "regret.realisations=0", name="half").outcome.record
    assert half["plan"]["gas_unit_hours"] == 0
    none = evaluate(tmp_path, "what_if.subsidy=0", "regret.realisations=0", name="none").outcome.record
    rigid = 3.715 * sum(_shape())
    assert none["plan"]["subsidy_cost"] == pytest.approx(0.0, abs=1e-9)
    assert none["plan"]["flexible_mwh"] == pytest.approx(0.08 * rigid, rel=1e-6)


def _shape() -> list[float]:
    case = dispatch.load_case("adno_ieee33")
    return list(case.feeder_customers.shape)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("realisations.kind=oracle", "use one of synthetic, scenarios, history"),
        ("what_if.spot=0", "must be above zero"),
        ("what_if.wind=-1", "must be above zero"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        evaluate(tmp_path, override)


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigCompositionException):
        evaluate(tmp_path, "realisations.number=3")


def test_simulated_days_are_settled_without_torch() -> None:
    """Loading it would cost every worker of a sweep two seconds."""
    code = "import sys, pipelines.evaluate, pipelines.stages.realisations; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_planner_travels_to_other_processes_without_its_solvers() -> None:
    import pickle

    from dispatch.settlement.from_schedule import case_forecast

    case = dispatch.load_case("adno_ieee33")
    planner = CopperPlatePlanner.of_case(case)  # type: ignore[arg-type]
    day = case_forecast(case)  # type: ignore[arg-type]
    first = planner.plans(day)
    second = pickle.loads(pickle.dumps(planner)).plans(day)
    np.testing.assert_array_equal(first.purchase_mw, second.purchase_mw)


def test_the_plan_on_scenarios_earns_more_out_of_sample(tmp_path: Path) -> None:
    """Bought at 1.2 and sold at 0.8 times spot, a mean forecast is no plan: hedging pays 5 USD or more of 5,400."""
    stochastic = ("plan.kind=stochastic", "plan.stochastic.draws=400", "plan.stochastic.scenarios=10")
    finished = evaluate(tmp_path, *stochastic, "realisations.count=300", "regret.realisations=0")
    record, table = finished.outcome.record["stochastic"], finished.table("realisations.parquet")
    assert record["gap"] <= 1e-4
    assert record["vss"] == pytest.approx((table["profit"] - table["deterministic_profit"]).mean())
    assert record["vss_ci95"][0] > 0
    again = evaluate(tmp_path, "realisations.count=300", "regret.realisations=0", name="usual")
    np.testing.assert_allclose(table["deterministic_profit"], again.table("realisations.parquet")["profit"])


def test_plans_on_scenarios_need_draws(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without a network"):
        evaluate(tmp_path, "plan.kind=stochastic", "plan.network=true")
