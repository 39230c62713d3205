"""The production network: invariants of its inputs, missing feeds, many zones, quarter-hours, recalibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from forecasting.artefact import load, save
from forecasting.encoding import Batch, SampleEncoder
from forecasting.errors import DataError, SettingError, UnknownNameError
from forecasting.forecast import InputOrigin, InputRecord
from forecasting.models import create
from forecasting.models.conditional_transformer import ConditionalTransformer
from forecasting.samples import DayAheadSamples
from tests.forecasting.neural_samples import make_samples

TINY = {"width": 16, "heads": 2, "encoder_blocks": 1, "decoder_blocks": 1, "hidden": 32, "flat_hidden": 16}


def tiny(steps: int = 20, **settings: object) -> ConditionalTransformer:
    model = create("conditional_transformer", **{**TINY, "training": {"steps": steps, "checks": 2}, **settings})
    assert isinstance(model, ConditionalTransformer)
    return model


def median_error(model: ConditionalTransformer, samples: DayAheadSamples) -> float:
    prediction = model.predict(samples)
    return float(np.abs(prediction.quantiles[..., prediction.levels.index(0.5)] - samples.y).mean())


def test_full_size_has_the_parameters_of_its_design() -> None:
    samples = make_samples(20)
    report = create("conditional_transformer", training={"steps": 1, "checks": 1}).fit(samples)
    assert 180_000 < report.parameters < 260_000


def test_beats_the_naive_forecasts_once_trained() -> None:
    samples = make_samples(160)
    train, test = samples.select(slice(0, 130)), samples.select(slice(130, 160))
    model = tiny(training={"steps": 120, "learning_rate": 5e-3, "average_decay": 0.95})
    model.fit(train, seed=1)
    naive = min(float(np.abs(test.history[:, -lag, :, 0] - test.y).mean()) for lag in (1, 7))
    assert median_error(model, test) < 0.4 * naive


def test_a_constant_added_to_the_price_is_carried_through_where_the_scale_is_linear() -> None:
    samples = make_samples(40)
    model = tiny(transform="linear")
    model.fit(samples)
    shifted_history = samples.history.copy()
    shifted_history[..., 0] += 30.0
    moved = model.predict(replace(samples, history=shifted_history))
    still = model.predict(samples)
    inside = (still.quantiles > samples.y.min()) & (moved.quantiles < samples.y.max())
    assert inside.any()
    np.testing.assert_allclose((moved.quantiles - still.quantiles)[inside], 30.0, atol=0.05)


def test_without_its_feed_a_model_trained_with_dropped_feeds_widens_its_interval() -> None:
    samples = make_samples(160)
    train, test = samples.select(slice(0, 130)), samples.select(slice(130, 160))
    blind = replace(test, future=np.full_like(test.future, np.nan))
    covered = {}
    for dropout in (0.0, 0.3):
        model = tiny(training={"steps": 120, "learning_rate": 5e-3, "average_decay": 0.95}, condition_dropout=dropout)
        model.fit(train, seed=1)
        quantiles = model.predict(blind).quantiles
        covered[dropout] = float(((blind.y >= quantiles[..., 0]) & (blind.y <= quantiles[..., -1])).mean())
    assert covered[0.0] < 0.7 < covered[0.3]


def test_a_row_without_any_history_is_still_predicted_with_finite_numbers() -> None:
    samples = make_samples(40)
    model = tiny()
    model.fit(samples)
    empty = replace(samples, history=np.full_like(samples.history, np.nan)).select(slice(0, 2))
    assert np.isfinite(model.predict(empty).quantiles).all()


def test_predictions_do_not_depend_on_the_rest_of_the_batch() -> None:
    samples = make_samples(40)
    model = tiny()
    model.fit(samples)
    whole = model.predict(samples).quantiles
    alone = model.predict(samples.select(slice(7, 8))).quantiles
    np.testing.assert_allclose(alone[0], whole[7], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("target", ["price", "wind", "load"])
@pytest.mark.parametrize("step_minutes", [60, 15])
def test_every_target_and_resolution_trains(target: str, step_minutes: int) -> None:
    samples = make_samples(30, target=target, step_minutes=step_minutes)
    model = tiny(4)
    model.fit(samples)
    prediction = model.predict(samples)
    assert prediction.quantiles.shape == (30, 1440 // step_minutes, len(prediction.levels))
    assert (np.diff(prediction.quantiles, axis=2) >= 0).all()
    assert (prediction.std > 0).all()
    if target != "price":
        assert prediction.quantiles.min() >= 0


@pytest.mark.parametrize("source_context", ["none", "identity"])
def test_many_zones_share_one_network_and_keep_their_own_level(source_context: str) -> None:
    samples = make_samples(60, zones=("A", "B", "C"))
    model = tiny(60, source_context=source_context)
    model.fit(samples)
    mean = model.predict(samples).mean
    by_zone = [mean[samples.zone == zone].mean() for zone in "ABC"]
    assert by_zone == pytest.approx([50.0, 70.0, 90.0], abs=5.0)


def test_a_zone_never_seen_is_scaled_by_its_own_history() -> None:
    model = tiny(60)
    model.fit(make_samples(60, zones=("A", "B")))
    stranger = make_samples(30, seed=9)
    moved = replace(
        stranger,
        zone=np.full(30, "Z"),
        history=stranger.history + np.float32(400) * np.eye(2, dtype=np.float32)[0],
    )
    assert model.predict(moved).mean.mean() == pytest.approx(450.0, abs=15.0)


def test_context_vectors_reach_the_prediction_and_are_demanded() -> None:
    samples = make_samples(40, zones=("A", "B"))
    with pytest.raises(DataError, match="no context vector for A, B"):
        tiny(source_context="given").fit(samples)
    model = tiny(10, source_context="given")
    model.set_context({"A": np.array([1.0, 0.0]), "B": np.array([0.0, 1.0])}).fit(samples)
    before = model.predict(samples).mean
    model.set_context({"A": np.array([5.0, -5.0])})
    after = model.predict(samples).mean
    assert np.abs(after - before)[samples.zone == "A"].max() > 1e-3
    assert np.array_equal(after[samples.zone == "B"], before[samples.zone == "B"])


def test_warm_start_steps_follow_a_shift_of_the_condition_effect() -> None:
    samples = make_samples(100)
    model = tiny(training={"steps": 60, "learning_rate": 5e-3, "warm_learning_rate": 1e-3})
    model.fit(samples.select(slice(0, 80)))
    turned = replace(samples, y=2 * samples.y.mean() - samples.y).select(slice(80, 100))
    before = median_error(model, turned)
    for day in range(15):
        model.warm_start_steps(turned, steps=2, seed=day)
    assert median_error(model, turned) < before


def test_a_warm_start_reads_the_newest_day_and_prefers_recent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = make_samples(100)
    model = tiny(training={"steps": 2, "batch_size": 16, "warm_batch_size": 8})
    model.fit(samples)
    read: list[DayAheadSamples] = []
    encode = SampleEncoder.encode

    def recorded(self: SampleEncoder, rows: DayAheadSamples, *, with_target: bool) -> Batch:
        read.append(rows)
        return encode(self, rows, with_target=with_target)

    monkeypatch.setattr(SampleEncoder, "encode", recorded)
    model.warm_start_steps(samples, steps=30, seed=3)
    assert [len(rows) for rows in read] == [8] * 30
    newest = samples.day.max()
    assert all((rows.day == newest).any() for rows in read)
    ages = np.concatenate([(newest - rows.day).astype(int) for rows in read])
    assert ages.max() > 30 and np.median(ages) < 25  # half-life of 12 days among 100


def test_attention_weights_sum_to_one_over_days_delivery_day_and_hours() -> None:
    samples = make_samples(20)
    model = tiny(2)
    model.fit(samples)
    weights = model.attention(samples)
    assert weights.shape == (20, 24, 14 + 1 + 24)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, atol=1e-5)


def test_same_seed_gives_the_same_forecast_and_leaves_the_callers_random_state_alone() -> None:
    samples = make_samples(40)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second, other = tiny(), tiny(), tiny()
    first.fit(samples, seed=3)
    assert torch.equal(torch.rand(1), expected)
    second.fit(samples, seed=3)
    other.fit(samples, seed=4)
    assert np.array_equal(first.predict(samples).quantiles, second.predict(samples).quantiles)
    assert not np.array_equal(first.predict(samples).quantiles, other.predict(samples).quantiles)


def test_faults_are_named() -> None:
    samples = make_samples(20)
    holed = samples.y.copy()
    holed[3, 5] = np.nan
    with pytest.raises(DataError, match="2023-01-05"):
        tiny().fit(replace(samples, y=holed))
    with pytest.raises(DataError, match="not trained yet"):
        tiny().predict(samples)
    with pytest.raises(DataError, match="14"):
        tiny().fit(make_samples(20, history_days=7))
    with pytest.raises(UnknownNameError, match="did you mean 'width'"):
        create("conditional_transformer", widht=3)
    with pytest.raises(UnknownNameError, match="did you mean 'steps'"):
        create("conditional_transformer", training={"step": 3})
    with pytest.raises(SettingError, match="transform"):
        create("conditional_transformer", transform="log")
    model = tiny(2)
    model.fit(samples)
    with pytest.raises(DataError, match="future channels"):
        model.predict(replace(samples, future_channels=("solar_forecast",)))


def test_trained_with_dropped_feeds_it_forecasts_without_one_and_the_forecast_says_so(tmp_path: Path) -> None:
    samples = make_samples(160)
    train, test = samples.select(slice(0, 130)), samples.select(slice(130, 160))
    blind = replace(test, future=np.full_like(test.future, np.nan))
    training = {"steps": 120, "learning_rate": 5e-3, "average_decay": 0.95}
    dropped, never = (tiny(training=training, condition_dropout=share) for share in (0.3, 0.0))
    dropped.fit(train, seed=1)
    never.fit(train, seed=1)
    assert median_error(dropped, blind) < median_error(never, blind)
    assert median_error(dropped, test) < 0.6 * median_error(dropped, blind)  # the feed is used where it is there

    save(tmp_path / "price.pt", dropped, train, seed=1)
    missing = InputRecord(InputOrigin.MISSING, None, "nothing was known at the decision time")
    forecast = load(tmp_path / "price.pt").forecast(
        blind.select(slice(0, 1)), time_zone="UTC", inputs={"wind_forecast": missing}
    )
    assert np.isfinite(forecast.quantiles).all()
    assert forecast.inputs["wind_forecast"].origin is InputOrigin.MISSING
