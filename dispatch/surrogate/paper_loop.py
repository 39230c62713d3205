"""The plain loop of Chen et al. 2024 (doi 10.3389/fenrg.2024.1450731), section 4.2: one Kriging model of the whole range.

Step 2: a Latin hypercube of nine points for each tariff. Steps 4-8, round after round: Kriging of all answers so far, key
regions around the best samples, in each a swarm on the model, and the true answers to its finds. Step 9: stop once the best
true profit stands still. What the paper leaves open is settled like this: points are uniform on ``sell <= buy``, the corners
of the range are asked too, regions are boxes around the best samples that lie apart, and their radius grows after a round
that improves the best profit and is halved after one that does not.
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
class PaperRule:
    """How the loop runs.

    sample_per_tariff: first points for each tariff. regions: key regions in each round.
    radius, largest, smallest: of a region, in units of the cube. improvement: relative gain that counts.
    patience: rounds without such a gain after which the loop ends. generations: of the swarm. refit: rounds between choices
    of length scales.
    """

    sample_per_tariff: int = 9
    regions: int = 5
    radius: float = 0.25
    largest: float = 0.5
    smallest: float = 1e-3
    improvement: float = 1e-4
    patience: int = 10
    generations: int = 60
    refit: int = 5


class PaperKrigingSearch:
    """One search; read the result from its ``record``."""

    def __init__(self, record: CallRecord, seed: int, rule: PaperRule | None = None) -> None:
        self.record, self.rule = record, rule or PaperRule()
        self._rng = np.random.default_rng(seed)

    def run(self) -> None:
        """Ask until the best profit stands still or no question is left."""
        try:
            self._sample()
            self._rounds()
        except OutOfCallsError:
            return

    def _sample(self) -> None:
        space = self.record.space
        corners = space.corners()
        count = max(self.rule.sample_per_tariff * space.dimensions - len(corners), 0)
        for point in [*corners, *space.latin_hypercube(count, self._rng)]:
            self.record.ask(point)

    def _rounds(self) -> None:
        rule, record = self.rule, self.record
        radius, waited, rounds = rule.radius, 0, 0
        scales: tuple[float, float] | None = None
        while waited < rule.patience and radius >= rule.smallest:
            before = float(record.profits.max())
            if scales is None or rounds % rule.refit == 0:
                model = TariffKriging.fitted(record.points, record.answers)
                scales = model.scales
            else:
                model = TariffKriging(record.points, record.answers, scales)
            for find in [self._find(model, centre, radius) for centre in self._centres(radius)]:
                record.ask(find)
            better = float(record.profits.max()) > before + rule.improvement * max(1e-9, abs(before))
            radius = min(1.5 * radius, rule.largest) if better else 0.5 * radius
            waited = 0 if better else waited + 1
            rounds += 1

    def _centres(self, radius: float) -> list[FloatArray]:
        """The best samples, each more than a quarter of the radius away from those before, in mean over the tariffs."""
        points, left = self.record.points, np.argsort(-self.record.profits, kind="stable")
        centres: list[FloatArray] = []
        for place in left:
            if all(np.abs(points[place] - centre).mean() > radius / 4 for centre in centres):
                centres.append(points[place])
            if len(centres) == self.rule.regions:
                break
        return centres

    def _find(self, model: TariffKriging, centre: FloatArray, radius: float) -> FloatArray:
        """The swarm's best point of the model in a box around ``centre``."""
        space, record = self.record.space, self.record

        def profit(points: FloatArray) -> FloatArray:
            admissible = space.ordered(points)
            return record.profit_of(admissible, model.predict(admissible))

        low, high = np.clip(centre - radius, 0.0, 1.0), np.clip(centre + radius, 0.0, 1.0)
        seed = int(self._rng.integers(2**31))
        found = heuristic_maximum(profit, low, high, centre[None], self.rule.generations, seed)
        point: FloatArray = space.ordered(found[None])[0]
        return point
