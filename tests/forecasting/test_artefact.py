"""One file per trained forecaster: same forecast after loading, and a clear refusal of anything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import forecasting
from forecasting.artefact import load, load_source_encoder, save
from forecasting.embedding import SourceEncoder
from forecasting.errors import ArtefactError, DataError
from forecasting.forecast import InputOrigin, InputRecord
from forecasting.models import create
from tests.forecasting.neural_samples import make_samples

SETTINGS = {"hidden": [8], "training": {"steps": 3, "checks": 1}}


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = make_samples(30)
    model = create("feed_forward", **SETTINGS)
    model.fit(samples, seed=4)
    path = tmp_path_factory.mktemp("artefact") / "deep" / "price.pt"
    save(path, model, samples, seed=4, newest_available_at=pd.Timestamp("2023-01-31T11:00", tz="UTC"))
    return path


def test_meta_says_what_the_model_was_trained_on(artefact: Path) -> None:
    meta = load(artefact).meta
    assert (meta.model, meta.target, meta.unit, meta.step_minutes) == ("feed_forward", "price", "EUR/MWh", 60)
    assert (meta.zones, meta.first_day, meta.last_day, meta.samples) == (("A",), "2023-01-02", "2023-01-31", 30)
    assert meta.newest_available_at == "2023-01-31T11:00:00+00:00"
    assert meta.seed == 4
    assert meta.settings["hidden"] == [8]
    assert len(meta.fingerprint) == 64 and meta.fingerprint[:12] in meta.model_id


def test_nothing_but_tensors_and_plain_values_is_in_the_file(artefact: Path) -> None:
    content = torch.load(artefact, weights_only=True)
    assert set(content) == {"meta", "state"}
    assert all(isinstance(tensor, torch.Tensor) for tensor in content["state"].values())


def test_same_content_has_the_same_fingerprint_and_a_changed_weight_another(artefact: Path, tmp_path: Path) -> None:
    samples = make_samples(30)
    model = create("feed_forward", **SETTINGS)
    model.fit(samples, seed=4)
    newest = pd.Timestamp("2023-01-31T11:00", tz="UTC")
    again = save(tmp_path / "a.pt", model, samples, seed=4, newest_available_at=newest)
    assert again.fingerprint == load(artefact).meta.fingerprint
    assert save(tmp_path / "b.pt", model, samples, seed=5).fingerprint != again.fingerprint


@pytest.mark.parametrize(("day", "steps"), [("2023-03-26", 23), ("2023-06-01", 24), ("2023-10-29", 25)])
def test_forecast_covers_the_real_steps_of_the_market_day(artefact: Path, day: str, steps: int) -> None:
    trained = forecasting.load(artefact)
    row = replace(make_samples(30).select(slice(5, 6)), day=np.array([day], dtype="datetime64[D]"))
    inputs = {"wind_forecast": InputRecord(InputOrigin.FORECAST, pd.Timestamp("2023-01-01", tz="UTC"))}
    forecast = trained.forecast(row, time_zone="Europe/Copenhagen", inputs=inputs, simulated=True)
    slots = trained.predict(row).mean[0]
    assert len(forecast.index) == steps
    assert forecast.index[0] == pd.Timestamp(day, tz="Europe/Copenhagen")
    expected = {23: np.delete(slots, 2), 24: slots, 25: np.insert(slots, 3, slots[2])}[steps]
    np.testing.assert_array_equal(forecast.mean, expected)
    assert forecast.simulated and forecast.inputs == inputs and forecast.model_id == trained.meta.model_id


def test_forecast_refuses_several_rows_and_a_foreign_index(artefact: Path) -> None:
    trained = load(artefact)
    samples = make_samples(30)
    with pytest.raises(DataError, match="one delivery day"):
        trained.forecast(samples, time_zone="UTC")
    other_day = pd.date_range("2023-02-01", periods=24, freq="h", tz="UTC")
    with pytest.raises(DataError, match="does not lie within 2023-01-07"):
        trained.forecast(samples.select(slice(5, 6)), other_day, time_zone="UTC")
    with pytest.raises(DataError, match="rebuild them"):
        trained.predict(replace(samples, target="load"))


def test_damaged_foreign_absent_and_newer_files_are_refused(artefact: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"pipelines\.train"):
        load(tmp_path / "absent.pt")
    whole = artefact.read_bytes()
    for name, content in {"cut": whole[: len(whole) // 2], "text": b"hello", "empty": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ArtefactError, match="damaged or foreign"):
            load(tmp_path / name)
    torch.save({"weights": torch.zeros(2)}, tmp_path / "foreign.pt")
    with pytest.raises(ArtefactError, match="lacks 'meta'"):
        load(tmp_path / "foreign.pt")
    content = torch.load(artefact, weights_only=True)
    content["state"]["floor"] = torch.tensor(7.0)
    torch.save(content, tmp_path / "changed.pt")
    with pytest.raises(ArtefactError, match="fingerprint"):
        load(tmp_path / "changed.pt")
    content["meta"]["format_version"] = 99
    torch.save(content, tmp_path / "newer.pt")
    with pytest.raises(ArtefactError, match="format 99"):
        load(tmp_path / "newer.pt")


def test_code_in_a_file_is_not_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, (f"open({str(marker)!r}, 'w').close()",)

    torch.save({"meta": Bomb(), "state": {}}, tmp_path / "bomb.pt")
    with pytest.raises(ArtefactError):
        load(tmp_path / "bomb.pt")
    assert not marker.exists()


def test_a_source_encoder_is_saved_and_loaded_by_its_own_name(artefact: Path, tmp_path: Path) -> None:
    samples = make_samples(30, zones=("A", "B"))
    encoder = SourceEncoder(segment_days=2, size=4, bank=2, width=4, highways=1, steps=2, segments_per_source=2)
    encoder.fit(samples)
    save(tmp_path / "encoder.pt", encoder, samples, seed=0)
    again = load_source_encoder(tmp_path / "encoder.pt")
    assert np.array_equal(again.embed(samples)[0], encoder.embed(samples)[0])
    with pytest.raises(ArtefactError, match="not a source encoder"):
        load_source_encoder(artefact)
    with pytest.raises(ArtefactError, match="source_encoder"):
        load(tmp_path / "encoder.pt")


def test_an_interrupted_save_leaves_the_old_file_whole(artefact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = artefact.read_bytes()
    trained = load(artefact)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(KeyboardInterrupt):
        save(artefact, trained.model, make_samples(30), seed=4)
    assert artefact.read_bytes() == before
    assert [path.name for path in artefact.parent.iterdir()] == [artefact.name]
