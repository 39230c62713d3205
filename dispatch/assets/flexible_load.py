"""Customers' flexible demand on a Pyomo block: how much is used, and what the subsidy for it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from pyomo.core.expr.numeric_expr import LinearExpression

from dispatch.conic.cones import QuadraticEpigraph

FloatArray = NDArray[np.float64]


def declare_flexible_load(block: Any, lower_mw: FloatArray, upper_mw: FloatArray) -> None:
    """Flexible demand ``flexible_mw[j, t]`` of customer ``j`` within ``[lower, upper]``, MW (Shi et al. 2023, Eqs. 15-17).

    Parameters
    ----------
    lower_mw, upper_mw: ``[T, J]``.
    """
    steps, customers = lower_mw.shape
    low, high = lower_mw.tolist(), upper_mw.tolist()
    block.flexible_mw = pyo.Var(
        list(range(customers)), list(range(steps)), bounds=lambda _, j, t: (low[t][j], high[t][j])
    )


def declare_response_cost(
    block: Any, slope: FloatArray, surplus_at_zero: FloatArray, step_hours: float
) -> list[QuadraticEpigraph]:
    """What it costs to subsidise demand to ``d``, as a convex quadratic; adds the expression ``response_cost[t]``::

        response_cost_t >= dt sum_j [b_jt d_jt^2 - (a - p)_jt d_jt]

    A customer with marginal utility ``a - b d`` and net price ``p - s`` uses ``d = (a - p + s) / b``, so that the bill
    ``s d`` equals ``b d^2 - (a - p) d``: price times quantity is gone. Exact where the customer is not held at a limit of
    its demand; multipliers of those limits are added by the market model that needs them.

    Source: response form of Shi et al. 2023, Eq. 18 (``Ela = 1 / b``), where the paper states a limit instead.

    Parameters
    ----------
    slope, surplus_at_zero: ``b`` in currency/MWh per MW and ``a - p`` in currency/MWh, ``[T, J]``. Customers with infinite
        ``b`` take no subsidy and cost nothing.
    step_hours: ``dt``.

    Returns
    -------
    One epigraph of the quadratic part per step.
    """
    steps, customers = slope.shape
    weight, linear = (slope * step_hours), (surplus_at_zero * step_hours)
    elastic = np.isfinite(slope)
    d = block.flexible_mw
    block.response_quadratic = pyo.Var(list(range(steps)), bounds=(0, None))
    used = [[j for j in range(customers) if elastic[t, j]] for t in range(steps)]

    def cost(m: Any, t: int) -> Any:
        coefs = [1.0, *(-float(linear[t, j]) for j in used[t])]
        return linear_sum(coefs, [m.response_quadratic[t], *(d[j, t] for j in used[t])])

    block.response_cost = pyo.Expression(list(range(steps)), rule=cost)
    return [
        QuadraticEpigraph(
            f"response of customers, step {t}",
            tuple((float(weight[t, j]), d[j, t]) for j in used[t]),
            block.response_quadratic[t],
        )
        for t in range(steps)
    ]


def linear_sum(coefficients: Sequence[float], variables: Sequence[Any], constant: float = 0.0) -> Any:
    """``c_0 + sum_k c_k x_k`` as one flat Pyomo expression, which builds and compiles faster than nested sums."""
    return LinearExpression(constant=constant, linear_coefs=list(coefficients), linear_vars=list(variables))


def if_declared(variable: Any, index: Any) -> Any:
    """The variable at ``index``, or zero where it was not declared because it could never be anything else."""
    if index in variable:
        return variable[index]
    return 0.0
