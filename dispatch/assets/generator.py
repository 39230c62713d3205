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
        w_t >= z_t - z_{t-1} for every t, z_0 given;   v_t = w_t - z_t + z_{t-1}     (Eq. 13; v: stops)
        P_t - P_{t-1} <= (R + L) z_t - L z_{t-1} - min(R, L) w_t                     (Eq. 14)
        P_{t-1} - P_t <= (R + L) z_{t-1} - L z_t - min(R, L) v_t
        P_t <= U z_t - (U - max(R, L)) w_t,   P_{t-1} <= U z_{t-1} - (U - max(R, L)) v_t
        fuel_t = sum_i c P_t dt,   start_t = sum_i O w_t                           (Eq. 11)

    At whole commitments a running unit moves by at most ``R`` and a start or stop by at most ``max(R, L)``. The rows are
    written in the form of P. Damci-Kurt et al., "A polyhedral study of production ramping", Math. Programming 158, 2016,
    which is much tighter between whole commitments than ``R z_{t-1} + max(R, L) (1 - z_{t-1})``.

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
    changes = [(i, t) for i in index for t in times]
    block.gas_ramp_up = pyo.Constraint(changes, rule=lambda m, i, t: _ramp_up(m, units, i, t, step_hours))
    block.gas_ramp_down = pyo.Constraint(changes, rule=lambda m, i, t: _ramp_down(m, units, i, t, step_hours))
    block.gas_after_start = pyo.Constraint(changes, rule=lambda m, i, t: _after_start(m, units, i, t, step_hours))
    block.gas_before_stop = pyo.Constraint(changes, rule=lambda m, i, t: _before_stop(m, units, i, t, step_hours))
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


def _stop(m: Any, units: Sequence[CommittedUnit], i: int, t: int) -> Any:
    return m.gas_start[i, t] - m.gas_on[i, t] + _on_before(m, units, i, t)


def _step_ramp(per_hour: float | None, unit: CommittedUnit, step_hours: float) -> float | None:
    """Largest change in one step, MW; None where it cannot bind."""
    if per_hour is None or per_hour * step_hours >= unit.power_max_mw:
        return None
    return per_hour * step_hours


def _ramp_up(m: Any, units: Sequence[CommittedUnit], i: int, t: int, step_hours: float) -> Any:
    ramp, least = _step_ramp(units[i].ramp_up_mw_per_hour, units[i], step_hours), units[i].power_min_mw
    if ramp is None:
        return pyo.Constraint.Skip
    rise = m.gas_mw[i, t] - _power_before(m, units, i, t)
    running = (ramp + least) * m.gas_on[i, t] - least * _on_before(m, units, i, t)
    return rise <= running - min(ramp, least) * m.gas_start[i, t]


def _ramp_down(m: Any, units: Sequence[CommittedUnit], i: int, t: int, step_hours: float) -> Any:
    ramp, least = _step_ramp(units[i].ramp_down_mw_per_hour, units[i], step_hours), units[i].power_min_mw
    if ramp is None:
        return pyo.Constraint.Skip
    fall = _power_before(m, units, i, t) - m.gas_mw[i, t]
    running = (ramp + least) * _on_before(m, units, i, t) - least * m.gas_on[i, t]
    return fall <= running - min(ramp, least) * _stop(m, units, i, t)


def _after_start(m: Any, units: Sequence[CommittedUnit], i: int, t: int, step_hours: float) -> Any:
    unit = units[i]
    ramp = _step_ramp(unit.ramp_up_mw_per_hour, unit, step_hours)
    if ramp is None:
        return pyo.Constraint.Skip
    lost = unit.power_max_mw - max(ramp, unit.power_min_mw)
    return m.gas_mw[i, t] <= unit.power_max_mw * m.gas_on[i, t] - lost * m.gas_start[i, t]


def _before_stop(m: Any, units: Sequence[CommittedUnit], i: int, t: int, step_hours: float) -> Any:
    unit = units[i]
    ramp = _step_ramp(unit.ramp_down_mw_per_hour, unit, step_hours)
    if ramp is None or not t:
        return pyo.Constraint.Skip
    lost = unit.power_max_mw - max(ramp, unit.power_min_mw)
    return m.gas_mw[i, t - 1] <= unit.power_max_mw * m.gas_on[i, t - 1] - lost * _stop(m, units, i, t)
