"""Axes that every chart shares: market time along the bottom, the unit on the left, the legend on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.report.charts.theme import TICK_PX, C

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TimeAxis:
    """Steps of equal length in market time; a day may have 23, 24 or 25 hours.

    edges: hours since the first step began, shape ``[step + 1]``.
    ticks, tick_labels: where the axis is written on, in hours since the first step, and what is written.
    label: what the axis is, with the time zone. clock_changes: hours since the start at which the local clock jumps.
    step_names: start of each step in words, with the date only where there are several.
    """

    edges: FloatArray
    ticks: FloatArray
    tick_labels: tuple[str, ...]
    label: str
    clock_changes: tuple[float, ...]
    step_names: tuple[str, ...]

    @classmethod
    def of(cls, index: pd.Index, step_hours: float, time_zone: str | None = None) -> TimeAxis:
        """Axis of ``index`` (start of each step): dates with a zone are shown in ``time_zone``, numbers as hours."""
        edges = np.arange(len(index) + 1, dtype=float) * step_hours
        if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
            stride = max(1, int(np.ceil(edges[-1] / 8)))
            ticks = np.arange(0.0, edges[-1] + 1e-9, stride)
            names = tuple(f"hour {edge:g}" for edge in edges[:-1])
            return cls(edges, ticks, tuple(f"{t:g}" for t in ticks), "hour of the case", (), names)
        local = index.tz_convert(time_zone or "UTC")
        zone = str(local.tz)
        offsets = [moment.utcoffset() for moment in local]
        jumps = tuple(float(edges[k]) for k in range(1, len(local)) if offsets[k] != offsets[k - 1])
        positions, labels = _local_ticks(local)
        first, last = local[0], local[-1]
        day = f"{first:%a %d %b %Y}" if first.date() == last.date() else f"{first:%d %b %Y} to {last:%d %b %Y}"
        clock = "%H:%M %Z" if jumps else "%H:%M"
        names = tuple(f"{moment:{clock if first.date() == last.date() else '%d %b ' + clock}}" for moment in local)
        return cls(edges, edges[positions], tuple(labels), f"{day}, {zone} time", jumps, names)

    def apply(self, ax: Any, *, labelled: bool = True) -> None:
        """Write this time along the bottom of ``ax``; only tick marks if not ``labelled``."""
        ax.set_xlim(self.edges[0], self.edges[-1])
        ax.set_xticks(self.ticks, self.tick_labels if labelled else [""] * len(self.ticks))
        for hour in self.clock_changes:
            ax.axvline(hour, color=C["muted"], linewidth=1, linestyle=":")
        if labelled:
            note = " (dotted: clock change)" if self.clock_changes else ""
            ax.set_xlabel(self.label + note)


def _local_ticks(local: pd.DatetimeIndex) -> tuple[list[int], list[str]]:
    """Every third local hour within two days; local midnights, at most eight, beyond."""
    span_hours = (local[-1] - local[0]).total_seconds() / 3600
    if span_hours <= 50:
        every = 3 if span_hours <= 26 else 6
        positions = [k for k, m in enumerate(local) if m.minute == 0 and m.hour % every == 0]
        return positions, [f"{local[k]:%H:%M}" for k in positions]
    midnights = [k for k, m in enumerate(local) if m.hour == 0 and m.minute == 0] or [0]
    kept = midnights[:: max(1, int(np.ceil(len(midnights) / 8)))]
    return kept, [f"{local[k]:%d %b}" for k in kept]


def unit(ax: Any, text: str) -> None:
    """The vertical axis' quantity and unit, written level above the axis where it needs no turned head."""
    ax.set_title(text, loc="left", fontsize=TICK_PX, color=C["muted"], pad=6)


def legend_on_top(figure: Any, ax: Any, *, columns: int = 4, extra: Any = None) -> float:
    """Legend in rows above the plots; returns the top margin in pixels that it and the unit below it need."""
    handles, labels = ax.get_legend_handles_labels()
    if extra is not None:
        handles, labels = handles + extra[0], labels + extra[1]
    if not labels:
        return 28
    figure.legend(handles, labels, loc="upper left", ncols=min(columns, len(labels)), bbox_to_anchor=(0.0, 1.0))
    return 32 + 17 * float(np.ceil(len(labels) / columns))


def frame(figure: Any, *, left: float = 46, right: float = 12, top: float = 52, bottom: float = 46) -> None:
    """Margins in pixels."""
    width, height = figure.get_size_inches() * 72
    figure.subplots_adjust(left=left / width, right=1 - right / width, top=1 - top / height, bottom=bottom / height)


def steps(ax: Any, edges: FloatArray, values: FloatArray, **style: Any) -> None:
    """A line that is constant over each step; a missing value leaves a gap."""
    ax.step(edges, np.append(values, values[-1] if len(values) else np.nan), where="post", **style)


def step_band(ax: Any, edges: FloatArray, low: FloatArray, high: FloatArray, **style: Any) -> None:
    """The area between two step lines."""
    ax.fill_between(edges, np.append(low, low[-1]), np.append(high, high[-1]), step="post", linewidth=0, **style)
