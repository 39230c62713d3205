"""Wind farms with curtailment on a Pyomo block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray


def declare_wind(
    block: Any,
    available_mw: NDArray[np.float64],
    step_hours: float,
    curtailment_price_per_mwh: float = 0.0,
    reactive_max_mvar: Sequence[float] = (),
) -> None:
    """Used wind power of each farm ``v`` and step ``t``; the rest is curtailed.

    Adds ``wind_mw[v, t]``, ``wind_mvar[v, t]`` and the expression ``curtailment_cost[t]`` (currency)::

        0 <= P_vt <= available_vt,   k_vt = available_vt - P_vt,   cost_t = sum_v price k_vt dt

    Source: Shi et al. 2023, section 4.2.3. The paper takes all wind that blows and forbids export, which is infeasible
    where wind exceeds the load; curtailment is added here.

    Parameters
    ----------
    available_mw: ``[V, T]``, what could be produced.
    reactive_max_mvar: per farm, the converter's reactive power in either direction; empty for none.
    """
    farms, steps = available_mw.shape
    times = list(range(steps))
    block.wind_mw = pyo.Var(list(range(farms)), times, bounds=lambda _, v, t: (0, float(available_mw[v, t])))
    reactive = [v for v, limit in enumerate(reactive_max_mvar) if limit > 0]
    block.wind_mvar = pyo.Var(reactive, times, bounds=lambda _, v, t: (-reactive_max_mvar[v], reactive_max_mvar[v]))
    block.curtailment_cost = pyo.Expression(
        times,
        rule=lambda m, t: sum(
            curtailment_price_per_mwh * step_hours * (float(available_mw[v, t]) - m.wind_mw[v, t]) for v in range(farms)
        ),
    )
