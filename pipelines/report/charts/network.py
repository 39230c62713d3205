"""The feeder: voltages over the day, along the buses, and on the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from pipelines.report.charts.axes import TimeAxis, frame, legend_on_top, step_band, steps, unit
from pipelines.report.charts.heat import colour_bar
from pipelines.report.charts.svg import Chart, canvas
from pipelines.report.charts.theme import TICK_PX, C
from pipelines.report.words import number

FloatArray = NDArray[np.float64]

#: Letter and colour of each kind of asset on the map.
ASSET_MARKS: dict[str, tuple[str, str]] = {
    "gas": ("G", "gas"),
    "wind": ("W", "wind"),
    "storage": ("S", "storage"),
    "solar": ("P", "solar"),
    "pv": ("P", "solar"),
    "converter": ("C", "accent"),
    "prosumer": ("P", "heat"),
    "microgrid": ("M", "heat"),
    "park": ("K", "heat"),
}


@dataclass(frozen=True)
class FeederDrawing:
    """A radial feeder to draw: bus names, branches as pairs of buses, and a place for each bus in the plane."""

    buses: tuple[str, ...]
    branches: tuple[tuple[str, str], ...]
    positions: Mapping[str, tuple[float, float]]
    root: str


def voltage_band(axis: TimeAxis, voltage_pu: pd.DataFrame, limits_pu: tuple[float, float] | None) -> Chart:
    """Lowest, mean and highest bus voltage in each step, with the limits."""
    values = voltage_pu.to_numpy(dtype=float)
    low, high = values.min(axis=1), values.max(axis=1)
    with canvas() as sheet:
        ax = sheet.figure.add_subplot()
        step_band(ax, axis.edges, low, high, color=C["grid"], alpha=0.28, label="all buses")
        steps(ax, axis.edges, values.mean(axis=1), color=C["grid"], label="mean")
        steps(ax, axis.edges, low, color=C["gas"], linewidth=1.5, label="lowest bus")
        _limits(ax, limits_pu)
        axis.apply(ax)
        unit(ax, "voltage, p.u.")
        frame(sheet.figure, left=50, top=legend_on_top(sheet.figure, ax))
        step, bus = np.unravel_index(int(values.argmin()), values.shape)
        caption = (
            f"Lowest voltage {number(low.min(), 5)} p.u. at bus {voltage_pu.columns[bus]}, {axis.step_names[step]}; "
            f"highest {number(high.max(), 5)} p.u."
        )
        if limits_pu is not None:
            caption += f" Limits {number(limits_pu[0])} to {number(limits_pu[1])} p.u."
        return sheet.chart("Voltages over the day", caption)


def voltage_profile(axis: TimeAxis, voltage_pu: pd.DataFrame, limits_pu: tuple[float, float] | None) -> Chart:
    """Voltage of every bus at the step with the lowest one, with each bus's range over the day."""
    values = voltage_pu.to_numpy(dtype=float)
    worst = int(values.min(axis=1).argmin())
    place = np.arange(values.shape[1])
    with canvas() as sheet:
        ax = sheet.figure.add_subplot()
        ax.vlines(
            place,
            values.min(axis=0),
            values.max(axis=0),
            color=C["grid"],
            alpha=0.35,
            linewidth=5,
            label="range over the day",
        )
        ax.plot(place, values[worst], "o", color=C["gas"], markersize=4.5, label=axis.step_names[worst])
        _limits(ax, limits_pu)
        every = max(1, int(np.ceil(len(place) / 17)))
        ax.set_xticks(place[::every], [str(c) for c in voltage_pu.columns[::every]])
        ax.set_xlabel("bus")
        unit(ax, "voltage, p.u.")
        frame(sheet.figure, left=50, top=legend_on_top(sheet.figure, ax))
        below = int((values[worst] < limits_pu[0] - 1e-6).sum()) if limits_pu else 0
        caption = f"The lowest voltage is at {axis.step_names[worst]}"
        caption += f"; {below} of {len(place)} buses are below the limit." if limits_pu else "."
        return sheet.chart("Voltage along the feeder", caption)


def _limits(ax: object, limits_pu: tuple[float, float] | None) -> None:
    if limits_pu is None:
        return
    bottom, top = ax.get_ylim()  # type: ignore[attr-defined]
    for position, limit in enumerate(limits_pu):
        if bottom - 0.03 <= limit <= top + 0.03:
            label = "limit" if position == 0 else None
            ax.axhline(limit, color=C["bad"], linewidth=1.2, linestyle="--", label=label)  # type: ignore[attr-defined]


def feeder_map(
    drawing: FeederDrawing,
    voltage_pu: Mapping[str, float],
    assets: Sequence[tuple[str, str, str]],
    when: str,
    limits_pu: tuple[float, float] | None = None,
    flow_mw: Mapping[tuple[str, str], float] | None = None,
) -> Chart:
    """Buses coloured by voltage, branches as wide as their flow, assets marked by a letter.

    voltage_pu: bus to voltage; assets: (name, kind, bus); flow_mw: branch (sending, receiving bus) to active power.
    """
    shown = [voltage_pu[bus] for bus in drawing.buses if bus in voltage_pu]
    low, high = (min(shown), max(shown)) if shown else (1.0, 1.0)
    scale, colours = Normalize(low, max(high, low + 1e-4)), colormaps["cividis"]
    widest = max((abs(f) for f in (flow_mw or {}).values()), default=0.0)
    with canvas(430, 1000) as sheet:
        ax = sheet.figure.add_axes((0.01, 0.01, 0.98, 0.84))
        ax.axis("off")
        for sending, receiving in drawing.branches:
            (x0, y0), (x1, y1) = drawing.positions[sending], drawing.positions[receiving]
            flow = (flow_mw or {}).get((sending, receiving))
            width = 1.5 + (5.0 * abs(flow) / widest if flow is not None and widest > 0 else 0.0)
            (line,) = ax.plot([x0, x1], [y0, y1], color=C["muted"], linewidth=width, alpha=0.55, zorder=1)
            told = f": {number(flow)} MW" if flow is not None else ""
            sheet.hint(line, f"line {sending} to {receiving}{told}")
        for bus in drawing.buses:
            x, y = drawing.positions[bus]
            value = voltage_pu.get(bus)
            face = C["surface"] if value is None else colours(scale(value))
            dark_face = value is not None and scale(value) < 0.55
            shape = "s" if bus == drawing.root else "o"
            below = value is not None and limits_pu is not None and value < limits_pu[0] - 1e-6
            edge, width = (C["bad"], 3.0) if below else (C["ink"], 1.0)
            (dot,) = ax.plot(
                x, y, shape, markersize=22, markerfacecolor=face, markeredgecolor=edge, markeredgewidth=width
            )
            sheet.hint(dot, f"bus {bus}: {number(value, 5)} p.u.")
            ax.text(x, y, bus, ha="center", va="center", fontsize=11, color="white" if dark_face else "black")
        _mark_assets(sheet, ax, drawing, assets)
        ax.margins(0.04, 0.10)
        colour_bar(sheet.figure, (0.72, 0.935, 0.26, 0.028), "cividis", low, high, "voltage, p.u.", digits=4)
        at_low = min(voltage_pu, key=lambda b: voltage_pu[b]) if voltage_pu else None
        caption = (
            f"At {when}: buses coloured by voltage, lines as wide as their active power, the square is the substation."
        )
        if at_low is not None:
            caption += f" Lowest: bus {at_low} with {number(voltage_pu[at_low], 5)} p.u."
        listed = "; ".join(f"{name} ({kind}) at bus {bus}" for name, kind, bus in assets)
        return sheet.chart("Feeder map", caption, caption + (f" Assets: {listed}." if listed else ""), wide=True)


def _mark_assets(sheet: object, ax: object, drawing: FeederDrawing, assets: Sequence[tuple[str, str, str]]) -> None:
    stacked: dict[str, int] = {}
    kinds: dict[str, None] = {}
    for name, kind, bus in assets:
        if bus not in drawing.positions:
            continue
        letter, colour = ASSET_MARKS.get(kind, (kind[:1].upper(), "accent"))
        offset = 21 + 20 * stacked.get(bus, 0)
        stacked[bus] = stacked.get(bus, 0) + 1
        kinds[kind] = None
        note = ax.annotate(  # type: ignore[attr-defined]
            letter, drawing.positions[bus], xytext=(0, offset), textcoords="offset points", ha="center", va="center",
            fontsize=12, fontweight="bold", color=C["surface"],
            bbox={"boxstyle": "round,pad=0.25", "facecolor": C[colour], "edgecolor": C["surface"]},
        )  # fmt: skip
        sheet.hint(note, f"{name} at bus {bus}")  # type: ignore[attr-defined]
    for position, kind in enumerate(kinds):
        letter, colour = ASSET_MARKS.get(kind, (kind[:1].upper(), "accent"))
        sheet.figure.text(  # type: ignore[attr-defined]
            0.025 + 0.12 * position, 0.95, letter, ha="center", fontsize=12, fontweight="bold", color=C["surface"], va="center",
            bbox={"boxstyle": "round,pad=0.25", "facecolor": C[colour], "edgecolor": "none"},
        )  # fmt: skip
        label = kind.replace("_", " ")
        sheet.figure.text(0.042 + 0.12 * position, 0.95, label, fontsize=TICK_PX + 2, color=C["muted"], va="center")  # type: ignore[attr-defined]
