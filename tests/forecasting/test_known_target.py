"""Every forecaster refuses to train on days whose target is not known, and names them alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import DataError
from forecasting.models import create
from tests.forecasting.neural_samples import make_samples


@pytest.mark.parametrize("name", ["naive", "lear", "feed_forward", "conditional_transformer"])
def test_a_gap_in_the_target_is_refused_with_its_zone_and_days(name: str) -> None:
    samples = make_samples(40, zones=("A", "B"))
    y = samples.y.copy()
    y[50:62, 3] = np.nan  # zone B, its days 11 to 22
    with pytest.raises(DataError, match=r"on 12 training day\(s\): B 2023-01-12, .* and 2 more; .*known\(\)"):
        create(name).fit(replace(samples, y=y))


@pytest.mark.parametrize("name", ["naive", "lear", "feed_forward"])
def test_nothing_to_train_on_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="no samples of price for training"):
        create(name).fit(make_samples(20).select(slice(0, 0)))
