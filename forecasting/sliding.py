"""Training windows that slide through the day, beside the one window per day that ends at midnight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecasting.errors import SettingError
from forecasting.samples import DayAheadSamples

_ONE_DAY = np.timedelta64(1, "D")


def sliding_windows(samples: DayAheadSamples, step_hours: int) -> DayAheadSamples:
    """``samples`` and, between every two consecutive days of a zone, the windows that start ``step_hours`` apart.

    A window that starts ``k`` hours into day ``d`` has the last hours of the history and the first ``k`` hours of day ``d``
    behind it, the other hours of ``d`` and the first ``k`` of ``d + 1`` before it; what the sample of ``d + 1`` did not know
    of its past stays unknown. Rows keep the date on which they start. Such windows are for training a network that knows
    no hour of the day: nobody publishes a day-ahead forecast at noon of the delivery day.

    Raises ``SettingError`` if ``step_hours`` does not divide the day.
    """
    if step_hours < 1 or 24 % step_hours:
        raise SettingError(f"window_step_hours must divide 24, got {step_hours}")
    order = np.lexsort((samples.day, samples.zone))
    rows = samples.select(order)
    today = np.flatnonzero((rows.zone[:-1] == rows.zone[1:]) & (rows.day[1:] - rows.day[:-1] == _ONE_DAY))
    first, second = rows.select(today), rows.select(today + 1)
    past = np.concatenate([first.history[:, :1], second.history], axis=1)  # [N, H + 1, S, Ch]
    ahead = np.concatenate([first.future, second.future], axis=1)
    truth = np.concatenate([first.y, second.y], axis=1)
    parts = [samples]
    length, slots, per_hour = samples.history_days, samples.slots, samples.slots // 24
    flat = past.reshape(len(today), (length + 1) * slots, past.shape[-1])
    for hour in range(step_hours, 24, step_hours):
        k = hour * per_hour
        history = flat[:, k : k + length * slots].reshape(first.history.shape)
        moved = replace(first, history=history, future=ahead[:, k : k + slots], y=truth[:, k : k + slots])
        parts.append(moved)
    return DayAheadSamples.concat(parts)
