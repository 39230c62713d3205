"""Plans on joint scenarios of past nights: nothing later is used, coupling is learned, killed work goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import dispatch
from dispatch.case_adno import AdnoCase
from pipelines.errors import ConfigError
from pipelines.stages import stochastic
from pipelines.stages.case_scale import CaseScale
from pipelines.stages.past_scenarios import NightDraws, Told, nights_to_draw
from tests.pipelines.running import Finished, run_here

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
NIGHT = 34
DAYS = np.datetime64("2024-01-01") + np.arange(40)


def told_of(errors: np.ndarray, level: float, spread: float) -> Told:
    """Forecasts of the same normal distribution on every day, and truths ``errors`` standard deviations away."""
    mean = np.full((len(DAYS), 24), level)
    quantiles = level + spread * np.broadcast_to(norm.ppf(LEVELS), (len(DAYS), 24, len(LEVELS)))
    return Told(DAYS, mean, level + spread * errors[:, None] * np.ones(24), quantiles, LEVELS, (0.0, np.inf))


def scale() -> CaseScale:
    case = dispatch.load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    return CaseScale(case, price=1.0, load=1.0, sites={"wind site": 10.0})


def told() -> dict[str, Told]:
    """Price and wind err against each other; load errs on its own."""
    rng = np.random.default_rng(0)
    shared, own = rng.standard_normal(len(DAYS)), rng.standard_normal(len(DAYS))
    return {
        "price": told_of(shared, 80.0, 10.0),
        "wind site": told_of(-shared, 5.0, 1.0),
        "load": told_of(own, 3.0, 0.1),
    }


def night(series: dict[str, Told]) -> NightDraws:
    (found,) = nights_to_draw(scale(), series, DAYS[[NIGHT]], 30, seed=1)
    return found


def changed_on(series: dict[str, Told], day: int) -> dict[str, Told]:
    truth = series["price"].truth.copy()
    truth[day] += 25.0
    return {**series, "price": replace(series["price"], truth=truth)}


def test_scenarios_of_a_night_use_no_outcome_that_it_did_not_know() -> None:
    """The night of day 34 is decided on day 33, whose measurements are not whole: day 32 is the newest one."""
    before = night(told()).draw(20)
    for day in range(NIGHT - 1, len(DAYS)):
        np.testing.assert_array_equal(night(changed_on(told(), day)).draw(20).price_per_mwh, before.price_per_mwh)
    assert not np.array_equal(night(changed_on(told(), NIGHT - 2)).draw(20).price_per_mwh, before.price_per_mwh)


def test_scenarios_err_together_as_the_days_before_did() -> None:
    days = night(told()).draw(2000)
    price, wind, load = (values[:, 12] for values in (days.price_per_mwh, days.wind_mw, days.load_mw))
    assert np.corrcoef(price, wind)[0, 1] < -0.8
    assert abs(np.corrcoef(price, load)[0, 1]) < 0.45  # 30 days tell little of what is not there
    assert price.mean() == pytest.approx(80.0, abs=4.0)


def test_a_price_that_is_known_is_the_same_in_every_scenario() -> None:
    series = told()
    days = night({**series, "price": replace(series["price"], quantiles=None)}).draw(5)
    assert (days.price_per_mwh == 80.0).all()
    assert days.wind_mw.std(axis=0).min() > 0


def test_a_night_without_a_past_is_refused() -> None:
    with pytest.raises(ConfigError, match="only 9 days with an outcome come before it, 14 are needed"):
        nights_to_draw(scale(), told(), DAYS[[10]], 30, seed=1)


def evaluate(folder: Path, *overrides: str, name: str = "run") -> Finished:
    roots = [f"{key}.root={folder / key}" for key in ("store", "artefacts", "parts")]
    return run_here(
        "evaluate", folder / name, *roots, "model=naive", "history.train_days=60", "history.valid_days=28",
        "realisations.kind=history", "realisations.first=2024-09-02", "realisations.last=2024-09-04",
        "plan.kind=stochastic", "plan.stochastic.draws=60", "plan.stochastic.scenarios=3", *overrides,
    )  # fmt: skip


def test_past_nights_are_planned_on_scenarios_and_a_killed_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, planned = stochastic._plan_night, []

    def killed(*arguments: Any) -> Any:
        if len(planned) == 2:
            raise KeyboardInterrupt
        planned.append(1)
        return real(*arguments)

    monkeypatch.setattr(stochastic, "_plan_night", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path)
    planned.clear()
    resumed = evaluate(tmp_path, name="resumed")
    assert len(planned) == 1  # the third night alone
    monkeypatch.setattr(stochastic, "_plan_night", real)
    whole = evaluate(tmp_path, f"parts.root={tmp_path / 'other'}", name="whole")
    rows = whole.table("realisations.parquet")
    pd.testing.assert_frame_equal(resumed.table("realisations.parquet"), rows)
    record = whole.outcome.record["stochastic"]
    assert record["nights"] == len(rows) == 3
    assert record["gap"] <= 1e-4
    assert record["vss"] == pytest.approx((rows["profit"] - rows["deterministic_profit"]).mean())
    assert (rows["regret"] >= -1e-6).all()
