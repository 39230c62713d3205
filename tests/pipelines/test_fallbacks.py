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
from dispatch.errors import CertificateError
from dispatch.schedule import Schedule
from forecasting.artefact import TrainedForecaster
from forecasting.errors import DataError, SourceUnavailableError
from forecasting.models.base import Prediction
from forecasting.models.lear import Lear
from forecasting.models.naive import Naive
from pipelines.stages import plan
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
    assert night.said.strip() == "nightly: the model broke"


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
    first = run_night(tmp_path, as_of="2022-06-01T11:30+02:00", name="first")
    monkeypatch.setattr(Naive, "fit", failing)
    night = run_night(tmp_path)  # thirteen days later: the artefacts are too old to be used by right
    assert "price forecast by its artefact of 2022-06-01 09:30 UTC, because naive failed" in night.reasons
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


#: Negative prices, and hours close to the cost of the gas units: the relaxation leaves a gap to be proven away.
HARD_PRICES = [-30, -40, -20, 50, 54, 58, 66, 74, 82, 98, 106, 91, 91.5, 92, 98, 100, 90.5, 90, 100, 92, 84, 76, 68, 62]


def hard_night(gap: float) -> tuple[Any, dict[str, Any]]:
    """A case whose solver may stop at ``gap``, and the configuration that solves it."""
    case = dispatch.load_case("adno_ieee33").with_inputs(spot_price_per_mwh=np.array(HARD_PRICES, dtype=float))  # type: ignore[attr-defined]
    return case, {"variant": None, "market": {"variant": None}, "solver": {"gap": gap}, "method": "exact"}


def test_the_best_plan_found_counts_with_its_proven_gap() -> None:
    case, config = hard_night(0.3)
    schedule, words = plan.solve_or_best(case, config, 0, 0.02)
    assert schedule.gap is not None
    assert 1e-4 < schedule.gap < 0.02
    assert schedule.certificate.passed
    assert schedule.certificate.tolerances["mip_gap"] == 0.02
    assert f"within {100 * schedule.gap:.2g}% of the best possible" in words
    best, nothing = plan.solve_or_best(*hard_night(1e-5), 0, 0.02)
    assert nothing == ""
    assert best.objective <= schedule.bound + 1e-6


def test_a_gap_above_what_is_accepted_is_refused() -> None:
    case, config = hard_night(0.3)
    with pytest.raises(CertificateError, match="the answer is not proven"):
        plan.solve_or_best(case, config, 0, 1.1e-4)


def test_a_night_with_an_open_gap_is_degraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = dispatch.solve

    def stopped_early(*arguments: Any, **options: Any) -> Schedule:
        schedule = honest(*arguments, **options)
        return replace(schedule, gap=0.013, certificate=replace(schedule.certificate, mip_gap=0.013))

    monkeypatch.setattr(dispatch, "solve", stopped_early)
    night = run_night(tmp_path)
    assert (night.code, night.summary["status"], night.published) == (0, "degraded", True)
    assert "the plan is within 1.3% of the best possible" in night.reasons
    assert night.summary["dispatch"]["gap"] == 0.013


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
    assert "price of COAST_1: the data service did not answer, so the store serves" in night.reasons
    assert "the newest stored value is of 2022-06-13 23:00 CEST" in night.reasons
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
