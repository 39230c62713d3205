"""Read one table of a layout for one zone: raw columns with UTC stamps at the beginning of each step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.errors import DataError, NoDataError
from forecasting.sources.layout import NAIVE_LOCAL, IssueLayout, TableLayout, TimeLayout


def table_path(root: Path, table: TableLayout, zone_word: str) -> Path:
    """File of ``table`` for the zone that the files call ``zone_word``."""
    return root / table.file.replace("{zone}", zone_word)


def zone_words(root: Path, table: TableLayout) -> list[str]:
    """Words for zones found in the files: in a zone column, in file names, or in column names; may be empty."""
    if "{zone}" in table.file:
        before, after = table.file.split("{zone}", 1)
        found = (str(path.relative_to(root)) for path in root.glob(table.file.replace("{zone}", "*")))
        return sorted(name.removeprefix(before).removesuffix(after) for name in found)
    path = root / table.file
    if not path.is_file():
        return []
    if table.zone_column is not None:
        column = _read(path, table, [table.zone_column])[table.zone_column]
        return sorted(str(value) for value in column.unique())
    names = column_names(path, table)
    words: set[str] = set()
    for column in table.series.values():
        if isinstance(column.column, str) and "{zone}" in column.column:
            before, after = (re.escape(part) for part in column.column.split("{zone}", 1))
            matches = (re.fullmatch(f"{before}(.+){after}", name) for name in names)
            words |= {match[1] for match in matches if match}
    return sorted(words)


def column_names(path: Path, table: TableLayout) -> list[str]:
    """Names of the columns of a file, in order."""
    if path.suffix == ".parquet":
        return list(_open_parquet(path).schema_arrow.names)
    return [str(name) for name in _read_csv(path, table, nrows=0).columns]


def read_table(root: Path, table: TableLayout, zone_word: str) -> pd.DataFrame:
    """All rows of one zone, indexed by the UTC beginning of the step, in file order.

    The frame has the raw columns, and ``available_at`` where the table states issue times.

    Raises ``NoDataError`` if the file is not there, ``DataError`` if it or its time stamps cannot be read.
    """
    path = table_path(root, table, zone_word)
    if not path.is_file():
        raise NoDataError(f"there is no file {path}; check source.root and the layout's file name")
    frame = _read(path, table, None)
    if table.zone_column is not None:
        if table.zone_column not in frame:
            raise DataError(
                f"{path} has no zone column {table.zone_column!r}; it has {', '.join(map(str, frame.columns))}"
            )
        frame = frame[frame[table.zone_column].astype(str) == zone_word]
    time = table.time
    if time.issue is not None:
        frame = _by_issue(frame, time, time.issue, path)
    else:
        frame = frame.set_index(to_utc(_stamps(frame, time, path), time, path))
    frame.index = pd.DatetimeIndex(frame.index).as_unit("ns").rename("delivery_utc")
    return frame


def to_utc(stamps: pd.Series, time: TimeLayout, path: Path) -> pd.DatetimeIndex:
    """UTC beginnings of the steps that ``stamps`` mark."""
    try:
        parsed = pd.DatetimeIndex(pd.to_datetime(stamps, format=time.format, utc=_has_offset(stamps) or None))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: time stamps cannot be read ({error}); state time.format in the layout") from error
    if parsed.hasnans:
        raise DataError(f"{path}: {int(parsed.isna().sum())} rows have no time stamp")
    step = pd.Timedelta(minutes=time.step_minutes)
    if parsed.tz is not None:
        return parsed.tz_convert("UTC") - (step if time.stamp == "ending" else pd.Timedelta(0))
    if time.stamp == "ending":
        parsed = parsed - step
    if time.zone == NAIVE_LOCAL:
        return parsed.tz_localize("UTC")
    try:
        return parsed.tz_localize(time.zone, ambiguous="infer").tz_convert("UTC")
    except ValueError as error:
        raise DataError(
            f"{path}: local time stamps do not fit the clock changes of {time.zone} ({error}); "
            "if every day has 24 rows, set time.zone to naive_local"
        ) from error


def _stamps(frame: pd.DataFrame, time: TimeLayout, path: Path) -> pd.Series:
    if time.column is None or time.column == frame.index.name:
        return pd.Series(frame.index)
    return pick(frame, time.column, path)


def pick(frame: pd.DataFrame, column: str | int, path: Path) -> pd.Series:
    """A column by name or by position. Raises ``DataError`` with the columns that are there."""
    if isinstance(column, int):
        if column >= frame.shape[1]:
            raise DataError(f"{path} has {frame.shape[1]} columns, the layout asks for number {column}, counted from 0")
        return frame.iloc[:, column]
    if column not in frame:
        raise DataError(f"{path} has no column {column!r}; it has {', '.join(map(str, frame.columns))}")
    return frame[column]


def _by_issue(frame: pd.DataFrame, time: TimeLayout, issue: IssueLayout, path: Path) -> pd.DataFrame:
    lead = pick(frame, issue.lead_column, path)
    issued_wall = pd.to_datetime(pick(frame, issue.column, path))
    kept = (lead >= issue.first_lead_h) & (lead <= issue.last_lead_h)
    if issue.hours:
        kept &= issued_wall.dt.hour.isin(issue.hours)
    frame, lead = frame[kept], lead[kept]
    beginning = time.model_copy(update={"stamp": "beginning"})
    issued = to_utc(issued_wall[kept], beginning, path)
    shift = pd.Timedelta(minutes=time.step_minutes) if time.stamp == "ending" else pd.Timedelta(0)
    delivery = issued + pd.to_timedelta(lead.to_numpy(dtype="int64"), unit="h") - shift
    known = issued + pd.Timedelta(minutes=issue.publication_delay_min)
    return frame.assign(available_at=known).set_index(delivery)


def _has_offset(stamps: pd.Series) -> bool:
    first = stamps.iloc[0] if len(stamps) else ""
    return isinstance(first, str) and bool(re.search(r"(Z|[+-]\d{2}:?\d{2})$", first))


def _read(path: Path, table: TableLayout, columns: list[str] | None) -> pd.DataFrame:
    if path.suffix == ".parquet":
        frame: pd.DataFrame = _open_parquet(path).read(columns).to_pandas()
        return frame
    return _read_csv(path, table, usecols=columns)


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet ({error})") from error


def _read_csv(path: Path, table: TableLayout, **options: Any) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, sep=table.separator, decimal=table.decimal, skipinitialspace=True, **options)
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}); check separator and decimal in the layout") from error
    return frame.rename(columns=lambda name: str(name).strip())
