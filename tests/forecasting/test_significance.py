"""Tests of predictive ability against hand-worked values, independent formulas and their size under the null."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm, ttest_1samp

from forecasting.benchmarks.epf import load_peers
from forecasting.errors import DataError, SettingError
from forecasting.significance import (
    diebold_mariano,
    diebold_mariano_by_step,
    diebold_mariano_of_losses,
    giacomini_white,
    giacomini_white_of_losses,
)


def test_diebold_mariano_of_four_days_by_hand() -> None:
    # differences 1, 3, 1, 3: mean 2, variance 1, standard error 1/2, statistic 4
    result = diebold_mariano_of_losses([1.0, 1.0, 1.0, 1.0], [2.0, 4.0, 2.0, 4.0])
    assert result.statistic == pytest.approx(4.0)
    assert result.p_value == pytest.approx(0.5 * math.erfc(4.0 / math.sqrt(2.0)))
    assert (result.advantage, result.days) == (2.0, 4)


def test_bartlett_weights_by_hand() -> None:
    # centred -1, 1, -1, 1: gamma_0 = 1, gamma_1 = -3/4; one lag has weight 1/2: variance 1 - 3/4 = 1/4
    result = diebold_mariano_of_losses([1.0, 1.0, 1.0, 1.0], [2.0, 4.0, 2.0, 4.0], lags=1)
    assert result.statistic == pytest.approx(2.0 / math.sqrt(0.25 / 4.0))


def test_diebold_mariano_is_the_t_statistic_up_to_its_degrees_of_freedom() -> None:
    rng = np.random.default_rng(0)
    loss, rival = rng.gamma(2.0, size=50), rng.gamma(2.2, size=50)
    t = ttest_1samp(rival - loss, 0.0).statistic
    assert diebold_mariano_of_losses(loss, rival).statistic == pytest.approx(t * math.sqrt(50 / 49))


def test_day_loss_is_the_mean_over_hours() -> None:
    y = np.zeros((3, 2))
    forecast = np.array([[1.0, -1.0], [0.0, 2.0], [1.0, 1.0]])  # daily losses 1, 1, 1
    rival = np.array([[2.0, 2.0], [0.0, 4.0], [5.0, 1.0]])  # daily losses 2, 2, 3
    whole = diebold_mariano(y, forecast, rival)
    assert whole.advantage == pytest.approx(4 / 3)
    by_hour = diebold_mariano_by_step(y, forecast, rival)
    assert [result.advantage for result in by_hour] == pytest.approx([5 / 3, 1.0])


def test_p_values_of_a_forecast_and_its_rival_add_up_to_one() -> None:
    rng = np.random.default_rng(1)
    y, a, b = rng.normal(size=(3, 80, 24))
    assert diebold_mariano(y, a, b).p_value + diebold_mariano(y, b, a).p_value == pytest.approx(1.0)


def test_giacomini_white_equals_its_wald_form() -> None:
    rng = np.random.default_rng(2)
    loss, rival = rng.gamma(2.0, size=120), rng.gamma(2.5, size=120)
    difference = rival - loss
    z = np.column_stack([np.ones(119), difference[:-1]]) * difference[1:, None]
    covariance = z.T @ z / 119  # not centred, as in the paper's Theorem 1
    wald = 119 * z.mean(axis=0) @ np.linalg.solve(covariance, z.mean(axis=0))
    result = giacomini_white_of_losses(loss, rival)
    assert result.statistic == pytest.approx(wald)
    assert result.p_value == pytest.approx(math.exp(-wald / 2.0))  # chi-square of 2 degrees of freedom


def test_giacomini_white_never_favours_the_worse_forecast() -> None:
    rng = np.random.default_rng(3)
    y, good, bad = np.zeros((100, 24)), rng.normal(size=(100, 24)), 3 * rng.normal(size=(100, 24))
    assert giacomini_white(y, good, bad).p_value < 1e-6
    assert giacomini_white(y, bad, good).p_value == 1.0


def test_false_alarms_are_as_rare_as_stated() -> None:
    rng = np.random.default_rng(4)
    alarms = [diebold_mariano_of_losses(*rng.gamma(2.0, size=(2, 200))).p_value < 0.05 for _ in range(2000)]
    assert np.mean(alarms) == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 2000))


def test_correlated_days_raise_false_alarms_unless_lags_are_used() -> None:
    rng = np.random.default_rng(5)
    plain, corrected = [], []
    for _ in range(400):
        difference = np.convolve(rng.normal(size=307), np.ones(8) / 8.0, mode="valid")
        plain.append(diebold_mariano_of_losses(np.zeros(300), difference).p_value < 0.05)
        corrected.append(diebold_mariano_of_losses(np.zeros(300), difference, lags=14).p_value < 0.05)
    assert np.mean(plain) > 0.2
    assert np.mean(corrected) < 0.11


def test_what_cannot_be_tested_is_refused() -> None:
    with pytest.raises(DataError, match="same on every day"):
        diebold_mariano_of_losses([1.0, 2.0], [1.0, 2.0])
    with pytest.raises(DataError, match="not finite"):
        diebold_mariano_of_losses([1.0, np.nan, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(SettingError, match="lags"):
        diebold_mariano_of_losses([1.0, 3.0], [2.0, 2.0], lags=2)


@pytest.mark.data
def test_published_dnn_is_significantly_better_than_published_lear(public_data: Callable[[str], Path]) -> None:
    peers = load_peers(public_data("epf"), "NP")
    dnn, lear = peers.forecasts["dnn_ensemble"], peers.forecasts["lear_ensemble"]
    forward = diebold_mariano(peers.y, dnn, lear)
    assert forward.p_value < 0.05
    assert forward.advantage == pytest.approx(1.738 - 1.683, abs=0.001)
    assert forward.p_value == pytest.approx(norm.sf(forward.statistic))
    assert giacomini_white(peers.y, lear, dnn).p_value > 0.95
