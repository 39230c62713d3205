"""A schedule as the charts need it: supply and use of power by source, stores, customers, voltages, prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.schedule import Schedule
from pipelines.report.charts.axes import TimeAxis
from pipelines.report.charts.layout import tree_layout
from pipelines.report.charts.network import FeederDrawing

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ScheduleView:
    """Reads a schedule's long table by kind and quantity; what a market does not have is ``None`` or empty."""

    schedule: Schedule

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.schedule.index)

    def axis(self, time_zone: str | None) -> TimeAxis:
        """The schedule's steps in market time."""
        return TimeAxis.of(self.schedule.index, self.schedule.step_hours, time_zone)

    def table(self, kind: str, quantity: str) -> pd.DataFrame | None:
        """Shape ``[step, asset]`` with text column names, or ``None`` if the schedule has no such rows."""
        wide = self.schedule.wide(quantity, kind)
        if wide.empty:
            return None
        wide = wide.reindex(range(self.steps))
        wide.columns = [short_name(name, kind) for name in wide.columns]
        return wide

    def total(self, kind: str, quantity: str) -> FloatArray | None:
        """Sum over the assets of a kind, shape ``[step]``."""
        wide = self.table(kind, quantity)
        return None if wide is None else np.asarray(wide.sum(axis=1), dtype=float)

    def energy_mwh(self, power_mw: FloatArray | None) -> float:
        """Energy of a power series over the horizon."""
        return 0.0 if power_mw is None else float(power_mw.sum() * self.schedule.step_hours)

    def supply_mw(self) -> dict[str, FloatArray]:
        """Power into the feeder by source, non-negative."""
        grid = self.total("grid", "import_mw")
        parts = {
            "grid import": None if grid is None else np.maximum(grid, 0),
            "gas": self.total("gas", "power_mw"),
            "wind": self.total("wind", "power_mw"),
            "solar": self.total("pv", "power_mw"),
            "storage discharge": self.total("storage", "discharge_mw"),
        }
        return {name: power for name, power in parts.items() if power is not None}

    def use_mw(self) -> dict[str, FloatArray]:
        """Power out of the feeder other than load, non-negative; a use that never happens is left out."""
        grid = self.total("grid", "import_mw")
        parts = {
            "storage charge": self.total("storage", "charge_mw"),
            "grid export": None if grid is None else np.maximum(-grid, 0),
        }
        return {name: power for name, power in parts.items() if power is not None and power.max(initial=0.0) > 1e-9}

    def load_mw(self) -> FloatArray | None:
        """Rigid and flexible demand of all customers, or what parks take."""
        parts = [self.total("customer", name) for name in ("rigid_mw", "flexible_mw")]
        parts += [self.total("park", name) for name in ("electricity_demand_mw", "purchase_mw")]
        sale = self.total("park", "sale_mw")
        known = [part for part in (*parts, None if sale is None else -sale) if part is not None]
        return np.asarray(np.sum(known, axis=0), dtype=float) if known else None

    def leader(self) -> str | None:
        """The party whose money is the objective."""
        if not self.schedule.money:
            return None
        target = self.schedule.objective if self.schedule.sense == "max" else -self.schedule.objective
        return min(self.schedule.money, key=lambda party: abs(sum(self.schedule.money[party].values()) - target))


def feeder_drawing(feeder: Any) -> FeederDrawing:
    """Buses, branches and places of a ``dispatch.network.Feeder``; the tree is laid out here if it brings no places."""
    buses = tuple(str(bus.id) for bus in feeder.buses)
    branches = tuple((str(a), str(b)) for a, b in feeder.line_keys)
    places: Mapping[str, tuple[float, float]] = {str(bus.id): (float(bus.x), float(bus.y)) for bus in feeder.buses}
    if len(set(places.values())) < len(buses):
        places = tree_layout(branches, str(feeder.root))
    return FeederDrawing(buses, branches, places, str(feeder.root))


def assets_of(case: Any) -> list[tuple[str, str, str]]:
    """(name, kind, bus) of every gas unit, wind farm, store, prosumer and converter of a case, for the feeder map."""
    assets = [
        (str(unit.id), kind, str(unit.bus)) for kind in ("gas", "wind", "storage") for unit in getattr(case, kind, ())
    ]
    prosumers = getattr(case, "prosumers", ())
    assets += [(str(each.id), "prosumer", str(each.bus)) for each in prosumers]
    assets += [(f"battery of {each.id}", "storage", str(each.bus)) for each in prosumers if each.battery is not None]
    sop = getattr(case, "soft_open_point", None)
    return assets + [(f"converter{bus}", "converter", str(bus)) for bus in (sop.buses if sop is not None else ())]


def short_name(asset: object, kind: str) -> str:
    """The asset without the kind that its row already has: ``bus18`` is 18, ``line1-2`` is 1-2."""
    name = str(asset)
    return (name.removeprefix(kind).strip(" _") or name) if kind in ("bus", "line", "customer") else name
