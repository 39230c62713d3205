"""What each party would do alone at given prices, from the case's data: parks by bracketing, the supplier by its own program.

Shares nothing with the welfare problem, so that it can judge its answer and bound its cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

from dispatch.case_clearing import EnergyClearingCase, Store
from dispatch.certify import shifting_response
from dispatch.errors import SolverError
from dispatch.markets.energy_clearing_inputs import ClearingInputs, EnergyInputs

FloatArray = NDArray[np.float64]


def park_reduction(energy: EnergyInputs, i: int, price: FloatArray) -> FloatArray:
    """Reduction ``x [T]`` of park ``i`` that minimises ``sum -p x + kappa x^2 / 2`` with ``|x| <= D`` and ``sum x = 0``."""
    size, kappa = energy.shift_max_mw[i], np.full_like(price, energy.discomfort[i])
    moved, _ = shifting_response(-price, kappa * size, kappa, 2 * size, float(size.sum()))
    reduction: FloatArray = moved - size
    return reduction


def reductions(inputs: ClearingInputs, price: FloatArray) -> FloatArray:
    """Answers of all parks to prices ``[2, T]`` of electricity and heat: ``[2, I, T]``."""
    return np.array(
        [
            [park_reduction(energy, i, price[e]) for i in range(len(energy.load_mw))]
            for e, energy in enumerate(inputs.energies)
        ]
    )


def park_costs(inputs: ClearingInputs, price: FloatArray, reduction_mw: FloatArray) -> FloatArray:
    """Bills and discomfort of each park at prices ``[2, T]``, currency, ``[I]``."""
    total = np.zeros(reduction_mw.shape[1])
    for e, energy in enumerate(inputs.energies):
        x = reduction_mw[e]
        total += ((energy.load_mw - x) * price[e]).sum(axis=1) + 0.5 * energy.discomfort * (x**2).sum(axis=1)
    return np.asarray(total * inputs.step_hours)


def supplier_least_cost(case: EnergyClearingCase, inputs: ClearingInputs, demand_mw: FloatArray) -> float:
    """Least cost at which the supplier serves a demand of electricity and heat ``[2, T]``, currency."""
    program = _supplier_program(case, inputs)
    return program.least(program.cost, demand_mw)


def supplier_value(case: EnergyClearingCase, inputs: ClearingInputs, price: FloatArray) -> float:
    """Least of cost minus income over all that the supplier could produce at prices ``[2, T]``, currency."""
    program = _supplier_program(case, inputs)
    income = inputs.step_hours * (program.power.T @ price[0] + program.heat.T @ price[1])
    return program.least(program.cost - income, None)


@dataclass
class _Program:
    """``min cost x`` over bounds and equalities; ``power x`` and ``heat x`` are the supply per step."""

    steps: int
    cost: FloatArray = field(default_factory=lambda: np.zeros(0))
    lower: FloatArray = field(default_factory=lambda: np.zeros(0))
    upper: FloatArray = field(default_factory=lambda: np.zeros(0))
    columns: list[list[tuple[int, float, str]]] = field(default_factory=list)
    equalities: list[tuple[dict[int, float], float]] = field(default_factory=list)
    limits: list[dict[int, float]] = field(default_factory=list)

    def add(self, low: FloatArray, high: FloatArray, cost: FloatArray, power: float = 0.0, heat: float = 0.0) -> int:
        """One column per step; returns the first."""
        first = len(self.cost)
        self.cost = np.concatenate([self.cost, cost])
        self.lower, self.upper = np.concatenate([self.lower, low]), np.concatenate([self.upper, high])
        for t in range(self.steps):
            self.columns.append([(t, power, "power"), (t, heat, "heat")])
        return first

    def _supply(self, kind: str) -> sparse.csr_array:
        found = [(t, k, v) for k, column in enumerate(self.columns) for t, v, name in column if name == kind and v]
        t, k, v = (np.array(part) for part in zip(*found, strict=True))
        return sparse.csr_array((v.astype(float), (t, k)), shape=(self.steps, len(self.cost)))

    @property
    def power(self) -> sparse.csr_array:
        """Electricity supplied per step, ``[T, columns]``."""
        return self._supply("power")

    @property
    def heat(self) -> sparse.csr_array:
        """Heat supplied per step, ``[T, columns]``."""
        return self._supply("heat")

    def least(self, cost: FloatArray, demand_mw: FloatArray | None) -> float:
        """Optimum by SciPy; without a demand, supply is free."""
        equal, values = _rows([row for row, _ in self.equalities], len(cost)), [value for _, value in self.equalities]
        if demand_mw is not None:
            equal = sparse.vstack([equal, self.power, self.heat])
            values = [*values, *demand_mw.ravel()]
        limits = _rows(self.limits, len(cost))
        answer = linprog(
            cost,
            A_ub=limits,
            b_ub=np.zeros(limits.shape[0]),
            A_eq=equal,
            b_eq=values,
            bounds=np.column_stack([self.lower, self.upper]),
            method="highs",
        )
        if answer.status != 0:
            raise SolverError(f"the supplier alone was not solved: {answer.message}")
        return float(answer.fun)


def _rows(rows: list[dict[int, float]], width: int) -> sparse.csr_array:
    entries = [(r, k, v) for r, row in enumerate(rows) for k, v in row.items()]
    if not entries:
        return sparse.csr_array((len(rows), width))
    r, k, v = (np.array(part) for part in zip(*entries, strict=True))
    return sparse.csr_array((v.astype(float), (r, k)), shape=(len(rows), width))


def _supplier_program(case: EnergyClearingCase, inputs: ClearingInputs) -> _Program:
    steps, dt = inputs.steps, inputs.step_hours
    program, ones, zeros = _Program(steps), np.ones(steps), np.zeros(steps)
    for available in inputs.renewable_mw:
        program.add(zeros, available, zeros, power=1.0)
    exchange = case.exchange
    program.add(-exchange.sell_max_mw * ones, exchange.buy_max_mw * ones, dt * inputs.grid_price, power=1.0)
    for turbine in case.turbines:
        cost = dt * (inputs.gas_price / turbine.efficiency + turbine.maintenance_per_mwh)
        made = program.add(zeros, turbine.power_max_mw * ones, cost, power=1.0)
        used = program.add(zeros, np.inf * ones, zeros, heat=1.0)
        program.limits += [{used + t: 1.0, made + t: -turbine.heat_ratio} for t in range(steps)]
    for boiler in case.boilers:
        cost = dt * (inputs.gas_price / boiler.efficiency + boiler.maintenance_per_mwh)
        program.add(zeros, boiler.heat_max_mw * ones, cost, heat=1.0)
    for store in case.storage:
        _add_store(program, store, dt, power=1.0)
    for store in case.heat_storage:
        _add_store(program, store, dt, heat=1.0)
    most = [energy.load_mw.sum(axis=0) + energy.shift_max_mw.sum(axis=0) for energy in inputs.energies]
    program.add(zeros, most[0], dt * case.lost_load_per_mwh * ones, power=1.0)
    program.add(zeros, most[1], dt * case.lost_load_per_mwh * ones, heat=1.0)
    return program


def _add_store(program: _Program, store: Store, dt: float, power: float = 0.0, heat: float = 0.0) -> None:
    steps, ones = program.steps, np.ones(program.steps)
    gain, loss = store.charge_efficiency, 1.0 / store.discharge_efficiency
    wear = dt * store.wear_per_mwh * ones
    charge = program.add(0 * ones, store.charge_max_mw * ones, gain * wear, -power, -heat)
    discharge = program.add(0 * ones, store.discharge_max_mw * ones, loss * wear, power, heat)
    low, high = store.energy_min_mwh * ones, store.energy_max_mwh * ones
    if store.energy_end != "free":
        low[-1] = store.energy_start_mwh
        high[-1] = store.energy_start_mwh if store.energy_end == "equal" else high[-1]
    energy = program.add(low, high, 0 * ones)
    kept = 1.0 - store.self_discharge_per_hour * dt
    for t in range(steps):
        row = {energy + t: 1.0, charge + t: -gain * dt, discharge + t: loss * dt}
        if t:
            row[energy + t - 1] = -kept
        program.equalities.append((row, 0.0 if t else kept * store.energy_start_mwh))
