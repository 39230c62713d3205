"""Values of a solved ADNO model as arrays, its money, and its schedule tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import AdnoInputs
from dispatch.markets.adno_followers import CustomerDecision
from dispatch.network.feeder import Feeder
from dispatch.network.power_flow import solve_power_flow

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NetworkState:
    """Branch-flow values, p.u.: ``voltage_sq [T, bus]``; ``flow_p``, ``flow_q``, ``current_sq [T, line]``."""

    voltage_sq: FloatArray
    flow_p: FloatArray
    flow_q: FloatArray
    current_sq: FloatArray


@dataclass(frozen=True, eq=False)
class AdnoSolution:
    """Set-points of one solved model, MW and MWh; units by row, steps by column except where said.

    bought_mw, sold_mw: ``[T]``; customers: flexible demand and subsidies, ``[T, J]``; network: ``None`` without a feeder.
    """

    case: AdnoCase
    inputs: AdnoInputs
    feeder: Feeder | None
    bought_mw: FloatArray
    sold_mw: FloatArray
    import_mvar: FloatArray
    gas_mw: FloatArray
    gas_mvar: FloatArray
    gas_on: FloatArray
    charge_mw: FloatArray
    discharge_mw: FloatArray
    stored_mwh: FloatArray
    storage_mvar: FloatArray
    wind_mw: FloatArray
    wind_mvar: FloatArray
    customers: CustomerDecision
    network: NetworkState | None

    @property
    def gas_start(self) -> FloatArray:
        """1 where a unit starts, ``[I, T]``."""
        before = np.array([[float(unit.initially_on)] for unit in self.case.gas]).reshape(-1, 1)
        return np.clip(np.diff(self.gas_on, axis=1, prepend=before), 0, None)

    @property
    def loss_mw(self) -> FloatArray:
        """Losses of each line, ``[T, line]``."""
        if self.network is None or self.feeder is None:
            return np.zeros((self.inputs.steps, 0))
        loss: FloatArray = self.network.current_sq * self.feeder.r_pu * self.feeder.base_mva
        return loss

    def net_consumption(self) -> tuple[FloatArray, FloatArray]:
        """Active and reactive net consumption by bus, ``[T, bus]``, MW and Mvar."""
        feeder = self.feeder
        place = feeder.position if feeder is not None else dict.fromkeys(self._buses(), 0)
        p = np.zeros((self.inputs.steps, len(feeder.bus_ids) if feeder is not None else 1))
        q = np.zeros_like(p)
        flexible = self.customers.flexible_mw
        for j, bus in enumerate(self.inputs.customer_buses):
            p[:, place[bus]] += self.inputs.rigid_mw[:, j] + flexible[:, j]
            q[:, place[bus]] += self.inputs.rigid_mvar[:, j] + self.inputs.flexible_mvar_per_mw[:, j] * flexible[:, j]
        for s, store in enumerate(self.case.storage):
            p[:, place[store.bus]] += self.charge_mw[s] - self.discharge_mw[s]
            q[:, place[store.bus]] -= self.storage_mvar[s]
        for i, unit in enumerate(self.case.gas):
            p[:, place[unit.bus]] -= self.gas_mw[i]
            q[:, place[unit.bus]] -= self.gas_mvar[i]
        for v, farm in enumerate(self.case.wind):
            p[:, place[farm.bus]] -= self.wind_mw[v]
            q[:, place[farm.bus]] -= self.wind_mvar[v]
        return p, q

    def _buses(self) -> list[int]:
        return [*self.inputs.customer_buses, *(unit.bus for unit in self.case.units)]

    def money(self) -> dict[str, dict[str, float]]:
        """Amounts by party and item, price times quantity multiplied out; income positive, cost negative."""
        case, inputs, dt = self.case, self.inputs, self.inputs.step_hours
        flexible = self.customers.flexible_mw
        retail = float((inputs.retail_price * (inputs.rigid_mw + flexible)).sum() * dt)
        rate, lump = self.customers.subsidy_per_mwh, self.customers.lump_sum_per_hour
        subsidy = float((rate * flexible).sum() * dt + lump.sum() * dt)
        fuel = sum(unit.cost_per_mwh * self.gas_mw[i].sum() * dt for i, unit in enumerate(case.gas))
        starts = sum(unit.start_cost * self.gas_start[i].sum() for i, unit in enumerate(case.gas))
        wear = sum(
            unit.wear_per_mwh
            * dt
            * (unit.charge_efficiency * self.charge_mw[s] + self.discharge_mw[s] / unit.discharge_efficiency).sum()
            for s, unit in enumerate(case.storage)
        )
        curtailed = float((inputs.wind_mw - self.wind_mw).sum() * dt)
        operator = {
            "retail_income": retail,
            "spot_purchase": -float((inputs.spot_price * self.bought_mw).sum() * dt),
            "spot_sale": float(((inputs.spot_price - case.export.fee_per_mwh) * self.sold_mw).sum() * dt),
            "gas_fuel": -float(fuel),
            "gas_start": -float(starts),
            "subsidy": -subsidy,
            "storage_wear": -float(wear),
            "wind_curtailment": -case.curtailment_price_per_mwh * curtailed,
        }
        return {
            "operator": {item: value + 0.0 for item, value in operator.items()},
            "customers": {"bill": -retail, "subsidy": subsidy, "flexible_utility": float(self.utility().sum())},
        }

    def utility(self) -> FloatArray:
        """What flexible demand is worth to each customer over the horizon, ``[J]``, currency: ``sum a d - b d^2 / 2``."""
        inputs, d = self.inputs, self.customers.flexible_mw
        slope = np.where(np.isfinite(inputs.slope), inputs.slope, 0.0)
        worth = (inputs.surplus_at_zero + inputs.retail_price) * d - 0.5 * slope * d**2
        total: FloatArray = worth.sum(axis=0) * inputs.step_hours
        return total

    @property
    def profit(self) -> float:
        """The operator's profit, currency."""
        return float(sum(self.money()["operator"].values()))

    def customer_table(self) -> pd.DataFrame:
        """Energy and money of each customer over the horizon; surplus is utility of flexible demand less what it costs."""
        inputs, dt = self.inputs, self.inputs.step_hours
        d, decision = self.customers.flexible_mw, self.customers
        subsidy = ((decision.subsidy_per_mwh * d + decision.lump_sum_per_hour) * dt).sum(axis=0)
        return pd.DataFrame(
            {
                "customer": inputs.customer_ids,
                "bus": inputs.customer_buses,
                "rigid_mwh": inputs.rigid_mw.sum(axis=0) * dt,
                "flexible_mwh": d.sum(axis=0) * dt,
                "bill": (inputs.retail_price * (inputs.rigid_mw + d)).sum(axis=0) * dt,
                "subsidy": subsidy,
                "surplus": self.utility() - (inputs.retail_price * d).sum(axis=0) * dt + subsidy,
            }
        )

    def table(self) -> pd.DataFrame:
        """Tidy long table: ``step``, ``asset``, ``kind``, ``quantity``, ``value``."""
        parts = [
            pd.DataFrame({"step": np.arange(len(v)), "asset": a, "kind": k, "quantity": q, "value": v})
            for a, k, q, v in self._series()
        ]
        return pd.concat(parts, ignore_index=True)

    def _series(self) -> Iterator[tuple[str, str, str, FloatArray]]:
        case, inputs = self.case, self.inputs
        yield "grid", "grid", "import_mw", self.bought_mw - self.sold_mw
        yield "grid", "grid", "import_mvar", self.import_mvar
        yield "grid", "grid", "spot_price_per_mwh", inputs.spot_price
        for i, unit in enumerate(case.gas):
            yield unit.id, "gas", "power_mw", self.gas_mw[i]
            yield unit.id, "gas", "reactive_mvar", self.gas_mvar[i]
            yield unit.id, "gas", "on", self.gas_on[i]
            yield unit.id, "gas", "start", self.gas_start[i]
        for s, store in enumerate(case.storage):
            yield store.id, "storage", "charge_mw", self.charge_mw[s]
            yield store.id, "storage", "discharge_mw", self.discharge_mw[s]
            yield store.id, "storage", "energy_mwh", self.stored_mwh[s]
            yield store.id, "storage", "reactive_mvar", self.storage_mvar[s]
        for v, farm in enumerate(case.wind):
            yield farm.id, "wind", "available_mw", inputs.wind_mw[v]
            yield farm.id, "wind", "power_mw", self.wind_mw[v]
            yield farm.id, "wind", "curtailed_mw", inputs.wind_mw[v] - self.wind_mw[v]
        for j, name in enumerate(inputs.customer_ids):
            yield name, "customer", "rigid_mw", inputs.rigid_mw[:, j]
            yield name, "customer", "flexible_mw", self.customers.flexible_mw[:, j]
            yield name, "customer", "subsidy_per_mwh", self.customers.subsidy_per_mwh[:, j]
            if self.customers.lump_sum_per_hour.any():
                yield name, "customer", "lump_sum_per_hour", self.customers.lump_sum_per_hour[:, j]
            yield name, "customer", "retail_price_per_mwh", inputs.retail_price[:, j]
        if self.network is None or self.feeder is None:
            return
        for b, bus in enumerate(self.feeder.bus_ids):
            yield f"bus{bus}", "bus", "voltage_pu", np.sqrt(self.network.voltage_sq[:, b])
        loss = self.loss_mw
        for line, (start, end) in enumerate(self.feeder.line_keys):
            yield f"line{start}-{end}", "line", "flow_mw", self.network.flow_p[:, line] * self.feeder.base_mva
            yield f"line{start}-{end}", "line", "flow_mvar", self.network.flow_q[:, line] * self.feeder.base_mva
            yield f"line{start}-{end}", "line", "loss_mw", loss[:, line]


def on_ac_state(solution: AdnoSolution) -> AdnoSolution:
    """The same set-points with voltages, flows and the exchange at the root taken from their AC power flow.

    For schedules mended by linearised networks, whose last digits are not yet those of an AC state.

    Raises
    ------
    SolverError
        If no AC state carries the set-points.
    """
    feeder, network = solution.feeder, solution.case.network
    if feeder is None or network is None:
        return solution
    flow = solve_power_flow(feeder, *solution.net_consumption(), network.root_voltage_pu)
    state = NetworkState(
        voltage_sq=flow.voltage_pu**2,
        flow_p=flow.line_p_mw / feeder.base_mva,
        flow_q=flow.line_q_mvar / feeder.base_mva,
        current_sq=flow.current_pu**2,
    )
    change = flow.import_mw - (solution.bought_mw - solution.sold_mw)
    selling = solution.sold_mw > solution.bought_mw
    return replace(
        solution,
        bought_mw=solution.bought_mw + np.where(selling, 0.0, change),
        sold_mw=solution.sold_mw - np.where(selling, change, 0.0),
        import_mvar=flow.import_mvar,
        network=state,
    )


def read_solution(
    model: Any, case: AdnoCase, inputs: AdnoInputs, feeder: Feeder | None, customers: CustomerDecision
) -> AdnoSolution:
    """The values that a solver left in the model's variables; commitment is rounded to 0 or 1."""
    steps = range(inputs.steps)

    def grid(variable: Any, rows: int) -> FloatArray:
        values = [[variable[k, t].value if (k, t) in variable else 0.0 for t in steps] for k in range(rows)]
        return np.array(values, dtype=float).reshape(rows, inputs.steps)

    def line(variable: Any) -> FloatArray:
        return np.array([variable[t].value for t in steps], dtype=float)

    network, reactive = None, np.zeros(inputs.steps)
    if feeder is not None:
        block = model.network

        def over(variable: Any, keys: Any) -> FloatArray:
            return np.array(
                [[variable[(*k, t) if isinstance(k, tuple) else (k, t)].value for k in keys] for t in steps]
            )

        network = NetworkState(
            over(block.voltage_sq_pu, feeder.bus_ids),
            over(block.flow_p_pu, feeder.line_keys),
            over(block.flow_q_pu, feeder.line_keys),
            over(block.current_sq_pu, feeder.line_keys),
        )
        reactive = line(block.import_mvar)
    return AdnoSolution(
        case=case,
        inputs=inputs,
        feeder=feeder,
        bought_mw=line(model.bought_mw),
        sold_mw=line(model.sold_mw),
        import_mvar=reactive,
        gas_mw=grid(model.gas_mw, len(case.gas)),
        gas_mvar=grid(model.gas_mvar, len(case.gas)),
        gas_on=np.round(grid(model.gas_on, len(case.gas))),
        charge_mw=grid(model.charge_mw, len(case.storage)),
        discharge_mw=grid(model.discharge_mw, len(case.storage)),
        stored_mwh=grid(model.stored_mwh, len(case.storage)),
        storage_mvar=grid(model.storage_mvar, len(case.storage)),
        wind_mw=grid(model.wind_mw, len(case.wind)),
        wind_mvar=grid(model.wind_mvar, len(case.wind)),
        customers=customers,
        network=network,
    )
