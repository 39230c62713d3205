"""Pairs of tariffs as points of a unit cube, and blocks of steps that are priced alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

FloatArray = NDArray[np.float64]

#: Longest block of steps with the same place between the grid's tariffs, as a share of the horizon.
LONGEST_BLOCK_SHARE = 0.34
#: Blocks per horizon where the grid's tariffs differ from step to step.
EVEN_BLOCKS = 6


@dataclass(frozen=True, eq=False)
class TariffSpace:
    """All ``feed_in <= sell <= buy <= grid_buy``, ``[T]``, currency/MWh.

    A point ``z`` of ``[2 T]`` holds the places of the buy tariffs between the grid's tariffs (0 feed-in, 1 grid price), then
    those of the sell tariffs. Steps without room between the two keep their price whatever ``z`` says.
    """

    feed_in: FloatArray
    grid_buy: FloatArray

    @property
    def steps(self) -> int:
        """Number of steps ``T``."""
        return len(self.feed_in)

    @property
    def dimensions(self) -> int:
        """Number of coordinates, ``2 T``."""
        return 2 * self.steps

    def tariffs(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Buy and sell tariffs of points ``[..., 2 T]``."""
        width, T = self.grid_buy - self.feed_in, self.steps
        return self.feed_in + width * z[..., :T], self.feed_in + width * z[..., T:]

    def ordered(self, z: FloatArray) -> FloatArray:
        """The admissible point that swaps buy and sell where they are the wrong way round, ``[n, 2 T]``.

        Uniform points of the cube become uniform points of the triangle ``sell <= buy``.
        """
        z, T = np.clip(z, 0.0, 1.0), self.steps
        return np.concatenate([np.maximum(z[:, :T], z[:, T:]), np.minimum(z[:, :T], z[:, T:])], axis=1)

    def corners(self) -> FloatArray:
        """Points worth asking first: the grid's own tariffs, one price at either end, and a ladder of markups, ``[n, 2 T]``."""
        T = self.steps
        pairs = [(1.0, 0.0), (0.0, 0.0), (1.0, 1.0), *((1 - k / 2, k / 2) for k in (0.2, 0.4, 0.6, 0.8))]
        return np.array([[*[buy] * T, *[sell] * T] for buy, sell in pairs])

    def latin_hypercube(self, count: int, rng: np.random.Generator) -> FloatArray:
        """``count`` admissible points, ``[n, 2 T]``."""
        return self.ordered(qmc.LatinHypercube(self.dimensions, rng=rng).random(count))

    def blocks(self) -> NDArray[np.int64]:
        """Block of each step, ``[T]``: runs of steps with equal grid tariffs, or even spans where these keep changing."""
        change = (np.diff(self.grid_buy) != 0) | (np.diff(self.feed_in) != 0)
        label: NDArray[np.int64] = np.concatenate([[0], np.cumsum(change)]).astype(np.int64)
        longest = int(np.bincount(label).max())
        many = label[-1] + 1 > self.steps * LONGEST_BLOCK_SHARE
        if many or (longest > self.steps * LONGEST_BLOCK_SHARE and self.steps >= EVEN_BLOCKS):
            label = np.arange(self.steps) * min(EVEN_BLOCKS, self.steps) // self.steps
        return label
