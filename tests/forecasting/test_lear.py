"""LEAR: the published forecasts repeated, what it may read, gaps, save and load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso

from forecasting.benchmarks.epf import epf_test_start, load_epf, load_peers
from forecasting.errors import DataError, SettingError
from forecasting.models.base import QUANTILE_LEVELS
from forecasting.models.lasso_lars import Penalty, fit_lasso
from forecasting.models.lear import Lear
from forecasting.models.lear_features import lear_features, weekday_dummies
from forecasting.samples import DayAheadSamples

MEDIAN = QUANTILE_LEVELS.index(0.5)


def linear_market(days: int = 160, seed: int = 0, noise: float = 1.0, zone: str = "Z") -> DayAheadSamples:
    """Prices that depend linearly on a published load forecast and on the day before."""
    rng = np.random.default_rng(seed)
    load = 50 + 10 * rng.standard_normal((days, 24))
    price = np.zeros((days, 24))
    for day in range(1, days):
        price[day] = 10 + 0.5 * price[day - 1] + 0.4 * load[day] + noise * rng.standard_normal(24)
    cube = np.stack([price, load], axis=-1).astype(np.float32)
    first = 7
    history = np.stack([cube[day - 7 : day] for day in range(first, days)])
    delivery = np.datetime64("2021-01-04") + np.arange(first, days)
    return DayAheadSamples(
        target="price",
        unit="EUR/MWh",
        step_minutes=60,
        zone=np.full(len(delivery), zone),
        day=delivery,
        issued_at=(delivery - np.timedelta64(13, "h")).astype("datetime64[ns]"),
        history=history,
        history_channels=("price", "load_forecast"),
        future=cube[first:, :, 1:],
        future_channels=("load_forecast",),
        y=cube[first:, :, 0],
    )


def test_regressors_are_the_named_days_in_the_named_order() -> None:
    samples = linear_market(days=20)
    features = lear_features(samples)
    assert features.shape == (13, 4 * 24 + 24 + 2 * 24 + 7)
    assert features[3, 0:24] == pytest.approx(samples.history[3, 6, :, 0])  # price of d-1
    assert features[3, 72:96] == pytest.approx(samples.history[3, 0, :, 0])  # price of d-7
    assert features[3, 96:120] == pytest.approx(samples.future[3, :, 0])  # load forecast of d
    assert features[3, 144:168] == pytest.approx(samples.history[3, 0, :, 1])  # load forecast of d-7
    assert weekday_dummies(np.array(["2024-01-01", "2024-01-07"], dtype="datetime64[D]")).argmax(axis=1).tolist() == [
        0,
        6,
    ]


def test_short_history_is_refused_with_the_length_needed() -> None:
    samples = linear_market(days=40)
    short = replace(samples, history=samples.history[:, -3:])
    with pytest.raises(SettingError, match="history_days >= 7"):
        Lear(windows=(56,)).fit(short)


@pytest.mark.parametrize("penalty", list(Penalty))
def test_lasso_solution_is_that_of_coordinate_descent(penalty: Penalty) -> None:
    rng = np.random.default_rng(2)
    design = rng.standard_normal((120, 15)) * rng.uniform(0.5, 3.0, 15) + 4.0
    targets = design[:, :3] @ rng.standard_normal((3, 2)) + rng.standard_normal((120, 2)) + 7.0
    fit = fit_lasso(design, targets, penalty)
    for step in range(2):
        assert fit.penalties[step] > 0
        other = Lasso(alpha=fit.penalties[step], tol=1e-12, max_iter=100_000).fit(design, targets[:, step])
        assert fit.coefficients[:, step] == pytest.approx(other.coef_, abs=1e-6)
        assert fit.intercepts[step] == pytest.approx(other.intercept_, abs=1e-6)


def test_aic_penalty_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LassoLarsIC

    rng = np.random.default_rng(5)
    design = rng.standard_normal((200, 30))
    targets = (design[:, :4].sum(axis=1) + rng.standard_normal(200))[:, None]
    chosen = LassoLarsIC(criterion="aic").fit(design, targets[:, 0])
    assert fit_lasso(design, targets, Penalty.AIC).penalties[0] == pytest.approx(chosen.alpha_, rel=1e-9)


def test_left_out_residuals_equal_a_refit_on_the_held_selection() -> None:
    rng = np.random.default_rng(3)
    design = rng.standard_normal((60, 6))
    targets = (3 * design[:, 0] - 2 * design[:, 4] + 0.3 * rng.standard_normal(60))[:, None]
    fit = fit_lasso(design, targets, Penalty.AIC, folds=4)
    x, y = design - design.mean(axis=0), targets[:, 0] - targets.mean()
    active = np.flatnonzero(fit.coefficients[:, 0])
    pull = 45 * fit.penalties[0] * np.sign(fit.coefficients[active, 0])
    left = x[15:, active]
    beta = np.linalg.solve(left.T @ left, left.T @ y[15:] - pull)
    assert fit.residuals[:15, 0] == pytest.approx(y[:15] - x[:15][:, active] @ beta, abs=1e-6)


def test_left_out_residuals_of_few_rows_equal_a_lasso_refit() -> None:
    rng = np.random.default_rng(3)
    design = rng.standard_normal((40, 30))
    targets = (3 * design[:, 0] - 2 * design[:, 4] + 0.3 * rng.standard_normal(40))[:, None]
    fit = fit_lasso(design, targets, Penalty.PUBLISHED, folds=4)
    x, y = design - design.mean(axis=0), targets[:, 0] - targets.mean()
    refit = Lasso(alpha=fit.penalties[0], fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x[10:], y[10:])
    assert fit.residuals[:10, 0] == pytest.approx(y[:10] - refit.predict(x[:10]), abs=1e-5)


def test_linear_market_is_forecast_to_its_noise() -> None:
    samples = linear_market(days=400)
    train, test = samples.select(slice(0, 300)), samples.select(slice(300, None))
    model = Lear(windows=(300,), penalty="aic", transform="linear")
    model.fit(train)
    forecast = model.predict(test)
    error = test.y - forecast.quantiles[..., MEDIAN]
    assert np.abs(error).mean() < 1.1 * np.sqrt(2 / np.pi)  # noise of deviation 1 has MAE sqrt(2 / pi)
    inside = (test.y >= forecast.quantiles[..., 0]) & (test.y <= forecast.quantiles[..., -1])
    assert inside.mean() == pytest.approx(0.9, abs=0.04)
    assert (np.diff(forecast.quantiles, axis=-1) >= 0).all()


def test_averages_its_windows() -> None:
    samples = linear_market(days=150)
    train, test = samples.select(slice(0, 140)), samples.select(slice(140, None))
    medians = []
    for windows in ((56,), (112,), (56, 112)):
        model = Lear(windows=windows, residual_folds=2)
        model.fit(train)
        medians.append(model.predict(test).quantiles[..., MEDIAN])
    assert medians[2] == pytest.approx((medians[0] + medians[1]) / 2)


def test_channel_unknown_in_every_row_is_dropped_and_one_gap_is_bridged() -> None:
    samples = linear_market(days=200)
    future = samples.future.copy()
    extra = np.full_like(future, np.nan)
    history = np.concatenate([samples.history, np.full_like(samples.history[..., :1], np.nan)], axis=-1)
    widened = replace(
        samples,
        future=np.concatenate([future, extra], axis=-1),
        future_channels=("load_forecast", "wind_forecast"),
        history=history,
        history_channels=("price", "load_forecast", "wind_forecast"),
    )
    plain, wide = Lear(windows=(150,), residual_folds=2), Lear(windows=(150,), residual_folds=2)
    plain.fit(samples.select(slice(0, 180)))
    wide.fit(widened.select(slice(0, 180)))
    plain_forecast = plain.predict(samples.select(slice(180, None))).quantiles
    assert wide.predict(widened.select(slice(180, None))).quantiles == pytest.approx(plain_forecast, abs=1e-6)

    gap = replace(samples, future=np.where(np.arange(len(future))[:, None, None] == 185, np.nan, future))
    bridged = plain.predict(gap.select(slice(180, None))).quantiles
    assert np.isfinite(bridged).all()
    assert (bridged[5] != plain_forecast[5]).any()
    assert (np.delete(bridged, 5, axis=0) == np.delete(plain_forecast, 5, axis=0)).all()


def test_published_condition_changes_the_forecast() -> None:
    samples = linear_market(days=120)
    model = Lear(windows=(100,), residual_folds=2)
    model.fit(samples.select(slice(0, 100)))
    last = samples.select(slice(100, None))
    moved = replace(last, future=last.future + 10.0)
    shift = model.predict(moved).quantiles[..., MEDIAN] - model.predict(last).quantiles[..., MEDIAN]
    assert shift.mean() == pytest.approx(4.0, rel=0.2)  # 0.4 EUR/MWh for each of the 10 MW


def test_wind_stays_within_zero_and_the_largest_value_seen() -> None:
    samples = linear_market(days=200)
    wind = replace(samples, target="wind", unit="MW", y=np.clip(samples.y - 55, 0, 15))
    model = Lear(windows=(150,), residual_folds=2)
    model.fit(wind.select(slice(0, 180)))
    quantiles = model.predict(wind.select(slice(180, None))).quantiles
    assert quantiles.min() >= 0 and quantiles.max() <= 15


def test_save_and_load_gives_the_same_forecast_bit_for_bit() -> None:
    both = DayAheadSamples.concat([linear_market(zone="A"), linear_market(seed=1, zone="B")])
    model = Lear(windows=(56, 120), residual_folds=2)
    model.fit(both)
    state = {key: torch.tensor(value.numpy().copy()) for key, value in model.state().items()}
    again = Lear(**model.settings()).load_state(state)
    assert (again.predict(both).quantiles == model.predict(both).quantiles).all()


def test_each_zone_has_its_own_model_and_a_strange_zone_is_refused() -> None:
    a, b = linear_market(zone="A"), linear_market(seed=1, zone="B")
    alone, pooled = Lear(windows=(120,), residual_folds=2), Lear(windows=(120,), residual_folds=2)
    alone.fit(a)
    pooled.fit(DayAheadSamples.concat([b, a]))
    assert (alone.predict(a).quantiles == pooled.predict(a).quantiles).all()
    with pytest.raises(DataError, match="none for B"):
        alone.predict(b)


def test_missing_target_is_refused_with_its_dates() -> None:
    samples = linear_market()
    y = samples.y.copy()
    y[4, 3] = np.nan
    with pytest.raises(DataError, match=str(samples.day[4])):
        Lear(windows=(56,)).fit(replace(samples, y=y))


def test_wrong_settings_name_the_choices() -> None:
    with pytest.raises(SettingError, match="published, aic"):
        Lear(penalty="bic")
    with pytest.raises(SettingError, match="at least 28 days"):
        Lear(windows=(14,))


@pytest.mark.data
@pytest.mark.parametrize(("market", "tolerance"), [("NP", 0.05), ("DE", 0.08)])
def test_three_year_window_repeats_the_published_forecasts(
    market: str, tolerance: float, public_data: Callable[[str], Path]
) -> None:
    root = public_data("epf")
    samples, published = load_epf(root, market, history_days=7), load_peers(root, market).forecasts["lear_1092"]
    first = int(np.flatnonzero(samples.day == epf_test_start(samples))[0])
    model = Lear(windows=(1092,), residual_folds=2)
    for step in (0, 200, 500):
        model.fit(samples.select(slice(0, first + step)))
        forecast = model.predict(samples.select(slice(first + step, first + step + 1))).quantiles[0, :, MEDIAN]
        assert np.abs(forecast - published[step]).mean() < tolerance
