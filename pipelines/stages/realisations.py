"""Days to settle that are drawn around the case's own day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dispatch.case_adno import AdnoCase
from dispatch.settlement.error_model import ErrorModel
from dispatch.settlement.from_schedule import case_forecast
from pipelines.errors import ConfigError
from pipelines.stages.settle_days import DRAWS_KEY, Days, seeds, stacked


def synthetic_days(case: AdnoCase, settings: Mapping[str, Any], seed: int, draws: int = 0) -> Days:
    """The case's day, and ``realisations.count`` days drawn around it by the error model; ``draws`` more to plan on."""
    day = case_forecast(case)
    capacity = sum(farm.capacity_mw for farm in case.wind)
    try:
        model = ErrorModel(**settings["error_model"])
    except TypeError as error:
        raise ConfigError(f"realisations.error_model: {error}; --help lists its keys") from error
    drawn = [
        model.sample(day, size, child, wind_capacity_mw=capacity, step_hours=case.step_hours)
        for child, size in seeds(seed, int(settings["count"]), int(settings["chunk"]))
    ]
    truth = stacked(drawn)
    labels = pd.DataFrame({"realisation": np.arange(len(truth))})
    own = np.random.SeedSequence(seed, spawn_key=(DRAWS_KEY,))
    more = model.sample(day, draws, own, wind_capacity_mw=capacity, step_hours=case.step_hours) if draws else None
    return Days(day, truth, day.load_mw, labels, draws=more)
