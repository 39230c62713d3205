from __future__ import annotations

from collections.abc import Callable
from datetime import time
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import NoDataError, SettingError, UnknownNameError
from forecasting.market_day import day_range, day_start, delivery_index, to_slots
from forecasting.samples import DayAheadSamples
from forecasting.sources.synthetic import DEFAULT_AS_OF, TIME_ZONE, SyntheticSource, synthetic_source
from forecasting.store import Store
from forecasting.windows import (
    EVENING,
    MORNING,
    Channel,
    ChannelPlan,
    DecisionTime,
    build_samples,
    channel_plan,
    live_sample,
)

ZONE, SITE = "COAST_1", "COAST_1_W1"
ZONE_SERIES = ("price", "load_forecast", "load", "wind_forecast", "solar_forecast")


@pytest.fixture(scope="module")
def source() -> SyntheticSource:
    return synthetic_source()


def fill(store: Store, source: SyntheticSource, first: str, last: str, as_of: pd.Timestamp | None = None) -> Store:
    start, end = day_start(first, TIME_ZONE), day_start(last, TIME_ZONE)
    for series, zone in [*((name, ZONE) for name in ZONE_SERIES), ("wind_power", SITE)]:
        frame = source.read(series, zone, start, end)
        attrs = frame.attrs
        if as_of is not None:
            frame = frame[frame["available_at"] <= as_of]
        store.write(frame, series=series, zone=zone, source=attrs["source"])
    return store


@pytest.fixture(scope="module")
def store(source: SyntheticSource, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return fill(Store(tmp_path_factory.mktemp("store")), source, "2024-02-01", "2024-12-01")


def same(one: DayAheadSamples, other: DayAheadSamples) -> bool:
    names = ("history", "future", "y", "day", "issued_at")
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name[0] in "hfy") for name in names)


def test_shapes_channels_and_alignment_against_a_direct_read(store: Store, source: SyntheticSource) -> None:
    samples = build_samples(
        store, channel_plan("price", ZONE), first_day="2024-03-20", last_day="2024-04-10", time_zone=TIME_ZONE
    )
    assert samples.history.shape == (22, 14, 24, 4)
    assert samples.history_channels == ("price", "load_forecast", "wind_forecast", "solar_forecast")
    assert samples.future_channels == ("load_forecast", "wind_forecast", "solar_forecast")
    days = day_range("2024-02-20", "2024-04-10")
    index = pd.DatetimeIndex(np.concatenate([delivery_index(day, TIME_ZONE).asi8 for day in days])).tz_localize("UTC")
    frame = source.read("price", ZONE, index[0], index[-1] + pd.Timedelta(hours=1))
    slots = to_slots(index, frame["value"].to_numpy(), days, TIME_ZONE)
    # 31 March has 23 hours; it is row 11 and lies among the target and the history of later days.
    row = int(np.flatnonzero(samples.day == np.datetime64("2024-04-02"))[0])
    place = int(np.flatnonzero(days == np.datetime64("2024-04-02"))[0])
    np.testing.assert_allclose(samples.y[row], slots[place], rtol=1e-6)
    np.testing.assert_allclose(samples.history[row, :, :, 0], slots[place - 14 : place], rtol=1e-6)


def test_issue_time_is_the_decision_time_in_market_time(store: Store) -> None:
    samples = build_samples(
        store, channel_plan("price", ZONE), first_day="2024-10-27", last_day="2024-10-29", time_zone=TIME_ZONE
    )
    issued = pd.DatetimeIndex(samples.issued_at).tz_localize("UTC").tz_convert(TIME_ZONE)
    assert [str(stamp) for stamp in issued] == [
        "2024-10-26 11:30:00+02:00",
        "2024-10-27 11:30:00+01:00",
        "2024-10-28 11:30:00+01:00",
    ]


def test_measured_wind_of_the_day_before_ends_at_the_decision_time(store: Store) -> None:
    plan = channel_plan("wind", SITE, condition_zone=ZONE)
    samples = build_samples(store, plan, first_day="2024-06-12", last_day="2024-06-12", time_zone=TIME_ZONE)
    # A value is metered an hour after its hour ends: at 11:30 the hour 09-10 is the newest.
    assert np.isfinite(samples.history[0, -1, :, 0]).tolist() == [True] * 10 + [False] * 14
    assert np.isfinite(samples.history[0, -1, :, 1]).all()
    assert np.isfinite(samples.future).all()


def test_price_of_the_delivery_day_is_known_in_the_evening_only(store: Store) -> None:
    plan = channel_plan("wind", SITE, condition_zone=ZONE, price_known=True)
    assert plan.future[-1] == Channel("price", ZONE)
    days = {"first_day": "2024-06-12", "last_day": "2024-06-14", "time_zone": TIME_ZONE}
    morning = build_samples(store, plan, decision=MORNING, **days)
    evening = build_samples(store, plan, decision=EVENING, **days)
    assert np.isnan(morning.future[..., -1]).all()
    assert np.isfinite(evening.future[..., -1]).all()


def test_forecast_published_after_the_decision_is_not_known(tmp_path: Path) -> None:
    late = SyntheticSource(years=1, availability={"wind_forecast": "D-1 18:00"})
    store = fill(Store(tmp_path), late, "2022-05-01", "2022-07-01")
    samples = build_samples(
        store, channel_plan("price", ZONE), first_day="2022-06-01", last_day="2022-06-10", time_zone=TIME_ZONE
    )
    wind = samples.future_channels.index("wind_forecast")
    assert np.isnan(samples.future[..., wind]).all()
    assert np.isfinite(samples.history[..., 2]).all()


def test_deleting_everything_known_after_as_of_changes_nothing(
    store: Store, source: SyntheticSource, tmp_path: Path
) -> None:
    blind = fill(Store(tmp_path), source, "2024-02-01", "2024-12-01", as_of=DEFAULT_AS_OF)
    for plan in (
        channel_plan("price", ZONE),
        channel_plan("wind", SITE, condition_zone=ZONE),
        channel_plan("load", ZONE),
    ):
        options = {"first_day": "2024-08-01", "last_day": "2024-11-15", "time_zone": TIME_ZONE, "as_of": DEFAULT_AS_OF}
        seeing, hidden = build_samples(store, plan, **options), build_samples(blind, plan, **options)
        assert seeing.day[-1] == np.datetime64("2024-10-15")
        assert same(seeing, hidden)
        live = {"day": "2024-10-15", "as_of": DEFAULT_AS_OF, "time_zone": TIME_ZONE}
        assert same(live_sample(store, plan, **live), live_sample(blind, plan, **live))


def test_each_training_row_sees_only_its_own_past(store: Store, source: SyntheticSource, tmp_path: Path) -> None:
    plan = channel_plan("wind", SITE, condition_zone=ZONE)
    row = build_samples(store, plan, first_day="2024-06-01", last_day="2024-09-01", time_zone=TIME_ZONE).between(
        "2024-07-10", "2024-07-10"
    )
    moment = pd.Timestamp(row.issued_at[0], tz="UTC")
    blind = fill(Store(tmp_path), source, "2024-06-01", "2024-09-01", as_of=moment)
    alone = live_sample(blind, plan, day="2024-07-10", as_of=moment, time_zone=TIME_ZONE)
    assert np.array_equal(row.history, alone.history, equal_nan=True)
    assert np.array_equal(row.future, alone.future, equal_nan=True)


def test_live_sample_is_the_last_training_row_without_its_target(store: Store) -> None:
    plan = channel_plan("price", ZONE)
    live = live_sample(store, plan, day="2024-10-15", as_of=DEFAULT_AS_OF, time_zone=TIME_ZONE)
    row = build_samples(store, plan, first_day="2024-10-15", last_day="2024-10-15", time_zone=TIME_ZONE)
    assert np.array_equal(live.history, row.history)
    assert np.array_equal(live.future, row.future)
    assert np.isnan(live.y).all()
    assert np.isfinite(row.y).all()


def test_revision_is_used_only_by_rows_decided_after_it(store: Store, source: SyntheticSource, tmp_path: Path) -> None:
    own = fill(Store(tmp_path), source, "2024-06-01", "2024-07-01")
    index = delivery_index("2024-06-20", TIME_ZONE)
    revised = source.read("wind_forecast", ZONE, index[0], index[-1] + pd.Timedelta(hours=1))
    first = revised["value"].to_numpy().copy()
    revised["value"] = first + 100.0
    revised["available_at"] = pd.Timestamp("2024-06-19T16:00Z")
    own.write(revised)
    days = {"first_day": "2024-06-20", "last_day": "2024-06-21", "time_zone": TIME_ZONE}
    plan = channel_plan("price", ZONE)
    morning, evening = (build_samples(own, plan, decision=decision, **days) for decision in (MORNING, EVENING))
    np.testing.assert_allclose(morning.future[0, :, 1], first, rtol=1e-5)
    np.testing.assert_allclose(evening.future[0, :, 1], first + 100.0, rtol=1e-5)
    # A day later the revision is part of the history in both modes.
    np.testing.assert_allclose(morning.history[1, -1, :, 2], first + 100.0, rtol=1e-5)


def hourly_and_quarterly(store: Store) -> None:
    known = pd.Timestamp("2024-05-01T00:00Z")
    hours = pd.date_range("2024-05-31T22:00Z", "2024-06-02T22:00Z", freq="h", inclusive="left")
    quarters = pd.date_range(hours[0], hours[-1] + pd.Timedelta(minutes=45), freq="15min")
    price = pd.DataFrame({"value": np.arange(len(hours), dtype=float), "available_at": known}, index=hours)
    load = pd.DataFrame({"value": np.arange(len(quarters), dtype=float), "available_at": known}, index=quarters)
    store.write(price, series="price", zone="Z", source="t")
    store.write(load.drop(load.index[5]), series="load_forecast", zone="Z", source="t")


def test_hourly_rows_repeat_on_quarter_hour_slots_and_a_missing_quarter_stays_missing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    hourly_and_quarterly(store)
    plan = channel_plan("price", "Z", conditions=["load_forecast"])
    days = {"first_day": "2024-06-02", "last_day": "2024-06-02", "time_zone": TIME_ZONE, "history_days": 1}
    fine = build_samples(store, plan, step_minutes=15, **days)
    assert fine.history.shape == (1, 1, 96, 2)
    assert fine.history[0, 0, :8, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert np.isnan(fine.history[0, 0, 5, 1])
    assert np.isfinite(np.delete(fine.history[0, 0, :, 1], 5)).all()
    coarse = build_samples(store, plan, step_minutes=60, **days)
    assert coarse.future[0, 0, 0] == np.mean([96, 97, 98, 99])


def test_a_year_of_four_channels_takes_about_a_second(store: Store) -> None:
    begun = perf_counter()
    samples = build_samples(
        store, channel_plan("price", ZONE), first_day="2024-02-15", last_day="2024-11-30", time_zone=TIME_ZONE
    )
    assert len(samples) == 290
    assert perf_counter() - begun < 5.0


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: channel_plan("prize", ZONE), UnknownNameError, "did you mean 'price'"),
        (lambda: channel_plan("price", ZONE, conditions=["wind_forcast"]), UnknownNameError, "wind_forecast"),
        (lambda: ChannelPlan("price", (Channel("load", ZONE),), ()), SettingError, "first history channel"),
    ],
)
def test_wrong_plan_is_refused(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_missing_target_and_moment_without_time_zone_are_refused(store: Store) -> None:
    plan, elsewhere = channel_plan("price", ZONE), channel_plan("price", "COAST_2")
    days = {"first_day": "2024-06-01", "last_day": "2024-06-03", "time_zone": TIME_ZONE}
    with pytest.raises(NoDataError, match="no price of COAST_2 from 2024-05-18 to 2024-06-03"):
        build_samples(store, elsewhere, **days)
    with pytest.raises(SettingError, match="has no time zone"):
        build_samples(store, plan, as_of=pd.Timestamp("2024-06-01"), **days)
    with pytest.raises(NoDataError, match="decision time before"):
        build_samples(store, plan, as_of=pd.Timestamp("2024-01-01T00:00Z"), **days)
    with pytest.raises(SettingError, match="history_days"):
        build_samples(store, plan, history_days=0, **days)


def test_decision_on_the_delivery_day_itself() -> None:
    decision = DecisionTime(0, time(0, 0))
    assert decision.instants(day_range("2024-06-01", "2024-06-01"), TIME_ZONE)[0] == pd.Timestamp("2024-05-31T22:00Z")
