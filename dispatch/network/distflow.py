"""Branch-flow (DistFlow) model of a radial feeder on a Pyomo block, relaxed to second-order cones.

Power in the variables is per unit on the feeder's base; ``import_mw`` and ``import_mvar`` carry natural units.
Voltages and currents are squared magnitudes, per unit.

Sources: M. Farivar and S. H. Low, "Branch flow model: relaxations and convexification", IEEE Trans. Power Systems
28(3), 2013 (Eqs 1-4 and the relaxation); Shi et al., Energies 2023, 16(11), 4507, Eqs 19-22. Four misprints of the
latter are set right here: the nodal power called injected is consumed; the upper voltage limit in Eq. 20 carries "min";
``u`` in Eq. 21 is the squared voltage; the factor in Eq. 22 is the squared voltage of the sending bus.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression, MonomialTermExpression

from dispatch.conic.cones import Affine, RotatedCone, VarData
from dispatch.infeasibility import describe
from dispatch.network.feeder import Feeder

Step: TypeAlias = Any
#: Net consumption by bus and step: a mapping keyed ``(bus, step)``, absent keys being zero, or a function of both.
NetPower: TypeAlias = Mapping[tuple[int, Step], Affine] | Callable[[int, Step], Affine]


@dataclass(frozen=True)
class NetworkLimits:
    """Limits of a feeder's operation.

    root_voltage_pu: fixed magnitude at the substation.
    min_voltage_pu, max_voltage_pu: limits of every other bus; None leaves a side free.
    lindistflow_upper: carry lossless voltages above the true ones and put the upper limit on them. Without it an
        over-voltage can be "cured" by fictitious losses and the relaxation is not physical. Costs at most the gap
        between the two voltages in conservatism.
    """

    root_voltage_pu: float = 1.0
    min_voltage_pu: float | None = 0.95
    max_voltage_pu: float | None = 1.05
    lindistflow_upper: bool = True


@dataclass(frozen=True)
class DistFlow:
    """What a block declared by :func:`declare_distflow` models; found at ``block.distflow``."""

    feeder: Feeder
    steps: tuple[Step, ...]
    limits: NetworkLimits
    step_name: str = "step"


def declare_distflow(
    block: Any,
    feeder: Feeder,
    steps: Sequence[Step],
    p_net_mw: NetPower,
    q_net_mvar: NetPower,
    limits: NetworkLimits | None = None,
    step_name: str = "step",
) -> list[RotatedCone]:
    """Add the relaxed branch-flow model of a feeder to a block and return its cones.

    Variables, with lines as (sending, receiving) bus: ``flow_p_pu``, ``flow_q_pu`` (sending end) and ``current_sq_pu``
    over (sending, receiving, step); ``voltage_sq_pu`` over (bus, step); ``import_mw``, ``import_mvar`` over step, the
    exchange with the grid above the root, free in sign (bound them to forbid export); with ``lindistflow_upper`` also
    ``lossless_p_pu``, ``lossless_q_pu`` and ``lossless_voltage_sq_pu``.

    Parameters
    ----------
    block: a Pyomo block or model of its own for this network.
    feeder: radial network.
    steps: index of the time steps, in any hashable form.
    p_net_mw, q_net_mvar: net consumption (load plus charging minus generation) at each bus, the root included; numbers
        or affine Pyomo expressions.
    limits: voltage limits and root voltage.
    step_name: what a step is called in messages, such as ``hour``.

    Returns
    -------
    One cone ``P^2 + Q^2 <= l u`` per line and step, to be passed to :func:`dispatch.solver.solve`.
    """
    limits = limits or NetworkLimits()
    block.distflow = DistFlow(feeder, tuple(steps), limits, step_name)
    p_net, q_net = _per_unit(p_net_mw, feeder), _per_unit(q_net_mvar, feeder)
    declare_var_flow(block, feeder, steps)
    declare_var_current(block, feeder, steps, step_name)
    declare_var_voltage(block, feeder, steps, limits, step_name)
    declare_var_import(block, steps)
    declare_eq_power_balance(block, feeder, steps, p_net, q_net)
    declare_eq_voltage_drop(block, feeder, steps)
    declare_eq_import(block, feeder, steps, p_net, q_net)
    if limits.lindistflow_upper and limits.max_voltage_pu is not None:
        declare_lindistflow_upper(block, feeder, steps, p_net, q_net, limits)
    return cones_of_lines(block, feeder, steps)


def declare_var_flow(block: Any, feeder: Feeder, steps: Sequence[Step]) -> None:
    """``flow_p_pu``, ``flow_q_pu``: power into each line at its sending end, p.u."""
    block.flow_p_pu = pyo.Var(feeder.line_keys, list(steps))
    block.flow_q_pu = pyo.Var(feeder.line_keys, list(steps))


def declare_var_current(block: Any, feeder: Feeder, steps: Sequence[Step], step_name: str = "step") -> None:
    """``current_sq_pu``: squared current of each line, between zero and the square of its limit."""
    top = {
        key: None if math.isinf(amps) else amps**2
        for key, amps in zip(feeder.line_keys, feeder.current_limit_pu, strict=True)
    }
    block.current_sq_pu = pyo.Var(feeder.line_keys, list(steps), bounds=lambda _, i, j, t: (0.0, top[i, j]))
    describe(block.current_sq_pu, _current_text(feeder, top, step_name))


def declare_var_voltage(
    block: Any, feeder: Feeder, steps: Sequence[Step], limits: NetworkLimits, step_name: str = "step"
) -> None:
    """``voltage_sq_pu``: squared voltage of each bus (Shi et al. 2023, Eq. 20); fixed at the root by its bounds.

    With ``lindistflow_upper`` the upper limit stays here as well: it is implied and helps the relaxation.
    """
    root = limits.root_voltage_pu**2
    low = 0.0 if limits.min_voltage_pu is None else limits.min_voltage_pu**2
    high = None if limits.max_voltage_pu is None else limits.max_voltage_pu**2
    span = {bus: (root, root) if bus == feeder.root else (low, high) for bus in feeder.bus_ids}
    block.voltage_sq_pu = pyo.Var(feeder.bus_ids, list(steps), bounds=lambda _, i, t: span[i])
    describe(block.voltage_sq_pu, _voltage_text(limits, step_name))


def declare_var_import(block: Any, steps: Sequence[Step]) -> None:
    """``import_mw``, ``import_mvar``: exchange with the grid above the root, export negative."""
    block.import_mw = pyo.Var(list(steps))
    block.import_mvar = pyo.Var(list(steps))


def declare_eq_power_balance(
    block: Any, feeder: Feeder, steps: Sequence[Step], p_net: NetPower, q_net: NetPower
) -> None:
    """``P_ij - r l_ij - sum_k P_jk = P_j`` and alike for ``Q``, p.u. (Farivar and Low 2013, Eq. 1; Shi et al. 2023, Eq. 19)."""
    _declare_balance(block, "eq_p_balance", feeder, steps, p_net, block.flow_p_pu, feeder.r_pu)
    _declare_balance(block, "eq_q_balance", feeder, steps, q_net, block.flow_q_pu, feeder.x_pu)


def declare_eq_voltage_drop(block: Any, feeder: Feeder, steps: Sequence[Step]) -> None:
    """``u_j = u_i - 2 (r P + x Q) + (r^2 + x^2) l``, p.u. (Farivar and Low 2013, Eq. 2; Shi et al. 2023, Eq. 21)."""
    factors = _impedances(feeder)
    u, p, q, current = block.voltage_sq_pu, block.flow_p_pu, block.flow_q_pu, block.current_sq_pu

    def drop(_: Any, i: int, j: int, t: Step) -> Any:
        r, x = factors[i, j]
        coefs = [1.0, -1.0, 2.0 * r, 2.0 * x, -(r * r + x * x)]
        return _linear(coefs, [u[j, t], u[i, t], p[i, j, t], q[i, j, t], current[i, j, t]]) == 0.0

    block.eq_voltage_drop = pyo.Constraint(feeder.line_keys, list(steps), rule=drop)


def declare_eq_import(block: Any, feeder: Feeder, steps: Sequence[Step], p_net: NetPower, q_net: NetPower) -> None:
    """Exchange at the root: what leaves it on its lines plus what is consumed there, MW and Mvar."""
    kids, base = feeder.children[feeder.root], feeder.base_mva

    def exchange(flow: Any, taken: Any, net: NetPower) -> Callable[[Any, Step], Any]:
        def rule(_: Any, t: Step) -> Any:
            lines = [flow[feeder.root, k, t] for k in kids]
            out = _linear([1.0 / base, *[-1.0] * len(lines)], [taken[t], *lines])
            return out - _at(net, feeder.root, t) == 0.0

        return rule

    block.eq_import_p = pyo.Constraint(list(steps), rule=exchange(block.flow_p_pu, block.import_mw, p_net))
    block.eq_import_q = pyo.Constraint(list(steps), rule=exchange(block.flow_q_pu, block.import_mvar, q_net))


def declare_lindistflow_upper(
    block: Any, feeder: Feeder, steps: Sequence[Step], p_net: NetPower, q_net: NetPower, limits: NetworkLimits
) -> None:
    """Lossless voltages ``w_j = w_i - 2 (r P_lin + x Q_lin)`` with ``u <= w <= max_voltage_pu^2``.

    ``w`` bounds the true squared voltage from above (Farivar and Low 2013, Lemma on the linearised flow), and no loss
    enters it, so the upper limit cannot be met by inventing losses. Not in Shi et al. 2023.
    """
    factors, root = _impedances(feeder), limits.root_voltage_pu**2
    high = None if limits.max_voltage_pu is None else limits.max_voltage_pu**2
    span = {bus: (root, root) if bus == feeder.root else (None, high) for bus in feeder.bus_ids}
    block.lossless_p_pu = pyo.Var(feeder.line_keys, list(steps))
    block.lossless_q_pu = pyo.Var(feeder.line_keys, list(steps))
    block.lossless_voltage_sq_pu = pyo.Var(feeder.bus_ids, list(steps), bounds=lambda _, i, t: span[i])
    describe(block.lossless_voltage_sq_pu, _voltage_text(limits, block.distflow.step_name))
    _declare_balance(block, "eq_lossless_p", feeder, steps, p_net, block.lossless_p_pu)
    _declare_balance(block, "eq_lossless_q", feeder, steps, q_net, block.lossless_q_pu)
    w, p, q = block.lossless_voltage_sq_pu, block.lossless_p_pu, block.lossless_q_pu

    def drop(_: Any, i: int, j: int, t: Step) -> Any:
        r, x = factors[i, j]
        return _linear([1.0, -1.0, 2.0 * r, 2.0 * x], [w[j, t], w[i, t], p[i, j, t], q[i, j, t]]) == 0.0

    block.eq_lossless_voltage = pyo.Constraint(feeder.line_keys, list(steps), rule=drop)


def cones_of_lines(block: Any, feeder: Feeder, steps: Sequence[Step]) -> list[RotatedCone]:
    """``P^2 + Q^2 <= l u_i`` for every line and step (Farivar and Low 2013, relaxed Eq. 3; Shi et al. 2023, Eq. 22)."""
    p, q, current, u = block.flow_p_pu, block.flow_q_pu, block.current_sq_pu, block.voltage_sq_pu
    return [
        RotatedCone(f"line {i}-{j}, {t}", p[i, j, t], q[i, j, t], (current[i, j, t], u[i, t]))
        for i, j in feeder.line_keys
        for t in steps
    ]


def cone_gaps(cones: Sequence[RotatedCone]) -> list[float]:
    """``l u - P^2 - Q^2`` of each cone at the variables' present values, p.u."""
    return [
        pyo.value(cone.product[0]) * pyo.value(cone.product[1]) - pyo.value(cone.p) ** 2 - pyo.value(cone.q) ** 2
        for cone in cones
    ]


def _declare_balance(
    block: Any, name: str, feeder: Feeder, steps: Sequence[Step], net: NetPower, flow: Any, loss: Any = None
) -> None:
    """``flow into j - loss * l - flows out of j = net consumption at j``, without losses if ``loss`` is None."""
    lost = dict(zip(feeder.line_keys, loss, strict=True)) if loss is not None else {}

    def balance(_: Any, i: int, j: int, t: Step) -> Any:
        terms: list[VarData] = [flow[i, j, t], *(flow[j, k, t] for k in feeder.children[j])]
        coefs = [1.0, *[-1.0] * len(feeder.children[j])]
        if lost:
            terms.append(block.current_sq_pu[i, j, t])
            coefs.append(-lost[i, j])
        taken = _at(net, j, t)
        if isinstance(taken, (int, float)):
            return _linear(coefs, terms) == taken
        return _linear(coefs, terms) - taken == 0.0

    block.add_component(name, pyo.Constraint(feeder.line_keys, list(steps), rule=balance))


def _linear(coefs: Sequence[float], variables: Sequence[VarData]) -> Any:
    return LinearExpression([MonomialTermExpression(pair) for pair in zip(coefs, variables, strict=True)])


def _impedances(feeder: Feeder) -> dict[tuple[int, int], tuple[float, float]]:
    pairs = zip(feeder.r_pu.tolist(), feeder.x_pu.tolist(), strict=True)
    return dict(zip(feeder.line_keys, pairs, strict=True))


def _per_unit(net: NetPower, feeder: Feeder) -> NetPower:
    if feeder.base_mva == 1.0:
        return net
    return lambda bus, step: _at(net, bus, step) / feeder.base_mva


def _at(net: NetPower, bus: int, step: Step) -> Affine:
    if isinstance(net, Mapping):
        return net.get((bus, step), 0.0)
    return net(bus, step)


def _current_text(
    feeder: Feeder, top: Mapping[tuple[int, int], float | None], step_name: str
) -> Callable[[tuple[Any, ...], float], str]:
    def text(at: tuple[Any, ...], by: float) -> str:
        limit = 1e3 * feeder.base_ka * math.sqrt(top[at[0], at[1]] or 0.0)
        needed = math.hypot(limit, 1e3 * feeder.base_ka * math.sqrt(max(by, 0.0)))
        return f"line {at[0]}-{at[1]}, {step_name} {at[2]}: current {needed:.1f} A, above its limit of {limit:.1f} A"

    return text


def _voltage_text(limits: NetworkLimits, step_name: str) -> Callable[[tuple[Any, ...], float], str]:
    low, high = limits.min_voltage_pu, limits.max_voltage_pu

    def text(at: tuple[Any, ...], by: float) -> str:
        side, limit = ("below", low) if by < 0 else ("above", high)
        if limit is None:
            return f"bus {at[0]}, {step_name} {at[1]}: squared voltage out of its bounds by {abs(by):.4g} p.u."
        miss = abs(limit - math.sqrt(max(limit**2 + by, 0.0)))
        return f"bus {at[0]}, {step_name} {at[1]}: voltage {side} {limit:g} p.u. by {miss:.3f}"

    return text
