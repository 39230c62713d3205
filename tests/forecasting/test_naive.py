"""Naive forecasts: the right day, what happens where it is unknown, and the spread from past errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import DataError, SettingError
from forecasting.models.naive import Naive, NaiveRule, NaiveWeekly, naive_forecast
from forecasting.samples import DayAheadSamples


def counting_days(rows: int = 21, history_days: int = 8) -> DayAheadSamples:
    """The value of every slot of day ``k`` is ``k``; day 0 is Monday 2024-01-01 and the first delivery is day 8."""
    day = np.arange(history_days, history_days + rows)
    history = (day[:, None] - history_days + np.arange(history_days)[None, :])[:, :, None, None] * np.ones(
        (1, 1, 24, 1)
    )
    delivery = np.datetime64("2024-01-01") + day
    return DayAheadSamples(
        target="wind",
        unit="MW",
        step_minutes=60,
        zone=np.full(rows, "Z"),
        day=delivery,
        issued_at=(delivery - np.timedelta64(13, "h")).astype("datetime64[ns]"),
        history=history.astype(np.float32),
        history_channels=("wind",),
        future=np.zeros((rows, 24, 0), dtype=np.float32),
        future_channels=(),
        y=np.broadcast_to(day[:, None], (rows, 24)).astype(np.float32),
    )


def test_standard_rule_takes_monday_saturday_and_sunday_from_the_week_before() -> None:
    samples = counting_days(rows=7)  # Tuesday 9 to Monday 15 January
    lag = samples.y[:, 0] - naive_forecast(samples)[:, 0]
    assert dict(zip(samples.day.astype(str), lag, strict=True)) == {
        "2024-01-09": 1,
        "2024-01-10": 1,
        "2024-01-11": 1,
        "2024-01-12": 1,
        "2024-01-13": 7,
        "2024-01-14": 7,
        "2024-01-15": 7,
    }


def test_weekly_and_daily_rules() -> None:
    samples = counting_days()
    assert (samples.y - naive_forecast(samples, NaiveRule.WEEKLY) == 7).all()
    assert (samples.y - naive_forecast(samples, NaiveRule.DAILY) == 1).all()


def test_unmeasured_hours_of_yesterday_come_from_the_day_before() -> None:
    samples = counting_days()
    history = samples.history.copy()
    history[:, -1, 12:] = np.nan
    lag = samples.y - naive_forecast(replace(samples, history=history), NaiveRule.DAILY)
    assert (lag[:, :12] == 1).all() and (lag[:, 12:] == 2).all()


def test_gap_on_the_oldest_day_comes_from_a_newer_one() -> None:
    samples = counting_days(history_days=7)
    history = samples.history.copy()
    history[:, 0] = np.nan
    assert (samples.y - naive_forecast(replace(samples, history=history), NaiveRule.WEEKLY) == 6).all()


def test_slot_unknown_on_every_day_is_refused_with_zone_and_day() -> None:
    samples = counting_days()
    history = samples.history.copy()
    history[2, :, 5] = np.nan
    with pytest.raises(DataError, match=f"in Z for {samples.day[2]}"):
        naive_forecast(replace(samples, history=history))


def test_short_history_is_refused() -> None:
    samples = counting_days()
    with pytest.raises(SettingError, match="day d-7"):
        naive_forecast(replace(samples, history=samples.history[:, -2:]), NaiveRule.WEEKLY)


def test_spread_is_that_of_past_errors_around_the_repeated_day() -> None:
    samples = counting_days(rows=400)
    rng = np.random.default_rng(0)
    noisy = replace(samples, y=(samples.y + rng.uniform(-10, 10, samples.y.shape)).astype(np.float32))
    model = Naive(NaiveRule.DAILY)
    model.fit(noisy)
    forecast = model.predict(samples)
    assert forecast.quantiles[..., 6] == pytest.approx(naive_forecast(samples, NaiveRule.DAILY))
    assert (forecast.quantiles[..., -1] - forecast.quantiles[..., 0]).mean() == pytest.approx(18.0, abs=0.5)
    assert forecast.std.mean() == pytest.approx(20 / np.sqrt(12), abs=0.3)


def test_unseen_zone_gets_the_pooled_errors() -> None:
    samples = counting_days(rows=60)
    model = Naive()
    model.fit(samples)
    elsewhere = replace(samples, zone=np.full(len(samples), "ELSEWHERE"))
    assert (model.predict(elsewhere).quantiles == model.predict(samples).quantiles).all()


@pytest.mark.parametrize("model", [Naive(), NaiveWeekly()])
def test_save_and_load_gives_the_same_forecast(model: Naive) -> None:
    samples = counting_days(rows=60)
    model.fit(samples)
    again = type(model)(**model.settings()).load_state(model.state())
    assert (again.predict(samples).quantiles == model.predict(samples).quantiles).all()
    assert again.name == model.name


def test_missing_target_is_refused_with_its_dates() -> None:
    samples = counting_days()
    y = samples.y.copy()
    y[3, 0] = np.nan
    with pytest.raises(DataError, match=str(samples.day[3])):
        Naive().fit(replace(samples, y=y))


def test_unknown_rule_names_the_choices() -> None:
    with pytest.raises(SettingError, match="standard, weekly, daily"):
        Naive("monthly")
