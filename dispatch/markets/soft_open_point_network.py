"""What the network costs the operator in one step, as a convex function of what the prosumers exchange.

Given the exchanges ``P_1 .. P_N`` of a step, the operator's purchase, losses, voltages and converters are a second-order cone
program of their own; its value is convex in ``P``, and the duals of the rows that fix ``P`` are its slope (Lou et al. 2025,
doi 10.3389/fenrg.2025.1537562, Eqs. 1-17, 28-40).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import clarabel
import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_array, vstack

from dispatch.assets.soft_open_point import CONVERTER_LOSS, declare_soft_open_point
from dispatch.conic.compiled import Compiled, compile_model
from dispatch.conic.cones import Cone
from dispatch.errors import SolverError
from dispatch.markets.soft_open_point_inputs import OperatorInputs
from dispatch.network.distflow import NetworkLimits, declare_distflow

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-9
#: Converter loss above its share of the apparent power, MW, from which it counts as power burnt on paper.
BURNT_MW = 1e-6
#: Distance from it that is none, and tangents tried before the directions of the powers are held.
EXACT_MW, TURNS = 1e-9, 12
#: Upper limit on voltages that is none; soft limits stand in its place.
NO_LIMIT_PU = 2.0


@dataclass(frozen=True)
class Scenario:
    """Which parts of the objective and which devices count.

    converters: the soft open point may act. security: voltage deviation, soft limits and the loss price count.
    """

    converters: bool = True
    security: bool = True


def network_model(inputs: OperatorInputs, step: int, scenario: Scenario) -> tuple[Any, list[Cone]]:
    """The Pyomo model of one step: ``prosumer_mw[n]`` are the exchanges, the objective is weighted money over the step.

    Where the buses of converters are chosen, ``terminal[m]`` is the share of converter ``m`` that is there.

    Upper voltages are those of the lossless flows and lower ones those of the true flows, so that losses can never pay: the
    deviation of a bus is at least ``w - u_ref`` and at least ``u_ref - u`` with ``u <= w``. The paper's own form, a deviation of
    ``u`` alone, lets the relaxation burn megawatts where PV lifts the voltage.
    """
    feeder, weights = inputs.feeder, inputs.weights
    model, steps = pyo.ConcreteModel(), [step]
    count = list(range(len(inputs.buses)))
    model.prosumer_mw = pyo.Var(count)
    cones: list[Cone] = []
    sop = inputs.sop if scenario.converters else None
    model.terminal = pyo.Var(range(len(sop.buses)) if sop is not None and inputs.chooses_terminals else [])
    if sop is not None:
        cones += declare_soft_open_point(model, sop, steps, model.terminal if inputs.chooses_terminals else None)
    at_bus: dict[int, Any] = {}
    reactive: dict[int, Any] = {}
    for place, bus in enumerate(feeder.bus_ids):
        at_bus[bus] = float(inputs.feeder_mw[step, place])
        reactive[bus] = float(inputs.feeder_mvar[step, place])
    for n, bus in enumerate(inputs.buses):
        at_bus[bus] = at_bus[bus] + model.prosumer_mw[n]
    for m, bus in enumerate(sop.buses if sop is not None else ()):
        at_bus[bus] = at_bus[bus] - model.converter_mw[m, step]
        reactive[bus] = reactive[bus] - model.converter_mvar[m, step]
    model.network = pyo.Block()
    limits = NetworkLimits(inputs.root_voltage_pu, None, NO_LIMIT_PU)
    cones += declare_distflow(
        model.network, feeder, steps, lambda bus, _: at_bus[bus], lambda bus, _: reactive[bus], limits
    )
    model.bought_mw, model.sold_mw = pyo.Var(bounds=(0, None)), pyo.Var(bounds=(0, None))
    model.exchange = pyo.Constraint(expr=model.network.import_mw[step] == model.bought_mw - model.sold_mw)
    r = dict(zip(feeder.line_keys, feeder.r_pu.tolist(), strict=True))
    lost = feeder.base_mva * pyo.quicksum(
        r[key] * model.network.current_sq_pu[(*key, step)] for key in feeder.line_keys
    )
    if sop is not None:
        lost = lost + pyo.quicksum(model.converter_loss_mw.values())
    money = float(inputs.hv_buy[step]) * model.bought_mw - float(inputs.hv_sell[step]) * model.sold_mw
    if not scenario.security:
        model.cost = pyo.Objective(expr=inputs.step_hours * weights.cost * money)
        return model, cones
    others = [bus for bus in feeder.bus_ids if bus != feeder.root]
    model.deviation = pyo.Var(others, bounds=(0, None))
    model.beyond = pyo.Var(others, bounds=(0, None))
    u, w = model.network.voltage_sq_pu, model.network.lossless_voltage_sq_pu
    target, low, high = (v**2 for v in (inputs.voltage_reference_pu, inputs.voltage_min_pu, inputs.voltage_max_pu))
    model.below_target = pyo.Constraint(others, rule=lambda m, i: m.deviation[i] >= target - u[i, step])
    model.above_target = pyo.Constraint(others, rule=lambda m, i: m.deviation[i] >= w[i, step] - target)
    model.soft_low = pyo.Constraint(others, rule=lambda m, i: m.beyond[i] >= low - u[i, step])
    model.soft_high = pyo.Constraint(others, rule=lambda m, i: m.beyond[i] >= w[i, step] - high)
    model.cost = pyo.Objective(
        expr=inputs.step_hours
        * (
            weights.cost * (money + weights.loss_price_per_mwh * lost)
            + weights.voltage * weights.voltage_price_per_pu_h * pyo.quicksum(model.deviation.values())
            + weights.limit_price_per_pu_h * pyo.quicksum(model.beyond.values())
        )
    )
    return model, cones


@dataclass(frozen=True, eq=False)
class NetworkValue:
    """Value of one step at a given point, currency: ``value`` attained, ``bound`` proven, ``slope`` by entry of the point;
    ``x`` is the network's state there."""

    value: float
    bound: float
    slope: FloatArray
    x: FloatArray


class NetworkStep:
    """One step's cone program in Clarabel; only its point, exchanges and then terminals, changes between calls."""

    def __init__(self, inputs: OperatorInputs, step: int, scenario: Scenario) -> None:
        self.step = step
        self.model, cones = network_model(inputs, step, scenario)
        self.compiled = compiled = compile_model(self.model, cones)
        given = [*self.model.prosumer_mw.values(), *self.model.terminal.values()]
        self._count = len(given)
        self._scale = max(float(inputs.hv_buy.max()) * inputs.step_hours, 1e-9)
        columns = np.array([compiled.place[id(variable)] for variable in given])
        self._matrix, self._limits, self._kinds = _rows(compiled, columns)
        self._solver = self._built(self._matrix, self._limits, self._kinds)
        self._share = inputs.sop.loss_share if inputs.sop is not None else 0.0
        model, count = self.model, len(inputs.sop.buses) if inputs.sop is not None and scenario.converters else 0
        variables = [(model.converter_mw, model.converter_mvar, model.converter_loss_mw) for _ in range(count)]
        self._converters = np.array(
            [[compiled.place[id(kind[m, step])] for kind in variables[m]] for m in range(count)], dtype=int
        ).reshape(count, 3)

    def _built(self, matrix: csr_array, limits: FloatArray, kinds: list[Any]) -> Any:
        settings = clarabel.DefaultSettings()
        settings.verbose, settings.presolve_enable, settings.max_threads = False, False, 1
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = TOLERANCE
        size = self.compiled.size
        quad, cost = csc_matrix((size, size)), self.compiled.cost / self._scale
        return clarabel.DefaultSolver(quad, cost, csc_matrix(matrix), limits, kinds, settings)

    def value(self, point: FloatArray) -> NetworkValue:
        """Cost of the step at exchanges ``[N]``, MW, followed by the terminals ``[M]`` where they are chosen.

        Raises
        ------
        SolverError
            If no state of the network carries them.
        """
        limits = self._limits.copy()
        limits[: self._count] = point
        self._solver.update(b=limits)
        answer = self._solver.solve()
        if not _solved(answer):
            raise SolverError(f"step {self.step}: the network cannot carry exchanges {point} ({answer.status})")
        scale, offset = self._scale, self.compiled.offset
        return NetworkValue(
            value=float(answer.obj_val) * scale + offset,
            bound=float(answer.obj_val_dual) * scale + offset,
            slope=-np.asarray(answer.z[: self._count]) * scale,
            x=np.asarray(answer.x),
        )

    def physical(self, point: FloatArray) -> NetworkValue:
        """As :meth:`value`, but a state that can be: no converter loses more than its share of what passes through it.

        Where voltages are too high a converter that burnt power would help, and the loss's cone lets it. Then each loss is held
        to its tangent at the last powers, which is the loss itself in their direction, until the powers turn no more; the value
        rises, the bound stays.
        """
        found = self.value(point)
        state = found.x
        if self._burnt(state) <= BURNT_MW:
            return found
        for turn in range(TURNS):
            answer = self._with_tangent_losses(point, state, parallel=turn == TURNS - 1)
            if not _solved(answer):
                return found  # the certificate names what is burnt
            state = np.asarray(answer.x)
            if self._burnt(state) <= EXACT_MW:
                break
        value = float(answer.obj_val) * self._scale + self.compiled.offset
        return NetworkValue(value, found.bound, found.slope, state)

    def _burnt(self, state: FloatArray) -> float:
        """Largest distance of a converter's loss from its share of the apparent power, MW."""
        p, q, loss = state[self._converters].T
        return float(np.abs(loss - self._share * np.hypot(p, q)).max(initial=0.0))

    def _with_tangent_losses(self, point: FloatArray, state: FloatArray, parallel: bool) -> Any:
        """Clarabel's answer with losses linear along the powers of ``state``; ``parallel``: no power may leave its direction."""
        p, q, _ = state[self._converters].T
        size = np.hypot(p, q)
        along = np.where(size > BURNT_MW, np.stack([p, q]) / np.maximum(size, BURNT_MW), np.eye(2)[:, :1])
        count, limits = len(size), self._limits.copy()
        limits[: self._count] = point
        rows = np.zeros((3 * count if parallel else count, self.compiled.size))
        for m, (at_p, at_q, at_loss) in enumerate(self._converters):
            rows[m, [at_p, at_q, at_loss]] = *(-self._share * along[:, m]), 1.0
            if parallel:
                rows[count + m, [at_p, at_q]] = along[1, m], -along[0, m]
                rows[2 * count + m, [at_p, at_q]] = -along[:, m]
        cones = self.compiled.cones
        of_losses = [k for k, name in enumerate(cones.names) if name.startswith(CONVERTER_LOSS)]
        limits[len(limits) - int(cones.sizes.sum()) + cones.starts[of_losses]] += 1.0  # else no interior would be left
        equal = 2 * count if parallel else count
        kinds = [*self._kinds, clarabel.ZeroConeT(equal), clarabel.NonnegativeConeT(len(rows) - equal)]
        matrix = vstack([self._matrix, csr_array(rows)])
        return self._built(matrix, np.concatenate([limits, np.zeros(len(rows))]), kinds).solve()


def _solved(answer: Any) -> bool:
    return str(answer.status) in ("Solved", "AlmostSolved")


def network_points(exchange: FloatArray, terminals: FloatArray) -> FloatArray:
    """What each step's network is asked for, ``[T, N + M]``, from exchanges ``[N, T]`` and terminals ``[M]`` (or none)."""
    return np.hstack([exchange.T, np.tile(terminals, (exchange.shape[1], 1))])


def network_values(steps: list[NetworkStep], exchange: FloatArray, terminals: FloatArray) -> tuple[NetworkValue, ...]:
    """Value of every step in a state that can be; see :func:`network_points` and :meth:`NetworkStep.physical`."""
    return tuple(step.physical(point) for step, point in zip(steps, network_points(exchange, terminals), strict=True))


def _rows(compiled: Compiled, fixed: NDArray[np.int64]) -> tuple[csr_array, FloatArray, list[Any]]:
    """``A x + s = b``: the rows that fix columns ``fixed``, equalities, inequalities and bounds, cones."""
    identity = csr_array(np.eye(compiled.size))
    equal = compiled.row_lower == compiled.row_upper
    below, above = ~equal & np.isfinite(compiled.row_upper), ~equal & np.isfinite(compiled.row_lower)
    closed = compiled.lower == compiled.upper
    top, floor = ~closed & np.isfinite(compiled.upper), ~closed & np.isfinite(compiled.lower)
    parts = [
        (identity[fixed], np.zeros(len(fixed))),
        (compiled.matrix[equal], compiled.row_upper[equal]),
        (identity[closed], compiled.upper[closed]),
        (compiled.matrix[below], compiled.row_upper[below]),
        (-compiled.matrix[above], -compiled.row_lower[above]),
        (identity[top], compiled.upper[top]),
        (-identity[floor], -compiled.lower[floor]),
        (-compiled.cones.H, compiled.cones.h),
    ]
    zeros = len(fixed) + int(equal.sum() + closed.sum())
    inequalities = int(below.sum() + above.sum() + top.sum() + floor.sum())
    kinds: list[Any] = [clarabel.ZeroConeT(zeros), clarabel.NonnegativeConeT(inequalities)]
    kinds += [clarabel.SecondOrderConeT(int(size)) for size in compiled.cones.sizes]
    return vstack([block for block, _ in parts], format="csr"), np.concatenate([b for _, b in parts]), kinds


@dataclass(frozen=True, eq=False)
class NetworkPlan:
    """State of the network over all steps. Voltages and currents squared, p.u., ``[T, bus]`` and ``[T, line]``; power of the grid
    above ``[T]`` and of converters ``[M, T]`` in MW and Mvar; ``deviation`` and ``beyond`` of the squared voltage, ``[T]``, p.u.
    """

    voltage_sq: FloatArray
    flow_p: FloatArray
    flow_q: FloatArray
    current_sq: FloatArray
    bought_mw: FloatArray
    sold_mw: FloatArray
    converter_mw: FloatArray
    converter_mvar: FloatArray
    converter_loss_mw: FloatArray
    deviation: FloatArray
    beyond: FloatArray


def read_network(steps: list[NetworkStep], values: tuple[NetworkValue, ...], inputs: OperatorInputs) -> NetworkPlan:
    """The state at which the values of all steps were found."""
    feeder, rows = inputs.feeder, []
    for step, value in zip(steps, values, strict=True):
        step.compiled.load(value.x)
        model, net, t = step.model, step.model.network, step.step
        converters = range(len(inputs.sop.buses)) if inputs.sop is not None and hasattr(model, "converter_mw") else ()
        rows.append(
            (
                [net.voltage_sq_pu[i, t].value for i in feeder.bus_ids],
                [net.flow_p_pu[(*line, t)].value for line in feeder.line_keys],
                [net.flow_q_pu[(*line, t)].value for line in feeder.line_keys],
                [net.current_sq_pu[(*line, t)].value for line in feeder.line_keys],
                max(net.import_mw[t].value, 0.0),
                max(-net.import_mw[t].value, 0.0),
                [model.converter_mw[m, t].value for m in converters],
                [model.converter_mvar[m, t].value for m in converters],
                [model.converter_loss_mw[m, t].value for m in converters],
                sum(v.value for v in model.deviation.values()) if hasattr(model, "deviation") else 0.0,
                sum(v.value for v in model.beyond.values()) if hasattr(model, "beyond") else 0.0,
            )
        )
    columns = [np.array(column, dtype=float) for column in zip(*rows, strict=True)]
    return NetworkPlan(*columns[:6], *(column.T for column in columns[6:9]), *columns[9:])
