"""The source embedding from the command line to the night: trained, judged, saved, described from the past alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import forecasting
from forecasting.errors import NoDataError
from forecasting.models.neural import NeuralForecaster
from forecasting.sources.synthetic import SyntheticSource
from forecasting.store import Store
from pipelines.errors import ConfigError
from pipelines.stages import predict
from pipelines.stages.fetch import fetch
from pipelines.stages.night import Night, plan_night
from pipelines.stages.predict import Target, Training
from pipelines.stages.setting import open_setting
from pipelines.stages.sources import open_source
from tests.pipelines.faulty import market
from tests.pipelines.running import Finished, run_here

ENCODER = {
    "segment_days": 4,
    "size": 3,
    "bank": 2,
    "width": 4,
    "steps": 2,
    "segments_per_source": 2,
    "average_days": 28,
}
MODEL: dict[str, Any] = {
    "name": "feed_forward", "hidden": [8], "source_context": "given", "embedding": ENCODER,
    "training": {"steps": 4, "checks": 1},
}  # fmt: skip
QUICK = (
    "zone=COAST_1", "as_of=2022-06-20T11:30+02:00", "local.sites=0", "history.train_days=50", "history.valid_days=16",
    *(f"model.embedding.{name}={value}" for name, value in ENCODER.items()),
)  # fmt: skip
TINY = ("model=feed_forward", "model.hidden=[8]", "model.training.steps=4", "+model.training.checks=1")
WIND = Target("wind", ("COAST_1_W1", "COAST_1_W2"), {"COAST_1_W1": 10.0, "COAST_1_W2": 20.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedding")


@pytest.fixture(scope="module")
def trained(folder: Path) -> Finished:
    """The price of one zone by a forecaster that was trained on two, each described by price and wind forecast."""
    return run_here(
        "train", folder / "train", f"store.root={folder / 'store'}", *TINY, *QUICK, "embedding=joint", "peers=[PLAIN_1]"
    )


def forecast_of(trained: Finished, folder: Path, name: str) -> pd.DataFrame:
    run = run_here(
        "forecast", folder / name, f"store.root={folder / 'store'}", f"artefact={trained.folder / 'price.pt'}",
        *QUICK[:3], "forecast.scenarios=0", "history.valid_days=16",
    )  # fmt: skip
    return run.table("forecast.parquet")


def test_the_command_trains_the_encoder_on_the_zone_and_its_peers_and_judges_it(trained: Finished) -> None:
    record = trained.outcome.record
    assert record["sources"] == ["COAST_1", "PLAIN_1"]
    artefact = forecasting.load(record["artefact"])
    assert artefact.meta.zones == ("COAST_1", "PLAIN_1")
    assert artefact.meta.settings["source_context"] == "given"
    assert artefact.meta.settings["embedding"]["channels"] == ["target", "wind_forecast"]
    assert record["embedding"]["segments"] == 2 * 4 and record["embedding"]["chance"] == 0.5
    assert 0 <= record["embedding"]["equal_error_rate"] <= 1
    assert "nearest-centroid accuracy" in trained.outcome.headline and "on the last 16 days" in trained.outcome.headline
    page = (trained.folder / "report.html").read_text(encoding="utf-8")
    assert "Source embedding" in page and "Embeddings of the sources, price" in page


def test_a_forecast_sees_no_day_after_its_instant(trained: Finished, folder: Path) -> None:
    before = forecast_of(trained, folder, "before")
    store = Store(folder / "store" / "synthetic")
    fetched = fetch(open_source({"kind": "synthetic"}), store, night(45), history_days=30, lookback_days=14)
    assert fetched.rows > 0
    pd.testing.assert_frame_equal(forecast_of(trained, folder, "after"), before)


def test_one_zone_alone_is_refused_with_what_to_do(trained: Finished, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"price has COAST_1 alone: name further zones .* peers="):
        run_here("train", folder / "alone", f"store.root={folder / 'store'}", *TINY, *QUICK, "embedding=paper")
    with pytest.raises(ConfigError, match="unknown zone in peers 'PLAIN1'; did you mean 'PLAIN_1'"):
        run_here(
            "train",
            folder / "typo",
            f"store.root={folder / 'store'}",
            *TINY,
            *QUICK,
            "embedding=paper",
            "peers=[PLAIN1]",
        )


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    store = Store(folder / "nights")
    local = [("wind_power", place) for place in WIND.places]
    fetch(market(), store, night(14), history_days=110, lookback_days=14, local=local)
    return store


def night(number: int) -> Night:
    as_of = (pd.Timestamp("2022-06-01T11:30", tz="Europe/Copenhagen") + pd.Timedelta(days=number)).tz_convert("UTC")
    return plan_night("COAST_1", as_of, "Europe/Copenhagen", "morning", 60, market().availability("price"))


def on_night(store: Store, folder: Path, number: int, target: Target) -> tuple[predict.Trained, list[Any]]:
    now, training = night(number), Training(MODEL, train_days=50, valid_days=16, lookback_days=14, seed=0)
    decision = predict.decision_time(now, {"morning": "11:30"})
    trained = predict.obtain(store, "synthetic", target, now, decision, training, folder, 30.0)
    return trained, predict.forecast_places(store, target, now, trained, training, {})


def vectors(trained: predict.Trained) -> dict[str, Any]:
    model = trained.forecaster.model
    assert isinstance(model, NeuralForecaster)
    return {name: tensor.numpy() for name, tensor in model.state().items() if name.startswith("encoder.context.")}


def test_a_night_that_loads_forecasts_as_the_one_that_trained_and_later_ones_describe_anew(
    store: Store, tmp_path: Path
) -> None:
    first, made = on_night(store, tmp_path, 0, WIND)
    again, loaded = on_night(store, tmp_path, 0, WIND)
    assert first.report is not None and again.report is None
    for one, other in zip(made, loaded, strict=True):
        assert np.array_equal(one.quantiles, other.quantiles) and one.model_id == other.model_id
    later, _ = on_night(store, tmp_path, 14, WIND)
    assert later.report is None and set(vectors(later)) == {f"encoder.context.{place}" for place in WIND.places}
    assert not np.array_equal(
        vectors(later)["encoder.context.COAST_1_W1"], vectors(first)["encoder.context.COAST_1_W1"]
    )


def test_a_target_of_one_place_goes_without_the_embedding(store: Store, tmp_path: Path) -> None:
    trained, _ = on_night(store, tmp_path, 0, Target("price", ("COAST_1",), {}))
    assert trained.forecaster.meta.settings["source_context"] == "none"
    assert "embedding" not in trained.forecaster.meta.settings


def test_a_peer_that_cannot_be_brought_is_named_and_the_zone_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = SyntheticSource.read

    def failing(self: SyntheticSource, series: str, zone: str, *span: pd.Timestamp) -> pd.DataFrame:
        if zone == "PLAIN_1":
            raise NoDataError(f"nothing for {series} of {zone}")
        return read(self, series, zone, *span)

    monkeypatch.setattr(SyntheticSource, "read", failing)
    setting = open_setting(
        {
            "source": {"kind": "synthetic", "seed": 0, "years": 1},
            "zone": "COAST_1",
            "as_of": "2022-03-20T11:30+01:00",
            "mode": "morning",
            "forecast": {"step_minutes": 60},
            "store": {"root": str(tmp_path)},
            "local": {"sites": 0, "simulate": "auto", "capacity_mw": 1.0, "seed": 0},
            "history": {"train_days": 28, "valid_days": 4, "lookback_days": 14},
            "peers": ["PLAIN_1", "COAST_1"],
        }
    )
    fetched = setting.fetch()
    assert [finding for finding in fetched.findings if finding.startswith("PLAIN_1 adds nothing new")]
    (target,) = [target for target in setting.area.targets(setting.night, ()) if target.name == "price"]
    assert list(target.peers) == ["PLAIN_1"]
    training = Training({"name": "naive"}, 28, 4, 14, 0)
    decision = predict.decision_time(setting.night, {"morning": "11:30"})
    samples = predict.past_samples(setting.store, target, setting.night, decision, training)
    assert set(samples.zone.tolist()) == {"COAST_1"}
