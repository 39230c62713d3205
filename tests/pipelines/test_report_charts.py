"""Charts: market time on the axis, units, text alternatives, and drawings that hold for any day length."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.network.feeder import load_feeder, random_feeder
from pipelines.report.charts import (
    TimeAxis,
    dispatch_stack,
    feeder_map,
    forecast_fan,
    lines,
    money_waterfall,
    scatter,
    time_heatmap,
    tree_layout,
)
from pipelines.report.charts.forecasts import central_bands
from pipelines.report.charts.theme import INKS
from pipelines.report.schedule_view import ScheduleView, assets_of, feeder_drawing
from pipelines.report.words import instant, money, number, quantity_name, quantity_unit
from tests.pipelines.report_fixtures import ASSETS, ZONE_TIME, delivery_index, schedule

DAYS = [
    ("2024-03-31", 60, 23),
    ("2024-06-27", 60, 24),
    ("2024-10-27", 60, 25),
    ("2024-03-31", 15, 92),
    ("2024-10-27", 15, 100),
]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


@pytest.mark.parametrize(("day", "minutes", "steps"), DAYS)
def test_the_axis_is_market_time_on_days_of_any_length(day: str, minutes: int, steps: int) -> None:
    index = delivery_index(day, minutes)
    assert len(index) == steps
    axis = TimeAxis.of(index, minutes / 60, ZONE_TIME)
    assert axis.edges[-1] == pytest.approx(steps * minutes / 60)
    assert axis.tick_labels == ("00:00", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00")
    lost_or_won = steps * minutes / 60 - 24
    assert axis.ticks[1] == 3 + lost_or_won
    assert len(axis.clock_changes) == (1 if lost_or_won else 0)
    assert len(set(axis.step_names)) == steps, "the hour that comes twice is told apart by its zone"


def test_a_case_without_dates_counts_its_hours() -> None:
    axis = TimeAxis.of(pd.RangeIndex(96), 0.25)
    assert axis.label == "hour of the case"
    assert axis.edges[-1] == 24
    assert axis.step_names[5] == "hour 1.25"


def test_a_year_is_labelled_by_dates() -> None:
    axis = TimeAxis.of(pd.date_range("2024-01-01", periods=8760, freq="h", tz="UTC"), 1.0, ZONE_TIME)
    assert len(axis.ticks) <= 8
    assert len(axis.clock_changes) == 2


@pytest.mark.parametrize(("day", "minutes", "steps"), DAYS)
def test_a_dispatch_stack_names_each_source_and_its_unit(day: str, minutes: int, steps: int) -> None:
    view = ScheduleView(schedule(delivery_index(day, minutes), minutes / 60))
    chart = dispatch_stack(view.axis(ZONE_TIME), view.supply_mw(), view.use_mw(), view.load_mw())
    assert {"grid import", "gas", "wind", "storage discharge", "storage charge", "load", "power, MW"} <= set(
        texts(chart.svg)
    )
    energy = view.energy_mwh(view.supply_mw()["wind"])
    assert f"wind {number(energy)} MWh" in chart.caption


def test_drawn_text_is_text_and_colours_follow_the_page() -> None:
    chart = money_waterfall({"sales": 300.0, "fuel": -120.5}, "EUR", "Money", "profit")
    assert {"sales", "fuel", "profit", "300.00", "\N{MINUS SIGN}120.50", "179.50"} <= set(texts(chart.svg))
    assert "font-family" not in chart.svg
    assert set(re.findall(r"var\(--(\w+)", chart.svg)) <= set(INKS)
    assert f"var(--good,{INKS['good'].light})" in chart.svg
    assert "179.50 EUR" in chart.caption


def test_dollar_signs_and_markup_in_names_are_drawn_as_they_are() -> None:
    chart = money_waterfall({"$x_{1$ <b>&": 1.0}, "US$", "M", "total")
    assert "$x {1$ <b>&" in texts(chart.svg)


def test_the_same_data_gives_the_same_drawing() -> None:
    first, second = (money_waterfall({"a": 1.0, "b": -0.5}, "EUR", "Money") for _ in range(2))
    assert first == second


def test_the_fan_says_how_often_the_actual_was_inside() -> None:
    axis = TimeAxis.of(pd.RangeIndex(4), 1.0)
    mean = np.array([10.0, 20.0, 30.0, 40.0])
    quantiles = mean[:, None] + np.array([-5.0, 0.0, 5.0])
    actual = np.array([12.0, 28.0, 30.0, np.nan])
    chart = forecast_fan("Price", axis, mean, (0.05, 0.5, 0.95), quantiles, {"actual": actual}, "price", "EUR/MWh")
    assert "2 of 3 steps inside the 90% interval" in chart.caption
    assert f"{number(10 / 3)} EUR/MWh" in chart.caption
    assert {"90% interval", "forecast", "actual", "price, EUR/MWh"} <= set(texts(chart.svg))


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(1, 49), min_size=0, max_size=12))
def test_interval_bands_are_symmetric_and_nested(percent: set[int]) -> None:
    levels = tuple(sorted([*(p / 100 for p in percent), 0.5, *(1 - p / 100 for p in percent)]))
    bands = central_bands(levels)
    assert (len(percent) > 0) <= len(bands) <= min(3, len(percent))
    assert all(levels[low] + levels[high] == pytest.approx(1) for low, high in bands)
    assert all(outer[0] < inner[0] and outer[1] > inner[1] for outer, inner in pairwise(bands))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 80), st.integers(0, 10_000))
def test_a_feeder_without_places_is_laid_out_without_overlap(buses: int, seed: int) -> None:
    feeder = random_feeder(buses, seed)
    branches = [(str(a), str(b)) for a, b in feeder.line_keys]
    places = tree_layout(branches, str(feeder.root))
    assert len(places) == len(set(places.values())) == buses
    assert all(places[b][0] == places[a][0] + 1 for a, b in branches)


def test_the_map_shows_every_bus_its_voltage_and_every_asset() -> None:
    feeder = load_feeder("ieee33")
    drawing = feeder_drawing(feeder)
    voltage = {bus: 1.0 - int(bus) / 400 for bus in drawing.buses}
    chart = feeder_map(drawing, voltage, ASSETS, "18:00", (0.93, 1.1), {("1", "2"): 3.9})
    shown = texts(chart.svg)
    assert {str(bus) for bus in range(1, 34)} <= set(shown)
    assert [shown.count(letter) for letter in "GWS"] == [4, 4, 3], "one mark for each asset and one in the legend"
    hints = [e.text for e in ElementTree.fromstring(chart.svg).iter("title")]
    assert "bus 18: 0.9550 p.u." in hints
    assert "line 1 to 2: 3.900 MW" in hints
    assert "Lowest: bus 33" in chart.caption
    assert "gas_9 (gas) at bus 9" in chart.description


def test_a_case_tells_where_its_assets_are() -> None:
    class Unit:
        def __init__(self, id: str, bus: int) -> None:
            self.id, self.bus = id, bus

    class Parks:
        wind = (Unit("w", 4),)
        storage = (Unit("s", 1),)

    assert assets_of(Parks()) == [("w", "wind", "4"), ("s", "storage", "1")]


def test_a_heat_map_names_the_highest_cell() -> None:
    values = pd.DataFrame({"7": [0.0, 1.0], "9": [2.0, 5.5]})
    chart = time_heatmap(TimeAxis.of(pd.RangeIndex(2), 1.0), values, "Subsidy", "EUR/MWh", "customer")
    assert "the highest is customer 9 at hour 1" in chart.caption
    assert "data:image/png;base64" in chart.svg


def test_a_logarithmic_axis_is_written_in_plain_figures() -> None:
    chart = lines(np.arange(4.0), {"gap": np.array([1.0, 1e-2, 1e-4, 1e-6])}, "Gap", "round", "gap", "", log_y=True)
    assert "0.01" in texts(chart.svg)
    assert not [text for text in texts(chart.svg) if "$" in text]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234567, "1,234,567"), (5746.019, "5,746"), (0.0, "0"), (None, "n/a"), (float("nan"), "n/a"),
     (-0.05, "\N{MINUS SIGN}0.050"), (3.1e-9, "3.1e-09"), (True, "yes"), ("text", "text"), (float("inf"), "inf")],
)  # fmt: skip
def test_numbers_read_well(value: object, shown: str) -> None:
    assert number(value) == shown


def test_money_units_and_instants_read_well() -> None:
    assert money(-1234.5, "EUR") == "\N{MINUS SIGN}1,234.50 EUR"
    assert money(-0.001, "EUR") == "0.00 EUR"
    assert quantity_unit("subsidy_per_mwh", "DKK") == "DKK/MWh"
    assert quantity_name("curtailed_power_mw") == "curtailed power"
    assert instant("2024-06-26T09:00:00+00:00", ZONE_TIME) == "26 Jun 2024 11:00 CEST"
    assert instant("yesterday's file", ZONE_TIME) == "yesterday's file"
    assert instant(None, ZONE_TIME) == "n/a"


def test_a_scatter_plot_keeps_every_point_and_the_line_of_equality() -> None:
    x = np.array([1.0, 2.0, 3.0])
    svg = ElementTree.fromstring(
        scatter(x, 2 * x, "Forecast against actual", "forecast, MW", "actual, MW", "c", diagonal=True).svg
    )
    assert sum(element.tag == "use" and "stroke" not in (element.get("style") or "") for element in svg.iter()) >= 3
    assert sum("stroke-dasharray" in (element.get("style") or "") for element in svg.iter()) == 1
