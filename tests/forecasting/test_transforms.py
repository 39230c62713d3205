"""Scalers, level removal, calendar and spectral features."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.transforms import (
    AsinhMedianScaler,
    MeanVarianceScaler,
    Scaler,
    calendar_features,
    lag_of_largest_correlation,
    recent_level,
    stft_features,
)

NAN = math.nan


def test_asinh_scaler_uses_median_and_normal_mad_and_leaves_nan_out() -> None:
    center, scale = AsinhMedianScaler().fit(torch.tensor([[1.0], [2.0], [3.0], [4.0], [100.0], [NAN]]))
    assert center.item() == 3.0
    assert scale.item() == pytest.approx(1 / 0.67448975)  # deviations 2 1 0 1 97: their median is 1
    scaled = AsinhMedianScaler().forward(torch.tensor([100.0]), center, scale)
    assert scaled.item() == pytest.approx(math.asinh(97 * 0.67448975), rel=1e-6)


def test_mean_variance_scaler_matches_hand_worked_numbers() -> None:
    center, scale = MeanVarianceScaler().fit(torch.tensor([[2.0, NAN], [4.0, NAN], [NAN, NAN], [6.0, NAN]]))
    assert center.tolist() == [4.0, 0.0]
    assert scale[0].item() == pytest.approx(math.sqrt(8 / 3))
    assert scale[1].item() == 1.0


def test_scalers_survive_constant_and_half_constant_columns() -> None:
    calm = torch.tensor([[0.0], [0.0], [0.0], [5.0]])
    assert AsinhMedianScaler().fit(calm)[1].item() == pytest.approx(2.5)
    assert AsinhMedianScaler().fit(torch.ones(4, 1))[1].item() == 1.0


@pytest.mark.parametrize("scaler", [AsinhMedianScaler(), MeanVarianceScaler()])
@given(values=st.lists(st.floats(-500, 4000, width=32), min_size=3, max_size=30))
@settings(deadline=None, max_examples=50)
def test_inverse_gives_the_value_back_and_keeps_the_order(scaler: Scaler, values: list[float]) -> None:
    x = torch.tensor(values, dtype=torch.float64)[:, None]
    center, scale = scaler.fit(x)
    z = scaler.forward(x, center, scale)
    assert torch.allclose(scaler.inverse(z, center, scale), x, rtol=1e-6, atol=1e-3)
    ordered = scaler.inverse(z.sort(dim=0).values, center, scale)
    assert (ordered.diff(dim=0) >= 0).all()


def test_recent_level_averages_known_values_of_the_last_days_only() -> None:
    history = torch.tensor([[[100.0, 100.0], [1.0, 3.0], [5.0, 0.0]]])
    observed = torch.tensor([[[True, True], [True, True], [True, False]]])
    assert recent_level(history, observed, 2).tolist() == [3.0]  # (1 + 3 + 5) / 3


def test_recent_level_falls_back_to_the_whole_history_then_to_zero() -> None:
    history = torch.tensor([[[8.0, 4.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    observed = torch.tensor([[[True, True], [False, False]], [[False, False], [False, False]]])
    assert recent_level(history, observed, 1).tolist() == [6.0, 0.0]


def test_calendar_knows_mondays_and_the_turn_of_the_year() -> None:
    features = calendar_features(np.array(["2024-01-01", "2024-06-30"], dtype="datetime64[D]"), season=True)
    assert features.shape == (2, 11)
    assert features[0, :7].tolist() == [1, 0, 0, 0, 0, 0, 0]  # a Monday
    assert features[1, 6] == 1  # a Sunday
    assert features[0, 7:].tolist() == [0.0, 1.0, 0.0, 1.0]
    assert calendar_features(np.array(["2024-01-01"], dtype="datetime64[D]"), season=False).shape == (1, 7)


def test_spectrum_of_a_cosine_peaks_at_its_frequency_on_every_step() -> None:
    window = 16
    series = torch.cos(2 * math.pi * 4 * torch.arange(72) / window)[None]
    features = stft_features(series, window)
    assert features.shape == (1, 72, 2 * (window // 2 + 1))
    magnitude = torch.hypot(features[..., : window // 2 + 1], features[..., window // 2 + 1 :])
    assert (magnitude[0, window:-window].argmax(dim=-1) == 4).all()


@pytest.mark.parametrize("lag", [-3, 0, 5])
def test_lag_of_largest_correlation_is_found_with_its_sign(lag: int) -> None:
    rng = np.random.default_rng(1)
    y = torch.from_numpy(rng.normal(size=400))
    x = -torch.roll(y, lag) + 0.1 * torch.from_numpy(rng.normal(size=400))
    x[50:60] = NAN
    found, rho = lag_of_largest_correlation(x, y, 10)  # x_t = -y_{t - lag}
    assert found == lag
    assert rho < -0.95
