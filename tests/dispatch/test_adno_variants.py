"""The ADNO's followers against hand-worked cases: uniform and individual subsidies, shifting, and the printed follower."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import dispatch
from dispatch.case_adno import AdnoCase
from tests.dispatch.adno_cases import one_hour, plain_customer, responsive_customer

TWO = [responsive_customer("a", 160, 100, 0.5), responsive_customer("b", 150, 100, 0.5)]


def lump_sum_case(customers: list[dict[str, Any]], **values: Any) -> AdnoCase:
    return one_hour(customers, subsidy={"lump_sum_max_per_hour": 10.0, "elasticity_anchor": "paper"}, **values)


def printed(name: str, **values: Any) -> dict[str, Any]:
    return plain_customer(name, flexible_max_mw=0.5, elasticity_mw_per_subsidy=0.05, **values)


def test_uniform_subsidy_earns_less_than_individual_ones() -> None:
    # By hand: s = 32, d = (.42, .32), profit 37 * .74 = 27.38; individual (29.5, 34.5): 27.505.
    case = one_hour(TWO, subsidy={"rate_max_per_mwh": 60})
    uniform = dispatch.solve(case, variant="responsive_uniform")
    assert uniform.objective == pytest.approx(27.38, abs=1e-6)
    assert uniform.wide("subsidy_per_mwh").iloc[0].to_list() == pytest.approx([32.0, 32.0], abs=1e-2)
    assert dispatch.solve(case).objective == pytest.approx(27.505, abs=1e-6)


def test_uniform_subsidy_passes_over_customers_who_do_not_start_or_are_full() -> None:
    # "late" starts at s = 40, "early" is full from s = 5 on; enumerate the rate on a fine grid.
    customers = [
        responsive_customer("early", 165, 100, 0.2),
        responsive_customer("middle", 150, 100, 0.5),
        responsive_customer("late", 110, 100, 0.5),
    ]
    case = one_hour(customers, subsidy={"rate_max_per_mwh": 60})
    schedule = dispatch.solve(case, variant="responsive_uniform")
    rates = np.linspace(0, 60, 600001)
    demand = sum(
        np.clip((c["flexible_free_mw"] + c["elasticity_mw_per_subsidy"] * rates), 0, c["flexible_max_mw"])
        for c in customers
    )
    assert schedule.objective == pytest.approx(float(((69 - rates) * demand).max()), abs=1e-5)
    assert schedule.certificate.dual_bound_ratio is not None and schedule.certificate.dual_bound_ratio < 0.99


@settings(max_examples=15, deadline=None)
@given(
    utilities=st.lists(st.floats(100, 190), min_size=1, max_size=3),
    slopes=st.lists(st.floats(40, 300), min_size=3, max_size=3),
    upper=st.lists(st.floats(0.05, 0.8), min_size=3, max_size=3),
    top=st.floats(5, 80),
)
def test_uniform_subsidy_is_the_best_of_all_rates(
    utilities: list[float], slopes: list[float], upper: list[float], top: float
) -> None:
    customers = []
    for k, a in enumerate(utilities):
        free = (a - 150) / slopes[k]
        customers.append(responsive_customer(f"c{k}", a, slopes[k], max(upper[k], free + 0.01)))
    case = one_hour(customers, subsidy={"rate_max_per_mwh": top})
    rates = np.linspace(0, top, 20001)
    demand = sum(
        np.clip(c["flexible_free_mw"] + c["elasticity_mw_per_subsidy"] * rates, 0, c["flexible_max_mw"])
        for c in customers
    )
    best = float(((69 - rates) * demand).max())
    schedule = dispatch.solve(case, variant="responsive_uniform")
    assert schedule.objective == pytest.approx(best, rel=2e-4, abs=2e-3)
    assert dispatch.solve(case).objective >= schedule.objective - 1e-4 * max(1.0, schedule.objective)


def shift_case(utility: list[float], spot: list[float], top: float = 200.0, upper: float = 1.0) -> AdnoCase:
    customer = {
        "id": "c",
        "rigid_mw": 0.0,
        "flexible_max_mw": upper,
        "flexible_free_mw": [(a - 150) / 100 for a in utility],
        "elasticity_mw_per_subsidy": 0.01,
    }
    return AdnoCase.from_mapping(
        {
            "network": None,
            "horizon_hours": float(len(spot)),
            "spot_price_per_mwh": spot,
            "retail_price_per_mwh": 150.0,
            "customers": [customer],
            "subsidy": {"rate_max_per_mwh": top},
        },
        name="shift",
    )


def test_shifting_moves_demand_to_the_cheap_hour() -> None:
    # a = 200 twice, b = 100: .5 MW each without subsidy. Moving x to the hour at 60 instead of 100 saves 40 x and needs
    # s = 200 x on .5 + x: 40 x - 200 x (.5 + x) < 0 for every x > 0, so nothing moves; at a spread of 200 x = .125 does.
    idle = dispatch.solve(shift_case([200, 200], [60, 100]), variant="responsive_shiftable")
    assert idle.wide("flexible_mw")["c"].to_list() == pytest.approx([0.5, 0.5], abs=1e-4)
    moved = dispatch.solve(shift_case([200, 200], [0, 150]), variant="responsive_shiftable")
    assert moved.wide("flexible_mw")["c"].to_list() == pytest.approx([0.625, 0.375], abs=1e-4)
    assert moved.wide("subsidy_per_mwh")["c"].to_list() == pytest.approx([25.0, 0.0], abs=1e-2)
    assert moved.objective == pytest.approx(150 * 0.625 - 25 * 0.625, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_shifting_is_the_best_of_all_subsidies(seed: int) -> None:
    """Against a direct search over subsidies, with the follower solved by projection for each."""
    rng = np.random.default_rng(seed)
    utility, spot = rng.uniform(140, 240, 3), rng.uniform(-100, 200, 3)
    case = shift_case(utility.tolist(), spot.tolist(), top=80.0, upper=1.0)
    free = np.clip((utility - 150) / 100, 0, 1)

    def response(rate: np.ndarray) -> np.ndarray:
        low, high = -400.0, 400.0
        for _ in range(45):
            middle = (low + high) / 2
            demand = np.clip((utility - 150 + rate - middle) / 100, 0, 1)
            low, high = (middle, high) if demand.sum() > free.sum() else (low, middle)
        return np.asarray(demand)

    def loss(rate: np.ndarray) -> float:
        demand = response(np.clip(rate, 0, 80))
        return -float(((150 - spot - np.clip(rate, 0, 80)) * demand).sum())

    starts = product((5.0, 40.0), repeat=3)
    options = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 400}
    best = min(minimize(loss, np.array(start), method="Nelder-Mead", options=options).fun for start in starts)
    schedule = dispatch.solve(case, variant="responsive_shiftable")
    assert schedule.objective >= -best - 1e-3
    assert schedule.objective == pytest.approx(-loss(schedule.wide("subsidy_per_mwh")["c"].to_numpy()), abs=1e-3)


def test_printed_follower_pays_the_largest_lump_sum() -> None:
    case = lump_sum_case([printed("a"), printed("b")])
    # Rigid demand earns 2 * 69 = 138 whatever happens.
    schedule = dispatch.solve(case, variant="faithful")
    assert schedule.objective - 69 == pytest.approx(118.0, abs=1e-6)
    assert schedule.wide("lump_sum_per_hour").iloc[0].to_list() == pytest.approx([10.0, 10.0], abs=1e-6)


def test_printed_follower_without_lump_sums() -> None:
    customers = [printed("a"), printed("b")]
    case = one_hour(customers, subsidy={"lump_sum_max_per_hour": 0.0, "elasticity_anchor": "zero"})
    assert dispatch.solve(case, variant="faithful").objective - 69 == pytest.approx(69.0, abs=1e-6)


def test_printed_follower_under_an_import_limit_is_degenerate() -> None:
    # 1.6 MW of the 2 + 1: only .6 MW flexible; any two lump sums that add up to 12 serve.
    customers = [printed("a", rigid_mw=0.5), printed("b", rigid_mw=0.5)]
    schedule = dispatch.solve(lump_sum_case(customers, import_max_mw=1.6), variant="faithful")
    assert schedule.objective == pytest.approx(98.4, abs=1e-6)
    assert schedule.wide("lump_sum_per_hour").iloc[0].sum() == pytest.approx(12.0, abs=1e-6)


def test_customers_fill_cheap_demand_first_against_the_operator() -> None:
    customers = [
        printed("cheap", rigid_mw=0.0, retail_price_per_mwh=140.0),
        printed("dear", rigid_mw=0.0, retail_price_per_mwh=150.0),
    ]
    case = lump_sum_case(customers, import_max_mw=0.6)
    schedule = dispatch.solve(case, variant="faithful")
    demand, lump = schedule.wide("flexible_mw").iloc[0], schedule.wide("lump_sum_per_hour").iloc[0]
    limit = 0.5 + (lump - 10) * 0.05
    # Whatever the limits, the dear customer gets something only once the cheap one is full.
    assert demand["dear"] < 1e-6 or demand["cheap"] == pytest.approx(limit["cheap"], abs=1e-6)
    # Not subsidising the cheap one keeps it from being first: .5 MW at 150 for 10, then .1 MW at 140 for 2.
    assert schedule.objective == pytest.approx(69 * 0.5 - 10 + 59 * 0.1 - 2, abs=1e-6)


def test_merit_order_binds_where_limits_are_given() -> None:
    # Both limits are .5 MW for nothing: the follower takes (.5, .1), the operator would like (.1, .5).
    customers = [
        plain_customer(n, rigid_mw=0.0, flexible_max_mw=0.5, flexible_free_mw=0.5, retail_price_per_mwh=p)
        for n, p in (("cheap", 140.0), ("dear", 150.0))
    ]
    schedule = dispatch.solve(one_hour(customers, import_max_mw=0.6), variant="faithful")
    assert schedule.wide("flexible_mw").iloc[0].to_list() == pytest.approx([0.5, 0.1], abs=1e-6)


def test_pro_rata_shares_what_is_delivered() -> None:
    customers = [printed("a", rigid_mw=0.5), {**printed("b", rigid_mw=0.5), "flexible_max_mw": 1.0}]
    case = one_hour(customers, import_max_mw=1.6, allocation="pro_rata", subsidy={"lump_sum_max_per_hour": 20.0})
    schedule = dispatch.solve(case, variant="faithful")
    demand = schedule.wide("flexible_mw").iloc[0]
    assert demand["b"] == pytest.approx(2 * demand["a"], abs=1e-8)
    assert demand.sum() == pytest.approx(0.6, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(used=st.lists(st.floats(0, 0.5), min_size=3, max_size=3))
def test_every_allocation_satisfies_the_printed_optimality_conditions(used: list[float]) -> None:
    """With one retail price, ``psi = p`` and ``mu = 0`` prove any demand optimal: the bill is fixed by the total."""
    from dispatch.certify import cheapest_fill

    price, upper = np.full(3, 150.0), np.full(3, 0.5)
    least, bound = cheapest_fill(price, upper, float(np.sum(used)))
    assert float(price @ np.array(used)) == pytest.approx(least, abs=1e-9)
    assert bound == pytest.approx(least, abs=1e-9)


def test_larger_elasticity_lowers_demand_only_at_the_printed_anchor() -> None:
    def profit(elasticity: float, anchor: str) -> float:
        customer = plain_customer("c", flexible_max_mw=0.5, elasticity_mw_per_subsidy=elasticity)
        case = one_hour([customer], subsidy={"lump_sum_max_per_hour": 10.0, "elasticity_anchor": anchor})
        return dispatch.solve(case, variant="faithful").objective

    assert profit(0.01, "paper") > profit(0.05, "paper") + 1
    assert profit(0.01, "zero") < profit(0.05, "zero") - 1


@pytest.mark.parametrize("variant", ["responsive_uniform", "responsive_shiftable", "faithful"])
def test_every_variant_is_certified_on_ieee33(variant: str) -> None:
    schedule = dispatch.solve(dispatch.load_case("adno_ieee33"), variant=variant)
    assert schedule.certificate.passed and schedule.gap is not None and schedule.gap <= 1e-4


def test_shiftable_energy_is_what_it_would_be_without_subsidies() -> None:
    case = dispatch.load_case("adno_ieee33")
    schedule = dispatch.solve(case, variant="responsive_shiftable")
    np.testing.assert_allclose(schedule.wide("flexible_mw").sum(), 0.08 * schedule.wide("rigid_mw").sum(), rtol=1e-6)
