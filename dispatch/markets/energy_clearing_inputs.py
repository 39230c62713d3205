"""From a case of the electricity and heat market to arrays over steps and parks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.case_clearing import EnergyClearingCase, RenewableUnit
from dispatch.case_inputs import hours_of_day

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EnergyInputs:
    """One form of energy, electricity or heat, of all parks ``I``; power in MW, prices in currency per MWh.

    load_mw, shift_max_mw: ``[I, T]``; discomfort: ``[I]``, currency/(MW^2 h); retail_price: ``[T]``.
    floor, ceiling: bid band; program: paid to parks per MWh reduced.
    """

    load_mw: FloatArray
    shift_max_mw: FloatArray
    discomfort: FloatArray
    retail_price: FloatArray
    floor: float
    ceiling: float
    program: float


@dataclass(frozen=True, eq=False)
class ClearingInputs:
    """Arrays of one case over ``T`` steps; ``U`` wind and photovoltaic units together.

    grid_price, gas_price: ``[T]``, currency per MWh of electricity and of heating value; renewable_mw: ``[U, T]``.
    """

    step_hours: float
    grid_price: FloatArray
    gas_price: FloatArray
    renewable_ids: tuple[str, ...]
    renewable_mw: FloatArray
    electricity: EnergyInputs
    heat: EnergyInputs

    @property
    def steps(self) -> int:
        """Number of steps ``T``."""
        return len(self.grid_price)

    @property
    def energies(self) -> tuple[EnergyInputs, EnergyInputs]:
        """Electricity and heat, in this order."""
        return self.electricity, self.heat


def clearing_inputs(case: EnergyClearingCase) -> ClearingInputs:
    """The arrays of a checked case."""
    hours, parks = hours_of_day(case), case.parks
    grid = _series(case.grid_price_per_mwh, case.grid_price_by_hour_per_mwh, hours)
    gas = np.asarray(case.gas_price_by_hour_per_m3)[hours] / case.gas_heating_value_kwh_per_m3 * 1000.0
    renewable = [_available(unit, hours) for unit in (*case.wind, *case.pv)]
    retail = case.retail
    boiler_cost = gas / case.boilers[0].efficiency + case.boilers[0].maintenance_per_mwh if case.boilers else gas
    electricity = np.array([_series(p.electricity_mw, p.electricity_by_hour_mw, hours) for p in parks])
    heat = np.array([_series(p.heat_mw, p.heat_by_hour_mw, hours) for p in parks])
    return ClearingInputs(
        step_hours=case.step_hours,
        grid_price=grid,
        gas_price=gas,
        renewable_ids=tuple(unit.id for unit in (*case.wind, *case.pv)),
        renewable_mw=np.array(renewable).reshape(len(renewable), case.steps),
        electricity=EnergyInputs(
            load_mw=electricity,
            shift_max_mw=np.array([[p.electricity_shift_share] for p in parks]) * electricity,
            discomfort=np.array([p.electricity_discomfort_per_mw2h for p in parks]),
            retail_price=_retail(retail.electricity_per_mwh, grid, retail.electricity_markup),
            floor=case.electricity_band.floor_per_mwh,
            ceiling=case.electricity_band.ceiling_per_mwh,
            program=case.electricity_program_per_mwh,
        ),
        heat=EnergyInputs(
            load_mw=heat,
            shift_max_mw=np.array([[p.heat_shift_share] for p in parks]) * heat,
            discomfort=np.array([p.heat_discomfort_per_mw2h for p in parks]),
            retail_price=_retail(retail.heat_per_mwh, boiler_cost, retail.heat_markup),
            floor=case.heat_band.floor_per_mwh,
            ceiling=case.heat_band.ceiling_per_mwh,
            program=case.heat_program_per_mwh,
        ),
    )


def _retail(stated: tuple[float, ...] | None, cost: FloatArray, markup: float) -> FloatArray:
    return (1 + markup) * cost if stated is None else np.asarray(stated, dtype=float)


def _available(unit: RenewableUnit, hours: NDArray[np.int64]) -> FloatArray:
    return _series(unit.available_mw, tuple(unit.capacity_mw * share for share in unit.shape or (0.0,) * 24), hours)


def _series(
    by_step: tuple[float, ...] | None, by_hour: tuple[float, ...] | None, hours: NDArray[np.int64]
) -> FloatArray:
    return np.asarray(by_hour or (0.0,) * 24)[hours] if by_step is None else np.asarray(by_step, dtype=float)
