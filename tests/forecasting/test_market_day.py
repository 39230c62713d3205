from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import SettingError
from forecasting.market_day import day_range, delivery_day, delivery_index, from_slots, to_slots

TZ = "Europe/Copenhagen"
SPRING, AUTUMN, PLAIN = "2024-03-31", "2024-10-27", "2024-06-01"


@pytest.mark.parametrize(
    ("day", "hours"),
    [(SPRING, 23), (PLAIN, 24), (AUTUMN, 25)],
)
def test_market_day_has_its_real_length_in_hours_and_quarters(day: str, hours: int) -> None:
    assert len(delivery_index(day, TZ, 60)) == hours
    assert len(delivery_index(day, TZ, 15)) == 4 * hours


def test_delivery_index_is_utc_and_starts_at_local_midnight() -> None:
    index = delivery_index("2024-10-27", TZ)
    assert str(index.tz) == "UTC"
    assert index[0] == pd.Timestamp("2024-10-26T22:00Z")
    assert index[-1] == pd.Timestamp("2024-10-27T22:00Z")
    assert delivery_day(index[-1], TZ).isoformat() == "2024-10-27"


def test_spring_hour_is_the_mean_of_its_neighbours() -> None:
    index = delivery_index(SPRING, TZ)
    slots = to_slots(index, np.arange(23.0), day_range(SPRING, SPRING), TZ)
    # Clock hours 0, 1, 3, 4, ...: hour 2 does not exist and lies between values 1 and 2.
    assert slots.shape == (1, 24)
    assert slots[0, :5].tolist() == [0.0, 1.0, 1.5, 2.0, 3.0]


def test_autumn_hour_is_averaged() -> None:
    index = delivery_index(AUTUMN, TZ)
    slots = to_slots(index, np.arange(25.0), day_range(AUTUMN, AUTUMN), TZ)
    # Both passes of clock hour 2 carry values 2 and 3.
    assert slots[0, :5].tolist() == [0.0, 1.0, 2.5, 4.0, 5.0]


def test_quarter_hours_at_both_clock_changes() -> None:
    spring = to_slots(delivery_index(SPRING, TZ, 15), np.arange(92.0), day_range(SPRING, SPRING), TZ, 15)[0]
    # Quarters 01:00..01:45 carry 4..7, 03:00..03:45 carry 8..11; the skipped ones lie half-way, quarter by quarter.
    assert spring[8:12].tolist() == [6.0, 7.0, 8.0, 9.0]
    autumn = to_slots(delivery_index(AUTUMN, TZ, 15), np.arange(100.0), day_range(AUTUMN, AUTUMN), TZ, 15)[0]
    # First pass 8..11, second pass 12..15.
    assert autumn[8:12].tolist() == [10.0, 11.0, 12.0, 13.0]


def test_hourly_mean_of_normalised_quarters_equals_the_normalised_hours() -> None:
    rng = np.random.default_rng(0)
    for day in (SPRING, AUTUMN, PLAIN):
        quarters = rng.normal(size=len(delivery_index(day, TZ, 15)))
        hours = quarters.reshape(-1, 4).mean(axis=1)
        fine = to_slots(delivery_index(day, TZ, 15), quarters, day_range(day, day), TZ, 15)
        coarse = to_slots(delivery_index(day, TZ), hours, day_range(day, day), TZ)
        np.testing.assert_allclose(fine.reshape(1, 24, 4).mean(axis=2), coarse)


def test_missing_value_stays_missing_in_both_passes_of_the_autumn_hour() -> None:
    values = np.arange(25.0)
    values[3] = np.nan
    slots = to_slots(delivery_index(AUTUMN, TZ), values, day_range(AUTUMN, AUTUMN), TZ)
    assert np.isnan(slots[0, 2])
    assert np.isfinite(np.delete(slots[0], 2)).all()


def test_day_without_rows_is_nan_and_not_zero() -> None:
    slots = to_slots(delivery_index(PLAIN, TZ), np.zeros(24), day_range("2024-05-31", PLAIN), TZ)
    assert np.isnan(slots[0]).all()
    assert (slots[1] == 0).all()


def test_slots_go_back_to_the_real_delivery_steps() -> None:
    slots = np.arange(24.0)[:, None]
    spring = from_slots(slots, SPRING, TZ)[:, 0]
    assert spring.tolist() == [0, 1, *range(3, 24)]
    autumn = from_slots(slots, AUTUMN, TZ)[:, 0]
    assert autumn.tolist() == [0, 1, 2, 2, *range(3, 24)]


@given(st.dates(pd.Timestamp("2015-01-01").date(), pd.Timestamp("2030-12-31").date()), st.sampled_from([15, 30, 60]))
@settings(max_examples=60, deadline=None)
def test_to_slots_undoes_from_slots_except_in_the_skipped_hour(day: object, step: int) -> None:
    slots = np.random.default_rng(1).normal(size=1440 // step)
    name = str(day)
    steps = from_slots(slots, name, TZ, step)
    index = delivery_index(name, TZ, step)
    assert len(steps) == len(index)
    back = to_slots(index, steps, day_range(name, name), TZ, step)[0]
    if len(index) * step == 23 * 60:
        kept = np.r_[0 : 120 // step, 180 // step : 1440 // step]
        np.testing.assert_allclose(back[kept], slots[kept])
    else:
        np.testing.assert_allclose(back, slots)


def test_step_that_does_not_divide_the_hour_is_refused() -> None:
    with pytest.raises(SettingError, match="divide 60"):
        delivery_index(PLAIN, TZ, 45)
