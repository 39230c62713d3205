"""One writer at a time: a lock on a store that the kernel lets go when its holder ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines import clock
from pipelines.errors import FolderError, LockedError

log = logging.getLogger("adno")

FILE_NAME = ".lock"

#: What a killed writer may leave: temporary files of partitions, of the ledger and of the status.
HALF_WRITTEN = ("series=*/zone=*/month=*/.rows-*.tmp", "nights/*/*/*/.*", "monitoring/.*")


@contextmanager
def store_lock(root: Path) -> Iterator[None]:
    """Hold the store at ``root`` alone, and clear what a killed writer left half-written.

    The file names its holder; it stays when the holder is gone, and means nothing without the kernel's lock on it.

    Raises
    ------
    LockedError: another process holds the store; the text names its process id and since when.
    FolderError: the folder cannot be written.
    """
    path = root / FILE_NAME
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise FolderError(
            f"cannot write the store at {root} ({error.strerror or error}); choose a writable folder with store.root"
        ) from error
    try:
        _take(handle, root)
        _enter(handle, root)
        yield
        with suppress(OSError):
            _write(handle, "")
    finally:
        os.close(handle)


def _enter(handle: int, root: Path) -> None:
    left = _read(handle)
    if left:
        log.warning("the run of process %s, started %s, did not finish; this one resumes", *_holder(left))
    try:
        for pattern in HALF_WRITTEN:
            for partial in root.glob(pattern):
                partial.unlink(missing_ok=True)
        _write(handle, json.dumps({"pid": os.getpid(), "started": clock.now().isoformat(timespec="seconds")}))
    except OSError as error:
        raise FolderError(f"cannot write the store at {root} ({error.strerror or error}); free the disk") from error


def _take(handle: int, root: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise FolderError(f"the store at {root} cannot be locked ({error.strerror}); use a local disk") from error
        pid, started = _holder(_read(handle))
        raise LockedError(
            f"the store at {root} is in use by process {pid}, started {started}; wait for it, or give this run its own "
            "store.root"
        ) from error


def _holder(text: str) -> tuple[str, str]:
    try:
        record = json.loads(text)
        return str(record["pid"]), str(record["started"])
    except (ValueError, KeyError, TypeError):
        return "unknown", "at an unknown time"


def _read(handle: int) -> str:
    return os.pread(handle, 4096, 0).decode("utf-8", "replace").strip()


def _write(handle: int, text: str) -> None:
    """Overwrite in place: the lock belongs to this very file, so it cannot be replaced by another one."""
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)
