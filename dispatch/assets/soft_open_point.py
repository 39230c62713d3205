"""A multi-terminal soft open point: converters on a common direct-current side, on a Pyomo block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pyomo.environ as pyo

from dispatch.conic.cones import NormCone

#: What the names of the cones of converters' losses begin with.
CONVERTER_LOSS = "converter loss"


class Converters(Protocol):
    """What a soft open point must state; see ``dispatch.case_soft_open_point.SoftOpenPoint`` for units."""

    @property
    def buses(self) -> tuple[int, ...]: ...
    @property
    def power_mva(self) -> float: ...
    @property
    def reactive_max_mvar(self) -> float: ...
    @property
    def loss_share(self) -> float: ...


def declare_soft_open_point(
    block: Any, unit: Converters, steps: Sequence[Any], present: Any | None = None
) -> list[NormCone]:
    """Injections of each converter ``m`` and step ``t``, and their cones.

    Adds ``converter_mw[m, t]``, ``converter_mvar[m, t]`` (given to the feeder) and ``converter_loss_mw[m, t]``::

        sum_m (P_m + loss_m) = 0,   loss_m >= A |(P_m, Q_m)|,   |(P_m, Q_m)| <= S,   |Q_m| <= Q_max,   loss_m <= A S

    Source: Lou et al. 2025, doi 10.3389/fenrg.2025.1537562, Eqs. 11-17, 40. Departures: the loss follows the apparent power as
    a cone; its upper limit keeps the converters from burning power where that would help a voltage.

    Parameters
    ----------
    present: variables ``present[m]`` between 0 and 1 that scale ``S`` and ``Q_max`` of converter ``m``, for the paper's
        feeder selection: with binaries exactly its product of switch and power, as an absent converter carries nothing.
    """
    which, times = list(range(len(unit.buses))), list(steps)
    size, reactive, share = unit.power_mva, unit.reactive_max_mvar, unit.loss_share
    block.converter_mw = pyo.Var(which, times, bounds=(-size, size))
    block.converter_mvar = pyo.Var(which, times, bounds=(-min(reactive, size), min(reactive, size)))
    block.converter_loss_mw = pyo.Var(which, times, bounds=(0, share * size))
    block.converter_balance = pyo.Constraint(
        times, rule=lambda m, t: sum(m.converter_mw[k, t] + m.converter_loss_mw[k, t] for k in which) == 0
    )
    if present is not None:
        block.absent_loss = pyo.Constraint(
            which, times, rule=lambda m, k, t: m.converter_loss_mw[k, t] <= share * size * present[k]
        )
        block.absent_supply = pyo.Constraint(
            which, times, rule=lambda m, k, t: m.converter_mvar[k, t] <= reactive * present[k]
        )
        block.absent_demand = pyo.Constraint(
            which, times, rule=lambda m, k, t: m.converter_mvar[k, t] >= -reactive * present[k]
        )
    cones = []
    for k in which:
        for t in times:
            flow = (block.converter_mw[k, t], block.converter_mvar[k, t])
            name = f"converter {unit.buses[k]}, {t}"
            cones.append(NormCone(name, flow, size) if present is None else NormCone(name, flow, present[k], size))
            if share > 0:
                loss = block.converter_loss_mw[k, t]
                cones.append(NormCone(f"{CONVERTER_LOSS} {unit.buses[k]}, {t}", flow, loss, 1.0 / share))
    return cones
