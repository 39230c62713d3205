"""Days around a forecast, and fewer of them that stand for all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.errors import OptionError
from dispatch.settlement.error_model import ErrorModel
from dispatch.settlement.problem import Realisations
from dispatch.settlement.reduction import reduce_scenarios, uncoupled

HOURS = np.arange(24)
DAY = Realisations.single(80 + 20 * np.sin(HOURS / 4), 1.0 + 0.2 * np.cos(HOURS / 5), 2 + 0.5 * np.sin(HOURS / 6))


def sample(count: int = 4000, seed: int = 0, **values: float) -> Realisations:
    return ErrorModel(**values).sample(DAY, count, seed, wind_capacity_mw=2.0)


def errors(days: Realisations) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return days.price_per_mwh - DAY.price_per_mwh, days.wind_mw - DAY.wind_mw, np.log(days.load_mw / DAY.load_mw)


def test_errors_have_the_stated_size_correlation_and_memory() -> None:
    price, wind, load = errors(sample(wind_std=0.05))
    level = np.abs(DAY.price_per_mwh).mean()
    np.testing.assert_allclose(price.std(axis=0) / level, 0.20, rtol=0.06)
    np.testing.assert_allclose(wind.std(axis=0) / 2.0, 0.05, rtol=0.06)
    np.testing.assert_allclose(load.std(axis=0), 0.04, rtol=0.06)
    for t in (0, 12, 23):
        assert np.corrcoef(price[:, t], wind[:, t])[0, 1] == pytest.approx(-0.5, abs=0.05)
        assert np.corrcoef(price[:, t], load[:, t])[0, 1] == pytest.approx(0.3, abs=0.05)
    assert np.corrcoef(price[:, 5], price[:, 6])[0, 1] == pytest.approx(0.9, abs=0.02)
    assert np.corrcoef(price[:, 5], price[:, 8])[0, 1] == pytest.approx(0.9**3, abs=0.04)


def test_memory_is_per_hour_whatever_the_step() -> None:
    days = ErrorModel().sample(DAY, 4000, 1, wind_capacity_mw=2.0, step_hours=0.25)
    price = errors(days)[0]
    assert np.corrcoef(price[:, 3], price[:, 7])[0, 1] == pytest.approx(0.9, abs=0.02)


def test_wind_stays_within_its_capacity_and_the_same_seed_gives_the_same_days() -> None:
    one, two = sample(seed=5, wind_std=1.0), sample(seed=5, wind_std=1.0)
    assert one.wind_mw.min() == 0.0
    assert one.wind_mw.max() == 2.0
    np.testing.assert_array_equal(one.price_per_mwh, two.price_per_mwh)
    assert not np.array_equal(one.price_per_mwh, sample(seed=6).price_per_mwh)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"price_std": -0.1}, "not negative"),
        ({"persistence": 1.0}, "below 1"),
        ({"price_wind": -0.9, "price_load": 0.9, "wind_load": 0.9}, "cannot hold at once"),
    ],
)
def test_error_models_that_cannot_be_are_refused(values: dict[str, float], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        ErrorModel(**values)


def test_three_clusters_are_found_with_their_weights() -> None:
    rng = np.random.default_rng(0)
    price = np.concatenate([np.full(50, 20.0), np.full(30, 80.0), np.full(20, 200.0)])[:, None] + rng.normal(
        0, 0.1, (100, 4)
    )
    flat = np.ones((100, 4))
    reduced = reduce_scenarios(Realisations(price, flat, flat), 3, keep_mean=False)
    found = sorted(zip(reduced.days.price_per_mwh[:, 0].round(-1), reduced.weight, strict=True))
    assert found == [(20.0, 0.5), (80.0, pytest.approx(0.3)), (200.0, pytest.approx(0.2))]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 12))
def test_reduced_days_keep_the_mean_and_come_nearer_with_number(seed: int, count: int) -> None:
    days = sample(60, seed, wind_std=0.02)
    reduced = reduce_scenarios(days, count)
    assert reduced.weight.sum() == pytest.approx(1.0)
    assert len(set(reduced.chosen.tolist())) == count
    for name in ("price_per_mwh", "wind_mw", "load_mw"):
        np.testing.assert_allclose(
            reduced.weight @ getattr(reduced.days, name), getattr(days, name).mean(axis=0), rtol=1e-9
        )
    assert reduce_scenarios(days, count + 1).distance <= reduced.distance + 1e-12
    assert reduce_scenarios(days, 60).distance == pytest.approx(0.0, abs=1e-6)


def test_more_scenarios_than_days_are_refused() -> None:
    with pytest.raises(OptionError, match="ask for 1 to 10"):
        reduce_scenarios(sample(10), 11)


def test_breaking_the_coupling_keeps_each_series_and_its_memory() -> None:
    days = sample(wind_std=0.05)
    broken = uncoupled(days, 1)
    price, wind, _ = errors(broken)
    assert abs(np.corrcoef(price[:, 3], wind[:, 3])[0, 1]) < 0.06
    assert np.corrcoef(wind[:, 5], wind[:, 6])[0, 1] == pytest.approx(0.9, abs=0.02)
    np.testing.assert_allclose(np.sort(broken.wind_mw[:, 7]), np.sort(days.wind_mw[:, 7]))
