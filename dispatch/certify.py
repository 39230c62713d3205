"""Independent checks behind a certificate: followers solved again alone, and an AC power flow at the planned set-points.

Nothing here knows how a market model was reformulated or solved: inputs are the leader's decision and the data of the
follower or network, and every answer is found by another route (closed form, root finding, a plain linear program).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, linprog

from dispatch.errors import SolverError
from dispatch.network.admittance_flow import bus_voltages, line_losses
from dispatch.network.feeder import Feeder

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FollowerFigures:
    """How far followers are from their own best answers.

    best_response_gap: largest relative gain of one follower alone; duality_gap: largest relative distance of a follower's
    cost from a bound proven by its dual.
    """

    best_response_gap: float
    duality_gap: float | None


def utility_response(net_price: FloatArray, utility: FloatArray, slope: FloatArray, upper_mw: FloatArray) -> FloatArray:
    """Demand that maximises ``(a - net price) d - b d^2 / 2`` over ``0 <= d <= U``, in closed form; all arrays alike.

    With infinite ``b`` there is no response; callers leave such customers out.
    """
    response: FloatArray = np.clip((utility - net_price) / slope, 0.0, upper_mw)
    return response


def shifting_response(
    net_price: FloatArray, utility: FloatArray, slope: FloatArray, upper_mw: FloatArray, total_mw: float
) -> tuple[FloatArray, float]:
    """As :func:`utility_response` for one customer over steps ``[T]`` whose demand must add up to ``total_mw``.

    The price of the fixed total is found by bracketing, since demand falls as it rises.

    Returns
    -------
    Demand ``[T]`` and the price of the fixed total.

    Raises
    ------
    SolverError
        If the total cannot be reached within the limits.
    """
    if not -1e-9 <= total_mw <= float(upper_mw.sum()) + 1e-9:
        raise SolverError(f"a fixed energy of {total_mw:g} MW-steps is outside [0, {upper_mw.sum():g}]")
    lowest = float((utility - net_price - slope * upper_mw).min()) - 1.0
    highest = float((utility - net_price).max()) + 1.0

    def excess(dual: float) -> float:
        return float(utility_response(net_price + dual, utility, slope, upper_mw).sum()) - total_mw

    if excess(lowest) <= 0:
        return upper_mw.copy(), lowest
    if excess(highest) >= 0:
        return np.zeros_like(upper_mw), highest
    dual = brentq(excess, lowest, highest, xtol=1e-13, rtol=1e-14, maxiter=500)
    return utility_response(net_price + dual, utility, slope, upper_mw), float(dual)


def response_cost(
    demand_mw: FloatArray, net_price: FloatArray, utility: FloatArray, slope: FloatArray, step_hours: float
) -> FloatArray:
    """A customer's cost ``dt [(net price - a) d + b d^2 / 2]``, summed over steps: ``[T, J]`` to ``[J]``."""
    cost: FloatArray = ((net_price - utility) * demand_mw + 0.5 * slope * demand_mw**2).sum(axis=0) * step_hours
    return cost


def box_duality_gap(
    demand_mw: FloatArray,
    net_price: FloatArray,
    utility: FloatArray,
    slope: FloatArray,
    upper_mw: FloatArray,
    step_hours: float,
) -> FloatArray:
    """Cost of each customer minus the value of its Lagrangian dual at multipliers read off the demand, ``[J]``."""
    marginal = net_price - utility + slope * demand_mw
    gap = demand_mw * np.clip(marginal, 0, None) + (upper_mw - demand_mw) * np.clip(-marginal, 0, None)
    total: FloatArray = gap.sum(axis=0) * step_hours
    return total


def cheapest_fill(price: FloatArray, upper_mw: FloatArray, total_mw: float) -> tuple[float, float]:
    """Least ``sum p d`` over ``0 <= d <= U`` with ``sum d = total``, and its dual bound, by a plain linear program.

    Raises
    ------
    SolverError
        If the total cannot be reached within the limits.
    """
    total = min(max(total_mw, 0.0), float(upper_mw.sum()))
    if abs(total - total_mw) > 1e-6:
        raise SolverError(f"a supply of {total_mw:g} MW is outside the flexible demand [0, {upper_mw.sum():g}] MW")
    bounds = np.column_stack([np.zeros_like(upper_mw), upper_mw])
    answer = linprog(price, A_eq=np.ones((1, len(price))), b_eq=[total], bounds=bounds, method="highs")
    if answer.status != 0:
        raise SolverError(f"the follower's linear program was not solved: {answer.message}")
    dual = float(answer.eqlin.marginals[0] * total + answer.upper.marginals @ upper_mw)
    return float(answer.fun), dual


@dataclass(frozen=True)
class AcReplay:
    """Distance of planned from replayed values: largest voltage error, p.u., and largest error of a step's losses, MW."""

    voltage_error_pu: float
    loss_error_mw: float


def replay_ac(
    feeder: Feeder,
    p_net_mw: FloatArray,
    q_net_mvar: FloatArray,
    root_voltage_pu: float,
    voltage_pu: FloatArray,
    loss_mw: FloatArray,
) -> AcReplay:
    """AC power flow at the planned injections against planned voltages ``[T, bus]`` and losses ``[T]``.

    By the bus admittance matrix, so that it is no repetition of the sweeps from which mended schedules take their state.

    Raises
    ------
    SolverError
        If no AC solution exists at these injections.
    """
    replayed = bus_voltages(feeder, p_net_mw, q_net_mvar, root_voltage_pu)
    voltage = float(np.abs(np.abs(replayed) - voltage_pu).max())
    loss = float(np.abs(line_losses(feeder, replayed) - loss_mw).max())
    return AcReplay(voltage, loss)


def largest(*violations: FloatArray | float) -> float:
    """The largest entry of all arrays, at least zero; NaN if any entry is."""
    values = [float(np.max(v)) for v in map(np.asarray, violations) if np.size(v)]
    return float(np.max([0.0, *values]))
