"""Training on many markets before the own one: cut by calendar, then gone on with the own market alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch
from torch import Tensor

from forecasting.backtesting import backtest
from forecasting.errors import SettingError
from forecasting.models import create
from forecasting.models.base import QUANTILE_LEVELS, FitReport, Forecaster, Prediction
from forecasting.recalibration import Recalibration
from forecasting.samples import DayAheadSamples
from tests.forecasting.neural_samples import make_samples

SMALL: dict[str, Any] = {
    "hidden": (8,),
    "history_days": 7,
    "source_context": "identity",
    "training": {"steps": 12, "batch_size": 8, "checks": 1, "patience": 0, "warm_batch_size": 4},
}


class Witness(Forecaster):
    """Remembers the rows that each kind of training was given."""

    name: ClassVar[str] = "witness"
    uses_future_condition: ClassVar[bool] = False
    seen: ClassVar[list[tuple[str, DayAheadSamples]]] = []

    def fit(
        self, train: DayAheadSamples, valid: DayAheadSamples | None = None, *, seed: int = 0, progress: bool = False
    ) -> FitReport:
        Witness.seen.append(("fit", train))
        return FitReport(0.0, len(train), 0)

    def fine_tune(self, samples: DayAheadSamples, steps: int, *, seed: int = 0) -> None:
        Witness.seen.append(("fine-tune", samples))

    def warm_start_steps(self, samples: DayAheadSamples, steps: int = 2, *, seed: int = 0) -> None:
        Witness.seen.append(("warm start", samples))

    def predict(self, samples: DayAheadSamples) -> Prediction:
        Witness.seen.append(("predict", samples))
        zeros = np.zeros((len(samples), samples.slots))
        return Prediction(zeros, zeros, np.repeat(zeros[..., None], len(QUANTILE_LEVELS), axis=-1))

    def settings(self) -> dict[str, Any]:
        return {}

    def state(self) -> dict[str, Tensor]:
        return {"nothing": torch.zeros(1)}

    def load_state(self, state: Mapping[str, Tensor]) -> Self:
        return self


def markets_of_other_years() -> DayAheadSamples:
    """Three markets whose files end 40 days apart, as those of the EPF benchmark end a year apart."""
    parts = [make_samples(100, zones=(name,), seed=k) for k, name in enumerate("ABC")]
    shifted = [
        replace(part, day=part.day + 40 * k, issued_at=part.issued_at + np.timedelta64(40 * k, "D"))
        for k, part in enumerate(parts)
    ]
    return DayAheadSamples.concat(shifted)


@pytest.mark.parametrize("zone", ["A", "B", "C"])
def test_no_market_trains_with_a_day_on_or_after_the_day_to_be_forecast(zone: str) -> None:
    pool = markets_of_other_years()
    own = pool.select(pool.zone == zone)
    first, last = own.day[-20], own.day[-1]
    Witness.seen = []
    plan = Recalibration(7, warm_start_steps=2, fine_tune_steps=5)
    backtest(Witness, pool, first, last, recalibration=plan, zones=[zone])
    kinds = [kind for kind, _ in Witness.seen]
    assert kinds.count("fit") == kinds.count("fine-tune") == 3 and kinds.count("warm start") == 17
    tomorrow = first
    for kind, rows in Witness.seen:
        if kind == "predict":
            assert (rows.day == tomorrow).all() and set(rows.zone) == {zone}
            tomorrow = tomorrow + np.timedelta64(1, "D")
            continue
        assert rows.day.max() < tomorrow, f"{kind} for {tomorrow} reads {rows.day.max()}"
        if kind != "fit":
            assert set(rows.zone) == {zone}
    # markets whose files reach past the test train until the day before it, those that ended earlier with all they have
    before = {name for name in "ABC" if (pool.day[pool.zone == name] < first).any()}
    assert set(Witness.seen[0][1].zone) == before


def test_later_values_of_any_market_change_no_earlier_forecast() -> None:
    pool = markets_of_other_years()
    first = pool.day[pool.zone == "B"][-8]
    later = pool.day >= first + np.timedelta64(4, "D")
    y, future = pool.y.copy(), pool.future.copy()
    y[later] += 500.0
    future[later] += 9000.0
    plan = Recalibration(None, warm_start_steps=1, fine_tune_steps=4)
    factory = partial(create, "feed_forward", **SMALL)
    days = first, first + np.timedelta64(7, "D")
    told = [
        backtest(factory, samples, *days, recalibration=plan, zones=["B"]).prediction.quantiles
        for samples in (pool, replace(pool, y=y, future=future))
    ]
    assert (told[0][:4] == told[1][:4]).all()
    assert (told[0][4:] != told[1][4:]).any()


def test_fine_tuning_moves_the_network_towards_its_zone_and_repeats_itself() -> None:
    both = make_samples(60, zones=("A", "B"))
    # zone B answers the condition the other way round; the pool has learned a mixture
    turned = both.zone == "B"
    future = np.where(turned[:, None, None], 10_000 - both.future, both.future).astype(np.float32)
    both = replace(both, future=future)
    own = both.select(turned)
    settings = SMALL | {"training": SMALL["training"] | {"steps": 60, "fine_tune_learning_rate": 3e-3}}

    def error(steps: int) -> float:
        model = create("feed_forward", **settings)
        model.fit(both, seed=1)
        if steps:
            model.fine_tune(own, steps, seed=1)  # type: ignore[attr-defined]
        return float(np.abs(model.predict(own).mean - own.y).mean())

    before, after = error(0), error(80)
    assert after < 0.9 * before
    assert error(80) == after


def test_negative_steps_are_refused() -> None:
    with pytest.raises(SettingError, match="fine_tune_steps"):
        Recalibration(fine_tune_steps=-1)
