"""Microgrids cases: every fault at once and in the user's words, and other days by ``with_inputs``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dispatch
from dispatch.case_microgrids import MicrogridsCase
from dispatch.errors import CaseError
from tests.dispatch.microgrid_cases import RICH, TURBINE, game


def two_hours(**values: Any) -> dict[str, Any]:
    return {
        "horizon_hours": 2,
        "grid_buy_per_mwh": [1.0, 1.0],
        "feed_in_per_mwh": [0.4, 0.4],
        "microgrids": [
            {
                "id": "a",
                "load_mw": [1.0, 1.0],
                "trade_limit_mw": 2.0,
                "turbine": dict(TURBINE),
                "battery": dict(RICH["battery"]),
            }
        ],
        **values,
    }


def grid(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["microgrids"][0].update(values)


FAULTS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda d: d.update(feed_in_per_mwh=[0.4, 1.2]), r"step 1: feed_in_per_mwh 1.2 is above grid_buy_per_mwh 1"),
    (lambda d: d.update(feed_in_per_mwh=[0.4, -0.1]), r"step 1: feed_in_per_mwh -0.1 is negative"),
    (lambda d: d.update(grid_buy_per_mwh=[1.0]), r"grid_buy_per_mwh: 1 values, but 2 hours have 2 steps"),
    (lambda d: d.update(microgrids=d["microgrids"] * 2), r"microgrid id 'a' is used 2 times"),
    (lambda d: d.update(microgrids=[]), r"microgrids: the list is empty"),
    (grid(net_load_mw=[1.0, 1.0]), r"give either 'load_mw' .* or 'net_load_mw'"),
    (grid(load_mw=[1.0, 9.0]), r"microgrid 'a', step 1: net load of 9.000 MW cannot be served: trade limit 2 \+ turbine 6"),
    (grid(load_mw=[1000.0, 1000.0]), r"a load of 1000 MW is 500 times trade_limit_mw 2; was it given in kW"),
    (lambda d: d["microgrids"][0]["battery"].update(energy_start_mwh=0.95), r"cannot return to its start"),
    (lambda d: d["microgrids"][0]["turbine"].update(power_max=3), r"no such key; did you mean 'power_max_mw'"),
    (lambda d: d.update(search={"services": [{"microgrid": "b", "url": "http://h"}]}), r"no microgrid 'b'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), FAULTS)
def test_a_fault_is_named(change: Callable[[dict[str, Any]], Any], words: str) -> None:
    data = two_hours()
    MicrogridsCase.from_mapping(data)
    change(data)
    with pytest.raises(CaseError, match=words):
        MicrogridsCase.from_mapping(data)


def test_all_faults_come_at_once() -> None:
    data = two_hours(feed_in_per_mwh=[0.4])
    data["microgrids"][0]["load"] = data["microgrids"][0].pop("load_mw")
    data["microgrids"][0]["battery"]["energy_start_mwh"] = 5.0
    with pytest.raises(CaseError) as caught:
        MicrogridsCase.from_mapping(data)
    assert len(caught.value.faults) == 3


def test_a_ramp_that_cannot_follow_the_load_is_found() -> None:
    slow = {**TURBINE, "ramp_up_mw_per_hour": 0.5, "ramp_down_mw_per_hour": 0.5}
    with pytest.raises(CaseError, match=r"at least 0.500 MWh of its load cannot be served"):
        game([{"id": "a", "net_load_mw": [0.0, 5.0], "trade_limit_mw": 2.0, "turbine": slow}], [1.0, 1.0], [0.4, 0.4])


def test_a_forecast_day_of_quarter_hours() -> None:
    case = dispatch.load_case("microgrids")
    assert isinstance(case, MicrogridsCase)
    index = pd.date_range("2025-03-29T23:00", periods=92, freq="15min", tz="UTC")
    price = 400 + 300 * np.sin(np.arange(92) / 15)
    wind = {site.id: np.full(92, 0.5 * site.capacity_mw) for site in case.wind}
    tied = case.with_inputs(spot_price_per_mwh=price, load_mw=np.full(92, 5.0), wind_mw=wind, index=index)
    assert (tied.steps, tied.step_hours) == (92, 0.25)
    assert tied.feed_in_per_mwh[0] == pytest.approx(0.5 * price[0])
    assert sum(grid.load_mw[0] for grid in tied.microgrids if grid.load_mw) == pytest.approx(5.0)
    schedule = dispatch.solve(tied, variant="grid_tariffs")
    assert schedule.certificate.passed
    assert schedule.wide("exchange_mw").shape == (92, 3)


def test_series_of_unknown_microgrids_are_refused() -> None:
    case = dispatch.load_case("microgrids")
    assert isinstance(case, MicrogridsCase)
    with pytest.raises(CaseError, match=r"wind_mw: no microgrid 'mg9'"):
        case.with_inputs(wind_mw={"mg9": np.ones(24)})


def test_negative_prices_feed_in_for_nothing() -> None:
    case = dispatch.load_case("microgrids")
    assert isinstance(case, MicrogridsCase)
    tied = case.with_inputs(spot_price_per_mwh=np.linspace(-50.0, 500.0, 24))
    assert tied.feed_in_per_mwh[0] == 0.0
    assert dispatch.solve(tied, variant="grid_tariffs").certificate.passed
