"""Values compared with their past: spikes, repeated days, and shapes that come an hour late."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import DataError
from forecasting.quality import Checked, Policy, check_series, quality_policy
from forecasting.series import series_spec
from forecasting.sources.files import FileSource
from forecasting.sources.layout import load_layout

TZ = "Europe/Copenhagen"
START = pd.Timestamp("2024-05-03T22:00Z")
HOUR = np.arange(24 * 36)


def load_shape(days: int = 36, seed: int = 0) -> pd.Series:
    """Load with a shape of day and week and a little noise."""
    index = pd.date_range(START, periods=24 * days, freq="h", unit="ns", name="delivery_utc")
    hour, weekday = index.tz_convert(TZ).hour.to_numpy(), index.tz_convert(TZ).dayofweek.to_numpy()
    daily = 300 * np.sin((hour - 8) / 24 * 2 * np.pi) + 150 * np.sin((hour - 5) / 12 * 2 * np.pi)
    noise = np.random.default_rng(seed).normal(0, 10, len(index))
    return pd.Series(1500 + daily - 200 * (weekday > 4) + noise, index)


def check(values: pd.Series, new_days: int = 4, series: str = "load_forecast", **policy: object) -> Checked:
    known = series_spec(series).availability.available_at(pd.DatetimeIndex(values.index), TZ, 60)
    frame = pd.DataFrame({"value": values, "available_at": known})
    edge = len(values) - 24 * new_days
    return check_series(
        frame.iloc[edge:],
        series=series,
        zone="DK_1",
        expected=pd.DatetimeIndex(values.index[edge:]),
        step_minutes=60,
        time_zone=TZ,
        history=frame.iloc[:edge],
        policy=quality_policy(**policy),
    )


def test_ordinary_days_pass_without_a_word() -> None:
    for series in ("load", "load_forecast", "price"):
        assert check(load_shape(), series=series).findings == ()


def test_a_load_ten_times_too_high_counts_as_missing_and_is_interpolated() -> None:
    values = load_shape()
    values.iloc[-30] *= 10
    checked = check(values)
    assert [(f.check, f.action) for f in checked.findings] == [("spike", "repaired"), ("gap", "repaired")]
    assert "2024-06-07 18:00" in checked.findings[0].text
    assert checked.frame["value"].iloc[-30] == pytest.approx((values.iloc[-31] + values.iloc[-29]) / 2)


def test_a_price_spike_is_news_and_kept() -> None:
    values = load_shape() / 20
    values.iloc[-30] = 3000.0
    checked = check(values, series="price")
    assert [(f.check, f.action) for f in checked.findings] == [("spike", "kept")]
    assert checked.frame["value"].iloc[-30] == 3000.0
    with pytest.raises(DataError, match=r"price of DK_1: spike: 1 values .* up to 3000, .*quality\.spike=repair"):
        check(values, series="price", spike="refuse")


def test_new_spikes_do_not_widen_their_own_limits() -> None:
    values = load_shape()
    values.iloc[-48:-12] *= 10
    assert check(values).findings[0].check == "spike"


def test_yesterdays_forecast_served_again_is_named_with_its_day() -> None:
    values = load_shape()
    values.iloc[-24:] = values.iloc[-48:-24].to_numpy()
    (finding,) = check(values).findings
    assert (finding.check, finding.action) == ("repeated_forecast", "kept")
    assert finding.text == "the forecast of the day before served again: 2024-06-08"
    replaced = check(values, repeated_forecast="repair")
    assert set(replaced.frame["origin"].iloc[-24:]) == {"fallback"}
    assert replaced.frame["value"].iloc[-1] == values.iloc[-1 - 7 * 24]


def test_a_measured_day_repeated_is_a_duplicated_day() -> None:
    values = load_shape()
    values.iloc[-24:] = values.iloc[-48:-24].to_numpy()
    assert [f.check for f in check(values, series="load").findings] == ["duplicated_day"]
    with pytest.raises(DataError, match="the values of the day before again: 2024-06-08"):
        check(values, series="load", duplicated_day="refuse")


def test_a_series_that_repeats_itself_by_habit_is_left_alone() -> None:
    values = load_shape()
    values[:] = np.tile(values.iloc[:24].to_numpy(), 36)
    assert check(values).findings == ()


@pytest.mark.parametrize("hours", [-1, 1, 2])
def test_days_that_come_late_or_early_are_recognised(hours: int) -> None:
    values = load_shape(41)
    late = pd.concat([values.iloc[:-96], values.shift(hours).iloc[-96:]]).iloc[:-24]
    (finding,) = check(late, new_days=3).findings
    assert finding.check == "time_shift"
    assert f"come {abs(hours)} h {'late' if hours > 0 else 'early'}" in finding.text


def test_the_clock_change_itself_is_no_time_shift() -> None:
    index = pd.date_range("2024-02-28T23:00Z", "2024-04-02T22:00Z", freq="h", inclusive="left", unit="ns")
    hour = index.tz_convert(TZ).hour.to_numpy()
    noise = np.random.default_rng(1).normal(0, 10, len(index))
    values = pd.Series(1500 + 300 * np.sin((hour - 8) / 24 * 2 * np.pi) + noise, index)
    assert check(values).findings == ()


def test_without_two_weeks_of_past_the_rules_are_silent() -> None:
    values = load_shape(10)
    values.iloc[-24:] = values.iloc[-48:-24].to_numpy()
    values.iloc[-30] *= 10
    assert check(values).findings == ()


def test_a_week_of_prices_near_zero_is_no_wrong_unit_but_a_price_per_kilowatt_hour_is() -> None:
    values = load_shape() / 20
    values.iloc[-96:] = 0.4 + 0.01 * np.arange(96)
    assert "unit" not in {f.check for f in check(values, series="price").findings}
    values.iloc[-96:] = 0.06 + 0.0001 * np.arange(96)
    with pytest.raises(DataError, match="not credible in EUR/MWh"):
        check(values, series="price")


def test_a_policy_word_that_does_not_exist_is_refused() -> None:
    from forecasting.errors import SettingError

    with pytest.raises(SettingError, match=r"quality\.spike='mend': use one of"):
        quality_policy(spike="mend")
    assert quality_policy(time_shift="refuse").time_shift is Policy.REFUSE


@pytest.mark.data
@pytest.mark.parametrize("zone", ["DK_1", "FR", "ES"])
def test_real_load_and_price_of_a_year_raise_no_false_alarm(public_data: Callable[[str], Path], zone: str) -> None:
    root = public_data("entsoe_2022_2024H1/zones_hourly.parquet").parent
    conf = Path(__file__).parents[2] / "conf" / "layout" / "entsoe_zones.yaml"
    source = FileSource(root, load_layout(conf))
    for series in ("price", "load_forecast"):
        values = source.read(series, zone, pd.Timestamp("2023-01-01T00:00Z"), pd.Timestamp("2024-06-30T00:00Z"))
        for end in range(24 * 250, len(values), 24 * 29):
            part = values["value"].iloc[end - 24 * 250 : end].interpolate()
            assert check(part, series=series).findings == ()
