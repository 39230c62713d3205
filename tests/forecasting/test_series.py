from __future__ import annotations

import pandas as pd
import pytest

from forecasting.availability import AvailabilityRule
from forecasting.errors import SettingError, UnknownNameError
from forecasting.market_day import delivery_index
from forecasting.names import nearest
from forecasting.series import CATALOGUE, availability_rules, series_spec

TZ = "Europe/Copenhagen"


def known(rule: str, day: str, step: int = 60) -> pd.DatetimeIndex:
    return AvailabilityRule.parse(rule).available_at(delivery_index(day, TZ, step), TZ, step)


def test_day_ahead_price_is_known_at_12_57_market_time_of_the_day_before() -> None:
    assert set(known("D-1 12:57", "2024-06-27")) == {pd.Timestamp("2024-06-26T12:57+02:00")}
    assert set(known("D-1 12:57", "2024-01-10")) == {pd.Timestamp("2024-01-09T12:57+01:00")}


def test_publication_keeps_its_local_time_across_the_clock_change() -> None:
    # The day before the autumn change is still on summer time, the day after it is not.
    assert set(known("D-1 10:00", "2024-10-27")) == {pd.Timestamp("2024-10-26T08:00Z")}
    assert set(known("D-1 10:00", "2024-10-28")) == {pd.Timestamp("2024-10-27T09:00Z")}


def test_measured_value_is_known_a_delay_after_its_step_ends() -> None:
    hourly = known("delivery end + 60 min", "2024-06-27")
    assert hourly[0] == pd.Timestamp("2024-06-27T02:00+02:00")
    quarter = known("delivery end + 30 min", "2024-06-27", 15)
    assert quarter[0] == pd.Timestamp("2024-06-27T00:45+02:00")


def test_repeated_clock_time_means_its_second_pass_and_a_skipped_one_moves_forward() -> None:
    assert set(known("D 02:30", "2024-10-27")) == {pd.Timestamp("2024-10-27T01:30Z")}
    assert set(known("D 02:30", "2024-03-31")) == {pd.Timestamp("2024-03-31T01:00Z")}


@pytest.mark.parametrize("text", ["D-1 12:57", "D 00:00", "D+1 06:15", "delivery end + 60 min"])
def test_rule_text_survives_a_round_trip(text: str) -> None:
    assert str(AvailabilityRule.parse(text)) == text


@pytest.mark.parametrize("text", ["yesterday", "D-1 25:00", "D-1", "delivery + 60"])
def test_unreadable_rule_shows_the_accepted_forms(text: str) -> None:
    with pytest.raises(SettingError, match=r"D-1 12:57.*delivery end \+ 60 min"):
        AvailabilityRule.parse(text)


def test_wind_forecast_is_due_after_the_auction_and_load_forecast_before() -> None:
    rules = availability_rules()
    assert str(rules["wind_forecast"]) == "D-1 18:00"
    assert str(rules["load_forecast"]) == "D-1 10:00"
    assert str(rules["price"]) == "D-1 12:57"


def test_config_overrides_one_rule_and_leaves_the_rest() -> None:
    rules = availability_rules({"wind_forecast": "D-1 09:00"})
    assert str(rules["wind_forecast"]) == "D-1 09:00"
    assert rules["price"] == CATALOGUE["price"].availability


def test_unknown_series_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'load_forecast'"):
        series_spec("load_forcast")
    with pytest.raises(UnknownNameError, match="did you mean 'price'"):
        availability_rules({"prices": "D-1 12:00"})


def test_nearest_ignores_case_and_gives_nothing_for_a_stranger() -> None:
    assert nearest("dk1", ["DK_1", "SE_3"]) == "DK_1"
    assert nearest("qqqq", ["DK_1", "SE_3"]) is None


def test_every_entry_states_unit_sign_and_description() -> None:
    for name, spec in CATALOGUE.items():
        assert name == spec.name
        assert spec.unit and spec.sign and spec.description
        assert all(part in CATALOGUE for part in spec.derived_from)
