"""CSV and Parquet files of any layout as a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.availability import AvailabilityRule
from forecasting.errors import NoDataError, SettingError, UnknownNameError
from forecasting.names import unknown
from forecasting.quality import tidy
from forecasting.series import availability_rules, series_spec
from forecasting.sources.frames import source_frame
from forecasting.sources.layout import ColumnLayout, Layout, TableLayout
from forecasting.sources.table_reader import pick, read_table, table_path, zone_words
from forecasting.sources.units import conversion_factor, stated_unit


class FileSource:
    """Series from files below ``root`` as described by ``layout``.

    Files are read when first asked for and kept in memory. ``availability`` (series name to rule text) goes before the
    layout's rules, and these before the catalogue's.

    Raises ``SettingError`` if the folder does not exist.
    """

    name = "files"
    simulated = False

    def __init__(self, root: Path | str, layout: Layout, availability: Mapping[str, str] | None = None) -> None:
        self.root, self.layout = Path(root), layout
        if not self.root.is_dir():
            raise SettingError(
                f"source.root={self.root} is not a folder; give the folder that holds {layout.tables[0].file}"
            )
        self._rules = availability_rules({**layout.availability, **(availability or {})})
        self._zones: tuple[str, ...] | None = None
        self._tables: dict[tuple[int, str], pd.DataFrame] = {}
        self._series: dict[tuple[str, str], pd.DataFrame] = {}

    def availability(self, series: str) -> AvailabilityRule:
        """When values of ``series`` become known, by this source."""
        return self._rules[series_spec(series).name]

    def zones(self) -> Sequence[str]:
        """Zones and sites in the files, or those that the layout lists."""
        if self._zones is None:
            ids = {word: zone for zone, word in self.layout.zone_names.items()}
            words = [word for table in self.layout.tables for word in zone_words(self.root, table)]
            found = dict.fromkeys(ids.get(word, word) for word in words)
            listed = self.layout.zones
            self._zones = tuple(zone for zone in listed if not found or zone in found) if listed else tuple(found)
        return self._zones

    def market_time_zone(self, zone: str) -> str:
        """The layout's market time zone; ``UTC`` for naive local stamps, whose every day has 24 rows."""
        self._check(zone)
        return self.layout.market_time_zone

    def step_minutes(self, series: str, zone: str) -> int:
        """Step of ``series`` in the file that holds it. Raises ``NoDataError`` if no file does."""
        self._check(zone)
        for part in series_spec(series).derived_from or (series,):
            for table in self.layout.tables:
                if part in table.columns_of(zone) or series in table.columns_of(zone):
                    return table.time.step_minutes
        raise NoDataError(self._nothing(series, zone))

    def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """See ``forecasting.sources.base.Source``."""
        series_spec(series)
        self._check(zone)
        whole = self._whole(series, zone)
        first, last = whole.index.searchsorted(start), whole.index.searchsorted(end)
        if first >= last:
            raise NoDataError(
                f"{self.root} has no {series} of {zone} in [{start}, {end}); it has {whole.index[0]} to {whole.index[-1]}"
            )
        part = whole.iloc[first:last]
        part.attrs.update(whole.attrs)
        return part

    def _check(self, zone: str) -> None:
        if zone not in self.zones():
            raise UnknownNameError(f"{unknown('zone', zone, self.zones())} (in {self.root})")

    def _holds(self, series: str, zone: str) -> bool:
        return any(series in table.columns_of(zone) for table in self.layout.tables)

    def _nothing(self, series: str, zone: str) -> str:
        held = sorted({name for table in self.layout.tables for name in table.columns_of(zone)})
        return f"layout {self.layout.name} has no {series} of {zone}; it has {', '.join(held)}"

    def _whole(self, series: str, zone: str) -> pd.DataFrame:
        if (series, zone) not in self._series:
            for number, table in enumerate(self.layout.tables):
                if series in table.columns_of(zone):
                    frame = self._from_table(number, table, series, zone)
                    break
            else:
                frame = self._sum_of_parts(series, zone)
            self._series[series, zone] = frame
        return self._series[series, zone]

    def _from_table(self, number: int, table: TableLayout, series: str, zone: str) -> pd.DataFrame:
        word = self.layout.zone_names.get(zone, zone)
        key = (number, word)
        if key not in self._tables:
            self._tables[key] = read_table(self.root, table, word)
        raw = self._tables[key]
        layout, spec = table.columns_of(zone)[series], series_spec(series)
        column = _for_zone(layout, word)
        values = pd.to_numeric(pick(raw, column, table_path(self.root, table, word)), errors="coerce")
        if not values.notna().any():
            raise NoDataError(f"{zone} publishes no {series}: its column in {table.file} is empty")
        factor = conversion_factor(layout.unit, spec.unit, self.layout.capacity(zone))
        index = pd.DatetimeIndex(raw.index)
        if "available_at" in raw:
            known = pd.DatetimeIndex(raw["available_at"])
        else:
            known = self._rules[series].available_at(index, self.layout.market_time_zone, table.time.step_minutes)
        frame = source_frame(
            index,
            values.to_numpy(dtype=np.float64) * factor,
            known,
            series=series,
            zone=zone,
            source=self.name,
            unit=stated_unit(layout.unit, spec.unit),
            notes=self.layout.notes,
        )
        checked = tidy(frame, series, zone)
        checked.frame.attrs.update(frame.attrs)
        checked.frame.attrs["notes"] = [*self.layout.notes, *(finding.text for finding in checked.findings)]
        return checked.frame

    def _sum_of_parts(self, series: str, zone: str) -> pd.DataFrame:
        """A derived series: the sum of the parts that are published; before its first value a part is not published."""
        parts: list[pd.DataFrame] = []
        notes: list[str] = list(self.layout.notes)
        names = [name for name in series_spec(series).derived_from if self._holds(name, zone)]
        for part in names:
            try:
                frame = self._whole(part, zone)
            except NoDataError:
                notes.append(f"{part} is not published for {zone}")
                continue
            if parts and not frame["value"].fillna(0.0).any():
                notes.append(f"{part} of {zone} is zero throughout, so its gaps do not count")
                continue
            parts.append(frame)
        if not parts:
            empty = f"{zone} publishes no {series}: its columns {', '.join(names)} are empty"
            raise NoDataError(empty if names else self._nothing(series, zone))
        table = pd.concat([part["value"].rename(k) for k, part in enumerate(parts)], axis=1)
        begun = table.notna().cummax()
        total = table.where(begun, 0.0).sum(axis=1, skipna=False).where(begun.any(axis=1))
        for part, start in zip(parts, (table[k].first_valid_index() for k in table), strict=True):
            if start != table.index[0]:
                notes.append(f"{part.attrs['series']} of {zone} begins {start}; {series} is without it before")
        known = pd.concat([part["available_at"].rename(k) for k, part in enumerate(parts)], axis=1).max(axis=1)
        index = pd.DatetimeIndex(total.index)
        return source_frame(
            index, total.to_numpy(), pd.DatetimeIndex(known), series=series, zone=zone, source=self.name, notes=notes
        )


def _for_zone(layout: ColumnLayout, zone_word: str) -> str | int:
    return layout.column.replace("{zone}", zone_word) if isinstance(layout.column, str) else layout.column
