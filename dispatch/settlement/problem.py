"""What is settled: the assets that can still move, the plan that is fixed, and the days that come true."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import DispatchError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RecourseAssets:
    """Assets that redispatch in real time; ``I`` gas units, ``S`` storages.

    gas_min_mw, gas_max_mw, gas_cost_per_mwh, gas_ramp_mw, gas_initial_mw: ``[I]``; the ramp limits the change from one
        step to the next while the unit runs, start and stop are free up to ``max(ramp, gas_min)``.
    gas_initial_on: ``[I]``, 1 where the unit ran before the first step.
    storage_power_mw, storage_min_mwh, storage_max_mwh, storage_start_mwh, storage_end_mwh: ``[S]``; the end is a floor.
    storage_efficiency_in, storage_efficiency_out, storage_wear_per_mwh: ``[S]``; wear per MWh that passes the cells.
    imbalance_plus, imbalance_minus: share of the spot price by which buying is dearer and selling cheaper. The
        surcharge is taken on the price's size, so that at negative prices buying still is not cheaper than selling.
    shed_cost_per_mwh: value of lost load.
    step_hours: length of a step.
    """

    gas_min_mw: FloatArray
    gas_max_mw: FloatArray
    gas_cost_per_mwh: FloatArray
    gas_ramp_mw: FloatArray
    gas_initial_mw: FloatArray
    gas_initial_on: FloatArray
    storage_power_mw: FloatArray
    storage_min_mwh: FloatArray
    storage_max_mwh: FloatArray
    storage_start_mwh: FloatArray
    storage_end_mwh: FloatArray
    storage_efficiency_in: FloatArray
    storage_efficiency_out: FloatArray
    storage_wear_per_mwh: FloatArray
    imbalance_plus: float
    imbalance_minus: float
    shed_cost_per_mwh: float
    step_hours: float = 1.0

    @property
    def gas_units(self) -> int:
        """Number of gas units."""
        return len(self.gas_max_mw)

    @property
    def storages(self) -> int:
        """Number of storages."""
        return len(self.storage_power_mw)

    def imbalance_prices(self, price: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Price of buying and of selling in real time, same shape as the spot ``price``."""
        size = np.abs(price)
        return price + self.imbalance_plus * size, price - self.imbalance_minus * size


@dataclass(frozen=True, eq=False)
class FirstStage:
    """What was decided the day before and can no longer change; ``T`` steps.

    purchase_mw ``[T]``; commitment ``[I, T]`` of 0 and 1; flexible_mw ``[T]`` (the customers' response to the subsidies);
    losses_mw ``[T]``; charge_mw, discharge_mw ``[S, T]`` (the planned use of storage, where recourse begins);
    start_cost and subsidy_cost for the whole horizon, income_per_mwh the retail price of every MWh delivered ``[T]``.
    """

    purchase_mw: FloatArray
    commitment: FloatArray
    flexible_mw: FloatArray
    losses_mw: FloatArray
    charge_mw: FloatArray
    discharge_mw: FloatArray
    start_cost: float
    subsidy_cost: float
    income_per_mwh: FloatArray

    @property
    def steps(self) -> int:
        """Steps of the horizon."""
        return len(self.purchase_mw)


@dataclass(frozen=True, eq=False)
class Realisations:
    """``K`` ways the day can come true, each ``[K, T]``: spot price per MWh, wind available in MW, rigid load in MW."""

    price_per_mwh: FloatArray
    wind_mw: FloatArray
    load_mw: FloatArray

    def __post_init__(self) -> None:
        for item in fields(self):
            values = getattr(self, item.name)
            if values.shape != self.price_per_mwh.shape or values.ndim != 2:
                raise DispatchError(
                    f"realisations: {item.name} has shape {values.shape}, expected {self.price_per_mwh.shape}"
                )
            if not np.isfinite(values).all():
                day, step = np.argwhere(~np.isfinite(values))[0]
                raise DispatchError(f"realisations: {item.name} is not finite at realisation {day}, step {step}")
        for name in ("wind_mw", "load_mw"):
            if (getattr(self, name) < 0).any():
                day, step = np.argwhere(getattr(self, name) < 0)[0]
                raise DispatchError(f"realisations: {name} is negative at realisation {day}, step {step}")

    def __len__(self) -> int:
        return len(self.price_per_mwh)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Realisations:
        """The realisations at ``rows``."""
        return Realisations(self.price_per_mwh[rows], self.wind_mw[rows], self.load_mw[rows])


@dataclass(frozen=True, eq=False)
class Settlement:
    """Money and energy of each realisation, every array ``[K]``; costs positive, income positive.

    ``purchase_cost`` is the day-ahead energy at the realised spot price; ``imbalance_cost`` what is bought less what is
    sold in real time; ``cost`` the sum of all costs with start-ups and subsidies; ``profit = income - cost``.
    """

    income: FloatArray
    purchase_cost: FloatArray
    imbalance_cost: FloatArray
    gas_cost: FloatArray
    start_cost: FloatArray
    wear_cost: FloatArray
    subsidy_cost: FloatArray
    shed_cost: FloatArray
    shed_mwh: FloatArray
    curtailed_mwh: FloatArray
    bought_mwh: FloatArray
    sold_mwh: FloatArray

    @property
    def cost(self) -> FloatArray:
        """All costs of each realisation."""
        return (
            self.purchase_cost
            + self.imbalance_cost
            + self.gas_cost
            + self.start_cost
            + self.wear_cost
            + self.subsidy_cost
            + self.shed_cost
        )

    @property
    def profit(self) -> FloatArray:
        """Income less all costs."""
        return self.income - self.cost
