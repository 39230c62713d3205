"""Partition files of the store: their schema, and reads and writes that never leave half a file."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.errors import DataError, SettingError, StorageError

FILE_NAME = "rows.parquet"
#: What a full, exhausted or broken disk says.
DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_STAMP = pa.timestamp("ns", tz="UTC")

#: One row is one version of one value.
SCHEMA = pa.schema(
    [
        ("delivery_utc", _STAMP),
        ("value", pa.float64()),
        ("available_at", _STAMP),
        ("source", pa.string()),
        ("origin", pa.string()),
    ]
)


def months_between(start: pd.Timestamp, end: pd.Timestamp) -> Iterator[str]:
    """UTC months, ``YYYY-MM``, that ``[start, end)`` touches."""
    first, last = start.tz_convert("UTC"), (end - pd.Timedelta(1, "ns")).tz_convert("UTC")
    for number in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield f"{number // 12:04d}-{number % 12 + 1:02d}"


def read_partition(path: Path) -> pa.Table:
    """Rows of one partition. Raises ``DataError`` with the path and the way out if the file is damaged."""
    try:
        return pq.ParquetFile(path).read(list(SCHEMA.names), use_threads=False).cast(SCHEMA)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(
            f"the store partition {path} is damaged ({type(error).__name__}: {error}); delete this file and run again, "
            "its rows are fetched anew"
        ) from error


def write_partition(path: Path, rows: pa.Table) -> None:
    """Write beside the place, flush to disk, move over: a crash leaves the old partition whole.

    Raises ``StorageError`` if the disk is full or broken, and ``SettingError`` if the folder cannot be written.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".rows-", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            pq.write_table(rows, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if error.errno in DISK_FAULTS:
            raise StorageError(
                f"cannot write the store at {path.parent}: {error.strerror}; free the disk and run again, what is stored "
                "already stays"
            ) from error
        raise SettingError(
            f"cannot write the store at {path.parent} ({error.strerror or error}); "
            "choose a writable folder with store.root"
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
