"""The follower as Shi et al. 2023 print it (Eqs. 15-18, 23): a lump sum widens a limit, and customers minimise their bill.

What the paper's follower decides: nothing, where all pay the same price. Its balance fixes total demand, so that its bill is
constant and any allocation satisfies its optimality conditions with ``psi = p`` and ``mu = 0``; the operator's choice is then
the optimistic one. Where retail prices differ, customers fill cheap demand first, and the conditions matter.

The balance of the lower level is kept nodal and with losses (the paper's lossless Eq. 23e would forbid any current), so total
flexible demand of a step is what the operator's network delivers.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.assets.flexible_load import declare_flexible_load
from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import AdnoInputs
from dispatch.conic.cones import Cone
from dispatch.markets.adno_followers import CustomerDecision, values_by_customer
from dispatch.markets.adno_uniform import with_room

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PriceTier:
    """Customers of one step who pay the same retail price, currency/MWh."""

    step: int
    price: float
    members: tuple[int, ...]
    dual_bound: float


class LumpSumFollower:
    """``min sum p_jt d_jt`` at given total, ``0 <= d_jt <= U_jt(sub)``.

    ``U = U_max + (sub - sub_max) Ela`` (Eq. 18, anchor ``paper``) or ``min(U_max, U_0 + Ela sub)`` (anchor ``zero``). The
    operator pays ``sum_j sub_jt`` per hour whatever is used, so that its best lump sum is zero, the largest, or the least that
    makes the limit not bind.
    """

    def declare(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> list[Cone]:
        """Add demand, lump sums, the moving limits, and the optimality conditions where prices differ."""
        steps, customers = list(range(inputs.steps)), list(range(len(inputs.customer_ids)))
        constant, slope = limit_line(case, inputs)
        top = inputs.flexible_max_mw
        most = useful_lump_sum(inputs, constant, slope)
        declare_flexible_load(model, np.zeros_like(top), top)
        model.lump_sum = pyo.Var(customers, steps, bounds=lambda _, j, t: (0, float(most[t, j])))
        model.flexible_limit = pyo.Var(customers, steps, bounds=lambda _, j, t: (0, float(top[t, j])))
        model.limit_line = pyo.Constraint(
            customers,
            steps,
            rule=lambda m, j, t: (
                m.flexible_limit[j, t] == float(constant[t, j]) + float(slope[t, j]) * m.lump_sum[j, t]
            ),
        )
        model.within_limit = pyo.Constraint(
            customers, steps, rule=lambda m, j, t: m.flexible_mw[j, t] <= m.flexible_limit[j, t]
        )
        self._declare_merit_order(model, inputs)
        if case.allocation == "pro_rata":
            declare_pro_rata(model, inputs)
        model.subsidy_bill = pyo.Expression(
            steps, rule=lambda m, t: inputs.step_hours * pyo.quicksum(m.lump_sum[j, t] for j in customers)
        )
        return []

    def _declare_merit_order(self, model: Any, inputs: AdnoInputs) -> None:
        """``p_k - psi + mu_full - mu_idle = 0`` with complementarity, for the tiers of steps whose prices differ.

        ``psi`` lies between the lowest and highest price, so no multiplier exceeds their difference.
        """
        tiers = price_tiers(inputs)
        steps = sorted({tier.step for tier in tiers})
        prices = {t: [tier.price for tier in tiers if tier.step == t] for t in steps}
        index = list(range(len(tiers)))
        model.supply_value = pyo.Var(steps, bounds=lambda _, t: (min(prices[t]), max(prices[t])))
        model.full_dual = pyo.Var(index, bounds=lambda _, k: (0, tiers[k].dual_bound))
        model.idle_dual = pyo.Var(index, bounds=lambda _, k: (0, tiers[k].dual_bound))
        model.full = pyo.Var(index, domain=pyo.Binary)
        model.idle = pyo.Var(index, domain=pyo.Binary)
        members = [(k, j) for k, tier in enumerate(tiers) for j in tier.members]
        top = inputs.flexible_max_mw
        model.stationary = pyo.Constraint(
            index,
            rule=lambda m, k: tiers[k].price - m.supply_value[tiers[k].step] + m.full_dual[k] - m.idle_dual[k] == 0,
        )
        model.full_dual_max = pyo.Constraint(index, rule=lambda m, k: m.full_dual[k] <= tiers[k].dual_bound * m.full[k])
        model.idle_dual_max = pyo.Constraint(index, rule=lambda m, k: m.idle_dual[k] <= tiers[k].dual_bound * m.idle[k])

        def at_limit(m: Any, k: int, j: int) -> Any:
            t = tiers[k].step
            return m.flexible_limit[j, t] - m.flexible_mw[j, t] <= float(top[t, j]) * (1 - m.full[k])

        def at_zero(m: Any, k: int, j: int) -> Any:
            t = tiers[k].step
            return m.flexible_mw[j, t] <= float(top[t, j]) * (1 - m.idle[k])

        model.at_limit_if_full = pyo.Constraint(members, rule=at_limit)
        model.at_zero_if_idle = pyo.Constraint(members, rule=at_zero)

    def decision(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> CustomerDecision:
        """Demand, lump sums and the limits they buy."""
        flexible = values_by_customer(model.flexible_mw, inputs)
        lump = values_by_customer(model.lump_sum, inputs)
        tiers = price_tiers(inputs)
        ratios = [
            max(model.full_dual[k].value, model.idle_dual[k].value) / tier.dual_bound for k, tier in enumerate(tiers)
        ]
        return CustomerDecision(
            flexible,
            np.zeros_like(flexible),
            lump,
            dual_bound_ratio=max(ratios) if ratios else None,
            limit_mw=values_by_customer(model.flexible_limit, inputs),
        )


def limit_line(case: AdnoCase, inputs: AdnoInputs) -> tuple[FloatArray, FloatArray]:
    """``U = constant + slope * sub`` below ``U_max``, ``[T, J]`` each; see the anchors of ``case.subsidy.elasticity_anchor``."""
    slope = inputs.lump_elasticity
    if case.subsidy.elasticity_anchor == "paper":
        return inputs.flexible_max_mw - inputs.lump_sum_max * slope, slope
    return np.clip(inputs.flexible_free_mw, 0, None), slope


def useful_lump_sum(inputs: AdnoInputs, constant: FloatArray, slope: FloatArray) -> FloatArray:
    """Largest lump sum that still widens the limit, ``[T, J]``: beyond it the operator would pay for nothing."""
    room = np.clip(inputs.flexible_max_mw - constant, 0, None)
    enough = np.divide(room, slope, out=np.zeros_like(slope), where=slope > 0)
    useful: FloatArray = np.minimum(inputs.lump_sum_max, enough)
    return useful


def declare_pro_rata(model: Any, inputs: AdnoInputs) -> None:
    """Total flexible demand of a step is shared in proportion to ``U_max``: no one may choose who gets it.

    Stands in for ``d = theta U(sub)``, which would multiply two decisions.
    """
    steps = list(range(inputs.steps))
    model.share_used = pyo.Var(steps, bounds=(0, 1))
    model.pro_rata = pyo.Constraint(
        list(range(len(inputs.customer_ids))),
        steps,
        rule=lambda m, j, t: m.flexible_mw[j, t] == float(inputs.flexible_max_mw[t, j]) * m.share_used[t],
    )


def price_tiers(inputs: AdnoInputs) -> list[PriceTier]:
    """Customers by retail price in each step where prices differ among those who can use anything."""
    tiers = []
    for t in range(inputs.steps):
        found: dict[float, list[int]] = defaultdict(list)
        for j in np.flatnonzero(inputs.flexible_max_mw[t] > 0):
            found[round(float(inputs.retail_price[t, j]), 9)].append(int(j))
        if len(found) > 1:
            bound = with_room(max(found) - min(found))
            tiers += [PriceTier(t, price, tuple(found[price]), bound) for price in sorted(found)]
    return tiers
