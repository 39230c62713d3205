"""One subsidy rate per step for all customers of the ADNO: the response with its limits as complementarity."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo

from dispatch.assets.flexible_load import declare_flexible_load, declare_response_cost, if_declared
from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import AdnoInputs
from dispatch.conic.cones import Cone
from dispatch.markets.adno_followers import CustomerDecision, response_range, values_by_customer


@dataclass(frozen=True)
class AlikeCustomers:
    """Customers of one step who start to respond and saturate at the same subsidy, so that they share multipliers.

    surplus_at_zero: ``a - p``; saturation: ``b U_max``; both currency/MWh.
    full_bound, idle_bound: bounds of the multipliers of ``d <= U_max`` and ``d >= 0``, currency/MWh; zero if the limit can
        never hold the customer back.
    """

    step: int
    members: tuple[int, ...]
    surplus_at_zero: float
    saturation: float
    full_bound: float
    idle_bound: float


def with_room(bound: float) -> float:
    """A multiplier bound a little above the largest value that can occur, so that a value at it means an error."""
    return 1.05 * bound + 1.0 if bound > 0 else 0.0


class UniformResponse:
    """Customers answer a common rate ``s_t`` with ``d = clip((a - p + s)/b, 0, U_max)``.

    Optimality conditions with ``b d = (a - p) + s - mu_full + mu_idle``, and the exact bill (price times quantity removed)::

        s d = -(a - p) d + b d^2 + U_max mu_full

    Complementarity needs a binary only where a limit can bind within ``0 <= s <= s_max``: the largest values are
    ``mu_full = (a - p) + s_max - b U_max`` and ``mu_idle = p - a``. Customers with equal ``a - p`` and ``b U_max`` share them.
    """

    def declare(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> list[Cone]:
        """Add the rate, demand, multipliers and the bill."""
        steps = list(range(inputs.steps))
        lower, upper = response_range(case, inputs)
        declare_flexible_load(model, lower, upper)
        cones = declare_response_cost(model, inputs.slope, inputs.surplus_at_zero, inputs.step_hours)
        groups = alike_customers(case, inputs)
        model.subsidy_rate = pyo.Var(steps, bounds=(0, case.subsidy.rate_max_per_mwh))
        model.full_dual = pyo.Var([g for g, a in enumerate(groups) if a.full_bound > 0], domain=pyo.NonNegativeReals)
        model.idle_dual = pyo.Var([g for g, a in enumerate(groups) if a.idle_bound > 0], domain=pyo.NonNegativeReals)
        declare_shared_limits(model, inputs, groups)

        def stationary(m: Any, g: int, j: int) -> Any:
            group, t = groups[g], groups[g].step
            held = if_declared(m.idle_dual, g) - if_declared(m.full_dual, g)
            return float(inputs.slope[t, j]) * m.flexible_mw[j, t] - m.subsidy_rate[t] - held == group.surplus_at_zero

        pairs = [(g, j) for g, group in enumerate(groups) for j in group.members]
        model.response = pyo.Constraint(pairs, rule=stationary)
        saturated: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for g in model.full_dual:
            t = groups[g].step
            saturated[t].append(
                (g, inputs.step_hours * float(inputs.flexible_max_mw[t, list(groups[g].members)].sum()))
            )
        model.subsidy_bill = pyo.Expression(
            steps, rule=lambda m, t: m.response_cost[t] + sum(w * m.full_dual[g] for g, w in saturated[t])
        )
        if case.subsidy.step_max_per_mwh is not None:
            limit = case.subsidy.step_max_per_mwh
            model.subsidy_step = pyo.Constraint(
                steps[1:], rule=lambda m, t: pyo.inequality(-limit, m.subsidy_rate[t] - m.subsidy_rate[t - 1], limit)
            )
        return list(cones)

    def decision(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> CustomerDecision:
        """The rate as solved, offered to every customer that can respond."""
        flexible = values_by_customer(model.flexible_mw, inputs)
        rate = np.array([max(model.subsidy_rate[t].value, 0.0) for t in range(inputs.steps)])
        offered = np.where(inputs.elasticity > 0, rate[:, None], 0.0)
        groups = alike_customers(case, inputs)
        ratios = [model.full_dual[g].value / groups[g].full_bound for g in model.full_dual]
        ratios += [model.idle_dual[g].value / groups[g].idle_bound for g in model.idle_dual]
        return CustomerDecision(
            flexible, offered, np.zeros_like(offered), dual_bound_ratio=max(ratios) if ratios else None
        )


def declare_shared_limits(model: Any, inputs: AdnoInputs, groups: list[AlikeCustomers]) -> None:
    """``0 <= mu_full, b U_max - b d`` and ``0 <= mu_idle, b d``, each pair with one factor zero, by binaries."""
    full, idle = list(model.full_dual), list(model.idle_dual)
    model.full = pyo.Var(full, domain=pyo.Binary)
    model.idle = pyo.Var(idle, domain=pyo.Binary)
    model.full_dual_max = pyo.Constraint(full, rule=lambda m, g: m.full_dual[g] <= groups[g].full_bound * m.full[g])
    model.idle_dual_max = pyo.Constraint(idle, rule=lambda m, g: m.idle_dual[g] <= groups[g].idle_bound * m.idle[g])

    def at_limit(m: Any, g: int, j: int) -> Any:
        t = groups[g].step
        return m.flexible_mw[j, t] >= float(inputs.flexible_max_mw[t, j]) * m.full[g]

    def at_zero(m: Any, g: int, j: int) -> Any:
        t = groups[g].step
        return m.flexible_mw[j, t] <= float(inputs.flexible_max_mw[t, j]) * (1 - m.idle[g])

    model.at_limit_if_full = pyo.Constraint([(g, j) for g in full for j in groups[g].members], rule=at_limit)
    model.at_zero_if_idle = pyo.Constraint([(g, j) for g in idle for j in groups[g].members], rule=at_zero)


def alike_customers(case: AdnoCase, inputs: AdnoInputs) -> list[AlikeCustomers]:
    """Customers of each step by their response thresholds."""
    top = case.subsidy.rate_max_per_mwh
    groups = []
    for t in range(inputs.steps):
        found: dict[tuple[float, float], list[int]] = defaultdict(list)
        for j in np.flatnonzero(inputs.elasticity[t] > 0):
            surplus = float(inputs.surplus_at_zero[t, j])
            saturation = float(inputs.slope[t, j] * inputs.flexible_max_mw[t, j])
            found[round(surplus, 9), round(saturation, 9)].append(int(j))
        groups += [
            AlikeCustomers(
                step=t,
                members=tuple(members),
                surplus_at_zero=surplus,
                saturation=saturation,
                full_bound=with_room(
                    max(surplus + top - saturation, 0.0) if surplus + top - saturation > 1e-9 else 0.0
                ),
                idle_bound=with_room(max(-surplus, 0.0)),
            )
            for (surplus, saturation), members in found.items()
        ]
    return groups
