"""Generation units that a user names in the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecasting.errors import SettingError
from forecasting.names import unknown
from forecasting.sources.entsoe_parse import MarketTimeSeries

_KEYS = ("area", "capacity_mw", "eic", "unit")


@dataclass(frozen=True)
class Plant:
    """A generation unit: its area and either its EIC code or its name as published (``unit``)."""

    area: str
    capacity_mw: float
    eic: str | None = None
    unit: str | None = None

    def matches(self, series: MarketTimeSeries) -> bool:
        """Whether a published time series is about this unit."""
        if self.eic is not None:
            return self.eic in series.resource_codes
        return self.unit is not None and series.resource_name.casefold() == self.unit.casefold()


def plants_from_settings(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Plant]:
    """Plants by name from ``{name: {area, capacity_mw, and eic or unit}}``. Raises ``SettingError`` naming the plant."""
    plants: dict[str, Plant] = {}
    for name, entry in settings.items():
        for key in entry:
            if key not in _KEYS:
                raise SettingError(f"source.plants.{name}: {unknown('key', key, _KEYS)}")
        if "area" not in entry or ("eic" in entry) == ("unit" in entry):
            raise SettingError(f"source.plants.{name} needs 'area' and one of 'eic' (code) and 'unit' (published name)")
        capacity_mw = entry.get("capacity_mw")
        if not isinstance(capacity_mw, int | float) or not capacity_mw > 0:
            raise SettingError(f"source.plants.{name}.capacity_mw must be a positive number of MW, not {capacity_mw!r}")
        plants[name] = Plant(entry["area"], float(capacity_mw), entry.get("eic"), entry.get("unit"))
    return plants
