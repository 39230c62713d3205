"""The store: Parquet partitions of every version of every value, and reads as of a moment.

Layout: ``root/series=<name>/zone=<id>/month=<YYYY-MM>/rows.parquet``, rows keyed by delivery time and ``available_at``,
sorted, one per version. A partition is written beside its place and moved over it, so a reader sees the old file or the
new one and never a part. Several writers of one store must take turns.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.errors import DataError, NoDataError, SettingError
from forecasting.quality import Finding, Origin, tidy
from forecasting.series import SeriesKind, series_spec

COLUMNS = ("value", "available_at", "source", "origin")
_FILE = "rows.parquet"
_STAMP = pa.timestamp("ns", tz="UTC")
_SCHEMA = pa.schema(
    [
        ("delivery_utc", _STAMP),
        ("value", pa.float64()),
        ("available_at", _STAMP),
        ("source", pa.string()),
        ("origin", pa.string()),
    ]
)
_MENDED = (str(Origin.REPAIRED), str(Origin.FALLBACK))


@dataclass(frozen=True)
class WriteReport:
    """What one write did, in rows.

    ``added``: delivery times that were new. ``revised``: new versions of known ones. ``replaced``: repaired values that
    gave way to published ones. ``unchanged``: known already. ``missing``: rows without value, which are not stored.
    """

    series: str
    zone: str
    added: int = 0
    revised: int = 0
    replaced: int = 0
    unchanged: int = 0
    missing: int = 0
    findings: tuple[Finding, ...] = ()


class Store:
    """Point-in-time store below ``root``; the folder is made by the first write."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def write(
        self, frame: pd.DataFrame, *, series: str | None = None, zone: str | None = None, source: str | None = None
    ) -> WriteReport:
        """Add the rows of ``frame`` (as a ``Source`` returns it; an ``origin`` column is optional).

        The same row again adds nothing. A later ``available_at`` with another value adds a version. Series, zone and
        source come from ``frame.attrs`` where they are not given.

        Raises
        ------
        DataError: rows that contradict stored ones (same delivery and ``available_at``, other value), with the dates;
            infinite values; a damaged partition. Nothing is written then.
        SettingError: the folder cannot be written.
        """
        series, zone = series or frame.attrs["series"], zone or frame.attrs["zone"]
        spec = series_spec(series)
        checked = tidy(frame, series, zone)
        rows = checked.frame
        if np.isinf(rows["value"].to_numpy()).any():
            raise DataError(f"{series} of {zone}: infinite value at {rows.index[np.isinf(rows['value'])][0]}")
        missing = int(rows["value"].isna().sum())
        rows = rows[rows["value"].notna()]
        own = Origin.FORECAST if spec.kind is SeriesKind.FORECAST else Origin.MEASURED
        rows = pd.DataFrame(
            {
                "delivery_utc": rows.index.tz_convert("UTC").as_unit("ns"),
                "value": rows["value"].to_numpy(dtype=np.float64),
                "available_at": pd.DatetimeIndex(rows["available_at"]).tz_convert("UTC").as_unit("ns"),
                "source": rows["source"].to_numpy() if "source" in rows else source or frame.attrs.get("source", ""),
                "origin": rows["origin"].to_numpy() if "origin" in rows else str(own),
            }
        )
        counts: dict[str, int] = dict.fromkeys(("added", "revised", "replaced", "unchanged"), 0)
        changed: list[tuple[Path, pd.DataFrame]] = []
        for month, part in rows.groupby(rows["delivery_utc"].dt.strftime("%Y-%m"), sort=True):
            path = self._partition(series, zone, str(month))
            stored = _read_partition(path) if path.exists() else None
            merged, counted = _merge(stored, part, f"{series} of {zone}")
            for name, count in counted.items():
                counts[name] += count
            if merged is not None:
                changed.append((path, merged))
        for path, merged in changed:
            _write_partition(path, merged)
        return WriteReport(series, zone, **counts, missing=missing, findings=checked.findings)

    def read(
        self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp, as_of: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """The newest version known at ``as_of`` of each value delivered in ``[start, end)``.

        Returns a frame indexed by ``delivery_utc`` with ``value``, ``available_at``, ``source``, ``origin``; without rows
        if nothing was known. ``as_of=None`` means everything that is stored.

        Raises ``SettingError`` if ``as_of`` has no time zone and ``DataError`` for a damaged partition.
        """
        rows = self.versions(series, zone, start, end, as_of)
        newest = rows[~rows.index.duplicated(keep="last")]
        newest.attrs.update(rows.attrs)
        return newest

    def versions(
        self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp, as_of: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """Every version known at ``as_of``, sorted by delivery time and then by ``available_at``."""
        spec = series_spec(series)
        for name, moment in (("start", start), ("end", end), ("as_of", as_of)):
            if moment is not None and moment.tzinfo is None:
                raise SettingError(f"{name}={moment} has no time zone; write for example {moment.isoformat()}+02:00")
        months = _months(start, end)
        paths = [self._partition(series, zone, month) for month in months]
        tables = [_read_table(path) for path in paths if path.exists()]
        table = pa.concat_tables(tables) if tables else _SCHEMA.empty_table()
        frame = table.to_pandas().set_index("delivery_utc")
        keep = (frame.index >= start) & (frame.index < end)
        if as_of is not None:
            keep &= (frame["available_at"] <= as_of).to_numpy()
        frame = frame[keep]
        frame.attrs.update(series=series, zone=zone, unit=spec.unit)
        return frame

    def zones(self, series: str) -> tuple[str, ...]:
        """Zones and sites for which ``series`` is stored."""
        folder = self.root / f"series={series_spec(series).name}"
        return tuple(sorted(unquote(path.name.removeprefix("zone=")) for path in folder.glob("zone=*")))

    def query(self, sql: str) -> pd.DataFrame:
        """Answer ``sql`` with DuckDB over the view ``observations`` (series, zone, month and the columns of the rows).

        Raises ``NoDataError`` for an empty store and ``SettingError`` for a query that DuckDB refuses.
        """
        pattern = str(self.root / "series=*" / "zone=*" / "month=*" / _FILE)
        if not any(self.root.glob(f"series=*/zone=*/month=*/{_FILE}")):
            raise NoDataError(f"the store {self.root} is empty; run the nightly job or ingest a source first")
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.read_parquet(pattern, hive_partitioning=True, hive_types_autocast=False).create_view(
                "observations"
            )
            try:
                answer: pd.DataFrame = connection.execute(sql).df()
            except duckdb.Error as error:
                raise SettingError(f"the query failed: {error}") from error
        return answer

    def _partition(self, series: str, zone: str, month: str) -> Path:
        return self.root / f"series={series}" / f"zone={quote(zone, safe='')}" / f"month={month}" / _FILE


def _months(start: pd.Timestamp, end: pd.Timestamp) -> Iterator[str]:
    first, last = start.tz_convert("UTC"), (end - pd.Timedelta(1, "ns")).tz_convert("UTC")
    for number in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield f"{number // 12:04d}-{number % 12 + 1:02d}"


def _merge(
    stored: pd.DataFrame | None, incoming: pd.DataFrame, where: str
) -> tuple[pd.DataFrame | None, dict[str, int]]:
    """Rows of one partition after a write, or ``None`` where nothing changes, and the counts by kind."""
    if stored is None:
        first = ~incoming["delivery_utc"].duplicated()
        return incoming, {"added": int(first.sum()), "revised": int((~first).sum())}
    keys = ["delivery_utc", "available_at"]
    both = incoming.merge(stored[[*keys, "value", "origin"]], on=keys, how="left", suffixes=("", "_stored"))
    known = both["value_stored"].notna().to_numpy()
    same = known & np.isclose(both["value"], both["value_stored"].fillna(np.inf), rtol=1e-12, atol=1e-9)
    mended = both["origin"].isin(_MENDED).to_numpy()
    mended_stored = both["origin_stored"].isin(_MENDED).to_numpy()
    differs = known & ~same
    conflict = differs & ~mended & ~mended_stored
    if conflict.any():
        stamps = both.loc[conflict, "delivery_utc"]
        raise DataError(
            f"{where}: {int(conflict.sum())} values contradict stored ones known at the same time, from "
            f"{stamps.min():%Y-%m-%d %H:%M} to {stamps.max():%Y-%m-%d %H:%M} UTC; a revision needs a later available_at "
            "(another seed or another source needs another store)"
        )
    replaces = (differs & mended_stored) | (same & mended_stored & ~mended)
    fresh = ~known & ~_says_nothing_new(stored, both).to_numpy()
    revised = fresh & both["delivery_utc"].isin(stored["delivery_utc"]).to_numpy()
    counts = {
        "added": int((fresh & ~revised).sum()),
        "revised": int(revised.sum()),
        "replaced": int(replaces.sum()),
        "unchanged": int((~fresh & ~replaces).sum()),
    }
    if not fresh.any() and not replaces.any():
        return None, counts
    parts = [stored, both.loc[fresh | replaces, [*_SCHEMA.names]]]
    merged = pd.concat(parts, ignore_index=True).drop_duplicates(keys, keep="last").sort_values(keys, kind="stable")
    return merged, counts


def _says_nothing_new(stored: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """Rows whose value is that of the newest published version before them: storing them would change no read."""
    left = rows[["delivery_utc", "available_at", "value"]].assign(_row=np.arange(len(rows))).sort_values("available_at")
    right = stored[["delivery_utc", "available_at", "value", "origin"]].sort_values("available_at")
    near = pd.merge_asof(left, right, on="available_at", by="delivery_utc", suffixes=("", "_before")).sort_values(
        "_row"
    )
    equal: pd.Series = (near["value"] == near["value_before"]) & ~near["origin"].isin(_MENDED)
    return equal


def _read_table(path: Path) -> pa.Table:
    try:
        return pq.ParquetFile(path).read(list(_SCHEMA.names)).cast(_SCHEMA)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(
            f"the store partition {path} is damaged ({type(error).__name__}: {error}); delete this file and run again, "
            "its rows are fetched anew"
        ) from error


def _read_partition(path: Path) -> pd.DataFrame:
    frame: pd.DataFrame = _read_table(path).to_pandas()
    return frame


def _write_partition(path: Path, rows: pd.DataFrame) -> None:
    """Write beside the place, flush to disk, move over: a crash leaves the old partition whole."""
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".rows-", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            table = pa.Table.from_pandas(rows[list(_SCHEMA.names)], schema=_SCHEMA, preserve_index=False)
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105  (the name of the operation that is atomic)
    except OSError as error:
        raise SettingError(
            f"cannot write the store at {path.parent} ({error.strerror or error}); choose a writable folder with store.root"
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
