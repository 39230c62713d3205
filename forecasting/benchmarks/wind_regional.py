"""A regional wind forecast as a system operator would publish it, from the weather forecasts of all farms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from forecasting.benchmarks.wind import HOURS, WindFarms
from forecasting.errors import DataError, SettingError

FloatArray = NDArray[np.float64]

_FEWEST_DAYS = 60
_NEIGHBOUR_HOURS = (-3, -2, -1, 1, 2, 3)


@dataclass(frozen=True)
class RegionalForecaster:
    """Gradient boosting from the wind at every farm to the mean power of some of them.

    ``rounds``, ``leaves``, ``learning_rate``: size of the boosting. ``folds``, ``block_days``: days before the test are
    forecast out of fold, by a model that has seen other blocks of days alone. ``refit_days``: days between refits in the
    test (``None``: one fit).
    """

    rounds: int = 150
    leaves: int = 12
    learning_rate: float = 0.08
    folds: int = 4
    block_days: int = 7
    refit_days: int | None = 28

    def __post_init__(self) -> None:
        if self.folds < 2 or min(self.rounds, self.leaves, self.block_days, self.refit_days or 1) < 1:
            raise SettingError(
                f"regional forecast: folds must be at least 2 and all other numbers positive, got {self}"
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
        target = regional_power(farms, sites)
        features = _features(farms)
        usable = np.isfinite(target).all(axis=1)
        blind = ~np.isfinite(features[:, :, : 2 * len(farms.sites)]).any(axis=(1, 2))
        known = usable & farms.known_days(first_test_day)
        if known.sum() < _FEWEST_DAYS:
            raise DataError(
                f"regional forecast: {known.sum()} days are known before {first_test_day}, {_FEWEST_DAYS} are needed; "
                "start the test later"
            )
        published = np.full(target.shape, np.nan)
        fold = np.arange(len(farms.day)) // self.block_days % self.folds
        before = farms.day < first_test_day
        for number in range(self.folds):
            asked = before & (fold == number)
            published[asked] = self._fit(features, target, known & (fold != number), seed)(features[asked])
        test = np.flatnonzero(~before)
        every = self.refit_days or max(len(test), 1)
        for start in range(0, len(test), every):
            rows = test[start : start + every]
            known = usable & farms.known_days(farms.day[rows[0]])
            published[rows] = self._fit(features, target, known, seed)(features[rows])
        published[blind] = np.nan
        return published

    def _fit(self, features: FloatArray, target: FloatArray, rows: NDArray[np.bool_], seed: int) -> _Regression:
        model = HistGradientBoostingRegressor(
            max_iter=self.rounds,
            max_leaf_nodes=self.leaves,
            learning_rate=self.learning_rate,
            min_samples_leaf=40,
            max_features=0.4,
            random_state=seed,
        )
        model.fit(features[rows].reshape(-1, features.shape[-1]), target[rows].reshape(-1))
        return _Regression(model)


@dataclass(frozen=True, eq=False)
class _Regression:
    """A fitted regression of hours, applied to whole days."""

    model: HistGradientBoostingRegressor

    def __call__(self, features: FloatArray) -> FloatArray:
        if not len(features):
            return np.zeros((0, HOURS))
        flat = self.model.predict(features.reshape(-1, features.shape[-1]))
        return np.clip(np.asarray(flat, dtype=np.float64).reshape(-1, HOURS), 0.0, None)


def regional_power(farms: WindFarms, sites: Sequence[str]) -> FloatArray:
    """Mean power of ``sites``, ``[D, 24]``; NaN where fewer than half of them are known."""
    power = farms.power[farms.positions(sites)]
    known = np.isfinite(power)
    total = np.where(known, power, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.asarray(np.where(2 * count >= len(sites), total / np.maximum(count, 1), np.nan))


def _features(farms: WindFarms) -> FloatArray:
    """``[D, 24, n]``: components and speed at every farm, speeds of the hours around, hour of the day, season."""
    top = len(farms.heights_m) - 1
    speed = np.hypot(farms.u, farms.v)  # [F, D, 24, heights]
    parts = [farms.u[..., top], farms.v[..., top], *np.moveaxis(speed, -1, 0)]
    parts += [at_hour(speed[..., top], shift) for shift in (-1, 1)]
    columns = [np.moveaxis(part, 0, -1) for part in parts]
    known = np.isfinite(speed[..., top])
    mean = np.where(known, speed[..., top], 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    columns += [at_hour(mean, shift)[..., None] for shift in _NEIGHBOUR_HOURS]
    of_year = (farms.day - farms.day.astype("datetime64[Y]")).astype(np.float64)[:, None] * 2.0 * np.pi / 365.25
    shape = (len(farms.day), HOURS)
    columns += [
        np.broadcast_to(part, shape)[..., None] for part in (np.arange(HOURS), np.sin(of_year), np.cos(of_year))
    ]
    return np.concatenate(columns, axis=-1)


def at_hour(values: FloatArray, shift: int) -> FloatArray:
    """Values ``[..., 24]`` of the hour ``shift`` later on the same day; the first and last hour stand in beyond it."""
    return values[..., np.clip(np.arange(HOURS) + shift, 0, HOURS - 1)]
