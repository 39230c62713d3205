"""Settlement on the feeder: the certified schedule replays itself, and other days pay for the losses that they make."""

from __future__ import annotations

import numpy as np
import pytest

import dispatch
from dispatch.case_adno import AdnoCase
from dispatch.errors import DispatchError
from dispatch.settlement.error_model import ErrorModel
from dispatch.settlement.from_schedule import case_forecast, first_stage, recourse_assets
from dispatch.settlement.on_feeder import settle_on_feeder
from dispatch.settlement.planner import CopperPlatePlanner
from dispatch.settlement.settle import settle
from tests.dispatch.adno_cases import one_hour, plain_customer


@pytest.fixture(scope="module")
def ieee33() -> AdnoCase:
    case = dispatch.load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    return case


def test_the_certified_schedule_settles_at_its_own_losses(ieee33: AdnoCase) -> None:
    """Up to the place of flexible demand: the schedule puts it near the root, the replay shares it evenly and loses more."""
    schedule = dispatch.solve(ieee33)
    found = settle_on_feeder(ieee33, recourse_assets(ieee33), first_stage(ieee33, schedule), case_forecast(ieee33))
    planned = schedule.wide("loss_mw").to_numpy().sum()
    assert planned <= found.loss_mwh[0] <= 1.05 * planned
    extra = found.loss_mwh[0] - planned
    assert 50 * extra < schedule.objective - found.settled.profit[0] < 1.2 * 108 * extra  # at the prices of the day
    assert found.voltage_min_pu[0] == pytest.approx(schedule.wide("voltage_pu").to_numpy().min(), abs=5e-3)
    assert found.outside_hours[0] == 0.0


def test_one_share_of_losses_is_close_to_the_feeder_on_other_days(ieee33: AdnoCase) -> None:
    planner, day = CopperPlatePlanner.of_case(ieee33), case_forecast(ieee33)
    days = ErrorModel().sample(day, 8, 3, wind_capacity_mw=0.5)
    plan = planner.plans(day).take(0)
    plate, feeder = settle(planner.assets, plan, days), settle_on_feeder(ieee33, planner.assets, plan, days)
    # one share is an average; the losses of the last MW are twice as large, so the feeder earns a little less
    np.testing.assert_allclose(feeder.settled.profit, plate.profit, rtol=0.04)
    assert (feeder.settled.profit <= plate.profit).all()
    assert feeder.rounds <= 8
    load = days.load_mw.sum(axis=1)
    assert np.corrcoef(load, feeder.loss_mwh)[0, 1] > 0.8


def test_energy_balances_with_the_losses_of_the_power_flow(ieee33: AdnoCase) -> None:
    """Bought in real time less sold = what load, losses and charging need beyond purchase, gas and wind."""
    planner, day = CopperPlatePlanner.of_case(ieee33), case_forecast(ieee33)
    days = ErrorModel(price_std=0.0, wind_std=0.0).sample(day, 3, 5, wind_capacity_mw=0.5)
    plan = planner.plans(day).take(0)
    found = settle_on_feeder(ieee33, planner.assets, plan, days)
    gas_mwh = found.settled.gas_cost / 91.0
    need = days.load_mw.sum(axis=1) + plan.flexible_mw.sum() + found.loss_mwh
    wind = days.wind_mw.sum(axis=1) - found.settled.curtailed_mwh
    # a store that ends where it began keeps eta_in * eta_out of what it charges; wear is 2 per MWh through the cells
    kept = found.settled.wear_cost / 2.0 / 2.0 * (1 / 0.95 - 0.95)
    traded = found.settled.bought_mwh - found.settled.sold_mwh
    np.testing.assert_allclose(plan.purchase_mw.sum() + gas_mwh + wind + traded, need + kept, atol=1e-4)


def test_a_case_without_network_is_refused() -> None:
    case = one_hour([plain_customer("a")])
    planner = CopperPlatePlanner.of_case(case)
    with pytest.raises(DispatchError, match="no network"):
        settle_on_feeder(case, planner.assets, planner.plans(case_forecast(case)).take(0), case_forecast(case))
