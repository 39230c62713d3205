"""A certified schedule, settled: on the day that it was made for it earns what it promised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import dispatch
from dispatch.case_adno import AdnoCase
from dispatch.errors import DispatchError
from dispatch.settlement.from_schedule import case_forecast, first_stage, planned_loss_share, recourse_assets
from dispatch.settlement.problem import Realisations
from dispatch.settlement.settle import settle


@pytest.fixture(scope="module")
def ieee33() -> AdnoCase:
    case = dispatch.load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    return case


@pytest.fixture(scope="module")
def schedule(ieee33: AdnoCase) -> dispatch.Schedule:
    return dispatch.solve(ieee33)


def test_the_day_that_was_planned_earns_the_planned_profit(ieee33: AdnoCase, schedule: dispatch.Schedule) -> None:
    """Recourse finds nothing to improve: real-time trade is dearer than day-ahead trade."""
    for share in (0.0, planned_loss_share(ieee33)):
        settled = settle(recourse_assets(ieee33, share), first_stage(ieee33, schedule, share), case_forecast(ieee33))
        # gas and storage may gain the rest of the schedule's own gap, which is at most 1e-4 of its profit
        assert settled.profit[0] == pytest.approx(schedule.objective, rel=1e-4)
        assert settled.profit[0] >= schedule.objective - 1e-3
        assert settled.bought_mwh[0] + settled.sold_mwh[0] <= 0.02
        assert settled.subsidy_cost[0] == pytest.approx(-schedule.money["operator"]["subsidy"])
        assert settled.start_cost[0] == pytest.approx(-schedule.money["operator"]["gas_start"])
        assert settled.income[0] == pytest.approx(schedule.money["operator"]["retail_income"])


def test_the_loss_share_is_that_of_the_feeder(ieee33: AdnoCase, schedule: dispatch.Schedule) -> None:
    """The nominal IEEE 33 load of 3.715 MW loses 202.7 kW (5.5%); the average hour loses less."""
    planned = schedule.wide("loss_mw").to_numpy().sum()
    load = schedule.wide("rigid_mw").to_numpy().sum() + schedule.wide("flexible_mw").to_numpy().sum()
    assert planned_loss_share(ieee33) == pytest.approx(planned / load, rel=0.15)
    assert planned_loss_share(ieee33) < 0.0546


def test_losses_follow_the_load_that_comes_true(ieee33: AdnoCase, schedule: dispatch.Schedule) -> None:
    share, day = planned_loss_share(ieee33), case_forecast(ieee33)
    more = Realisations(day.price_per_mwh, day.wind_mw, day.load_mw + 0.1)
    with_share = settle(recourse_assets(ieee33, share), first_stage(ieee33, schedule, share), more)
    without = settle(recourse_assets(ieee33), first_stage(ieee33, schedule), more)
    extra = with_share.imbalance_cost[0] + with_share.gas_cost[0] - without.imbalance_cost[0] - without.gas_cost[0]
    assert 0.9 * share * 0.1 * 24 * 50 < extra < share * 0.1 * 24 * 1.2 * 110


def test_end_condition_of_storage_becomes_limits_of_the_last_step(ieee33: AdnoCase) -> None:
    ends = {"equal": (0.0375, 0.0375), "at_least": (0.0375, 0.075), "free": (0.0, 0.075)}
    for word, (low, high) in ends.items():
        data = ieee33.model_dump(exclude_unset=True, exclude={"index"})
        data["storage"] = [{**unit, "energy_end": word} for unit in data["storage"]]
        assets = recourse_assets(AdnoCase.from_mapping(data, name="ends"))
        np.testing.assert_allclose(assets.storage_end_min_mwh, low)
        np.testing.assert_allclose(assets.storage_end_max_mwh, high)


def test_ramps_are_per_step_and_unlimited_where_a_swing_fits(ieee33: AdnoCase) -> None:
    np.testing.assert_allclose(recourse_assets(ieee33).gas_ramp_up_mw, 0.1)
    quarter = ieee33.with_inputs(spot_price_per_mwh=[80.0] * 96, step_hours=0.25)
    np.testing.assert_allclose(recourse_assets(quarter).gas_ramp_up_mw, 0.025)
    two_hours = ieee33.with_inputs(spot_price_per_mwh=[80.0] * 12, step_hours=2.0)
    assert np.isinf(recourse_assets(two_hours).gas_ramp_up_mw).all()


def test_a_schedule_of_another_horizon_is_refused(ieee33: AdnoCase, schedule: dispatch.Schedule) -> None:
    with pytest.raises(DispatchError, match="has 12 steps"):
        first_stage(ieee33.with_inputs(spot_price_per_mwh=[80.0] * 12, step_hours=2.0), schedule)
    with pytest.raises(DispatchError, match="of microgrids"):
        first_stage(ieee33, replace(schedule, market="microgrids"))
