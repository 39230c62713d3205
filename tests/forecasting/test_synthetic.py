from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import NoDataError, SettingError, UnknownNameError
from forecasting.market_day import delivery_index
from forecasting.sources.base import COLUMNS, Source
from forecasting.sources.synthetic import DEFAULT_AS_OF, TIME_ZONE, ZONE_SERIES, SyntheticSource, synthetic_source


@pytest.fixture(scope="module")
def source() -> SyntheticSource:
    return synthetic_source()


def whole(source: SyntheticSource, series: str, zone: str) -> np.ndarray:
    step = pd.Timedelta(minutes=source.step_minutes)
    return source.read(series, zone, source.index[0], source.index[-1] + step)["value"].to_numpy()


def test_it_is_a_source_with_20_zones_and_50_sites(source: SyntheticSource) -> None:
    assert isinstance(source, Source)
    assert source.simulated
    assert len(source.zone_names()) == 20
    assert len(source.sites()) == 50
    assert sum(len(source.sites(zone)) for zone in source.zone_names()) == 50
    info = source.site_info("COAST_1_W1")
    assert info.zone == "COAST_1"
    assert info.capacity_mw > 0


def test_frame_is_tidy_utc_with_units(source: SyntheticSource) -> None:
    index = delivery_index("2024-03-31", TIME_ZONE)
    frame = source.read("price", "COAST_1", index[0], index[-1] + pd.Timedelta(hours=1))
    assert tuple(frame.columns) == COLUMNS
    assert frame.index.name == "delivery_utc"
    assert frame.index.equals(index)
    assert frame.attrs["unit"] == "EUR/MWh"
    assert frame.attrs["notes"] == ["simulated data"]
    assert set(frame["available_at"]) == {pd.Timestamp("2024-03-30T12:57+01:00")}


def test_three_years_hold_days_of_23_and_25_hours(source: SyntheticSource) -> None:
    per_day = pd.Series(1, index=source.index.tz_convert(TIME_ZONE)).groupby(lambda stamp: stamp.date()).sum()
    assert sorted(per_day.value_counts().to_dict().items()) == [(23, 3), (24, 1090), (25, 3)]


def test_wind_and_price_are_anticorrelated_in_high_wind_zones(source: SyntheticSource) -> None:
    for number in range(1, 7):
        zone = f"COAST_{number}"
        price = whole(source, "price", zone)
        column = source.zone_names().index(zone)
        assert np.corrcoef(source.world.wind_share[:, column], price)[0, 1] < -0.5
        site = source.sites(zone)[0]
        assert np.corrcoef(whole(source, "wind_power", site), price)[0, 1] < -0.5


def test_every_seed_keeps_the_anticorrelation() -> None:
    for seed in (1, 2):
        source = SyntheticSource(seed=seed, years=1)
        price = whole(source, "price", "COAST_1")
        assert np.corrcoef(source.world.wind_share[:, 0], price)[0, 1] < -0.5


def test_prices_have_negative_hours_and_scarcity_spikes(source: SyntheticSource) -> None:
    coast, everywhere = whole(source, "price", "COAST_1"), source.world.price_per_mwh
    assert 0.01 < (coast < 0).mean() < 0.15
    assert 60 < coast.mean() < 100
    assert everywhere.max() > 800
    assert 0.0002 < (everywhere > 300).mean() < 0.01


def test_wind_forecast_error_is_realistic_and_grows_with_lead(source: SyntheticSource) -> None:
    world = source.world
    error = np.abs(world.wind_share - world.wind_share_forecast)
    by_lead = [error[(world.lead_h >= h) & (world.lead_h < h + 6)].mean() for h in (14, 20, 26, 32)]
    assert all(np.diff(by_lead) > 0)
    # Regional day-ahead forecasts miss by some 5 to 12% of capacity (root mean square).
    assert 0.05 < np.sqrt((error**2).mean()) < 0.12


def test_load_forecast_misses_by_about_two_percent(source: SyntheticSource) -> None:
    load, forecast = whole(source, "load", "PLAIN_3"), whole(source, "load_forecast", "PLAIN_3")
    assert 0.008 < np.abs(forecast / load - 1).mean() < 0.03


def test_load_follows_the_calendar_and_the_cold(source: SyntheticSource) -> None:
    local = source.index.tz_convert(TIME_ZONE)
    load = pd.Series(whole(source, "load", "COAST_2"), index=local)
    noon = load[local.hour == 11]
    day_of_week = noon.groupby(noon.index.dayofweek).mean()
    assert day_of_week[6] < 0.9 * day_of_week[1]
    assert load[local.month == 1].mean() > 1.05 * load[local.month == 5].mean()
    assert noon["2023-12-25"].iloc[0] < 0.92 * noon["2023-12-18"].iloc[0]


def test_wind_is_more_alike_between_near_zones_than_far_ones(source: SyntheticSource) -> None:
    world = source.world
    correlation = np.corrcoef(world.wind_share.T)
    distance = np.hypot(world.east_km[:, None] - world.east_km, world.north_km[:, None] - world.north_km)
    pairs = np.triu_indices(20, 1)
    near, far = distance[pairs] < 200, distance[pairs] > 700
    assert correlation[pairs][near].mean() > correlation[pairs][far].mean() + 0.1


def test_fronts_reach_the_eastern_coast_after_the_western(source: SyntheticSource) -> None:
    west, east = source.world.wind_share[:, 0], source.world.wind_share[:, 5]
    lags = range(-24, 25)
    shifted = [np.corrcoef(west[24:-24], east[24 + lag : len(east) - 24 + lag])[0, 1] for lag in lags]
    assert 2 <= lags[int(np.argmax(shifted))] <= 20


def test_site_power_lies_between_zero_and_capacity_and_follows_its_zone(source: SyntheticSource) -> None:
    site = source.site_info("COAST_3_W2")
    power = whole(source, "wind_power", site.name)
    assert power.min() >= 0
    assert power.max() <= site.capacity_mw
    assert np.corrcoef(power, whole(source, "wind_forecast", site.zone))[0, 1] > 0.7


def test_total_wind_forecast_is_the_sum_of_its_parts(source: SyntheticSource) -> None:
    parts = whole(source, "wind_onshore_forecast", "COAST_1") + whole(source, "wind_offshore_forecast", "COAST_1")
    np.testing.assert_allclose(whole(source, "wind_forecast", "COAST_1"), parts)


def test_same_seed_same_data_and_another_seed_other_data() -> None:
    first, again, other = SyntheticSource(3, years=1), SyntheticSource(3, years=1), SyntheticSource(4, years=1)
    for series, zone in (("price", "PLAIN_1"), ("wind_power", "COAST_1_W1")):
        assert np.array_equal(whole(first, series, zone), whole(again, series, zone))
        assert not np.array_equal(whole(first, series, zone), whole(other, series, zone))


def test_data_does_not_depend_on_the_order_of_reading() -> None:
    first, again = SyntheticSource(3, years=1), SyntheticSource(3, years=1)
    sites = first.sites()
    forward = [whole(first, "wind_power", site) for site in sites[:3]]
    backward = [whole(again, "wind_power", site) for site in sites[2::-1]][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))


def test_quarter_hours_have_92_and_100_steps_and_move_within_the_hour() -> None:
    source = SyntheticSource(years=1, step_minutes=15)
    for day, steps in (("2022-03-27", 92), ("2022-10-30", 100)):
        index = delivery_index(day, TIME_ZONE, 15)
        frame = source.read("wind_power", "COAST_1_W1", index[0], index[-1] + pd.Timedelta(minutes=15))
        assert len(frame) == steps
    price = whole(source, "price", "COAST_1")
    assert np.abs(np.diff(price)).mean() > 0


def test_default_night_is_windy_with_negative_hours_and_a_year_of_history(source: SyntheticSource) -> None:
    day = (DEFAULT_AS_OF + pd.Timedelta(days=1)).date()
    index = delivery_index(str(day), TIME_ZONE)
    end = index[-1] + pd.Timedelta(hours=1)
    price = source.read("price", "COAST_1", index[0], end)["value"]
    assert price.min() < 0
    assert price.max() > 91
    share = source.world.wind_share[source.index.get_indexer(index), 0]
    assert share.mean() > 0.45
    assert index[0] - source.index[0] > pd.Timedelta(days=365)


def test_every_zone_series_is_finite(source: SyntheticSource) -> None:
    for series in ZONE_SERIES:
        assert np.isfinite(whole(source, series, "COAST_6")).all()


def test_unknown_names_and_empty_intervals_say_what_to_do(source: SyntheticSource) -> None:
    start, end = source.index[0], source.index[24]
    with pytest.raises(UnknownNameError, match="did you mean 'COAST_1'"):
        source.read("price", "COAST1", start, end)
    with pytest.raises(UnknownNameError, match="did you mean 'COAST_1_W2'"):
        source.site_info("COAST_1-W2")
    with pytest.raises(NoDataError, match=r"source\.years"):
        source.read("price", "COAST_1", pd.Timestamp("2030-01-01T00:00Z"), pd.Timestamp("2030-01-02T00:00Z"))
    with pytest.raises(NoDataError, match="does not publish wind_offshore_forecast for VALLEY_1"):
        source.read("wind_offshore_forecast", "VALLEY_1", start, end)
    with pytest.raises(NoDataError, match="wind_power only"):
        source.read("price", "COAST_1_W1", start, end)
    with pytest.raises(SettingError, match="years"):
        SyntheticSource(years=0)
