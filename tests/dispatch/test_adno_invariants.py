"""What must hold of any ADNO day: monotone profits, negative prices, export, reactive power, step limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatch
from dispatch.case_adno import AdnoCase

LINES = [
    {"from_bus": 1, "to_bus": 2, "resistance_ohm": 0.5, "reactance_ohm": 0.4},
    {"from_bus": 2, "to_bus": 3, "resistance_ohm": 0.8, "reactance_ohm": 0.5},
]


def small_day(spot: list[float], **changes: Any) -> AdnoCase:
    """Three buses and as many hours as prices, with one unit of each kind."""
    data: dict[str, Any] = {
        "network": {"lines": LINES, "nominal_load_mw": {2: 1.0, 3: 1.0}, "nominal_load_mvar": {2: 0.3, 3: 0.3}},
        "horizon_hours": float(len(spot)),
        "spot_price_per_mwh": spot,
        "retail_price_per_mwh": 150.0,
        "feeder_customers": {"shape": [0.8] * 24, "elasticity_scale": 0.7},
        "gas": [
            {"id": "g", "bus": 3, "power_min_mw": 0.1, "power_max_mw": 0.4, "cost_per_mwh": 91.0, "start_cost": 5.0}
        ],
        "storage": [
            {
                "id": "s",
                "bus": 2,
                "energy_max_mwh": 0.6,
                "energy_start_mwh": 0.3,
                "charge_max_mw": 0.3,
                "discharge_max_mw": 0.3,
                "wear_per_mwh": 1.0,
            }
        ],
        "wind": [{"id": "w", "bus": 3, "capacity_mw": 0.5, "shape": [0.6] * 24}],
    }
    for path, value in changes.items():
        owner: Any = data
        *parents, last = path.split("__")
        for part in parents:
            owner = owner.setdefault(part, {})
            owner = owner[0] if isinstance(owner, list) else owner
        owner[last] = value
    return AdnoCase.from_mapping(data, name="small day")


def profit(spot: list[float], **changes: Any) -> float:
    schedule = dispatch.solve(small_day(spot, **changes))
    assert schedule.certificate.passed
    return schedule.objective


DAYS = st.lists(st.floats(20, 160), min_size=2, max_size=4)


@settings(max_examples=8, deadline=None)
@given(spot=DAYS)
def test_profit_grows_with_elasticity_wind_and_storage(spot: list[float]) -> None:
    base = profit(spot)
    slack = 2e-4 * abs(base)
    assert profit(spot, feeder_customers__elasticity_scale=1.0) >= base - slack
    assert profit(spot, wind__shape=[0.9] * 24) >= base - slack
    assert profit(spot, storage__energy_max_mwh=1.2) >= base - slack


@settings(max_examples=8, deadline=None)
@given(spot=DAYS)
def test_profit_falls_with_fuel_cost_and_spot_price(spot: list[float]) -> None:
    base = profit(spot)
    slack = 2e-4 * abs(base)
    assert profit(spot, gas__cost_per_mwh=120.0) <= base + slack
    assert profit([price + 10 for price in spot]) <= base + slack


def test_export_sells_surplus_and_never_costs_money() -> None:
    windy = {"wind__capacity_mw": 4.0, "wind__shape": [1.0] * 24}
    idle = dispatch.solve(small_day([60.0, 60.0], **windy))
    assert idle.wide("curtailed_mw").to_numpy().min() > 1.0
    sold = dispatch.solve(small_day([60.0, 60.0], export={"allowed": True, "fee_per_mwh": 5.0}, **windy))
    assert sold.objective > idle.objective and sold.wide("import_mw").to_numpy().max() < -1.0
    assert sold.money["operator"]["spot_sale"] == pytest.approx(
        -55.0 * sold.wide("import_mw").to_numpy().sum(), rel=1e-6
    )
    limited = dispatch.solve(
        small_day([60.0, 60.0], export={"allowed": True, "fee_per_mwh": 5.0, "max_mw": 0.5}, **windy)
    )
    assert limited.wide("import_mw").to_numpy().min() >= -0.5 - 1e-6
    assert idle.objective < limited.objective < sold.objective


def test_curtailment_is_paid_at_its_price() -> None:
    windy = {"wind__capacity_mw": 4.0, "wind__shape": [1.0] * 24}
    schedule = dispatch.solve(small_day([60.0], curtailment_price_per_mwh=0.4, **windy))
    curtailed = schedule.wide("curtailed_mw").to_numpy().sum()
    assert schedule.money["operator"]["wind_curtailment"] == pytest.approx(-0.4 * curtailed)


def test_reactive_power_of_units_saves_losses() -> None:
    plain = dispatch.solve(small_day([60.0, 90.0]))
    helped = dispatch.solve(small_day([60.0, 90.0], wind__reactive_max_mvar=0.4, storage__reactive_max_mvar=0.2))
    assert helped.certificate.passed
    assert helped.wide("loss_mw").to_numpy().sum() < plain.wide("loss_mw").to_numpy().sum()
    assert helped.objective > plain.objective


def test_import_step_limit_holds() -> None:
    spot = [20.0, 150.0, 20.0, 150.0]
    free = dispatch.solve(small_day(spot)).wide("import_mw")["grid"].diff().abs().max()
    held = dispatch.solve(small_day(spot, import_step_max_mw=0.1)).wide("import_mw")["grid"].diff().abs().max()
    assert free > 0.2 and held <= 0.1 + 1e-6


@pytest.mark.parametrize("variant", ["responsive", "responsive_uniform"])
def test_subsidy_step_limit_holds(variant: str) -> None:
    spot = [20.0, 140.0, 20.0, 140.0]
    free = dispatch.solve(small_day(spot), variant=variant).wide("subsidy_per_mwh").diff().abs().to_numpy()
    case = small_day(spot, subsidy__step_max_per_mwh=3.0)
    held = dispatch.solve(case, variant=variant).wide("subsidy_per_mwh").diff().abs().to_numpy()
    assert np.nanmax(free) > 4 and np.nanmax(held) <= 3 + 1e-4


def test_negative_prices_are_dispatched_physically() -> None:
    spot = [-40.0, -40.0, 60.0, 60.0]
    schedule = dispatch.solve(small_day(spot))
    assert schedule.certificate.passed
    both = np.minimum(schedule.wide("charge_mw"), schedule.wide("discharge_mw")).to_numpy()
    assert both.max() <= 1e-6
    assert schedule.wide("power_mw", "wind").to_numpy()[:2].max() < 1e-4


def test_own_feeder_that_is_not_radial_is_refused() -> None:
    meshed = [*LINES, {"from_bus": 1, "to_bus": 3, "resistance_ohm": 0.5, "reactance_ohm": 0.4}]
    with pytest.raises(dispatch.CaseError, match=r"network: branch .* closes a loop"):
        small_day([60.0], network__lines=meshed)
