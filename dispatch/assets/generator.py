"""Small gas units with commitment on a Pyomo block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pyomo.environ as pyo


class CommittedUnit(Protocol):
    """What a unit must state; see ``dispatch.case_adno.GasUnit`` for units."""

    @property
    def power_min_mw(self) -> float: ...
    @property
    def power_max_mw(self) -> float: ...
    @property
    def cost_per_mwh(self) -> float: ...
    @property
    def start_cost(self) -> float: ...
    @property
    def ramp_up_mw_per_hour(self) -> float | None: ...
    @property
    def ramp_down_mw_per_hour(self) -> float | None: ...
    @property
    def initially_on(self) -> bool: ...
    @property
    def initial_power_mw(self) -> float: ...
    @property
    def reactive_max_mvar(self) -> float: ...


def declare_generator(block: Any, units: Sequence[CommittedUnit], steps: int, step_hours: float) -> None:
    """Output, commitment and starts of each unit ``i`` and step ``t``.

    Adds ``gas_mw[i, t]``, ``gas_mvar[i, t]``, binaries ``gas_on[i, t]``, ``gas_start[i, t]`` (continuous, 0 or 1 at an
    optimum since starts cost money) and the expressions ``fuel_cost[t]``, ``start_cost[t]`` (currency)::

        L z_t <= P_t <= U z_t,   |Q_t| <= Q_max z_t                                (Eq. 12)
        w_t >= z_t - z_{t-1} for every t, z_0 given                                (Eq. 13)
        P_t - P_{t-1} <= R_up z_{t-1} + max(R_up, L) (1 - z_{t-1})                  (Eq. 14)
        P_{t-1} - P_t <= R_down z_t   + max(R_down, L) (1 - z_t)
        fuel_t = sum_i c P_t dt,   start_t = sum_i O w_t                           (Eq. 11)

    Source: Shi et al. 2023, Eqs. 11-14. Departures: the paper states Eq. 13 for ``t >= 2`` only, so that a start in the first
    step is free; its Eq. 11 lacks ``dt``; and its ramp limit (``-R <= P_t - P_{t-1} <= R``) forbids any start where the
    ramp is below the minimum output ``L``. Ramps here are per hour, times the step.
    """
    index = list(range(len(units)))
    times = list(range(steps))
    block.gas_mw = pyo.Var(index, times, bounds=lambda _, i, t: (0, units[i].power_max_mw))
    reactive = [i for i in index if units[i].reactive_max_mvar > 0]
    block.gas_mvar = pyo.Var(
        reactive, times, bounds=lambda _, i, t: (-units[i].reactive_max_mvar, units[i].reactive_max_mvar)
    )
    block.gas_on = pyo.Var(index, times, domain=pyo.Binary)
    block.gas_start = pyo.Var(index, times, bounds=(0, 1))

    block.gas_min = pyo.Constraint(
        index, times, rule=lambda m, i, t: m.gas_mw[i, t] >= units[i].power_min_mw * m.gas_on[i, t]
    )
    block.gas_max = pyo.Constraint(
        index, times, rule=lambda m, i, t: m.gas_mw[i, t] <= units[i].power_max_mw * m.gas_on[i, t]
    )
    block.gas_mvar_max = pyo.Constraint(
        reactive, times, rule=lambda m, i, t: m.gas_mvar[i, t] <= units[i].reactive_max_mvar * m.gas_on[i, t]
    )
    block.gas_mvar_min = pyo.Constraint(
        reactive, times, rule=lambda m, i, t: m.gas_mvar[i, t] >= -units[i].reactive_max_mvar * m.gas_on[i, t]
    )
    block.gas_starts = pyo.Constraint(
        index, times, rule=lambda m, i, t: m.gas_start[i, t] >= m.gas_on[i, t] - _on_before(m, units, i, t)
    )
    block.gas_ramp_up = pyo.Constraint(index, times, rule=lambda m, i, t: _ramp_up(m, units, i, t, step_hours))
    block.gas_ramp_down = pyo.Constraint(index, times, rule=lambda m, i, t: _ramp_down(m, units, i, t, step_hours))
    block.fuel_cost = pyo.Expression(
        times, rule=lambda m, t: sum(u.cost_per_mwh * step_hours * m.gas_mw[i, t] for i, u in enumerate(units))
    )
    block.start_cost = pyo.Expression(
        times, rule=lambda m, t: sum(u.start_cost * m.gas_start[i, t] for i, u in enumerate(units))
    )


def _on_before(m: Any, units: Sequence[CommittedUnit], i: int, t: int) -> Any:
    return m.gas_on[i, t - 1] if t else int(units[i].initially_on)


def _power_before(m: Any, units: Sequence[CommittedUnit], i: int, t: int) -> Any:
    return m.gas_mw[i, t - 1] if t else units[i].initial_power_mw


def _ramp_up(m: Any, units: Sequence[CommittedUnit], i: int, t: int, step_hours: float) -> Any:
    unit = units[i]
    if unit.ramp_up_mw_per_hour is None:
        return pyo.Constraint.Skip
    ramp = unit.ramp_up_mw_per_hour * step_hours
    if ramp >= unit.power_max_mw:
        return pyo.Constraint.Skip
    on = _on_before(m, units, i, t)
    rise = m.gas_mw[i, t] - _power_before(m, units, i, t)
    return rise <= ramp * on + max(ramp, unit.power_min_mw) * (1 - on)


def _ramp_down(m: Any, units: Sequence[CommittedUnit], i: int, t: int, step_hours: float) -> Any:
    unit = units[i]
    if unit.ramp_down_mw_per_hour is None:
        return pyo.Constraint.Skip
    ramp = unit.ramp_down_mw_per_hour * step_hours
    if ramp >= unit.power_max_mw:
        return pyo.Constraint.Skip
    on = m.gas_on[i, t]
    fall = _power_before(m, units, i, t) - m.gas_mw[i, t]
    return fall <= ramp * on + max(ramp, unit.power_min_mw) * (1 - on)
