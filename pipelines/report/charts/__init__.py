"""Charts of the report: each function draws one figure and returns a ``Chart`` (inline SVG, caption, text alternative)."""

from pipelines.report.charts.axes import TimeAxis
from pipelines.report.charts.dispatch import dispatch_stack, price_and_dispatch, response_totals, storage_energy
from pipelines.report.charts.forecasts import forecast_fan
from pipelines.report.charts.generic import (
    bars,
    convergence,
    estimates,
    histogram,
    learning_curve,
    lines,
    scatter,
    time_lines,
)
from pipelines.report.charts.heat import time_heatmap
from pipelines.report.charts.layout import tree_layout
from pipelines.report.charts.money import money_waterfall
from pipelines.report.charts.network import FeederDrawing, feeder_map, voltage_band, voltage_profile
from pipelines.report.charts.svg import Chart

__all__ = [
    "Chart",
    "FeederDrawing",
    "TimeAxis",
    "bars",
    "convergence",
    "dispatch_stack",
    "estimates",
    "feeder_map",
    "forecast_fan",
    "histogram",
    "learning_curve",
    "lines",
    "money_waterfall",
    "price_and_dispatch",
    "response_totals",
    "scatter",
    "storage_energy",
    "time_heatmap",
    "time_lines",
    "tree_layout",
    "voltage_band",
    "voltage_profile",
]
