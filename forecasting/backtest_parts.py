"""Finished stretches of a backtest and the forecaster's state after each, in memory or in a folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Span:
    """Test days ``[start, stop)`` by position, saved together; ``refit`` if they start with a new fit."""

    number: int
    start: int
    stop: int
    refit: bool


class PartStore:
    """Keeps the arrays of each span and the newest state. With a folder, both survive the process.

    A part file appears whole or not at all, and only after the state that continues it, so a folder found after a kill
    can be continued from its last part.
    """

    def __init__(self, root: Path | None, fingerprint: str) -> None:
        self.folder = None if root is None else root / fingerprint
        self._parts: dict[int, Mapping[str, Any]] = {}
        self._state: tuple[int, Mapping[str, Tensor]] | None = None
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def has(self, span: Span) -> bool:
        """Whether ``span`` is finished."""
        return span.number in self._parts or (self.folder is not None and self._part_file(span).exists())

    def save(self, span: Span, part: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        """Keep the arrays of ``span`` and the state of the forecaster at its end."""
        if self.folder is None:
            self._parts[span.number] = part
        else:
            kept = {key: value.detach().clone() for key, value in state.items()}
            _replace(self._state_file(span), lambda path: torch.save(kept, path))
            _replace(self._part_file(span), lambda path: _save_arrays(path, part))
            for older in self.folder.glob("state_*.pt"):
                if older != self._state_file(span):
                    older.unlink()
        self._state = (span.number, {key: value.detach().clone() for key, value in state.items()})

    def load(self, span: Span) -> Mapping[str, Any]:
        """The arrays of a finished span."""
        if span.number in self._parts:
            return self._parts[span.number]
        with np.load(self._part_file(span)) as arrays:
            return dict(arrays)

    def state(self, span: Span) -> Mapping[str, Tensor]:
        """The state of the forecaster at the end of ``span``, the newest finished one."""
        if self._state is not None and self._state[0] == span.number:
            return self._state[1]
        return dict(torch.load(self._state_file(span), weights_only=True))

    def _part_file(self, span: Span) -> Path:
        assert self.folder is not None
        return self.folder / f"part_{span.number:05d}.npz"

    def _state_file(self, span: Span) -> Path:
        assert self.folder is not None
        return self.folder / f"state_{span.number:05d}.pt"


def _save_arrays(path: Path, part: Mapping[str, Any]) -> None:
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{key: np.asarray(value) for key, value in part.items()})


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
