"""Scenario paths: marginals as forecast, dependence as in the past errors, price-wind coupling kept or broken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from forecasting.errors import DataError, SettingError
from forecasting.metrics import energy_score, variogram_score
from forecasting.models.base import QUANTILE_LEVELS
from forecasting.quantile_function import probability_of, values_at
from forecasting.scenarios import Coupling, Dependence, ErrorRanks, sample_paths

HOURS = 6
NORMAL_QUANTILES = np.broadcast_to(norm.ppf(QUANTILE_LEVELS), (HOURS, len(QUANTILE_LEVELS)))


def coupled_errors(days: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal price and wind errors: hours correlate by .8^distance, price and wind by -.7."""
    hours = 0.8 ** np.abs(np.subtract.outer(np.arange(HOURS), np.arange(HOURS)))
    covariance = np.kron([[1.0, -0.7], [-0.7, 1.0]], hours)
    draw = np.random.default_rng(seed).multivariate_normal(np.zeros(2 * HOURS), covariance, size=days)
    return draw[:, :HOURS], draw[:, HOURS:]


def past_ranks(days: int = 400) -> ErrorRanks:
    price, wind = coupled_errors(days, seed=1)
    forecasts = np.broadcast_to(NORMAL_QUANTILES, (days, *NORMAL_QUANTILES.shape))
    return ErrorRanks.of({"price": price, "wind": wind}, {"price": forecasts, "wind": forecasts}, QUANTILE_LEVELS)


@given(st.lists(st.floats(-50, 50), min_size=13, max_size=13), st.floats(0.001, 0.999))
@settings(max_examples=60)
def test_quantile_function_and_distribution_function_are_inverse(values: list[float], u: float) -> None:
    quantiles = np.sort(values) + 0.01 * np.arange(13)  # distinct
    assert probability_of(values_at(u, quantiles, QUANTILE_LEVELS), quantiles, QUANTILE_LEVELS) == pytest.approx(
        u, abs=1e-6
    )


def test_quantile_function_passes_through_the_quantiles() -> None:
    assert values_at(np.array(QUANTILE_LEVELS), NORMAL_QUANTILES[0], QUANTILE_LEVELS) == pytest.approx(
        NORMAL_QUANTILES[0]
    )


@pytest.mark.parametrize("dependence", list(Dependence))
def test_marginals_are_those_of_the_forecast(dependence: Dependence) -> None:
    quantiles = {"price": 40 + 5 * NORMAL_QUANTILES, "wind": 10 + NORMAL_QUANTILES}
    paths = sample_paths(quantiles, QUANTILE_LEVELS, past_ranks(), 400, dependence=dependence, seed=3)
    assert paths["price"].shape == (400, HOURS)
    seen = np.quantile(paths["price"], QUANTILE_LEVELS, axis=0).T
    assert seen == pytest.approx(quantiles["price"], abs=1.2)


@pytest.mark.parametrize("dependence", list(Dependence))
def test_coupling_is_kept_or_broken_between_series_and_always_kept_between_hours(dependence: Dependence) -> None:
    quantiles = {"price": NORMAL_QUANTILES, "wind": NORMAL_QUANTILES}
    for coupling, expected in ((Coupling.KEEP, -0.7), (Coupling.BREAK, 0.0)):
        paths = sample_paths(
            quantiles, QUANTILE_LEVELS, past_ranks(), 400, dependence=dependence, coupling=coupling, seed=3
        )
        across = np.mean([np.corrcoef(paths["price"][:, h], paths["wind"][:, h])[0, 1] for h in range(HOURS)])
        along = np.mean([np.corrcoef(paths["price"][:, h], paths["price"][:, h + 1])[0, 1] for h in range(HOURS - 1)])
        assert across == pytest.approx(expected, abs=0.12)
        assert along == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("dependence", list(Dependence))
def test_scores_reward_the_kept_coupling(dependence: Dependence) -> None:
    price, wind = coupled_errors(200, seed=9)
    truth = np.hstack([price, wind])
    quantiles = {"price": NORMAL_QUANTILES, "wind": NORMAL_QUANTILES}
    scores = {}
    for coupling in Coupling:
        paths = sample_paths(
            quantiles, QUANTILE_LEVELS, past_ranks(), 300, dependence=dependence, coupling=coupling, seed=4
        )
        joint = np.broadcast_to(np.hstack([paths["price"], paths["wind"]]), (200, 300, 2 * HOURS))
        scores[coupling] = (variogram_score(truth, joint), energy_score(truth, joint))
    assert scores[Coupling.KEEP][0] < scores[Coupling.BREAK][0]
    assert scores[Coupling.KEEP][1] < scores[Coupling.BREAK][1]


def test_schaake_shuffle_copies_the_ranks_of_past_days_by_hand() -> None:
    past = ErrorRanks({"a": np.array([[0.9], [0.1], [0.5]]), "b": np.array([[0.2], [0.6], [0.4]])})
    levels = (0.25, 0.5, 0.75)
    quantiles = {name: np.array([[1.0, 2.0, 3.0]]) for name in "ab"}
    paths = sample_paths(quantiles, levels, past, 3, dependence=Dependence.SCHAAKE_SHUFFLE, seed=0)
    by_a = np.argsort(paths["a"][:, 0])
    # the lowest a came with the highest b, and the other way round
    assert np.argsort(paths["b"][:, 0]).tolist() == by_a[::-1].tolist()
    assert np.sort(paths["a"][:, 0])[1] == pytest.approx(2.0)


def test_same_seed_gives_the_same_paths_and_bounds_hold() -> None:
    quantiles = {"wind": NORMAL_QUANTILES}
    arguments = {"bounds": {"wind": (0.0, 1.0)}}
    first = sample_paths(quantiles, QUANTILE_LEVELS, past_ranks(), 50, seed=5, **arguments)["wind"]
    assert (first == sample_paths(quantiles, QUANTILE_LEVELS, past_ranks(), 50, seed=5, **arguments)["wind"]).all()
    assert first.min() == 0.0 and first.max() == 1.0
    assert (first != sample_paths(quantiles, QUANTILE_LEVELS, past_ranks(), 50, seed=6, **arguments)["wind"]).any()


def test_what_cannot_be_sampled_is_refused() -> None:
    with pytest.raises(DataError, match="no past errors for solar"):
        sample_paths({"solar": NORMAL_QUANTILES}, QUANTILE_LEVELS, past_ranks(), 5)
    with pytest.raises(SettingError, match="400 known"):
        sample_paths(
            {"price": NORMAL_QUANTILES}, QUANTILE_LEVELS, past_ranks(), 401, dependence=Dependence.SCHAAKE_SHUFFLE
        )
    with pytest.raises(DataError, match="same days"):
        ErrorRanks({"a": np.full((3, 2), 0.5), "b": np.full((4, 2), 0.5)})


def test_a_step_whose_rank_never_changed_is_drawn_without_the_others() -> None:
    ranks = np.random.default_rng(0).uniform(size=(60, 2))
    ranks[:, 1] = 0.5
    quantiles = {"price": NORMAL_QUANTILES[:2]}
    paths = sample_paths(quantiles, QUANTILE_LEVELS, ErrorRanks({"price": ranks}), 200, seed=1)["price"]
    assert np.isfinite(paths).all()
    assert abs(np.corrcoef(paths.T)[0, 1]) < 0.2
