"""What a forecast is worth: each day planned on the forecast, settled against the truth, beside the best that was possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


def settle_forecast(
    planner: Planner,
    forecast: Realisations,
    truth: Realisations,
    reference_load_mw: FloatArray,
    plan: FirstStage | None = None,
    program: RecourseProgram | None = None,
) -> Settlement:
    """The days as planned on ``forecast`` (one for all, or one each) and settled against ``truth [K, T]``."""
    if plan is None:
        plan = _plans(planner, forecast, reference_load_mw, len(truth))
    return settle(planner.assets, plan, truth, program=program)


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
    Eq. 26 prices deviations by reason instead, which neither adds up nor counts every cost once).

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
    known: dict[frozenset[str], Settlement] = {}
    expected, reference = forecast.repeated(count), np.broadcast_to(reference_load_mw, (count, steps))

    def cost(wrong: frozenset[str]) -> FloatArray:
        if wrong == frozenset(FACTORS):
            known[wrong] = settle_forecast(planner, forecast, truth, reference_load_mw, plan, program)
        else:
            told = Realisations(
                expected.price_per_mwh if "price" in wrong else truth.price_per_mwh,
                expected.wind_mw if "wind" in wrong else truth.wind_mw,
                expected.load_mw if "load" in wrong else truth.load_mw,
            )
            known[wrong] = settle(planner.assets, planner.plans(told, reference), truth, program=program)
        return -known[wrong].profit

    penalty = shapley_values(FACTORS, cost)
    settled, best = known[frozenset(FACTORS)], known[frozenset()]
    return Worth(settled, best, best.profit - settled.profit, penalty)


def _plans(planner: Planner, forecast: Realisations, reference: FloatArray, count: int) -> FirstStage:
    """Plans on the forecast; days with the same forecast share one."""
    if len(forecast) == 1 and len(reference) == 1:
        return planner.plans(forecast, reference).take(0)
    told = forecast.repeated(count)
    return planner.plans(told, np.broadcast_to(reference, (count, told.steps)))
