"""The market's welfare problem as one compiled program: with parks free a convex quadratic one, with parks fixed a linear one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.case_clearing import EnergyClearingCase
from dispatch.conic.compiled import Compiled, compile_model
from dispatch.errors import SolverError
from dispatch.markets.energy_clearing_inputs import ClearingInputs
from dispatch.markets.energy_clearing_supplier import declare_supplier

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClearingPoint:
    """An optimum: reductions ``[2, I, T]`` (electricity, heat), balance duals ``[2, T]`` in currency per MWh, costs.

    x: values of all columns. supplier_cost: without parks' discomfort.
    """

    x: FloatArray
    reduction_mw: FloatArray
    price: FloatArray
    supplier_cost: float


class ClearingProgram:
    """The welfare problem of a case, built once and solved many times (Wu et al. 2024, with the parks' discomfort added)::

        min  supplier's cost + sum_t dt [kappa_e x^2 / 2 + kappa_h w^2 / 2]
        power_t + sum_i x_it = sum_i L_it          (lambda_e: price of electricity)
        heat_t  + sum_i w_it = sum_i H_it          (lambda_h: price of heat)
        -D <= x <= D,  sum_t x_it = 0,  alike for w;  x > 0 is load reduced

    All parties' problems are convex, so that at prices ``lambda`` the optimality conditions of this problem are those of
    each party alone: it is the equilibrium, and the best that any market operator who maximises welfare can do.
    """

    def __init__(self, case: EnergyClearingCase, inputs: ClearingInputs) -> None:
        self.case, self.inputs = case, inputs
        self.model = clearing_model(case, inputs)
        self.compiled: Compiled = compile_model(self.model)
        parks, times = range(len(case.parks)), range(inputs.steps)
        place, blocks = self.compiled.place, (self.model.reduction_mw, self.model.heat_reduction_mw)
        self.columns = np.array([[[place[id(b[i, t])] for t in times] for i in parks] for b in blocks])
        row = {id(constraint): k for k, constraint in enumerate(self.compiled.sources)}
        balances = (self.model.power_balance, self.model.heat_balance)
        self.rows = np.array([[row[id(balance[t])] for t in times] for balance in balances])
        discomfort = [np.repeat(e.discomfort[:, None], inputs.steps, axis=1) for e in inputs.energies]
        self.hessian = np.zeros(self.compiled.size)
        self.hessian[self.columns] = np.array(discomfort) * inputs.step_hours
        self._linear, self._quadratic = self._solver(), None

    def welfare(self) -> ClearingPoint:
        """The equilibrium: least cost with parks free to move their loads."""
        if self._quadratic is None:
            self._quadratic = self._solver(quadratic=True)
        return self._run(self._quadratic)

    def serve(self, reduction_mw: FloatArray) -> ClearingPoint:
        """The supplier's least cost and marginal costs at given reductions ``[2, I, T]``."""
        columns, values = self.columns.ravel().astype(np.int32), np.ascontiguousarray(reduction_mw, dtype=float).ravel()
        self._linear.changeColsBounds(len(columns), columns, values, values)
        return self._run(self._linear)

    def discomfort(self, reduction_mw: FloatArray) -> float:
        """Parks' discomfort of given reductions ``[2, I, T]``, currency."""
        return 0.5 * float((self.hessian[self.columns] * reduction_mw**2).sum())

    def demand(self, reduction_mw: FloatArray) -> FloatArray:
        """What all parks take together at given reductions, ``[2, T]``, MW."""
        load = np.array([energy.load_mw.sum(axis=0) for energy in self.inputs.energies])
        taken: FloatArray = load - reduction_mw.sum(axis=1)
        return taken

    def _run(self, highs: Any) -> ClearingPoint:
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise SolverError(
                f"case {self.case.name}: the market was not cleared: HiGHS reports "
                f"{highs.modelStatusToString(highs.getModelStatus())}"
            )
        solution = highs.getSolution()
        x = np.array(solution.col_value)
        price = np.array(solution.row_dual)[self.rows] / self.inputs.step_hours
        cost = float(self.compiled.cost @ x) + self.compiled.offset
        return ClearingPoint(x, x[self.columns], price, cost)

    def _solver(self, quadratic: bool = False) -> Any:
        compiled, highs = self.compiled, highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = compiled.size, compiled.matrix.shape[0]
        lp.col_cost_, lp.offset_ = compiled.cost, compiled.offset
        lp.col_lower_, lp.col_upper_ = compiled.lower, compiled.upper
        lp.row_lower_, lp.row_upper_ = compiled.row_lower, compiled.row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = compiled.matrix.indptr.astype(np.int32)
        lp.a_matrix_.index_ = compiled.matrix.indices.astype(np.int32)
        lp.a_matrix_.value_ = compiled.matrix.data
        highs.passModel(lp)
        if quadratic:
            used = np.flatnonzero(self.hessian)
            hessian = highspy.HighsHessian()
            hessian.dim_, hessian.format_ = compiled.size, highspy.HessianFormat.kTriangular
            hessian.start_ = np.searchsorted(used, np.arange(compiled.size + 1)).astype(np.int32)
            hessian.index_, hessian.value_ = used.astype(np.int32), self.hessian[used]
            highs.passHessian(hessian)
        return highs


def clearing_model(case: EnergyClearingCase, inputs: ClearingInputs) -> pyo.ConcreteModel:
    """The linear part of the welfare problem on Pyomo; see :class:`ClearingProgram`."""
    model = pyo.ConcreteModel(name=f"energy clearing {case.name}")
    parks, times = list(range(len(case.parks))), list(range(inputs.steps))
    declare_supplier(model, case, inputs)
    for name, energy in (("reduction", inputs.electricity), ("heat_reduction", inputs.heat)):
        size = energy.shift_max_mw.tolist()
        variable = pyo.Var(parks, times, bounds=lambda _, i, t, size=size: (-size[i][t], size[i][t]))
        setattr(model, f"{name}_mw", variable)
        setattr(
            model,
            f"{name}_total",
            pyo.Constraint(parks, rule=lambda _, i, v=variable: pyo.quicksum(v[i, t] for t in times) == 0.0),
        )
    power, heat = (energy.load_mw.sum(axis=0).tolist() for energy in inputs.energies)
    model.power_balance = pyo.Constraint(
        times,
        rule=lambda m, t: m.power_supply[t] + pyo.quicksum(m.reduction_mw[i, t] for i in parks) == power[t],
    )
    model.heat_balance = pyo.Constraint(
        times,
        rule=lambda m, t: m.heat_supply[t] + pyo.quicksum(m.heat_reduction_mw[i, t] for i in parks) == heat[t],
    )
    model.total_cost = pyo.Objective(expr=pyo.quicksum(model.cost[t] for t in times))
    return model
