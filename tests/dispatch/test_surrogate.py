"""Search by asking: sampling, Kriging, and the methods against the certified optimum."""

from __future__ import annotations

import numpy as np
import pytest

import dispatch
from dispatch.case_microgrids import MicrogridsCase, Search
from dispatch.markets.microgrids_inputs import market_inputs
from dispatch.markets.microgrids_search import respondent, search
from dispatch.surrogate.kriging import TariffKriging
from dispatch.surrogate.paper_loop import PaperKrigingSearch, PaperRule
from dispatch.surrogate.record import CallRecord
from dispatch.surrogate.swarm import heuristic_maximum
from dispatch.surrogate.tariffs import TariffSpace
from dispatch.surrogate.trust_region import KrigingSearch, RegionRule
from tests.dispatch.microgrid_cases import deficit_and_surplus


def space(steps: int = 24) -> TariffSpace:
    return TariffSpace(np.full(steps, 0.4), np.full(steps, 1.2))


def test_the_sample_is_uniform_on_the_triangle() -> None:
    # Density 2 on sell <= buy: buy has mean 2/3 and sell 1/3, each with variance 1/18.
    points = space().latin_hypercube(4000, np.random.default_rng(0))
    buy, sell = points[:, :24], points[:, 24:]
    assert (sell <= buy).all()
    assert (buy.mean(), sell.mean()) == pytest.approx((2 / 3, 1 / 3), abs=0.003)
    assert (buy.var(), sell.var()) == pytest.approx((1 / 18, 1 / 18), abs=0.002)


def test_corners_hold_the_grid_tariffs() -> None:
    buy, sell = space().tariffs(space().corners()[0])
    np.testing.assert_allclose(buy, 1.2)
    np.testing.assert_allclose(sell, 0.4)


def test_blocks_follow_the_grid_tariffs_or_are_even() -> None:
    steps = np.repeat([0.4, 0.8, 1.2, 0.8], 6)
    assert TariffSpace(0.5 * steps, steps).blocks().tolist() == np.repeat(range(4), 6).tolist()
    assert space().blocks().tolist() == np.repeat(range(6), 4).tolist()
    assert space(1).blocks().tolist() == [0]


def test_kriging_interpolates_its_sample_and_predicts_between() -> None:
    rng = np.random.default_rng(1)
    points = space(2).latin_hypercube(60, rng)

    def answer(z: np.ndarray) -> np.ndarray:
        own = z[:, :2] - 0.5 * z[:, 2:] ** 2
        return np.stack([own + 0.1 * own[:, ::-1], 2.0 - own], axis=1)

    model = TariffKriging.fitted(points, answer(points))
    np.testing.assert_allclose(model.predict(points), answer(points), atol=2e-3)
    fresh = space(2).latin_hypercube(200, rng)
    error = model.predict(fresh) - answer(fresh)
    assert np.sqrt((error**2).mean()) < 0.02


@pytest.mark.parametrize("algorithm", ["pso", "ga"])
def test_the_swarm_climbs_and_repeats_itself(algorithm: str) -> None:
    def hill(points: np.ndarray) -> np.ndarray:
        return np.asarray(-((points - 0.3) ** 2).sum(axis=1))

    box = np.zeros(4), np.ones(4)
    start = np.full((1, 4), 0.9)
    first, second = (heuristic_maximum(hill, *box, start, 60, 7, algorithm) for _ in range(2))  # type: ignore[arg-type]
    assert hill(first[None])[0] > -2e-3
    np.testing.assert_array_equal(first, second)


def test_kriging_reaches_the_hand_worked_optimum() -> None:
    case = deficit_and_surplus().model_copy(update={"search": Search(calls=40)})
    schedule = dispatch.solve(case, method="kriging")
    assert schedule.objective == pytest.approx(1.98, rel=0.01)
    assert schedule.certificate.passed and schedule.certificate.mip_gap is None


def tiny_record(calls: int) -> CallRecord:
    case = deficit_and_surplus()
    inputs = market_inputs(case)
    tariffs = TariffSpace(inputs.feed_in, inputs.grid_buy)
    return CallRecord(tariffs, respondent(case, inputs), inputs.profits, calls)


def test_the_plain_loop_of_the_paper_reaches_it_too() -> None:
    # Two tariffs: 18 first points, then rounds of at most five.
    record = tiny_record(40)
    PaperKrigingSearch(record, 0, PaperRule(generations=15)).run()
    assert 18 < record.calls <= 40
    assert record.profits.max() == pytest.approx(1.98, rel=0.01)


def test_the_paper_loop_is_an_option_of_the_case() -> None:
    case = deficit_and_surplus().model_copy(update={"search": Search(calls=20, kriging="paper")})
    record = search(case, market_inputs(case), "kriging", seed=0)
    corners = record.space.corners()
    np.testing.assert_array_equal(record.points[: len(corners)], corners)
    assert record.calls == 20


def test_a_search_that_stands_still_ends_before_its_calls_are_used() -> None:
    record = tiny_record(2000)
    KrigingSearch(record, 0, RegionRule(patience=3, generations=5)).run()
    best = np.maximum.accumulate(record.profits)
    assert record.calls < 300
    assert best[-1] <= best[-7] * (1 + 1e-4)  # three rounds of two answers or more


@pytest.mark.parametrize("method", ["pso", "ga"])
def test_heuristics_report_calls_and_stay_below_the_certified_bound(method: str) -> None:
    case = deficit_and_surplus().model_copy(update={"search": Search(calls=60)})
    schedule = dispatch.solve(case, method=method)
    assert 1.70 <= schedule.objective <= 1.98 + 1e-6
    assert schedule.bound == pytest.approx(1.98, abs=1e-4)
    record = schedule.extras["convergence"]
    assert record["calls"].iloc[-1] == 60 and record["best_profit"].is_monotonic_increasing
    assert "60 tariffs" in schedule.notes[0]


def test_a_search_repeats_itself_with_its_seed() -> None:
    case = deficit_and_surplus().model_copy(update={"search": Search(calls=30)})
    first, second = (search(case, market_inputs(case), "kriging", seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.points, second.points)


@pytest.mark.slow
def test_kriging_finds_most_of_the_full_case_in_few_calls() -> None:
    case = dispatch.load_case("microgrids")
    assert isinstance(case, MicrogridsCase)
    case = case.model_copy(update={"search": Search(calls=200)})
    record = search(case, market_inputs(case), "kriging", seed=0)
    assert record.calls <= 200
    assert 0.92 * 2322.93 <= record.profits.max() <= 2323.2
