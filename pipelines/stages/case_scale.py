"""From forecast series in their own units to a case: prices, wind of its farms, and load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dispatch.case_adno import AdnoCase
from dispatch.settlement.from_schedule import case_forecast
from dispatch.settlement.problem import FloatArray, Realisations


@dataclass(frozen=True, eq=False)
class CaseScale:
    """From series in their own units to the case: prices times ``price``, load times ``load``, sites by capacity in MW."""

    case: AdnoCase
    price: float
    load: float
    sites: Mapping[str, float]

    def realisations(self, series: Mapping[str, FloatArray]) -> Realisations:
        """Days ``[K, S]`` of ``price``, ``load`` and every site, as the case sees them."""
        sites = [(series[name], capacity) for name, capacity in self.sites.items()]
        count, steps = series["load"].shape
        return Realisations(
            price_per_mwh=series["price"] * self.price,
            wind_mw=farm_power(self.case, sites, (count, steps)),
            load_mw=np.maximum(series["load"] * self.load, 0.0),
        )


def farm_power(case: AdnoCase, sites: list[tuple[FloatArray, float]], shape: tuple[int, int]) -> FloatArray:
    """Power of all farms of the case, MW, from its sites' power and capacity; farms take the sites in order."""
    total = np.zeros(shape)
    if not sites:
        return total + case_forecast(case).wind_mw
    for place, farm in enumerate(case.wind):
        power, capacity = sites[place % len(sites)]
        total += np.clip(power / capacity, 0.0, 1.0) * farm.capacity_mw
    return total
