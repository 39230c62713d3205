"""What the operator could lose if customers who do not care who gets the energy choose against it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.markets.adno_solution import AdnoSolution
from dispatch.network.power_flow import solve_power_flow

FloatArray = NDArray[np.float64]


def tie_width(solution: AdnoSolution) -> float:
    """Cost of the losses added when the same energy goes to the most remote customers who pay the same, currency.

    Customers of one retail price are filled in the order of the losses that one more MW at their bus causes; the loss is then
    found by AC power flow and bought at the spot price. The worst placement itself maximises a convex function over a
    polytope, so that this is a lower bound of it. Zero without a network.
    """
    feeder, network, limit = solution.feeder, solution.case.network, solution.customers.limit_mw
    if feeder is None or network is None or limit is None or solution.network is None:
        return 0.0
    inputs, used = solution.inputs, solution.customers.flexible_mw
    moved = _placed_against(solution, limit) - used
    p, q = solution.net_consumption()
    planned = solve_power_flow(feeder, p, q, network.root_voltage_pu)
    for j, bus in enumerate(inputs.customer_buses):
        p[:, feeder.position[bus]] += moved[:, j]
        q[:, feeder.position[bus]] += inputs.flexible_mvar_per_mw[:, j] * moved[:, j]
    against = solve_power_flow(feeder, p, q, network.root_voltage_pu)
    extra = against.import_mw - planned.import_mw
    return float((inputs.spot_price * extra).sum() * inputs.step_hours)


def _placed_against(solution: AdnoSolution, limit: FloatArray) -> FloatArray:
    inputs, used = solution.inputs, solution.customers.flexible_mw
    sensitivity = _loss_sensitivity(solution)
    placed = np.zeros_like(used)
    for t in range(inputs.steps):
        for price in np.unique(inputs.retail_price[t]):
            tier = np.flatnonzero(inputs.retail_price[t] == price)
            left = float(used[t, tier].sum())
            for j in tier[np.argsort(-sensitivity[t, tier], kind="stable")]:
                placed[t, j] = min(left, limit[t, j])
                left -= placed[t, j]
    return placed


def _loss_sensitivity(solution: AdnoSolution) -> FloatArray:
    """Losses per MW more at each customer's bus, ``[T, J]``: ``2 r P / u`` summed over the lines that feed it."""
    feeder, state = solution.feeder, solution.network
    assert feeder is not None and state is not None
    place = {key: line for line, key in enumerate(feeder.line_keys)}
    sending = [feeder.position[i] for i, _ in feeder.line_keys]
    per_line = 2 * feeder.r_pu * state.flow_p / state.voltage_sq[:, sending]
    columns = [
        per_line[:, [place[key] for key in feeder.path(bus)]].sum(axis=1) for bus in solution.inputs.customer_buses
    ]
    return np.stack(columns, axis=1)
