"""The customers of the ADNO as followers: what each variant lets them decide, and the subsidies that make them do it.

Each follower declares ``flexible_mw[j, t]`` and the expression ``subsidy_bill[t]`` (currency) on the operator's model, and
reads back the subsidies from its solution. All arrays are ``[T, J]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.assets.flexible_load import declare_flexible_load, declare_response_cost
from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import AdnoInputs
from dispatch.conic.cones import Cone

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CustomerDecision:
    """What the solved model says about the customers.

    flexible_mw: ``[T, J]``.
    subsidy_per_mwh: rate offered, ``[T, J]``; zero in the lump-sum form.
    lump_sum_per_hour: lump sum offered, ``[T, J]``; zero in the rate form.
    dual_bound_ratio: largest multiplier over its bound; ``None`` where the form has no multipliers.
    limit_mw: limit of flexible demand at the subsidies offered, ``[T, J]``, where a subsidy moves the limit (``faithful``).
    """

    flexible_mw: FloatArray
    subsidy_per_mwh: FloatArray
    lump_sum_per_hour: FloatArray
    dual_bound_ratio: float | None = None
    limit_mw: FloatArray | None = None


class CustomerModel(Protocol):
    """One variant of the lower level."""

    def declare(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> list[Cone]:
        """Add the follower to the operator's model."""
        ...

    def decision(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> CustomerDecision:
        """Read the follower's decision and the subsidies from the solved model."""
        ...


class IndividualResponse:
    """Every customer answers its own subsidy ``s_jt``; no complementarity is needed.

    The follower maximises ``(a + s - p) d - b d^2 / 2`` over ``0 <= d <= U_max``, so ``d = clip((a - p + s)/b, 0, U_max)``. The
    operator never pays beyond saturation, and where ``d = 0`` any ``s <= p - a`` serves, so it may choose
    ``d in [max(0, (a - p)/b), U_max]`` itself at the convex cost ``b d^2 - (a - p) d`` and set ``s = b d + p - a``: a
    single-level mixed-integer second-order cone program.
    """

    def declare(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> list[Cone]:
        """Add demand and its cost; ``s <= s_max`` is a bound on ``d``."""
        declare_flexible_load(model, *response_range(case, inputs))
        cones = declare_response_cost(model, inputs.slope, inputs.surplus_at_zero, inputs.step_hours)
        model.subsidy_bill = pyo.Expression(list(range(inputs.steps)), rule=lambda m, t: m.response_cost[t])
        if case.subsidy.step_max_per_mwh is not None:
            self._limit_steps(model, case.subsidy.step_max_per_mwh, inputs)
        return list(cones)

    def _limit_steps(self, model: Any, limit: float, inputs: AdnoInputs) -> None:
        """``|s_jt - s_j,t-1| <= step_max``, through ``s = b d - (a - p)``."""
        slope, shift = inputs.slope, inputs.surplus_at_zero

        def change(m: Any, j: int, t: int) -> Any:
            if not (np.isfinite(slope[t, j]) and np.isfinite(slope[t - 1, j])):
                return pyo.Constraint.Skip
            now = float(slope[t, j]) * m.flexible_mw[j, t] - float(shift[t, j])
            before = float(slope[t - 1, j]) * m.flexible_mw[j, t - 1] - float(shift[t - 1, j])
            return pyo.inequality(-limit, now - before, limit)

        model.subsidy_step = pyo.Constraint(
            list(range(len(inputs.customer_ids))), list(range(1, inputs.steps)), rule=change
        )

    def decision(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> CustomerDecision:
        """``s = b d + p - a`` where a subsidy is paid, zero where demand is what it would be without."""
        flexible = values_by_customer(model.flexible_mw, inputs)
        elastic = inputs.elasticity > 0
        rate = np.where(elastic, inputs.slope, 0.0) * flexible - inputs.surplus_at_zero
        if case.subsidy.step_max_per_mwh is not None:
            return CustomerDecision(
                flexible, np.where(elastic, np.clip(rate, 0, case.subsidy.rate_max_per_mwh), 0.0), np.zeros_like(rate)
            )
        idle = flexible <= np.clip(inputs.flexible_free_mw, 0, None) + 1e-9 * np.maximum(inputs.flexible_max_mw, 1e-3)
        rate = np.where(elastic & ~idle, np.clip(rate, 0, case.subsidy.rate_max_per_mwh), 0.0)
        return CustomerDecision(flexible, rate, np.zeros_like(rate))


class NoSubsidy:
    """Customers use ``clip((a - p)/b, 0, U_max)`` and get nothing: the single-level comparison of Shi et al. 2023, Table 6."""

    def declare(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> list[Cone]:
        """Fix demand to what it is without subsidy."""
        free = np.clip(inputs.flexible_free_mw, 0, None)
        declare_flexible_load(model, free, free)
        model.subsidy_bill = pyo.Expression(list(range(inputs.steps)), rule=lambda m, t: 0.0)
        return []

    def decision(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> CustomerDecision:
        """Demand as declared, and no subsidies."""
        flexible = values_by_customer(model.flexible_mw, inputs)
        return CustomerDecision(flexible, np.zeros_like(flexible), np.zeros_like(flexible))


def response_range(case: AdnoCase, inputs: AdnoInputs) -> tuple[FloatArray, FloatArray]:
    """Least and largest demand that a subsidy between zero and its limit can bring about, ``[T, J]`` each."""
    lower = np.clip(inputs.flexible_free_mw, 0, None)
    reach = inputs.flexible_free_mw + inputs.elasticity * case.subsidy.rate_max_per_mwh
    upper = np.clip(np.minimum(inputs.flexible_max_mw, reach), lower, None)
    return lower, np.where(inputs.elasticity > 0, upper, lower)


def values_by_customer(variable: Any, inputs: AdnoInputs) -> FloatArray:
    """Values of a variable over ``(customer, step)`` as ``[T, J]``, within its bounds."""
    array = np.empty((inputs.steps, len(inputs.customer_ids)))
    for (j, t), data in variable.items():
        low, high = data.lb, data.ub
        array[t, j] = min(max(data.value, low if low is not None else -np.inf), high if high is not None else np.inf)
    return array
