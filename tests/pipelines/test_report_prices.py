"""The section of offered prices on the page of a solved market."""

from __future__ import annotations

import pandas as pd
import pytest

import dispatch
from pipelines.report.optimize import optimize_page
from pipelines.report.price_sections import price_section
from pipelines.report.schedule_view import ScheduleView
from pipelines.stages.pages import network_view
from tests.dispatch.soft_open_point_cases import some_hours
from tests.pipelines.report_fixtures import schedule


def test_prices_of_parks_are_drawn_once_and_within_their_limits() -> None:
    solved = dispatch.solve(dispatch.load_case("industrial_parks"))
    section = price_section(ScheduleView(solved), None)
    assert section is not None and len(section.figures) == 1
    assert (
        section.lead == "Park1: 7 steps at the floor, 7 at the ceiling; park2: 3 steps at the floor, 12 at the ceiling."
    )
    titles = [chart.title for part in optimize_page(solved).sections for chart in part.figures]
    assert sum("price, RMB/MWh" in title for title in titles) == 0  # drawn by this section alone


@pytest.mark.parametrize("method", ["exact", "best_response"])
def test_cleared_prices_are_drawn_beside_fixed_ones(method: str) -> None:
    solved = dispatch.solve(dispatch.load_case("energy_clearing"), method=method)
    sections = {section.title: section for section in optimize_page(solved).sections}
    assert [chart.title for chart in sections["Prices offered"].figures] == [
        "Electricity: cleared and fixed price",
        "Heat: cleared and fixed price",
    ]
    assert ("Convergence" in sections) == (method == "best_response")
    stack = sections["Dispatch"].figures[0]
    assert "solar" in stack.caption


def test_prices_for_prosumers_stand_beside_the_grid_s_and_gains_are_drawn() -> None:
    case = some_hours((12, 18), buses=[18, 33])
    solved = dispatch.solve(case, variant="grid_price")
    section = price_section(ScheduleView(solved), None)
    assert section is not None
    assert section.lead == "Offered: 0 of 2 steps at the grid's sale price, 2 at its purchase price."
    page = optimize_page(solved, **network_view(case, solved))
    sections = {section.title: section for section in page.sections}
    assert sections["Against grid price"].lead == "No party is worse off than in the baseline."
    assert [chart.title for chart in sections["Against grid price"].figures] == ["Gain against grid price"]
    assert "converter18 (converter) at bus 18" in sections["Network"].figures[-1].description
    assert "prosumer6 (prosumer) at bus 6" in sections["Network"].figures[-1].description
    off = dispatch.solve(case, variant="grid_price_without_soft_open_point")
    assert {kind for _, kind, _ in network_view(case, off)["assets"]} == {"prosumer", "storage"}


def test_markets_without_offered_prices_have_no_such_section() -> None:
    assert price_section(ScheduleView(schedule(pd.RangeIndex(24))), None) is None
