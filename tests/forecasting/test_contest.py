"""Two forecasters on the same days: shares and p-values worked by hand and by SciPy, and what a margin asks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from forecasting.contest import Margin, compare, day_loss
from forecasting.errors import SettingError
from forecasting.models.base import QUANTILE_LEVELS

LOSSES = st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=2, max_size=30)


def test_gain_and_p_value_are_those_of_the_paired_t_test() -> None:
    ours, theirs = [1.0, 2.0, 1.5, 0.5], [2.0, 3.0, 2.5, 1.1]
    compared = compare(ours, theirs)
    assert compared.gain == pytest.approx(1 - 5.0 / 8.6)
    assert compared.p_value == pytest.approx(ttest_rel(ours, theirs, alternative="less").pvalue)
    assert compared.better(Margin(days=4))
    assert not compared.better(Margin(days=5)), "four days are too few for a margin of five"


def test_one_lucky_day_does_not_decide() -> None:
    theirs = [1.0, 1.0, 1.0, 1.0, 9.0]
    ours = [1.05, 1.05, 1.05, 1.05, 2.0]
    compared = compare(ours, theirs)
    assert compared.gain > 0.4
    assert not compared.better(Margin(days=5))


def test_equal_losses_are_neither_better_nor_worse() -> None:
    compared = compare([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (compared.gain, compared.p_value) == (0.0, 0.5)
    loose = Margin(days=2, gain=0.0, p_value=0.5)
    assert not compared.better(loose)
    assert not compared.worse(loose)


def test_a_constant_advantage_is_certain() -> None:
    assert compare([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]).p_value == 0.0
    assert compare([2.0, 3.0, 4.0], [1.0, 2.0, 3.0]).p_value == 1.0


def test_no_day_compares_nothing() -> None:
    compared = compare([], [])
    assert (compared.days, compared.gain) == (0, 0.0)
    assert not compared.better(Margin(days=2, gain=0.0, p_value=0.5))


@given(LOSSES)
def test_worse_is_better_with_the_sides_changed(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = (np.array(side) for side in zip(*pairs, strict=True))
    margin = Margin(days=2, gain=0.02, p_value=0.3)
    assert compare(ours, theirs).worse(margin) == compare(theirs, ours).better(margin)
    assert not (compare(ours, theirs).worse(margin) and compare(ours, theirs).better(margin))


def test_a_days_loss_is_the_mean_pinball_loss_of_its_known_steps() -> None:
    """Every quantile at 10: the truth 14 loses 4 a, the truth 7 loses 3 (1 - a); the levels average to one half."""
    quantiles = np.full((3, len(QUANTILE_LEVELS)), 10.0)
    assert np.mean(QUANTILE_LEVELS) == pytest.approx(0.5)
    assert day_loss([14.0, 7.0, np.nan], quantiles) == pytest.approx((4 * 0.5 + 3 * 0.5) / 2)
    assert np.isnan(day_loss([np.nan] * 3, quantiles))


@pytest.mark.parametrize("wrong", [{"days": 1}, {"gain": 1.0}, {"gain": -0.1}, {"p_value": 0.0}, {"p_value": 0.7}])
def test_a_margin_that_cannot_be_meant_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        Margin(**wrong)  # type: ignore[arg-type]
