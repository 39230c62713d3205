"""The microgrids market against hand-worked cases, the general bilevel engine, and its invariants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dispatch
from dispatch import bilevel
from dispatch.assets.price_taker_response import PriceTakerQp
from dispatch.case_microgrids import MicrogridsCase
from dispatch.errors import OptionError
from dispatch.markets.microgrids_exact import build_exact
from dispatch.markets.microgrids_inputs import MarketInputs, market_inputs
from dispatch.markets.microgrids_solution import answered
from dispatch.solver import SolverOptions
from dispatch.solver import solve as solve_model
from tests.dispatch.microgrid_cases import RICH, TURBINE, as_bilevel, deficit_and_surplus, game


def test_surplus_meets_deficit_at_the_kink_of_the_response() -> None:
    # B(buy) = 4 - (buy - .9)/.16 = 3 at buy = 1.06: the operator resells 3 MW bought at .4, and buys nothing from the grid.
    schedule = dispatch.solve(deficit_and_surplus())
    assert schedule.objective == pytest.approx(3 * (1.06 - 0.4), abs=1e-6)
    tariffs = schedule.wide("price_per_mwh").iloc[0]
    assert (tariffs["buy"], tariffs["sell"]) == pytest.approx((1.06, 0.4), abs=1e-6)
    assert -sum(schedule.money["deficit"].values()) == pytest.approx(
        5.36 - 1.2, abs=1e-6
    )  # Chen's charge c = 1.2 apart


def test_grid_tariffs_passed_on() -> None:
    schedule = dispatch.solve(deficit_and_surplus(), variant="grid_tariffs")
    assert schedule.objective == pytest.approx(1.70, abs=1e-6)
    assert -sum(schedule.money["deficit"].values()) == pytest.approx(5.71875 - 1.2, abs=1e-6)


def test_a_lone_deficit_leaves_nothing_to_earn() -> None:
    schedule = dispatch.solve(game([{"id": "a", "net_load_mw": [4.0], "turbine": TURBINE}], [1.2], [0.4]))
    assert schedule.objective == pytest.approx(0.0, abs=1e-6)
    assert schedule.wide("price_per_mwh")["buy"][0] == pytest.approx(1.2, abs=1e-6)


def test_one_price_gives_the_cooperative_dispatch() -> None:
    # With buy = sell = p each microgrid minimises own cost + p * exchange, which is the joint problem; nothing is earned.
    price = [0.95, 1.3]
    case = game(
        [{"id": "a", "net_load_mw": [4.0, 3.0], "turbine": TURBINE}, {"id": "b", "net_load_mw": [-3.0, -1.0]}],
        price,
        price,
    )
    schedule = dispatch.solve(case)
    assert schedule.objective == pytest.approx(0.0, abs=1e-6)
    assert schedule.wide("power_mw", "gas")["a"].to_list() == pytest.approx([(p - 0.9) / 0.16 for p in price], abs=1e-6)


def test_a_shift_moves_load_until_discomfort_meets_the_price_difference() -> None:
    # min .5 d1 + 1 d2 + k (d1^2 + d2^2), d2 = -d1: d1 = .5/(4 k) = .3125 with k = .4.
    flexible = {"share": 0.5, "discomfort_per_mw2h": 0.4}
    grid = market_inputs(
        game([{"id": "a", "load_mw": [2.0, 2.0], "shiftable": flexible}], [1.0, 1.0], [0.1, 0.1])
    ).grids[0]
    plan = PriceTakerQp(grid).respond(np.array([0.5, 1.0]), np.array([0.1, 0.1]))
    assert plan.exchange.tolist() == pytest.approx([2.3125, 1.6875], abs=1e-5)


def test_a_battery_with_losses_charges_cheaply_and_returns_to_its_start() -> None:
    # Per MW charged at .1: cost .1 + .05 c each way; discharged .9 * .95 c at 1.0 saves more, so the charge limit .4 binds.
    case = game([{"id": "a", "load_mw": [2.0, 2.0], "battery": RICH["battery"]}], [1.0, 1.0], [0.1, 0.1])
    plan = PriceTakerQp(market_inputs(case).grids[0]).respond(np.array([0.1, 1.0]), np.array([0.1, 0.1]))
    assert plan.exchange.tolist() == pytest.approx([2.4, 2.0 - 0.4 * 0.9 * 0.95], abs=1e-5)
    assert plan.content[0].tolist() == pytest.approx([0.5 + 0.9 * 0.4, 0.5], abs=1e-6)


@pytest.mark.parametrize("limit", [8.0, 0.9], ids=["free trade", "binding trade limit"])
def test_every_device_agrees_with_the_general_bilevel_engine(limit: float) -> None:
    case = game(
        [
            {"id": "a", "load_mw": [1.0, 2.2], "wind_mw": [0.2, 0.1], **RICH, "trade_limit_mw": max(limit, 1.0)},
            {"id": "b", "load_mw": [0.1, 0.1], "wind_mw": [1.5, 0.9], "trade_limit_mw": limit},
        ],
        [0.8, 1.3],
        [0.4, 0.5],
    )
    schedule = dispatch.solve(case, options=SolverOptions(gap=1e-6))
    reference = bilevel.solve(as_bilevel(case), options=bilevel.BilevelOptions(pessimistic=False))
    assert schedule.objective == pytest.approx(reference.objective, abs=2e-5)
    assert schedule.certificate.passed


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    load=st.lists(st.floats(0.2, 2.0), min_size=3, max_size=3),
    surplus=st.lists(st.floats(0.0, 2.0), min_size=3, max_size=3),
    buy=st.lists(st.floats(0.7, 1.5), min_size=3, max_size=3),
)
def test_random_days_agree_with_the_general_bilevel_engine(
    load: list[float], surplus: list[float], buy: list[float]
) -> None:
    grids: list[dict[str, Any]] = [
        {"id": "a", "load_mw": load, "turbine": RICH["turbine"]},
        {"id": "b", "net_load_mw": [-s for s in surplus]},
    ]
    case = game(grids, buy, [0.5 * p for p in buy])
    schedule = dispatch.solve(case, options=SolverOptions(gap=1e-6))
    reference = bilevel.solve(as_bilevel(case), options=bilevel.BilevelOptions(pessimistic=False))
    assert schedule.objective == pytest.approx(reference.objective, abs=2e-5)


#: Wall time for machines on which other work runs.
PATIENT = SolverOptions(time_limit_s=600)


def full_case() -> MicrogridsCase:
    case = dispatch.load_case("microgrids")
    assert isinstance(case, MicrogridsCase)
    return case


def evening() -> MicrogridsCase:
    """Hours 17 to 22 of the full case: small enough to solve in a moment, with trade in both directions."""
    data = full_case().model_dump(exclude_unset=True)
    part = slice(16, 22)
    for key in ("grid_buy_per_mwh", "feed_in_per_mwh"):
        data[key] = data[key][part]
    for grid in data["microgrids"]:
        grid["load_mw"], grid["wind_mw"] = grid["load_mw"][part], grid["wind_mw"][part]
    return MicrogridsCase.from_mapping({**data, "horizon_hours": 6.0}, name="evening")


@pytest.fixture(scope="module")
def solved() -> dispatch.Schedule:
    return dispatch.solve(evening(), options=PATIENT)


def test_scip_agrees_from_a_first_answer_by_parts_of_the_day(solved: dispatch.Schedule) -> None:
    built = build_exact(market_inputs(evening()))
    binaries = [v for v in built.model.component_data_objects(pyo.Var, active=True) if v.is_binary()]
    staged = [variable for stage in built.stages for variable in stage]
    assert len(built.stages) == 2 and {id(v) for v in staged} == {id(v) for v in binaries}
    second = dispatch.solve(evening(), solver="scip", options=PATIENT)
    assert second.certificate.passed and second.gap is not None and second.gap <= 1e-4
    assert second.objective == pytest.approx(solved.objective, rel=2e-4)


def test_everybody_gains_against_the_grid_tariffs(solved: dispatch.Schedule) -> None:
    # The grid's tariffs are admissible for the operator, and tariffs between them never cost a microgrid anything.
    assert (solved.extras["against_grid_tariffs"]["gain"] >= -1e-6).all()
    baseline = dispatch.solve(evening(), variant="grid_tariffs")
    assert solved.objective > baseline.objective


def test_tariffs_lie_between_the_grid_s_own_and_in_order(solved: dispatch.Schedule) -> None:
    tariffs = solved.wide("price_per_mwh", "tariff")
    for lower, higher in (("feed-in", "sell"), ("sell", "buy"), ("buy", "grid buy")):
        assert (tariffs[lower] <= tariffs[higher] + 1e-6).all()


def test_money_adds_up_and_moves_between_the_parties(solved: dispatch.Schedule) -> None:
    assert sum(solved.money["operator"].values()) == pytest.approx(solved.objective)
    paid = -sum(solved.money[name]["purchase"] for name in ("mg1", "mg2", "mg3"))
    assert solved.money["operator"]["sold_to_microgrids"] == pytest.approx(paid)


def test_balance_and_battery_rows(solved: dispatch.Schedule) -> None:
    net = solved.wide("rigid_mw") - solved.wide("power_mw", "wind")
    battery = solved.wide("discharge_mw") - solved.wide("charge_mw")
    supply = solved.wide("exchange_mw") + solved.wide("power_mw", "gas") + battery
    np.testing.assert_allclose(supply[net.columns], net, atol=1e-6)
    np.testing.assert_allclose(solved.wide("import_mw")["grid"], solved.wide("exchange_mw").sum(axis=1), atol=1e-9)


def test_marginal_values_lie_between_the_tariffs() -> None:
    built = build_exact(market_inputs(evening()))
    assert solve_model(built.model, built.conditions.cones, PATIENT).status == "optimal"
    for block in built.model.grid.values():
        for t, value in block.value.items():
            assert built.model.sell[t].value - 1e-6 <= value.value <= built.model.buy[t].value + 1e-6
            assert min(block.bought_mw[t].value, block.sold_mw[t].value) <= 1e-6
            if block.bought_mw[t].value > 1e-4:
                assert value.value == pytest.approx(built.model.buy[t].value, abs=1e-5)


@pytest.fixture(scope="module")
def market() -> MarketInputs:
    return market_inputs(full_case())


def drawn_tariffs(market: MarketInputs, seed: int) -> tuple[np.ndarray, np.ndarray]:
    share = np.sort(np.random.default_rng(seed).random((2, market.steps)), axis=0)
    sell, buy = market.feed_in + (market.grid_buy - market.feed_in) * share
    return buy, sell


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seeds=st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)))
def test_responses_are_monotone(market: MarketInputs, seeds: tuple[int, int]) -> None:
    # (lambda - lambda') . (x - x') <= 0 for x = (bought, -sold): optimality of both answers, added up.
    tariffs = [drawn_tariffs(market, seed) for seed in seeds]
    for grid in market.grids:
        plans = [PriceTakerQp(grid).respond(*pair) for pair in tariffs]
        change = np.clip(plans[0].exchange, 0, None) - np.clip(plans[1].exchange, 0, None)
        sold = np.clip(plans[0].exchange, None, 0) - np.clip(plans[1].exchange, None, 0)
        product = (tariffs[0][0] - tariffs[1][0]) @ change + (tariffs[0][1] - tariffs[1][1]) @ sold
        assert product <= 1e-4


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), step=st.integers(0, 23))
def test_costs_rise_with_the_buy_and_fall_with_the_sell_tariff(market: MarketInputs, seed: int, step: int) -> None:
    buy, sell = drawn_tariffs(market, seed)
    dearer, kinder = buy.copy(), sell.copy()
    dearer[step], kinder[step] = market.grid_buy[step], buy[step]
    for grid in market.grids:
        program = PriceTakerQp(grid)
        cost = program.respond(buy, sell).cost(grid, buy, sell)
        assert program.respond(dearer, sell).cost(grid, dearer, sell) >= cost - 1e-5
        assert program.respond(buy, kinder).cost(grid, buy, kinder) <= cost + 1e-5


def test_nobody_buys_and_sells_at_once_though_no_binary_forbids_it(market: MarketInputs) -> None:
    # Lowering both gains (buy - sell) for each MW, so that the binary of Eqs. 11-12 is redundant.
    for seed in range(5):
        buy, sell = drawn_tariffs(market, seed)
        for grid in market.grids:
            program = PriceTakerQp(grid)
            program.respond(buy, sell)
            x = np.asarray(program.columns)
            assert np.minimum(x[program.program.bought], x[program.program.sold]).max() < 1e-6


def test_no_ladder_of_equal_markups_beats_the_grid_tariffs(market: MarketInputs) -> None:
    # The optimum earns 2.4 times as much, but not along the line between the grid's tariffs and one price for all.
    width = market.grid_buy - market.feed_in
    ladder = [
        answered(full_case(), market, market.feed_in + (1 - share) * width, market.feed_in + share * width).profit
        for share in (0.0, 0.1, 0.2, 0.3, 0.4)
    ]
    assert max(ladder) == ladder[0]


def test_grid_tariffs_earn_what_was_computed_by_other_means(market: MarketInputs) -> None:
    solution = answered(full_case(), market, market.grid_buy, market.feed_in)
    assert solution.profit == pytest.approx(982.571, abs=0.01)


@pytest.mark.slow
def test_the_full_case_reaches_the_optimum_that_scip_finds() -> None:
    # 2,322.93 RMB: SCIP on an independently written model, gap 0.
    schedule = dispatch.solve(full_case(), options=PATIENT)
    assert schedule.objective == pytest.approx(2322.93, rel=1e-4)
    assert schedule.gap is not None and schedule.gap <= 1e-4
    assert schedule.certificate.dual_bound_ratio is not None and schedule.certificate.dual_bound_ratio < 0.99


def test_searching_without_a_choice_is_refused() -> None:
    with pytest.raises(OptionError, match="nothing to search"):
        dispatch.solve(deficit_and_surplus(), variant="grid_tariffs", method="pso")
