"""Turbines that are switched: the answer and the game against enumeration of every pattern."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import dispatch
from dispatch.assets.turbine_commitment import CommittedTurbineQp, responder
from dispatch.case_microgrids import MicrogridsCase, Search
from dispatch.markets.microgrids_inputs import market_inputs
from dispatch.markets.microgrids_solution import answered
from dispatch.solver import SolverOptions
from tests.dispatch.microgrid_cases import RICH, TURBINE, game

#: Wall time for machines on which other work runs.
PATIENT = SolverOptions(time_limit_s=600)
SWITCHED = {**TURBINE, "cost_fixed_per_hour": 0.3}


def switched(grids: list[dict[str, Any]], buy: list[float], sell: list[float], **values: Any) -> MicrogridsCase:
    return game(grids, buy, sell, mt_commitment=True, **values)


@pytest.mark.parametrize("seed", range(4))
def test_the_answer_is_the_cheapest_of_all_patterns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    T = 5
    devices = {"turbine": {**RICH["turbine"], "cost_fixed_per_hour": 0.12}, "battery": RICH["battery"]}
    case = switched([{"id": "a", "net_load_mw": rng.uniform(-0.5, 2.0, T).tolist(), **devices}], [1.4] * T, [0.2] * T)
    grid = market_inputs(case).grids[0]
    sell, buy = np.sort(rng.uniform(0.4, 1.4, (2, T)), axis=0)
    program = CommittedTurbineQp(grid)
    plan = program.respond(buy, sell)
    every = (program.respond_running(np.array(p), buy, sell) for p in itertools.product((False, True), repeat=T))
    cheapest = min(other.cost(grid, buy, sell) for other in every if other is not None)
    assert plan.cost(grid, buy, sell) == pytest.approx(cheapest, abs=1e-6)
    assert program.proven_cost == pytest.approx(cheapest, abs=1e-6)


def test_a_turbine_starts_where_the_tariff_pays_for_its_running_cost() -> None:
    # Running pays from b + 2 sqrt(a c) = .9 + 2 sqrt(.08 * .3) = 1.2098; then g = (buy - .9) / .16.
    grid = market_inputs(switched([{"id": "a", "net_load_mw": [4.0], "turbine": SWITCHED}], [1.4], [0.4])).grids[0]
    program = responder(grid)
    low, high = (program.respond(np.array([price]), np.array([0.4])) for price in (1.2, 1.22))
    assert low.turbine[0] == 0.0
    assert high.turbine[0] == pytest.approx(2.0, abs=1e-5)
    assert high.own_cost(grid)["fuel"] == pytest.approx(0.08 * 4 + 0.9 * 2 + 0.3, abs=1e-5)


def best_on_a_grid(case: MicrogridsCase, buys: np.ndarray, sells: np.ndarray) -> float:
    market = market_inputs(case)
    return max(
        answered(case, market, np.array([buy]), np.array([sell])).profit
        for buy in buys
        for sell in sells
        if market.feed_in[0] <= sell <= buy <= market.grid_buy[0]
    )


def test_the_game_of_one_hour_agrees_with_the_enumeration_by_hand() -> None:
    # A deficit of 4 MW with a switched turbine, a surplus of 3 MW. Up to buy = 1.2098 the turbine stands and the deficit
    # buys 4 MW: 3 of the surplus at .4 and 1 of the grid at 1.4, at most 4 * 1.2098 - 1.2 - 1.4 = 2.239. Above, it buys
    # 4 - (buy - .9)/.16; from buy = 1.06 on less than 3 MW, so that (buy - .4)(4 - (buy - .9)/.16) - surplus sold at .4 falls.
    deficit = {"id": "deficit", "net_load_mw": [4.0], "turbine": SWITCHED}
    case = switched([deficit, {"id": "surplus", "net_load_mw": [-3.0]}], [1.4], [0.4])
    schedule = dispatch.solve(case, options=PATIENT)
    start = 0.9 + 2 * np.sqrt(0.08 * 0.3)
    assert schedule.objective == pytest.approx(4 * start - 3 * 0.4 - 1.4, abs=5e-4)
    assert schedule.certificate.passed
    sampled = best_on_a_grid(case, np.linspace(0.4, 1.4, 101), np.array([0.4]))
    assert sampled <= schedule.bound + 1e-6 if schedule.bound is not None else False
    assert sampled >= schedule.objective - 4 * 0.01


def test_the_game_of_two_hours_is_at_least_every_enumerated_pattern() -> None:
    # Every pattern of both microgrids, with the best tariffs of a grid of 17 by 17 that make the microgrids choose it.
    small = {
        "power_max_mw": 1.5,
        "cost_quadratic_per_mw2h": 0.1,
        "cost_linear_per_mwh": 0.6,
        "cost_fixed_per_hour": 0.2,
    }
    grids: list[dict[str, Any]] = [
        {"id": "a", "net_load_mw": [2.0, 1.0], "turbine": small},
        {"id": "b", "net_load_mw": [-0.8, -1.5], "turbine": {**small, "cost_linear_per_mwh": 0.7}},
    ]
    case = switched(grids, [1.2, 1.3], [0.4, 0.5])
    schedule = dispatch.solve(case, options=PATIENT)
    assert schedule.certificate.passed and schedule.bound is not None
    # Without storage and ramps the hours are apart: the best of each on its own.
    total = 0.0
    for t, (buy, sell) in enumerate(((1.2, 0.4), (1.3, 0.5))):
        hour = [{**grid, "net_load_mw": [grid["net_load_mw"][t]]} for grid in grids]
        alone = switched(hour, [buy], [sell])
        total += best_on_a_grid(alone, np.linspace(sell, buy, 17), np.linspace(sell, buy, 17))
    assert total <= schedule.bound + 1e-6
    assert schedule.objective >= total - 1e-3


def test_without_a_running_cost_nothing_changes() -> None:
    grids: list[dict[str, Any]] = [
        {"id": "a", "net_load_mw": [4.0], "turbine": TURBINE},
        {"id": "b", "net_load_mw": [-3.0]},
    ]
    assert dispatch.solve(switched(grids, [1.2], [0.4]), options=PATIENT).objective == pytest.approx(1.98, abs=1e-5)


def test_a_search_sees_switched_turbines() -> None:
    deficit = {"id": "deficit", "net_load_mw": [4.0], "turbine": SWITCHED}
    case = switched([deficit, {"id": "surplus", "net_load_mw": [-3.0]}], [1.4], [0.4])
    case = case.model_copy(update={"search": Search(calls=40)})
    schedule = dispatch.solve(case, method="kriging", options=PATIENT)
    assert schedule.bound is not None and 2.1 <= schedule.objective <= schedule.bound + 1e-6
