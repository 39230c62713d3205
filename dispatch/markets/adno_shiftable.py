"""Customers of the ADNO who shift: individual subsidies, and a fixed energy over the horizon."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.assets.flexible_load import declare_flexible_load, declare_response_cost, if_declared, linear_sum
from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import AdnoInputs
from dispatch.conic.cones import Cone
from dispatch.markets.adno_followers import CustomerDecision, response_range, values_by_customer
from dispatch.markets.adno_uniform import with_room

FloatArray = NDArray[np.float64]


class ShiftingResponse:
    """Each shiftable customer uses ``sum_t d_t dt = E_j``, its energy without subsidies, when the subsidies say so.

    With ``nu_j`` the value of that energy, the optimality conditions and the exact bill are::

        s_t = nu - (a - p)_t + b_t d_t + mu_full_t - mu_idle_t,     0 <= s_t <= s_max
        sum_t s_t d_t dt = sum_t [-(a - p) d + b d^2 + U_max mu_full]_t dt + nu E

    The bill grows with ``nu``, so the operator picks the least one, the largest ``(a - p)_t - b d_t`` of the steps with
    ``d_t < U_max``. It lies in ``[min_t (a - p - b U_max), max_t (a - p)]``, which bounds the useful multipliers by
    ``mu_full <= (a - p - b U_max)_t - min`` and ``mu_idle <= max (a - p) - (a - p)_t - s_max``. Where these are zero, as for
    customers alike in all steps, no binary is needed and the problem stays convex. The others answer as in ``responsive``.
    """

    def declare(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> list[Cone]:
        """Add demand, the fixed energies, multipliers and the bill."""
        steps = list(range(inputs.steps))
        shifts = shifting(inputs)
        lower, upper = response_range(case, inputs)
        declare_flexible_load(model, np.where(shifts, 0.0, lower), np.where(shifts, inputs.flexible_max_mw, upper))
        cones = declare_response_cost(model, inputs.slope, inputs.surplus_at_zero, inputs.step_hours)
        full, idle = multiplier_bounds(case, inputs)
        self._declare_multipliers(model, inputs, full, idle)
        self._declare_rate_limits(model, case, inputs, shifts)
        customers = [int(j) for j in np.flatnonzero(shifts.any(axis=0))]
        energy = fixed_energy_mwh(inputs)
        model.fixed_energy = pyo.Constraint(
            customers,
            rule=lambda m, j: (
                linear_sum(
                    [inputs.step_hours] * int(shifts[:, j].sum()),
                    [m.flexible_mw[j, t] for t in np.flatnonzero(shifts[:, j])],
                )
                == float(energy[j])
            ),
        )
        value = sum(float(energy[j]) * model.shift_dual[j] for j in customers) / inputs.steps
        saturated = [[j for j, k in model.full_dual if k == t] for t in steps]
        model.subsidy_bill = pyo.Expression(
            steps,
            rule=lambda m, t: (
                m.response_cost[t]
                + value
                + sum(inputs.step_hours * float(inputs.flexible_max_mw[t, j]) * m.full_dual[j, t] for j in saturated[t])
            ),
        )
        return list(cones)

    def _declare_multipliers(self, model: Any, inputs: AdnoInputs, full: FloatArray, idle: FloatArray) -> None:
        low, high = dual_range(inputs)
        shifts = shifting(inputs)
        customers = [int(j) for j in np.flatnonzero(shifts.any(axis=0))]
        at_full = [(int(j), int(t)) for t, j in np.argwhere(full > 0)]
        at_zero = [(int(j), int(t)) for t, j in np.argwhere(idle > 0)]
        model.shift_dual = pyo.Var(customers, bounds=lambda _, j: (float(low[j]), float(high[j])))
        model.full_dual = pyo.Var(at_full, bounds=lambda _, j, t: (0, float(full[t, j])))
        model.idle_dual = pyo.Var(at_zero, bounds=lambda _, j, t: (0, float(idle[t, j])))
        model.full = pyo.Var(at_full, domain=pyo.Binary)
        model.idle = pyo.Var(at_zero, domain=pyo.Binary)
        top = inputs.flexible_max_mw
        model.full_dual_max = pyo.Constraint(
            at_full, rule=lambda m, j, t: m.full_dual[j, t] <= float(full[t, j]) * m.full[j, t]
        )
        model.idle_dual_max = pyo.Constraint(
            at_zero, rule=lambda m, j, t: m.idle_dual[j, t] <= float(idle[t, j]) * m.idle[j, t]
        )
        model.at_limit_if_full = pyo.Constraint(
            at_full, rule=lambda m, j, t: m.flexible_mw[j, t] >= float(top[t, j]) * m.full[j, t]
        )
        model.at_zero_if_idle = pyo.Constraint(
            at_zero, rule=lambda m, j, t: m.flexible_mw[j, t] <= float(top[t, j]) * (1 - m.idle[j, t])
        )

    def _declare_rate_limits(self, model: Any, case: AdnoCase, inputs: AdnoInputs, shifts: NDArray[np.bool_]) -> None:
        """``0 <= s_jt <= s_max`` with ``s`` written by stationarity; at ``d = 0`` any smaller rate serves as well."""

        def rate(m: Any, j: int, t: int) -> Any:
            held = if_declared(m.full_dual, (j, t)) - if_declared(m.idle_dual, (j, t))
            offered = m.shift_dual[j] - float(inputs.surplus_at_zero[t, j]) + held
            return pyo.inequality(
                0, offered + float(inputs.slope[t, j]) * m.flexible_mw[j, t], case.subsidy.rate_max_per_mwh
            )

        model.rate_limits = pyo.Constraint([(int(j), int(t)) for t, j in np.argwhere(shifts)], rule=rate)

    def decision(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> CustomerDecision:
        """Rates by stationarity; the rest as in ``responsive``."""
        flexible = values_by_customer(model.flexible_mw, inputs)
        elastic, shifts = inputs.elasticity > 0, shifting(inputs)
        rate = np.where(elastic, np.where(elastic, inputs.slope, 0.0) * flexible - inputs.surplus_at_zero, 0.0)
        for j, dual in model.shift_dual.items():
            rate[:, j] += np.where(shifts[:, j], dual.value, 0.0)
        for (j, t), dual in model.full_dual.items():
            rate[t, j] += dual.value
        for (j, t), dual in model.idle_dual.items():
            rate[t, j] -= dual.value
        rate = np.where(~shifts & (flexible <= np.clip(inputs.flexible_free_mw, 0, None) + 1e-9), 0.0, rate)
        full, idle = multiplier_bounds(case, inputs)
        ratios = [v.value / full[t, j] for (j, t), v in model.full_dual.items()]
        ratios += [v.value / idle[t, j] for (j, t), v in model.idle_dual.items()]
        return CustomerDecision(
            flexible,
            np.clip(rate, 0, case.subsidy.rate_max_per_mwh),
            np.zeros_like(rate),
            dual_bound_ratio=max(ratios) if ratios else None,
        )


def shifting(inputs: AdnoInputs) -> NDArray[np.bool_]:
    """Which customer shifts in which step, ``[T, J]``: inelastic steps stay as they are."""
    found: NDArray[np.bool_] = inputs.shiftable[None, :] & (inputs.elasticity > 0)
    return found


def fixed_energy_mwh(inputs: AdnoInputs) -> FloatArray:
    """``E_j``: what each customer would use without subsidies in the steps in which it shifts, ``[J]``, MWh."""
    free = np.clip(inputs.flexible_free_mw, 0, None)
    total: FloatArray = np.where(shifting(inputs), free, 0.0).sum(axis=0) * inputs.step_hours
    return total


def dual_range(inputs: AdnoInputs) -> tuple[FloatArray, FloatArray]:
    """Interval of the useful ``nu_j``, ``[J]`` each, currency/MWh."""
    shifts = shifting(inputs)
    slope = np.where(shifts, inputs.slope, 0.0)
    least = np.where(shifts, inputs.surplus_at_zero - slope * inputs.flexible_max_mw, np.inf).min(axis=0)
    most = np.where(shifts, inputs.surplus_at_zero, -np.inf).max(axis=0)
    return least, most


def multiplier_bounds(case: AdnoCase, inputs: AdnoInputs) -> tuple[FloatArray, FloatArray]:
    """Bounds of the multipliers of ``d <= U_max`` and ``d >= 0``, ``[T, J]``; zero where none is needed."""
    shifts = shifting(inputs)
    low, high = dual_range(inputs)
    slope = np.where(shifts, inputs.slope, 0.0)
    full = np.where(shifts, inputs.surplus_at_zero - slope * inputs.flexible_max_mw - low, 0.0)
    idle = np.where(shifts, high - inputs.surplus_at_zero - case.subsidy.rate_max_per_mwh, 0.0)
    widen = np.vectorize(lambda bound: with_room(bound) if bound > 1e-9 else 0.0, otypes=[float])
    return widen(full), widen(idle)
