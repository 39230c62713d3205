"""Penalties by unit price and the index that is made of them, as the paper prints both, beside the regret of optimal recourse.

Shi et al. 2023, Eq. 26, takes each penalty as a unit price times a deviation and adds them to the cost of the plan (Eqs 24
and 25). The paper prints neither the prices nor the quantities; those used here are named below. Deviations are priced
one by one, so the items do not add up to what the errors cost (``forecast_worth`` does that), and the energy that replaces
a deviation is in no cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets
from dispatch.settlement.settle import redispatch


@dataclass(frozen=True, eq=False)
class UnitPriced:
    """``K`` days as Eqs 24 to 26 count them, every array ``[K]``.

    income: of the load that came true and of the planned flexible demand. planned_cost: the planned purchase at the realised
    price, planned gas and starts. penalty: by ``price``, ``wind`` and ``load``.
    """

    income: FloatArray
    planned_cost: FloatArray
    subsidy_cost: FloatArray
    penalty: Mapping[str, FloatArray]

    def cost(self, *, with_subsidy: bool = True) -> FloatArray:
        """The denominator of Eq. 25, or with ``with_subsidy=False`` that of Eq. 24, before the mean is taken."""
        total: FloatArray = self.planned_cost + sum(self.penalty.values())
        return total + self.subsidy_cost if with_subsidy else total


def unit_priced(assets: RecourseAssets, plan: FirstStage, forecast: Realisations, truth: Realisations) -> UnitPriced:
    """Count ``K`` days of ``truth`` by Eqs 24 to 26; ``plan`` and ``forecast`` are one for all or one each.

    price: the gas output that the forecast price planned and the realised one does not pay for, and the purchase that gas
        should have replaced, at ``|forecast price - realised price|``.
    wind, load: what is missing at ``max(price of buying in real time - cheapest gas, 0)`` (without gas units: less the spot
        price), what is left over at the spot price less that of selling in real time.
    """
    count, hours = len(truth), assets.step_hours
    one = len(forecast) == 1 and plan.count is None
    told, plans = forecast if one else forecast.repeated(count), plan if one else plan.for_each(count)
    gas = redispatch(assets, plans, told).gas_mw  # [1 or K, T, I]
    spot = truth.price_per_mwh
    buy, sell = assets.imbalance_prices(spot)
    cheapest = assets.gas_cost_per_mwh.min() if assets.gas_units else spot
    missing, left = np.clip(buy - cheapest, 0.0, None), spot - sell

    def deviation(short: FloatArray) -> FloatArray:
        """Cost of ``short [K, T]`` MW too little (too much where negative), ``[K]``."""
        priced: FloatArray = (np.clip(short, 0.0, None) * missing + np.clip(-short, 0.0, None) * left).sum(axis=1)
        return priced * hours

    flipped = _flipped_mw(assets, plans, gas, told.price_per_mwh, spot)
    gas_cost = (gas @ assets.gas_cost_per_mwh).sum(axis=1) * hours
    purchase = (spot * plan.purchase_mw).sum(axis=1) * hours + plan.sale_fee

    def each(values: FloatArray | float) -> FloatArray:
        return np.broadcast_to(np.asarray(values, dtype=float), (count,)).copy()

    return UnitPriced(
        income=each((truth.load_mw * plan.income_per_mwh).sum(axis=1) * hours + plan.flexible_income),
        planned_cost=each(purchase + gas_cost + plan.start_cost),
        subsidy_cost=each(plan.subsidy_cost),
        penalty={
            "price": each((flipped * np.abs(told.price_per_mwh - spot)).sum(axis=1) * hours),
            "wind": deviation(told.wind_mw - truth.wind_mw),
            "load": deviation(truth.load_mw - told.load_mw),
        },
    )


def _flipped_mw(
    assets: RecourseAssets, plan: FirstStage, gas_mw: FloatArray, told: FloatArray, spot: FloatArray
) -> FloatArray:
    """Energy per hour whose source would be another one at the realised price, ``[K, T]``."""
    dear, was_dear = (price[..., None] > assets.gas_cost_per_mwh for price in (spot, told))
    needless = np.where(was_dear & ~dear, gas_mw, 0.0).sum(axis=-1)
    idle = np.where(dear & ~was_dear, assets.gas_max_mw - gas_mw, 0.0).sum(axis=-1)
    flipped: FloatArray = needless + np.minimum(idle, np.clip(plan.purchase_mw, 0.0, None))
    return flipped
