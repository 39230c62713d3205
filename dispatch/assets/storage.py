"""Battery storage on a Pyomo block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pyomo.environ as pyo


class StorageUnit(Protocol):
    """What a battery must state; see ``dispatch.case_adno.Storage`` for units."""

    @property
    def energy_min_mwh(self) -> float: ...
    @property
    def energy_max_mwh(self) -> float: ...
    @property
    def energy_start_mwh(self) -> float: ...
    @property
    def energy_end(self) -> str: ...
    @property
    def charge_max_mw(self) -> float: ...
    @property
    def discharge_max_mw(self) -> float: ...
    @property
    def charge_efficiency(self) -> float: ...
    @property
    def discharge_efficiency(self) -> float: ...
    @property
    def self_discharge_per_hour(self) -> float: ...
    @property
    def wear_per_mwh(self) -> float: ...
    @property
    def reactive_max_mvar(self) -> float: ...


def declare_storage(
    block: Any, units: Sequence[StorageUnit], steps: int, step_hours: float, exclusive: Sequence[bool]
) -> None:
    """Charge, discharge and stored energy of each unit ``s`` and step ``t``.

    Adds ``charge_mw[s, t]``, ``discharge_mw[s, t]``, ``stored_mwh[s, t]`` (at the end of the step), ``storage_mvar[s, t]`` (given
    to the grid, for units that can) and the expression ``wear_cost[t]`` (currency)::

        e_t = (1 - delta dt) e_{t-1} + (eta_c P^c_t - P^d_t / eta_d) dt,   e_0 given,   E_min <= e_t <= E_max
        0 <= P^c_t <= P^c_max b_t,   0 <= P^d_t <= P^d_max (1 - b_t)
        e_T = e_0 ("equal"), e_T >= e_0 ("at_least"), or unbound ("free")
        wear_t = sum_s beta (eta_c P^c_t + P^d_t / eta_d) dt

    Source: Shi et al. 2023, Eqs. 9-10. The paper prints neither efficiency nor an end condition, so that its store is sold
    empty every day; both are added here, with self-discharge and wear.

    Parameters
    ----------
    exclusive: per unit, whether binaries ``b`` forbid charging and discharging in the same step (see ``needs_binaries``).
    """
    index = list(range(len(units)))
    times = list(range(steps))
    block.charge_mw = pyo.Var(index, times, bounds=lambda _, s, t: (0, units[s].charge_max_mw))
    block.discharge_mw = pyo.Var(index, times, bounds=lambda _, s, t: (0, units[s].discharge_max_mw))
    block.stored_mwh = pyo.Var(index, times, bounds=lambda _, s, t: (units[s].energy_min_mwh, units[s].energy_max_mwh))

    reactive = {s: unit.reactive_max_mvar for s, unit in enumerate(units) if unit.reactive_max_mvar > 0}
    block.storage_mvar = pyo.Var(list(reactive), times, bounds=lambda _, s, t: (-reactive[s], reactive[s]))

    def balance(m: Any, s: int, t: int) -> Any:
        unit = units[s]
        before = m.stored_mwh[s, t - 1] if t else unit.energy_start_mwh
        gain = unit.charge_efficiency * m.charge_mw[s, t] - m.discharge_mw[s, t] / unit.discharge_efficiency
        return m.stored_mwh[s, t] == (1 - unit.self_discharge_per_hour * step_hours) * before + step_hours * gain

    def end(m: Any, s: int) -> Any:
        unit = units[s]
        if unit.energy_end == "free":
            return pyo.Constraint.Skip
        last = m.stored_mwh[s, steps - 1]
        return last == unit.energy_start_mwh if unit.energy_end == "equal" else last >= unit.energy_start_mwh

    block.storage_balance = pyo.Constraint(index, times, rule=balance)
    block.storage_end = pyo.Constraint(index, rule=end)
    with_binaries = [s for s in index if exclusive[s]]
    block.charging = pyo.Var(with_binaries, times, domain=pyo.Binary)
    block.charge_only_if_charging = pyo.Constraint(
        with_binaries, times, rule=lambda m, s, t: m.charge_mw[s, t] <= units[s].charge_max_mw * m.charging[s, t]
    )
    block.discharge_only_if_not_charging = pyo.Constraint(
        with_binaries,
        times,
        rule=lambda m, s, t: m.discharge_mw[s, t] <= units[s].discharge_max_mw * (1 - m.charging[s, t]),
    )
    block.wear_cost = pyo.Expression(
        times,
        rule=lambda m, t: sum(
            unit.wear_per_mwh
            * step_hours
            * (unit.charge_efficiency * m.charge_mw[s, t] + m.discharge_mw[s, t] / unit.discharge_efficiency)
            for s, unit in enumerate(units)
        ),
    )


def declare_net_charge(block: Any, units: Sequence[StorageUnit], steps: int, step_hours: float) -> None:
    """``net_charge_mw[s, t] = P^c - P^d``, what a unit takes from its bus, after :func:`declare_storage`.

    The balance is stated once more in it: ``e_t = (1 - delta dt) e_{t-1} + (eta_c (P^c - P^d) - (1/eta_d - eta_c) P^d) dt``.
    That adds nothing to the model, but lets bounds on stored energy reach the bus: round trips leave ``P^c`` and ``P^d`` wide
    apart from each other where their difference is all but settled.
    """
    index, times = list(range(len(units))), list(range(steps))
    block.net_charge_mw = pyo.Var(
        index, times, bounds=lambda _, s, t: (-units[s].discharge_max_mw, units[s].charge_max_mw)
    )
    block.net_charge_of = pyo.Constraint(
        index, times, rule=lambda m, s, t: m.net_charge_mw[s, t] - m.charge_mw[s, t] + m.discharge_mw[s, t] == 0.0
    )

    def balance(m: Any, s: int, t: int) -> Any:
        unit = units[s]
        before = m.stored_mwh[s, t - 1] if t else unit.energy_start_mwh
        round_trip = 1 / unit.discharge_efficiency - unit.charge_efficiency
        gain = unit.charge_efficiency * m.net_charge_mw[s, t] - round_trip * m.discharge_mw[s, t]
        return m.stored_mwh[s, t] == (1 - unit.self_discharge_per_hour * step_hours) * before + step_hours * gain

    block.net_storage_balance = pyo.Constraint(index, times, rule=balance)


def needs_binaries(unit: StorageUnit, lowest_energy_value_per_mwh: float) -> bool:
    """Whether charging and discharging at once could ever pay, so that binaries must forbid it.

    Reducing both by ``(eps, eta_c eta_d eps)`` keeps the stored energy and changes the owner's cost by
    ``-eps [y (1 - eta_c eta_d) + 2 beta eta_c]`` at marginal value of energy ``y``; if the bracket is positive for every
    ``y`` that can occur, an optimum never does both. With no losses and no wear at all, doing both is harmless.

    Parameters
    ----------
    lowest_energy_value_per_mwh: a lower bound on the marginal value of energy at the unit's bus.
    """
    loss = 1 - unit.charge_efficiency * unit.discharge_efficiency
    penalty = 2 * unit.wear_per_mwh * unit.charge_efficiency
    if loss == 0 and penalty == 0:
        return False
    return not lowest_energy_value_per_mwh * loss + penalty > 0
