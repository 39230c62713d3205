"""A plan's prices on other days than the one it was made for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import dispatch
from dispatch.case_microgrids import MicrogridsCase
from dispatch.errors import OptionError
from dispatch.outcomes import outcome_table, outcomes
from tests.dispatch.microgrid_cases import TURBINE, game


def windy_hour() -> MicrogridsCase:
    """One hour: a deficit of 4 MW with a turbine, a surplus of 3 MW of wind."""
    grids: list[dict[str, Any]] = [
        {"id": "deficit", "load_mw": [4.0], "turbine": TURBINE},
        {"id": "surplus", "load_mw": [0.5], "wind_mw": [3.5]},
    ]
    return game(grids, [1.2], [0.4])


@pytest.fixture(scope="module")
def schedule() -> dispatch.Schedule:
    return dispatch.solve(windy_hour())


def test_the_planned_day_brings_what_was_planned(schedule: dispatch.Schedule) -> None:
    money = outcomes(schedule, [windy_hour()])
    assert money.loc[0].to_dict() == pytest.approx(
        {party: sum(items.values()) for party, items in schedule.money.items()}, abs=1e-5
    )


def test_less_wind_costs_the_operator_what_it_must_buy(schedule: dispatch.Schedule) -> None:
    # Tariffs 1.06 and .4 stand, 3 MW are sold; one of the 3 MW bought at .4 now comes from the grid at 1.2.
    calm = windy_hour().with_inputs(wind_mw={"surplus": [2.5]})
    money = outcomes(schedule, [calm])
    assert money["operator"][0] == pytest.approx(3 * 1.06 - 2 * 0.4 - 1.2, abs=1e-4)
    assert money["surplus"][0] == pytest.approx(2 * 0.4, abs=1e-5)


def test_the_table_holds_mean_and_range(schedule: dispatch.Schedule) -> None:
    days = [windy_hour().with_inputs(wind_mw={"surplus": [wind]}) for wind in np.linspace(2.5, 3.5, 5)]
    table = outcome_table(schedule, outcomes(schedule, days)).set_index("party")
    assert table.loc["operator", "planned"] == pytest.approx(1.98, abs=1e-5)
    assert table.loc["operator", "mean"] == pytest.approx(1.98 - 0.5 * 0.8, abs=1e-4)
    assert (table["one_day_in_20_below"] <= table["mean"]).all() and (
        table["mean"] <= table["one_day_in_20_above"]
    ).all()


def test_a_market_or_a_day_that_does_not_fit_is_refused(schedule: dispatch.Schedule) -> None:
    with pytest.raises(OptionError, match="market adno has no settle"):
        outcomes(replace(schedule, market="adno"), [])
    with pytest.raises(OptionError, match="is of market adno, but the schedule is of microgrids"):
        outcomes(schedule, [dispatch.load_case("adno_ieee33")])
