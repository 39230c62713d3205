"""Tariffs by Kriging of the answers: regions around the best known tariffs, a swarm on the model, true answers for
its finds.

Chen et al. 2024 (doi 10.3389/fenrg.2024.1450731), section 4.2, with what the paper leaves open settled here:

- The first sample is a Latin hypercube (Step 2) over blocks of steps that are priced alike, with the corners added: the
  optimum lies near faces of the tariffs' range, which a uniform sample of all steps hardly ever meets, and batteries answer
  a single changed hour by moving to its neighbours.
- A key region (Step 5) is a box around a sample with a radius that grows after a success and shrinks after a failure; first
  over blocks, then over all steps.
- In each region the swarm (Step 6) looks for the best point of the Kriging model in the whole box, in a smaller one, along
  whole blocks, and along a few steps drawn at random. Only true answers (Step 7) count (Eq. 22).
- The search ends (Step 9) when the best true profit has not grown for a number of rounds, when every region has shrunk to
  nothing, or when the agreed number of true answers is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.surrogate.kriging import TariffKriging
from dispatch.surrogate.record import CallRecord, OutOfCallsError
from dispatch.surrogate.swarm import heuristic_maximum

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class RegionRule:
    """How regions move.

    sample: first points, corners included, but not more than ten for each tariff of a block.
    nearest: samples that a local model is built on.
    radius, largest, smallest: of a region, in units of the cube. grow, shrink: factors.
    improvement: relative gain that counts as a success.
    patience: rounds without such a gain of the best profit after which the search ends.
    regions: how many in turn, each around the best sample away from those before.
    generations: of the swarm. refit: rounds between choices of length scales.
    """

    sample: int = 60
    nearest: int = 120
    radius: float = 0.3
    largest: float = 0.5
    smallest: float = 0.01
    grow: float = 1.5
    shrink: float = 0.7
    improvement: float = 1e-4
    patience: int = 20
    regions: int = 5
    generations: int = 40
    refit: int = 8


class KrigingSearch:
    """One search; read the result from its ``record``."""

    def __init__(self, record: CallRecord, seed: int, rule: RegionRule | None = None) -> None:
        self.record, self.rule = record, rule or RegionRule()
        self._rng = np.random.default_rng(seed)
        space = record.space
        label = space.blocks()
        members = (label[None, :] == np.arange(label.max() + 1)[:, None]).astype(float)
        none = np.zeros_like(members)
        #: Row per block and kind of tariff: the steps that it moves, ``[2 blocks, 2 T]``.
        self._moves = np.block([[members, none], [none, members]])
        self._scales: tuple[float, float] | None = None
        self._rounds = 0
        self._last_gain = 0
        self._best_profit = -np.inf

    @property
    def _stalled(self) -> bool:
        """True once the best profit has not grown for as long as the rule is patient."""
        return self._rounds - self._last_gain >= self.rule.patience

    def run(self) -> None:
        """Ask until the regions are exhausted or no question is left."""
        try:
            self._first_sample()
            left: list[FloatArray] = []
            for number in range(self.rule.regions):
                if self._stalled:
                    return
                centre = self._centre_away_from(left)
                left.append(
                    self._region(centre, ("blocks", "near blocks"), 0.05, only_blocks=True) if not number else centre
                )
                left[-1] = self._region(left[-1], ("box", "near box", "blocks", "steps"), self.rule.smallest)
        except OutOfCallsError:
            return

    def _first_sample(self) -> None:
        space = self.record.space
        points = list(space.corners())
        count = max(min(self.rule.sample, 10 * len(self._moves)) - len(points), 0)
        design = space.latin_hypercube(count, self._rng) if count else np.empty((0, space.dimensions))
        first = np.argmax(self._moves, axis=1)
        points += list(space.ordered(design[:, first] @ self._moves))
        for point in points:
            self.record.ask(point)

    def _centre_away_from(self, left: list[FloatArray]) -> FloatArray:
        """The best sample that no earlier region ended near; a random move of the best one if there is none."""
        points, profits = self.record.points, self.record.profits
        far = np.ones(len(points), dtype=bool)
        for centre in left:
            far &= np.abs(points - centre).mean(axis=1) > self.rule.radius / 4
        if far.any():
            best: FloatArray = points[far][np.argmax(profits[far])]
            return best
        drawn = points[self.record.best] + self._rng.uniform(-self.rule.radius, self.rule.radius, points.shape[1])
        moved: FloatArray = self.record.space.ordered(drawn[None])[0]
        return moved

    def _region(
        self, centre: FloatArray, kinds: tuple[str, ...], smallest: float, only_blocks: bool = False
    ) -> FloatArray:
        """Follow one region until it has shrunk below ``smallest``; its last centre."""
        rule, record = self.rule, self.record
        value, radius = -np.inf, rule.radius
        while radius >= smallest and not self._stalled:
            known = np.flatnonzero((record.points == centre).all(axis=1))
            value = record.profits[known[0]] if len(known) else record.ask(centre)
            model = self._model(centre)
            finds = [self._find(model, centre, kind, radius) for kind in kinds]
            values = [record.ask(find) for find in finds]
            best = int(np.argmax(values))
            gain = values[best] - value
            if gain > 0:
                centre = finds[best]
            success = gain > rule.improvement * max(1e-9, abs(value))
            radius = min(radius * rule.grow, rule.largest) if success else radius * rule.shrink
            self._rounds += 1
            self._note_progress()
        return centre

    def _note_progress(self) -> None:
        best = float(self.record.profits.max())
        if best > self._best_profit + self.rule.improvement * max(1e-9, abs(best)):
            self._best_profit, self._last_gain = best, self._rounds

    def _model(self, centre: FloatArray) -> TariffKriging:
        points, answers = self.record.points, self.record.answers
        near = np.argsort(np.abs(points - centre).mean(axis=1), kind="stable")[: self.rule.nearest]
        if self._scales is None or self._rounds % self.rule.refit == 0:
            model = TariffKriging.fitted(points[near], answers[near])
            self._scales = model.scales
            return model
        return TariffKriging(points[near], answers[near], self._scales)

    def _find(self, model: TariffKriging, centre: FloatArray, kind: str, radius: float) -> FloatArray:
        """The best point of the model around ``centre`` among moves of one kind."""
        space, size = self.record.space, len(centre)
        if kind in ("blocks", "near blocks"):
            moves = self._moves
            reach = np.full(len(moves), min(2 * radius, self.rule.largest) if kind == "blocks" else radius / 3)
        else:
            moves = np.eye(size)
            reach = np.full(size, radius if kind == "box" else radius / 3)
            if kind == "steps":
                drawn = self._rng.random(space.steps) < 0.25
                drawn[self._rng.integers(space.steps)] = True
                moves, reach = (
                    moves[np.tile(drawn, 2)],
                    np.full(2 * int(drawn.sum()), min(2 * radius, self.rule.largest)),
                )

        def moved(steps: FloatArray) -> FloatArray:
            return space.ordered(centre + steps @ moves)

        def profit(steps: FloatArray) -> FloatArray:
            points = moved(steps)
            return self.record.profit_of(points, model.predict(points))

        start = np.zeros((1, len(moves)))
        seed = int(self._rng.integers(2**31))
        found = heuristic_maximum(profit, -reach, reach, start, self.rule.generations, seed)
        point: FloatArray = moved(found[None])[0]
        return point
