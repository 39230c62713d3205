"""Gas turbines with heat recovery and gas boilers on a Pyomo block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class CogenerationUnit(Protocol):
    """What a gas turbine must state."""

    @property
    def power_max_mw(self) -> float: ...
    @property
    def efficiency(self) -> float: ...
    @property
    def heat_ratio(self) -> float: ...
    @property
    def maintenance_per_mwh(self) -> float: ...


class BoilerUnit(Protocol):
    """What a boiler must state."""

    @property
    def heat_max_mw(self) -> float: ...
    @property
    def efficiency(self) -> float: ...
    @property
    def maintenance_per_mwh(self) -> float: ...


def declare_cogeneration(
    block: Any, units: Sequence[CogenerationUnit], gas_price_per_mwh: FloatArray, step_hours: float
) -> None:
    """Power and recovered heat of each gas turbine ``k`` and step ``t``; heat that nobody needs is dumped.

    Adds ``turbine_mw[k, t]``, ``recovered_heat_mw[k, t]`` and the expressions ``turbine_gas_cost[t]``,
    ``turbine_maintenance[t]`` (currency)::

        0 <= P <= P_max,   0 <= Q <= rho P
        gas = dt c_gas P / eta,   maintenance = dt c_om P

    Source: Wu et al. 2024 (doi 10.3389/fenrg.2024.1342516), gas turbine and waste heat. The paper says in one place that the
    heat comes from the boiler; it is the turbine's.

    Parameters
    ----------
    gas_price_per_mwh: ``[T]``, per MWh of heating value.
    """
    index, times, price = list(range(len(units))), list(range(len(gas_price_per_mwh))), gas_price_per_mwh.tolist()
    block.turbine_mw = pyo.Var(index, times, bounds=lambda _, k, t: (0, units[k].power_max_mw))
    block.recovered_heat_mw = pyo.Var(
        index, times, bounds=lambda _, k, t: (0, units[k].heat_ratio * units[k].power_max_mw)
    )
    block.recovered_heat_limit = pyo.Constraint(
        index, times, rule=lambda m, k, t: m.recovered_heat_mw[k, t] <= units[k].heat_ratio * m.turbine_mw[k, t]
    )
    block.turbine_gas_cost = pyo.Expression(
        times,
        rule=lambda m, t: sum(step_hours * price[t] / u.efficiency * m.turbine_mw[k, t] for k, u in enumerate(units)),
    )
    block.turbine_maintenance = pyo.Expression(
        times,
        rule=lambda m, t: sum(step_hours * u.maintenance_per_mwh * m.turbine_mw[k, t] for k, u in enumerate(units)),
    )


def declare_boiler(block: Any, units: Sequence[BoilerUnit], gas_price_per_mwh: FloatArray, step_hours: float) -> None:
    """Heat of each gas boiler ``k`` and step ``t``.

    Adds ``boiler_heat_mw[k, t]`` and the expressions ``boiler_gas_cost[t]``, ``boiler_maintenance[t]`` (currency)::

        0 <= Q <= Q_max,   gas = dt c_gas Q / eta,   maintenance = dt c_om Q

    Source: Wu et al. 2024 (doi 10.3389/fenrg.2024.1342516), gas boiler.

    Parameters
    ----------
    gas_price_per_mwh: ``[T]``, per MWh of heating value.
    """
    index, times, price = list(range(len(units))), list(range(len(gas_price_per_mwh))), gas_price_per_mwh.tolist()
    block.boiler_heat_mw = pyo.Var(index, times, bounds=lambda _, k, t: (0, units[k].heat_max_mw))
    block.boiler_gas_cost = pyo.Expression(
        times,
        rule=lambda m, t: sum(
            step_hours * price[t] / u.efficiency * m.boiler_heat_mw[k, t] for k, u in enumerate(units)
        ),
    )
    block.boiler_maintenance = pyo.Expression(
        times,
        rule=lambda m, t: sum(step_hours * u.maintenance_per_mwh * m.boiler_heat_mw[k, t] for k, u in enumerate(units)),
    )
