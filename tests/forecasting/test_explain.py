"""Permutation importance: what a forecaster reads costs, what it does not read costs nothing."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.errors import SettingError
from forecasting.explain import permutation_importance
from forecasting.models import create
from forecasting.models.naive import Naive, NaiveRule
from tests.forecasting.neural_samples import make_samples


def test_a_rule_that_repeats_yesterday_depends_on_yesterday_alone() -> None:
    samples = make_samples(60)
    model = Naive(NaiveRule.DAILY)
    model.fit(samples)
    table = {item.group: item for item in permutation_importance(model, samples, repeats=4)}
    assert set(table) == {
        "published wind forecast", "price d-1", "price d-2", "price d-3", "price d-7", "price, other days", "calendar",
    }  # fmt: skip
    yesterday = table.pop("price d-1")
    assert yesterday.loss == pytest.approx(np.abs(samples.y - samples.history[:, -1, :, 0]).mean(), rel=1e-5)
    assert yesterday.increase > 3 * yesterday.standard_error > 0
    assert yesterday.share == pytest.approx(yesterday.increase / yesterday.loss)
    assert all(item.increase == 0 and item.standard_error == 0 for item in table.values())


def test_standard_error_is_that_of_the_mean_over_the_shuffles() -> None:
    samples = make_samples(40)
    model = Naive(NaiveRule.DAILY)
    model.fit(samples)
    rng = np.random.default_rng(5)
    losses = []
    for _ in range(3):
        shuffled = samples.history[rng.permutation(len(samples)), -1, :, 0]
        losses.append(np.abs(samples.y - shuffled).mean(dtype=np.float64))
    found = permutation_importance(model, samples, repeats=3, seed=5)[0]
    assert found.group == "price d-1"
    assert found.increase + found.loss == pytest.approx(np.mean(losses), rel=1e-6)
    assert found.standard_error == pytest.approx(np.std(losses, ddof=1) / np.sqrt(3), rel=1e-4)


def test_days_are_shuffled_within_their_zone() -> None:
    samples = make_samples(40, zones=("low", "high"))  # levels 50 and 70
    model = Naive(NaiveRule.DAILY)
    model.fit(samples)
    worst = permutation_importance(model, samples, repeats=3)[0]
    assert worst.loss + worst.increase < 15  # a value of the other zone would add most of the 20 between the levels


def test_a_linear_model_leans_on_the_forecast_that_makes_its_target() -> None:
    samples = make_samples(120)
    model = create("lear", windows=[84])
    model.fit(samples.select(slice(0, 90)))
    first, *others = permutation_importance(model, samples.select(slice(90, 120)), repeats=5)
    assert first.group == "published wind forecast"
    assert first.increase > 1.5 * max(item.increase for item in others)


def test_source_vectors_are_dealt_out_and_put_back() -> None:
    samples = make_samples(60, zones=("A", "B", "C"))
    vectors = {zone: np.eye(3, dtype=np.float32)[k] for k, zone in enumerate("ABC")}
    settings = {"hidden": [16], "training": {"steps": 30, "checks": 1}, "source_context": "given"}
    model = create("feed_forward", **settings).set_context(vectors)  # type: ignore[attr-defined]
    model.fit(samples)
    before = model.predict(samples).mean
    table = {item.group: item for item in permutation_importance(model, samples, repeats=2, vectors=vectors)}
    assert table["source"].increase != 0
    assert np.array_equal(model.predict(samples).mean, before)


def test_one_repeat_has_no_standard_error_and_is_refused() -> None:
    with pytest.raises(SettingError, match="standard error"):
        permutation_importance(Naive(), make_samples(20), repeats=1)
