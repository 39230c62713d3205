"""A day of unit commitment, storage, wind and flexible load on a feeder: the model on which solver speed is measured.

The structure is that of Shi et al., Energies 2023, 16(11), 4507, with individual subsidies reduced to a concave benefit of
flexible demand, built directly in Pyomo so that the solver can be timed without any market code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyomo.environ as pyo

from dispatch.conic.cones import Cone, QuadraticEpigraph
from dispatch.network.distflow import NetworkLimits, declare_distflow
from dispatch.network.feeder import Feeder

SPOT = np.array(
    [58, 52, 50, 51, 54, 58, 66, 74, 82, 98, 106, 108, 104, 100, 98, 100, 104, 106, 100, 92, 84, 76, 68, 62], float
)
LOAD_SHAPE = np.array(
    [
        0.55,
        0.52,
        0.5,
        0.5,
        0.52,
        0.56,
        0.64,
        0.72,
        0.8,
        0.9,
        0.95,
        0.97,
        0.95,
        0.93,
        0.92,
        0.93,
        0.95,
        0.98,
        1.0,
        0.97,
        0.9,
        0.8,
        0.7,
        0.6,
    ]
)
WIND_SHAPE = np.array(
    [
        0.78,
        0.8,
        0.82,
        0.8,
        0.76,
        0.7,
        0.62,
        0.54,
        0.46,
        0.38,
        0.32,
        0.28,
        0.27,
        0.28,
        0.3,
        0.33,
        0.38,
        0.45,
        0.52,
        0.58,
        0.64,
        0.69,
        0.73,
        0.76,
    ]
)
RETAIL, GAS_COST, START_COST, WEAR, EFFICIENCY = 150.0, 91.0, 20.0, 2.0, 0.95


@dataclass(frozen=True)
class Situation:
    """What distinguishes one benchmark day from another; arrays hold one value per step."""

    name: str
    spot: npt.NDArray[np.float64]
    load_scale: float = 1.0
    wind_mw: float = 0.5
    storage_mwh: float = 0.15
    root_voltage_pu: float = 1.05
    min_voltage_pu: float = 0.95


def situations(seed: int = 7) -> list[Situation]:
    """Base, half price, heavy load with a binding voltage limit, volatile, and negative prices."""
    rng = np.random.default_rng(seed)
    volatile = np.clip(SPOT + rng.normal(0.0, 45.0, SPOT.size), 5.0, None)
    negative = SPOT.copy()
    negative[[2, 3, 12, 13, 14]] = [-25.0, -40.0, -10.0, -60.0, -35.0]
    return [
        Situation("base", SPOT),
        Situation("half price", SPOT / 2.0),
        Situation("heavy load", SPOT, load_scale=1.22),
        Situation("volatile", volatile, storage_mwh=3.0, wind_mw=2.0),
        Situation("negative", negative, storage_mwh=3.0, wind_mw=2.0),
    ]


def dispatch_model(feeder: Feeder, situation: Situation, steps: int = 24) -> tuple[pyo.ConcreteModel, list[Cone]]:
    """A maximisation with three units (72 binaries in 24 steps), two storages, three wind sites and one cone per line."""
    hours = 24.0 / steps
    at = (np.arange(steps) * hours).astype(int)
    spot, wind = situation.spot[at], situation.wind_mw / 3.0 * WIND_SHAPE[at]
    load = situation.load_scale * LOAD_SHAPE[at]
    ids = [bus for bus in feeder.bus_ids if bus != feeder.root]
    pick = {kind: [ids[int(share * (len(ids) - 1))] for share in shares] for kind, shares in _SITES.items()}
    model = pyo.ConcreteModel()
    T = list(range(steps))
    _declare_units(model, pick["gas"], T, hours)
    _declare_storage(model, pick["storage"], T, hours, situation.storage_mwh)
    model.spilled_mw = pyo.Var(pick["wind"], T, bounds=lambda _, b, t: (0.0, float(wind[t])))
    flexible = [bus for bus in ids if feeder.load_mw[feeder.position[bus]] > 0]
    nominal = {bus: float(feeder.load_mw[feeder.position[bus]]) for bus in ids}
    model.flexible_mw = pyo.Var(
        flexible, T, bounds=lambda _, b, t: (0.08 * nominal[b] * load[t], 0.25 * nominal[b] * load[t])
    )
    model.network = pyo.Block()
    p_net = {(bus, t): nominal[bus] * float(load[t]) for bus in ids for t in T}
    q_net = {(bus, t): float(feeder.load_mvar[feeder.position[bus]]) * float(load[t]) for bus in ids for t in T}
    for t in T:
        for bus in flexible:
            p_net[bus, t] += model.flexible_mw[bus, t]
        for bus in pick["gas"]:
            p_net[bus, t] -= model.unit_mw[bus, t]
        for bus in pick["storage"]:
            p_net[bus, t] += model.net_charge_mw[bus, t]
        for bus in pick["wind"]:
            p_net[bus, t] += model.spilled_mw[bus, t] - float(wind[t])
    limits = NetworkLimits(root_voltage_pu=situation.root_voltage_pu, min_voltage_pu=situation.min_voltage_pu)
    cones: list[Cone] = [*declare_distflow(model.network, feeder, T, p_net, q_net, limits)]
    for t in T:
        model.network.import_mw[t].setlb(0.0)
    model.discomfort = pyo.Var(T, bounds=(0, None))
    for t in T:
        weights = tuple((20.0 / (0.17 * nominal[bus] * float(load[t])), model.flexible_mw[bus, t]) for bus in flexible)
        cones.append(QuadraticEpigraph(f"subsidy, step {t}", weights, model.discomfort[t]))
    utility = {(b, t): 20.0 * 0.08 / 0.17 for b in flexible for t in T}
    model.profit = pyo.Objective(
        sense=pyo.maximize,
        expr=hours * pyo.quicksum((RETAIL + utility[b, t]) * model.flexible_mw[b, t] for b in flexible for t in T)
        - hours * pyo.quicksum(model.discomfort[t] + float(spot[t]) * model.network.import_mw[t] for t in T)
        - pyo.quicksum(
            hours * GAS_COST * model.unit_mw[b, t] + START_COST * model.start[b, t] for b in pick["gas"] for t in T
        )
        - hours
        * WEAR
        * pyo.quicksum(
            EFFICIENCY * model.charge_mw[b, t] + model.discharge_mw[b, t] / EFFICIENCY
            for b in pick["storage"]
            for t in T
        ),
    )
    return model, cones


_SITES = {"gas": (0.25, 0.69, 0.78), "storage": (0.0, 0.12), "wind": (0.09, 0.28, 0.59)}


def _declare_units(model: pyo.ConcreteModel, buses: list[int], T: list[int], hours: float) -> None:
    size, least, ramp = 0.2, 0.06, 0.1 * max(hours, 0.25)
    model.on = pyo.Var(buses, T, domain=pyo.Binary)
    model.start = pyo.Var(buses, T, bounds=(0, 1))
    model.unit_mw = pyo.Var(buses, T, bounds=(0, size))
    model.unit_least = pyo.Constraint(buses, T, rule=lambda m, b, t: m.unit_mw[b, t] >= least * m.on[b, t])
    model.unit_most = pyo.Constraint(buses, T, rule=lambda m, b, t: m.unit_mw[b, t] <= size * m.on[b, t])
    model.unit_start = pyo.Constraint(
        buses, T, rule=lambda m, b, t: m.start[b, t] >= m.on[b, t] - (m.on[b, t - 1] if t else 0)
    )
    jump, lost = min(ramp, least), size - max(ramp, least)

    def stop(m: pyo.ConcreteModel, b: int, t: int) -> Any:
        return m.start[b, t] - m.on[b, t] + m.on[b, t - 1]

    model.unit_up = pyo.Constraint(
        buses,
        T[1:],
        rule=lambda m, b, t: (
            m.unit_mw[b, t] - m.unit_mw[b, t - 1]
            <= (ramp + least) * m.on[b, t] - least * m.on[b, t - 1] - jump * m.start[b, t]
        ),
    )
    model.unit_down = pyo.Constraint(
        buses,
        T[1:],
        rule=lambda m, b, t: (
            m.unit_mw[b, t - 1] - m.unit_mw[b, t]
            <= (ramp + least) * m.on[b, t - 1] - least * m.on[b, t] - jump * stop(m, b, t)
        ),
    )
    model.unit_after_start = pyo.Constraint(
        buses, T[1:], rule=lambda m, b, t: m.unit_mw[b, t] <= size * m.on[b, t] - lost * m.start[b, t]
    )
    model.unit_before_stop = pyo.Constraint(
        buses, T[1:], rule=lambda m, b, t: m.unit_mw[b, t - 1] <= size * m.on[b, t - 1] - lost * stop(m, b, t)
    )


def _declare_storage(model: pyo.ConcreteModel, buses: list[int], T: list[int], hours: float, total_mwh: float) -> None:
    energy, power = total_mwh / len(buses), total_mwh / 3.0
    model.charge_mw = pyo.Var(buses, T, bounds=(0, power))
    model.discharge_mw = pyo.Var(buses, T, bounds=(0, power))
    model.stored_mwh = pyo.Var(buses, T, bounds=(0.1 * energy, energy))

    model.net_charge_mw = pyo.Var(buses, T, bounds=(-power, power))
    model.net_charge_of = pyo.Constraint(
        buses, T, rule=lambda m, b, t: m.net_charge_mw[b, t] - m.charge_mw[b, t] + m.discharge_mw[b, t] == 0.0
    )

    def balance(m: pyo.ConcreteModel, b: int, t: int) -> object:
        before = m.stored_mwh[b, t - 1] if t else 0.5 * energy
        lost = (1.0 / EFFICIENCY - EFFICIENCY) * m.discharge_mw[b, t]
        return m.stored_mwh[b, t] == before + hours * (EFFICIENCY * m.net_charge_mw[b, t] - lost)

    model.storage_balance = pyo.Constraint(buses, T, rule=balance)
    for bus in buses:
        model.stored_mwh[bus, T[-1]].setlb(0.5 * energy)
