"""Day-ahead samples to the tensors that every network reads: scaled, level removed, NaN replaced beside its mask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.errors import ArtefactError, DataError
from forecasting.samples import DayAheadSamples
from forecasting.transforms import (
    SEASON_FEATURES,
    WEEKDAY_FEATURES,
    MeanVarianceScaler,
    TargetTransform,
    calendar_features,
    recent_level,
)

#: Standardised inputs are cut here, so that one broken meter reading cannot drive the network out of its range.
_INPUT_LIMIT = 6.0


class SourceContext(StrEnum):
    """What a network is told about the zone or site of a row."""

    NONE = "none"
    IDENTITY = "identity"
    GIVEN = "given"


class Batch(NamedTuple):
    """Network input for ``B`` rows. Unknown values are 0 and their ``*_observed`` entry is 0.

    ``history``, ``history_observed``: ``[B, H, S]``, the scaled target less its recent level, newest day last.
    ``drivers``, ``drivers_observed``: ``[B, H, S, C]``, the other history channels.
    ``future``, ``future_observed``: ``[B, S, F]``, forecasts published for the delivery day.
    ``calendar``: ``[B, K]``. ``context``: ``[B, E]``. ``level``, ``center``, ``scale``: ``[B]``.
    ``y``: ``[B, S]``, scaled like ``history``; zero in prediction.
    """

    history: Tensor
    history_observed: Tensor
    drivers: Tensor
    drivers_observed: Tensor
    future: Tensor
    future_observed: Tensor
    calendar: Tensor
    context: Tensor
    level: Tensor
    center: Tensor
    scale: Tensor
    y: Tensor

    def rows(self, index: Tensor | slice) -> Batch:
        """The rows at ``index``."""
        return Batch(*(tensor[index] for tensor in self))


@dataclass(frozen=True)
class Layout:
    """Sizes and channel names that a network is built for. ``twins[k]`` is the driver that holds future channel ``k``."""

    target: str
    step_minutes: int
    history_days: int
    drivers: tuple[str, ...]
    futures: tuple[str, ...]
    twins: tuple[int | None, ...]
    zones: tuple[str, ...]
    context_size: int
    season: bool

    @property
    def slots(self) -> int:
        """Steps in the normalised market day."""
        return 1440 // self.step_minutes

    @property
    def calendar_size(self) -> int:
        """Number of calendar features."""
        return len(WEEKDAY_FEATURES) + self.season * len(SEASON_FEATURES)

    def to_tensor(self) -> Tensor:
        """As bytes, to travel among tensors."""
        return torch.tensor(list(json.dumps(asdict(self)).encode()), dtype=torch.uint8)

    @classmethod
    def from_tensor(cls, data: Tensor) -> Self:
        """Inverse of :meth:`to_tensor`."""
        fields: dict[str, Any] = json.loads(bytes(data.tolist()).decode())
        return cls(**_lists_to_tuples(fields))


class SampleEncoder:
    """Learns one location and spread per zone and channel, then turns samples into a :class:`Batch`.

    A zone that was not in training is scaled by its own history, so a forecaster can be applied to a new site.
    """

    def __init__(
        self,
        *,
        history_days: int,
        transform: TargetTransform,
        level_days: int,
        condition: bool,
        context: SourceContext,
        vectors: Mapping[str, NDArray[np.floating]] | None = None,
    ) -> None:
        self.history_days = history_days
        self.transform = transform
        self.scaler = transform.scaler()
        self.level_days = level_days
        self.condition = condition
        self.context = context
        self.vectors = {
            zone: torch.as_tensor(np.asarray(v), dtype=torch.float32) for zone, v in (vectors or {}).items()
        }
        self.layout: Layout | None = None
        self._locations: dict[str, tuple[Tensor, Tensor]] = {}  # zone -> center, scale over (target, drivers, futures)

    def fit(self, samples: DayAheadSamples) -> Layout:
        """Learn the scalers of every zone in ``samples`` and fix the layout."""
        if samples.history_days < self.history_days:
            raise DataError(
                f"samples of {samples.target} hold {samples.history_days} days of history, the model needs "
                f"{self.history_days}; build longer windows or lower history_days"
            )
        futures = samples.future_channels if self.condition else ()
        drivers = samples.history_channels[1:] if self.condition else ()
        zones = tuple(sorted(set(samples.zone.tolist())))
        self.layout = Layout(
            target=samples.target,
            step_minutes=samples.step_minutes,
            history_days=self.history_days,
            drivers=drivers,
            futures=futures,
            twins=tuple(drivers.index(name) if name in drivers else None for name in futures),
            zones=zones,
            context_size=self._context_size(zones),
            season=_spans_two_years(samples),
        )
        for zone in zones:
            rows = samples.select(samples.zone == zone)
            self._locations[zone] = self._locate(rows, torch.from_numpy(rows.y).reshape(-1, 1))
        return self.layout

    def _context_size(self, zones: tuple[str, ...]) -> int:
        if self.context is SourceContext.NONE:
            return 0
        if self.context is SourceContext.IDENTITY:
            return len(zones)
        absent = [zone for zone in zones if zone not in self.vectors]
        if absent:
            raise DataError(
                f"no context vector for {', '.join(absent)}; give the model an embedding, or call set_context with one vector "
                "per zone"
            )
        return len(next(iter(self.vectors.values())))

    def _locate(self, rows: DayAheadSamples, target: Tensor) -> tuple[Tensor, Tensor]:
        """Center and scale ``[1 + C + F]`` of one zone; a driver that is also published ahead shares its scale."""
        layout = self.fitted_layout()
        history = torch.from_numpy(rows.history[:, -2:])  # the newest day may be known in part only
        future = torch.from_numpy(rows.future)[..., : len(layout.futures)].flatten(0, 1)
        drivers = history[..., 1 : 1 + len(layout.drivers)].flatten(0, 2)
        parts = [self.scaler.fit(target)]
        other = MeanVarianceScaler()
        center_d, scale_d = other.fit(drivers)
        center_f, scale_f = other.fit(future)
        for k, twin in enumerate(layout.twins):
            if twin is not None and torch.isfinite(future[:, k]).any():
                center_d[twin], scale_d[twin] = center_f[k], scale_f[k]
            elif twin is not None:
                center_f[k], scale_f[k] = center_d[twin], scale_d[twin]
        parts += [(center_d, scale_d), (center_f, scale_f)]
        return torch.cat([c for c, _ in parts]), torch.cat([s for _, s in parts])

    def fitted_layout(self) -> Layout:
        """The layout; raises ``DataError`` before training."""
        if self.layout is None:
            raise DataError("the model is not trained yet; call fit or load an artefact first")
        return self.layout

    def encode(self, samples: DayAheadSamples, *, with_target: bool) -> Batch:
        """Tensors of ``samples``; ``samples.y`` is read only ``with_target``.

        Raises ``DataError`` if channels, step or history length are not those of the training.
        """
        layout = self.fitted_layout()
        self._check_layout(samples, layout)
        center, scale = self._locations_of(samples)
        n_d = len(layout.drivers)
        history = torch.from_numpy(samples.history[:, -layout.history_days :])  # [N, H, S, Ch]
        target, observed = history[..., 0], torch.isfinite(history[..., 0])
        at = (slice(None), None, None)
        z = self.scaler.forward(target, center[:, 0][at], scale[:, 0][at])
        level = recent_level(z, observed, self.level_days) if self.level_days else torch.zeros(len(samples))
        drivers = _standardise(
            history[..., 1 : 1 + n_d], center[:, None, None, 1 : 1 + n_d], scale[:, None, None, 1 : 1 + n_d]
        )
        future = torch.from_numpy(samples.future)[..., : len(layout.futures)]
        future = _standardise(future, center[:, None, 1 + n_d :], scale[:, None, 1 + n_d :])
        y = torch.zeros(len(samples), layout.slots)
        if with_target:
            y = self.scaler.forward(torch.from_numpy(samples.y), center[:, :1], scale[:, :1]) - level[:, None]
        return Batch(
            history=_filled(z - level[at], observed),
            history_observed=observed.float(),
            drivers=_filled(drivers, torch.isfinite(drivers)),
            drivers_observed=torch.isfinite(drivers).float(),
            future=_filled(future, torch.isfinite(future)),
            future_observed=torch.isfinite(future).float(),
            calendar=calendar_features(samples.day, season=layout.season),
            context=self._context_of(samples),
            level=level,
            center=center[:, 0].contiguous(),
            scale=scale[:, 0].contiguous(),
            y=y,
        )

    def to_unit(self, scaled: Tensor, batch: Batch) -> Tensor:
        """Scaled values ``[B, S, ...]`` without level, back to the unit of the target."""
        shape = (-1, *(1 for _ in scaled.shape[1:]))
        level, center, scale = (v.view(shape) for v in (batch.level, batch.center, batch.scale))
        return self.scaler.inverse(scaled + level, center, scale)

    def _check_layout(self, samples: DayAheadSamples, layout: Layout) -> None:
        futures = samples.future_channels if self.condition else ()
        drivers = samples.history_channels[1:] if self.condition else ()
        got = (samples.target, samples.step_minutes, drivers, futures)
        want = (layout.target, layout.step_minutes, layout.drivers, layout.futures)
        for name, a, b in zip(
            ("target", "step_minutes", "history channels", "future channels"), got, want, strict=True
        ):
            if a != b:
                raise DataError(
                    f"samples have {name} {a}, the model was trained with {b}; rebuild the samples or retrain"
                )
        if samples.history_days < layout.history_days:
            raise DataError(
                f"samples hold {samples.history_days} days of history, the model reads {layout.history_days}"
            )

    def _locations_of(self, samples: DayAheadSamples) -> tuple[Tensor, Tensor]:
        zones, position = np.unique(samples.zone, return_inverse=True)
        table: list[tuple[Tensor, Tensor]] = []
        for zone in zones.tolist():
            known = self._locations.get(zone)
            if known is None:
                rows = samples.select(samples.zone == zone)
                known = self._locate(rows, torch.from_numpy(rows.history[..., 0]).reshape(-1, 1))
            table.append(known)
        index = torch.from_numpy(position)
        return torch.stack([c for c, _ in table])[index], torch.stack([s for _, s in table])[index]

    def _context_of(self, samples: DayAheadSamples) -> Tensor:
        layout = self.fitted_layout()
        table = torch.zeros(len(samples), layout.context_size)
        for zone in set(samples.zone.tolist()):
            rows = torch.from_numpy(samples.zone == zone)
            if self.context is SourceContext.IDENTITY and zone in layout.zones:
                table[rows, layout.zones.index(zone)] = 1.0
            elif self.context is SourceContext.GIVEN and zone in self.vectors:
                table[rows] = self.vectors[zone]
        return table

    def state(self) -> dict[str, Tensor]:
        """Layout, scalers and context vectors as tensors."""
        layout = self.fitted_layout()
        center = torch.stack([self._locations[zone][0] for zone in layout.zones])
        scale = torch.stack([self._locations[zone][1] for zone in layout.zones])
        vectors = {f"context.{zone}": vector for zone, vector in self.vectors.items()}
        return {"layout": layout.to_tensor(), "center": center, "scale": scale, **vectors}

    def load_state(self, state: Mapping[str, Tensor]) -> Layout:
        """Restore what :meth:`state` returned."""
        try:
            self.layout = Layout.from_tensor(state["layout"])
            rows = zip(self.layout.zones, state["center"], state["scale"], strict=True)
        except (KeyError, ValueError, TypeError) as error:
            raise ArtefactError(f"the saved scalers cannot be read ({error}); train the model again") from error
        self._locations = {zone: (center, scale) for zone, center, scale in rows}
        prefix = "context."
        self.vectors = {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
        return self.layout


def _spans_two_years(samples: DayAheadSamples) -> bool:
    """With one year of data the position in the year only names the day, and a network learns days by heart."""
    return int((samples.day.max() - samples.day.min()).astype(np.int64)) >= 2 * 365


def _lists_to_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}


def _standardise(values: Tensor, center: Tensor, scale: Tensor) -> Tensor:
    return ((values - center) / scale).clamp(-_INPUT_LIMIT, _INPUT_LIMIT)


def _filled(values: Tensor, observed: Tensor) -> Tensor:
    return torch.where(observed, values, torch.zeros((), dtype=values.dtype)).contiguous()
