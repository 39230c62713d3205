"""What a forecast is worth: each day planned on the forecast, settled against the truth, beside the best that was possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Protocol

import numpy as np

from dispatch.settlement.efficiency import shapley_values
from dispatch.settlement.linear_program import RecourseProgram
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets, Settlement
from dispatch.settlement.settle import settle

#: What a forecast can be wrong about.
FACTORS = ("price", "wind", "load")


class Planner(Protocol):
    """Makes the best plan of each day as it is told to be."""

    @property
    def assets(self) -> RecourseAssets:
        """What is settled."""
        ...

    def plans(self, days: Realisations, reference_load_mw: FloatArray | None = None) -> FirstStage:
        """One plan for each of ``K`` days; customers' flexible demand is sized by ``reference_load_mw [K, T]``."""
        ...


@dataclass(frozen=True, eq=False)
class Worth:
    """``K`` settled days.

    settled: the days as planned on the forecast; best: as planned on the truth.
    regret ``[K]``: what the forecast errors cost, ``best.profit - settled.profit``.
    penalty: regret by cause, ``[K]`` each; they add up to the regret. A single one may be negative.
    """

    settled: Settlement
    best: Settlement
    regret: FloatArray
    penalty: Mapping[str, FloatArray]


def forecast_worth(
    planner: Planner,
    forecast: Realisations,
    truth: Realisations,
    reference_load_mw: FloatArray,
    plan: FirstStage | None = None,
    program: RecourseProgram | None = None,
) -> Worth:
    """Settle plans made on the forecast, and split what its errors cost by cause.

    The regret is the profit of the plan on the truth less that of the plan on the forecast. It is split over the factors
    price, wind and load by Shapley value, over the eight plans made with each factor true or forecast (Shi et al. 2023,
    Eq. 26 prices deviations by reason instead, which neither adds up nor counts every cost once; see ``unit_priced``).

    Parameters
    ----------
    forecast: one day for all realisations, or one for each.
    truth: ``K`` days.
    reference_load_mw: rigid load by which the customers' flexible demand is sized, ``[1, T]`` or ``[K, T]``. It is the
        same in every plan: what customers could do is known, so a wrong load forecast cannot change it.
    plan: the plan on the forecast, where it is known already.
    """
    count, steps = len(truth), truth.steps
    program = program or RecourseProgram(planner.assets, steps)
    expected, reference = forecast.repeated(count), np.broadcast_to(reference_load_mw, (count, steps))
    mixtures = [frozenset(wrong) for size in range(len(FACTORS) + 1) for wrong in combinations(FACTORS, size)]

    def planned(wrong: frozenset[str]) -> FirstStage:
        if wrong == frozenset(FACTORS):
            return (plan or plans_on(planner, forecast, reference_load_mw, count)).for_each(count)
        told = Realisations(
            expected.price_per_mwh if "price" in wrong else truth.price_per_mwh,
            expected.wind_mw if "wind" in wrong else truth.wind_mw,
            expected.load_mw if "load" in wrong else truth.load_mw,
        )
        return planner.plans(told, reference).for_each(count)

    # Day by day, not mixture by mixture: the plans of one day differ little, so each linear programme starts near its end.
    order = np.arange(len(mixtures) * count).reshape(len(mixtures), count).T.ravel()
    plans = FirstStage.one_after_another([planned(wrong) for wrong in mixtures]).take(order)
    together = settle(planner.assets, plans, truth.take(order % count), program=program)
    known = {
        wrong: Settlement(
            **{item.name: getattr(together, item.name)[k :: len(mixtures)] for item in fields(Settlement)}
        )
        for k, wrong in enumerate(mixtures)
    }
    penalty = shapley_values(FACTORS, lambda wrong: -known[wrong].profit)
    settled, best = known[frozenset(FACTORS)], known[frozenset()]
    return Worth(settled, best, best.profit - settled.profit, penalty)


def plans_on(planner: Planner, forecast: Realisations, reference_load_mw: FloatArray, count: int) -> FirstStage:
    """Plans of ``count`` days on the forecast, one for all or one each; days with the same forecast share one."""
    if len(forecast) == 1 and len(reference_load_mw) == 1:
        return planner.plans(forecast, reference_load_mw).take(0)
    told = forecast.repeated(count)
    return planner.plans(told, np.broadcast_to(reference_load_mw, (count, told.steps)))
