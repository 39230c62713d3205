"""A night's plan on the joint scenarios of its forecasts, and on the page."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dispatch
from forecasting.forecast import Forecast
from pipelines.report.nightly import nightly_page
from pipelines.report.optimize import optimize_page
from pipelines.stages import plan
from pipelines.stages.night import Mode, Night
from pipelines.stages.outcomes import with_outcomes
from tests.pipelines.report_fixtures import ZONE_TIME, delivery_index, forecast, summary

INDEX = delivery_index()
NIGHT = Night("DK_1", INDEX[0], INDEX[0].date(), ZONE_TIME, Mode.MORNING, 60, INDEX)
AREA: Any = SimpleNamespace(sites=["W1"], capacity_mw={"W1": 0.6})
TITLE = "over_the_scenarios_of_the_forecast"


def paths(made: Forecast, shares: list[float]) -> Forecast:
    return replace(made, scenarios=np.outer(shares, made.mean))


def night(shares: list[float]) -> tuple[dispatch.Schedule, dict[str, Forecast]]:
    forecasts = {
        "price": paths(forecast(INDEX), [1.0] * len(shares)),
        "wind W1": paths(forecast(INDEX, "wind"), shares),
        "load": paths(forecast(INDEX, "load"), [1.0] * len(shares)),
    }
    case = dispatch.load_case("microgrids")
    wind = [(forecasts["wind W1"].mean, 0.6)]
    tied = plan.tie_to_day(case, NIGHT, forecasts["price"].mean, wind, forecasts["load"].mean / 4.0, 7.8)
    schedule = dispatch.solve(tied, variant="grid_tariffs")
    price = forecasts["price"].mean
    return with_outcomes(schedule, case, NIGHT, forecasts, price, AREA, 4.0, 7.8), forecasts


def test_paths_that_are_the_mean_bring_what_was_planned() -> None:
    schedule, forecasts = night([1.0, 1.0])
    table = schedule.extras[TITLE].set_index("party")
    assert table["mean"].to_dict() == pytest.approx(table["planned"].to_dict(), rel=1e-6, abs=1e-3)
    assert (table["days"] == 2).all()
    page = nightly_page(forecasts, {}, schedule, None, summary(), ZONE_TIME)
    titles = [section.title for section in page.sections]
    assert {"Prices offered", "Over the scenarios of the forecast"} <= set(titles)


def test_less_wind_makes_a_microgrid_pay_more() -> None:
    table = night([0.2, 1.0])[0].extras[TITLE].set_index("party")
    assert (table.loc[["mg1", "mg2", "mg3"], "mean"] < table.loc[["mg1", "mg2", "mg3"], "planned"]).all()


def test_a_night_without_paths_and_a_market_that_cannot_settle_keep_their_plan() -> None:
    schedule, forecasts = night([])
    assert TITLE not in schedule.extras
    adno = replace(schedule, market="adno")
    made = {name: paths(one, [1.0]) for name, one in forecasts.items()}
    assert (
        with_outcomes(adno, dispatch.load_case("microgrids"), NIGHT, made, made["price"].mean, AREA, 4.0, 7.8) is adno
    )


def test_the_tariffs_of_an_operator_are_drawn_between_those_of_the_grid() -> None:
    schedule = dispatch.solve(dispatch.load_case("microgrids"), variant="grid_tariffs")
    sections = {section.title: section for section in optimize_page(schedule).sections}
    assert sections["Prices offered"].lead == (
        "Whoever buys pays less than the grid asks in 0 of 24 steps; whoever sells gets more than the grid pays in 0."
    )
    assert [chart.title for chart in sections["Prices offered"].figures] == [
        "Tariffs offered and the grid's own around them"
    ]
    assert "Tariff" not in sections  # drawn once
