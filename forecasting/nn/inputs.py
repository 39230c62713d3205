"""Views of a :class:`Batch` that several networks read: one flat vector per day, or one sequence over the last days."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from forecasting.encoding import Batch, Layout

#: Days back whose target values are inputs (Lago et al. 2021, section 3.1).
TARGET_LAGS: tuple[int, ...] = (1, 2, 3, 7)
#: Days back whose published forecasts are inputs beside those of the delivery day (Lago et al. 2021, section 3.1).
DRIVER_LAGS: tuple[int, ...] = (1, 7)


def usable_lags(lags: Sequence[int], layout: Layout) -> tuple[int, ...]:
    """The lags that the history is long enough for."""
    return tuple(lag for lag in lags if lag <= layout.history_days)


def flat_size(layout: Layout) -> int:
    """Length of :func:`flat_vector`."""
    targets = len(usable_lags(TARGET_LAGS, layout))
    drivers = len(usable_lags(DRIVER_LAGS, layout)) * len(layout.drivers)
    futures = len(layout.futures)
    side = layout.calendar_size + layout.context_size
    return (targets + futures + drivers) * layout.slots + 2 * futures + side


def flat_vector(batch: Batch, layout: Layout) -> Tensor:
    """``[B, flat_size]``: lagged target, published forecasts and their lags, how much of them is known, calendar, context."""
    known = [batch.future_observed.mean(dim=1), batch.future_observed.amin(dim=1)] if layout.futures else []
    targets = [batch.history[:, -lag] for lag in usable_lags(TARGET_LAGS, layout)]
    drivers = [batch.drivers[:, -lag].flatten(1) for lag in usable_lags(DRIVER_LAGS, layout)]
    return torch.cat([*targets, batch.future.flatten(1), *drivers, *known, batch.calendar, batch.context], dim=-1)


def sequence_size(layout: Layout) -> int:
    """Channels of :func:`past_sequence`."""
    return 2 + 2 * len(layout.drivers)


def past_sequence(batch: Batch, days: int) -> Tensor:
    """``[B, days * S, sequence_size]``: target, its mask, drivers, their masks; oldest step first."""
    own = torch.stack([batch.history[:, -days:], batch.history_observed[:, -days:]], dim=-1)
    parts = [own, batch.drivers[:, -days:], batch.drivers_observed[:, -days:]]
    return torch.cat(parts, dim=-1).flatten(1, 2)


def delivery_size(layout: Layout) -> int:
    """Channels of :func:`delivery_sequence`."""
    return 2 * len(layout.futures) + layout.calendar_size + layout.context_size


def delivery_sequence(batch: Batch) -> Tensor:
    """``[B, S, delivery_size]``: published forecasts and their mask, calendar and context repeated on every step."""
    steps = batch.future.shape[1]
    side = torch.cat([batch.calendar, batch.context], dim=-1)[:, None].expand(-1, steps, -1)
    return torch.cat([batch.future, batch.future_observed, side], dim=-1)
