"""The soft open point market against hand-worked cases, a monolithic solve, and its invariants."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest

import dispatch
from benchmarks.markets_soft_open_point import monolith
from dispatch.assets.price_taker_response import PriceTakerQp
from dispatch.assets.soft_open_point import declare_soft_open_point
from dispatch.case_soft_open_point import SoftOpenPoint, SoftOpenPointCase
from dispatch.conic.cones import Cone
from dispatch.errors import OptionError
from dispatch.markets.soft_open_point_inputs import operator_inputs
from dispatch.markets.soft_open_point_network import NetworkStep, Scenario
from dispatch.network.distflow import NetworkLimits, cone_gaps, declare_distflow
from dispatch.network.feeder import Branch, Bus, Feeder, load_feeder
from dispatch.solver import SolverOptions
from dispatch.solver import solve as solve_model
from tests.dispatch.soft_open_point_cases import some_hours, two_bus


def test_prices_trade_margin_against_shifted_load() -> None:
    # d1 = -d2 = (l2 - l1)/(4 alpha); profit 100 - delta + delta (500 - delta)/250 is largest at delta = 125: 162.5.
    case = two_bus(
        {"load_mw": [1.0, 1.0]},
        [500.0, 1000.0],
        price_band={"low_per_mwh": 400.0, "high_per_mwh": 800.0},
        flexibility={"share": 0.6, "discomfort_per_mw2h": 62.5},
    )
    schedule = dispatch.solve(case, variant="single_economy_only")
    assert sum(schedule.money["operator"].values()) == pytest.approx(162.5, abs=0.2)
    assert schedule.wide("price_per_mwh")["offered"].to_list() == pytest.approx([675.0, 800.0], abs=2.0)
    assert schedule.wide("flexible_mw")["p"].to_list() == pytest.approx([0.5, -0.5], abs=0.01)


@pytest.mark.parametrize("variant", ["single_economy_only", "two_price_economy_only"])
def test_prices_within_the_grid_s_own_earn_nothing_from_a_lone_prosumer(variant: str) -> None:
    # (l - c_b) P <= 0 where P > 0 and (l - c_s) P <= 0 where P < 0: no margin is left, and zero is reached.
    case = two_bus({"load_mw": [1.0, 0.2, 0.7], "pv_mw": [0.0, 1.3, 0.4]}, [600.0, 700.0, 900.0])
    schedule = dispatch.solve(case, variant=variant)
    assert sum(schedule.money["operator"].values()) == pytest.approx(0.0, abs=0.2)


def test_inelastic_prosumers_get_the_highest_price_in_deficit_and_the_lowest_in_surplus() -> None:
    case = two_bus({"load_mw": [1.0, 0.0], "pv_mw": [0.0, 1.0]}, [700.0, 700.0])
    prices = dispatch.solve(case, variant="single_economy_only").wide("price_per_mwh")["offered"]
    assert prices.to_list() == pytest.approx([700.0, 400.0], abs=1e-3)


def test_the_average_of_prices_is_capped_where_the_band_reaches_above_the_grid_s_price() -> None:
    # Up to 840 in each hour, but 700 on average: 840 where 3 MW are taken, 560 where 1 MW is. Margin 3 * 140 - 1 * 140.
    band = {"low_per_mwh": 400.0, "high_per_mwh": 840.0}
    case = two_bus({"load_mw": [1.0, 3.0]}, [700.0, 700.0], price_band=band)
    schedule = dispatch.solve(case, variant="single_economy_only")
    assert schedule.wide("price_per_mwh")["offered"].to_list() == pytest.approx([560.0, 840.0], abs=0.5)
    assert sum(schedule.money["operator"].values()) == pytest.approx(280.0, abs=1.0)


def test_a_battery_trades_above_its_break_even_price() -> None:
    # Charging 1 MWh at 400 and wear 20 (.95 + .9025/.95) = 38 is paid back by .9025 MWh at 485.32.
    unit = {"energy_min_mwh": 0, "energy_max_mwh": 2, "energy_start_mwh": 0, "charge_max_mw": 1, "discharge_max_mw": 1}
    case = two_bus({"load_mw": [2.0, 2.0], "battery": unit}, [700.0, 700.0])
    program = PriceTakerQp(operator_inputs(case).prosumers[0])
    for second, charged in ((800.0, 1.0), (486.0, 1.0), (484.0, 0.0)):
        prices = np.array([400.0, second])
        exchange = program.respond(prices, prices).exchange
        assert exchange.tolist() == pytest.approx([2.0 + charged, 2.0 - 0.9025 * charged], abs=1e-4)


def over_voltage(fixed: bool) -> float:
    """Largest cone gap of two buses with PV behind a long line and a price on the deviation of the voltage, p.u."""
    feeder = Feeder("two", 1.0, 12.66, 1, (Bus(1), Bus(2)), (Branch(1, 2, 0.05 * 160.3, 0.05 * 160.3),))
    model = pyo.ConcreteModel()
    cones = declare_distflow(model, feeder, [0], {(2, 0): -2.0}, {}, NetworkLimits(1.0, None, 2.0))
    u, w = model.voltage_sq_pu[2, 0], model.lossless_voltage_sq_pu[2, 0]
    model.deviation = pyo.Var(bounds=(0, None))
    model.high = pyo.Constraint(expr=model.deviation >= (w if fixed else u) - 1.0)
    model.low = pyo.Constraint(expr=model.deviation >= 1.0 - u)
    model.cost = pyo.Objective(expr=400.0 * model.import_mw[0] + 1e5 * model.deviation)
    assert solve_model(model, cones).status == "optimal"
    return max(cone_gaps(cones))


def test_upper_voltages_of_the_lossless_flow_keep_the_relaxation_physical() -> None:
    assert over_voltage(fixed=False) > 1.0
    assert over_voltage(fixed=True) < 1e-4


@pytest.mark.parametrize(("power", "lowest", "loss"), [(0.5, 0.950, 0.1081), (1.0, 0.9565, 0.0989)])
def test_converters_lift_voltages_and_save_losses(power: float, lowest: float, loss: float) -> None:
    # The IEEE 33-bus feeder at nominal load has a lowest voltage of .9131 p.u. and losses of 202.7 kW without converters.
    feeder = load_feeder("ieee33")
    model, steps = pyo.ConcreteModel(), [0]
    sop = SoftOpenPoint(buses=(18, 22, 25, 33), power_mva=power, reactive_max_mvar=power, loss_share=0.02)
    cones: list[Cone] = [*declare_soft_open_point(model, sop, steps)]
    place = {bus: m for m, bus in enumerate(sop.buses)}
    p = {
        bus.id: bus.load_mw - (model.converter_mw[place[bus.id], 0] if bus.id in place else 0.0) for bus in feeder.buses
    }
    q = {
        bus.id: bus.load_mvar - (model.converter_mvar[place[bus.id], 0] if bus.id in place else 0.0)
        for bus in feeder.buses
    }
    model.network = pyo.Block()
    limits = NetworkLimits(1.0, None, None)
    cones += declare_distflow(model.network, feeder, steps, lambda i, _: p[i], lambda i, _: q[i], limits)
    model.cost = pyo.Objective(expr=model.network.import_mw[0])
    assert solve_model(model, cones).status == "optimal"
    lines = zip(feeder.line_keys, feeder.r_pu, strict=True)
    assert sum(r * model.network.current_sq_pu[(*key, 0)].value for key, r in lines) == pytest.approx(loss, rel=0.02)
    voltages = [model.network.voltage_sq_pu[bus, 0].value ** 0.5 for bus in feeder.bus_ids]
    assert min(voltages) == pytest.approx(lowest, abs=2e-3)
    assert (
        abs(sum(v.value for v in model.converter_mw.values()) + sum(v.value for v in model.converter_loss_mw.values()))
        < 1e-8
    )


def test_the_slope_of_a_network_step_is_its_derivative() -> None:
    inputs = operator_inputs(some_hours())
    step, move = NetworkStep(inputs, 2, Scenario()), np.array([0.0, 0.0, 1e-3, 0.0, 0.0])
    base = np.array([prosumer.net_load[2] for prosumer in inputs.prosumers])
    difference = (step.value(base + move).value - step.value(base - move).value) / 2e-3
    assert step.value(base).slope[2] == pytest.approx(difference, rel=1e-3)


OPTIONS = SolverOptions(gap=1e-4, time_limit_s=200)


@pytest.fixture(scope="module")
def single() -> dispatch.Schedule:
    return dispatch.solve(some_hours(), options=OPTIONS)


@pytest.fixture(scope="module")
def two_price() -> dispatch.Schedule:
    return dispatch.solve(some_hours(), variant="two_price", options=OPTIONS)


def test_decomposition_agrees_with_one_program_of_prosumers_and_network(single: dispatch.Schedule) -> None:
    together = monolith(some_hours(), "highs", two_prices=False, gap=3e-4, limit=200)
    assert single.objective == pytest.approx(together["objective"], abs=0.5)


def test_schedules_are_certified_and_replayed(single: dispatch.Schedule, two_price: dispatch.Schedule) -> None:
    for schedule in (single, two_price):
        certificate = schedule.certificate
        assert certificate.passed and schedule.gap is not None and schedule.gap <= 1e-4
        assert certificate.ac_voltage_error_pu is not None and certificate.ac_voltage_error_pu < 1e-9
        assert certificate.tie_width is not None and certificate.tie_width >= 0.0


def test_two_prices_serve_the_operator_at_least_as_well_as_one(
    single: dispatch.Schedule, two_price: dispatch.Schedule
) -> None:
    assert two_price.bound is not None and two_price.bound <= single.objective + 1e-6
    assert two_price.objective <= single.objective + 1.0
    prices = two_price.wide("price_per_mwh")
    if "sell" in prices:
        assert (prices["sell"] <= prices["buy"] + 1e-6).all()


def test_converters_never_cost_the_operator(single: dispatch.Schedule) -> None:
    without = dispatch.solve(some_hours(), variant="single_without_soft_open_point", options=OPTIONS)
    assert single.objective <= without.objective + 0.5
    assert single.extras["voltage"]["over_limit_share"][0] <= without.extras["voltage"]["over_limit_share"][0]


def test_band_balance_and_batteries(single: dispatch.Schedule) -> None:
    prices = single.wide("price_per_mwh")
    assert ((prices["offered"] >= 400 - 1e-6) & (prices["offered"] <= prices["grid purchase"] + 1e-6)).all()
    assert single.wide("charge_mw").mul(single.wide("discharge_mw")).to_numpy().max() < 1e-9
    losses = single.wide("loss_mw", "line").sum(axis=1)
    feeder_load = operator_inputs(some_hours()).feeder_mw.sum(axis=1)
    taken = single.wide("exchange_mw").sum(axis=1) + feeder_load - single.wide("power_mw", "converter").sum(axis=1)
    np.testing.assert_allclose(single.wide("import_mw")["grid"], taken + losses, atol=1e-6)


def test_money_and_objective_items_add_up(single: dispatch.Schedule) -> None:
    assert single.extras["objective"]["weighted_cost"].sum() == pytest.approx(single.objective)
    paid = -sum(m["purchase"] + m["sale"] for party, m in single.money.items() if party != "operator")
    assert single.money["operator"]["paid_by_prosumers"] == pytest.approx(paid)


def test_importers_gain_against_the_grid_s_purchase_price() -> None:
    # Where nobody has PV every price is at most the purchase price, so that no prosumer can be worse off.
    data = some_hours().model_dump(exclude_unset=True)
    for prosumer in data["prosumers"]:
        prosumer["pv_capacity_mw"] = 0.0
    case = SoftOpenPointCase.from_mapping(data, name="no sun")
    gains = dispatch.solve(case, options=OPTIONS).extras["against_grid_price"].set_index("party")["gain"]
    assert (gains.drop("operator") >= -1e-3).all()


def test_exchanges_fall_as_prices_rise() -> None:
    inputs, rng = operator_inputs(some_hours()), np.random.default_rng(0)
    for prosumer in inputs.prosumers:
        program = PriceTakerQp(prosumer)
        for _ in range(20):
            first, second = (
                inputs.price_low + rng.random(4) * (inputs.price_high - inputs.price_low) for _ in range(2)
            )
            change = program.respond(first, first).exchange - program.respond(second, second).exchange
            assert (first - second) @ change <= 1e-4


def test_another_solver_is_refused() -> None:
    with pytest.raises(OptionError, match="solved by highs"):
        dispatch.solve(some_hours(), solver="scip")
