"""All versions of one series on the normalised market day, ready to be read as of many moments at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.market_day import Days, skipped_slots, slot_positions, slots_per_day, to_slots

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class SlotVersions:
    """``layers[k]`` is the k-th version of every slot: values and ``available_at`` (ns since 1970), ``[day, slot]``.

    A slot with fewer versions repeats its last one, so the last layer is the newest state. Where a slot holds two hours
    (autumn), it becomes known when both are.
    """

    layers: tuple[tuple[FloatArray, IntArray], ...]

    @property
    def has_values(self) -> bool:
        """Whether any slot is known at any time."""
        return bool(np.isfinite(self.layers[-1][0]).any())

    def newest(self) -> FloatArray:
        """The newest version of every slot, ``[day, slot]``."""
        return self.layers[-1][0]

    def known_at(self, window: IntArray, moments: IntArray) -> FloatArray:
        """Values of days ``window`` (``[N, K]`` positions) as known at ``moments`` (``[N]``): ``[N, K, slot]``."""
        result: FloatArray = np.full((*window.shape, self.layers[0][0].shape[1]), np.nan)
        limit = moments[:, None, None]
        for values, available_at in self.layers:
            result = np.where(available_at[window] <= limit, values[window], result)
        return result


def load_slot_versions(rows: pd.DataFrame, days: Days, time_zone: str, step_minutes: int) -> SlotVersions:
    """Arrange store rows (``Store.versions``: sorted by delivery time and availability) by version and slot.

    Rows coarser than the slot are repeated within it, finer ones averaged.
    """
    version = rows.groupby(level=0).cumcount().to_numpy()
    layers: list[tuple[FloatArray, IntArray]] = []
    state = rows.iloc[:0]
    for k in range(int(version.max(initial=0)) + 1):
        part = rows[version == k]
        state = pd.concat([state[~state.index.isin(part.index)], part]).sort_index() if k else part
        layers.append(_layer(state, days, time_zone, step_minutes))
    return SlotVersions(tuple(layers))


def _layer(state: pd.DataFrame, days: Days, time_zone: str, step_minutes: int) -> tuple[FloatArray, IntArray]:
    index = pd.DatetimeIndex(state.index).as_unit("ns")
    values = state["value"].to_numpy(dtype=np.float64)
    known = pd.DatetimeIndex(state["available_at"]).as_unit("ns").asi8
    repeat = _slots_per_row(index, step_minutes, time_zone)
    if repeat.max(initial=1) > 1:
        first = np.concatenate([[0], np.cumsum(repeat)[:-1]])
        within = np.arange(repeat.sum()) - np.repeat(first, repeat)
        index = index.repeat(repeat) + pd.to_timedelta(within * step_minutes, unit="min")
        values, known = np.repeat(values, repeat), np.repeat(known, repeat)
    slots = slots_per_day(step_minutes)
    available = np.full(len(days) * slots, -1, dtype=np.int64)
    position = slot_positions(index, days[0], time_zone, step_minutes)
    inside = (position >= 0) & (position < len(available))
    np.maximum.at(available, position[inside], known[inside])
    available[available < 0] = _NEVER
    hour = 60 // step_minutes
    for gap in skipped_slots(days[0], len(days), time_zone, step_minutes):
        if gap - hour >= 0 and gap + hour < len(available):
            available[gap] = max(available[gap - hour], available[gap + hour])
    return to_slots(index, values, days, time_zone, step_minutes), available.reshape(len(days), slots)


def _slots_per_row(index: pd.DatetimeIndex, step_minutes: int, time_zone: str) -> IntArray:
    """How many slots each row covers: 4 for hourly rows on quarter-hour slots. The finest step of a market day rules it.

    Judging day by day lets a market move from hours to quarter-hours, and keeps a missing quarter missing.
    """
    if len(index) == 0:
        return np.ones(0, dtype=np.int64)
    minutes = index.asi8 // 60_000_000_000
    to_next = np.minimum(np.diff(minutes, append=minutes[-1] + 60), 60)
    day = index.tz_convert(time_zone).tz_localize(None).as_unit("ns").asi8 // 86_400_000_000_000
    day_first = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    finest = np.minimum.reduceat(to_next, day_first)
    per_day = np.maximum(finest // step_minutes, 1)
    return np.asarray(np.repeat(per_day, np.diff(day_first, append=len(index))), dtype=np.int64)
