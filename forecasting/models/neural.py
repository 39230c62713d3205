"""What every neural forecaster shares: encode, train, predict, save."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forecasting.embedding import SourceEncoder
from forecasting.encoding import Batch, Layout, SampleEncoder, SourceContext
from forecasting.errors import ArtefactError, DataError, SettingError, UnknownNameError
from forecasting.models.base import QUANTILE_LEVELS, FitReport, Forecaster, Prediction, setting_names
from forecasting.models.known_target import require_known_target
from forecasting.names import unknown
from forecasting.nn.heads import make_head, moments_from_quantiles
from forecasting.samples import DayAheadSamples
from forecasting.training_settings import TrainingSettings
from forecasting.transforms import TargetTransform

#: Rows per forward pass in prediction.
_PREDICTION_ROWS = 256
#: Predictions stay within the scaled range of the training target, widened by this much at each end.
_RANGE_MARGIN = 1.0


class NeuralSettings(TypedDict, total=False):
    """What every neural forecaster can be told, whatever its network; see :class:`NeuralForecaster`."""

    head: str
    transform: str | None
    level_days: int | None
    condition: bool
    source_context: str
    embedding: Mapping[str, Any] | None
    training: TrainingSettings | Mapping[str, Any] | None


class NeuralForecaster(Forecaster):
    """Base of the forecasters that are one network with one head.

    A subclass says which network it wants (:meth:`build_network`), what that network's own settings are, and its training
    defaults.

    Parameters
    ----------
    history_days: days of history that the network reads.
    head: ``quantile``, ``gaussian``, ``student_t`` or ``johnson_su``.
    transform: ``asinh`` or ``linear``; ``None`` takes asinh for prices and linear otherwise.
    level_days: days whose mean level is removed; 0 removes nothing, ``None`` takes 7, for wind 0.
    condition: ``False`` hides every series but the target (the unconditional control).
    source_context: ``none``, ``identity`` (one-hot of the training zones) or ``given`` (a vector for each zone or site).
    embedding: settings of the :class:`~forecasting.embedding.SourceEncoder` that is trained first and gives those vectors
        (Shi et al. 2023, section 3.2.3); without it they come from :meth:`set_context`.
    training: see :class:`TrainingSettings`.
    """

    uses_future_condition: ClassVar[bool] = True
    training_defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        *,
        history_days: int,
        head: str = "quantile",
        transform: str | None = None,
        level_days: int | None = None,
        condition: bool = True,
        source_context: str = "none",
        embedding: Mapping[str, Any] | None = None,
        training: TrainingSettings | Mapping[str, Any] | None = None,
    ) -> None:
        if history_days < 1:
            raise SettingError(f"history_days must be at least 1, got {history_days}")
        self.head_kind = head
        self.head = make_head(head, QUANTILE_LEVELS)
        self.history_days = history_days
        self.transform = TargetTransform(transform) if transform is not None else None
        self.level_days = level_days
        self.condition = condition
        self.source_context = SourceContext(source_context)
        if embedding is not None and self.source_context is not SourceContext.GIVEN:
            raise SettingError(f"an embedding needs source_context=given, got {source_context}")
        #: Describes zones or sites, if there is an embedding.
        self.sources = None if embedding is None else _source_encoder(embedding)
        self.training = TrainingSettings.of(training, self.training_defaults)
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._encoder: SampleEncoder | None = None
        self._network: nn.Module | None = None
        self._range = torch.tensor([-torch.inf, torch.inf])
        self._floor = -torch.inf
        self._optimizer: torch.optim.Optimizer | None = None

    @abstractmethod
    def build_network(self, layout: Layout) -> nn.Module:
        """A fresh network that maps a :class:`Batch` to ``[B, S, head.raw_size]``."""

    def prepare_network(self, network: nn.Module, train: DayAheadSamples) -> None:
        """What a network takes from the training data before its first step; nothing by default."""

    def training_rows(self, samples: DayAheadSamples) -> DayAheadSamples:
        """What the network is trained on; by default the delivery days as they are."""
        return samples

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Scalar training loss."""
        return self.head.loss(raw, batch.y).mean()

    def set_context(self, vectors: Mapping[str, NDArray[np.floating]]) -> Self:
        """Give each zone or site a vector that describes it (``source_context="given"``); new sites may be added later."""
        self._vectors.update({zone: np.asarray(vector, dtype=np.float32) for zone, vector in vectors.items()})
        if self._encoder is not None:
            self._encoder.vectors.update({zone: torch.from_numpy(v) for zone, v in self._vectors.items()})
        return self

    def describe_sources(self, past: DayAheadSamples) -> None:
        """Describe every zone or site of ``past`` by its newest days; one that is too short keeps the vector of its training.

        Raises ``DataError`` for a place that is too short and was not in training.
        """
        if self.sources is None:
            return
        known = self._trained()[0].vectors
        for zone in sorted(set(past.zone.tolist())):
            try:
                self.set_context(self.sources.describe(past.select(past.zone == zone)))
            except DataError as error:
                if zone not in known:
                    raise DataError(f"{zone} was not in training and cannot be described: {error}") from error

    def fit(
        self,
        train: DayAheadSamples,
        valid: DayAheadSamples | None = None,
        *,
        seed: int = 0,
        progress: bool = False,
        checkpoint_dir: Path | None = None,
    ) -> FitReport:
        """Train from nothing; with ``checkpoint_dir`` a killed fit on the same data and settings goes on where it stood.

        Raises ``DataError`` if the target has a NaN (with its dates) or there is nothing to train on.
        """
        # Lightning takes seconds to import; a process that only predicts does not pay them.
        from forecasting.training import train_network

        require_known_target(train)
        if valid is not None:
            require_known_target(valid, "validation")
        if self.sources is not None:
            self.sources.fit(train, seed=seed)
            self._vectors = self.sources.describe(train)
        train = self.training_rows(train)
        self._encoder = self._new_encoder(train.target)
        layout = self._encoder.fit(train)
        encoded = self._encoder.encode(train, with_target=True)
        checked = self._encoder.encode(valid, with_target=True) if valid is not None else None
        self._learn_range(train, encoded)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._network = self.build_network(layout)
        self.prepare_network(self._network, train)
        self._optimizer = None
        checkpoint = checkpoint_dir / f"{self._fit_key(train, seed)}.ckpt" if checkpoint_dir is not None else None
        run = train_network(
            self._network,
            self.loss,
            encoded,
            checked,
            self.training,
            seed=seed,
            progress=progress,
            checkpoint=checkpoint,
        )
        parameters = sum(parameter.numel() for parameter in self._network.parameters())
        return FitReport(run.seconds, len(train), parameters, tuple(run.curve), run.samples_per_second)

    def warm_start_steps(self, samples: DayAheadSamples, steps: int = 2, *, seed: int = 0) -> None:
        """Adapt the trained network with a few optimiser steps, for daily recalibration without a new fit.

        ``samples`` are the days to learn from, oldest first. Every step takes the newest day and draws the rest of its
        batch at random with a preference for recent days (half-life: an eighth of the rows). Scalers stay.
        """
        from forecasting.training import make_optimizer, plain_steps

        require_known_target(samples, "warm start")
        encoder, network = self._trained()
        if self._optimizer is None:
            self._optimizer = make_optimizer(network, self.training, self.training.warm_learning_rate)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            drawn = _recent_rows(samples, steps, self.training.warm_batch_size or self.training.batch_size)
            batches = (encoder.encode(samples.select(rows), with_target=True) for rows in drawn)
            plain_steps(network, self.loss, batches, self._optimizer, self.training.gradient_clip)

    def fine_tune(self, samples: DayAheadSamples, steps: int, *, seed: int = 0) -> None:
        """Go on from a fit on many zones with the rows of a few, at ``training.fine_tune_learning_rate``; scalers stay."""
        from forecasting.training import train_network

        require_known_target(samples, "fine-tuning")
        encoder, network = self._trained()
        settings = replace(self.training, steps=steps, learning_rate=self.training.fine_tune_learning_rate)
        train_network(network, self.loss, encoder.encode(samples, with_target=True), None, settings, seed=seed)
        self._optimizer = None

    def predict(self, samples: DayAheadSamples) -> Prediction:
        encoder, network = self._trained()
        encoded = encoder.encode(samples, with_target=False)
        network.eval()
        means, stds, quantiles = [], [], []
        with torch.inference_mode():
            for start in range(0, len(samples), _PREDICTION_ROWS):
                rows = encoded.rows(slice(start, start + _PREDICTION_ROWS))
                raw = network(rows)
                quantiles.append(self._in_unit(raw, rows, QUANTILE_LEVELS))
                grid = self.head.grid()
                mean, std = moments_from_quantiles(self._in_unit(raw, rows, grid), grid)
                means.append(mean)
                stds.append(std)
        if not means:
            raise DataError(f"no samples of {samples.target} to predict; check the delivery days")
        levels = torch.cat(quantiles)
        return Prediction(
            mean=torch.cat(means).clamp(min=self._floor).double().numpy(),
            std=torch.cat(stds).double().numpy(),
            quantiles=levels.double().numpy(),
        )

    def _in_unit(self, raw: Tensor, rows: Batch, levels: tuple[float, ...]) -> Tensor:
        """Quantiles ``[B, S, Q]`` in the unit of the target, inside the range that training has seen."""
        encoder, _ = self._trained()
        level = rows.level[:, None, None]
        scaled = (self.head.quantiles(raw, levels) + level).clamp(self._range[0], self._range[1]) - level
        return encoder.to_unit(scaled, rows).clamp(min=self._floor)

    def _learn_range(self, train: DayAheadSamples, encoded: Batch) -> None:
        """A network that runs away must not publish: bound it by the training range, and by 0 where that is physical."""
        scaled = encoded.y + encoded.level[:, None]
        self._range = torch.stack([scaled.min() - _RANGE_MARGIN, scaled.max() + _RANGE_MARGIN])
        self._floor = 0.0 if train.target != "price" and train.y.min() >= 0 else -torch.inf

    def _new_encoder(self, target: str) -> SampleEncoder:
        """Prices and loads have a level that drifts and wind has none; only prices have spikes."""
        is_price, has_level = target == "price", target != "wind"
        return SampleEncoder(
            history_days=self.history_days,
            transform=self.transform or (TargetTransform.ASINH if is_price else TargetTransform.LINEAR),
            level_days=self.level_days if self.level_days is not None else (7 if has_level else 0),
            condition=self.condition,
            context=self.source_context,
            vectors=self._vectors,
        )

    def _trained(self) -> tuple[SampleEncoder, nn.Module]:
        if self._encoder is None or self._network is None:
            raise DataError(f"this {self.name} is not trained yet; call fit or load an artefact first")
        return self._encoder, self._network

    def _fit_key(self, train: DayAheadSamples, seed: int) -> str:
        data = [str(train.zone[0]), str(train.day.min()), str(train.day.max()), len(train)]
        text = json.dumps([self.name, self.settings(), seed, data], sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def settings(self) -> dict[str, Any]:
        """Constructor arguments as plain JSON values; a network's own ones are attributes of the same name."""
        shared: dict[str, Any] = {
            "head": self.head_kind,
            "transform": None if self.transform is None else self.transform.value,
            "source_context": self.source_context.value,
            "embedding": self.sources and self.sources.settings(),
            "training": self.training.to_dict(),
        }
        names = [name for name in setting_names(type(self)) if name != "embedding" or self.sources is not None]
        return {name: shared[name] if name in shared else getattr(self, name) for name in names}

    def state(self) -> dict[str, Tensor]:
        encoder, network = self._trained()
        state = {f"network.{name}": tensor.detach().clone() for name, tensor in network.state_dict().items()}
        state |= {f"encoder.{name}": tensor for name, tensor in encoder.state().items()}
        if self.sources is not None:
            state |= {f"sources.{name}": tensor for name, tensor in self.sources.state().items()}
        return state | {"range": self._range, "floor": torch.tensor(self._floor)}

    def load_state(self, state: Mapping[str, Tensor]) -> Self:
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "encoder": {}, "sources": {}}
        for name, tensor in state.items():
            part, _, rest = name.partition(".")
            if part in parts:
                parts[part][rest] = tensor
        try:
            layout = Layout.from_tensor(parts["encoder"]["layout"])
            self._encoder = self._new_encoder(layout.target)
            self._encoder.load_state(parts["encoder"])
            self._network = self.build_network(layout).eval()
            self._network.load_state_dict(parts["network"])
            if self.sources is not None:
                self.sources.load_state(parts["sources"])
            self._range, self._floor = state["range"], float(state["floor"])
        except (KeyError, RuntimeError) as error:
            raise ArtefactError(f"saved weights do not fit this {self.name} ({error}); train it again") from error
        self._optimizer = None
        return self


def _source_encoder(settings: Mapping[str, Any]) -> SourceEncoder:
    known = setting_names(SourceEncoder)
    for key in settings:
        if key not in known:
            raise UnknownNameError(unknown("setting of the embedding", str(key), known))
    return SourceEncoder(**settings)


def _recent_rows(samples: DayAheadSamples, steps: int, batch_size: int) -> list[NDArray[np.intp]]:
    """Rows of each warm-start batch: those of the newest day, the rest drawn with a preference for recent days."""
    age = (samples.day.max() - samples.day).astype(np.int64)
    half_life = max(1.0, float(age.max()) / 8)
    weight = torch.from_numpy(np.exp2(-age / half_life))
    newest = torch.from_numpy(np.flatnonzero(age == 0))[:batch_size]
    others = min(batch_size, len(samples)) - len(newest)
    drawn = (torch.multinomial(weight, others, replacement=True) if others else newest[:0] for _ in range(steps))
    return [torch.cat([newest, rows]).numpy() for rows in drawn]
