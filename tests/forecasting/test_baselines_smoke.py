"""One test for every forecaster that a configuration can name: it trains, keeps its promises, and survives its artefact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from forecasting.artefact import load, save
from forecasting.models import available, create
from forecasting.models.base import QUANTILE_LEVELS
from tests.forecasting.neural_samples import make_samples

CONFIGS = sorted((Path(__file__).parents[2] / "conf" / "model").glob("*.yaml"))
SMALL: dict[str, dict[str, Any]] = {
    "conditional_transformer": {"width": 16, "heads": 2, "encoder_blocks": 1, "decoder_blocks": 1, "hidden": 16},
    "paper_transformer": {"width": 16, "heads": 2, "encoder_blocks": 1, "decoder_blocks": 1, "hidden": 16},
    "lear": {"windows": [28, 56]},
    "gradient_boosting": {"rounds": 20},
    "ensemble": {"members": {"linear": {"name": "lear", "windows": [28]}, "naive": {"name": "naive"}}},
}
WITHOUT_NETWORK = ("lear", "gradient_boosting", "naive", "naive_weekly", "ensemble")
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in available()),
    ("paper_transformer", {"autoregressive": True}),
    ("feed_forward", {"head": "johnson_su"}),
    ("conditional_transformer", {"head": "student_t"}),
]
UNCONDITIONAL = [name for name in available() if name not in WITHOUT_NETWORK]


def build(name: str, extra: dict[str, Any]) -> Any:
    neural = name not in WITHOUT_NETWORK
    training = {"training": {"steps": 4, "checks": 2}} if neural else {}
    return create(name, **SMALL.get(name, {}), **training, **extra)


@pytest.mark.parametrize(("name", "extra"), VARIANTS, ids=lambda value: str(value))
def test_forecaster_trains_keeps_its_promises_and_survives_its_artefact(
    name: str, extra: dict[str, Any], tmp_path: Path
) -> None:
    samples = make_samples(60)
    train, test = samples.select(slice(0, 56)), samples.select(slice(56, 60))
    model = build(name, extra)
    report = model.fit(train, test, seed=1)
    assert report.samples == 56

    prediction = model.predict(replace(test, y=np.full_like(test.y, np.nan)))
    assert prediction.mean.shape == prediction.std.shape == (4, 24)
    assert prediction.quantiles.shape == (4, 24, len(QUANTILE_LEVELS))
    assert np.isfinite(prediction.quantiles).all() and np.isfinite(prediction.mean).all()
    assert (prediction.std >= 0).all()
    assert (np.diff(prediction.quantiles, axis=-1) >= 0).all()

    other_future = replace(test, future=test.future + 1500)
    assert (not np.array_equal(model.predict(other_future).mean, prediction.mean)) == model.uses_future_condition
    other_history = replace(test, history=test.history * np.float32(1.2))
    assert (not np.array_equal(model.predict(other_history).mean, prediction.mean)) == model.uses_history

    save(tmp_path / "model.pt", model, train, seed=1)
    loaded = load(tmp_path / "model.pt")
    again = loaded.predict(test)
    for name_of in ("mean", "std", "quantiles"):
        assert np.array_equal(getattr(again, name_of), getattr(prediction, name_of))
    assert loaded.model.settings() == model.settings()


@pytest.mark.parametrize("name", UNCONDITIONAL)
def test_unconditional_switch_hides_every_published_series(name: str) -> None:
    samples = make_samples(40)
    model = build(name, {"condition": False})
    model.fit(samples)
    changed = replace(samples, future=samples.future + 1500)
    assert np.array_equal(model.predict(changed).mean, model.predict(samples).mean)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_model_config_builds_its_model(path: Path) -> None:
    settings = yaml.safe_load(path.read_text())
    model = create(settings.pop("name"), **settings)
    for key, value in settings.items():
        stored = model.settings()[key]
        assert stored == value or (isinstance(value, dict) and value.items() <= stored.items()) or value is None


def test_every_model_has_a_config() -> None:
    assert set(available()) <= {path.stem for path in CONFIGS}
