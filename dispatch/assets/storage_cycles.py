"""A limited number of charge and discharge starts, or hours, of batteries on a Pyomo block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import pyomo.environ as pyo


class CountedUnit(Protocol):
    """What a battery with limited cycles must state; ``None`` is no limit."""

    @property
    def charge_limit(self) -> int | None: ...
    @property
    def discharge_limit(self) -> int | None: ...
    @property
    def limit_counts(self) -> Literal["starts", "hours"]: ...
    @property
    def discharge_max_mw(self) -> float: ...


def declare_cycle_limits(block: Any, units: Sequence[CountedUnit], steps: int, step_hours: float) -> None:
    """Limits on how often, or how long, each unit ``s`` charges and discharges; needs ``charging[s, t]`` of every unit.

    Adds binaries ``discharging[s, t]`` and continuous ``charge_start[s, t]``, ``discharge_start[s, t]``::

        u_t + v_t <= 1,   P^d_t <= P^d_max v_t
        starts:  y_t >= u_t - u_{t-1},  u_0 = 0,  sum_t y_t <= N       (alike for v)
        hours:   sum_t u_t dt <= N                                     (alike for v)

    An idle step may keep the state of its neighbours, so that a pause within charging is not a new start. Source: Chen et
    al. 2024, storage constraints of the agent; "number of times" is read as starts, or as hours on request.
    """
    index, times = list(range(len(units))), list(range(steps))
    block.discharging = pyo.Var(index, times, domain=pyo.Binary)
    block.charge_start = pyo.Var(index, times, bounds=(0, 1))
    block.discharge_start = pyo.Var(index, times, bounds=(0, 1))
    block.one_direction = pyo.Constraint(index, times, rule=lambda m, s, t: m.charging[s, t] + m.discharging[s, t] <= 1)
    block.discharge_only_if_discharging = pyo.Constraint(
        index, times, rule=lambda m, s, t: m.discharge_mw[s, t] <= units[s].discharge_max_mw * m.discharging[s, t]
    )
    for name, state, start in (
        ("charge", block.charging, block.charge_start),
        ("discharge", block.discharging, block.discharge_start),
    ):
        limits = [getattr(unit, f"{name}_limit") for unit in units]
        counts_starts = [unit.limit_counts == "starts" for unit in units]

        def starts(_: Any, s: int, t: int, state: Any = state, start: Any = start) -> Any:
            return start[s, t] >= state[s, t] - (state[s, t - 1] if t else 0)

        def limit(
            _: Any, s: int, state: Any = state, start: Any = start, limits: Any = limits, counts: Any = counts_starts
        ) -> Any:
            if limits[s] is None:
                return pyo.Constraint.Skip
            used = [start[s, t] if counts[s] else step_hours * state[s, t] for t in times]
            return pyo.quicksum(used) <= limits[s]

        setattr(block, f"{name}_starts", pyo.Constraint(index, times, rule=starts))
        setattr(block, f"{name}_limit", pyo.Constraint(index, rule=limit))
