"""Recourse as a linear programme: one HiGHS model, kept between realisations and re-solved from its last basis."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from dispatch.errors import SolverError
from dispatch.settlement.merit_order import ramp_limits
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets


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
    """The second stage for one plan. Columns by step: gas, charge, discharge, energy, buy, sell, curtail, shed.

    Rows: the balance of each step, storage, and ramps. Only prices, wind and load change between realisations, that is
    column costs, the bounds of curtailment, selling and shedding, and the right-hand side of the balance.
    """

    def __init__(self, assets: RecourseAssets, plan: FirstStage) -> None:
        self.assets, self.plan = assets, plan
        T, gas, stores = plan.steps, assets.gas_units, assets.storages
        self._blocks: dict[str, NDArray[np.int32]] = {}
        start = 0
        for name, rows in (("gas", gas), ("charge", stores), ("discharge", stores), ("energy", stores)):
            self._blocks[name] = np.arange(start, start + rows * T, dtype=np.int32).reshape(rows, T)
            start += rows * T
        for name in ("buy", "sell", "curtail", "shed"):
            self._blocks[name] = np.arange(start, start + T, dtype=np.int32)
            start += T
        self._columns = start
        self._model = self._build()
        self._balance = np.arange(T, dtype=np.int32)
        self._moving = np.concatenate([self._blocks[name] for name in ("sell", "curtail", "shed")])
        self._priced = np.concatenate([self._blocks["buy"], self._blocks["sell"]])

    def _build(self) -> highspy.Highs:
        assets, plan, blocks = self.assets, self.plan, self._blocks
        T, hours = plan.steps, assets.step_hours
        lower, upper = np.zeros(self._columns), np.full(self._columns, np.inf)
        cost = np.zeros(self._columns)
        lower[blocks["gas"]] = assets.gas_min_mw[:, None] * plan.commitment
        upper[blocks["gas"]] = assets.gas_max_mw[:, None] * plan.commitment
        cost[blocks["gas"]] = assets.gas_cost_per_mwh[:, None] * hours
        upper[blocks["charge"]] = upper[blocks["discharge"]] = assets.storage_power_mw[:, None]
        cost[blocks["charge"]] = (assets.storage_wear_per_mwh * assets.storage_efficiency_in)[:, None] * hours
        cost[blocks["discharge"]] = (assets.storage_wear_per_mwh / assets.storage_efficiency_out)[:, None] * hours
        lower[blocks["energy"]] = assets.storage_min_mwh[:, None]
        upper[blocks["energy"]] = assets.storage_max_mwh[:, None]
        lower[blocks["energy"][:, -1]] = np.maximum(assets.storage_min_mwh, assets.storage_end_mwh)
        cost[blocks["shed"]] = assets.shed_cost_per_mwh * hours

        starts: list[int] = [0]
        index: list[int] = []
        value: list[float] = []
        row_low: list[float] = []
        row_high: list[float] = []

        def row(terms: list[tuple[int, float]], low: float, high: float) -> None:
            index.extend(int(column) for column, _ in terms)
            value.extend(coefficient for _, coefficient in terms)
            starts.append(len(index))
            row_low.append(low)
            row_high.append(high)

        supply = (("gas", 1.0), ("discharge", 1.0), ("charge", -1.0))
        for t in range(T):
            terms = [(column, sign) for name, sign in supply for column in blocks[name][:, t]]
            terms += [(blocks["buy"][t], 1.0), (blocks["sell"][t], -1.0), (blocks["shed"][t], 1.0)]
            row([*terms, (blocks["curtail"][t], -1.0)], 0.0, 0.0)
        for s in range(assets.storages):
            for t in range(T):
                flow = [
                    (blocks["energy"][s, t], 1.0),
                    (blocks["charge"][s, t], -assets.storage_efficiency_in[s] * hours),
                    (blocks["discharge"][s, t], hours / assets.storage_efficiency_out[s]),
                ]
                before = [(blocks["energy"][s, t - 1], -1.0)] if t else []
                start = 0.0 if t else float(assets.storage_start_mwh[s])
                row(flow + before, start, start)
        up, down = ramp_limits(assets, plan)
        for i in range(assets.gas_units):
            for t in range(T):
                if not plan.commitment[i, t] and not (t and plan.commitment[i, t - 1]):
                    continue
                initial = 0.0 if t else float(assets.gas_initial_mw[i])
                before = [(blocks["gas"][i, t - 1], -1.0)] if t else []
                row([(blocks["gas"][i, t], 1.0), *before], initial - down[t, i], initial + up[t, i])

        model = highspy.Highs()
        for option, setting in (("output_flag", False), ("threads", 1), ("presolve", "off")):
            model.setOptionValue(option, setting)
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self._columns, len(row_low)
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, lower, upper
        lp.row_lower_, lp.row_upper_ = np.array(row_low), np.array(row_high)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_, lp.a_matrix_.index_ = np.array(starts), np.array(index)
        lp.a_matrix_.value_ = np.array(value)
        model.passModel(lp)
        return model

    def solve(self, days: Realisations, day: int) -> DayDispatch:
        """Optimal recourse of realisation ``day``.

        Raises ``SolverError`` if the day has none, which only a contradictory plan can cause (shedding, curtailment and
        selling make every balance feasible).
        """
        assets, plan, blocks, model = self.assets, self.plan, self._blocks, self._model
        T, hours = plan.steps, assets.step_hours
        price, wind, load = days.price_per_mwh[day], days.wind_mw[day], days.load_mw[day]
        buy, sell = assets.imbalance_prices(price)
        served = load + plan.flexible_mw
        need = served + plan.losses_mw - plan.purchase_mw - wind
        most_sold = plan.purchase_mw + wind + assets.gas_max_mw @ plan.commitment + assets.storage_power_mw.sum()
        model.changeColsCost(2 * T, self._priced, np.concatenate([buy * hours, -sell * hours]))
        top = np.concatenate([most_sold, wind, served])
        model.changeColsBounds(3 * T, self._moving, np.zeros(3 * T), top)
        model.changeRowsBounds(T, self._balance, need, need)
        model.run()
        if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise SolverError(
                f"settlement of realisation {day}: {model.modelStatusToString(model.getModelStatus())}; "
                "check the plan's commitment and storage limits"
            )
        solution = np.array(model.getSolution().col_value)
        return DayDispatch(
            **{f"{name}_mw": solution[blocks[name]] for name in ("gas", "charge", "discharge")},
            **{f"{name}_mw": solution[blocks[name]] for name in ("buy", "sell", "curtail", "shed")},
            cost=float(model.getInfo().objective_function_value),
        )
