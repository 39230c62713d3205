"""How a folder of data files is laid out: tables, columns, units, time stamps and zones, checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from zoneinfo import available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from forecasting.availability import AvailabilityRule
from forecasting.errors import SettingError, UnknownNameError
from forecasting.names import nearest, unknown
from forecasting.series import CATALOGUE, series_spec
from forecasting.sources.units import conversion_factor

#: Stamps without zone whose every day has 24 rows: they are not localised but counted in a day without clock changes.
NAIVE_LOCAL = "naive_local"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _known_time_zone(name: str) -> str:
    if name != NAIVE_LOCAL and name not in available_timezones():
        guess = nearest(name, available_timezones())
        raise ValueError(f"unknown time zone {name!r}" + (f"; did you mean {guess!r}?" if guess else ""))
    return name


class ColumnLayout(_Part):
    """One column: its name (``{zone}`` stands for the zone) or its position from 0, and its unit."""

    column: str | int
    unit: str | None = None


class IssueLayout(_Part):
    """Forecasts stored by issue time and lead: delivery is their sum, and the issue time says when they were known.

    ``hours`` keeps the issues of these hours only and ``first_lead_h``..``last_lead_h`` one forecast per delivery time.
    """

    column: str
    lead_column: str
    hours: tuple[int, ...] = ()
    first_lead_h: int = 0
    last_lead_h: int = 10_000
    publication_delay_min: int = 0


class TimeLayout(_Part):
    """Time stamps: the column (``None`` is the index of a Parquet file), their zone, and what they mark.

    ``zone`` is an IANA name, or ``naive_local`` for stamps without zone and 24 rows every day.
    """

    column: str | int | None = None
    zone: str
    stamp: Literal["beginning", "ending"] = "beginning"
    step_minutes: int = Field(default=60, gt=0, le=60)
    format: str | None = None
    issue: IssueLayout | None = None

    _zone = field_validator("zone")(_known_time_zone)


class TableLayout(_Part):
    """One file, or one file per zone (``{zone}`` in the name), with the series it holds."""

    file: str
    time: TimeLayout
    zone_column: str | None = None
    separator: str = ","
    decimal: str = "."
    series: dict[str, ColumnLayout]
    zone_series: dict[str, dict[str, ColumnLayout]] = Field(default_factory=dict)

    @field_validator("file")
    @classmethod
    def _readable(cls, file: str) -> str:
        if not file.endswith((".parquet", ".csv", ".csv.gz")):
            raise ValueError(f"{file!r} must end in .parquet, .csv or .csv.gz")
        return file

    @model_validator(mode="after")
    def _series_exist(self) -> TableLayout:
        faults = []
        for where, columns in (
            ("series", self.series),
            *((f"zone_series.{z}", c) for z, c in self.zone_series.items()),
        ):
            for name, column in columns.items():
                if name not in CATALOGUE:
                    faults.append(f"{where}: {unknown('series', name, CATALOGUE)}")
                    continue
                try:
                    conversion_factor(column.unit, series_spec(name).unit, capacity_mw=1.0)
                except SettingError as error:
                    faults.append(f"{where}.{name}: {error}")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def columns_of(self, zone: str) -> dict[str, ColumnLayout]:
        """Series and columns of ``zone``: the common ones, and those that hold for this zone alone."""
        return {**self.series, **self.zone_series.get(zone, {})}


class Layout(_Part):
    """A whole data set.

    Attributes
    ----------
    zones: ids to offer; found in the files if left out. ``zone_names``: id to the word that the files use for it.
    market_time_zone: IANA name in which market days are cut; stamps marked ``naive_local`` need ``UTC``.
    capacity_mw: capacity by zone, for columns in per unit; ``default`` holds for zones that are not named.
    availability: series name to rule text, in place of the catalogue's rule.
    """

    name: str
    description: str
    market_time_zone: str
    tables: tuple[TableLayout, ...] = Field(min_length=1)
    zones: tuple[str, ...] = ()
    zone_names: dict[str, str] = Field(default_factory=dict)
    capacity_mw: dict[str, float] = Field(default_factory=dict)
    availability: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    _zone = field_validator("market_time_zone")(_known_time_zone)

    @field_validator("availability")
    @classmethod
    def _rules_readable(cls, rules: dict[str, str]) -> dict[str, str]:
        faults = []
        for name, text in rules.items():
            if name not in CATALOGUE:
                faults.append(unknown("series", name, CATALOGUE))
            try:
                AvailabilityRule.parse(text)
            except SettingError as error:
                faults.append(str(error))
        if faults:
            raise ValueError("; ".join(faults))
        return rules

    @model_validator(mode="after")
    def _naive_days_have_no_clock_changes(self) -> Layout:
        if any(table.time.zone == NAIVE_LOCAL for table in self.tables) and self.market_time_zone != "UTC":
            raise ValueError("stamps marked naive_local have 24 rows every day: market_time_zone must be UTC")
        return self

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], name: str = "") -> Layout:
        """Check a mapping as read from YAML.

        Raises ``SettingError`` that lists every fault with its place and, for an unknown key, the nearest right one.
        """
        try:
            return cls.model_validate(mapping)
        except ValidationError as error:
            faults = [_fault(entry) for entry in error.errors()]
            raise SettingError(f"layout {name} has {len(faults)} fault(s):\n  - " + "\n  - ".join(faults)) from error

    def capacity(self, zone: str) -> float | None:
        """Capacity of ``zone`` in MW, or ``None`` where it is not stated."""
        return self.capacity_mw.get(zone, self.capacity_mw.get("default"))


def _fault(entry: Any) -> str:
    place = ".".join(str(part) for part in entry["loc"]) or "layout"
    if entry["type"] == "extra_forbidden":
        parts: list[type[BaseModel]] = [Layout, TableLayout, TimeLayout, ColumnLayout, IssueLayout]
        keys = [key for part in parts for key in part.model_fields]
        guess = nearest(str(entry["loc"][-1]), keys)
        return f"{place}: unknown key" + (f"; did you mean '{guess}'?" if guess else "")
    return f"{place}: {entry['msg'].removeprefix('Value error, ')}"


def load_layout(path: Path) -> Layout:
    """Read and check a layout file. Raises ``UnknownNameError`` naming the layouts beside it if it does not exist."""
    if not path.is_file():
        raise UnknownNameError(unknown("layout", path.stem, sorted(other.stem for other in path.parent.glob("*.yaml"))))
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SettingError(f"layout {path} is not valid YAML: {error}") from error
    if not isinstance(mapping, dict):
        raise SettingError(f"layout {path} must be a mapping with name, description, market_time_zone and tables")
    return Layout.from_mapping(mapping, str(path))
