"""Champion against challenger over nights in a row: what is promoted, rejected, returned, broken off and resumed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import forecasting
from forecasting.artefact import TrainedForecaster
from forecasting.errors import SettingError
from forecasting.models.base import Prediction
from forecasting.models.naive import Naive
from forecasting.store import Store
from forecasting.windows import MORNING
from pipelines.errors import ConfigError
from pipelines.progress import Phases
from pipelines.report.nightly import forecasters_section
from pipelines.stages import predict, recalibrate
from pipelines.stages.champions import Contestant, Record, Role, read_record, write_record
from pipelines.stages.fallback import ForecastDesk, TargetForecasts
from pipelines.stages.fetch import fetch
from pipelines.stages.night import Night, plan_night
from pipelines.stages.predict import Target, Training
from pipelines.stages.recalibrate import rules_of
from pipelines.time_budget import TimeBudget
from tests.forecasting.neural_samples import make_samples
from tests.pipelines.faulty import market, run_night

#: A network small enough to be trained in a test.
SMALL: Mapping[str, Any] = {
    "name": "conditional_transformer",
    "width": 8,
    "heads": 2,
    "hidden": 8,
    "flat_hidden": 8,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "training": {"steps": 4, "checks": 1},
}
#: Decisions after two delivered days.
RULES = {
    "enabled": True,
    "every_nights": 1,
    "budget_s": 20,
    "warm_start_steps": 5,
    "warm_start_days": 365,
    "rebuild_days": 28,
    "days": 2,
    "return_days": 2,
    "window_days": 4,
    "margin": 0.01,
    "p_value": 0.5,
}
FIRST = pd.Timestamp("2022-06-01T11:30", tz="Europe/Copenhagen")
PRICE = Target("price", ("COAST_1",), {})
NAIVE: Mapping[str, Any] = {"name": "naive"}


def night_of(number: int) -> Night:
    """The morning of day ``number``."""
    as_of = (FIRST + pd.Timedelta(days=number)).tz_convert("UTC")
    return plan_night("COAST_1", as_of, "Europe/Copenhagen", "morning", 60, market().availability("price"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Everything that was published up to the last of the nights."""
    store = Store(tmp_path_factory.mktemp("store"))
    fetch(market(), store, night_of(21), history_days=100, lookback_days=14)
    return store


@dataclass(frozen=True)
class Mornings:
    """Forecasts of the price on mornings in a row, each from what was known then."""

    store: Store
    folder: Path

    def forecast(
        self, number: int, model: Mapping[str, Any] = NAIVE, spent_s: float = 0.0, **changed: Any
    ) -> TargetForecasts:
        """The forecast of morning ``number``, with the contest of its forecasters; ``spent_s`` of the budget are gone."""
        rules = rules_of({**RULES, **changed})
        training = Training(model, train_days=40, valid_days=21, lookback_days=14, seed=0)
        budget = TimeBudget(rules.budget_s if rules else 0.0)
        budget.left -= spent_s
        desk = ForecastDesk(
            self.store, "synthetic", night_of(number), MORNING, training, self.folder, 14.0, (), {}, rules, budget,
        )  # fmt: skip
        return desk.forecast(PRICE, Phases())

    def contests(self, first: int, last: int, **changed: Any) -> list[Mapping[str, Any]]:
        """What mornings ``first`` to ``last`` say of the contest."""
        contests = [self.forecast(number, **changed).contest for number in range(first, last + 1)]
        return [contest for contest in contests if contest is not None]

    @property
    def artefacts(self) -> set[str]:
        """Ends of the names of the artefacts that are kept."""
        return {path.name.removeprefix("price-morning-naive-")[9:] for path in self.folder.rglob("price-*.pt")}

    @property
    def record(self) -> str:
        """Text of the record."""
        (path,) = self.folder.rglob("price-*.champion.json")
        return path.read_text(encoding="utf-8")


@pytest.fixture
def mornings(store: Store, tmp_path: Path) -> Mornings:
    return Mornings(store, tmp_path)


def bias(monkeypatch: pytest.MonkeyPatch, of: Callable[[str], float]) -> None:
    """Add ``of(artefact file name)`` to whatever an artefact predicts."""
    honest = TrainedForecaster.predict

    def predict(self: TrainedForecaster, samples: Any) -> Prediction:
        said = honest(self, samples)
        add = of(self.path.name) if self.path is not None else 0.0
        return replace(said, mean=said.mean + add, quantiles=said.quantiles + add)

    monkeypatch.setattr(TrainedForecaster, "predict", predict)


def learned(number: int) -> pd.Timestamp:
    """How a contestant that learned on morning ``number`` is called."""
    return night_of(number).as_of


def test_a_challenger_that_is_better_on_delivered_days_is_promoted(
    mornings: Mornings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bias(monkeypatch, lambda name: 0.0 if ".challenger" in name else 80.0)
    told = mornings.contests(0, 2)
    before = mornings.forecast(2).forecasts[0]
    third, fourth = mornings.contests(3, 4)
    assert [one["days_compared"] for one in (*told, third, fourth)] == [0, 0, 1, 0, 1], "a new champion starts at zero"
    assert told[2]["challenger_gain"] > 0.1
    assert third["event"].startswith("promoted, because it was ")
    assert third["event"].endswith(" better on 2 days than the champion of 2022-06-01")
    assert (third["champion"], third["previous"]) == (learned(2), learned(0))
    after = mornings.forecast(4).forecasts[0]
    assert before.model_id != after.model_id
    assert before.mean.mean() - after.mean.mean() > 40, "what is published is the promoted one's forecast"
    kept = {"2022-06-01T0930Z.pt", "2022-06-03T0930Z.challenger.pt", "2022-06-05T0930Z.challenger.pt"}
    assert mornings.artefacts == kept, "champion, challenger and previous; the others are pruned"


def test_a_promoted_champion_that_gets_worse_gives_way_to_the_previous_one(
    mornings: Mornings, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse = ["01T0930Z.pt"]
    bias(monkeypatch, lambda name: 80.0 if any(one in name for one in worse) else 0.0)
    mornings.contests(0, 2)
    worse[:] = [".challenger."]
    third, fourth, fifth = mornings.contests(3, 5)
    assert third["champion"] == fourth["champion"] == learned(2)
    assert fifth["champion"] == learned(0)
    assert fifth["event"].startswith("returned to the champion of 2022-06-01, which was ")
    assert fifth["event"].endswith(" better on 2 days, from that of 2022-06-03")
    assert fifth["previous"] is None


def test_a_promoted_champion_that_fails_gives_way_at_once(mornings: Mornings, monkeypatch: pytest.MonkeyPatch) -> None:
    absurd = ["nothing"]
    honest_bias = {"01T0930Z.pt": 80.0}
    bias(monkeypatch, lambda name: 1e7 if absurd[0] in name else honest_bias.get(name[-11:], 0.0))
    assert mornings.contests(0, 3)[-1]["champion"] == learned(2)
    absurd[:] = [".challenger."]
    fourth = mornings.forecast(4)
    assert fourth.fallback.startswith("price forecast by its artefact of 2022-06-01 09:30 UTC, because naive failed")
    assert fourth.contest is not None
    assert fourth.contest["champion"] == learned(0)
    assert "because the promoted one failed: price of COAST_1" in fourth.contest["event"]
    assert not mornings.forecast(5).fallback, "from the next night on the previous champion serves by right"


def test_a_poisoned_challenger_is_refused_and_the_champion_serves(
    mornings: Mornings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bias(monkeypatch, lambda name: 1e7 if ".challenger" in name else 0.0)
    _, second = mornings.contests(0, 1)
    assert (second["champion"], second["challenger"]) == (learned(0), None)
    assert "the challenger was refused" in second["event"]
    assert "outside what the past makes credible" in second["words"]
    assert mornings.artefacts == {"2022-06-01T0930Z.pt"}


def test_a_challenger_that_is_merely_worse_is_dropped_and_the_champion_confirmed(
    mornings: Mornings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bias(monkeypatch, lambda name: 60.0 if ".challenger" in name else 0.0)
    last = mornings.contests(0, 3)[-1]
    assert last["champion"] == learned(0)
    assert last["event"] == "the challenger was not better on 2 days and was dropped"
    assert '"confirmed": "2022-06-04T09:30:00+00:00"' in mornings.record


def test_a_lesson_that_takes_too_long_is_broken_off_and_said(
    mornings: Mornings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mornings.forecast(0)
    monkeypatch.setattr(Naive, "fit", lambda *_, **__: time.sleep(60))
    began = time.perf_counter()
    (second,) = mornings.contests(1, 1, budget_s=0.3)
    assert time.perf_counter() - began < 30
    assert second["event"] == "no new challenger: it did not end within the 0.3 s of the night"
    assert second["champion"] == learned(0)


class Killed(BaseException):
    """Ends the night as a signal would."""


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Naive, "fit"), (forecasting, "save"), (recalibrate, "write_record")],
    ids=["in the lesson", "at its artefact", "at the record"],
)
def test_a_recalibration_killed_in_the_middle_leaves_the_champion_and_resumes(
    mornings: Mornings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    def kill(*_: Any, **__: Any) -> Any:
        raise Killed

    mornings.contests(0, 1)
    standing = mornings.record
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(owner, name, kill)
        mornings.forecast(2)
    assert mornings.record == standing
    resumed = mornings.forecast(2)
    calm = Mornings(mornings.store, tmp_path_factory.mktemp("calm"))
    calm.contests(0, 1)
    undisturbed = calm.forecast(2)
    np.testing.assert_array_equal(resumed.forecasts[0].quantiles, undisturbed.forecasts[0].quantiles)
    assert (mornings.record, mornings.artefacts) == (calm.record, calm.artefacts)


def test_the_same_night_again_and_an_earlier_one_change_nothing(mornings: Mornings) -> None:
    told = [mornings.forecast(number) for number in range(3)]
    standing = mornings.record
    again, earlier = mornings.forecast(2), mornings.forecast(1)
    assert again.contest == told[2].contest
    for once, twice in ((told[2], again), (told[1], earlier)):
        np.testing.assert_array_equal(once.forecasts[0].quantiles, twice.forecasts[0].quantiles)
    assert mornings.record == standing


def test_a_record_cut_in_half_starts_anew_from_the_artefacts(mornings: Mornings) -> None:
    mornings.contests(0, 1)
    (path,) = mornings.folder.rglob("price-*.champion.json")
    path.write_text(path.read_text()[:200])
    (third,) = mornings.contests(2, 2)
    assert (third["champion"], third["days_compared"]) == (learned(0), 0)


def test_a_champion_that_nothing_confirmed_for_too_long_is_trained_anew(mornings: Mornings) -> None:
    mornings.forecast(0)
    (late,) = mornings.contests(20, 20)
    assert (late["champion"], late["previous"]) == (learned(20), learned(0))
    assert late["event"] == "trained anew"


def test_a_line_that_is_old_is_challenged_by_one_trained_from_nothing(
    mornings: Mornings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[int] = []
    honest = predict.train

    def train(*arguments: Any) -> Any:
        fitted.append(len(arguments[0]))
        return honest(*arguments)

    monkeypatch.setattr(predict, "train", train)
    mornings.forecast(0, SMALL)
    mornings.forecast(2, SMALL, rebuild_days=1.5)
    assert len(fitted) == 2
    mornings.forecast(3, SMALL, rebuild_days=1.5)
    assert len(fitted) == 2, "a challenger that stands goes on learning by warm starts"


def test_a_line_that_cannot_be_rebuilt_in_time_goes_on_being_warm_started(
    mornings: Mornings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mornings.forecast(0, SMALL)
    monkeypatch.setattr(predict, "train", lambda *_: time.sleep(60))
    broken = mornings.forecast(2, SMALL, rebuild_days=1.5, budget_s=0.3).contest
    assert broken is not None
    assert broken["event"] == "no new challenger: it did not end within the 0.3 s of the night"
    after = mornings.forecast(3, SMALL, rebuild_days=1.5).contest
    assert after is not None
    assert (after["event"], after["challenger"]) == ("", learned(3)), "a warm start of the old line"


def test_a_rebuild_waits_for_a_night_on_which_others_left_it_time(mornings: Mornings) -> None:
    mornings.forecast(0, SMALL)
    contest = mornings.forecast(2, SMALL, spent_s=15.0, rebuild_days=1.5).contest
    assert contest is not None
    assert contest["event"].endswith("its training from nothing waits for a night with more time left")
    tomorrow = mornings.forecast(3, SMALL, rebuild_days=1.5).contest
    assert tomorrow is not None
    assert tomorrow["challenger"] == learned(3)


def test_a_network_is_warm_started_and_keeps_the_date_of_its_line(mornings: Mornings) -> None:
    mornings.forecast(0, SMALL)
    mornings.forecast(1, SMALL)
    champion, challenger = (forecasting.load(path) for path in sorted(mornings.folder.rglob("price-*.pt")))
    assert champion.meta.settings == challenger.meta.settings
    before, after = (one.model.state() for one in (champion, challenger))
    moved = max(float((before[name] - after[name]).abs().max()) for name in before if name.startswith("network"))
    assert 0 < moved < 0.01, "five steps at the warm learning rate of 1e-4"
    (path,) = mornings.folder.rglob("price-*.champion.json")
    record = read_record(path)
    assert record is not None
    assert record.challenger is not None
    assert record.challenger.warm
    assert (record.challenger.learned, record.challenger.rebuilt) == (learned(1), learned(0))


def test_switched_off_it_leaves_the_artefacts_alone(mornings: Mornings) -> None:
    assert mornings.contests(0, 1, enabled=False) == []
    assert mornings.artefacts == {"2022-06-01T0930Z.pt"}


@pytest.mark.parametrize("wrong", [{"every_nights": 0}, {"window_days": 1}, {"days": 1}, {"p_value": 0.9}])
def test_rules_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, SettingError)):
        rules_of({**RULES, **wrong})


def test_a_night_says_who_serves_in_its_status_and_on_its_page(tmp_path: Path) -> None:
    for name, as_of in (("first", "2022-06-13T11:30+02:00"), ("second", "2022-06-14T11:30+02:00")):
        night = run_night(tmp_path, "local.sites=0", as_of=as_of, name=name)
    contest = night.summary["forecasters"]["price"]
    assert contest["words"] == "champion of 2022-06-13, challenger of 2022-06-14 not compared yet"
    for path in (night.folder / "status.json", tmp_path / "store/synthetic/monitoring/status.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["forecasters"]["price"] == contest
    section = forecasters_section(night.summary, "Europe/Copenhagen")
    assert section is not None
    assert section.lead.startswith("Price: champion of 2022-06-13, challenger of 2022-06-14 not compared yet; Load: ")
    assert section.tables[0].rows[0][1:4] == [
        "13 Jun 2022 11:30 CEST",
        "13 Jun 2022 11:30 CEST",
        "14 Jun 2022 11:30 CEST",
    ]


def test_what_the_record_says_survives_its_file(tmp_path: Path) -> None:
    night = pd.Timestamp("2024-01-05T10:30Z")
    told = {"2024-01-06": {str(Role.CHAMPION): {"A": np.arange(312.0).reshape(24, 13) / 7}}}
    record = Record(
        Contestant("a.pt", night, night), night=night, delivery_day="2024-01-06", told=told, losses={"d": {"x": 0.5}}
    )
    write_record(tmp_path / "one.json", record)
    back = read_record(tmp_path / "one.json")
    assert back is not None
    assert replace(back, told={}) == replace(record, told={})
    np.testing.assert_allclose(back.told["2024-01-06"]["champion"]["A"], told["2024-01-06"]["champion"]["A"], 1e-6)


def test_a_day_is_scored_when_every_place_has_its_truth() -> None:
    samples = make_samples(6, zones=("A", "B"))
    night = pd.Timestamp("2023-01-02T10:30Z")
    flat = {place: np.zeros((24, 13)) for place in ("A", "B")}
    told = {str(samples.day[2]): {"champion": flat, "challenger": flat}, "2023-06-01": {"champion": flat}}
    record = Record(Contestant("a.pt", night, night), told=told).settled(samples, window_days=5)
    assert set(record.told) == {"2023-06-01"}
    losses = record.losses[str(samples.day[2])]
    rows = samples.y[samples.day == samples.day[2]].astype(float)
    assert losses["champion"] == losses["challenger"] == pytest.approx(0.5 * np.abs(rows).mean())
