"""Who supplies and who uses each step's power, what the stores hold, and what the price did meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.report.charts.axes import TimeAxis, frame, legend_on_top, steps, unit
from pipelines.report.charts.svg import Chart, canvas
from pipelines.report.charts.theme import C, series_colour
from pipelines.report.words import money, number, plain

FloatArray = NDArray[np.float64]

#: Colour of each source or use of power; others take the series colours.
ROLE_COLOURS: dict[str, str] = {
    "grid import": "grid",
    "grid export": "accent",
    "gas": "gas",
    "generator": "gas",
    "microturbine": "gas",
    "boiler": "heat",
    "wind": "wind",
    "solar": "solar",
    "pv": "solar",
    "storage discharge": "storage",
    "storage charge": "charge",
}


def dispatch_stack(
    axis: TimeAxis,
    supply_mw: Mapping[str, FloatArray],
    use_mw: Mapping[str, FloatArray],
    load_mw: FloatArray | None,
    title: str = "Dispatch",
) -> Chart:
    """Supply stacked above zero, charging and export below it, the load as a line.

    supply_mw, use_mw: name to non-negative power of shape ``[step]``; load_mw: shape ``[step]``.
    """
    with canvas(300) as sheet:
        ax = sheet.figure.add_subplot()
        for sign, parts in ((1.0, supply_mw), (-1.0, use_mw)):
            base = np.zeros(len(axis.edges) - 1)
            for position, (name, power) in enumerate(parts.items()):
                colour = C[ROLE_COLOURS[name]] if name in ROLE_COLOURS else series_colour(position)
                top = base + sign * power
                ax.stairs(top, axis.edges, baseline=base, fill=True, color=colour, label=name, linewidth=0)
                base = top
        if load_mw is not None:
            steps(ax, axis.edges, load_mw, color=C["ink"], label="load", linewidth=2)
        ax.axhline(0, color=C["muted"], linewidth=1)
        axis.apply(ax)
        unit(ax, "power, MW")
        frame(sheet.figure, top=legend_on_top(sheet.figure, ax, columns=4))
        hours = float(axis.edges[1] - axis.edges[0])
        energy = ", ".join(f"{n} {number(p.sum() * hours)} MWh" for n, p in {**supply_mw, **use_mw}.items())
        caption = f"Energy over the horizon: {energy}."
        if load_mw is not None:
            caption += f" Load {number(load_mw.sum() * hours)} MWh; supply above the line is losses and charging."
        return sheet.chart(title, caption)


def storage_energy(
    axis: TimeAxis, energy_mwh: pd.DataFrame, net_power_mw: FloatArray | None, title: str = "Storage"
) -> Chart:
    """Energy at the end of each step, stacked (a column per store), above the net power (discharge positive)."""
    with canvas(300) as sheet:
        rows = 2 if net_power_mw is not None else 1
        axes = sheet.figure.subplots(rows, 1, squeeze=False, height_ratios=[3, 2][:rows])[:, 0]
        base = np.zeros(len(energy_mwh))
        for position, name in enumerate(energy_mwh):
            top = base + energy_mwh[name].to_numpy(dtype=float)
            colour, shade = series_colour(position + 3), 0.35 if position % 2 else 0.6
            axes[0].fill_between(axis.edges[1:], base, top, color=colour, alpha=shade, linewidth=0, label=plain(name))
            axes[0].plot(axis.edges[1:], top, color=colour, linewidth=1.5)
            base = top
        axes[0].set_ylim(bottom=0)
        axis.apply(axes[0], labelled=rows == 1)
        unit(axes[0], "energy held at the end of the step, stacked, MWh")
        if net_power_mw is not None:
            for part, colour, name in (
                (np.maximum(net_power_mw, 0), "storage", "discharge"),
                (np.minimum(net_power_mw, 0), "charge", "charge"),
            ):
                axes[1].stairs(part, axis.edges, fill=True, color=C[colour], label=name, linewidth=0)
            axes[1].axhline(0, color=C["muted"], linewidth=1)
            axis.apply(axes[1])
            unit(axes[1], "power of all stores, MW")
        extra = axes[1].get_legend_handles_labels() if rows == 2 else None
        frame(sheet.figure, top=legend_on_top(sheet.figure, axes[0], columns=5, extra=extra))
        sheet.figure.subplots_adjust(hspace=0.42)
        total = energy_mwh.sum(axis=1).to_numpy(dtype=float)
        full = int(total.argmax())
        caption = (
            f"All stores together hold at most {number(total.max())} MWh, at the end of {axis.step_names[full]}, "
            f"and {number(total[-1])} MWh at the end of the horizon."
        )
        return sheet.chart(title, caption)


def price_and_dispatch(
    axis: TimeAxis,
    price_per_mwh: Mapping[str, FloatArray],
    power_mw: Mapping[str, FloatArray],
    currency: str,
    title: str = "Price and who answers it",
) -> Chart:
    """Prices above, power of the plants that react to them below, on the same hours."""
    with canvas(330) as sheet:
        upper, lower = sheet.figure.subplots(2, 1)
        for position, (name, values) in enumerate(price_per_mwh.items()):
            style = {
                "color": (C["ink"], C["muted"], C["accent"])[position % 3],
                "linestyle": ("-", "--", ":")[position % 3],
            }
            steps(upper, axis.edges, values, label=name, **style)
        for position, (name, values) in enumerate(power_mw.items()):
            colour = C[ROLE_COLOURS[name]] if name in ROLE_COLOURS else series_colour(position)
            steps(lower, axis.edges, values, label=name, color=colour, linestyle=("-", "--", "-.")[position % 3])
        unit(upper, f"price, {currency}/MWh")
        unit(lower, "power, MW")
        for ax in (upper, lower):
            if ax.get_ylim()[0] < 0:
                ax.axhline(0, color=C["muted"], linewidth=1)
        axis.apply(upper, labelled=False)
        axis.apply(lower)
        frame(sheet.figure, top=legend_on_top(sheet.figure, upper, columns=4, extra=lower.get_legend_handles_labels()))
        sheet.figure.subplots_adjust(hspace=0.34)
        name, values = next(iter(price_per_mwh.items()))
        dear, cheap = int(values.argmax()), int(values.argmin())
        caption = (
            f"The {name} is highest at {axis.step_names[dear]} ({number(values[dear])} {currency}/MWh) and lowest at "
            f"{axis.step_names[cheap]} ({number(values[cheap])} {currency}/MWh)."
        )
        return sheet.chart(title, caption)


def response_totals(
    axis: TimeAxis,
    response_mw: FloatArray,
    paid_per_hour: FloatArray,
    currency: str,
) -> Chart:
    """What all customers together take of flexible demand, and what they are paid for it, step by step."""
    with canvas(300) as sheet:
        upper, lower = sheet.figure.subplots(2, 1)
        upper.stairs(response_mw, axis.edges, fill=True, color=C["response"], linewidth=0, label="flexible demand")
        lower.stairs(paid_per_hour, axis.edges, fill=True, color=C["gas"], linewidth=0, label="subsidies paid")
        unit(upper, "flexible demand of all customers, MW")
        unit(lower, f"subsidies paid, {currency}/h")
        axis.apply(upper, labelled=False)
        axis.apply(lower)
        frame(sheet.figure, top=legend_on_top(sheet.figure, upper, extra=lower.get_legend_handles_labels()))
        sheet.figure.subplots_adjust(hspace=0.4)
        hours = float(axis.edges[1] - axis.edges[0])
        caption = (
            f"Customers take {number(response_mw.sum() * hours)} MWh of flexible demand and are paid "
            f"{money(float(paid_per_hour.sum() * hours), currency)} for it."
        )
        return sheet.chart("Response of all customers", caption)
