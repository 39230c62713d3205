"""A model that fails is replaced by a named one, and the night says so; what cannot be replaced is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dispatch
from dispatch.schedule import Schedule
from forecasting.artefact import TrainedForecaster
from forecasting.errors import DataError, NoDataError, SourceUnavailableError
from forecasting.models.base import Prediction
from forecasting.models.lear import Lear
from forecasting.models.naive import Naive
from tests.pipelines.faulty import FaultySource, run_night


def failing(*_: Any, **__: Any) -> Any:
    raise DataError("the model broke")


def test_a_model_that_cannot_be_trained_gives_way_to_lear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Naive, "fit", failing)
    night = run_night(tmp_path, "fallback.models=[lear]")
    assert night.code == 0
    assert night.summary["status"] == "degraded"
    assert "price forecast by lear, because naive failed: the model broke" in night.reasons
    price = night.summary["forecast"]["price"]
    assert price["model"].startswith("lear ")
    assert price["fallback"] == "price forecast by lear, because naive failed: the model broke"
    assert "price forecast by lear" in night.said


def test_lear_that_fails_too_gives_way_to_naive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lear, "fit", failing)
    night = run_night(tmp_path, "model=lear")
    assert night.summary["status"] == "degraded"
    assert {one["model"].split()[0] for one in night.summary["forecast"].values()} == {"naive"}


def test_if_every_model_fails_nothing_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lear, "fit", failing)
    monkeypatch.setattr(Naive, "fit", failing)
    night = run_night(tmp_path)
    assert night.code == 1
    assert not night.published
    assert night.said == "nightly: no forecast of price: naive failed: the model broke; lear failed: the model broke\n"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(lambda mean: mean * np.nan, "not finite"), (lambda mean: mean + 1e6, "outside what the past makes credible")],
    ids=["not a number", "absurd"],
)
def test_an_absurd_prediction_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    honest = TrainedForecaster.predict

    def predict(self: TrainedForecaster, samples: Any) -> Prediction:
        said = honest(self, samples)
        spoiled = self.meta.model == "lear" and self.meta.target == "load"
        return replace(said, mean=spoil(said.mean)) if spoiled else said

    monkeypatch.setattr(TrainedForecaster, "predict", predict)
    night = run_night(tmp_path, "model=lear")
    assert night.summary["status"] == "degraded"
    assert "load forecast by naive" in night.reasons
    assert words in night.reasons
    assert night.summary["forecast"]["load"]["model"].startswith("naive ")
    assert night.summary["forecast"]["price"]["model"].startswith("lear ")


def test_an_older_artefact_serves_before_another_model_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_night(tmp_path, as_of="2022-05-30T11:30+02:00", name="first")
    monkeypatch.setattr(Naive, "fit", failing)
    night = run_night(tmp_path)  # fifteen days later: the artefacts are too old to be used by right
    assert "price forecast by its artefact of 2022-05-30 09:30 UTC, because naive failed" in night.reasons
    assert night.summary["forecast"]["price"]["model"] == first.summary["forecast"]["price"]["model"]


def test_a_damaged_artefact_is_trained_anew(tmp_path: Path) -> None:
    first = run_night(tmp_path, name="first")
    for path in (tmp_path / "artefacts").rglob("*.pt"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    second = run_night(tmp_path, name="second")
    assert second.summary["status"] == "ok"
    assert second.summary["forecast"] == first.summary["forecast"]


def test_a_model_setting_that_does_not_exist_is_no_reason_to_fall_back(tmp_path: Path) -> None:
    night = run_night(tmp_path, "fallback.models=[lier]", "model.rule=hourly")
    assert night.code == 2
    assert not night.published


def stop_early(monkeypatch: pytest.MonkeyPatch, gap: float, **figures: float) -> None:
    """Let every solve end with an open ``gap``, and with further figures of the certificate changed."""
    honest = dispatch.solve

    def stopped(*arguments: Any, **options: Any) -> Schedule:
        schedule = honest(*arguments, **options)
        return replace(schedule, gap=gap, certificate=replace(schedule.certificate, mip_gap=gap, **figures))

    monkeypatch.setattr(dispatch, "solve", stopped)


def test_the_best_plan_found_counts_with_its_proven_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_early(monkeypatch, 0.013)
    night = run_night(tmp_path)
    assert (night.code, night.summary["status"], night.published) == (0, "degraded", True)
    assert "the plan is within 1.3% of the best possible" in night.reasons
    assert night.summary["dispatch"]["gap"] == 0.013
    certificate = night.summary["dispatch"]["certificate"]
    assert certificate["passed"] is True
    assert "within 1.3%" in certificate["notes"][0]


@pytest.mark.parametrize(
    ("gap", "figures"),
    [(0.03, {}), (float("inf"), {}), (0.013, {"balance_max": 1e-3})],
    ids=["gap too wide", "no bound", "a second figure fails"],
)
def test_a_plan_that_lacks_any_other_proof_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: float, figures: dict[str, float]
) -> None:
    stop_early(monkeypatch, gap, **figures)
    night = run_night(tmp_path)
    assert (night.code, night.published) == (1, False)
    assert "the answer is not proven, so it is not given out" in night.said


def test_a_solver_that_finds_nothing_in_time_publishes_nothing(tmp_path: Path) -> None:
    night = run_night(tmp_path, "solver.time_limit_s=0.001", "case.path=null")
    assert (night.code, night.published) == (1, False)
    assert "no schedule found (time_limit" in night.said


def test_an_infeasible_case_names_the_rows_and_publishes_nothing(tmp_path: Path) -> None:
    night = run_night(tmp_path, case_changes={"import_max_mw": 0.35})
    assert (night.code, night.published) == (1, False)
    assert "no schedule meets all limits; the nearest would miss" in night.said
    assert "cannot be served: import limit 0.35 + gas 0.200" in night.said


def down(series: str, _place: str, frame: pd.DataFrame) -> pd.DataFrame:
    raise SourceUnavailableError(f"{series}: the service did not answer within 300 s")


def test_without_the_service_the_store_serves_and_the_night_says_how_old_it_is(tmp_path: Path) -> None:
    run_night(tmp_path, as_of="2022-06-13T11:30+02:00", name="before")
    source = FaultySource(down)
    night = run_night(tmp_path, source=source)
    assert night.code == 0
    assert night.summary["status"] == "degraded"
    assert "the data service did not answer, so the store serves: price of COAST_1 (newest value of " in night.reasons
    assert "price of COAST_1 (newest value of 2022-06-13 23:00 CEST)" in night.reasons
    assert night.reasons.count("so the store serves") == 1, "one line for all series"
    assert "the data service: price: the service did not answer within 300 s" in night.reasons
    assert night.summary["inputs"]["price"]["origin"] == "fallback"
    assert len(source.asked) == 2, "after two series the service is not asked again"


def test_without_the_service_and_without_history_nothing_is_published(tmp_path: Path) -> None:
    night = run_night(tmp_path, source=FaultySource(down))
    assert night.code == 1
    assert not night.published
    assert "price of COAST_1: the data service is down and the store has none of it" in night.said
    assert night.said.count("\n") == 1


def test_a_store_that_lags_too_far_behind_does_not_serve(tmp_path: Path) -> None:
    run_night(tmp_path, as_of="2022-06-10T11:30+02:00", name="before")
    night = run_night(tmp_path, source=FaultySource(down))
    assert night.code == 1
    assert "behind what is due (48 h are allowed)" in night.said
    assert run_night(tmp_path, "fallback.stale_hours=120", source=FaultySource(down), name="patient").code == 0


def test_in_the_evening_the_price_of_the_delivery_day_cannot_be_replaced(tmp_path: Path) -> None:
    run_night(tmp_path, name="before")
    night = run_night(tmp_path, source=FaultySource(down), as_of="2022-06-14T18:30+02:00")
    assert night.code == 1
    assert "price of COAST_1: the data service is down" in night.said


def test_strict_turns_a_degraded_night_into_exit_code_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Naive, "fit", failing)
    night = run_night(tmp_path, "fallback.models=[lear]", "strict=true")
    assert night.code == 3
    assert json.dumps(night.summary)


def test_a_zone_whose_wind_cannot_be_known_is_refused_with_the_reason_and_plans_without_sites(tmp_path: Path) -> None:
    def no_wind(series: str, place: str, frame: pd.DataFrame) -> pd.DataFrame:
        if series == "wind_power":
            raise NoDataError(f"no wind_power of {place}: the zone publishes no wind forecast to simulate it from")
        return frame

    night = run_night(tmp_path, source=FaultySource(no_wind), name="with a site")
    assert (night.code, night.published) == (1, False)
    assert "wind cannot be forecast: no wind_power of" in night.said
    assert "without wind sites in the zone set local.sites=0" in night.said
    without = run_night(tmp_path, "local.sites=0", source=FaultySource(no_wind), name="without")
    assert (without.code, without.summary["status"]) == (0, "ok")
