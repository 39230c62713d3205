"""Finished pieces of a wind benchmark on disk, so that a run that was killed goes on where it stood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from forecasting.benchmarks.wind_study import ArmForecast
from pipelines.run_folder import write_atomically


def save_arrays(parts: Path, label: str, arrays: Mapping[str, Any]) -> None:
    """Keep ``arrays`` under ``label``; the file appears whole or not at all."""

    def write(path: Path) -> None:
        with path.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **{name: np.asarray(value) for name, value in arrays.items()})

    write_atomically(_file(parts, label), write)


def load_arrays(parts: Path, label: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The arrays kept under ``label``; made and kept first if there are none."""
    if not _file(parts, label).exists():
        save_arrays(parts, label, make())
    with np.load(_file(parts, label)) as arrays:
        return dict(arrays)


def save_arm(parts: Path, label: str, forecast: ArmForecast) -> None:
    """Keep one fitted arm's forecasts."""
    save_arrays(parts, label, forecast.to_arrays())


def load_arm(parts: Path, label: str) -> ArmForecast | None:
    """The forecasts kept under ``label``, if there are any."""
    if not _file(parts, label).exists():
        return None
    with np.load(_file(parts, label)) as arrays:
        return ArmForecast.from_arrays(dict(arrays))


def _file(parts: Path, label: str) -> Path:
    return parts / f"{label.replace(' ', '_').replace('+', 'with')}.npz"
