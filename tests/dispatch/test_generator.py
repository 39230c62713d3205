"""Gas units: commitment, start-up cost, minimum output, and ramps that allow a start."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest

from dispatch.assets.generator import declare_generator
from dispatch.assets.wind import declare_wind
from dispatch.case_adno import GasUnit
from dispatch.solver import SolveResult, solve


def unit(**values: Any) -> GasUnit:
    data = {"id": "g", "bus": 1, "power_min_mw": 0.2, "power_max_mw": 0.6, "cost_per_mwh": 90.0, "start_cost": 20.0}
    return GasUnit.model_validate({**data, **values})


def sell(gas: GasUnit, prices: list[float], step_hours: float = 1.0, also: Any = None) -> tuple[Any, SolveResult]:
    """Best income of a unit that sells at given prices."""
    model = pyo.ConcreteModel()
    declare_generator(model, [gas], len(prices), step_hours)
    if also is not None:
        also(model)
    model.income = pyo.Objective(
        sense=pyo.maximize,
        expr=sum(
            step_hours * price * model.gas_mw[0, t] - model.fuel_cost[t] - model.start_cost[t]
            for t, price in enumerate(prices)
        ),
    )
    return model, solve(model)


def test_a_start_must_earn_its_cost_also_in_the_first_step() -> None:
    # 0.6 MW at a margin of 30 earns 18 in one hour, less than 20; two hours earn 36 - 20 = 16.
    assert sell(unit(), [120.0])[1].objective == pytest.approx(0.0)
    assert sell(unit(), [120.0, 120.0])[1].objective == pytest.approx(16.0)
    assert sell(unit(initially_on=True, initial_power_mw=0.2), [120.0])[1].objective == pytest.approx(18.0)


def test_output_is_zero_or_above_the_minimum() -> None:
    model, result = sell(unit(start_cost=0.0), [100.0, 89.0, 100.0], also=None)
    assert result.objective == pytest.approx(12.0)
    assert [pyo.value(model.gas_on[0, t]) for t in range(3)] == [1, 0, 1]

    def forced(m: Any) -> None:
        m.must_run = pyo.Constraint(expr=m.gas_on[0, 1] == 1)

    model, result = sell(unit(start_cost=0.0), [100.0, 89.0, 100.0], also=forced)
    assert pyo.value(model.gas_mw[0, 1]) == pytest.approx(0.2)
    assert result.objective == pytest.approx(12.0 - 0.2)


def test_a_unit_with_a_ramp_below_its_minimum_can_start_and_stop() -> None:
    # L = 0.2, R = 0.1. Printed ramps (-R <= P_t - P_{t-1} <= R) forbid the jump from 0 to 0.2.
    gas = unit(ramp_up_mw_per_hour=0.1, ramp_down_mw_per_hour=0.1)
    model, result = sell(gas, [300.0] * 4)
    powers = [pyo.value(model.gas_mw[0, t]) for t in range(4)]
    assert powers == pytest.approx([0.2, 0.3, 0.4, 0.5])
    assert result.objective == pytest.approx(210 * sum(powers) - 20)

    def printed(m: Any) -> None:
        m.rise = pyo.Constraint(range(4), rule=lambda m, t: m.gas_mw[0, t] - (m.gas_mw[0, t - 1] if t else 0) <= 0.1)

    assert sell(gas, [300.0] * 4, also=printed)[1].objective == pytest.approx(0.0)


def test_before_a_stop_output_falls_to_what_the_ramp_allows() -> None:
    gas = unit(ramp_down_mw_per_hour=0.1, start_cost=0.0, initially_on=True, initial_power_mw=0.3)
    model, _ = sell(gas, [0.0, 0.0, 0.0])
    assert [pyo.value(model.gas_mw[0, t]) for t in range(3)] == pytest.approx([0.2, 0.0, 0.0])


def test_the_rows_allow_exactly_the_outputs_that_the_ramp_rules_allow() -> None:
    """Over every commitment of three steps and a grid of outputs, against the rules checked one by one."""
    gas = unit(ramp_up_mw_per_hour=0.1, ramp_down_mw_per_hour=0.3, initially_on=True, initial_power_mw=0.3)
    model = pyo.ConcreteModel()
    declare_generator(model, [gas], 3, 1.0)
    rows = list(model.component_data_objects(pyo.Constraint))

    def by_rule(on: tuple[int, ...], power: tuple[float, ...]) -> bool:
        was_on, before = 1, 0.3
        for now, out in zip(on, power, strict=True):
            if not 0.2 * now <= out <= 0.6 * now + 1e-9:
                return False
            if out - before > (0.1 if was_on else 0.2) + 1e-9 or before - out > 0.3 + 1e-9:
                return False
            was_on, before = now, out
        return True

    allowed = 0
    for on in itertools.product((0, 1), repeat=3):
        for power in itertools.product(*((0.2, 0.3, 0.4, 0.5, 0.6) if z else (0.0,) for z in on)):
            for t in range(3):
                model.gas_on[0, t].set_value(on[t])
                model.gas_mw[0, t].set_value(power[t])
                model.gas_start[0, t].set_value(max(on[t] - (on[t - 1] if t else 1), 0))
            by_rows = all(row.slack() >= -1e-9 for row in rows)
            assert by_rows == by_rule(on, power), (on, power)
            allowed += by_rows
    assert allowed > 20


def test_ramps_are_per_hour() -> None:
    gas = unit(power_min_mw=0.0, ramp_up_mw_per_hour=0.4, start_cost=0.0)
    model, _ = sell(gas, [300.0] * 4, step_hours=0.25)
    assert [pyo.value(model.gas_mw[0, t]) for t in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_wind_is_used_or_curtailed_at_its_price() -> None:
    model = pyo.ConcreteModel()
    declare_wind(model, np.array([[2.0, 1.0]]), 0.5, curtailment_price_per_mwh=4.0)
    model.demand = pyo.Constraint(range(2), rule=lambda m, t: m.wind_mw[0, t] <= 1.5)
    model.cost = pyo.Objective(expr=model.curtailment_cost[0] + model.curtailment_cost[1])
    # 0.5 MW too much for half an hour at 4 per MWh.
    assert solve(model).objective == pytest.approx(1.0)
