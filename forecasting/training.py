"""Training of a network on tensors in memory, by Lightning. The only file that knows Lightning."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from tqdm import tqdm  # type: ignore[import-untyped]

from forecasting.encoding import Batch
from forecasting.training_settings import TrainingSettings

LossFunction = Callable[[Tensor, Batch], Tensor]

#: Rows per forward pass of a validation.
_VALIDATION_ROWS = 512


class TensorBatches:
    """Shuffled batches of tensors that already lie in memory: one index per step in place of a worker per row.

    Batch ``k`` depends on ``seed`` and ``k`` alone, so a resumed fit sees the batches that an unbroken one would have.
    """

    def __init__(self, data: Batch, batch_size: int, steps: int, seed: int) -> None:
        self.data = data
        self.batch_size = min(batch_size, len(data.y))
        self.steps = steps
        self.seed = seed
        self.first = 0
        self.stride = 1

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        for step in range(self.steps):
            yield self.at(self.first + step * self.stride)

    def at(self, step: int) -> Batch:
        """Batch number ``step`` of an endless shuffled stream."""
        per_pass = len(self.data.y) // self.batch_size
        run, position = divmod(step, per_pass)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + run)
        order = torch.randperm(len(self.data.y), generator=generator)
        rows = order[position * self.batch_size : (position + 1) * self.batch_size]
        return self.data.rows(rows.to(self.data.y.device))


class _WholeBatches:
    """Every row once, in order."""

    def __init__(self, data: Batch) -> None:
        self.data = data

    def __len__(self) -> int:
        return math.ceil(len(self.data.y) / _VALIDATION_ROWS)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.data.y), _VALIDATION_ROWS):
            yield self.data.rows(slice(start, start + _VALIDATION_ROWS))


def make_optimizer(network: nn.Module, settings: TrainingSettings, learning_rate: float) -> torch.optim.Optimizer:
    """Adam or AdamW over all parameters."""
    if settings.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)
    return torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=settings.weight_decay, fused=True)


def learning_rate_factor(step: int, settings: TrainingSettings) -> float:
    """Share of the highest learning rate at ``step``: linear warm-up, then cosine to zero or constant."""
    warmup = settings.warmup_share * settings.steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if not settings.cosine:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1.0, settings.steps - warmup))))


class ForecastModule(pl.LightningModule):
    """Network, loss and optimiser for Lightning; everything else lives in the network."""

    def __init__(self, network: nn.Module, loss: LossFunction, settings: TrainingSettings) -> None:
        super().__init__()
        self.network = network
        self.loss_function = loss
        self.settings = settings

    def training_step(self, batch: Batch, _: int) -> Tensor:
        return self.loss_function(self.network(batch), batch)

    def validation_step(self, batch: Batch, _: int) -> None:
        loss = self.loss_function(self.network(batch), batch)
        self.log("valid_loss", loss, batch_size=len(batch.y), prog_bar=True)

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self.network, self.settings, self.settings.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, self.settings))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class AverageAndBest(Callback):
    """Keeps the moving average of the weights, validates with it, and remembers the best in memory."""

    def __init__(self, decay: float, batches: TensorBatches, seed: int) -> None:
        self.decay = decay
        self.seed = seed
        self.batches = batches
        self.average: list[Tensor] = []
        self.best: list[Tensor] = []
        self.best_loss = math.inf
        self.curve: list[dict[str, float]] = []
        self._current: list[Tensor] = []
        self._losses: list[Tensor] = []
        self._started = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        weights = _weights(pl_module)
        restored = self.average
        self.average = [w.to(pl_module.device) for w in restored] if restored else [w.clone() for w in weights]
        self._started = time.perf_counter()
        self._place(trainer, pl_module)  # a resumed fit enters its first interval without on_train_epoch_start

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._place(trainer, pl_module)

    def _place(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.batches.first = trainer.global_step * trainer.world_size + trainer.global_rank
        self.batches.stride = trainer.world_size
        self.batches.data = Batch(*(tensor.to(pl_module.device) for tensor in self.batches.data))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Dropout follows from seed and step alone, so that an interruption leaves no trace.
        seed = self.seed * 1_000_003 + trainer.global_step * trainer.world_size + trainer.global_rank
        if pl_module.device.type == "cpu":
            # torch.manual_seed would also queue a call, with its stack in text, for each kind of absent accelerator.
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(outputs["loss"].detach())
        step = trainer.global_step
        decay = min(self.decay, step / (step + 10.0))
        torch._foreach_lerp_(self.average, _weights(pl_module), 1.0 - decay)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.average:
            self._current = [w.clone() for w in _weights(pl_module)]
            _assign(pl_module, self.average)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = float(trainer.callback_metrics["valid_loss"])
        if loss < self.best_loss:
            self.best_loss = loss
            self.best = [w.clone() for w in _weights(pl_module)]
        if self._current:
            _assign(pl_module, self._current)
            self._current = []
        self._record(trainer, valid_loss=loss)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._losses:
            self._record(trainer)

    def _record(self, trainer: pl.Trainer, **more: float) -> None:
        train_loss = float(torch.stack(self._losses).mean()) if self._losses else math.nan
        self._losses = []
        seconds = time.perf_counter() - self._started
        self.curve.append({"step": trainer.global_step, "seconds": seconds, "train_loss": train_loss, **more})

    def state_dict(self) -> dict[str, Any]:
        return {"average": self.average, "best": self.best, "best_loss": self.best_loss, "curve": self.curve}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, value in state_dict.items():
            setattr(self, name, value)


class StepsBar(Callback):
    """One progress bar over all optimiser steps, with the newest losses."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._bar: tqdm | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bar = tqdm(total=self.steps, initial=trainer.global_step, unit="step", desc="training", leave=True)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._bar is not None:
            self._bar.update()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._bar is not None:
            self._bar.set_postfix(valid_loss=f"{float(trainer.callback_metrics['valid_loss']):.4f}")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self._bar is not None:
            self._bar.close()


def _weights(module: nn.Module) -> list[Tensor]:
    return [parameter.detach() for parameter in module.parameters()]


def _assign(module: nn.Module, values: list[Tensor]) -> None:
    torch._foreach_copy_(_weights(module), values)


@dataclass(frozen=True)
class TrainingRun:
    """What a training did: seconds in all, in the loop alone, and its learning curve."""

    seconds: float
    steps: int
    samples_per_second: float
    curve: list[dict[str, float]] = field(default_factory=list)


def train_network(
    network: nn.Module,
    loss: LossFunction,
    train: Batch,
    valid: Batch | None,
    settings: TrainingSettings,
    *,
    seed: int,
    progress: bool = False,
    checkpoint: Path | None = None,
) -> TrainingRun:
    """Train ``network`` in place and leave it in evaluation mode with its averaged (and, with ``valid``, best) weights.

    Writes nothing unless ``checkpoint`` is given: then a killed run goes on where that file stands.
    """
    started = time.perf_counter()
    interval = max(1, settings.steps // settings.checks)
    batches = TensorBatches(train, settings.batch_size, interval, seed)
    keeper = AverageAndBest(settings.average_decay, batches, seed)
    callbacks: list[Callback] = [keeper]
    if valid is not None and settings.patience:
        callbacks.append(EarlyStopping("valid_loss", patience=settings.patience, min_delta=0.0))
    if checkpoint is not None:
        callbacks.append(
            ModelCheckpoint(
                checkpoint.parent, checkpoint.stem, save_on_train_epoch_end=True, enable_version_counter=False
            )
        )
    if progress:
        callbacks.append(StepsBar(settings.steps))
    module = ForecastModule(network, loss, settings)
    with _quiet(progress), torch.random.fork_rng():
        torch.manual_seed(seed)
        trainer = pl.Trainer(
            max_steps=settings.steps,
            max_epochs=-1,
            accelerator="auto",
            strategy=settings.strategy,
            devices=settings.devices or "auto",
            num_nodes=settings.nodes,
            gradient_clip_val=settings.gradient_clip or None,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=checkpoint is not None,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        resume = str(checkpoint) if checkpoint is not None and checkpoint.exists() else None
        _fit(trainer, module, batches, _WholeBatches(valid) if valid is not None else None, resume)
    network.cpu()
    _assign(network, [w.cpu() for w in (keeper.best or keeper.average)])
    network.eval()
    loop_seconds = max(1e-9, time.perf_counter() - keeper._started)
    rate = trainer.global_step * batches.batch_size * trainer.world_size / loop_seconds
    return TrainingRun(time.perf_counter() - started, trainer.global_step, rate, keeper.curve)


def _fit(trainer: pl.Trainer, module: ForecastModule, train: Any, valid: Any, resume: str | None) -> None:
    """Lightning turns Ctrl-C into ``SystemExit`` and leaves it ignored; give both back to the caller."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, train, valid, ckpt_path=resume, weights_only=True)
    except SystemExit as stop:
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from stop


@contextlib.contextmanager
def _quiet(progress: bool) -> Iterator[None]:
    """Silence Lightning's notices about hardware and loaders; errors still show."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING if progress else logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning.*")
            yield
    finally:
        logger.setLevel(level)


def plain_steps(
    network: nn.Module,
    loss: LossFunction,
    batches: Iterator[Batch],
    optimizer: torch.optim.Optimizer,
    gradient_clip: float,
) -> int:
    """The same optimiser steps without Lightning: for warm starts of a few steps, and as the floor of its overhead."""
    network.train()
    done = 0
    for batch in batches:
        optimizer.zero_grad()
        loss(network(batch), batch).backward()  # type: ignore[no-untyped-call]
        if gradient_clip:
            nn.utils.clip_grad_norm_(network.parameters(), gradient_clip)
        optimizer.step()
        done += 1
    network.eval()
    return done
