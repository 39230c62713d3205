"""The wind benchmark sees nothing it could not have known: regional forecast, samples, embeddings, never-seen farms."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from forecasting.benchmarks.wind import WindFarms
from forecasting.benchmarks.wind_regional import RegionalForecaster, regional_power
from forecasting.benchmarks.wind_samples import REGIONAL, Condition, wind_samples
from forecasting.benchmarks.wind_statistics import _statistics, pair_statistics
from forecasting.benchmarks.wind_study import (
    Arm,
    ArmForecast,
    Source,
    embeddings,
    encoder_samples,
    forecast_arm,
    known_fold,
    shuffled,
    unseen_folds,
)
from forecasting.errors import DataError
from forecasting.models import create
from tests.forecasting.wind_farms import make_farms

FIRST, LAST = np.datetime64("2020-05-01"), np.datetime64("2020-05-20")
REGION = RegionalForecaster(nets=1, width=16, steps=100, batch_hours=64, folds=3, refit_days=10)
SMALL_ENCODER = {"segment_days": 3, "average_days": 30, "steps": 2, "bank": 2, "width": 8, "size": 4}


@pytest.fixture(scope="module")
def farms() -> WindFarms:
    return make_farms()


@pytest.fixture(scope="module")
def regional(farms: WindFarms) -> np.ndarray:
    return REGION.publish(farms, farms.sites, FIRST)


def other_power(farms: WindFarms, days: np.ndarray) -> WindFarms:
    power = farms.power.copy()
    power[:, days] = 1.0 - power[:, days]
    return replace(farms, power=power)


def small_curve(**settings: object) -> object:
    return create("power_curve", width=8, summary=4, history_days=7, training={"steps": 8, "checks": 1}, **settings)


def test_regional_forecast_of_a_day_has_not_seen_the_power_of_its_block(farms: WindFarms, regional: np.ndarray) -> None:
    block = np.arange(len(farms.day)) // REGION.block_days == 5
    again = REGION.publish(other_power(farms, block), farms.sites, FIRST)
    assert np.array_equal(again[block], regional[block])
    assert not np.array_equal(again[~block], regional[~block])


def test_regional_forecast_is_published_before_the_power_of_the_test(farms: WindFarms, regional: np.ndarray) -> None:
    at = int((FIRST - farms.day[0]).astype(int))
    later = farms.day >= FIRST + 3
    again = REGION.publish(other_power(farms, later), farms.sites, FIRST)
    refit = at + REGION.refit_days
    assert np.array_equal(again[:refit], regional[:refit])
    assert not np.array_equal(again[refit:], regional[refit:])


def test_regional_forecast_knows_the_region(farms: WindFarms, regional: np.ndarray) -> None:
    test = farms.day >= FIRST
    truth = regional_power(farms, farms.sites)
    error = np.sqrt(np.mean((regional - truth)[test] ** 2))
    assert error < 0.5 * truth[test].std()


def test_too_short_a_past_is_refused(farms: WindFarms) -> None:
    with pytest.raises(DataError, match="60 are needed"):
        REGION.publish(farms, farms.sites, farms.day[30])


def test_power_of_held_out_farms_enters_neither_region_nor_embedding_of_others(farms: WindFarms) -> None:
    fold = unseen_folds(farms.sites)[0]
    assert (fold.train, fold.test) == (("3", "4"), ("1", "2"))
    strangers = farms.power.copy()
    strangers[:2] = 1.0 - strangers[:2]
    changed = replace(farms, power=strangers)
    regional = REGION.publish(farms, fold.train, FIRST)
    assert np.array_equal(REGION.publish(changed, fold.train, FIRST), regional)
    vectors = [
        embeddings(data, regional, fold, Source.JOINT_EMBEDDING, FIRST, SMALL_ENCODER) for data in (farms, changed)
    ]
    assert np.array_equal(vectors[0]["3"], vectors[1]["3"])
    assert not np.array_equal(vectors[0]["1"], vectors[1]["1"])


def test_embeddings_end_before_the_test(farms: WindFarms, regional: np.ndarray) -> None:
    fold = known_fold(farms.sites)
    later = other_power(farms, farms.day >= FIRST)
    before, after = (
        embeddings(data, regional, fold, Source.POWER_EMBEDDING, FIRST, SMALL_ENCODER) for data in (farms, later)
    )
    assert all(np.array_equal(before[site], after[site]) for site in farms.sites)


def test_regional_forecast_goes_on_where_some_farms_lack_weather_or_power(farms: WindFarms) -> None:
    u, v, power = farms.u.copy(), farms.v.copy(), farms.power.copy()
    u[0, 40:45], v[0, 40:45], power[1, 50:55] = np.nan, np.nan, np.nan
    u[:, 60], v[:, 60] = np.nan, np.nan
    published = REGION.publish(replace(farms, u=u, v=v, power=power), farms.sites, FIRST)
    assert np.isnan(published[60]).all() and np.isfinite(np.delete(published, 60, axis=0)).all()


def test_statistics_tell_how_a_farm_answers_its_region() -> None:
    farms = make_farms(3, 60)
    region = regional_power(farms, farms.sites)
    double = replace(farms, power=np.stack([region, 2.0 * region, region * region]))
    samples = encoder_samples(double, region, double.sites, np.datetime64("2020-02-29"))
    same, twice = (_statistics(p, region, "1") for p in (region, 2.0 * region))
    assert len(same) == 22
    assert same[2:6] == pytest.approx(
        [0.0, 0.0, 1.0, 1.0], abs=1e-9
    )  # mean and spread of departure, slope, correlation
    assert twice[4:6] == pytest.approx([2.0, 1.0])
    assert twice[2] == pytest.approx(region.mean())
    vectors = pair_statistics(samples, ("1", "2"), average_days=30)
    assert np.stack([vectors["1"], vectors["2"]]).mean(axis=0) == pytest.approx(0.0, abs=1e-5)
    assert set(vectors) == {"1", "2", "3"} and np.isfinite(vectors["3"]).all()
    nothing = np.full((2, 24), np.nan)
    with pytest.raises(DataError, match="farm 7"):
        _statistics(nothing, nothing, "7")


def test_statistics_of_held_out_farms_are_on_the_scale_of_the_others(farms: WindFarms, regional: np.ndarray) -> None:
    fold = unseen_folds(farms.sites)[0]
    strangers = farms.power.copy()
    strangers[:2] = 1.0 - strangers[:2]
    vectors = [
        embeddings(data, regional, fold, Source.STATISTICS, FIRST, {"average_days": 60})
        for data in (farms, replace(farms, power=strangers))
    ]
    assert np.array_equal(vectors[0]["3"], vectors[1]["3"])
    assert not np.array_equal(vectors[0]["1"], vectors[1]["1"])


def test_shuffled_embeddings_are_the_same_ones_at_other_farms() -> None:
    vectors = {str(k): np.full(3, k, dtype=np.float32) for k in range(5)}
    for seed in range(6):
        other = shuffled(vectors, seed)
        assert sorted(v[0] for v in other.values()) == [0, 1, 2, 3, 4]
        assert all(other[site][0] != vectors[site][0] for site in vectors)


@pytest.mark.parametrize(("late", "unknown"), [(0, 0), (12, 12)])
def test_samples_hide_power_that_was_not_metered_yet(late: int, unknown: int) -> None:
    farms = make_farms(2, 40, metered_h_before=late)
    regional = regional_power(farms, farms.sites)
    samples = wind_samples(farms, regional, Condition.REGIONAL_AND_WEATHER, farms.sites, history_days=3)
    assert len(samples) == 2 * 37
    row = 5
    position = int((samples.day[row] - farms.day[0]).astype(int))
    assert np.isnan(samples.history[row, -1, :, 0]).sum() == unknown
    known = samples.history[row, -2, :, 0]
    assert known == pytest.approx(farms.power[0, position - 2], rel=1e-6)
    assert samples.history[row, -1, :, 1] == pytest.approx(regional[position - 1], rel=1e-6)
    assert samples.future[row, :, 0] == pytest.approx(regional[position], rel=1e-6)
    assert samples.future_channels[0] == REGIONAL and "wind_speed10" in samples.future_channels
    bare = wind_samples(farms, regional, Condition.NONE, farms.sites, history_days=3)
    assert bare.future_channels == () and bare.history_channels == ("wind_power",)


def test_forecasts_of_the_first_day_do_not_see_the_test(farms: WindFarms, regional: np.ndarray) -> None:
    fold, arm = known_fold(farms.sites), Arm(Condition.REGIONAL, Source.NONE)
    later = other_power(farms, farms.day >= FIRST)
    plan = partial(forecast_arm, regional=regional, fold=fold, arm=arm, first=FIRST, last=LAST)
    runs = [plan(data, factory=small_curve, history_days=7) for data in (farms, later)]
    first_day = runs[0].day == FIRST
    assert np.array_equal(runs[0].true.quantiles[first_day], runs[1].true.quantiles[first_day])
    assert not np.array_equal(runs[0].true.quantiles[~first_day], runs[1].true.quantiles[~first_day])
    assert not runs[0].controls and runs[0].refits == 1


def test_unseen_farms_are_forecast_with_their_own_embedding_and_with_another(
    farms: WindFarms, regional: np.ndarray
) -> None:
    fold = unseen_folds(farms.sites)[1]
    vectors = {site: np.full(3, k, dtype=np.float32) for k, site in enumerate(farms.sites)}
    run = forecast_arm(
        farms, regional, fold, Arm(Condition.REGIONAL, Source.JOINT_EMBEDDING), FIRST, LAST, small_curve, vectors,
        refit_days=10, history_days=7,
    )  # fmt: skip
    assert set(run.site) == {"3", "4"} and run.refits == 2 and len(run) == 40
    assert (np.diff(run.day[run.site == "3"]).astype(int) == 1).all()
    assert set(run.controls) == {"shuffled", "zero"}
    assert all(not np.array_equal(run.true.mean, told.mean) for told in run.controls.values())
    again = ArmForecast.from_arrays({key: np.asarray(value) for key, value in run.to_arrays().items()})
    assert np.array_equal(again.true.quantiles, run.true.quantiles)
    assert set(again.controls) == {"shuffled", "zero"}
    assert all(np.array_equal(again.controls[name].mean, run.controls[name].mean) for name in again.controls)
    assert again.true.levels == run.true.levels


def test_power_curve_of_other_farms_fits_a_new_one_without_its_past(farms: WindFarms, regional: np.ndarray) -> None:
    samples = wind_samples(farms, regional, Condition.REGIONAL_AND_WEATHER, farms.sites, history_days=7)
    train = samples.select((samples.zone != "1") & (samples.day < FIRST))
    asked = samples.select((samples.zone == "1") & (samples.day >= FIRST))
    model = create("power_curve", width=16, dropout=0.15, history_days=7, training={"steps": 150, "checks": 1})
    model.fit(train, seed=0)
    prediction = model.predict(asked)
    error = np.abs(prediction.mean - asked.y).mean()
    assert error < 0.6 * np.abs(asked.y - train.y.mean()).mean()
    assert prediction.quantiles.min() >= 0.0 and prediction.quantiles.max() <= train.y.max() + 1e-6
    one = model.predict(asked.select(slice(3, 4)))
    assert one.mean[0] == pytest.approx(prediction.mean[3], abs=1e-5)  # not scaled by the rows that it comes with
