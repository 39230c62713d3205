"""Industrial parks against hand-worked cases, a second formulation and solver, and their theorems."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

import dispatch
from dispatch import bilevel
from dispatch.case_parks import IndustrialParksCase
from dispatch.errors import CaseWarning
from dispatch.markets.industrial_parks import solve_variant
from dispatch.markets.industrial_parks_certificate import certify_parks
from dispatch.markets.industrial_parks_inputs import park_reserve_mw, parks_inputs
from dispatch.markets.industrial_parks_response import park_cost, park_response
from tests.dispatch.parks_cases import rigid_demand, small_agent, two_hours

OPTIONS = dispatch.SolverOptions(gap=1e-7)


def changed(case: IndustrialParksCase, **values: Any) -> IndustrialParksCase:
    """The same case with other values of some keys; those of sections are merged."""
    data = case.model_dump(exclude={"index"}, exclude_unset=True)
    for key, value in values.items():
        data[key] = {**data[key], **value} if isinstance(value, dict) else value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaseWarning)
        return IndustrialParksCase.from_mapping(data, name=case.name)


@pytest.fixture(scope="module")
def case() -> IndustrialParksCase:
    loaded = dispatch.load_case("industrial_parks")
    assert isinstance(loaded, IndustrialParksCase)
    return loaded


@pytest.fixture(scope="module")
def game(case: IndustrialParksCase) -> dispatch.Schedule:
    return dispatch.solve(case, options=OPTIONS)


def test_two_hours_price_at_the_kink_and_below_the_average_cap() -> None:
    schedule = dispatch.solve(two_hours(), options=OPTIONS)
    assert schedule.objective == pytest.approx(5.0, abs=1e-6)
    assert schedule.wide("price_per_mwh", "park")["park"].to_list() == pytest.approx([350.0, 650.0], abs=1e-4)
    assert schedule.wide("purchase_mw")["park"].to_list() == pytest.approx([0.1, 0.2], abs=1e-8)
    assert -sum(schedule.money["park"].values()) == pytest.approx(165.0, abs=1e-6)


def test_two_hours_lose_seven_and_a_half_if_the_tied_park_generates() -> None:
    schedule = dispatch.solve(two_hours(), options=OPTIONS)
    assert schedule.certificate.tie_width == pytest.approx(7.5, abs=1e-6)  # from 5.00 to -2.50
    assert any("Optimistic value" in note for note in schedule.notes)


def test_two_hours_agree_with_the_general_engine() -> None:
    model = pyo.ConcreteModel()
    model.price = pyo.Var([0, 1], bounds=lambda _, t: [(320, 480), (480, 720)][t])
    model.average = pyo.Constraint(expr=model.price[0] + model.price[1] <= 1000)
    model.park = pyo.Block()
    model.park.bought = pyo.Var([0, 1], bounds=(0, 0.5))
    model.park.made = pyo.Var([0, 1], bounds=(0, 0.15))
    load = [0.1, 0.2]
    model.park.balance = pyo.Constraint([0, 1], rule=lambda b, t: b.bought[t] + b.made[t] == load[t])
    model.park.cost = pyo.Objective(
        expr=sum(model.price[t] * model.park.bought[t] + 650 * model.park.made[t] for t in (0, 1))
    )
    spot = [400.0, 600.0]
    model.profit = pyo.Objective(
        expr=sum((model.price[t] - spot[t]) * model.park.bought[t] for t in (0, 1)), sense=pyo.maximize
    )
    answer = bilevel.solve(bilevel.BilevelProblem(model, [bilevel.Follower(model.park)], leader=model.price))
    assert answer.objective == pytest.approx(dispatch.solve(two_hours(), options=OPTIONS).objective, abs=1e-5)
    assert answer.tie_width == pytest.approx(7.5, abs=1e-4)


def test_no_price_on_a_fine_grid_earns_more_than_the_two_hour_optimum() -> None:
    case = two_hours()
    inputs = parks_inputs(case)[0]
    best = -np.inf
    for first in np.linspace(320, 480, 33):
        for second in np.linspace(480, 720, 49):
            if first + second <= 1000:
                price = np.array([first, second])
                taken = park_response(inputs, 0, price, "buy").purchase_mw
                best = max(best, float(((price - [400, 600]) * taken).sum()))
    assert best == pytest.approx(5.0, abs=1e-9)


def test_rigid_demand_is_a_knapsack_of_prices() -> None:
    case = rigid_demand([1.0, 3.0], 600.0, price_band={"floor_ratio": 0.8, "ceiling_ratio": 1.6})
    schedule = dispatch.solve(case, options=OPTIONS)  # floor 400, ceiling 800
    assert schedule.wide("price_per_mwh", "park")["park"].to_list() == pytest.approx([400.0, 800.0])
    assert schedule.money["agent"]["sale_to_parks"] == pytest.approx(2800.0)  # flat 600 would give 2400


def test_real_time_sale_at_the_printed_price_is_an_arbitrage_of_a_fifth_of_the_price() -> None:
    values: dict[str, Any] = {"agent": {"real_time_max_mw": 1.0}}
    plain = dispatch.solve(two_hours(**values), options=OPTIONS).objective
    with pytest.warns(CaseWarning, match="buying ahead and selling in real time"):
        case = two_hours(**values, rt_sale="paper", rt_sale_within_discharge=False)
    schedule = dispatch.solve(case, options=OPTIONS)
    assert schedule.objective - plain == pytest.approx(0.2 * (400 + 600) * 1.0, abs=1e-6)
    assert any("Real-time sale at 1.2" in note for note in schedule.notes)


def test_real_time_sale_within_discharge_needs_a_store() -> None:
    with pytest.warns(CaseWarning):
        case = two_hours(agent={"real_time_max_mw": 1.0}, rt_sale="paper")
    schedule = dispatch.solve(case, options=OPTIONS)
    assert schedule.objective == pytest.approx(5.0, abs=1e-6)
    assert "real_time_sell" not in str(schedule.table.loc[schedule.table["value"] > 1e-9, "asset"].unique())


def test_reserve_covers_the_error_with_the_stated_confidence() -> None:
    one = np.ones(1)
    assert park_reserve_mw(30 * one, 40 * one, 0 * one, 0.95)[0] == pytest.approx(82.24, abs=5e-3)
    rng = np.random.default_rng(1)
    error = rng.normal(0, 30, 200_000) - rng.normal(0, 40, 200_000)
    assert np.mean(error <= park_reserve_mw(30 * one, 40 * one, 0 * one, 0.95)[0]) == pytest.approx(0.95, abs=2e-3)


def test_full_case_is_certified_and_has_the_structure_of_a_knapsack(game: dispatch.Schedule) -> None:
    assert game.certificate.passed and game.gap is not None and game.gap <= 1e-6
    structure = game.extras["price_structure"].set_index("park")
    assert structure.loc["park1", ["floor", "ceiling", "generator_cost", "between"]].to_list() == [7, 7, 9, 1]
    assert structure.loc["park2", ["floor", "ceiling", "generator_cost", "between"]].to_list() == [3, 12, 9, 1]


def test_full_case_agrees_with_another_formulation(case: IndustrialParksCase, game: dispatch.Schedule) -> None:
    assert optimum_by_price_pieces(case) == pytest.approx(game.objective, rel=1e-6)


def test_full_case_agrees_with_scip(case: IndustrialParksCase, game: dispatch.Schedule) -> None:
    assert dispatch.solve(case, solver="scip", options=OPTIONS).objective == pytest.approx(game.objective, rel=1e-6)


def test_certificate_refuses_another_price_and_another_answer(case: IndustrialParksCase) -> None:
    solution, result, _ = solve_variant(case, "faithful", OPTIONS)
    agent = solution.agents[0]
    assert certify_parks(solution, result)[0].passed
    dearer = replace(solution, agents=(replace(agent, price=agent.price + 5.0),))
    assert {"balance_max", "duality_gap", "objective_identity"} <= set(certify_parks(dearer, result)[0].failures)
    park = agent.parks[0]
    idle = replace(park, purchase_mw=park.purchase_mw + park.generation_mw, generation_mw=0 * park.generation_mw)
    lazy = replace(solution, agents=(replace(agent, parks=(idle, agent.parks[1])),))
    assert "best_response_gap" in certify_parks(lazy, result)[0].failures


def test_balances_and_exclusive_trades_hold(game: dispatch.Schedule) -> None:
    bought = game.wide("import_mw")["agent"]
    stored = game.wide("discharge_mw")["storage"] - game.wide("charge_mw")["storage"]
    np.testing.assert_allclose(bought + stored, game.wide("purchase_mw").sum(axis=1), atol=1e-8)
    trade = game.wide("power_mw", "trade")
    assert (np.minimum(trade["real time buy"], trade["real time sell"]) <= 1e-9).all()
    assert game.wide("price_per_mwh", "park").mean().max() <= 550.4166667 + 1e-6


def test_more_room_never_lowers_the_profit(case: IndustrialParksCase, game: dispatch.Schedule) -> None:
    store = case.agent.storage[0].model_dump()
    roomier = {
        "cap": changed(case, average_price_cap_per_mwh=580.0),
        "ceiling": changed(case, price_band={"ceiling_ratio": 1.3}),
        "storage": changed(case, agent={"storage": [{**store, "energy_max_mwh": 5.0}]}),
        "starts": changed(case, agent={"storage": [{**store, "charge_limit": 4, "discharge_limit": 4}]}),
    }
    for what, other in roomier.items():
        assert dispatch.solve(other, options=OPTIONS).objective >= game.objective - 1e-6, what


def test_storage_keeps_to_its_starts(case: IndustrialParksCase) -> None:
    store = {**case.agent.storage[0].model_dump(), "charge_limit": 1, "discharge_limit": 1, "wear_per_mwh": 0.0}
    wavy = 550 + 200 * np.cos(np.arange(24) * np.pi / 3)
    for counts in ("starts", "hours"):
        limited = changed(
            case, day_ahead_price_per_mwh=wavy.tolist(), agent={"storage": [{**store, "limit_counts": counts}]}
        )
        schedule = dispatch.solve(limited, options=OPTIONS)
        charging = (schedule.wide("charge_mw")["storage"] > 1e-6).to_numpy()
        assert schedule.certificate.passed and charging.any()
        if counts == "hours":
            assert charging.sum() <= 1


def test_time_of_use_is_admissible_and_no_better_for_the_agent(
    case: IndustrialParksCase, game: dispatch.Schedule
) -> None:
    posted = dispatch.solve(case, variant="time_of_use", options=OPTIONS)
    tariff = posted.wide("price_per_mwh", "park")["park1"]
    assert tariff.mean() == pytest.approx(550.4166667, abs=1e-6)
    assert posted.objective <= game.objective + 1e-6


def test_bill_guarantee_leaves_nobody_worse_off(case: IndustrialParksCase) -> None:
    schedule = dispatch.solve(case, variant="bill_guarantee", options=OPTIONS)
    table = schedule.extras["against_time_of_use"].set_index("party")
    assert table.loc["agent", "game"] >= table.loc["agent", "time_of_use"] - 1e-6
    for park in ("park1", "park2"):
        assert table.loc[park, "game"] <= table.loc[park, "time_of_use"] + 1e-4


def test_without_guarantee_park_costs_rise_on_this_case(game: dispatch.Schedule) -> None:
    table = game.extras["against_time_of_use"].set_index("party")
    assert (table.loc[["park1", "park2"], "change_percent"] > 0).all()  # the cap of the mean is not weighted by load
    assert (table.loc[["park1", "park2"], "chen_2024_change_percent"] < 0).all()


def test_movable_load_agrees_with_scip_and_adds_up_to_zero(case: IndustrialParksCase) -> None:
    flexible = dispatch.solve(case, variant="flex", options=dispatch.SolverOptions(gap=1e-5))
    second = dispatch.solve(case, variant="flex", solver="scip", options=dispatch.SolverOptions(gap=1e-5))
    assert flexible.certificate.passed and second.certificate.passed
    assert flexible.objective == pytest.approx(second.objective, rel=2e-5)
    assert np.abs(flexible.wide("shift_mw").sum(axis=0)).max() < 1e-6


def test_both_agents_solved_together_gain_by_the_tie_line(case: IndustrialParksCase) -> None:
    together = changed(case, neighbour="joint", neighbour_trade={"power_max_mw": 0.3})
    apart = changed(case, neighbour="joint", neighbour_trade={"power_max_mw": 0.0})
    joint, single = (dispatch.solve(c, options=OPTIONS) for c in (together, apart))
    assert joint.certificate.passed
    assert joint.objective >= single.objective - 1e-6
    assert joint.money["agent"]["neighbour_trade"] == pytest.approx(
        -joint.money["neighbour"]["neighbour_trade"], abs=1e-9
    )


def test_parks_that_may_sell_never_buy_and_sell_at_once(case: IndustrialParksCase) -> None:
    sunny = [4.0 * value for value in case.pv_shape]
    for ratio in (0.8, 1.0):
        schedule = dispatch.solve(
            changed(case, buy_back_ratio=ratio, pv_shape=sunny, agent={"real_time_max_mw": 4.0}), options=OPTIONS
        )
        assert schedule.certificate.passed
        assert schedule.wide("sale_mw").to_numpy().max() > 0.1
        assert np.minimum(schedule.wide("sale_mw"), schedule.wide("purchase_mw")).to_numpy().max() < 1e-6


def test_purchase_limits_and_least_generation_keep_their_certificate() -> None:
    park = {"purchase_max_mw": 0.12, "generator_min_mw": 0.02}
    for variant in ("faithful", "flex"):
        schedule = dispatch.solve(two_hours(park=park), variant=variant, options=OPTIONS)
        assert schedule.certificate.passed
        assert schedule.wide("purchase_mw").to_numpy().max() <= 0.12 + 1e-9


def test_any_park_answer_found_costs_no_more_than_random_feasible_ones() -> None:
    rng = np.random.default_rng(0)
    park = {
        "id": "park",
        "load_mw": [0.3] * 6,
        "pv_available_mw": [0.1] * 6,
        "generator_max_mw": 0.2,
        "generator_cost_per_mwh": 500.0,
    }
    case = small_agent([500.0] * 6, [park], 500.0, flexibility={"share": 0.5, "discomfort_per_mw2h": 900.0})
    inputs = parks_inputs(case, shiftable=True)[0]
    for _ in range(50):
        price = rng.uniform(300, 700, 6)
        best = park_response(inputs, 0, price)
        cost = park_cost(inputs, 0, price, best)
        assert abs(best.shift_mw.sum()) < 1e-9
        moved = rng.normal(0, 0.05, 6)
        moved = np.clip(moved - moved.mean(), -0.15, 0.15)
        moved -= moved.mean()
        if np.abs(moved).max() > 0.15:
            continue
        made = rng.uniform(0, 0.2, 6)
        bought = 0.3 + moved - 0.1 - made
        made, bought = made + np.minimum(bought, 0), np.maximum(bought, 0)
        other = type(best)(bought, np.zeros(6), np.maximum(made, 0), np.full(6, 0.1) + np.minimum(made, 0), moved)
        assert cost <= park_cost(inputs, 0, price, other) + 1e-9


def optimum_by_price_pieces(case: IndustrialParksCase) -> float:
    """The agent's best profit from the pieces of each park's answer, without optimality conditions, by SciPy's MILP.

    At a price below the generator's cost a park buys its net load, above it that less its generation; so price times
    quantity is linear on either side, and one binary per park and step picks the side. Trade is day-ahead only, which is
    optimal as long as parks always buy more than the store gives.
    """
    inputs = parks_inputs(case)[0]
    prices, unit, steps = inputs.prices, inputs.storage[0], inputs.steps
    count = len(inputs.park_ids)
    net = np.maximum(inputs.load_mw - inputs.renewable_mw, 0)
    high, low = net, np.maximum(net - inputs.generator_top_mw, 0)
    kink = np.repeat(inputs.generator_cost[:, None], steps, axis=1)
    size = count * steps
    below, above, side = np.arange(size), size + np.arange(size), 2 * size + np.arange(size)
    charge, give, energy, up, starts, falls = (3 * size + k * steps + np.arange(steps) for k in range(6))
    total = 3 * size + 6 * steps
    cost, lower, upper, whole = np.zeros(total), np.zeros(total), np.full(total, np.inf), np.zeros(total)
    ahead = np.tile(prices.day_ahead, count)
    cost[below], cost[above] = -high.ravel(), -low.ravel()
    cost[side] = ahead * (high - low).ravel()
    cost[charge], cost[give] = prices.day_ahead + unit.wear_per_mwh, unit.wear_per_mwh - prices.day_ahead
    upper[side] = upper[up] = upper[starts] = upper[falls] = 1
    whole[side] = whole[up] = 1
    upper[charge], upper[give] = unit.charge_max_mw, unit.discharge_max_mw
    lower[energy], upper[energy] = unit.energy_min_mwh, unit.energy_max_mwh
    lower[energy[-1]] = upper[energy[-1]] = unit.energy_start_mwh
    rows: list[tuple[dict[int, float], float, float]] = []
    floor, ceiling = np.tile(prices.floor, count), np.tile(prices.ceiling, count)
    for k in range(size):
        most, least = min(ceiling[k], kink.ravel()[k]), max(floor[k], kink.ravel()[k])
        if most < floor[k]:
            upper[side[k]] = 0
        if least > ceiling[k]:
            lower[side[k]] = 1
        rows += [({below[k]: 1, side[k]: -most}, -np.inf, 0), ({below[k]: 1, side[k]: -floor[k]}, 0, np.inf)]
        rows += [
            ({above[k]: 1, side[k]: ceiling[k]}, -np.inf, ceiling[k]),
            ({above[k]: 1, side[k]: least}, least, np.inf),
        ]
    for i in range(count):
        own = range(i * steps, (i + 1) * steps)
        rows.append(({below[k]: 1.0 for k in own} | {above[k]: 1.0 for k in own}, -np.inf, steps * prices.average_cap))
    for t in range(steps):
        balance = {energy[t]: 1.0, charge[t]: -unit.charge_efficiency, give[t]: 1 / unit.discharge_efficiency}
        start = unit.energy_start_mwh if t == 0 else 0.0
        rows.append((balance | ({energy[t - 1]: -1.0} if t else {}), start, start))
        rows.append(({charge[t]: 1.0, up[t]: -unit.charge_max_mw}, -np.inf, 0))
        rows.append(({give[t]: 1.0, up[t]: unit.discharge_max_mw}, -np.inf, unit.discharge_max_mw))
        before = {up[t - 1]: 1.0} if t else {}
        rows.append(({starts[t]: -1.0, up[t]: 1.0} | {k: -v for k, v in before.items()}, -np.inf, 0))
        rows.append(({falls[t]: -1.0, up[t]: -1.0} | before, -np.inf, -1.0 if t == 0 else 0.0))
    for used, limit in ((starts, unit.charge_limit), (falls, unit.discharge_limit)):
        assert limit is not None
        rows.append(({int(k): 1.0 for k in used}, -np.inf, limit))
    matrix = np.zeros((len(rows), total))
    for r, (row, _, _) in enumerate(rows):
        for k, value in row.items():
            matrix[r, k] = value
    limits = LinearConstraint(matrix, [row[1] for row in rows], [row[2] for row in rows])
    answer = milp(
        cost, constraints=limits, bounds=Bounds(lower, upper), integrality=whole, options={"mip_rel_gap": 1e-9}
    )
    assert answer.status == 0, answer.message
    return float(-answer.fun - (ahead * low.ravel()).sum())
