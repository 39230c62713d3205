"""What a forecaster leans on: permutation importance of its inputs, by groups that carry a user's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import SettingError
from forecasting.metrics import mean_absolute_error
from forecasting.models.base import Forecaster
from forecasting.models.neural import NeuralForecaster
from forecasting.samples import DayAheadSamples

IntArray = NDArray[np.intp]
#: Rows with one group of inputs taken from the rows ``order``.
Shuffle = Callable[[DayAheadSamples, IntArray], DayAheadSamples]

#: Days back that are a group of their own; the other days of the history are one group together.
NAMED_LAGS: tuple[int, ...] = (1, 2, 3, 7)


@dataclass(frozen=True)
class Importance:
    """How much the error grows when one group of inputs belongs to other days.

    ``loss``: MAE of the untouched forecast; ``increase``: mean growth over the shuffles, in the unit of the target;
    ``standard_error`` of that mean over the shuffles; ``share``: increase over loss.
    """

    group: str
    loss: float
    increase: float
    standard_error: float
    share: float


def permutation_importance(
    model: Forecaster,
    samples: DayAheadSamples,
    *,
    repeats: int = 10,
    seed: int = 0,
    vectors: Mapping[str, NDArray[np.floating]] | None = None,
) -> list[Importance]:
    """Growth of the MAE when a group of inputs is shuffled across the days of ``samples`` (Breiman 2001, section 10).

    A published series is shuffled with its own past, so that it stays consistent with itself; days are shuffled within each
    zone. ``vectors`` are the source vectors that ``model`` was given (``set_context``): with them the group ``source`` deals
    them to other sources. Groups, largest first: one per published series, the target at d-1, d-2, d-3, d-7 and on the
    other days of history, ``calendar`` and ``source``. Groups may share information: two that do may both look small.

    Raises ``SettingError`` for fewer than two repeats: they would have no standard error.
    """
    if repeats < 2:
        raise SettingError(f"repeats must be at least 2 to have a standard error, got {repeats}")
    rows = samples.known()
    truth = rows.y.astype(np.float64)

    def loss(changed: DayAheadSamples) -> float:
        prediction = model.predict(changed)
        return mean_absolute_error(truth, prediction.quantiles[..., prediction.levels.index(0.5)])

    base = loss(rows)
    rng = np.random.default_rng(seed)
    orders = [_shuffled_days(rows, rng) for _ in range(repeats)]
    days_read = model.history_days if isinstance(model, NeuralForecaster) else rows.history_days
    groups = input_groups(rows, days_read)
    found = {name: [loss(shuffle(rows, order)) for order in orders] for name, shuffle in groups.items()}
    if vectors and len(vectors) > 1 and isinstance(model, NeuralForecaster):
        found["source"] = _losses_of_dealt_sources(model, rows, vectors, loss, repeats, rng)
    table = [_importance(name, base, np.asarray(losses)) for name, losses in found.items()]
    return sorted(table, key=lambda item: -item.increase)


def input_groups(samples: DayAheadSamples, days_read: int) -> dict[str, Shuffle]:
    """Groups of inputs by name, each with the function that takes them from the rows ``order`` instead of their own.

    ``days_read``: newest days of the history that the model reads; older ones are in no group.
    """
    groups: dict[str, Shuffle] = {}
    for name in dict.fromkeys((*samples.future_channels, *samples.history_channels[1:])):
        groups[_published(name)] = partial(_swap_series, name=name)
    named = [lag for lag in NAMED_LAGS if lag <= days_read]
    for lag in named:
        groups[f"{samples.target} d-{lag}"] = partial(_swap_days, lags=(lag,))
    others = tuple(lag for lag in range(1, days_read + 1) if lag not in named)
    if others:
        groups[f"{samples.target}, other days"] = partial(_swap_days, lags=others)
    groups["calendar"] = _swap_dates
    return groups


def _published(name: str) -> str:
    words = name.replace("_", " ")
    return f"published {words}" if "forecast" in name else words


def _swap_series(rows: DayAheadSamples, order: IntArray, name: str) -> DayAheadSamples:
    future, history = rows.future.copy(), rows.history.copy()
    if name in rows.future_channels:
        channel = rows.future_channels.index(name)
        future[..., channel] = rows.future[order][..., channel]
    if name in rows.history_channels:
        channel = rows.history_channels.index(name)
        history[..., channel] = rows.history[order][..., channel]
    return replace(rows, future=future, history=history)


def _swap_days(rows: DayAheadSamples, order: IntArray, lags: tuple[int, ...]) -> DayAheadSamples:
    history = rows.history.copy()
    for lag in lags:
        history[:, -lag, :, 0] = rows.history[order, -lag, :, 0]
    return replace(rows, history=history)


def _swap_dates(rows: DayAheadSamples, order: IntArray) -> DayAheadSamples:
    return replace(rows, day=rows.day[order])


def _shuffled_days(rows: DayAheadSamples, rng: np.random.Generator) -> IntArray:
    order = np.arange(len(rows))
    for zone in np.unique(rows.zone):
        own = np.flatnonzero(rows.zone == zone)
        order[own] = rng.permutation(own)
    return order


def _losses_of_dealt_sources(
    model: NeuralForecaster,
    rows: DayAheadSamples,
    vectors: Mapping[str, NDArray[np.floating]],
    loss: Callable[[DayAheadSamples], float],
    repeats: int,
    rng: np.random.Generator,
) -> list[float]:
    """Losses with the vectors dealt out anew, none to its own source."""
    names = list(vectors)
    losses = []
    try:
        for _ in range(repeats):
            dealt = rng.permutation(len(names))  # a cycle through a random order leaves no vector in place
            given = {names[a]: vectors[names[b]] for a, b in zip(dealt, np.roll(dealt, 1), strict=True)}
            model.set_context(given)
            losses.append(loss(rows))
    finally:
        model.set_context(vectors)
    return losses


def _importance(name: str, base: float, losses: NDArray[np.float64]) -> Importance:
    increase = float(losses.mean() - base)
    error = float(losses.std(ddof=1) / np.sqrt(len(losses)))
    return Importance(name, base, increase, error, increase / base if base else 0.0)
