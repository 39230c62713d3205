"""Pages of the other commands: any market model, training, benchmark, evaluation, sweep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dispatch.network.feeder import load_feeder
from dispatch.schedule import Schedule
from pipelines.report.benchmark import benchmark_page
from pipelines.report.evaluate import evaluate_page
from pipelines.report.optimize import optimize_page
from pipelines.report.page import render
from pipelines.report.sweep import sweep_page
from pipelines.report.training import training_page
from tests.pipelines.report_fixtures import ASSETS, delivery_index, schedule, summary
from tests.pipelines.test_report_page import Document


def parks() -> Schedule:
    rng = np.random.default_rng(3)
    rows = [
        (step, f"park_{asset}", "park", quantity, float(rng.normal(2, 1)))
        for quantity, assets in (("power_mw", 2), ("price_per_mwh", 2), ("flexible_mw", 12))
        for asset in range(assets)
        for step in range(24)
    ]
    rows += [(step, "idle", "park", "unserved_mw", 2e-11) for step in range(24)]
    gaps = pd.DataFrame({"round": range(5), "gap": 10.0 ** -np.arange(5.0)})
    return replace(
        schedule(pd.RangeIndex(24)),
        market="industrial_parks",
        table=pd.DataFrame(rows, columns=["step", "asset", "kind", "quantity", "value"]),
        money={"agent": {"sales": 300.0, "contract": -120.0}, "park_0": {"bill": -150.0}},
        objective=180.0,
        extras={"convergence": gaps, "price_ends": pd.DataFrame({"park": ["a<b"], "lowest_price_per_mwh": [1.5]})},
    )


def test_any_market_is_drawn_from_its_tables() -> None:
    page = optimize_page(parks(), summary())
    titles = {section.title: section for section in page.sections}
    park = titles["Park"]
    assert [chart.title for chart in park.figures] == [
        "Park: power, MW",
        "Park: price, USD/MWh",
        "Park: flexible, MW",
    ], "a solver's zero is not drawn"
    assert "USD/MWh" in park.figures[1].caption
    assert [row[1] for row in titles["All quantities"].tables[0].rows] == ["power", "price", "flexible", "unserved"]
    assert [row[3] for row in titles["All quantities"].tables[0].rows] == ["2", "2", "12", "1"]
    assert titles["Convergence"].figures
    assert not titles["Price ends"].figures
    assert "a<b" in Document(render(page)).text


def test_a_network_market_gets_the_sections_of_the_nightly_page() -> None:
    plan = schedule(delivery_index())
    page = optimize_page(plan, summary(), feeder=load_feeder("ieee33"), assets=ASSETS, voltage_limits_pu=(0.9, 1.1))
    titles = [section.title for section in page.sections]
    assert titles == [
        "Dispatch", "Storage", "Subsidies and response", "Network", "Wind", "Customer", "Line",
        "Money", "Certificate", "All quantities", "Provenance",
    ]  # fmt: skip
    charts = [chart.title for section in page.sections for chart in section.figures]
    assert {"Wind: available, MW", "Customer: rigid, MW", "Line: flow, MW", "Line: loss, MW"} <= set(charts)
    Document(render(page))


def test_who_loses_against_the_baseline_is_said() -> None:
    page = optimize_page(parks(), baseline={"agent": {"sales": 150.0}, "park_0": {"bill": -140.0}})
    section = next(item for item in page.sections if item.title == "Against the baseline")
    assert section.lead == "Worse off than in the baseline: park 0."
    assert [list(row)[-1] for row in section.tables[0].rows] == ["30.00 USD", "\N{MINUS SIGN}10.00 USD"]


def test_the_learning_curve_marks_the_weights_that_were_kept() -> None:
    metrics = pd.DataFrame({"step": [10, 20, 30], "train_loss": [3.0, 2.0, 1.0], "valid_loss": [2.5, np.nan, 2.75]})
    page = training_page(summary(model="conditional_transformer", target="price"), metrics)
    assert page.headlines[0].value == "2.500"
    assert "step 10" in page.sections[0].figures[0].caption
    assert page.title == "Training of conditional transformer"


def test_a_model_without_a_curve_says_so() -> None:
    page = training_page(summary(model="lear"), pd.DataFrame())
    assert "no learning curve" in page.sections[0].lead
    render(page)


def test_a_benchmark_is_ranked_by_error_with_the_published_ones_beside() -> None:
    rows = [
        {"market": "NP", "model": "naive", "mae": 3.1, "rmae": 1.0, "crps": np.nan, "days": 728},
        {"market": "NP", "model": "lear", "mae": 1.9, "rmae": 0.61, "crps": 1.3, "days": 728},
        {"market": "NP", "model": "published", "mae": 1.7, "rmae": 0.55, "crps": None, "days": 728},
    ]
    page = benchmark_page(rows, summary(benchmark="epf"), published=["published"])
    assert [row[0] for row in page.sections[0].tables[0].rows] == ["published", "lear", "naive"]
    assert page.sections[0].tables[0].columns[:3] == ["Model", "MAE", "rMAE"]
    assert [chart.title for chart in page.sections[0].figures][::2] == ["MAE", "CRPS"]
    assert "published 1.700" in page.sections[0].figures[0].description


def test_parts_of_a_forecaster_are_listed_after_it_and_are_never_the_best() -> None:
    rows = [
        {"market": "NP", "model": "ensemble", "mae": 1.6, "days": 728.0},
        {"market": "NP", "model": "ensemble without lear", "mae": 1.5, "days": 728.0},
        {"market": "NP", "model": "naive", "mae": 3.1, "days": 728.0},
    ]
    page = benchmark_page(rows, summary(benchmark="epf"), published=["naive"], variants=["ensemble without lear"])
    assert page.headlines[0].note == "ensemble"
    assert page.sections[0].lead == "Lowest MAE: ensemble with 1.600, over 728 days."
    scores, parts = page.sections[0].tables
    assert [row[0] for row in scores.rows] == ["ensemble", "naive"]
    assert [row[0] for row in parts.rows] == ["ensemble without lear"]
    assert "without" not in page.sections[0].figures[0].description


def test_an_evaluation_shows_its_intervals_and_penalties() -> None:
    profit = np.linspace(100, 200, 101)
    record = summary(
        efficiency=2.2,
        efficiency_ci95=[2.1, 2.3],
        profit_mean=150.0,
        regret_mean=4.0,
        penalty={"price": 5.0, "wind": -1.0},
    )
    page = evaluate_page(record, pd.DataFrame({"profit": profit}), currency="USD")
    assert page.headlines[0].note == "95% interval 2.100 to 2.300"
    assert "nine in ten lie between 105.0 and 195.0 USD" in page.sections[0].figures[0].caption
    assert page.sections[1].tables[0].rows[-1] == ["total", "4.000"]


def test_the_gain_of_a_plan_on_scenarios_is_said_with_its_interval() -> None:
    found: dict[str, object] = {
        "vss": 5.0, "vss_ci95": [-1.0, 11.0], "p_value": 0.1, "deterministic_profit_mean": 100.0,
        "deterministic_worst_days_mean": 50.0, "worst_days_mean": 55.0, "promised": 120.0, "gap": 1e-5, "scenarios": 10,
        "draws": 500, "coupling": "break",
    }  # fmt: skip
    profit = pd.DataFrame({"profit": [1.0, 2.0]})

    def section(**changed: object) -> tuple[str, list[str]]:
        page = evaluate_page(
            summary(stochastic={**found, **changed}, simulated=False, simulated_series=["load"]), profit
        )
        part = next(item for item in page.sections if item.title == "Plan on scenarios")
        assert page.banners == ["This page shows simulated data in part: load. The other series are real."]
        return part.lead, [str(row[1]) for row in part.tables[0].rows]

    lead, values = section()
    assert "neither more nor less" in lead
    assert values[0] == "5.000 (95% interval \N{MINUS SIGN}1.000 to 11.00)"
    assert values[-1] == "are independent"
    assert "earns more." in section(vss_ci95=[1.0, 9.0])[0]
    assert "earns less." in section(vss_ci95=[-9.0, -1.0])[0]


def test_a_sweep_lists_failed_jobs_with_their_reason() -> None:
    rows = pd.DataFrame(
        {
            "job": ["0", "1", "2"],
            "spot": [0.1, 0.5, 1.0],
            "status": ["ok", "ok", "failed"],
            "efficiency": [1.0, 2.0, np.nan],
            "reason": ["", "", "no disk"],
        }
    )
    page = sweep_page(rows, folder="multirun/x", x="spot", y=["efficiency"])
    assert page.status == "degraded"
    assert page.reasons == ["job 2 failed: no disk"]
    assert page.sections[0].figures[0].caption == "Lowest 1.000 at 0.100, highest 2.000 at 0.500."
    assert len(page.sections[-1].tables[0].rows) == 3


@pytest.mark.parametrize("y", [[], ["efficiency"]])
def test_a_sweep_of_failures_alone_is_still_a_page(y: list[str]) -> None:
    rows = pd.DataFrame({"job": ["0"], "status": ["failed"], "reason": ["killed"], "efficiency": [np.nan]})
    assert "killed" in Document(render(sweep_page(rows, folder="f", x="job", y=y))).text


def test_methods_settled_on_the_same_realisations_are_compared() -> None:
    comparison = pd.DataFrame({"model": ["naive", "lear"], "efficiency": [2.0, 2.1], "profit_mean": [5000.0, np.nan]})
    page = evaluate_page(
        summary(efficiency=2.1, regret_mean=0.0),
        pd.DataFrame({"profit": [1.0, 2.0]}),
        currency="USD",
        comparison=comparison,
    )
    part = next(item for item in page.sections if item.title == "Comparison")
    assert [chart.title for chart in part.figures] == ["Efficiency"], "a score that one method lacks is not drawn"
    assert "lear 2.100" in part.figures[0].description
