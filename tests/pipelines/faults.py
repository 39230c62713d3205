"""What can go wrong in a night: answers that are spoiled, services, models and disks that fail, files that are damaged."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

import dispatch
from forecasting.artefact import TrainedForecaster
from forecasting.errors import NoDataError, SourceUnavailableError
from forecasting.models.lear import Lear
from forecasting.models.naive import Naive
from tests.pipelines.faulty import Fault, run_night


def on(series: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Fault:
    """``change`` applied to every answer about ``series``."""
    return lambda name, _place, frame: change(frame) if name == series else frame


def between(first: str, last: str, change: Callable[[pd.Series], pd.Series]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """``change`` applied to the values delivered in ``[first, last)``."""

    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        inside = (frame.index >= pd.Timestamp(first, tz="UTC")) & (frame.index < pd.Timestamp(last, tz="UTC"))
        return frame.assign(value=frame["value"].where(~inside, change(frame["value"])))

    return spoil


def without(first: str, last: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The rows delivered in ``[first, last)`` are absent."""
    return lambda frame: frame[
        (frame.index < pd.Timestamp(first, tz="UTC")) | (frame.index >= pd.Timestamp(last, tz="UTC"))
    ]


def nothing(series: str, _place: str, frame: pd.DataFrame) -> pd.DataFrame:
    if series == "wind_forecast":
        raise NoDataError("no data for COAST_1, wind_forecast")
    return frame


def in_kw(frame: pd.DataFrame) -> pd.DataFrame:
    """The same in kW, where MW are due."""
    return frame.assign(value=frame["value"] * 1e3)


def down(series: str, _place: str, frame: pd.DataFrame) -> pd.DataFrame:
    raise SourceUnavailableError(f"{series}: HTTP 503 for 300 s")


def down_for(series: str) -> Fault:
    """The service answers for every series but this."""
    return lambda name, place, frame: down(name, place, frame) if name == series else frame


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def patched(owner: Any, name: str, value: Any) -> Callable[[Path], Any]:
    return lambda _: mock.patch.object(owner, name, value)


def both_models_fail(_: Path) -> ExitStack:
    stack = ExitStack()
    for model in (Naive, Lear):
        stack.enter_context(mock.patch.object(model, "fit", raising(RuntimeError("the loss is not finite"))))
    return stack


def absurd(_: Path) -> Any:
    honest = TrainedForecaster.predict

    def predict(self: TrainedForecaster, samples: Any) -> Any:
        said = honest(self, samples)
        return replace(said, mean=said.mean + 1e7) if self.meta.model == "lear" else said

    return mock.patch.object(TrainedForecaster, "predict", predict)


def spoiled_schedule(**figures: Any) -> Callable[[Path], Any]:
    honest = dispatch.solve

    def solve(*arguments: Any, **options: Any) -> Any:
        schedule = honest(*arguments, **options)
        return replace(schedule, gap=0.01, certificate=replace(schedule.certificate, **figures))

    return patched(dispatch, "solve", solve)


def full_disk(place: str, error: int = errno.ENOSPC) -> Callable[[Path], Any]:
    honest = os.fsync

    def fsync(handle: int) -> None:
        if place in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(error, os.strerror(error))
        honest(handle)

    return patched(os, "fsync", fsync)


def earlier(as_of: str = "2022-06-13T11:30+02:00") -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        assert run_night(folder, name="earlier", as_of=as_of).code == 0

    return run


def cut(pattern: str) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        earlier()(folder)
        for path in folder.glob(pattern):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return run


def deleted(pattern: str) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        earlier()(folder)
        for path in folder.glob(pattern):
            path.unlink()

    return run


def terminated(frame: pd.DataFrame) -> pd.DataFrame:
    """The process is asked to end while it reads."""
    os.kill(os.getpid(), signal.SIGTERM)
    return frame


YESTERDAY, TODAY = ("2022-06-12T22:00", "2022-06-13T22:00"), ("2022-06-13T22:00", "2022-06-14T22:00")
DELIVERY = ("2022-06-14T22:00", "2022-06-15T22:00")
LAST_THREE_DAYS = ("2022-06-10T22:00", "2022-06-13T22:00")
NOON = ("2022-06-13T10:00", "2022-06-13T12:00")


def day_before(frame: pd.DataFrame) -> pd.DataFrame:
    """The last whole day repeats the one before it."""
    values = frame["value"].copy()
    for first, last in (DELIVERY, TODAY):
        inside = (values.index >= pd.Timestamp(first, tz="UTC")) & (values.index < pd.Timestamp(last, tz="UTC"))
        if inside.sum() == 24:
            values[inside] = values.shift(24)[inside]
            break
    return frame.assign(value=values.ffill())


def flat(values: pd.Series) -> pd.Series:
    return values * 0 + 900.0


def shifted(frame: pd.DataFrame, hours: int) -> pd.DataFrame:
    """A load with a plain shape, whose last week comes so many hours late; early if negative."""
    clock = frame.index.tz_convert("Europe/Copenhagen").hour.to_numpy()
    noise = np.random.default_rng(len(frame)).normal(0, 5, len(frame))
    plain = frame.assign(
        value=1500 + 300 * np.sin((clock - 8) / 12 * np.pi) + 90 * np.sin((clock - 5) / 6 * np.pi) + noise
    )
    return between("2022-06-08T22:00", "2022-06-15T22:00", lambda values: values.shift(hours).bfill().ffill())(plain)


def repeated(frame: pd.DataFrame, add: float = 0.0) -> pd.DataFrame:
    """The rows of one morning come a second time, with ``add`` on top of their values."""
    again = frame[(frame.index >= pd.Timestamp(NOON[0], tz="UTC")) & (frame.index < pd.Timestamp(NOON[1], tz="UTC"))]
    return pd.concat([frame, again.assign(value=again["value"] + add)])
