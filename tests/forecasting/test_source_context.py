"""A forecaster with a source embedding: trained first, described from the past, kept in the artefact, blind to the future."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from forecasting.artefact import load, save
from forecasting.embedding import SourceEncoder
from forecasting.errors import ArtefactError, DataError, SettingError, UnknownNameError
from forecasting.models import create
from forecasting.models.neural import NeuralForecaster
from forecasting.samples import DayAheadSamples
from tests.forecasting.neural_samples import make_samples

ENCODER: dict[str, Any] = {
    "segment_days": 4, "size": 3, "bank": 2, "width": 4, "steps": 3, "segments_per_source": 2, "average_days": 24,
}  # fmt: skip
SMALL: dict[str, dict[str, Any]] = {
    "paper_transformer": {"width": 8, "heads": 2, "encoder_blocks": 1, "decoder_blocks": 1, "hidden": 8},
    "conditional_transformer": {"width": 8, "heads": 2, "encoder_blocks": 1, "decoder_blocks": 1, "hidden": 8},
    "power_curve": {"width": 8},
    "feed_forward": {"hidden": [8]},
    "lstm": {"width": 4},
    "cnn": {"width": 4},
    "seq2seq": {"width": 4},
}


def described(name: str = "feed_forward", **embedding: Any) -> NeuralForecaster:
    settings = {**SMALL[name], "source_context": "given", "embedding": {**ENCODER, **embedding}}
    model = create(name, **settings, training={"steps": 4, "checks": 1})
    assert isinstance(model, NeuralForecaster)
    return model


def places(days: int = 40, zones: tuple[str, ...] = ("A", "B"), seed: int = 0) -> DayAheadSamples:
    return make_samples(days, zones=zones, target="wind", seed=seed)


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in ("mean", "std", "quantiles"))


@pytest.mark.parametrize("name", SMALL)
def test_every_network_takes_an_embedding_and_keeps_it_in_its_artefact_bit_for_bit(name: str, tmp_path: Path) -> None:
    samples = places()
    model = described(name)
    model.fit(samples, seed=1)
    save(tmp_path / "wind.pt", model, samples, seed=1)
    loaded = load(tmp_path / "wind.pt")
    assert same(loaded.predict(samples), model.predict(samples))
    assert loaded.model.settings() == model.settings()
    for forecaster in (loaded, model):
        forecaster.describe_sources(places(seed=5))
    assert same(loaded.predict(samples), model.predict(samples))


def test_vectors_are_those_of_the_encoder_trained_on_the_same_days() -> None:
    samples = places()
    model = described()
    model.fit(samples, seed=1)
    alone = SourceEncoder(**ENCODER)
    alone.fit(samples, seed=1)
    given = create("feed_forward", hidden=[8], source_context="given", training={"steps": 4, "checks": 1})
    assert isinstance(given, NeuralForecaster)
    given.set_context(alone.describe(samples)).fit(samples, seed=1)
    assert same(model.predict(samples), given.predict(samples))


def test_a_refit_describes_by_the_new_encoder_alone() -> None:
    model = described()
    model.fit(places(zones=("A", "B", "C")), seed=1)
    model.fit(places(), seed=2)
    fresh = described()
    fresh.fit(places(), seed=2)
    assert model.state().keys() == fresh.state().keys()
    assert same(model.predict(places()), fresh.predict(places()))


def test_a_place_is_described_by_its_past_and_one_never_seen_can_join() -> None:
    model = described()
    model.fit(places(), seed=1)
    stranger = make_samples(40, zones=("Z",), target="wind", seed=7)
    before = model.predict(stranger).mean
    model.describe_sources(stranger)
    after = model.predict(stranger).mean
    assert not np.array_equal(after, before)
    shifted = replace(stranger, y=stranger.y[:, ::-1].copy())  # the same days with another daily shape
    model.describe_sources(shifted)
    assert not np.array_equal(model.predict(stranger).mean, after)


def test_a_past_too_short_keeps_the_vector_of_training_and_is_refused_without_one() -> None:
    samples = places()
    model = described()
    model.fit(samples, seed=1)
    before = model.predict(samples)
    model.describe_sources(samples.select(samples.day >= samples.day.max() - np.timedelta64(2, "D")))
    assert same(model.predict(samples), before)
    with pytest.raises(DataError, match="Z was not in training and cannot be described"):
        model.describe_sources(make_samples(3, zones=("Z",), target="wind"))


def test_an_ensemble_describes_to_its_members() -> None:
    member = {"name": "feed_forward", "hidden": [8], "source_context": "given", "embedding": ENCODER}
    ensemble = create("ensemble", members={"one": {**member, "training": {"steps": 4, "checks": 1}}})
    alone = described()
    for model in (ensemble, alone):
        model.fit(places(), seed=1)
        model.describe_sources(places(seed=5))
    assert same(ensemble.predict(places()), alone.predict(places()))


def test_without_an_embedding_settings_and_state_are_as_they_were() -> None:
    model = create("feed_forward", hidden=[8], training={"steps": 2, "checks": 1})
    model.fit(places())
    assert "embedding" not in model.settings()
    assert not [name for name in model.state() if name.startswith("sources")]
    before = model.predict(places())
    model.describe_sources(places(seed=5))
    assert same(model.predict(places()), before)


def test_mistakes_are_named() -> None:
    with pytest.raises(SettingError, match="an embedding needs source_context=given, got none"):
        create("lstm", embedding=ENCODER)
    with pytest.raises(UnknownNameError, match="did you mean 'segment_days'"):
        create("lstm", source_context="given", embedding={"segment_day": 7})
    with pytest.raises(DataError, match="at least two sources, got A; add samples of other zones or sites"):
        described().fit(places(zones=("A",)))
    model = described()
    model.fit(places())
    state = {name: tensor for name, tensor in model.state().items() if not name.startswith("sources.")}
    with pytest.raises(ArtefactError, match="do not fit this source encoder"):
        described().load_state(state)


def test_windows_that_slide_train_the_network_and_leave_the_encoder_its_whole_days() -> None:
    samples = places(zones=("A", "B"), days=30)
    whole, sliding = (described("paper_transformer") for _ in range(2))
    sliding.window_step_hours = 12  # type: ignore[attr-defined]
    for model in (whole, sliding):
        model.fit(samples, seed=1)
    one, other = whole.state(), sliding.state()
    assert torch.equal(one["encoder.context.A"], other["encoder.context.A"])
    assert not torch.equal(one["network.out.weight"], other["network.out.weight"])
