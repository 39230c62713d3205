"""The section of offered prices on the page of a solved market."""

from __future__ import annotations

import pandas as pd
import pytest

import dispatch
from pipelines.report.optimize import optimize_page
from pipelines.report.price_sections import price_section
from pipelines.report.schedule_view import ScheduleView
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


def test_markets_without_offered_prices_have_no_such_section() -> None:
    assert price_section(ScheduleView(schedule(pd.RangeIndex(24))), None) is None
