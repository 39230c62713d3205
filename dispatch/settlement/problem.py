"""What is settled: the assets that can still move, the plan that is fixed, and the days that come true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import DispatchError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RecourseAssets:
    """Assets that redispatch in real time; ``I`` gas units, ``S`` storages.

    gas_min_mw, gas_max_mw, gas_cost_per_mwh, gas_initial_mw: ``[I]``.
    gas_ramp_up_mw, gas_ramp_down_mw: ``[I]``, largest change from one step to the next while the unit runs; start and stop
        are free up to ``max(ramp, gas_min)``. Infinite where a unit has no limit.
    gas_initial_on: ``[I]``, 1 where the unit ran before the first step.
    gas_start_cost: ``[I]``, paid when the plan commits the unit, not in real time.
    storage_charge_mw, storage_discharge_mw, storage_min_mwh, storage_max_mwh, storage_start_mwh: ``[S]``.
    storage_end_min_mwh, storage_end_max_mwh: ``[S]``, limits of the energy left at the end.
    storage_efficiency_in, storage_efficiency_out, storage_wear_per_mwh: ``[S]``; wear per MWh that passes the cells.
    storage_loss_per_step: ``[S]``, share of the stored energy lost in a step.
    imbalance_plus, imbalance_minus: share of the spot price by which buying is dearer and selling cheaper. The
        surcharge is taken on the price's size, so that at negative prices buying still is not cheaper than selling.
    shed_cost_per_mwh: value of lost load, paid on top of the income that is lost with it.
    curtailment_cost_per_mwh: cost of wind that is not used.
    import_max_mw: largest import, day-ahead and real-time purchase together.
    loss_share: network losses per MWh of rigid load.
    step_hours: length of a step.
    """

    gas_min_mw: FloatArray
    gas_max_mw: FloatArray
    gas_cost_per_mwh: FloatArray
    gas_start_cost: FloatArray
    gas_ramp_up_mw: FloatArray
    gas_ramp_down_mw: FloatArray
    gas_initial_mw: FloatArray
    gas_initial_on: FloatArray
    storage_charge_mw: FloatArray
    storage_discharge_mw: FloatArray
    storage_min_mwh: FloatArray
    storage_max_mwh: FloatArray
    storage_start_mwh: FloatArray
    storage_end_min_mwh: FloatArray
    storage_end_max_mwh: FloatArray
    storage_efficiency_in: FloatArray
    storage_efficiency_out: FloatArray
    storage_wear_per_mwh: FloatArray
    storage_loss_per_step: FloatArray
    imbalance_plus: float
    imbalance_minus: float
    shed_cost_per_mwh: float
    curtailment_cost_per_mwh: float = 0.0
    import_max_mw: float = float("inf")
    loss_share: float = 0.0
    step_hours: float = 1.0

    @property
    def gas_units(self) -> int:
        """Number of gas units."""
        return len(self.gas_max_mw)

    @property
    def storages(self) -> int:
        """Number of storages."""
        return len(self.storage_charge_mw)

    def imbalance_prices(self, price: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Price of buying and of selling in real time, same shape as the spot ``price``."""
        size = np.abs(price)
        return price + self.imbalance_plus * size, price - self.imbalance_minus * size


@dataclass(frozen=True, eq=False)
class FirstStage:
    """What was decided the day before and can no longer change; ``T`` steps.

    One plan, or one for each of ``K`` realisations: every array may have a leading axis ``K``.

    purchase_mw ``[T]``: day-ahead purchase less day-ahead sale.
    commitment ``[I, T]`` of 0 and 1.
    flexible_mw ``[T]``: the customers' response to the subsidies.
    losses_mw ``[T]``: network losses beyond ``loss_share`` times the rigid load that comes true; may be negative.
    charge_mw, discharge_mw ``[S, T]``: planned use of storage, where recourse begins.
    start_cost, subsidy_cost, sale_fee, flexible_income: for the whole horizon, ``[]``; the fee is paid on day-ahead sales, the
        income is that of the flexible demand.
    income_per_mwh ``[T]``: retail price of the rigid load.
    """

    purchase_mw: FloatArray
    commitment: FloatArray
    flexible_mw: FloatArray
    losses_mw: FloatArray
    charge_mw: FloatArray
    discharge_mw: FloatArray
    start_cost: FloatArray | float
    subsidy_cost: FloatArray | float
    flexible_income: FloatArray | float
    income_per_mwh: FloatArray
    sale_fee: FloatArray | float = 0.0

    @property
    def steps(self) -> int:
        """Steps of the horizon."""
        return int(self.purchase_mw.shape[-1])

    @property
    def count(self) -> int | None:
        """Number of plans, or ``None`` for one plan that serves every realisation."""
        return len(self.purchase_mw) if self.purchase_mw.ndim == 2 else None

    def for_each(self, count: int) -> FirstStage:
        """One plan for each of ``count`` realisations."""
        if self.count is not None:
            return self
        return FirstStage(
            **{f.name: np.broadcast_to(v := np.asarray(getattr(self, f.name)), (count, *v.shape)) for f in fields(self)}
        )

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice | int) -> FirstStage:
        """The plans at ``rows`` of a stack of plans; one plan alone is itself for every row."""
        if self.count is None:
            return self
        return FirstStage(**{f.name: np.asarray(getattr(self, f.name))[rows] for f in fields(self)})

    @staticmethod
    def stack(plans: Sequence[FirstStage]) -> FirstStage:
        """Single plans side by side, one for each realisation."""
        return FirstStage(
            **{f.name: np.stack([np.asarray(getattr(p, f.name)) for p in plans]) for f in fields(FirstStage)}
        )

    @staticmethod
    def one_after_another(plans: Sequence[FirstStage]) -> FirstStage:
        """Stacks of plans joined along their realisations."""
        return FirstStage(
            **{f.name: np.concatenate([np.asarray(getattr(p, f.name)) for p in plans]) for f in fields(FirstStage)}
        )


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

    def repeated(self, count: int) -> Realisations:
        """One day ``count`` times; ``count`` days are themselves."""
        if len(self) == count:
            return self
        return Realisations(*(np.broadcast_to(getattr(self, f.name), (count, self.steps)) for f in fields(self)))

    @property
    def steps(self) -> int:
        """Steps of a day."""
        return int(self.price_per_mwh.shape[1])

    @classmethod
    def single(cls, price_per_mwh: FloatArray, wind_mw: FloatArray, load_mw: FloatArray) -> Self:
        """One day from arrays ``[T]``."""
        return cls(*(np.asarray(values, dtype=float)[None] for values in (price_per_mwh, wind_mw, load_mw)))


@dataclass(frozen=True, eq=False)
class Settlement:
    """Money and energy of each realisation, every array ``[K]``; costs positive, income positive.

    ``purchase_cost`` is the day-ahead energy at the realised spot price, with the fee on what was sold; ``imbalance_cost``
    what is bought less what is sold in real time; ``cost`` the sum of all costs with start-ups and subsidies; ``profit = income
    - cost``.
    """

    income: FloatArray
    purchase_cost: FloatArray
    imbalance_cost: FloatArray
    gas_cost: FloatArray
    start_cost: FloatArray
    wear_cost: FloatArray
    subsidy_cost: FloatArray
    curtailment_cost: FloatArray
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
            + self.curtailment_cost
            + self.shed_cost
        )

    @property
    def profit(self) -> FloatArray:
        """Income less all costs."""
        return self.income - self.cost
