"""Posted prices, chosen terminals, time limits and what the certificate of a soft open point catches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandapower
import pandapower.networks
import pytest

import dispatch
from dispatch.errors import CaseError, OptionError
from dispatch.markets.soft_open_point_baseline import at_grid_price
from dispatch.markets.soft_open_point_certificate import certify_soft_open_point, converter_gap
from dispatch.markets.soft_open_point_inputs import operator_inputs
from dispatch.markets.soft_open_point_network import NetworkStep, Scenario
from dispatch.solver import SolverOptions
from tests.dispatch.soft_open_point_cases import nominal_hour, some_hours

TIGHT = SolverOptions(gap=1e-5, time_limit_s=300)


def test_over_limit_rate_counts_bus_hours() -> None:
    # At nominal load 21 of the 33 buses are below 0.95 p.u., the lowest at 0.91309, and 202.677 kW are lost.
    schedule = dispatch.solve(nominal_hour(), variant="grid_price_without_soft_open_point")
    figures = schedule.extras["voltage"].iloc[0]
    assert figures["over_limit_share"] == pytest.approx(21 / 33)
    assert figures["lowest_pu"] == pytest.approx(0.91309, abs=1e-5)
    assert figures["line_losses_mwh"] == pytest.approx(0.202677, abs=1e-6)
    assert schedule.certificate.passed


def test_money_alone_counts_no_voltage() -> None:
    schedule = dispatch.solve(nominal_hour(), variant="grid_price_economy_only")
    items = schedule.extras["objective"].set_index("item")["weighted_cost"]
    assert items[["price of losses", "voltage deviation", "voltage limits"]].abs().max() == 0.0
    assert items["grid purchase"] > 0.0


@pytest.fixture(scope="module")
def posted() -> dispatch.Schedule:
    return dispatch.solve(some_hours(), variant="grid_price")


def test_prices_of_the_operator_cannot_cost_it_more_than_the_grid_s(posted: dispatch.Schedule) -> None:
    assert posted.certificate.passed and posted.gap is not None and posted.gap < 1e-6
    game = dispatch.solve(some_hours(), options=TIGHT)
    assert game.objective <= posted.objective + 1e-6
    table = game.extras["objective"]
    assert table["weighted_cost_at_grid_price"].sum() == pytest.approx(posted.objective, rel=1e-9)
    gains = game.extras["against_grid_price"].set_index("party")
    assert gains.loc["operator", "at_grid_price"] == pytest.approx(sum(posted.money["operator"].values()), rel=1e-9)


def test_a_schedule_is_replayed_by_pandapower_with_converters_as_injections(posted: dispatch.Schedule) -> None:
    inputs = operator_inputs(some_hours())
    taken, given = posted.wide("exchange_mw", "prosumer"), posted.wide("power_mw", "converter")
    reactive, planned = posted.wide("reactive_mvar", "converter"), posted.wide("voltage_pu", "bus")
    assert given.abs().to_numpy().max() > 0.1
    assert inputs.sop is not None
    for t in range(inputs.steps):
        net = pandapower.networks.case33bw()
        net.ext_grid.loc[:, "vm_pu"] = 1.0
        net.load.drop(net.load.index, inplace=True)
        for place in range(len(inputs.feeder.bus_ids)):
            pandapower.create_load(net, place, inputs.feeder_mw[t, place], inputs.feeder_mvar[t, place])
        for n, bus in enumerate(inputs.buses):
            pandapower.create_load(net, bus - 1, taken.iloc[t, n], 0.0)
        for m, bus in enumerate(inputs.sop.buses):
            pandapower.create_sgen(net, bus - 1, given.iloc[t, m], reactive.iloc[t, m])
        pandapower.runpp(net, tolerance_mva=1e-11)
        np.testing.assert_allclose(net.res_bus.vm_pu.iloc[:33], planned.iloc[t], atol=1e-9)


def test_a_converter_that_burns_power_is_caught() -> None:
    case = some_hours((18,))
    found = at_grid_price(case, operator_inputs(case), Scenario())
    assert converter_gap(found.solution) < 1e-6
    network = found.solution.network
    burning = replace(network, converter_loss_mw=network.converter_loss_mw + 0.24, bought_mw=network.bought_mw)
    wrong = replace(found.solution, network=burning)
    assert converter_gap(wrong) == pytest.approx(0.24, abs=1e-6)
    failed = certify_soft_open_point(wrong, None, 0.0, 1e-3, None, found.steps, found.values).failures
    assert {"cone_gap", "balance_max"} <= set(failed)


def test_converters_burn_no_power_where_pv_lifts_voltages_beyond_all_limits() -> None:
    case = some_hours((11, 12)).model_copy(update={"pv_scale": 5.0})
    inputs = operator_inputs(case)
    exchange = np.stack([prosumer.net_load for prosumer in inputs.prosumers])
    for t in range(inputs.steps):
        step = NetworkStep(inputs, t, Scenario())
        relaxed, real = step.value(exchange[:, t]), step.physical(exchange[:, t])
        assert real.bound == pytest.approx(relaxed.bound, rel=1e-9)
        assert relaxed.value - 1e-6 <= real.value <= relaxed.value * 1.001
    schedule = dispatch.solve(case, variant="grid_price", certify="report")
    assert schedule.certificate.cone_gap is not None and schedule.certificate.cone_gap < 1e-5
    assert schedule.gap is not None and 0.0 < schedule.gap < 1e-3


def test_terminals_are_placed_where_listing_them_is_best() -> None:
    hours = (12, 18)
    chosen = dispatch.solve(some_hours(hours, buses=[18, 25, 33], terminals_max=2), options=TIGHT)
    listed = {
        pair: dispatch.solve(some_hours(hours, buses=list(pair)), options=TIGHT).objective
        for pair in ((18, 25), (18, 33), (25, 33))
    }
    best = min(listed, key=lambda pair: listed[pair])
    assert chosen.certificate.passed
    assert chosen.objective == pytest.approx(listed[best], abs=0.05)
    used = list(chosen.wide("power_mw", "converter").columns)
    assert used == [f"converter{bus}" for bus in best]


def test_an_absent_converter_carries_nothing_and_half_of_one_half() -> None:
    inputs = operator_inputs(some_hours((18,), terminals_max=3))
    step = NetworkStep(inputs, 0, Scenario())
    exchange = np.array([prosumer.net_load[0] for prosumer in inputs.prosumers])
    values = [step.value(np.concatenate([exchange, here])).value for here in np.eye(4)]
    none = step.value(np.concatenate([exchange, np.zeros(4)])).value
    assert all(value <= none + 1e-6 for value in values)  # one converter alone still has its reactive power
    step.compiled.load(step.value(np.concatenate([exchange, [1.0, 0.5, 0.0, 1.0]])).x)
    for m, here in enumerate((1.0, 0.5, 0.0, 1.0)):
        power = np.hypot(step.model.converter_mw[m, 0].value, step.model.converter_mvar[m, 0].value)
        assert power <= here * 1.0 + 1e-6
        assert abs(step.model.converter_mvar[m, 0].value) <= here * 0.8 + 1e-6


def test_a_choice_of_terminals_needs_the_game_and_enough_buses() -> None:
    with pytest.raises(OptionError, match="grid_price chooses no terminals"):
        dispatch.solve(some_hours((18,), terminals_max=2), variant="grid_price")
    with pytest.raises(CaseError, match="terminals_max: 5 converters, but only 4 buses"):
        some_hours((18,), terminals_max=5)


def test_no_time_gives_the_best_found_with_its_proven_gap() -> None:
    schedule = dispatch.solve(some_hours(), options=SolverOptions(gap=1e-6, time_limit_s=1e-3), certify="report")
    assert schedule.status == "time_limit"
    assert schedule.certificate.failures in ((), ("mip_gap",))
    assert schedule.gap is not None and np.isfinite(schedule.gap)
    optimum = dispatch.solve(some_hours(), options=TIGHT)
    assert schedule.bound is not None and schedule.bound <= optimum.objective + 1e-6
    assert schedule.objective >= optimum.bound - 1e-6  # type: ignore[operator]


def test_pv_is_scaled_for_every_prosumer() -> None:
    case = some_hours()
    more = case.model_copy(update={"pv_scale": 2.5})
    before, after = (operator_inputs(c).prosumers for c in (case, more))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new.available, 2.5 * old.available)
