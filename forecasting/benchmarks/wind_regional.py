"""A regional wind forecast as a system operator would publish it, from the weather forecasts of all farms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forecasting.benchmarks.wind import HOURS, WindFarms
from forecasting.errors import DataError, SettingError

FloatArray = NDArray[np.float64]

_FEWEST_DAYS = 60
_SPEED_HOURS = (-3, -1, 1, 3)
_COMPONENT_HOURS = (-3, 3)
#: Standardised weather is cut here.
_INPUT_LIMIT = 5.0
#: Weight of the error of the mean over farms beside that of single farms.
_REGION_WEIGHT = 2.0


@dataclass(frozen=True)
class RegionalForecaster:
    """Perceptrons from the wind at every farm to the power of some of them, averaged over these farms and over seeds.

    ``nets``: perceptrons from different seeds. ``width``, ``dropout``: of their two layers. ``steps``, ``batch_hours``,
    ``learning_rate``: AdamW under a one-cycle schedule. ``folds``, ``block_days``: days before the test are forecast out of
    fold, by a model that has seen other blocks of days alone. ``refit_days``: days between refits in the test (``None``:
    one fit).
    """

    nets: int = 2
    width: int = 128
    dropout: float = 0.3
    steps: int = 800
    batch_hours: int = 256
    learning_rate: float = 3e-3
    folds: int = 4
    block_days: int = 7
    refit_days: int | None = 28

    def __post_init__(self) -> None:
        counts = (self.nets, self.width, self.steps, self.batch_hours, self.block_days, self.refit_days or 1)
        if self.folds < 2 or min(counts) < 1 or not 0.0 <= self.dropout < 1.0:
            raise SettingError(
                "regional forecast: folds must be at least 2, dropout in [0, 1) and all other numbers positive, "
                f"got {self}"
            )

    def publish(
        self, farms: WindFarms, sites: Sequence[str], first_test_day: np.datetime64, *, seed: int = 0
    ) -> FloatArray:
        """Forecast of the mean power of ``sites`` for every day, ``[D, 24]``, share of capacity.

        Days before ``first_test_day`` are out of fold: the model that forecasts a day has not seen the power of its block.
        From then on every day is forecast by a model of the days known at the last refit, as it would have been published;
        the power of the test days enters nothing that is published before it was metered. NaN where no farm has weather.

        Raises ``DataError`` if fewer than 60 days are known before the test.
        """
        power = np.moveaxis(farms.power[farms.positions(sites)], 0, -1)  # [D, 24, F]
        features = _features(farms)
        usable = np.isfinite(regional_power(farms, sites)).all(axis=1)
        blind = ~np.isfinite(farms.u).any(axis=(0, 2, 3))
        known = usable & farms.known_days(first_test_day)
        if known.sum() < _FEWEST_DAYS:
            raise DataError(
                f"regional forecast: {known.sum()} days are known before {first_test_day}, {_FEWEST_DAYS} are needed; "
                "start the test later"
            )
        published = np.full(power.shape[:2], np.nan)
        fold = np.arange(len(farms.day)) // self.block_days % self.folds
        before = farms.day < first_test_day
        for number in range(self.folds):
            asked, learnt = before & (fold == number), known & (fold != number)
            published[asked] = self._forecast(features[learnt], power[learnt], features[asked], seed)
        test = np.flatnonzero(~before)
        every = self.refit_days or max(len(test), 1)
        for start in range(0, len(test), every):
            rows = test[start : start + every]
            learnt = usable & farms.known_days(farms.day[rows[0]])
            published[rows] = self._forecast(features[learnt], power[learnt], features[rows], seed)
        published[blind] = np.nan
        return published

    def _forecast(self, learnt: FloatArray, power: FloatArray, asked: FloatArray, seed: int) -> FloatArray:
        """Mean power of whole days ``[A, 24]`` from features ``[A, 24, n]``, after ``learnt`` and its ``power``."""
        if not len(asked):
            return np.zeros((0, HOURS))
        flat = learnt.reshape(-1, learnt.shape[-1])
        known = np.isfinite(flat)
        count = np.maximum(known.sum(axis=0), 1)
        center = np.where(known, flat, 0.0).sum(axis=0) / count
        spread = np.where(known, flat - center, 0.0)
        scale = np.sqrt((spread * spread).sum(axis=0) / count) + 1e-6

        def standardised(values: FloatArray) -> Tensor:
            """Unknown weather counts as the usual weather."""
            scaled = np.nan_to_num((values.reshape(-1, values.shape[-1]) - center) / scale)
            return torch.from_numpy(scaled).float().clamp(-_INPUT_LIMIT, _INPUT_LIMIT)

        x, each = standardised(learnt), torch.from_numpy(power.reshape(-1, power.shape[-1])).float()
        new = standardised(asked)
        total = torch.zeros(len(new))
        for number in range(self.nets):
            net = self._trained(x, each, self.nets * seed + number)
            with torch.inference_mode():
                total += net(new).mean(dim=1)
        mean: FloatArray = (total / self.nets).double().numpy()
        return mean.reshape(-1, HOURS).clip(0.0, None)

    def _trained(self, x: Tensor, power: Tensor, seed: int) -> nn.Module:
        """A perceptron ``[n, features] -> [n, farms]``; hours whose power is unknown at a farm do not count there."""
        known = torch.isfinite(power)
        power = torch.nan_to_num(power)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            layers: list[nn.Module] = []
            for inputs in (x.shape[1], self.width):
                layers += [nn.Linear(inputs, self.width), nn.GELU(), nn.Dropout(self.dropout)]
            net = nn.Sequential(*layers, nn.Linear(self.width, power.shape[1]))
            optimizer = torch.optim.AdamW(net.parameters(), self.learning_rate, weight_decay=0.01, fused=True)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, self.steps + 1)
            for _ in range(self.steps):
                rows = torch.randint(len(x), (self.batch_hours,))
                error = (net(x[rows]) - power[rows]) * known[rows]
                loss = error.square().mean() + _REGION_WEIGHT * error.mean(dim=1).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        return net.eval()


def regional_power(farms: WindFarms, sites: Sequence[str]) -> FloatArray:
    """Mean power of ``sites``, ``[D, 24]``; NaN where fewer than half of them are known."""
    power = farms.power[farms.positions(sites)]
    known = np.isfinite(power)
    total = np.where(known, power, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.asarray(np.where(2 * count >= len(sites), total / np.maximum(count, 1), np.nan))


def _features(farms: WindFarms) -> FloatArray:
    """``[D, 24, n]``: wind components and speed at every farm and height, at the greatest height also those of the hours
    around, hour of the day and season as waves."""
    speed = np.hypot(farms.u, farms.v)  # [F, D, 24, heights]
    parts = [part for values in (farms.u, farms.v, speed) for part in np.moveaxis(values, -1, 0)]
    parts += [at_hour(speed[..., -1], shift) for shift in _SPEED_HOURS]
    parts += [at_hour(values[..., -1], shift) for shift in _COMPONENT_HOURS for values in (farms.u, farms.v)]
    hour = np.arange(HOURS)[None] * (2.0 * np.pi / HOURS)
    of_year = (farms.day - farms.day.astype("datetime64[Y]")).astype(np.float64)[:, None] * (2.0 * np.pi / 365.25)
    shape = (len(farms.day), HOURS)
    waves = [wave(angle) for angle in (hour, 2.0 * hour, of_year) for wave in (np.sin, np.cos)]
    columns = [np.moveaxis(part, 0, -1) for part in parts]
    return np.concatenate([*columns, *(np.broadcast_to(wave, shape)[..., None] for wave in waves)], axis=-1)


def at_hour(values: FloatArray, shift: int) -> FloatArray:
    """Values ``[..., 24]`` of the hour ``shift`` later on the same day; the first and last hour stand in beyond it."""
    return values[..., np.clip(np.arange(HOURS) + shift, 0, HOURS - 1)]
