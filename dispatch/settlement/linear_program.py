"""Recourse as a linear programme: one HiGHS model, kept between plans and realisations and re-solved from its last basis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import SolverError
from dispatch.settlement.merit_order import ramp_limits
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets
from dispatch.settlement.sparse_model import HAS_SOLUTION, MIP_SECONDS, SparseModel, run

#: Charging and discharging in one step above this is undone by binaries, MW.
BOTH_WAYS_MW = 1e-7


@dataclass(frozen=True, eq=False)
class DayDispatch:
    """Optimal recourse of one realisation: gas ``[I, T]``, storage ``[S, T]``, the rest ``[T]``, all in MW."""

    gas_mw: FloatArray
    charge_mw: FloatArray
    discharge_mw: FloatArray
    buy_mw: FloatArray
    sell_mw: FloatArray
    curtail_mw: FloatArray
    shed_mw: FloatArray
    cost: float


class RecourseProgram:
    """The second stage. Columns: gas, charge, discharge, energy, buy, sell, curtail, shed by step.

    Rows: the balance of each step, storage, and ramps. Between solves only bounds, the costs of buying, selling and
    shedding, and the right-hand side of the balance change.

    A step in which a store charges and discharges at once burns energy. That pays only where energy has a negative value;
    a day on which it happens is solved once more with a binary for each store and step.
    """

    def __init__(self, assets: RecourseAssets, steps: int) -> None:
        self.assets, self.steps = assets, steps
        self._relaxed = _Columns(assets, steps, exclusive=False)
        self._exclusive: _Columns | None = None
        self._lossy = assets.storage_efficiency_in * assets.storage_efficiency_out < 1

    def solve(self, plan: FirstStage, days: Realisations, day: int) -> DayDispatch:
        """Optimal recourse of realisation ``day`` under its plan.

        Raises ``SolverError`` if the day has none, which only a contradictory plan can cause (shedding, curtailment and
        selling make every balance feasible).
        """
        plan = plan.take(day)
        found = self._relaxed.solve(plan, days, day)
        both = np.minimum(found.charge_mw, found.discharge_mw)[self._lossy]
        if both.max(initial=0.0) <= BOTH_WAYS_MW:
            return found
        if self._exclusive is None:
            self._exclusive = _Columns(self.assets, self.steps, exclusive=True)
        return self._exclusive.solve(plan, days, day)


class _Columns:
    """The model behind ``RecourseProgram``, with or without the binaries."""

    def __init__(self, assets: RecourseAssets, steps: int, exclusive: bool) -> None:
        self.assets, T = assets, steps
        model = SparseModel()
        hours, gas = assets.step_hours, assets.gas_units
        self.gas = model.columns((gas, T), cost=assets.gas_cost_per_mwh[:, None] * hours)
        self.charge, self.discharge, self.energy = add_storage(model, assets, T, exclusive=exclusive)
        self.buy, self.sell, self.shed = (model.columns((T,)) for _ in range(3))
        self.curtail = model.columns((T,), cost=assets.curtailment_cost_per_mwh * hours)
        self.balance = model.rows((T,), 0.0, 0.0)
        for columns, sign in ((self.gas, 1.0), (self.discharge, 1.0), (self.charge, -1.0)):
            model.terms(np.broadcast_to(self.balance, columns.shape), columns, sign)
        for columns, sign in ((self.buy, 1.0), (self.sell, -1.0), (self.shed, 1.0), (self.curtail, -1.0)):
            model.terms(self.balance, columns, sign)
        self.ramp = model.rows((gas, T), -np.inf, np.inf)
        model.terms(self.ramp, self.gas, 1.0)
        model.terms(self.ramp[:, 1:], self.gas[:, :-1], -1.0)
        self.model = model.build_exclusive(exclusive=exclusive)
        self._seconds = MIP_SECONDS if exclusive else None
        self._priced = np.concatenate([self.buy, self.sell, self.shed]).astype(np.int32)
        self._moving = np.concatenate([self.gas.ravel(), self.buy, self.sell, self.curtail, self.shed]).astype(np.int32)
        self._rows = np.concatenate([self.balance, self.ramp.ravel()]).astype(np.int32)

    def solve(self, plan: FirstStage, days: Realisations, day: int) -> DayDispatch:
        assets, model, hours = self.assets, self.model, self.assets.step_hours
        price, wind, load = days.price_per_mwh[day], days.wind_mw[day], days.load_mw[day]
        buy, sell = assets.imbalance_prices(price)
        served = load + plan.flexible_mw
        need = served + plan.losses_mw + assets.loss_share * load - plan.purchase_mw - wind
        most_sold = plan.purchase_mw + wind + assets.gas_max_mw @ plan.commitment + assets.storage_discharge_mw.sum()
        most_bought = np.clip(assets.import_max_mw - plan.purchase_mw, 0.0, None)
        lost = assets.shed_cost_per_mwh + plan.income_per_mwh
        up, down = ramp_limits(assets, plan)
        before = np.zeros((assets.gas_units, plan.steps))
        before[:, 0] = assets.gas_initial_mw
        low = [assets.gas_min_mw[:, None] * plan.commitment, np.zeros(4 * plan.steps)]
        top = [assets.gas_max_mw[:, None] * plan.commitment, most_bought, np.clip(most_sold, 0.0, None), wind, served]
        model.changeColsCost(len(self._priced), self._priced, np.concatenate([buy, -sell, lost]) * hours)
        model.changeColsBounds(len(self._moving), self._moving, _flat(low), _flat(top))
        model.changeRowsBounds(
            len(self._rows), self._rows, _flat([need, before - down.T]), _flat([need, before + up.T])
        )
        run(model, self._seconds)
        if model.getInfo().primal_solution_status != HAS_SOLUTION:
            raise SolverError(
                f"settlement of realisation {day}: {model.modelStatusToString(model.getModelStatus())}; "
                "check the plan's commitment and storage limits"
            )
        solution = np.array(model.getSolution().col_value)
        names = ("gas", "charge", "discharge", "buy", "sell", "curtail", "shed")
        return DayDispatch(
            **{f"{name}_mw": solution[getattr(self, name)] for name in names},
            cost=float(model.getInfo().objective_function_value),
        )


def add_storage(
    model: SparseModel, assets: RecourseAssets, steps: int, weight: float = 1.0, *, exclusive: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Charge, discharge and energy of every store, ``[S, T]`` each, with their balance; wear costs ``weight`` times.

    ``exclusive`` forbids charging and discharging in one step by binaries.
    """
    shape, hours = (assets.storages, steps), assets.step_hours
    inward, outward = assets.storage_efficiency_in[:, None], assets.storage_efficiency_out[:, None]
    wear = assets.storage_wear_per_mwh[:, None] * hours * weight
    most_in, most_out = assets.storage_charge_mw[:, None], assets.storage_discharge_mw[:, None]
    low = np.repeat(assets.storage_min_mwh[:, None], steps, axis=1)
    top = np.repeat(assets.storage_max_mwh[:, None], steps, axis=1)
    low[:, -1] = np.maximum(low[:, -1], assets.storage_end_min_mwh)
    top[:, -1] = np.minimum(top[:, -1], assets.storage_end_max_mwh)
    charge = model.columns(shape, upper=most_in, cost=wear * inward)
    discharge = model.columns(shape, upper=most_out, cost=wear / outward)
    energy = model.columns(shape, lower=low, upper=top)
    kept = 1.0 - assets.storage_loss_per_step
    start = np.zeros(shape)
    start[:, 0] = kept * assets.storage_start_mwh
    balance = model.rows(shape, start, start)
    model.terms(balance, energy, 1.0)
    model.terms(balance[:, 1:], energy[:, :-1], -kept[:, None])
    model.terms(balance, charge, -inward * hours)
    model.terms(balance, discharge, hours / outward)
    if exclusive:
        charging = model.columns(shape, upper=1.0, integer=True)
        only_in, only_out = model.rows(shape, -np.inf, 0.0), model.rows(shape, -np.inf, most_out)
        model.terms(only_in, charge, 1.0)
        model.terms(only_in, charging, -most_in)
        model.terms(only_out, discharge, 1.0)
        model.terms(only_out, charging, most_out)
    return charge, discharge, energy


def _flat(parts: list[FloatArray]) -> FloatArray:
    return np.concatenate([np.ravel(part) for part in parts])
