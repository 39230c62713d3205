"""Faults of an ADNO case that no single key can show: lengths, buses, magnitudes, limits that contradict each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import AdnoInputs, adno_inputs, feeder_of, nominal_load_shares
from dispatch.errors import CaseError
from dispatch.network.feeder import Feeder

FloatArray = NDArray[np.float64]

#: A unit above this many times the feeder's nominal load was probably given in kW.
LARGEST_POWER_RATIO = 10.0
#: A store above this many hours of the feeder's nominal load was probably given in kWh.
LARGEST_ENERGY_HOURS = 12.0


def adno_faults(case: AdnoCase) -> list[str]:
    """Every contradiction in the case, one line each; empty if the case can be used."""
    feeder: Feeder | None = None
    faults: list[str] = []
    if case.network is not None:
        try:
            feeder = feeder_of(case.network)
        except CaseError as error:
            faults += [f"network: {fault}" for fault in error.faults]
        if case.network.voltage_min_pu >= case.network.voltage_max_pu:
            faults.append(
                f"network: voltage_min_pu {case.network.voltage_min_pu:g} is not below "
                f"voltage_max_pu {case.network.voltage_max_pu:g}"
            )
    faults += _length_faults(case)
    faults += _identity_faults(case, feeder)
    faults += _unit_faults(case)
    if feeder is not None and case.check_magnitudes:
        faults += _magnitude_faults(case, feeder)
    if faults:
        return faults
    inputs = adno_inputs(case)
    faults += _demand_faults(case, inputs)
    return faults or list(supply_faults(case, inputs, feeder, np.zeros_like(inputs.rigid_mw)))


def _length_faults(case: AdnoCase) -> Iterator[str]:
    whole = case.horizon_hours / case.step_hours
    if abs(whole - round(whole)) > 1e-9:
        yield f"horizon_hours {case.horizon_hours:g} is not a whole number of steps of {case.step_hours:g} h"
        return
    day = f"{case.horizon_hours:g} hours have {case.steps} steps of {case.step_hours:g} h"
    series: dict[str, object] = {
        "spot_price_per_mwh": case.spot_price_per_mwh,
        "retail_price_per_mwh": case.retail_price_per_mwh,
    }
    for place, farm in enumerate(case.wind):
        if farm.available_mw is None and farm.shape is None:
            yield f"wind[{place}]: give 'shape' (24 hourly shares of the capacity) or 'available_mw'"
        series[f"wind[{place}].available_mw"] = farm.available_mw
    if case.feeder_customers is not None:
        if case.feeder_customers.shape is None and case.feeder_customers.rigid_mw is None:
            yield "feeder_customers: give 'shape' (24 hourly shares of the nominal load) or 'rigid_mw'"
        for bus, load in (case.feeder_customers.rigid_mw or {}).items():
            series[f"feeder_customers.rigid_mw[{bus}]"] = load
    for place, customer in enumerate(case.customers):
        for key in ("rigid_mw", "rigid_mvar", "flexible_max_mw", "flexible_free_mw", "retail_price_per_mwh"):
            series[f"customers[{place}].{key}"] = getattr(customer, key)
    for where, values in series.items():
        if isinstance(values, tuple) and len(values) != case.steps:
            yield f"{where}: {len(values)} values, but {day}"
    if case.index is not None and len(case.index) != case.steps:
        yield f"index: {len(case.index)} steps, but {day}"


def _identity_faults(case: AdnoCase, feeder: Feeder | None) -> Iterator[str]:
    for kind in ("gas", "storage", "wind", "customers"):
        for place, unit in enumerate(getattr(case, kind)):
            if feeder is not None and unit.bus not in feeder.bus_ids:
                yield f"{kind}[{place}].bus: bus {unit.bus} does not exist; the feeder has buses {_span(feeder.bus_ids)}"
    ids = Counter(u.id for s in ("gas", "storage", "wind", "customers") for u in getattr(case, s))
    yield from (f"id '{name}' is used {times} times; ids must differ" for name, times in ids.items() if times > 1)
    section = case.feeder_customers
    if section is None:
        return
    if case.network is None:
        yield "feeder_customers: need a network; list 'customers' instead"
    elif feeder is not None:
        loads = nominal_load_shares(case)
        if not loads:
            yield "network: no bus has a nominal load, so there are no feeder customers"
        if section.rigid_mw is not None:
            wrong, missing = sorted(set(section.rigid_mw) - set(loads)), sorted(set(loads) - set(section.rigid_mw))
            if wrong:
                yield f"feeder_customers.rigid_mw: no nominal load at bus {wrong}; load buses are {_span(tuple(loads))}"
            if missing:
                yield f"feeder_customers.rigid_mw: no values for bus {missing}"
        for key in ("retail_price_by_bus", "shiftable_buses"):
            named = getattr(section, key)
            wrong = [] if named == "all" else sorted(set(named) - set(loads))
            if wrong:
                yield f"feeder_customers.{key}: no customer at bus {wrong}; load buses are {_span(tuple(loads))}"


def _unit_faults(case: AdnoCase) -> Iterator[str]:
    for place, unit in enumerate(case.gas):
        where = f"gas[{place}] ('{unit.id}')"
        if unit.power_min_mw > unit.power_max_mw:
            yield f"{where}: power_min_mw {unit.power_min_mw:g} is above power_max_mw {unit.power_max_mw:g}"
        low, high = (unit.power_min_mw, unit.power_max_mw) if unit.initially_on else (0.0, 0.0)
        if not low <= unit.initial_power_mw <= high:
            state = "on" if unit.initially_on else "off"
            yield f"{where}: initial_power_mw {unit.initial_power_mw:g} is outside [{low:g}, {high:g}] of a unit that is {state}"
    for place, store in enumerate(case.storage):
        where = f"storage[{place}] ('{store.id}')"
        if not store.energy_min_mwh <= store.energy_start_mwh <= store.energy_max_mwh:
            limits = f"[{store.energy_min_mwh:g}, {store.energy_max_mwh:g}]"
            yield f"{where}: energy_start_mwh {store.energy_start_mwh:g} is outside its limits {limits}"
    for place, farm in enumerate(case.wind):
        peak = max(farm.available_mw or (0.0,))
        if peak > farm.capacity_mw * 1.001:
            yield f"wind[{place}] ('{farm.id}'): available_mw reaches {peak:g}, above capacity_mw {farm.capacity_mw:g}"


def _magnitude_faults(case: AdnoCase, feeder: Feeder) -> Iterator[str]:
    nominal = float(feeder.load_mw.sum())
    if nominal <= 0:
        return
    powers = {f"gas[{k}].power_max_mw": u.power_max_mw for k, u in enumerate(case.gas)}
    powers |= {f"wind[{k}].capacity_mw": u.capacity_mw for k, u in enumerate(case.wind)}
    powers |= {f"storage[{k}].charge_max_mw": u.charge_max_mw for k, u in enumerate(case.storage)}
    powers |= {f"storage[{k}].discharge_max_mw": u.discharge_max_mw for k, u in enumerate(case.storage)}
    rigid = case.feeder_customers.rigid_mw if case.feeder_customers is not None else None
    powers |= {f"feeder_customers.rigid_mw[{bus}]": max(values, default=0.0) for bus, values in (rigid or {}).items()}
    for where, value in powers.items():
        if value > LARGEST_POWER_RATIO * nominal:
            yield (
                f"{where}: {value:g} MW is {value / nominal:.0f} times the feeder's nominal load of {nominal:g} MW; was it "
                "given in kW? (check_magnitudes: false accepts it)"
            )
    for place, store in enumerate(case.storage):
        if store.energy_max_mwh > LARGEST_ENERGY_HOURS * nominal:
            yield (
                f"storage[{place}].energy_max_mwh: {store.energy_max_mwh:g} MWh is {store.energy_max_mwh / nominal:.0f} "
                f"hours of the nominal load of {nominal:g} MW; was it given in kWh? (check_magnitudes: false accepts it)"
            )


def _demand_faults(case: AdnoCase, inputs: AdnoInputs) -> Iterator[str]:
    for j, name in enumerate(inputs.customer_ids):
        lowest = int(np.argmin(inputs.rigid_mw[:, j]))
        if inputs.rigid_mw[lowest, j] < 0:
            yield f"customer '{name}': rigid load {inputs.rigid_mw[lowest, j]:g} MW at step {lowest} is negative"
        excess = inputs.flexible_free_mw[:, j] - inputs.flexible_max_mw[:, j]
        worst = int(np.argmax(excess))
        if excess[worst] > 1e-12:
            yield (
                f"customer '{name}': flexible demand without subsidy {inputs.flexible_free_mw[worst, j]:g} MW is above "
                f"the largest {inputs.flexible_max_mw[worst, j]:g} MW"
            )
        need = inputs.lump_sum_max[:, j] * inputs.lump_elasticity[:, j]
        short = inputs.flexible_max_mw[:, j] - need
        worst = int(np.argmin(short))
        if case.subsidy.elasticity_anchor == "paper" and short[worst] < -1e-12:
            yield (
                f"customer '{name}': largest flexible demand {inputs.flexible_max_mw[worst, j]:g} MW is below the largest "
                f"lump sum x elasticity = {need[worst]:g} MW: a negative limit without subsidy (Shi et al. 2023, Eq. 18)"
            )


def supply_faults(case: AdnoCase, inputs: AdnoInputs, feeder: Feeder | None, flexible_mw: FloatArray) -> Iterator[str]:
    """Steps in which rigid and ``flexible_mw`` ``[T, J]`` demand cannot be served, with the numbers that say so."""
    least = (inputs.rigid_mw + flexible_mw).sum(axis=1)
    gas = sum(u.power_max_mw for u in case.gas)
    stores = sum(u.discharge_max_mw for u in case.storage)
    wind = inputs.wind_mw.sum(axis=0)
    if case.import_max_mw is not None:
        most = case.import_max_mw + gas + stores + wind
        for t in np.flatnonzero(least > most + 1e-9):
            yield (
                f"step {t}: load of at least {least[t]:.3f} MW cannot be served: import limit {case.import_max_mw:g} + gas "
                f"{gas:.3f} + storage {stores:.3f} + wind {wind[t]:.3f} = {most[t]:.3f} MW"
            )
    if feeder is not None and case.network is not None:
        yield from _voltage_faults(case, inputs, feeder, flexible_mw)


def _voltage_faults(case: AdnoCase, inputs: AdnoInputs, feeder: Feeder, flexible_mw: FloatArray) -> Iterator[str]:
    """Steps whose voltage stays too low although every local unit gives all it has.

    Without losses and with all local units at full output the voltage is an upper bound on what any schedule reaches
    (losses only lower it), so that a fault here is certain.
    """
    assert case.network is not None
    p, q = net_consumption(inputs, feeder, flexible_mw)
    for gas in case.gas:
        p[:, feeder.position[gas.bus]] -= gas.power_max_mw
    for store in case.storage:
        p[:, feeder.position[store.bus]] -= store.discharge_max_mw
    for v, farm in enumerate(case.wind):
        p[:, feeder.position[farm.bus]] -= inputs.wind_mw[v]
    for unit in case.units:
        q[:, feeder.position[unit.bus]] -= unit.reactive_max_mvar
    squared = lossless_squared_voltage(feeder, p, q, case.network.root_voltage_pu)
    lowest = np.sqrt(np.clip(squared, 0, None))
    for t in np.flatnonzero((lowest < case.network.voltage_min_pu - 1e-9).any(axis=1)):
        b = int(np.argmin(lowest[t]))
        load = (inputs.rigid_mw + flexible_mw)[t].sum()
        yield (
            f"step {t}: load of {load:.3f} MW cannot be served: with every local unit at full output the voltage at bus "
            f"{feeder.bus_ids[b]} is at most {lowest[t, b]:.4f} p.u., below {case.network.voltage_min_pu:g}"
        )


def net_consumption(inputs: AdnoInputs, feeder: Feeder, flexible_mw: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Customers' active and reactive demand by bus, ``[T, bus]``, at a given flexible demand ``[T, J]``."""
    p = np.zeros((inputs.steps, len(feeder.buses)))
    q = np.zeros_like(p)
    for j, bus in enumerate(inputs.customer_buses):
        p[:, feeder.position[bus]] += inputs.rigid_mw[:, j] + flexible_mw[:, j]
        q[:, feeder.position[bus]] += inputs.rigid_mvar[:, j] + inputs.flexible_mvar_per_mw[:, j] * flexible_mw[:, j]
    return p, q


def lossless_squared_voltage(
    feeder: Feeder,
    p: FloatArray,
    q: FloatArray,
    root_voltage_pu: float,
) -> FloatArray:
    """LinDistFlow: squared voltage ``[T, bus]`` without losses, at net consumption ``[T, bus]`` in MW and Mvar."""
    flow_p, flow_q = p / feeder.base_mva, q / feeder.base_mva
    for sending, receiving in reversed(feeder.line_keys):
        flow_p[:, feeder.position[sending]] += flow_p[:, feeder.position[receiving]]
        flow_q[:, feeder.position[sending]] += flow_q[:, feeder.position[receiving]]
    squared = np.full_like(flow_p, root_voltage_pu**2)
    for line, (sending, receiving) in enumerate(feeder.line_keys):
        i, j = feeder.position[sending], feeder.position[receiving]
        squared[:, j] = squared[:, i] - 2 * (feeder.r_pu[line] * flow_p[:, j] + feeder.x_pu[line] * flow_q[:, j])
    return squared


def _span(buses: tuple[int, ...]) -> str:
    return f"{min(buses)} to {max(buses)}"
