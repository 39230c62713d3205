"""The series of many sources on common days, and segments cut from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.errors import DataError, UnknownNameError
from forecasting.names import unknown
from forecasting.samples import DayAheadSamples

#: A segment must be known to at least this share in every source.
_KNOWN_SHARE = 0.9


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """``values`` ``[source, day, S, C]`` on ``days`` ``[day]`` (consecutive), standardised per source and channel.

    The scale must not give a source away, so each has mean 0 and deviation 1; NaN marks what is not known.
    """

    sources: tuple[str, ...]
    days: NDArray[np.datetime64]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, samples: DayAheadSamples, channels: Sequence[str]) -> SourceSeries:
        """From samples: channel ``target`` is ``y``, every other one a published series of the delivery day."""
        known = ("target", *samples.future_channels)
        for name in channels:
            if name not in known:
                raise UnknownNameError(unknown("channel", name, known))
        if not len(samples):
            raise DataError(f"no samples of {samples.target} to cut segments from")
        columns = [
            samples.y if name == "target" else samples.future[..., samples.future_channels.index(name)]
            for name in channels
        ]
        stacked = np.stack(columns, axis=-1)  # [N, S, C]
        sources = tuple(sorted(set(samples.zone.tolist())))
        days = np.arange(samples.day.min(), samples.day.max() + 1)
        values = np.full((len(sources), len(days), *stacked.shape[1:]), np.nan, dtype=np.float32)
        row = np.searchsorted(sources, samples.zone)
        values[row, (samples.day - days[0]).astype(np.int64)] = stacked
        return cls(sources, days, _standardised(values))

    def segment_starts(self, length: int) -> NDArray[np.int64]:
        """Positions of days from which ``length`` days are known well enough in every source."""
        known = np.isfinite(self.values).mean(axis=(2, 3))  # [source, day]
        total = np.concatenate([np.zeros((len(known), 1)), known.cumsum(axis=1)], axis=1)
        share = (total[:, length:] - total[:, :-length]) / length if known.shape[1] >= length else np.zeros((1, 0))
        return np.flatnonzero((share >= _KNOWN_SHARE).all(axis=0))

    def separate_starts(self, length: int) -> NDArray[np.int64]:
        """As many of :meth:`segment_starts` as follow each other without overlap, from the first one on."""
        kept: list[int] = []
        for start in self.segment_starts(length).tolist():
            if not kept or start >= kept[-1] + length:
                kept.append(start)
        return np.asarray(kept, dtype=np.int64)

    def segments(self, sources: NDArray[np.int64], starts: NDArray[np.int64], length: int) -> Tensor:
        """``[source, start, length * S, 2 C]``: values with unknown ones at 0, and their mask."""
        days = starts[:, None] + np.arange(length)
        cut = torch.from_numpy(self.values[sources[:, None, None], days[None]]).flatten(2, 3)
        known = torch.isfinite(cut)
        return torch.cat([torch.where(known, cut, 0.0), known.float()], dim=-1)


def _standardised(values: NDArray[np.float32]) -> NDArray[np.float32]:
    counts = np.isfinite(values).sum(axis=(1, 2), keepdims=True)
    center = np.nansum(values, axis=(1, 2), keepdims=True) / np.maximum(counts, 1)
    variance = np.nansum((values - center) ** 2, axis=(1, 2), keepdims=True) / np.maximum(counts, 1)
    scaled = (values - center) / np.where(variance > 0, np.sqrt(variance), 1.0)
    return np.asarray(np.clip(scaled, -6, 6), dtype=np.float32)


def season_of(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """0 for December to February, then 1, 2, 3."""
    month = (days.astype("datetime64[M]").astype(np.int64) % 12) + 1
    return np.asarray(month % 12 // 3, dtype=np.int64)
