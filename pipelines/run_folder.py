"""The folder of one run: files appear whole or not at all, and ``summary.json`` comes last."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.errors import FolderError


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Let ``write`` fill a temporary file beside ``path``, then move it into place in one step.

    Raises ``FolderError`` if the folder cannot be written; a file that was there stays as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        raise FolderError(
            f"cannot write {path}: {error.strerror or error}; free the disk or choose another folder (hydra.run.dir=PATH)"
        ) from error
    return path


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: NaN and infinities become null, times become ISO 8601 text."""
    match value:
        case None | bool() | str() | int():
            return value
        case float() | np.floating():
            return float(value) if math.isfinite(value) else None
        case np.integer() | np.bool_():
            return value.item()
        case pd.Timestamp():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | np.ndarray():
            return [plain(item) for item in value]
        case _:
            return str(value)


def config_hash(config: Mapping[str, Any]) -> str:
    """First 12 hex digits of the SHA-256 of the resolved configuration."""
    text = json.dumps(plain(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class RunFolder:
    """Where one run puts its files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def together(self) -> Iterator[RunFolder]:
        """A folder whose files all appear in this one at the end of the block, or none of them if it fails.

        A ``summary.json`` that stood here is removed first: from then on the run is not complete until a new one stands.
        """
        hidden = RunFolder(self.path / ".partial")
        shutil.rmtree(hidden.path, ignore_errors=True)
        try:
            yield hidden
            (self.path / "summary.json").unlink(missing_ok=True)
            for path in sorted(hidden.path.iterdir()):
                path.replace(self.path / path.name)
        except OSError as error:
            raise FolderError(f"cannot write {self.path}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(hidden.path, ignore_errors=True)

    def set_aside(self, names: Sequence[str]) -> None:
        """Move what an earlier run left under ``names`` to the folder ``previous``, so that nobody takes it for this run's.

        The summary goes first: from then on the earlier run is not complete. What ``previous`` held is replaced. A summary
        alone vouches for nothing and is removed. Raises ``FolderError`` if the files cannot be moved.
        """
        summary, previous = self.path / "summary.json", self.path / "previous"
        left = [self.path / name for name in names if (self.path / name).exists()]
        try:
            if not left:
                summary.unlink(missing_ok=True)
                return
            previous.mkdir(exist_ok=True)
            for path in [summary] * summary.exists() + left:
                path.replace(previous / path.name)
        except OSError as error:
            raise FolderError(
                f"cannot move the earlier run's files in {self.path}: {error.strerror or error}"
            ) from error

    def frame(self, name: str, frame: pd.DataFrame) -> Path:
        """Write a table as Parquet or CSV, by the ending of ``name``."""
        if name.endswith(".csv"):
            return write_atomically(self.path / name, lambda p: frame.to_csv(p, index=False, lineterminator="\n"))
        return write_atomically(self.path / name, lambda p: frame.to_parquet(p, compression="zstd"))

    def text(self, name: str, text: str) -> Path:
        """Write text in UTF-8."""
        return write_atomically(self.path / name, lambda p: p.write_text(text, encoding="utf-8"))

    def record(self, name: str, record: Mapping[str, Any]) -> Path:
        """Write a record as indented JSON; values that JSON cannot hold become null or text."""
        return self.text(name, json.dumps(plain(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
