"""The store: Parquet partitions of every version of every value, and reads as of a moment.

Layout: ``root/series=<name>/zone=<id>/month=<YYYY-MM>/rows.parquet``, rows keyed by delivery time and ``available_at``,
sorted, one per version. A partition is written beside its place and moved over it, so a reader sees the old file or the
new one and never a part. Several writers of one store must take turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from forecasting.errors import DataError, NoDataError, SettingError
from forecasting.quality import Finding, Origin, tidy
from forecasting.series import SeriesKind, series_spec
from forecasting.store_files import FILE_NAME, SCHEMA, months_between, read_partition, write_partition
from forecasting.store_merge import dated_as_seen, merge_versions


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
        self,
        frame: pd.DataFrame,
        *,
        series: str | None = None,
        zone: str | None = None,
        source: str | None = None,
        seen_at: pd.Timestamp | None = None,
    ) -> WriteReport:
        """Add the rows of ``frame`` (as a ``Source`` returns it; an ``origin`` column is optional).

        The same row again adds nothing. A later ``available_at`` with another value adds a version. Series, zone and
        source come from ``frame.attrs`` where they are not given.

        ``seen_at`` is the instant at which a source that may revise its past was read: a value that differs from the newest
        stored one is then a version known since ``seen_at``, whatever its ``available_at`` says. Without ``seen_at`` such a
        value is a contradiction.

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
        if rows.empty:
            return WriteReport(series, zone, missing=missing, findings=checked.findings)
        end = rows["delivery_utc"].iloc[-1] + pd.Timedelta(1, "ns")
        stored = self._rows(series, zone, rows["delivery_utc"].iloc[0], end)
        if seen_at is not None:
            rows = dated_as_seen(stored, rows, seen_at.tz_convert("UTC"))
        merged = merge_versions(stored, rows, f"{series} of {zone}")
        month = merged.rows["delivery_utc"].dt.tz_localize(None).to_numpy().astype("datetime64[M]")
        table = pa.Table.from_pandas(merged.rows, schema=SCHEMA, preserve_index=False, nthreads=1)
        for changed in np.unique(month[merged.changed]):
            first, last = np.searchsorted(month, [changed, changed + 1])
            write_partition(self._partition(series, zone, str(changed)), table.slice(first, last - first))
        return WriteReport(series, zone, **merged.counts, missing=missing, findings=checked.findings)

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
        frame = self._rows(series, zone, start, end).set_index("delivery_utc")
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
        pattern = str(self.root / "series=*" / "zone=*" / "month=*" / FILE_NAME)
        if not any(self.root.glob(f"series=*/zone=*/month=*/{FILE_NAME}")):
            raise NoDataError(f"the store {self.root} is empty; run the nightly job or ingest a source first")
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            quoted = pattern.replace("'", "''")
            options = "hive_partitioning = true, hive_types_autocast = false"
            connection.execute(f"CREATE VIEW observations AS SELECT * FROM read_parquet('{quoted}', {options})")
            try:
                answer: pd.DataFrame = connection.execute(sql).df()
            except duckdb.Error as error:
                raise SettingError(f"the query failed: {error}") from error
        return answer

    def _rows(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """All stored rows of the months that ``[start, end)`` touches, sorted by delivery time and availability."""
        paths = [self._partition(series, zone, month) for month in months_between(start, end)]
        tables = [read_partition(path) for path in paths if path.exists()]
        frame: pd.DataFrame = (pa.concat_tables(tables) if tables else SCHEMA.empty_table()).to_pandas()
        return frame

    def _partition(self, series: str, zone: str, month: str) -> Path:
        return self.root / f"series={series}" / f"zone={quote(zone, safe='')}" / f"month={month}" / FILE_NAME
