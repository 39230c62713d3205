"""Boosted trees: the grown trees repeated from plain arrays, regressors by hand, intervals, gaps, save and load."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor

from forecasting.errors import ArtefactError, DataError, SettingError
from forecasting.models import create
from forecasting.models.base import QUANTILE_LEVELS, Forecaster
from forecasting.models.boosted_trees import BoostedTrees
from forecasting.models.hourly_features import hourly_features
from forecasting.models.naive import NaiveWeekly
from forecasting.samples import DayAheadSamples
from tests.forecasting.neural_samples import make_samples

MEDIAN = QUANTILE_LEVELS.index(0.5)
SMALL: dict[str, Any] = {"rounds": 40, "learning_rate": 0.15, "leaves": 12}
small = partial(create, "gradient_boosting", **SMALL)


@pytest.fixture(scope="module")
def market() -> DayAheadSamples:
    return make_samples(240, seed=3)


@pytest.fixture(scope="module")
def fitted(market: DayAheadSamples) -> Forecaster:
    model = small()
    model.fit(market.select(slice(0, 180)))
    return model


def test_plain_arrays_predict_what_the_grown_trees_predict() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 6))
    x[rng.random(x.shape) < 0.1] = np.nan
    y = np.nan_to_num(x[:, 0]) * np.nan_to_num(x[:, 1]) + np.isnan(x[:, 2]) + 0.1 * rng.normal(size=len(x))
    model = HistGradientBoostingRegressor(loss="absolute_error", max_iter=60, early_stopping=False).fit(x, y)
    assert BoostedTrees.of(model)(x) == pytest.approx(model.predict(x), abs=1e-12)


def test_regressors_of_one_hour_by_hand(market: DayAheadSamples) -> None:
    row, hour = 5, 9
    got = hourly_features(market, level_days=7)
    past, wind = market.history[row, :, :, 0].astype(float), market.history[row, :, :, 1].astype(float)
    level, spread = past[-7:].mean(), np.abs(past - np.median(past)).mean()
    assert (got.center[row], got.spread[row]) == pytest.approx((level, spread), abs=1e-5)
    x = got.x[row, hour]
    assert x[:2].tolist() == [9, 5]  # 2023-01-07 is a Saturday, Monday being 0
    lags = [(past[-lag, hour] - level) / spread for lag in (1, 2, 3, 7, 14)]
    assert x[4:9] == pytest.approx(lags, abs=1e-5)
    own = market.future[row, :, 0].astype(float)
    scaled = (own - wind.mean()) / wind.std()
    condition = [scaled[9], scaled[8], scaled[10], scaled.mean(), scaled.max()]
    condition += [(own[9] - wind[-1, 9]) / wind.std(), (own[9] - wind[-7, 9]) / wind.std(), own[9]]
    assert x[-8:] == pytest.approx(condition, rel=1e-5)


def test_a_power_is_not_made_relative_to_its_level() -> None:
    wind = make_samples(30, target="wind")
    got = hourly_features(wind, level_days=None)
    assert (got.center.tolist(), got.spread.tolist()) == ([0.0] * 30, [1.0] * 30)
    assert got.x[3, 7, 4] == wind.history[3, -1, 7, 0]


def test_forecasts_better_than_the_week_before_and_covers_what_it_says(
    market: DayAheadSamples, fitted: Forecaster
) -> None:
    test = market.select(slice(181, 240))
    prediction = fitted.predict(test)
    error = np.abs(prediction.quantiles[..., MEDIAN] - test.y).mean()
    naive = NaiveWeekly()
    naive.fit(market.select(slice(0, 180)))
    assert error < 0.5 * np.abs(naive.predict(test).mean - test.y).mean()
    inside = (prediction.quantiles[..., 0] <= test.y) & (test.y <= prediction.quantiles[..., -1])
    assert 0.82 < inside.mean() < 0.97
    assert (np.diff(prediction.quantiles, axis=-1) >= 0).all()


def test_the_outcome_is_never_read(market: DayAheadSamples, fitted: Forecaster) -> None:
    test = market.select(slice(200, 210))
    hidden = fitted.predict(replace(test, y=np.full_like(test.y, np.nan)))
    assert np.array_equal(hidden.quantiles, fitted.predict(test).quantiles)


def test_an_unknown_condition_is_no_obstacle(market: DayAheadSamples, fitted: Forecaster) -> None:
    test = market.select(slice(200, 210))
    history = test.history.copy()
    history[:, -1, :, 0] = np.nan
    blind = fitted.predict(replace(test, future=np.full_like(test.future, np.nan), history=history))
    assert np.isfinite(blind.quantiles).all()


def test_a_series_that_was_never_known_in_training_is_left_out(market: DayAheadSamples) -> None:
    train = market.select(slice(0, 60))
    train = replace(train, future=np.full_like(train.future, np.nan))
    model = small()
    model.fit(train)
    test = market.select(slice(61, 70))
    without = model.predict(replace(test, future=np.full_like(test.future, np.nan)))
    assert np.array_equal(model.predict(test).quantiles, without.quantiles)


def test_save_and_load_forecast_to_the_last_bit(market: DayAheadSamples, fitted: Forecaster) -> None:
    test = market.select(slice(200, 210))
    again = small().load_state({name: tensor.clone() for name, tensor in fitted.state().items()})
    assert np.array_equal(again.predict(test).quantiles, fitted.predict(test).quantiles)
    assert all(isinstance(tensor, torch.Tensor) for tensor in fitted.state().values())
    assert again.settings() == fitted.settings()


def test_the_same_seed_gives_the_same_trees(market: DayAheadSamples, fitted: Forecaster) -> None:
    again = small()
    again.fit(market.select(slice(0, 180)))
    assert all(torch.equal(tensor, again.state()[name]) for name, tensor in fitted.state().items())


def test_wind_stays_between_zero_and_the_largest_value_seen() -> None:
    wind = make_samples(90, target="wind", seed=5)
    model = small()
    model.fit(wind.select(slice(0, 70)))
    quantiles = model.predict(wind.select(slice(70, 90))).quantiles
    assert quantiles.min() >= 0 and quantiles.max() <= wind.y[:70].max()


def test_zones_have_trees_of_their_own(market: DayAheadSamples) -> None:
    two = make_samples(60, zones=("A", "B"), seed=3)
    model = small()
    model.fit(two)
    alone = small()
    alone.fit(two.select(two.zone == "B"))
    rows = two.select(two.zone == "B").select(slice(0, 5))
    assert np.array_equal(model.predict(rows).quantiles, alone.predict(rows).quantiles)


def test_refusals_say_what_to_do(market: DayAheadSamples, fitted: Forecaster) -> None:
    with pytest.raises(ArtefactError, match="call fit"):
        small().predict(market)
    with pytest.raises(DataError, match="none for B; trained: A"):
        fitted.predict(make_samples(3, zones=("B",)))
    with pytest.raises(DataError, match="needs 21 training days, A has 20"):
        small().fit(market.select(slice(0, 20)))
    with pytest.raises(SettingError, match="history_days >= 7"):
        small().fit(make_samples(30, history_days=3))
    with pytest.raises(SettingError, match="choose transform from asinh, linear"):
        small(transform="log")
    with pytest.raises(SettingError, match="leaves at least 2"):
        create("gradient_boosting", leaves=1)
