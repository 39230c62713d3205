"""Ensembles: weights on the simplex, learned from the past alone, never far from the best member."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from forecasting.ensemble import Aggregation, Weighting, least_absolute_weights
from forecasting.errors import ArtefactError, DataError, SettingError
from forecasting.models import create
from forecasting.models.base import QUANTILE_LEVELS, Prediction
from forecasting.models.ensemble import EnsembleForecaster
from forecasting.samples import DayAheadSamples

DAYS, STEPS = 200, 24
DAY = np.datetime64("2024-01-01") + np.arange(DAYS)


def member(center: np.ndarray) -> Prediction:
    offsets = np.linspace(-1, 1, len(QUANTILE_LEVELS))
    return Prediction(center, np.ones_like(center), center[..., None] + offsets)


def two_members(seed: int = 0) -> tuple[dict[str, Prediction], np.ndarray]:
    """A good member (error 1) and a poor one (error 3) with independent errors."""
    rng = np.random.default_rng(seed)
    y = rng.normal(50, 10, (DAYS, STEPS))
    errors = rng.normal(size=(2, DAYS, STEPS))
    return {"good": member(y + errors[0]), "poor": member(y + 3 * errors[1])}, y


def median_mae(prediction: Prediction, y: np.ndarray, rows: slice = slice(100, None)) -> float:
    return float(np.abs(prediction.quantiles[..., QUANTILE_LEVELS.index(0.5)] - y)[rows].mean())


def test_equal_weights_average_quantile_by_quantile() -> None:
    members, y = two_members()
    result = Aggregation(Weighting.EQUAL).combine(members, y, DAY)
    assert result.members == ("good", "poor")
    expected = (members["good"].quantiles + members["poor"].quantiles) / 2
    assert result.prediction.quantiles == pytest.approx(expected)


def test_least_absolute_weights_are_the_minimum_found_by_a_line_search() -> None:
    members, y = two_members()
    forecasts = np.stack([part.mean for part in members.values()], axis=1)
    weights = least_absolute_weights(y, forecasts)
    search = minimize_scalar(
        lambda w: np.abs(w * forecasts[:, 0] + (1 - w) * forecasts[:, 1] - y).mean(), bounds=(0, 1), method="bounded"
    )
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0] == pytest.approx(search.x, abs=2e-3)
    assert weights[0] == pytest.approx(0.9, abs=0.02)  # inverse variances 1 and 1/9


def test_a_useless_member_gets_no_weight() -> None:
    members, y = two_members()
    forecasts = np.stack([members["good"].mean, y + 500.0], axis=1)
    assert least_absolute_weights(y, forecasts) == pytest.approx([1.0, 0.0], abs=1e-3)


@pytest.mark.parametrize("weighting", [Weighting.ROLLING, Weighting.ML_POLY])
def test_learned_weights_beat_the_best_member_and_the_plain_mean(weighting: Weighting) -> None:
    members, y = two_members()
    result = Aggregation(weighting, shrinkage=0.0).combine(members, y, DAY)
    assert result.weights.sum(axis=1) == pytest.approx(1.0)
    assert (result.weights >= 0).all()
    assert median_mae(result.prediction, y) < median_mae(members["good"], y)
    assert median_mae(result.prediction, y) < median_mae(
        Aggregation(Weighting.EQUAL).combine(members, y, DAY).prediction, y
    )


def test_online_weights_follow_a_change_of_the_better_member() -> None:
    members, y = two_members()
    good, poor = members["good"].mean, members["poor"].mean
    late = np.arange(DAYS)[:, None] >= 60
    swapped = {"first": member(np.where(late, poor, good)), "second": member(np.where(late, good, poor))}
    weights = Aggregation(Weighting.ML_POLY).combine(swapped, y, DAY).weights
    assert weights[55, 0] > 0.7
    assert weights[-1, 0] < weights[55, 0]


@pytest.mark.parametrize("weighting", [Weighting.ROLLING, Weighting.ML_POLY])
@pytest.mark.parametrize("delay", [1, 2])
def test_truth_of_a_day_changes_only_later_weights(weighting: Weighting, delay: int) -> None:
    whole, truths = two_members()
    members, y = {name: member(part.mean[:, :3]) for name, part in whole.items()}, truths[:, :3]
    changed = y.copy()
    changed[120] += 40.0
    rule = Aggregation(weighting, every_days=1, window_days=40, least_days=20, delay_days=delay)
    before, after = (rule.combine(members, truth, DAY).weights for truth in (y, changed))
    assert np.flatnonzero((before != after).any(axis=1)).min() == 120 + delay


def test_weights_are_equal_until_enough_days_are_known_and_shrunk_after() -> None:
    members, y = two_members()
    weights = Aggregation(Weighting.ROLLING, least_days=50, shrinkage=0.5).combine(members, y, DAY).weights
    assert (weights[:50] == 0.5).all()
    assert weights[50:].min() >= 0.25


def test_days_with_unknown_truth_teach_nothing() -> None:
    members, y = two_members()
    gaps = y.copy()
    gaps[::2] = np.nan
    for weighting in Weighting:
        result = Aggregation(weighting).combine(members, gaps, DAY)
        assert np.isfinite(result.prediction.quantiles).all()


def test_members_that_do_not_match_are_refused() -> None:
    members, y = two_members()
    short = Prediction(y[:5], y[:5], np.zeros((5, STEPS, len(QUANTILE_LEVELS))))
    with pytest.raises(DataError, match="same days"):
        Aggregation().combine({**members, "short": short}, y, DAY)
    with pytest.raises(DataError, match="days increasing"):
        Aggregation().combine(members, y, DAY[::-1])
    with pytest.raises(SettingError, match="shrinkage"):
        Aggregation(shrinkage=1.5)


def seasonal_market(days: int = 150) -> DayAheadSamples:
    """Prices that repeat weekly, plus noise."""
    rng = np.random.default_rng(8)
    values = (50 + 10 * np.sin(np.arange(days * 24) * 2 * np.pi / 168) + rng.normal(size=days * 24)).reshape(days, 24)
    history = np.stack([values[k - 7 : k] for k in range(7, days)])[..., None].astype(np.float32)
    day = np.datetime64("2024-01-01") + np.arange(7, days)
    return DayAheadSamples(
        target="price",
        unit="EUR/MWh",
        step_minutes=60,
        zone=np.full(len(day), "Z"),
        day=day,
        issued_at=(day - np.timedelta64(13, "h")).astype("datetime64[ns]"),
        history=history,
        history_channels=("price",),
        future=np.zeros((len(day), 24, 0), dtype=np.float32),
        future_channels=(),
        y=values[7:].astype(np.float32),
    )


MEMBERS = {"weekly": {"name": "naive_weekly"}, "daily": {"name": "naive", "rule": "daily"}}


def test_forecaster_weighs_its_members_on_validation_days() -> None:
    samples = seasonal_market()
    model = create("ensemble", members=MEMBERS, shrinkage=0.0)
    assert isinstance(model, EnsembleForecaster)
    model.fit(samples.select(slice(0, 100)), samples.select(slice(100, None)))
    assert model.weights[0] > 0.8
    model.fit(samples)
    assert model.weights == pytest.approx([0.5, 0.5])
    parts = [member.predict(samples).quantiles for member in model.members.values()]
    assert model.predict(samples).quantiles == pytest.approx((parts[0] + parts[1]) / 2)


def test_forecaster_is_the_same_after_save_and_load() -> None:
    samples = seasonal_market()
    model = EnsembleForecaster(MEMBERS)
    model.fit(samples.select(slice(0, 100)), samples.select(slice(100, None)))
    again = EnsembleForecaster(**model.settings()).load_state(model.state())
    assert (again.predict(samples).quantiles == model.predict(samples).quantiles).all()
    with pytest.raises(ArtefactError, match="does not fit"):
        EnsembleForecaster({"one": {"name": "naive"}}).load_state(model.state())


def test_member_without_a_model_is_refused() -> None:
    with pytest.raises(SettingError, match="needs a model name"):
        EnsembleForecaster({"lear": {"windows": [84]}})
    with pytest.raises(SettingError, match="needs members"):
        EnsembleForecaster({})
