"""Storage: efficiency, end condition, wear and the binaries that it needs."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo
import pytest

from dispatch.assets.storage import declare_storage, needs_binaries
from dispatch.case_adno import Storage
from dispatch.solver import solve


def unit(**values: Any) -> Storage:
    return Storage.model_validate(
        {
            "id": "s",
            "bus": 1,
            "energy_max_mwh": 1.0,
            "energy_start_mwh": 0.0,
            "charge_max_mw": 1.0,
            "discharge_max_mw": 1.0,
            "charge_efficiency": 0.9,
            "discharge_efficiency": 0.8,
            **values,
        }
    )


def arbitrage(store: Storage, prices: list[float], exclusive: bool = False, step_hours: float = 1.0) -> Any:
    """Best income of a store that buys and sells at given prices."""
    model = pyo.ConcreteModel()
    declare_storage(model, [store], len(prices), step_hours, [exclusive])
    model.income = pyo.Objective(
        sense=pyo.maximize,
        expr=sum(
            step_hours * price * (model.discharge_mw[0, t] - model.charge_mw[0, t]) - model.wear_cost[t]
            for t, price in enumerate(prices)
        ),
    )
    assert solve(model).status == "optimal"
    return model


def test_one_cycle_pays_price_times_round_trip_efficiency() -> None:
    # 1 MW for an hour at 10 puts 0.9 MWh in store, which gives 0.72 MWh at 50: 36 - 10 = 26.
    model = arbitrage(unit(), [10.0, 50.0])
    assert pyo.value(model.income) == pytest.approx(26.0)
    assert pyo.value(model.stored_mwh[0, 0]) == pytest.approx(0.9)


def test_wear_is_counted_inside_the_store_both_ways() -> None:
    # Wear of 2 per MWh in store: 0.9 MWh in and 0.9 MWh out cost 3.6.
    model = arbitrage(unit(wear_per_mwh=2.0), [10.0, 50.0])
    assert pyo.value(model.income) == pytest.approx(26.0 - 3.6)
    assert sum(pyo.value(model.wear_cost[t]) for t in range(2)) == pytest.approx(3.6)


@pytest.mark.parametrize(("end", "left"), [("equal", 0.5), ("at_least", 0.5), ("free", 0.0)])
def test_end_condition_keeps_the_store_from_being_sold_empty(end: str, left: float) -> None:
    model = arbitrage(unit(energy_start_mwh=0.5, energy_end=end), [30.0, 30.0])
    assert pyo.value(model.stored_mwh[0, 1]) == pytest.approx(left, abs=1e-9)


def test_self_discharge_and_quarter_hours() -> None:
    model = arbitrage(
        unit(energy_start_mwh=0.8, self_discharge_per_hour=0.1, energy_end="free", discharge_max_mw=0.0),
        [1.0, 1.0],
        step_hours=0.25,
    )
    assert pyo.value(model.stored_mwh[0, 1]) == pytest.approx(0.8 * (1 - 0.025) ** 2)


def test_negative_prices_need_binaries_and_others_do_not() -> None:
    assert not needs_binaries(unit(), 1.0)
    assert needs_binaries(unit(), 0.0)
    assert not needs_binaries(unit(wear_per_mwh=1.0), 0.0)
    assert needs_binaries(unit(wear_per_mwh=1.0), -10.0)
    assert not needs_binaries(unit(charge_efficiency=1.0, discharge_efficiency=1.0), -10.0)


def test_binaries_stop_a_store_from_burning_power_at_negative_prices() -> None:
    # A full store cannot take more, but doing both burns 1 - 0.72 MW per MW charged and is paid 10 per MWh for it.
    full = unit(energy_start_mwh=1.0)
    burning = arbitrage(full, [-10.0])
    assert pyo.value(burning.income) == pytest.approx(10 * (1.0 - 0.72))
    assert pyo.value(arbitrage(full, [-10.0], exclusive=True).income) == pytest.approx(0.0)
