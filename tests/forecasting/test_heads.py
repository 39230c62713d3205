"""Distributions against closed forms: hand-worked numbers, SciPy, and the density as derivative of the quantile function."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from forecasting.errors import SettingError, UnknownNameError
from forecasting.nn.heads import (
    GaussianHead,
    Head,
    HeadKind,
    JohnsonSUHead,
    MonotoneQuantileHead,
    StudentTHead,
    make_head,
    moments_from_quantiles,
)

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
PARAMETRIC: list[Head] = [GaussianHead(), StudentTHead(), JohnsonSUHead()]


def test_gaussian_loss_is_the_negative_log_density() -> None:
    raw = torch.tensor([1.5, 0.0], dtype=torch.float64)  # variance 1 + 1e-4
    expected = -stats.norm(1.5, math.sqrt(1.0001)).logpdf(0.3)
    assert GaussianHead().loss(raw, torch.tensor(0.3, dtype=torch.float64)).item() == pytest.approx(expected, rel=1e-9)


def test_student_t_loss_and_quantiles_match_scipy() -> None:
    raw = torch.tensor([0.5, 0.2, -2.0], dtype=torch.float64)
    scale = math.log1p(math.exp(0.2 + math.log(math.e - 1))) + 1e-4
    freedom = 2.0001 + math.log1p(math.exp(1.0))
    law = stats.t(freedom, 0.5, scale)
    assert StudentTHead().loss(raw, torch.tensor(2.0, dtype=torch.float64)).item() == pytest.approx(-law.logpdf(2.0))
    assert StudentTHead().quantiles(raw, LEVELS).tolist() == pytest.approx(law.ppf(LEVELS).tolist())


def test_johnson_su_loss_and_quantiles_match_scipy() -> None:
    raw = torch.tensor([1.0, 0.3, 0.1, -0.7], dtype=torch.float64)
    unit = math.log(math.e - 1)
    spread = math.log1p(math.exp(0.3 + unit)) + 1e-4
    tail = math.log1p(math.exp(0.1 + unit)) + 0.5
    law = stats.johnsonsu(10 * math.tanh(-0.07), tail, loc=1.0, scale=spread)
    assert JohnsonSUHead().loss(raw, torch.tensor(0.2, dtype=torch.float64)).item() == pytest.approx(-law.logpdf(0.2))
    assert JohnsonSUHead().quantiles(raw, LEVELS).tolist() == pytest.approx(law.ppf(LEVELS).tolist())


@pytest.mark.parametrize("head", PARAMETRIC, ids=lambda head: type(head).__name__)
def test_loss_is_lowest_near_the_bulk_of_its_own_distribution(head: Head) -> None:
    raw = torch.zeros(head.raw_size)
    at_median = head.loss(raw, head.median(raw))
    far = head.loss(raw, head.quantiles(raw, (0.999,))[0])
    assert at_median < far


def test_pinball_loss_of_a_hand_worked_case() -> None:
    head = MonotoneQuantileHead((0.1, 0.5, 0.9))
    step = math.log1p(math.exp(-2.0))
    raw = torch.tensor([10.0, 0.0, 0.0], dtype=torch.float64)
    quantiles = head.quantiles(raw, head.levels).tolist()
    assert quantiles == pytest.approx([10 - step, 10.0, 10 + step])
    expected = (0.1 * (12 - quantiles[0]) + 0.5 * 2 + 0.9 * (12 - quantiles[2])) / 3
    assert head.loss(raw, torch.tensor(12.0, dtype=torch.float64)).item() == pytest.approx(expected)


@given(st.lists(st.floats(-50, 50), min_size=5, max_size=5))
@settings(deadline=None)
def test_quantiles_cannot_cross_whatever_the_network_says(raw: list[float]) -> None:
    for head in [*PARAMETRIC, MonotoneQuantileHead(LEVELS)]:
        quantiles = head.quantiles(torch.tensor(raw)[: head.raw_size], LEVELS)
        assert torch.isfinite(quantiles).all()
        assert (quantiles.diff() >= 0).all()


def test_quantile_head_recovers_the_quantiles_of_a_sample() -> None:
    target = torch.from_numpy(np.random.default_rng(0).exponential(size=4000))
    head = MonotoneQuantileHead(LEVELS)
    raw = torch.zeros(head.raw_size, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        head.loss(raw.expand(len(target), -1), target).mean().backward()
        optimizer.step()
    found = head.quantiles(raw.detach(), LEVELS).numpy()
    assert found == pytest.approx(stats.expon.ppf(LEVELS), abs=0.08)


def test_moments_of_a_uniform_quantile_function_are_exact() -> None:
    mean, std = moments_from_quantiles(torch.tensor([[2.2, 3.0, 3.8]]), (0.1, 0.5, 0.9))  # uniform on [2, 4]
    assert mean.item() == pytest.approx(3.0)
    assert std.item() == pytest.approx(2 / math.sqrt(12))


def test_moments_of_a_gaussian_grid_come_close() -> None:
    head = GaussianHead()
    raw = torch.tensor([5.0, 2.0])
    mean, std = moments_from_quantiles(head.quantiles(raw, head.grid()), head.grid())
    assert mean.item() == pytest.approx(5.0, abs=1e-5)
    assert std.item() == pytest.approx(math.sqrt(math.log1p(math.exp(2 + math.log(math.e - 1)))), rel=0.01)


def test_bad_levels_and_names_are_refused() -> None:
    with pytest.raises(SettingError, match=r"contain 0\.5"):
        MonotoneQuantileHead((0.1, 0.9))
    with pytest.raises(SettingError, match="was trained for"):
        MonotoneQuantileHead(LEVELS).quantiles(torch.zeros(5), (0.33,))
    with pytest.raises(UnknownNameError, match="did you mean 'gaussian'"):
        make_head("gausian", LEVELS)
    assert {kind.value for kind in HeadKind} == {"gaussian", "student_t", "johnson_su", "quantile"}
