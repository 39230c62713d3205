"""An infeasible model is explained in the words of whoever declared its rows."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest

from dispatch.errors import InfeasibleError
from dispatch.infeasibility import describe, explain, raise_infeasible
from dispatch.network.distflow import NetworkLimits, declare_distflow
from dispatch.network.feeder import load_feeder
from dispatch.network.power_flow import solve_power_flow
from dispatch.solver import solve


def test_a_low_voltage_is_named_by_bus_and_hour_with_the_missing_amount() -> None:
    feeder = load_feeder("ieee33")
    scale = {18: 0.60, 19: 0.68}
    model = pyo.ConcreteModel()
    model.network = pyo.Block()
    cones = declare_distflow(
        model.network,
        feeder,
        [18, 19],
        lambda bus, t: scale[t] * float(feeder.load_mw[feeder.position[bus]]),
        lambda bus, t: scale[t] * float(feeder.load_mvar[feeder.position[bus]]),
        NetworkLimits(min_voltage_pu=0.95),
        step_name="hour",
    )
    model.cost = pyo.Objective(expr=model.network.import_mw[18] + model.network.import_mw[19])
    assert solve(model, cones).status == "infeasible"
    rows = explain(model, cones)
    flow = solve_power_flow(feeder, np.outer([0.60, 0.68], feeder.load_mw), np.outer([0.60, 0.68], feeder.load_mvar))
    assert flow.voltage_pu[0].min() > 0.948
    missing = 0.95 - flow.voltage_pu[1].min()
    assert rows[0] == f"bus 18, hour 19: voltage below 0.95 p.u. by {missing:.3f}"
    assert any(row.startswith("bus 33, hour 19: voltage below") for row in rows)
    assert all("bus 2," not in row and "above" not in row for row in rows)
    with pytest.raises(InfeasibleError, match="the nearest one would still miss\n  - bus 18, hour 19"):
        raise_infeasible(model, cones)


def shortage() -> pyo.ConcreteModel:
    m = pyo.ConcreteModel()
    m.on = pyo.Var(domain=pyo.Binary)
    m.power = pyo.Var([0, 1], bounds=(0, 3))
    m.capacity = pyo.Constraint([0, 1], rule=lambda m, t: m.power[t] <= 2 * m.on)
    m.demand = pyo.Constraint([0, 1], rule=lambda m, t: m.power[t] == [1.5, 2.75][t])
    m.cost = pyo.Objective(expr=m.on)
    return m


def test_only_described_rows_are_blamed() -> None:
    m = shortage()
    describe(m.demand, lambda at, by: f"hour {at[0]}: demand not served by {-by:.2f} MW")
    assert solve(m).status == "infeasible"
    assert explain(m) == ("hour 1: demand not served by 0.75 MW",)


def test_without_words_the_pyomo_names_are_used() -> None:
    rows = explain(shortage())
    assert len(rows) == 1
    assert rows[0] in ("capacity[1]: missed by 0.75", "demand[1]: missed by 0.75")


def test_words_survive_a_clone() -> None:
    m = shortage()
    describe(m.demand, lambda at, by: f"hour {at[0]}: demand not served by {-by:.2f} MW")
    assert explain(m.clone()) == ("hour 1: demand not served by 0.75 MW",)


def test_bounds_of_a_described_variable_may_be_blamed() -> None:
    m = pyo.ConcreteModel()
    m.level = pyo.Var([0], bounds=(0.2, 1.0))
    m.row = pyo.Constraint(expr=m.level[0] >= 1.25)
    m.cost = pyo.Objective(expr=m.level[0])
    describe(m.level, lambda at, by: f"tank {at[0]}: level {'above' if by > 0 else 'below'} its limit by {abs(by):.2f}")
    assert explain(m) == ("tank 0: level above its limit by 0.25",)


def test_a_feasible_model_has_nothing_to_explain() -> None:
    m = shortage()
    m.demand[1].deactivate()
    describe(m.demand, lambda at, by: "never said")
    assert explain(m) == ()
