"""Industrial parks as followers: their optimality conditions, and their bills without price times quantity.

Source: Chen et al. 2024 (doi 10.3389/fenrg.2024.1348823), lower level, Karush-Kuhn-Tucker conditions and strong duality.
The paper takes all wind and sun; here they can be curtailed, which makes every park's problem feasible at any price.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.assets.flexible_load import if_declared, linear_sum
from dispatch.conic.cones import QuadraticEpigraph
from dispatch.markets.industrial_parks_inputs import AgentInputs

FloatArray = NDArray[np.float64]

#: Bounds of duals are this much wider than proved, so that a dual at its proved bound is not mistaken for one cut off.
MARGIN = 1.1
NOTHING = 1e-9


@dataclass(frozen=True, eq=False)
class Limit:
    """One limit ``slack >= 0`` of park ``i`` at step ``t``, the largest slack, and the largest dual it can need.

    weight: right-hand side by which the dual enters the park's bill.
    """

    kind: str
    i: int
    t: int
    slack: Any
    slack_max: float
    dual_max: float
    weight: float

    @property
    def key(self) -> tuple[str, int, int]:
        """Index of the limit's dual and binary."""
        return self.kind, self.i, self.t


def declare_parks(block: Any, inputs: AgentInputs) -> list[QuadraticEpigraph]:
    """Responses of all parks ``i`` at every step ``t`` to the price ``price[i, t]`` that the block already holds.

    Each park solves::

        min  sum_t dt [p b - k p s + c g + kappa d^2 / 2]
        b - s + g + r = L + d           (y, value of energy in the park)
        0 <= b <= b_max,  0 <= s <= s_max,  G_min <= g <= G_max - reserve,  0 <= r <= wind + sun
        -D <= d <= D,  sum_t d = 0      (nu; without moved load D = 0)

    Adds ``purchase_mw``, ``sale_mw``, ``generation_mw``, ``renewable_used_mw``, ``shift_mw``, the dual ``energy_value``, duals
    ``limit_dual`` and binaries ``limit_open`` by (kind, i, t), stationarity, complementarity by bounded binaries, and the
    expression ``bill[t]`` (currency), which equals ``sum_i dt (p b - k p s)`` at every optimum of the parks::

        bill = dt sum_i [y L - c g + G_min gamma- - G_max gamma+ - b_max beta+ - s_max sigma+ - (W + V) rho+
                         - D (delta- + delta+) - kappa d^2]

    Exact because no limit of a park contains a decision of the agent.

    Returns
    -------
    One epigraph per square of moved load.
    """
    parks, times = list(range(len(inputs.park_ids))), list(range(inputs.steps))
    low, high = energy_value_bounds(inputs)
    _declare_response(block, inputs, parks, times)
    block.energy_value = pyo.Var(
        parks, times, bounds=lambda _, i, t: (MARGIN * float(low[i, t]), MARGIN * float(high[i, t]))
    )
    limits = [limit for i in parks for t in times for limit in _limits(block, inputs, i, t, low, high)]
    by_key = {limit.key: limit for limit in limits}
    block.limit_dual = pyo.Var(list(by_key), bounds=lambda _, *key: (0, MARGIN * max(0.0, by_key[key].dual_max)))
    _declare_stationarity(block, inputs, parks, times, by_key)
    _declare_complementarity(block, limits)
    _declare_bill(block, inputs, parks, times, limits)
    dt, kappa = inputs.step_hours, inputs.discomfort
    return [
        QuadraticEpigraph(
            f"moved load of {inputs.park_ids[i]}, step {t}",
            ((kappa * dt, block.shift_mw[i, t]),),
            block.shift_square[i, t],
        )
        for i, t in block.shift_mw
    ]


def energy_value_bounds(inputs: AgentInputs) -> tuple[FloatArray, FloatArray]:
    """Interval that holds some optimal value of energy of each park and step, ``[I, T]`` each, currency per MWh.

    The dual function of a park is, step by step, largest between the smallest and the largest marginal price that the
    park can face (purchase, generation, curtailment at zero) and monotone outside, so that clipping a dual to this
    interval never makes it worse. That needs a response at every value of moved load; where a limit of purchase or a
    least generation could be in its way, the interval is wider by the range of the marginal discomfort.
    """
    dearest = np.where(inputs.generator_top_mw > NOTHING, inputs.generator_cost[:, None], -np.inf)
    high = np.maximum(np.maximum(inputs.prices.ceiling, 0.0), dearest)
    low = np.minimum(np.broadcast_to(inputs.prices.floor, high.shape), 0.0)
    in_the_way = np.isfinite(inputs.purchase_max_mw) | (inputs.generator_min_mw > 0)
    coupling = 2.0 * inputs.discomfort * (in_the_way * inputs.shift_max_mw.max(axis=1, initial=0.0))[:, None]
    return low - coupling, high + coupling


def _declare_response(block: Any, inputs: AgentInputs, parks: list[int], times: list[int]) -> None:
    buy_max = largest_purchase(inputs)
    most = {
        "purchase_mw": (np.zeros_like(buy_max), buy_max),
        "sale_mw": (np.zeros_like(buy_max), inputs.sale_max_mw),
        "generation_mw": (np.repeat(inputs.generator_min_mw[:, None], len(times), axis=1), inputs.generator_top_mw),
        "renewable_used_mw": (np.zeros_like(buy_max), inputs.renewable_mw),
    }
    for name, (low, high) in most.items():
        bounds = {(i, t): (float(low[i, t]), float(high[i, t])) for i in parks for t in times}
        setattr(block, name, pyo.Var(parks, times, bounds=lambda _, i, t, b=bounds: b[i, t]))
    shifting = [(i, t) for i in parks for t in times if inputs.shift_max_mw[i].max() > NOTHING]
    size = inputs.shift_max_mw
    block.shift_mw = pyo.Var(shifting, bounds=lambda _, i, t: (-float(size[i, t]), float(size[i, t])))
    block.shift_square = pyo.Var(shifting, bounds=(0, None))
    movers = sorted({i for i, _ in shifting})
    block.shift_value = pyo.Var(movers)
    block.shift_total = pyo.Constraint(movers, rule=lambda m, i: pyo.quicksum(m.shift_mw[i, t] for t in times) == 0.0)
    block.park_balance = pyo.Constraint(
        parks,
        times,
        rule=lambda m, i, t: (
            m.purchase_mw[i, t]
            - m.sale_mw[i, t]
            + m.generation_mw[i, t]
            + m.renewable_used_mw[i, t]
            - if_declared(m.shift_mw, (i, t))
            == float(inputs.load_mw[i, t])
        ),
    )


def largest_purchase(inputs: AgentInputs) -> FloatArray:
    """Purchase above which no balance can hold, or the stated limit if that is lower, ``[I, T]``, MW."""
    natural = inputs.load_mw + inputs.shift_max_mw + inputs.sale_max_mw - inputs.generator_min_mw[:, None]
    return np.minimum(inputs.purchase_max_mw[:, None], np.maximum(natural, 0.0))


def _limits(
    block: Any, inputs: AgentInputs, i: int, t: int, value_low: FloatArray, value_high: FloatArray
) -> Iterator[Limit]:
    """Every limit of one park and step that can bind, with the largest dual that stationarity then leaves for it.

    Purchase has no lower limit where the park's own sources are too small to replace it.
    """
    prices, k = inputs.prices, inputs.buy_back_ratio
    y_low, y_high = float(value_low[i, t]), float(value_high[i, t])
    p_low, p_high = float(prices.floor[t]), float(prices.ceiling[t])
    cost, least, top = (
        float(x) for x in (inputs.generator_cost[i], inputs.generator_min_mw[i], inputs.generator_top_mw[i, t])
    )
    r, available = block.renewable_used_mw[i, t], float(inputs.renewable_mw[i, t])
    b, buy_max = block.purchase_mw[i, t], float(largest_purchase(inputs)[i, t])
    if inputs.load_mw[i, t] - inputs.shift_max_mw[i, t] - top - available <= NOTHING:
        yield Limit("purchase_lower", i, t, b, buy_max, p_high - y_low, 0.0)
    if inputs.purchase_max_mw[i] <= buy_max:
        yield Limit("purchase_upper", i, t, buy_max - b, buy_max, y_high - p_low, -buy_max)
    s, sale_max = block.sale_mw[i, t], float(inputs.sale_max_mw[i, t])
    if k > 0:
        yield Limit("sale_lower", i, t, s, sale_max, y_high - k * p_low, 0.0)
        yield Limit("sale_upper", i, t, sale_max - s, sale_max, k * p_high - y_low, -sale_max)
    g = block.generation_mw[i, t]
    yield Limit("generation_lower", i, t, g - least, top - least, cost - y_low, least)
    yield Limit("generation_upper", i, t, top - g, top - least, y_high - cost, -top)
    yield Limit("renewable_lower", i, t, r, available, -y_low, 0.0)
    yield Limit("renewable_upper", i, t, available - r, available, y_high, -available)
    if (i, t) in block.shift_mw:
        d, size = block.shift_mw[i, t], float(inputs.shift_max_mw[i, t])
        reach = float(value_high[i].max() - value_low[i].min()) + 2.0 * inputs.discomfort * float(
            inputs.shift_max_mw[i].max()
        )
        yield Limit("shift_lower", i, t, size + d, 2 * size, reach, -size)
        yield Limit("shift_upper", i, t, size - d, 2 * size, reach, -size)


def _declare_stationarity(
    block: Any, inputs: AgentInputs, parks: list[int], times: list[int], limits: dict[tuple[str, int, int], Limit]
) -> None:
    k, cost = inputs.buy_back_ratio, inputs.generator_cost

    def residual(kind: str, i: int, t: int) -> Any:
        """``dual of the lower limit - dual of the upper limit``."""
        sides = [(1.0, f"{kind}_lower"), (-1.0, f"{kind}_upper")]
        return sum(sign * block.limit_dual[name, i, t] for sign, name in sides if (name, i, t) in limits)

    block.purchase_stationarity = pyo.Constraint(
        parks, times, rule=lambda m, i, t: m.price[i, t] - m.energy_value[i, t] == residual("purchase", i, t)
    )
    if k > 0:
        block.sale_stationarity = pyo.Constraint(
            parks, times, rule=lambda m, i, t: m.energy_value[i, t] - k * m.price[i, t] == residual("sale", i, t)
        )
    block.generation_stationarity = pyo.Constraint(
        parks, times, rule=lambda m, i, t: float(cost[i]) - m.energy_value[i, t] == residual("generation", i, t)
    )
    block.renewable_stationarity = pyo.Constraint(
        parks, times, rule=lambda m, i, t: -m.energy_value[i, t] == residual("renewable", i, t)
    )
    block.shift_stationarity = pyo.Constraint(
        list(block.shift_mw),
        rule=lambda m, i, t: (
            inputs.discomfort * m.shift_mw[i, t] + m.energy_value[i, t] + m.shift_value[i] == residual("shift", i, t)
        ),
    )


def _declare_complementarity(block: Any, limits: list[Limit]) -> None:
    """``slack <= slack_max z``, ``dual <= dual_max (1 - z)``; nothing where one of the two is always zero."""
    paired = {limit.key: limit for limit in limits if limit.slack_max > NOTHING and MARGIN * limit.dual_max > NOTHING}
    block.limit_open = pyo.Var(list(paired), domain=pyo.Binary)
    block.slack_only_if_open = pyo.Constraint(
        list(paired), rule=lambda m, *key: paired[key].slack <= paired[key].slack_max * m.limit_open[key]
    )
    block.dual_only_if_tight = pyo.Constraint(
        list(paired),
        rule=lambda m, *key: m.limit_dual[key] <= MARGIN * paired[key].dual_max * (1 - m.limit_open[key]),
    )


def _declare_bill(block: Any, inputs: AgentInputs, parks: list[int], times: list[int], limits: list[Limit]) -> None:
    dt = inputs.step_hours
    weighted: dict[int, list[Limit]] = {t: [] for t in times}
    for limit in limits:
        if limit.weight != 0.0:
            weighted[limit.t].append(limit)

    def bill(m: Any, t: int) -> Any:
        coefficients = [dt * limit.weight for limit in weighted[t]]
        variables = [m.limit_dual[limit.key] for limit in weighted[t]]
        for i in parks:
            coefficients += [dt * float(inputs.load_mw[i, t]), -dt * float(inputs.generator_cost[i])]
            variables += [m.energy_value[i, t], m.generation_mw[i, t]]
            if (i, t) in m.shift_square:
                coefficients.append(-1.0)
                variables.append(m.shift_square[i, t])
        return linear_sum(coefficients, variables)

    block.bill = pyo.Expression(times, rule=bill)


def dual_bound_ratio(block: Any) -> float:
    """Largest dual of a limit over its bound; the bounds are proved and then widened, so that 1 is out of reach."""
    ratios = [variable.value / variable.ub for variable in block.limit_dual.values() if variable.ub > MARGIN * NOTHING]
    return max(ratios, default=0.0)
