from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import DataError, SettingError
from forecasting.quality import Checked, Policy, QualityPolicy, check_series, quality_policy, tidy, weeks_before
from forecasting.series import series_spec

TZ = "Europe/Copenhagen"
START = pd.Timestamp("2024-05-31T22:00Z")


def frame(values: list[float] | np.ndarray, series: str = "price", start: pd.Timestamp = START) -> pd.DataFrame:
    index = pd.date_range(start, periods=len(values), freq="h", name="delivery_utc", unit="ns")
    known = series_spec(series).availability.available_at(index, TZ, 60)
    return pd.DataFrame({"value": np.asarray(values, dtype=float), "available_at": known}, index=index)


def check(data: pd.DataFrame, series: str, expected: pd.DatetimeIndex | None = None, **options: object) -> Checked:
    return check_series(
        data,
        series=series,
        zone="DK_1",
        expected=data.index if expected is None else expected,
        step_minutes=60,
        time_zone=TZ,
        **options,  # type: ignore[arg-type]
    )


def test_good_data_passes_without_a_finding() -> None:
    checked = check(frame([50.0, 60.0, 70.0] * 16), "price")
    assert checked.findings == ()
    assert set(checked.frame["origin"]) == {"measured"}
    assert set(check(frame([50.0, 60.0] * 12, "load_forecast"), "load_forecast").frame["origin"]) == {"forecast"}


def test_short_gap_is_interpolated_marked_and_known_no_sooner_than_its_neighbours() -> None:
    data = frame([10.0, 20.0, np.nan, np.nan, 50.0, 60.0])
    late = pd.Timestamp("2024-06-02T09:00Z")
    data.iloc[4, 1] = late
    checked = check(data, "price")
    assert checked.frame["value"].tolist() == [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
    assert checked.frame["origin"].tolist() == ["measured"] * 2 + ["repaired"] * 2 + ["measured"] * 2
    assert (checked.frame["available_at"].iloc[2:4] == late).all()
    assert [(f.check, f.action) for f in checked.findings] == [("gap", "repaired")]


def test_absent_rows_count_as_a_gap_like_nan() -> None:
    data = frame([10.0, 20.0, 30.0, 40.0])
    checked = check(data.drop(data.index[[1, 2]]), "price", expected=data.index)
    assert checked.frame["value"].tolist() == [10.0, 20.0, 30.0, 40.0]


def test_missing_price_day_is_refused_with_its_dates_and_a_way_out() -> None:
    data = frame([50.0, 60.0, 70.0, 40.0] * 18)
    data.iloc[24:48, 0] = np.nan
    with pytest.raises(DataError, match=r"price of DK_1: missing: 24 values from 2024-06-02 00:00 to 2024-06-02 23:00"):
        check(data, "price")
    with pytest.raises(DataError, match=r"quality\.gap=accept"):
        check(data, "price")


def test_accepted_gap_stays_missing_and_is_never_zero() -> None:
    data = frame([50.0, np.nan, np.nan, 40.0])
    checked = check(data, "price", policy=QualityPolicy(gap=Policy.ACCEPT))
    assert checked.frame["value"].tolist() == [50.0, 40.0]
    assert checked.findings[0].action == "kept"


def test_long_gap_of_a_forecast_borrows_the_same_hours_of_the_previous_week() -> None:
    values = np.arange(24.0 * 9) + 1
    data = frame(values, "wind_forecast")
    data.iloc[170:180, 0] = np.nan
    checked = check(data, "wind_forecast")
    assert checked.frame["value"].iloc[170:180].tolist() == values[2:12].tolist()
    assert set(checked.frame["origin"].iloc[170:180]) == {"fallback"}
    assert "previous week" in checked.findings[0].text


def test_borrowing_goes_to_the_nearest_week_that_is_whole_and_may_use_history() -> None:
    history = frame(np.arange(24.0 * 7) + 1, "wind_forecast", START - pd.Timedelta(days=14))
    data = frame(np.full(24 * 8, 500.0) + np.arange(24 * 8), "wind_forecast")
    data.iloc[0:12, 0] = np.nan
    checked = check(data, "wind_forecast", history=history)
    assert checked.frame["value"].iloc[:12].tolist() == history["value"].iloc[:12].tolist()
    assert "2 weeks before" in checked.findings[0].text


def test_week_before_keeps_the_clock_across_the_clock_change() -> None:
    noon = pd.DatetimeIndex([pd.Timestamp("2024-04-02T12:00", tz=TZ)]).tz_convert("UTC")
    assert weeks_before(noon, TZ)[0] == pd.Timestamp("2024-03-26T12:00", tz=TZ)


def test_negative_load_is_refused_or_repaired_by_policy_but_negative_price_is_fine() -> None:
    data = frame([2000.0, -5.0, 2200.0, 2300.0] * 12, "load")
    with pytest.raises(DataError, match=r"load of DK_1: negative measured total load: 12 values .* lowest -5"):
        check(data, "load")
    repaired = check(data, "load", policy=QualityPolicy(negative=Policy.REPAIR))
    assert repaired.frame["value"].iloc[1] == 2100.0
    assert repaired.frame["origin"].iloc[1] == "repaired"
    assert check(frame([20.0, -5.0] * 24), "price").findings == ()


def test_prices_near_zero_in_most_hours_are_a_market_and_no_unit() -> None:
    spring = np.where(np.arange(15 * 24) % 24 >= 20, 35.0, 0.1)
    spring[5] = 0.2
    assert np.median(spring) < 1
    assert check(frame(spring), "price").findings == ()
    with pytest.raises(DataError, match="not credible in EUR/MWh"):
        check(frame(spring / 1000), "price")


def test_load_in_kilowatts_and_price_per_kilowatt_hour_are_recognised() -> None:
    with pytest.raises(DataError, match=r"median size .* is not credible in MW"):
        check(frame(np.full(48, 2.4e6) + np.arange(48), "load"), "load")
    with pytest.raises(DataError, match="not credible in EUR/MWh"):
        check(frame(0.05 + 0.001 * np.arange(48)), "price")


def test_flat_line_is_reported_and_by_policy_treated_as_missing() -> None:
    values = np.concatenate([np.arange(300.0, 500.0), np.full(48, 7.0), np.arange(40.0, 60.0)])
    kept = check(frame(values, "load_forecast"), "load_forecast")
    assert [(f.check, f.action) for f in kept.findings] == [("flat", "kept")]
    mended = check(frame(values, "load_forecast"), "load_forecast", policy=QualityPolicy(flat=Policy.REPAIR))
    assert [f.check for f in mended.findings] == ["flat", "gap"]
    assert set(mended.frame["origin"].iloc[200:248]) == {"fallback"}


def test_calm_or_dark_hours_at_zero_are_not_a_flat_line() -> None:
    assert check(frame(np.zeros(100), "solar_forecast"), "solar_forecast").findings == ()


def test_unsorted_and_repeated_rows_are_mended_and_reported() -> None:
    data = frame([1.0, 2.0, 3.0, 4.0])
    mixed = pd.concat([data.iloc[[2, 0, 1, 3]], data.iloc[[1]]])
    tidied = tidy(mixed, "price", "DK_1")
    pd.testing.assert_frame_equal(tidied.frame, data, check_names=False, check_freq=False)
    assert [f.check for f in tidied.findings] == ["unsorted", "duplicate"]
    assert "1 repeated rows were dropped" in tidied.findings[1].text


def test_contradicting_duplicate_is_refused_with_its_date() -> None:
    data = frame([1.0, 2.0])
    other = data.iloc[[1]].assign(value=9.0)
    with pytest.raises(DataError, match="two different values for the same delivery time at 2024-05-31 23:00"):
        tidy(pd.concat([data, other]), "price", "DK_1")


def test_rows_without_time_zone_or_availability_are_refused() -> None:
    data = frame([1.0, 2.0])
    with pytest.raises(DataError, match="time zone"):
        tidy(data.tz_localize(None), "price", "DK_1")
    with pytest.raises(DataError, match="available_at"):
        tidy(data.assign(available_at=pd.NaT), "price", "DK_1")


def test_infinite_value_is_refused() -> None:
    with pytest.raises(DataError, match="infinite value at 2024-05-31 23:00"):
        check(frame([1.0, np.inf, 3.0]), "price")


def test_policy_words_are_checked() -> None:
    assert quality_policy(gap="accept", short_gap_h=2.0) == QualityPolicy(gap=Policy.ACCEPT, short_gap_h=2.0)
    with pytest.raises(SettingError, match=r"quality\.gap='ignore': use one of repair, fallback, refuse, accept"):
        quality_policy(gap="ignore")
    with pytest.raises(SettingError, match="known settings"):
        quality_policy(gaps="repair")


def test_generation_in_kilowatts_is_held_against_the_capacity_of_its_site() -> None:
    in_mw = np.tile([0.0, 3.0, 6.0, 10.4], 12)
    assert check(frame(in_mw, "wind_power"), "wind_power", capacity_mw=10.0).findings == ()
    with pytest.raises(DataError, match=r"4500 is not credible in MW .* or correct the capacity of 10 MW"):
        check(frame(in_mw * 1e3, "wind_power"), "wind_power", capacity_mw=10.0, history=frame(in_mw, "wind_power"))
    assert check(frame(in_mw * 1e3, "wind_power"), "wind_power").findings == (), (
        "a capacity that nobody knows says nothing"
    )


def test_the_wind_forecast_of_a_zone_in_kilowatts_is_refused() -> None:
    windy = frame(np.tile([100.0, 900.0, 2500.0], 16), "wind_forecast")
    assert check(windy, "wind_forecast").findings == ()
    with pytest.raises(DataError, match=r"9e\+05 is not credible in MW"):
        check(windy.assign(value=windy["value"] * 1e3), "wind_forecast")
