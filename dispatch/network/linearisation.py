"""A physical optimum near a schedule whose cones are slack: sequential linear programs with the integers fixed.

Each pass replays the schedule's net loads through the AC power flow, replaces every line's cone by the tangent plane of
``l = (P^2 + Q^2) / u`` there, as an equality, and solves the continuous rest. At a fixed point the plane touches the
solution itself, so the branch-flow equations hold exactly. The plane may pass below zero current on the way, so that
limit is left out until then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from dispatch.conic.clarabel_oracle import solve_continuous
from dispatch.conic.compiled import Compiled
from dispatch.errors import SolverError
from dispatch.network.distflow import DistFlow
from dispatch.network.line_columns import LineColumns, net_consumption
from dispatch.network.power_flow import solve_power_flow

FloatArray = npt.NDArray[np.float64]

#: Passes without a limit on the step; afterwards the allowed change of a flow is halved each time.
FREE_PASSES = 5
PASSES = 30
#: Largest ``|l u - P^2 - Q^2|``, p.u., of a point taken as physical.
PHYSICAL_TOLERANCE = 1e-7
#: Relative gain of the objective below which a physical point is not pursued further.
GAIN_TOLERANCE = 1e-6


def physical_point(compiled: Compiled, block: Any, x: FloatArray, time_limit_s: float) -> FloatArray | None:
    """A point with the integers of ``x`` that meets every limit and the AC equations, locally optimal; None if none is found."""
    at = LineColumns.of(compiled, block)
    own = np.zeros(compiled.size, dtype=bool)
    own[at.current] = True
    lines = np.array([bool(own[compiled.cones.H[[s]].indices].any()) for s in compiled.cones.starts])
    whole = np.round(x)
    smooth = replace(
        compiled,
        cones=compiled.cones.subset(~lines),
        lower=np.where(compiled.integer, whole, compiled.lower),
        upper=np.where(compiled.integer, whole, compiled.upper),
    )
    smooth.lower[at.current] = -np.inf
    best: FloatArray | None = None
    reach, least = np.inf, np.inf
    for count in range(PASSES):
        state = _replayed(block.distflow, at, x)
        if state is None:
            return best
        lower, upper = smooth.lower.copy(), smooth.upper.copy()
        for columns, flow in ((at.p, state[0]), (at.q, state[1])):
            lower[columns], upper[columns] = flow - reach, flow + reach
        planes = _tangent_planes(at, compiled.size, *state)
        zeros = np.zeros(planes.shape[0])
        answer = solve_continuous(smooth.with_rows(planes, zeros, zeros), lower, upper, time_limit_s / PASSES + 1.0)
        if answer.status != "optimal":
            if not np.isfinite(reach):
                return best
            reach *= 4.0
            continue
        moved = max(float(np.abs(answer.x[at.p] - state[0]).max()), float(np.abs(answer.x[at.q] - state[1]).max()))
        x = answer.x
        if np.abs(at.gap(x)).max() <= PHYSICAL_TOLERANCE:
            gained = least - answer.value
            if gained > 0:
                best, least = x, answer.value
            if not gained > GAIN_TOLERANCE * max(1.0, abs(least)):
                return best
        if count >= FREE_PASSES:
            reach = min(reach, moved) / 2.0
    return best


def _replayed(network: DistFlow, at: LineColumns, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Sending flows and sending squared voltages of the AC state at the net loads of ``x``, p.u., shape [step, line]."""
    feeder = network.feeder
    try:
        flow = solve_power_flow(
            feeder, *net_consumption(network, x[at.p], x[at.q], x[at.current]), network.limits.root_voltage_pu
        )
    except SolverError:
        return None
    sending = [feeder.position[i] for i, _ in feeder.line_keys]
    return flow.line_p_mw / feeder.base_mva, flow.line_q_mvar / feeder.base_mva, flow.voltage_pu[:, sending] ** 2


def _tangent_planes(at: LineColumns, size: int, p: FloatArray, q: FloatArray, u: FloatArray) -> csr_array:
    """Rows of ``l - 2 P0/u0 P - 2 Q0/u0 Q + (P0^2 + Q0^2)/u0^2 u = 0``."""
    values = np.stack([np.ones_like(p), -2.0 * p / u, -2.0 * q / u, (p**2 + q**2) / u**2]).reshape(4, -1)
    places = np.stack([at.current, at.p, at.q, at.sending]).reshape(4, -1)
    rows = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    return csr_array(coo_array((values.ravel(), (rows.ravel(), places.ravel())), shape=(values.shape[1], size)))
