"""The ADNO's units and customers on its feeder: net consumption by bus, and the network model around it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pyomo.environ as pyo

from dispatch.assets.flexible_load import linear_sum
from dispatch.case_adno import AdnoCase
from dispatch.case_adno_checks import lossless_squared_voltage, net_consumption
from dispatch.case_inputs import AdnoInputs
from dispatch.conic.cones import Cone
from dispatch.network.distflow import NetworkLimits, declare_distflow
from dispatch.network.feeder import Feeder

Terms = list[tuple[float, Any]]


class NetPower:
    """Net consumption of every bus and step as flat affine expressions: load plus charging minus generation."""

    def __init__(self, model: Any, case: AdnoCase, inputs: AdnoInputs) -> None:
        self.steps = inputs.steps
        self.fixed_mw: dict[tuple[int, int], float] = defaultdict(float)
        self.fixed_mvar: dict[tuple[int, int], float] = defaultdict(float)
        self.terms_mw: dict[tuple[int, int], Terms] = defaultdict(list)
        self.terms_mvar: dict[tuple[int, int], Terms] = defaultdict(list)
        rigid_mw, rigid_mvar = inputs.rigid_mw.tolist(), inputs.rigid_mvar.tolist()
        ratio = inputs.flexible_mvar_per_mw.tolist()
        for t in range(inputs.steps):
            for j, bus in enumerate(inputs.customer_buses):
                self.fixed_mw[bus, t] += rigid_mw[t][j]
                self.fixed_mvar[bus, t] += rigid_mvar[t][j]
                self.terms_mw[bus, t].append((1.0, model.flexible_mw[j, t]))
                if ratio[t][j]:
                    self.terms_mvar[bus, t].append((ratio[t][j], model.flexible_mw[j, t]))
            for s, store in enumerate(case.storage):
                self.terms_mw[store.bus, t].append((1.0, model.net_charge_mw[s, t]))
                if (s, t) in model.storage_mvar:
                    self.terms_mvar[store.bus, t].append((-1.0, model.storage_mvar[s, t]))
            for i, unit in enumerate(case.gas):
                self.terms_mw[unit.bus, t].append((-1.0, model.gas_mw[i, t]))
                if (i, t) in model.gas_mvar:
                    self.terms_mvar[unit.bus, t].append((-1.0, model.gas_mvar[i, t]))
            for v, farm in enumerate(case.wind):
                self.terms_mw[farm.bus, t].append((-1.0, model.wind_mw[v, t]))
                if (v, t) in model.wind_mvar:
                    self.terms_mvar[farm.bus, t].append((-1.0, model.wind_mvar[v, t]))

    def active(self, bus: int, step: int) -> Any:
        """MW consumed at a bus."""
        return _affine(self.fixed_mw.get((bus, step), 0.0), self.terms_mw.get((bus, step)))

    def reactive(self, bus: int, step: int) -> Any:
        """Mvar consumed at a bus."""
        return _affine(self.fixed_mvar.get((bus, step), 0.0), self.terms_mvar.get((bus, step)))


def declare_network(model: Any, case: AdnoCase, inputs: AdnoInputs, feeder: Feeder | None, net: NetPower) -> list[Cone]:
    """``model.network`` with ``import_mw[t]``: the relaxed branch-flow model, or one lossless node without a feeder.

    Balances are nodal and with losses. The paper adds a lossless balance of the whole network (Eq. 23e); together with
    Eqs. 19-22 it forces every current to zero, so it is left out.
    """
    model.network = pyo.Block()
    times = list(range(inputs.steps))
    if feeder is None or case.network is None:
        buses = sorted({bus for bus, _ in (*net.fixed_mw, *net.terms_mw)})
        model.network.import_mw = pyo.Var(times)
        model.network.balance = pyo.Constraint(
            times, rule=lambda m, t: m.import_mw[t] - sum(net.active(bus, t) for bus in buses) == 0.0
        )
        return []
    limits = NetworkLimits(
        root_voltage_pu=case.network.root_voltage_pu,
        min_voltage_pu=case.network.voltage_min_pu,
        max_voltage_pu=case.network.voltage_max_pu,
        lindistflow_upper=over_voltage_possible(case, inputs, feeder),
    )
    return list(declare_distflow(model.network, feeder, times, net.active, net.reactive, limits))


def over_voltage_possible(case: AdnoCase, inputs: AdnoInputs, feeder: Feeder) -> bool:
    """Whether full local generation at the least load could lift any bus above its limit, losses left out."""
    assert case.network is not None
    p, q = net_consumption(inputs, feeder, np.zeros_like(inputs.rigid_mw))
    for gas in case.gas:
        p[:, feeder.position[gas.bus]] -= gas.power_max_mw
    for store in case.storage:
        p[:, feeder.position[store.bus]] -= store.discharge_max_mw
    for v, farm in enumerate(case.wind):
        p[:, feeder.position[farm.bus]] -= inputs.wind_mw[v]
    for unit in case.units:
        q[:, feeder.position[unit.bus]] -= unit.reactive_max_mvar
    squared = lossless_squared_voltage(feeder, p, q, case.network.root_voltage_pu)
    return bool(squared.max() > case.network.voltage_max_pu**2)


def _affine(constant: float, terms: Terms | None) -> Any:
    if not terms:
        return constant
    return linear_sum([c for c, _ in terms], [v for _, v in terms], constant)
