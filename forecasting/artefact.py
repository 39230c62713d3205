"""One file per trained forecaster: weights, scalers, settings, channels and data vintage; nothing in it is executed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import pickle
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from forecasting.embedding import SourceEncoder
from forecasting.errors import ArtefactError, DataError, ForecastingError, StorageError
from forecasting.forecast import Forecast, InputRecord
from forecasting.market_day import delivery_index, slot_positions
from forecasting.models import create
from forecasting.models.base import Forecaster, Prediction
from forecasting.samples import DayAheadSamples
from forecasting.store_files import DISK_FAULTS

#: Raised when the layout of the file changes in a way that older code cannot read.
FORMAT_VERSION = 1


@dataclass(frozen=True)
class ArtefactMeta:
    """What an artefact says about itself; plain JSON values.

    ``first_day``, ``last_day``: delivery days of the training data. ``newest_available_at``: newest publication time among
    the data used (UTC), or the last decision time if the caller did not say. ``fingerprint``: SHA-256 over everything else
    in the file, weights included.
    """

    model: str
    settings: Mapping[str, Any]
    target: str
    unit: str
    step_minutes: int
    history_days: int
    history_channels: tuple[str, ...]
    future_channels: tuple[str, ...]
    zones: tuple[str, ...]
    first_day: str
    last_day: str
    samples: int
    newest_available_at: str
    seed: int
    package_version: str
    config_hash: str
    format_version: int = FORMAT_VERSION
    fingerprint: str = ""

    @property
    def model_id(self) -> str:
        """Model name, package version and the start of the fingerprint."""
        return f"{self.model} {self.package_version} {self.fingerprint[:12]}"


@dataclass(frozen=True, eq=False)
class TrainedForecaster:
    """A forecaster as loaded from its artefact."""

    model: Forecaster
    meta: ArtefactMeta
    path: Path | None = field(default=None)

    def predict(self, samples: DayAheadSamples) -> Prediction:
        """Predict every row; raises ``DataError`` if the samples are not what the model was trained on."""
        got = (samples.target, samples.step_minutes, samples.history_channels, samples.future_channels)
        meta = self.meta
        want = (meta.target, meta.step_minutes, meta.history_channels, meta.future_channels)
        if got != want:
            raise DataError(
                f"artefact {meta.model_id} reads {want}, the samples hold {got}; rebuild them or train again"
            )
        return self.model.predict(samples)

    def describe_sources(self, past: DayAheadSamples) -> None:
        """Describe the zones or sites of ``past``, days known by now, to a forecaster with a source embedding."""
        self.model.describe_sources(past)

    def forecast(
        self,
        row: DayAheadSamples,
        index_utc: pd.DatetimeIndex | None = None,
        *,
        time_zone: str,
        inputs: Mapping[str, InputRecord] | None = None,
        simulated: bool = False,
        prediction: Prediction | None = None,
    ) -> Forecast:
        """The forecast of one delivery day on its real steps (23 to 25 hours, or 92 to 100 quarter-hours).

        Parameters
        ----------
        row: samples with exactly one row.
        index_utc: delivery steps to report; by default the whole market day.
        time_zone: IANA name of the zone in which the market day is cut.
        inputs: origin of each input series. simulated: whether the data is simulated.
        prediction: what to report, such as a calibrated prediction of the row; by default the model's own.
        """
        if len(row) != 1:
            raise DataError(f"a forecast is for one delivery day, the samples hold {len(row)} rows; select one")
        day = row.day[0]
        index = index_utc if index_utc is not None else delivery_index(day, time_zone, row.step_minutes)
        position = slot_positions(index, day, time_zone, row.step_minutes)
        if len(position) == 0 or position.min() < 0 or position.max() >= row.slots:
            raise DataError(f"the delivery index does not lie within {day} in {time_zone}; check zone and day")
        prediction = prediction if prediction is not None else self.predict(row)
        return Forecast(
            target=row.target,
            zone=str(row.zone[0]),
            unit=row.unit,
            issued_at=pd.Timestamp(row.issued_at[0]).tz_localize("UTC"),
            index=index,
            mean=prediction.mean[0][position],
            std=prediction.std[0][position],
            quantile_levels=prediction.levels,
            quantiles=prediction.quantiles[0][position],
            scenarios=np.empty((0, len(index))),
            inputs=dict(inputs or {}),
            model_id=self.meta.model_id,
            simulated=simulated,
        )


def save(
    path: str | Path,
    model: Forecaster | SourceEncoder,
    trained_on: DayAheadSamples,
    *,
    seed: int,
    newest_available_at: pd.Timestamp | None = None,
    config: Mapping[str, Any] | None = None,
) -> ArtefactMeta:
    """Write ``model`` (or a source encoder) and what it was trained on as one file.

    The old file stays whole until the new one is complete.

    ``config`` is the configuration to remember by its hash; by default the model's settings.
    """
    path = Path(path)
    newest = (
        newest_available_at if newest_available_at is not None else pd.Timestamp(trained_on.issued_at.max(), tz="UTC")
    )
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state().items()}
    settings = model.settings()
    meta = {
        "model": model.name,
        "settings": settings,
        "target": trained_on.target,
        "unit": trained_on.unit,
        "step_minutes": trained_on.step_minutes,
        "history_days": trained_on.history_days,
        "history_channels": list(trained_on.history_channels),
        "future_channels": list(trained_on.future_channels),
        "zones": sorted(set(trained_on.zone.tolist())),
        "first_day": str(trained_on.day.min()),
        "last_day": str(trained_on.day.max()),
        "samples": len(trained_on),
        "newest_available_at": newest.isoformat(),
        "seed": seed,
        "package_version": package_version(),
        "config_hash": _hash_json(settings if config is None else config),
        "format_version": FORMAT_VERSION,
    }
    meta = json.loads(json.dumps(meta)) | {"fingerprint": _fingerprint(meta, state)}
    _write_whole(path, {"meta": meta, "state": state})
    return _meta_from(meta)


def load(path: str | Path) -> TrainedForecaster:
    """Read an artefact that :func:`save` wrote. No code of the file is executed (``weights_only``).

    Raises ``ArtefactError`` if the file is absent, damaged, foreign, or of a newer format.

    Example: ``forecasting.load("price.pt").predict(samples).quantiles``.
    """
    path = Path(path)
    meta, state = _read(path)
    try:
        model = create(meta["model"], **meta["settings"]).load_state(state)
    except ArtefactError:
        raise
    except ForecastingError as error:
        raise ArtefactError(f"{path} was written by another version ({error}); train the model again") from error
    return TrainedForecaster(model, _meta_from(meta), path)


def load_source_encoder(path: str | Path) -> SourceEncoder:
    """Read a source encoder that :func:`save` wrote; raises ``ArtefactError`` as :func:`load` does."""
    path = Path(path)
    meta, state = _read(path)
    if meta["model"] != SourceEncoder.name:
        raise ArtefactError(f"{path} holds a {meta['model']}, not a source encoder; read it with forecasting.load")
    return SourceEncoder(**meta["settings"]).load_state(state)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Description and tensors of a file whose format and fingerprint are right."""
    if not path.is_file():
        raise ArtefactError(f"no artefact at {path}; train one with: python -m pipelines.train")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, OSError, RuntimeError, EOFError, zipfile.BadZipFile, ValueError, KeyError) as error:
        raise ArtefactError(f"{path} cannot be read as an artefact (damaged or foreign file); train again") from error
    if not isinstance(content, dict) or not {"meta", "state"} <= content.keys():
        raise ArtefactError(f"{path} is not an artefact of this package: it lacks 'meta' and 'state'; train one")
    meta, state = dict(content["meta"]), content["state"]
    version = meta.get("format_version")
    if version != FORMAT_VERSION:
        raise ArtefactError(f"{path} has format {version}, this version reads {FORMAT_VERSION}; train the model again")
    written = meta.pop("fingerprint", None)
    if written != _fingerprint(meta, state):
        raise ArtefactError(f"{path} does not match its fingerprint (changed or damaged); restore it or train again")
    return {**meta, "fingerprint": written}, state


def package_version() -> str:
    """Version of the installed distribution, ``unknown`` in a bare checkout."""
    try:
        return importlib.metadata.version("adno")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _meta_from(meta: Mapping[str, Any]) -> ArtefactMeta:
    try:
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in meta.items()
        }
        return ArtefactMeta(**fields)
    except TypeError as error:
        raise ArtefactError(
            f"the description in the artefact is not complete ({error}); train the model again"
        ) from error


def _hash_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _fingerprint(meta: Mapping[str, Any], state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name in sorted(state):
        tensor = state[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _write_whole(path: Path, content: Mapping[str, Any]) -> None:
    partial: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        partial = Path(name)
        with os.fdopen(handle, "wb") as file:
            torch.save(dict(content), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.errno in DISK_FAULTS:
            raise StorageError(f"cannot write {path}: {error.strerror}; free the disk and run again") from error
        raise ArtefactError(f"cannot write {path}: {error.strerror}; choose another output folder") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
