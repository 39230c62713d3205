"""Prices, prosumers' plans and the network of a solved soft open point case; money and the schedule's tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.assets.price_taker_response import PriceTakerPlan
from dispatch.case_soft_open_point import SoftOpenPointCase
from dispatch.markets.soft_open_point_inputs import OperatorInputs
from dispatch.markets.soft_open_point_network import NetworkPlan, Scenario

FloatArray = NDArray[np.float64]

#: A voltage further than this outside its limits is over the limit, p.u.
VOLTAGE_TOLERANCE_PU = 1e-5


@dataclass(frozen=True, eq=False)
class SoftOpenPointSolution:
    """``buy``, ``sell``: prices offered, ``[T]``, currency/MWh (the same series under a single price).

    terminals: ``[M]``, 1 where a converter is, if that was a choice; else empty.
    """

    case: SoftOpenPointCase
    inputs: OperatorInputs
    scenario: Scenario
    buy: FloatArray
    sell: FloatArray
    plans: tuple[PriceTakerPlan, ...]
    terminals: FloatArray
    network: NetworkPlan

    @property
    def exchange(self) -> FloatArray:
        """What each prosumer takes, ``[N, T]``, MW."""
        return np.stack([plan.exchange for plan in self.plans])

    @property
    def bills(self) -> FloatArray:
        """What each prosumer pays, ``[N]``, currency."""
        return np.array([plan.bill(self.buy, self.sell, self.inputs.step_hours) for plan in self.plans])

    @property
    def converter_buses(self) -> dict[int, int]:
        """Place of each converter that there is, and its bus."""
        sop = self.inputs.sop
        if sop is None or not self.network.converter_mw.size:
            return {}
        here = self.terminals if self.terminals.size else np.ones(len(sop.buses))
        return {m: bus for m, bus in enumerate(sop.buses) if here[m] > 0.5}

    @property
    def line_loss_mw(self) -> FloatArray:
        """Losses of each line, ``[T, line]``."""
        loss: FloatArray = self.network.current_sq * self.inputs.feeder.r_pu * self.inputs.feeder.base_mva
        return loss

    @property
    def converter_loss_mw(self) -> FloatArray:
        """Losses of all converters, ``[T]``."""
        loss: FloatArray = (
            self.network.converter_loss_mw.sum(axis=0)
            if self.network.converter_mw.size
            else np.zeros(self.inputs.steps)
        )
        return loss

    def objective_items(self) -> dict[str, float]:
        """The operator's objective by item, weighted, currency (Lou et al. 2025, Eq. 1 with prices for voltages)."""
        inputs, weights, dt, net = self.inputs, self.inputs.weights, self.inputs.step_hours, self.network
        purchase = float((inputs.hv_buy * net.bought_mw).sum() * dt)
        sale = float((inputs.hv_sell * net.sold_mw).sum() * dt)
        secure = 1.0 if self.scenario.security else 0.0
        lost = float((self.line_loss_mw.sum(axis=1) + self.converter_loss_mw).sum() * dt)
        return {
            "grid_purchase": weights.cost * purchase,
            "grid_sale": -weights.cost * sale,
            "paid_by_prosumers": -weights.cost * float(self.bills.sum()),
            "price_of_losses": secure * weights.cost * weights.loss_price_per_mwh * lost,
            "voltage_deviation": weights.voltage * weights.voltage_price_per_pu_h * float(net.deviation.sum() * dt),
            "voltage_limits": weights.limit_price_per_pu_h * float(net.beyond.sum() * dt),
        }

    @property
    def objective(self) -> float:
        """Sum of the objective's items."""
        return float(sum(self.objective_items().values()))

    def money(self) -> dict[str, dict[str, float]]:
        """Amounts by party and item, price times exchange multiplied out; income positive, cost negative."""
        inputs, dt, net = self.inputs, self.inputs.step_hours, self.network
        parties = {
            "operator": {
                "paid_by_prosumers": float(self.bills.sum()),
                "grid_sale": float((inputs.hv_sell * net.sold_mw).sum() * dt),
                "grid_purchase": -float((inputs.hv_buy * net.bought_mw).sum() * dt),
            }
        }
        for prosumer, plan in zip(inputs.prosumers, self.plans, strict=True):
            taken, given = np.clip(plan.exchange, 0, None), np.clip(-plan.exchange, 0, None)
            own = plan.own_cost(prosumer)
            parties[prosumer.name] = {
                "purchase": -float((self.buy * taken).sum() * dt),
                "sale": float((self.sell * given).sum() * dt),
                "battery_wear": -own["battery_wear"],
                "discomfort": -own["discomfort"],
            }
        return {party: {item: value + 0.0 for item, value in items.items()} for party, items in parties.items()}

    def voltage_table(self) -> pd.DataFrame:
        """Voltages of all buses and steps, and the share of bus-hours outside the limits (the paper's over-limit rate)."""
        voltage = np.sqrt(self.network.voltage_sq)
        low, high = self.inputs.voltage_min_pu - VOLTAGE_TOLERANCE_PU, self.inputs.voltage_max_pu + VOLTAGE_TOLERANCE_PU
        outside = (voltage < low) | (voltage > high)
        return pd.DataFrame(
            {
                "lowest_pu": [voltage.min()],
                "highest_pu": [voltage.max()],
                "mean_deviation_pu": [np.abs(voltage - self.inputs.voltage_reference_pu).mean()],
                "over_limit_share": [outside.mean()],
                "line_losses_mwh": [self.line_loss_mw.sum() * self.inputs.step_hours],
                "converter_losses_mwh": [self.converter_loss_mw.sum() * self.inputs.step_hours],
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
        inputs, net = self.inputs, self.network
        yield "offered" if (self.buy == self.sell).all() else "buy", "price", "price_per_mwh", self.buy
        if (self.buy != self.sell).any():
            yield "sell", "price", "price_per_mwh", self.sell
        yield "grid purchase", "price", "price_per_mwh", inputs.hv_buy
        yield "grid sale", "price", "price_per_mwh", inputs.hv_sell
        yield "grid", "grid", "import_mw", net.bought_mw - net.sold_mw
        yield "feeder", "customer", "rigid_mw", inputs.feeder_mw.sum(axis=1)
        for prosumer, plan in zip(inputs.prosumers, self.plans, strict=True):
            yield prosumer.name, "prosumer", "exchange_mw", plan.exchange
            yield prosumer.name, "customer", "rigid_mw", prosumer.load
            yield prosumer.name, "pv", "power_mw", prosumer.available
            held = iter(plan.content)
            for reservoir, flows in zip(prosumer.reservoirs, plan.flows, strict=True):
                if reservoir.bounded:
                    yield prosumer.name, "storage", "discharge_mw", flows[0]
                    yield prosumer.name, "storage", "charge_mw", flows[1]
                    yield prosumer.name, "storage", "energy_mwh", next(held)
                else:
                    yield prosumer.name, "customer", "flexible_mw", flows[0]
        for m, bus in self.converter_buses.items():
            yield f"converter{bus}", "converter", "power_mw", net.converter_mw[m]
            yield f"converter{bus}", "converter", "reactive_mvar", net.converter_mvar[m]
            yield f"converter{bus}", "converter", "loss_mw", net.converter_loss_mw[m]
        for b, bus in enumerate(inputs.feeder.bus_ids):
            yield f"bus{bus}", "bus", "voltage_pu", np.sqrt(net.voltage_sq[:, b])
        for line, (start, end) in enumerate(inputs.feeder.line_keys):
            yield f"line{start}-{end}", "line", "flow_mw", net.flow_p[:, line] * inputs.feeder.base_mva
            yield f"line{start}-{end}", "line", "flow_mvar", net.flow_q[:, line] * inputs.feeder.base_mva
            yield f"line{start}-{end}", "line", "loss_mw", self.line_loss_mw[:, line]

    def net_consumption(self) -> tuple[FloatArray, FloatArray]:
        """Active and reactive net consumption by bus with the converters as injections, ``[T, bus]``, MW and Mvar."""
        inputs = self.inputs
        p, q = inputs.feeder_mw.copy(), inputs.feeder_mvar.copy()
        for plan, bus in zip(self.plans, inputs.buses, strict=True):
            p[:, inputs.feeder.position[bus]] += plan.exchange
        for m, bus in self.converter_buses.items():
            p[:, inputs.feeder.position[bus]] -= self.network.converter_mw[m]
            q[:, inputs.feeder.position[bus]] -= self.network.converter_mvar[m]
        return p, q
