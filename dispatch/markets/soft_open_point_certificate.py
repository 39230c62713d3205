"""The certificate of a soft open point schedule, from its values alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dispatch.assets.price_taker_response import PriceTakerPlan, PriceTakerQp, plan_violations
from dispatch.certificate import TOLERANCES, Certificate
from dispatch.certify import largest, replay_ac
from dispatch.markets.soft_open_point_network import NetworkStep, NetworkValue, network_values
from dispatch.markets.soft_open_point_solution import SoftOpenPointSolution

FloatArray = NDArray[np.float64]

#: Share of the highest price by which prosumers' indifference is tilted against the operator.
TILT = 1e-4


def certify_soft_open_point(
    solution: SoftOpenPointSolution,
    linearised: float | None,
    gap: float,
    largest_gap: float,
    dual_bound_ratio: float | None,
    steps: list[NetworkStep],
    values: tuple[NetworkValue, ...],
) -> Certificate:
    """Every check that applies; see ``Certificate`` for what each figure means.

    Parameters
    ----------
    linearised: the objective with prosumers' bills as the conditions give them, without price times exchange; None, like
        dual_bound_ratio, where prices were posted and no conditions were needed.
    gap, largest_gap: relative to the objective net of the feeder's own load, as proved and as allowed.
    """
    buy, sell, prosumers = solution.buy, solution.sell, solution.inputs.prosumers
    gains, gaps = [], []
    for prosumer, plan in zip(prosumers, solution.plans, strict=True):
        program = PriceTakerQp(prosumer)
        planned, best = plan.cost(prosumer, buy, sell), program.respond(buy, sell).cost(prosumer, buy, sell)
        scale = max(1.0, abs(best))
        gains.append((planned - best) / scale)
        gaps.append(abs(planned - program.proven_cost) / scale)
    inputs = solution.inputs
    planned_voltage = np.sqrt(solution.network.voltage_sq)
    replay = replay_ac(
        inputs.feeder,
        *solution.net_consumption(),
        inputs.root_voltage_pu,
        planned_voltage,
        solution.line_loss_mw.sum(axis=1),
    )
    return Certificate(
        balance_max=largest(*violations(solution)),
        best_response_gap=max(0.0, *gains),
        duality_gap=max(gaps),
        objective_identity=None
        if linearised is None
        else abs(solution.objective - linearised) / max(1.0, abs(solution.objective)),
        cone_gap=max(line_gap(solution), converter_gap(solution)),
        dual_bound_ratio=dual_bound_ratio,
        mip_gap=gap,
        tie_width=tie_width(solution, steps, values),
        ac_voltage_error_pu=replay.voltage_error_pu,
        ac_loss_error_mw=replay.loss_error_mw,
        tolerances={**TOLERANCES, "mip_gap": largest_gap},
    )


def line_gap(solution: SoftOpenPointSolution) -> float:
    """Largest ``|l u - P^2 - Q^2|`` over lines and steps, p.u."""
    net, feeder = solution.network, solution.inputs.feeder
    sending = [feeder.position[i] for i, _ in feeder.line_keys]
    gap = net.current_sq * net.voltage_sq[:, sending] - net.flow_p**2 - net.flow_q**2
    return float(np.abs(gap).max(initial=0.0))


def converter_gap(solution: SoftOpenPointSolution) -> float:
    """Largest distance of a converter's loss from its share of the apparent power, p.u."""
    net, sop = solution.network, solution.inputs.sop
    if sop is None or not net.converter_mw.size:
        return 0.0
    needed = sop.loss_share * np.hypot(net.converter_mw, net.converter_mvar)
    return float(np.abs(net.converter_loss_mw - needed).max()) / solution.inputs.feeder.base_mva


def tie_width(solution: SoftOpenPointSolution, steps: list[NetworkStep], values: tuple[NetworkValue, ...]) -> float:
    """What the operator could lose if prosumers who do not care choose against it, currency.

    A battery with linear wear has many best plans at some prices. Each prosumer answers once more with its indifference tilted
    towards what costs the operator most at the margin; the network is then valued again.
    """
    inputs = solution.inputs
    slope = np.stack([value.slope for value in values]).T[: len(inputs.prosumers)] / inputs.step_hours
    harm = slope - inputs.weights.cost * np.where(solution.exchange > 0, solution.buy, solution.sell)
    tilt = TILT * float(inputs.price_high.max()) / max(float(np.abs(harm).max()), 1e-9)
    plans: list[PriceTakerPlan] = []
    for n, prosumer in enumerate(inputs.prosumers):
        plans.append(PriceTakerQp(prosumer).respond(solution.buy - tilt * harm[n], solution.sell - tilt * harm[n]))
    exchange = np.stack([plan.exchange for plan in plans])
    network = sum(value.value for value in network_values(steps, exchange, solution.terminals))
    bills = sum(plan.bill(solution.buy, solution.sell, inputs.step_hours) for plan in plans)
    return max(network - inputs.weights.cost * bills - solution.objective, 0.0)


def violations(solution: SoftOpenPointSolution) -> Iterator[FloatArray]:
    """How far each balance and limit is missed, MW, MWh, p.u. or relative price; nothing is positive in a feasible schedule."""
    inputs, net, feeder = solution.inputs, solution.network, solution.inputs.feeder
    highest = max(float(inputs.price_high.max()), 1e-9)
    yield (inputs.price_low - solution.sell) / highest
    yield (solution.sell - solution.buy) / highest
    yield (solution.buy - inputs.price_high) / highest
    yield np.array([solution.buy.mean() - inputs.hv_buy.mean()]) / highest
    for prosumer, plan in zip(inputs.prosumers, solution.plans, strict=True):
        yield from plan_violations(prosumer, plan)
    start = [feeder.position[i] for i, _ in feeder.line_keys]
    end = [feeder.position[j] for _, j in feeder.line_keys]
    p_net, q_net = solution.net_consumption()
    root = feeder.position[feeder.root]
    for flow, consumed, impedance in ((net.flow_p, p_net, feeder.r_pu), (net.flow_q, q_net, feeder.x_pu)):
        surplus = -consumed / feeder.base_mva
        np.add.at(surplus.T, end, (flow - impedance * net.current_sq).T)
        np.subtract.at(surplus.T, start, flow.T)
        yield np.abs(np.delete(surplus, root, axis=1))
        if flow is net.flow_p:
            yield np.abs(surplus[:, root] + (net.bought_mw - net.sold_mw) / feeder.base_mva)
    u = net.voltage_sq
    drop = 2 * (feeder.r_pu * net.flow_p + feeder.x_pu * net.flow_q)
    drop = drop - (feeder.r_pu**2 + feeder.x_pu**2) * net.current_sq
    yield np.abs(u[:, end] - u[:, start] + drop)
    if inputs.sop is not None and net.converter_mw.size:
        here = solution.terminals[:, None] if solution.terminals.size else 1.0
        yield np.abs(net.converter_mw.sum(axis=0) + net.converter_loss_mw.sum(axis=0))
        yield np.hypot(net.converter_mw, net.converter_mvar) - inputs.sop.power_mva * here
        yield np.abs(net.converter_mvar) - inputs.sop.reactive_max_mvar * here
        if inputs.sop.terminals_max is not None:
            yield np.array([solution.terminals.sum() - inputs.sop.terminals_max])
