"""Values of a cleared electricity and heat market as arrays, its money by party, and its schedule tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.case_clearing import EnergyClearingCase
from dispatch.markets.energy_clearing_inputs import ClearingInputs, EnergyInputs
from dispatch.markets.energy_clearing_program import ClearingPoint, ClearingProgram

FloatArray = NDArray[np.float64]
ENERGIES = ("electricity", "heat")
#: Both ends of a price this close, currency per MWh, are one price.
UNIQUE = 1e-3


@dataclass(frozen=True, eq=False)
class StoreValues:
    """Charge, discharge and stored energy of stores, ``[S, T]``, MW and MWh."""

    charge_mw: FloatArray
    discharge_mw: FloatArray
    stored_mwh: FloatArray


@dataclass(frozen=True, eq=False)
class ClearingSolution:
    """A cleared market; power in MW, units by row, steps by column.

    price: ``[2, T]`` offered to parks, electricity and heat; reduction_mw: ``[2, I, T]``, what parks take less than their load.
    price_low, price_high: both ends of the cleared price, where they were sought; in the table only if they differ.
    """

    case: EnergyClearingCase
    inputs: ClearingInputs
    price: FloatArray
    reduction_mw: FloatArray
    exchange_mw: FloatArray
    renewable_mw: FloatArray
    turbine_mw: FloatArray
    recovered_heat_mw: FloatArray
    boiler_heat_mw: FloatArray
    unserved_mw: FloatArray
    storage: StoreValues
    heat_storage: StoreValues
    price_low: FloatArray | None = field(default=None)
    price_high: FloatArray | None = field(default=None)

    @property
    def demand_mw(self) -> FloatArray:
        """What each park takes of electricity and heat, ``[2, I, T]``."""
        return np.array([energy.load_mw for energy in self.inputs.energies]) - self.reduction_mw

    @property
    def posted_price(self) -> FloatArray:
        """Prices clipped to the bid bands, ``[2, T]``."""
        return np.array([np.clip(self.price[e], g.floor, g.ceiling) for e, g in enumerate(self.inputs.energies)])

    def discomfort(self) -> FloatArray:
        """Discomfort of each park, currency, ``[I]``."""
        dt = self.inputs.step_hours
        parts = [
            0.5 * dt * energy.discomfort * (self.reduction_mw[e] ** 2).sum(axis=1)
            for e, energy in enumerate(self.inputs.energies)
        ]
        total: FloatArray = np.sum(parts, axis=0)
        return total

    def supplier_costs(self) -> dict[str, float]:
        """What the supplier pays outside the market, by item, currency."""
        case, inputs, dt = self.case, self.inputs, self.inputs.step_hours
        fuel = [float(inputs.gas_price @ self.turbine_mw[k]) / u.efficiency for k, u in enumerate(case.turbines)]
        fuel += [float(inputs.gas_price @ self.boiler_heat_mw[k]) / u.efficiency for k, u in enumerate(case.boilers)]
        upkeep = [u.maintenance_per_mwh * self.turbine_mw[k].sum() for k, u in enumerate(case.turbines)]
        upkeep += [u.maintenance_per_mwh * self.boiler_heat_mw[k].sum() for k, u in enumerate(case.boilers)]
        wear = [
            unit.wear_per_mwh
            * float((unit.charge_efficiency * v.charge_mw[s] + v.discharge_mw[s] / unit.discharge_efficiency).sum())
            for units, v in ((case.storage, self.storage), (case.heat_storage, self.heat_storage))
            for s, unit in enumerate(units)
        ]
        amounts = {
            "grid_exchange": float(inputs.grid_price @ self.exchange_mw),
            "gas": sum(fuel),
            "maintenance": float(sum(upkeep)),
            "storage_wear": sum(wear),
        }
        return {item: dt * amount for item, amount in amounts.items()}

    def lost_load(self) -> float:
        """What unserved load costs the parks, currency."""
        return float(self.case.lost_load_per_mwh * self.unserved_mw.sum() * self.inputs.step_hours)

    def cost(self) -> float:
        """Cost of the whole market, free of prices: supply, discomfort and lost load, currency."""
        return sum(self.supplier_costs().values()) + float(self.discomfort().sum()) + self.lost_load()

    def money(self) -> dict[str, dict[str, float]]:
        """Amounts by party and item; income positive, cost negative. Payments between parties cancel in the whole market."""
        costs, dt = self.supplier_costs(), self.inputs.step_hours
        income = dt * np.einsum("et,eit->ei", self.price, self.demand_mw)
        program = dt * np.array(
            [g.program * np.clip(self.reduction_mw[e], 0, None).sum(axis=1) for e, g in enumerate(self.inputs.energies)]
        )
        share = self._load_share()
        supplier = {
            "electricity_sale": float(income[0].sum()),
            "heat_sale": float(income[1].sum()),
            **{item: -amount for item, amount in costs.items()},
            "reduction_program": -float(program.sum()),
        }
        parties = {"supplier": supplier}
        for i, park in enumerate(self.case.parks):
            parties[park.id] = {
                "electricity_bill": -float(income[0, i]),
                "heat_bill": -float(income[1, i]),
                "discomfort": -float(self.discomfort()[i]),
                "reduction_program": float(program[:, i].sum()),
                "lost_load": -self.lost_load() * float(share[i]),
            }
        whole = {**{item: -amount for item, amount in costs.items()}, "discomfort": -float(self.discomfort().sum())}
        parties["whole_market"] = {**whole, "lost_load": -self.lost_load()}
        return {party: {item: value + 0.0 for item, value in items.items()} for party, items in parties.items()}

    def surplus(self) -> dict[str, float]:
        """Cost, profit and surplus, currency; the parks' bids are the ceilings of the bid bands."""
        money = self.money()
        bids = sum(g.ceiling * float(self.demand_mw[e].sum()) for e, g in enumerate(self.inputs.energies))
        parks = sum(sum(money[park.id].values()) for park in self.case.parks)
        supplier = sum(money["supplier"].values())
        consumers = bids * self.inputs.step_hours + parks
        return {
            "cost": self.cost(),
            "supplier_profit": supplier,
            "parks_cost": -parks,
            "consumer_surplus": consumers,
            "social_surplus": supplier + consumers,
        }

    def _load_share(self) -> FloatArray:
        load = np.sum([energy.load_mw.sum(axis=1) for energy in self.inputs.energies], axis=0)
        return np.asarray(load / load.sum())

    def table(self) -> pd.DataFrame:
        """Tidy long table: ``step``, ``asset``, ``kind``, ``quantity``, ``value``."""
        parts = [
            pd.DataFrame({"step": np.arange(len(v)), "asset": a, "kind": k, "quantity": q, "value": v})
            for a, k, q, v in self._series()
        ]
        return pd.concat(parts, ignore_index=True)

    def _series(self) -> Iterator[tuple[str, str, str, FloatArray]]:
        case, inputs = self.case, self.inputs
        yield "grid", "grid", "import_mw", self.exchange_mw
        yield "grid", "grid", "spot_price_per_mwh", inputs.grid_price
        for e, name in enumerate(ENERGIES):
            yield name, "price", "price_per_mwh", self.price[e]
        for e, name in enumerate(ENERGIES):
            yield name, "price", "posted_price_per_mwh", self.posted_price[e]
        for e, (name, energy) in enumerate(zip(ENERGIES, inputs.energies, strict=True)):
            yield name, "price", "retail_price_per_mwh", energy.retail_price
            if (
                self.price_low is not None
                and self.price_high is not None
                and not _same(self.price_low, self.price_high)
            ):
                yield name, "price", "lowest_price_per_mwh", self.price_low[e]
                yield name, "price", "highest_price_per_mwh", self.price_high[e]
        for k, turbine in enumerate(case.turbines):
            yield turbine.id, "gas", "power_mw", self.turbine_mw[k]
            yield turbine.id, "heat", "heat_mw", self.recovered_heat_mw[k]
        for k, boiler in enumerate(case.boilers):
            yield boiler.id, "heat", "heat_mw", self.boiler_heat_mw[k]
        for u, name in enumerate(inputs.renewable_ids):
            kind = "wind" if u < len(case.wind) else "pv"
            yield name, kind, "power_mw", self.renewable_mw[u]
            yield name, kind, "available_mw", inputs.renewable_mw[u]
            yield name, kind, "curtailed_mw", inputs.renewable_mw[u] - self.renewable_mw[u]
        for kind, units, values in (
            ("storage", case.storage, self.storage),
            ("heat_storage", case.heat_storage, self.heat_storage),
        ):
            for s, unit in enumerate(units):
                yield unit.id, kind, "charge_mw", values.charge_mw[s]
                yield unit.id, kind, "discharge_mw", values.discharge_mw[s]
                yield unit.id, kind, "energy_mwh", values.stored_mwh[s]
        for i, park in enumerate(case.parks):
            yield from self._park_series(i, park.id)
        for e, name in enumerate(ENERGIES):
            yield name, "lost load", "unserved_mw", self.unserved_mw[e]

    def _park_series(self, i: int, park: str) -> Iterator[tuple[str, str, str, FloatArray]]:
        for e, name in enumerate(ENERGIES):
            yield park, "park", f"{name}_load_mw", self.inputs.energies[e].load_mw[i]
            yield park, "park", f"{name}_demand_mw", self.demand_mw[e, i]
            yield park, "park", f"{name}_reduction_mw", self.reduction_mw[e, i]


def _same(low: FloatArray, high: FloatArray) -> bool:
    return bool((high - low < UNIQUE).all())


def read_solution(
    program: ClearingProgram,
    point: ClearingPoint,
    price: FloatArray,
    reduction_mw: FloatArray,
    ends: tuple[FloatArray, FloatArray] | None = None,
) -> ClearingSolution:
    """A point of the program as arrays, at given prices ``[2, T]`` and reductions ``[2, I, T]``."""
    case, inputs, model = program.case, program.inputs, program.model
    program.compiled.load(point.x)
    times = range(inputs.steps)

    def grid(variable: Any, rows: int) -> FloatArray:
        values = [[variable[k, t].value for t in times] for k in range(rows)]
        return np.array(values, dtype=float).reshape(rows, inputs.steps)

    def line(variable: Any) -> FloatArray:
        return np.array([variable[t].value for t in times], dtype=float)

    def stores(block: Any, count: int) -> StoreValues:
        return StoreValues(*(grid(v, count) for v in (block.charge_mw, block.discharge_mw, block.stored_mwh)))

    return ClearingSolution(
        case=case,
        inputs=inputs,
        price=price,
        reduction_mw=reduction_mw,
        exchange_mw=line(model.exchange_mw),
        renewable_mw=grid(model.wind_mw, len(inputs.renewable_ids)),
        turbine_mw=grid(model.turbine_mw, len(case.turbines)),
        recovered_heat_mw=grid(model.recovered_heat_mw, len(case.turbines)),
        boiler_heat_mw=grid(model.boiler_heat_mw, len(case.boilers)),
        unserved_mw=np.array([line(model.unserved_mw), line(model.unserved_heat_mw)]),
        storage=stores(model, len(case.storage)),
        heat_storage=stores(model.heat_store, len(case.heat_storage)),
        price_low=None if ends is None else ends[0],
        price_high=None if ends is None else ends[1],
    )


def price_table(energy: EnergyInputs, name: str, low: FloatArray, high: FloatArray) -> pd.DataFrame:
    """Steps whose cleared price is not unique or lies outside the bid band: a row each."""
    width = high - low
    outside = (low < energy.floor - 1e-6) | (high > energy.ceiling + 1e-6)
    steps = np.flatnonzero((width > UNIQUE) | outside)
    return pd.DataFrame(
        {
            "energy": name,
            "step": steps,
            "lowest_per_mwh": low[steps],
            "highest_per_mwh": high[steps],
            "outside_band": outside[steps],
        }
    )
