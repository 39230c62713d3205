"""From a case in words to arrays over steps and customers: what a market model computes with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dispatch.case import Case
from dispatch.case_adno import AdnoCase, FeederCustomers, Network
from dispatch.network.feeder import Branch, Bus, Feeder, load_feeder

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AdnoInputs:
    """Arrays of one case; ``T`` steps, ``J`` customers, ``V`` wind farms. Power in MW, prices in currency/MWh.

    customer_ids, customer_buses: ``[J]``.
    spot_price: ``[T]``; retail_price: ``[T, J]``.
    rigid_mw, rigid_mvar: ``[T, J]``.
    flexible_max_mw, flexible_free_mw, elasticity: ``[T, J]``: largest flexible demand, that without subsidy (may be
        negative), and MW per unit of subsidy.
    lump_sum_max, lump_elasticity: ``[T, J]``: largest lump sum of a customer, currency per hour, and MW per unit of it.
    flexible_mvar_per_mw: ``[T, J]``.
    shiftable: ``[J]``.
    wind_mw: ``[V, T]``, available.
    """

    step_hours: float
    customer_ids: tuple[str, ...]
    customer_buses: tuple[int, ...]
    spot_price: FloatArray
    retail_price: FloatArray
    rigid_mw: FloatArray
    rigid_mvar: FloatArray
    flexible_max_mw: FloatArray
    flexible_free_mw: FloatArray
    elasticity: FloatArray
    lump_sum_max: FloatArray
    lump_elasticity: FloatArray
    flexible_mvar_per_mw: FloatArray
    shiftable: NDArray[np.bool_]
    wind_mw: FloatArray

    @property
    def steps(self) -> int:
        """Number of steps ``T``."""
        return len(self.spot_price)

    @property
    def slope(self) -> FloatArray:
        """``b`` of the marginal utility ``a - b d``, currency/MWh per MW, ``[T, J]``; infinite where inelastic."""
        with np.errstate(divide="ignore"):
            return np.where(self.elasticity > 0, 1.0 / self.elasticity, np.inf)

    @property
    def surplus_at_zero(self) -> FloatArray:
        """``a - p``: marginal utility of the first MW above the retail price, ``[T, J]``; 0 where inelastic."""
        elastic = self.elasticity > 0
        return np.divide(self.flexible_free_mw, self.elasticity, out=np.zeros_like(self.elasticity), where=elastic)


def adno_inputs(case: AdnoCase) -> AdnoInputs:
    """The arrays of a checked case."""
    steps, hours = case.steps, hours_of_day(case)
    spot = np.asarray(case.spot_price_per_mwh, dtype=float)
    wind = [
        np.asarray(farm.available_mw)
        if farm.available_mw is not None
        else farm.capacity_mw * np.asarray(farm.shape or (0.0,) * 24)[hours]
        for farm in case.wind
    ]
    wind_mw = np.array(wind, dtype=float).reshape(len(case.wind), steps)
    if case.feeder_customers is not None and case.network is not None:
        return _feeder_customers(case, case.feeder_customers, feeder_of(case.network), hours, spot, wind_mw)
    return _listed_customers(case, spot, wind_mw)


def hours_of_day(case: Case) -> NDArray[np.int64]:
    """Hour of the day of each step, ``[T]``: local where the index has a time zone other than UTC."""
    if case.index is not None:
        hours: NDArray[np.int64] = np.asarray(case.index.hour, dtype=np.int64)
        return hours
    elapsed = np.floor(np.arange(case.steps) * case.step_hours + 1e-9)
    return np.asarray(elapsed % 24, dtype=np.int64)


def feeder_of(network: Network) -> Feeder:
    """The feeder of a case.

    Raises
    ------
    CaseError
        With every fault of an own table: loops, unreachable buses, zero impedances, duplicates.
    """
    if network.feeder is not None:
        return _embedded(network.feeder)
    ids = {network.root_bus, *network.nominal_load_mw, *network.nominal_load_mvar}
    ids |= {end for line in network.lines for end in (line.from_bus, line.to_bus)}
    buses = tuple(
        Bus(i, network.nominal_load_mw.get(i, 0.0), network.nominal_load_mvar.get(i, 0.0)) for i in sorted(ids)
    )
    limits = [line.current_max_ka if line.current_max_ka is not None else float("inf") for line in network.lines]
    branches = tuple(
        Branch(line.from_bus, line.to_bus, line.resistance_ohm, line.reactance_ohm, limit)
        for line, limit in zip(network.lines, limits, strict=True)
    )
    return Feeder("own feeder", network.base_power_mva, network.base_voltage_kv, network.root_bus, buses, branches)


@lru_cache(maxsize=8)
def _embedded(name: str) -> Feeder:
    return load_feeder(name)


def nominal_load_shares(case: AdnoCase) -> dict[int, float]:
    """Share of each load bus in the feeder's nominal load, by bus number."""
    if case.network is None:
        return {}
    feeder = feeder_of(case.network)
    total = float(feeder.load_mw.sum())
    return {bus.id: bus.load_mw / total for bus in feeder.buses if bus.load_mw > 0}


def _feeder_customers(
    case: AdnoCase,
    section: FeederCustomers,
    feeder: Feeder,
    hours: NDArray[np.int64],
    spot: FloatArray,
    wind_mw: FloatArray,
) -> AdnoInputs:
    loads = [bus for bus in feeder.buses if bus.load_mw > 0]
    nominal_mw = np.array([bus.load_mw for bus in loads])
    ratio = np.array([bus.load_mvar for bus in loads]) / nominal_mw
    if section.rigid_mw is not None:
        rigid = np.array([section.rigid_mw[bus.id] for bus in loads], dtype=float).T
    else:
        rigid = np.outer(np.asarray(section.shape or (0.0,) * 24)[hours], nominal_mw)
    shape = rigid.shape
    retail = np.repeat(_over_steps(case.retail_price_per_mwh, shape[0])[:, None], shape[1], axis=1)
    for place, bus in enumerate(loads):
        retail[:, place] = section.retail_price_by_bus.get(bus.id, retail[:, place])
    span = section.flexible_max_share - section.flexible_free_share
    lump = np.broadcast_to(case.subsidy.lump_sum_max_per_hour * nominal_mw / nominal_mw.sum(), shape).copy()
    scaled_span = section.elasticity_scale * span * rigid
    lump_elasticity = np.divide(scaled_span, lump, out=np.zeros(shape), where=lump > 0)
    shiftable = [section.shiftable_buses == "all" or bus.id in section.shiftable_buses for bus in loads]
    return AdnoInputs(
        step_hours=case.step_hours,
        spot_price=spot,
        wind_mw=wind_mw,
        customer_ids=tuple(f"bus{bus.id}" for bus in loads),
        customer_buses=tuple(bus.id for bus in loads),
        retail_price=retail,
        rigid_mw=rigid,
        rigid_mvar=rigid * ratio,
        flexible_max_mw=section.flexible_max_share * rigid,
        flexible_free_mw=section.flexible_free_share * rigid,
        elasticity=scaled_span / section.full_response_subsidy_per_mwh,
        lump_sum_max=lump,
        lump_elasticity=lump_elasticity,
        flexible_mvar_per_mw=np.broadcast_to(ratio * (section.flexible_power_factor == "customer"), shape).copy(),
        shiftable=np.array(shiftable),
    )


def _listed_customers(case: AdnoCase, spot: FloatArray, wind_mw: FloatArray) -> AdnoInputs:
    steps, customers = case.steps, case.customers
    retail = [
        case.retail_price_per_mwh if c.retail_price_per_mwh is None else c.retail_price_per_mwh for c in customers
    ]
    shape = (steps, len(customers))
    return AdnoInputs(
        step_hours=case.step_hours,
        spot_price=spot,
        wind_mw=wind_mw,
        customer_ids=tuple(c.id for c in customers),
        customer_buses=tuple(c.bus for c in customers),
        retail_price=_columns(retail, steps),
        rigid_mw=_columns([c.rigid_mw for c in customers], steps),
        rigid_mvar=_columns([c.rigid_mvar for c in customers], steps),
        flexible_max_mw=_columns([c.flexible_max_mw for c in customers], steps),
        flexible_free_mw=_columns([c.flexible_free_mw for c in customers], steps),
        elasticity=_columns([c.elasticity_mw_per_subsidy for c in customers], steps),
        lump_sum_max=np.full(shape, case.subsidy.lump_sum_max_per_hour),
        lump_elasticity=_columns([c.elasticity_mw_per_subsidy for c in customers], steps),
        flexible_mvar_per_mw=np.zeros(shape),
        shiftable=np.array([c.shiftable for c in customers]),
    )


def _columns(values: list[float | tuple[float, ...]], steps: int) -> FloatArray:
    return np.stack([_over_steps(value, steps) for value in values], axis=1)


def _over_steps(value: float | tuple[float, ...], steps: int) -> FloatArray:
    array = np.asarray(value, dtype=float)
    return np.full(steps, float(array)) if array.ndim == 0 else array
