"""Settlement: the vectorised merit order equals the linear programme, money is conserved, hand-worked days come out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from dispatch.errors import DispatchError
from dispatch.settlement.linear_program import RecourseProgram, _Columns
from dispatch.settlement.merit_order import dispatch_hours
from dispatch.settlement.problem import FirstStage, Realisations, RecourseAssets
from dispatch.settlement.settle import merit_order_is_optimal, redispatch, settle

FLOWS = ("buy", "sell", "curtail", "shed")


def assets(ramp: float = 10.0, storage: bool = False, minus: float = 0.2, wear: float = 2.0) -> RecourseAssets:
    stores = 1 if storage else 0
    return RecourseAssets(
        gas_min_mw=np.array([0.1, 0.2]),
        gas_max_mw=np.array([0.4, 0.6]),
        gas_cost_per_mwh=np.array([80.0, 95.0]),
        gas_start_cost=np.array([20.0, 20.0]),
        gas_ramp_up_mw=np.array([ramp, ramp]),
        gas_ramp_down_mw=np.array([ramp, ramp]),
        gas_initial_mw=np.zeros(2),
        gas_initial_on=np.zeros(2),
        storage_charge_mw=np.full(stores, 0.5),
        storage_discharge_mw=np.full(stores, 0.5),
        storage_min_mwh=np.full(stores, 0.1),
        storage_max_mwh=np.full(stores, 1.0),
        storage_start_mwh=np.full(stores, 0.5),
        storage_end_min_mwh=np.full(stores, 0.5),
        storage_end_max_mwh=np.full(stores, 1.0),
        storage_efficiency_in=np.full(stores, 0.95),
        storage_efficiency_out=np.full(stores, 0.95),
        storage_wear_per_mwh=np.full(stores, wear),
        storage_loss_per_step=np.zeros(stores),
        imbalance_plus=0.2,
        imbalance_minus=minus,
        shed_cost_per_mwh=2000.0,
    )


def plan(steps: int, purchase: float = 2.0, on: int = 1, stores: int = 0) -> FirstStage:
    return FirstStage(
        purchase_mw=np.full(steps, purchase),
        commitment=np.full((2, steps), float(on)),
        flexible_mw=np.full(steps, 0.2),
        losses_mw=np.full(steps, 0.05),
        charge_mw=np.zeros((stores, steps)),
        discharge_mw=np.zeros((stores, steps)),
        start_cost=40.0,
        subsidy_cost=7.0,
        flexible_income=0.2 * 150.0 * steps,
        income_per_mwh=np.full(steps, 150.0),
    )


def days(count: int, steps: int, seed: int) -> Realisations:
    rng = np.random.default_rng(seed)
    return Realisations(
        price_per_mwh=rng.normal(85.0, 60.0, (count, steps)),
        wind_mw=rng.uniform(0.0, 0.8, (count, steps)),
        load_mw=rng.uniform(1.5, 3.5, (count, steps)),
    )


def test_shortage_is_bought_at_the_imbalance_price_once_cheaper_gas_is_used_up() -> None:
    one = Realisations(np.array([[100.0]]), np.array([[0.5]]), np.array([[3.5]]))
    result = settle(assets(), plan(1, purchase=2.0), one)
    # need 3.5 + 0.2 + 0.05 - 2.0 - 0.5 = 1.25; gas gives 1.0 (80 and 95 below 120), 0.25 is bought at 120
    assert result.bought_mwh[0] == pytest.approx(0.25)
    assert result.gas_cost[0] == pytest.approx(0.4 * 80 + 0.6 * 95)
    assert result.imbalance_cost[0] == pytest.approx(0.25 * 120)
    assert result.purchase_cost[0] == pytest.approx(200.0)
    assert result.income[0] == pytest.approx(3.7 * 150)


def test_surplus_is_sold_below_the_spot_price_and_gas_falls_to_its_minimum() -> None:
    one = Realisations(np.array([[50.0]]), np.array([[0.5]]), np.array([[1.5]]))
    result = settle(assets(), plan(1, purchase=2.0), one)
    # supply 2.0 + 0.5 + 0.3 minimum gas - 1.75 served and lost = 1.05 sold at 40
    assert result.sold_mwh[0] == pytest.approx(1.05)
    assert result.imbalance_cost[0] == pytest.approx(-1.05 * 40)


def test_wind_is_curtailed_rather_than_sold_at_a_negative_price() -> None:
    one = Realisations(np.array([[-30.0]]), np.array([[0.5]]), np.array([[2.0]]))
    result = settle(assets(), plan(1, purchase=2.0), one)
    # without wind: 2.0 + 0.3 - 2.25 = 0.05 too much, which is sold at -36; wind is spilled whole
    assert result.curtailed_mwh[0] == pytest.approx(0.5)
    assert result.imbalance_cost[0] == pytest.approx(0.05 * 36)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), ramp=st.sampled_from([0.1, 0.3, 10.0]), storage=st.booleans())
def test_vectorised_settlement_equals_the_linear_programme(seed: int, ramp: float, storage: bool) -> None:
    sample = days(6, 8, seed)
    first = plan(8, stores=int(storage))
    fast, exact = settle(assets(ramp, storage), first, sample), settle(assets(ramp, storage), first, sample, "lp")
    np.testing.assert_allclose(fast.cost, exact.cost, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(fast.profit, exact.profit, rtol=1e-10, atol=1e-7)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_recourse_energy_balances_in_every_realisation(seed: int) -> None:
    system, first, sample = assets(0.2, storage=True), plan(6, stores=1), days(3, 6, seed)
    program = RecourseProgram(system, 6)
    for k in range(len(sample)):
        day = program.solve(first, sample, k)
        supply = first.purchase_mw + day.buy_mw - day.sell_mw + day.gas_mw.sum(axis=0) + day.discharge_mw.sum(axis=0)
        wind = sample.wind_mw[k] - day.curtail_mw
        use = sample.load_mw[k] - day.shed_mw + first.flexible_mw + first.losses_mw + day.charge_mw.sum(axis=0)
        np.testing.assert_allclose(supply + wind, use, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), storage=st.booleans(), engine=st.sampled_from(["auto", "lp"]))
def test_every_dollar_of_a_random_day_is_paid_for_a_megawatt_hour(seed: int, storage: bool, engine: str) -> None:
    """The books, kept a second time hour by hour from the physical flows alone, and the energy that they are kept for."""
    system, first, sample = assets(0.2, storage), plan(6, stores=int(storage)), days(4, 6, seed)
    done, settled = redispatch(system, first, sample, engine), settle(system, first, sample, engine)
    for k in range(len(sample)):
        cash, stored = -first.start_cost - first.subsidy_cost, 0.5 * storage
        for t in range(6):
            price, flow = sample.price_per_mwh[k, t], {n: getattr(done, f"{n}_mw")[k, t] for n in FLOWS}
            charge, discharge = (float(getattr(done, f"{n}_mw")[k, :, t].sum()) for n in ("charge", "discharge"))
            sold_to_customers = sample.load_mw[k, t] + first.flexible_mw[t] - flow["shed"]
            cash += 150.0 * sold_to_customers - price * first.purchase_mw[t] - 2000.0 * flow["shed"]
            cash += (price - 0.2 * abs(price)) * flow["sell"] - (price + 0.2 * abs(price)) * flow["buy"]
            cash -= 80.0 * done.gas_mw[k, t, 0] + 95.0 * done.gas_mw[k, t, 1]
            cash -= 2.0 * (0.95 * charge + discharge / 0.95)
            stored += 0.95 * charge - discharge / 0.95
            inflow = first.purchase_mw[t] + sample.wind_mw[k, t] - flow["curtail"] + done.gas_mw[k, t].sum() + discharge
            outflow = sold_to_customers + first.losses_mw[t] + charge
            assert inflow + flow["buy"] == pytest.approx(outflow + flow["sell"], abs=1e-6)
        assert settled.profit[k] == pytest.approx(cash, abs=1e-6)
        assert stored >= 0.5 * storage - 1e-6, "a store is handed on as full as it was"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_recourse_never_costs_more_than_keeping_the_plan_of_storage(seed: int) -> None:
    system, first, sample = assets(10.0, storage=True), plan(6, stores=1), days(3, 6, seed)
    idle = settle(assets(10.0), plan(6), sample)
    assert (settle(system, first, sample).cost <= idle.cost + 1e-8).all()


def test_the_linear_programme_agrees_with_an_independent_solver() -> None:
    """One gas unit, one storage, three hours, solved a second time by SciPy on matrices written out by hand."""
    system, first, sample = assets(ramp=0.15, storage=True), plan(3, stores=1), days(4, 3, seed=3)
    settled = settle(system, first, sample, "lp")
    for k in range(len(sample)):
        assert settled.cost[k] == pytest.approx(_scipy_cost(system, first, sample, k), rel=1e-9)


def _scipy_cost(system: RecourseAssets, first: FirstStage, sample: Realisations, k: int) -> float:
    T = first.steps
    buy, sell = system.imbalance_prices(sample.price_per_mwh[k])
    eta = 0.95
    names = ["g0", "g1", "c", "d", "e", "b", "s", "k", "q"]
    at = {name: slice(i * T, (i + 1) * T) for i, name in enumerate(names)}
    n = len(names) * T
    cost, low, high = np.zeros(n), np.zeros(n), np.full(n, np.inf)
    cost[at["g0"]], cost[at["g1"]] = 80.0, 95.0
    cost[at["c"]], cost[at["d"]] = 2.0 * eta, 2.0 / eta
    cost[at["b"]], cost[at["s"]], cost[at["q"]] = buy, -sell, 2000.0
    low[at["g0"]], high[at["g0"]], low[at["g1"]], high[at["g1"]] = 0.1, 0.4, 0.2, 0.6
    high[at["c"]] = high[at["d"]] = 0.5
    low[at["e"]], high[at["e"]] = 0.1, 1.0
    low[at["e"]][-1] = 0.5
    served = sample.load_mw[k] + first.flexible_mw
    high[at["k"]], high[at["q"]] = sample.wind_mw[k], served
    high[at["s"]] = 2.0 + sample.wind_mw[k] + 1.0 + 0.5
    equal, right = np.zeros((2 * T, n)), np.zeros(2 * T)
    eye = np.eye(T)
    for name, sign in (("g0", 1), ("g1", 1), ("d", 1), ("c", -1), ("b", 1), ("s", -1), ("k", -1), ("q", 1)):
        equal[:T, at[name]] = sign * eye
    right[:T] = served + first.losses_mw - first.purchase_mw - sample.wind_mw[k]
    equal[T:, at["e"]] = eye - np.eye(T, k=-1)
    equal[T:, at["c"]], equal[T:, at["d"]] = -eta * eye, eye / eta
    right[T] = 0.5
    ramps, limits = [], []
    for name, initial_jump in (("g0", 0.15), ("g1", 0.2)):
        for t in range(T):
            row = np.zeros(n)
            row[at[name]][t] = 1.0
            if t:
                row[at[name]][t - 1] = -1.0
            limit = 0.15 if t else initial_jump
            ramps += [row, -row]
            limits += [limit, limit if t else 0.15]
    result = linprog(
        cost, np.array(ramps), np.array(limits), equal, right, np.column_stack([low, high]), method="highs"
    )
    assert result.status == 0
    return float(result.fun + sample.price_per_mwh[k] @ first.purchase_mw + first.start_cost + first.subsidy_cost)


def test_merit_order_is_refused_where_a_ramp_binds() -> None:
    sample = days(50, 8, seed=1)
    tight, loose = assets(ramp=0.05), assets(ramp=10.0)
    first = plan(8)
    proved = merit_order_is_optimal(tight, first, sample, dispatch_hours(tight, first, sample))
    assert proved.mean() < 0.2
    assert merit_order_is_optimal(loose, first, sample, dispatch_hours(loose, first, sample)).all()


def test_realisations_that_are_not_numbers_are_refused_with_their_place() -> None:
    values = np.ones((2, 3))
    broken = values.copy()
    broken[1, 2] = np.nan
    with pytest.raises(DispatchError, match="load_mw is not finite at realisation 1, step 2"):
        Realisations(values, values, broken)
    with pytest.raises(DispatchError, match="wind_mw is negative at realisation 0, step 0"):
        Realisations(values, -values, values)


def test_stores_do_not_burn_energy_at_negative_prices() -> None:
    """Without wear, charging and discharging at once would pay 9.75% of the energy at every hour of a negative price."""
    system, first = assets(storage=True, wear=0.0), plan(6, on=0, stores=1)
    sample = Realisations(np.full((1, 6), -60.0), np.zeros((1, 6)), np.full((1, 6), 2.0))
    relaxed = _Columns(system, 6, exclusive=False).solve(first, sample, 0)
    assert np.minimum(relaxed.charge_mw, relaxed.discharge_mw).max() > 0.1
    day = RecourseProgram(system, 6).solve(first, sample, 0)
    assert np.minimum(day.charge_mw, day.discharge_mw).max() <= 1e-9
    assert day.cost > relaxed.cost
    # 0.5 MW charged in some hours at -48 pays 24, discharged in others costs more than it pays: at most the store is filled
    assert settle(system, first, sample).cost[0] >= relaxed.cost + sample.price_per_mwh[0] @ first.purchase_mw


def test_a_price_above_the_value_of_lost_load_sheds_and_loses_the_income() -> None:
    dear = Realisations(np.array([[2000.0]]), np.zeros((1, 1)), np.array([[3.0]]))
    result = settle(assets(), plan(1, purchase=2.0), dear)
    # need 3 + .2 + .05 - 2 - 1 of gas = .25 bought at 2400 or shed at 2000 + 150 of lost income: shed
    assert result.shed_mwh[0] == pytest.approx(0.25)
    assert result.bought_mwh[0] == 0.0
    assert result.income[0] == pytest.approx((3.2 - 0.25) * 150)


def test_real_time_purchase_stays_within_the_import_limit() -> None:
    one = Realisations(np.array([[100.0]]), np.zeros((1, 1)), np.array([[4.0]]))
    limited = replace(assets(), import_max_mw=2.5)
    for engine in ("auto", "lp"):
        result = settle(limited, plan(1, purchase=2.0), one, engine)
        # need 4.25 - 2 - 1 = 1.25: 0.5 may still be bought, 0.75 is shed
        assert result.bought_mwh[0] == pytest.approx(0.5)
        assert result.shed_mwh[0] == pytest.approx(0.75)
