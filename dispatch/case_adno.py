"""The case of an active distribution network operator (Shi et al., Energies 2023, 16(11), 4507): what a user may state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from dispatch.case import Case, CaseModel, DayShape, NonNegative, Positive, Share, plain_values
from dispatch.case_storage import Battery


class Line(CaseModel):
    """A line of a user's own feeder, in ohm."""

    from_bus: int
    to_bus: int
    resistance_ohm: NonNegative
    reactance_ohm: NonNegative
    current_max_ka: Positive | None = None


class Network(CaseModel):
    """A radial feeder: ``ieee33``, or an own table of lines.

    Attributes
    ----------
    feeder: name of an embedded feeder (``ieee33``: 33 buses numbered from 1, Baran and Wu 1989).
    lines, base_voltage_kv, base_power_mva, root_bus, nominal_load_mw, nominal_load_mvar: the own table instead.
    root_voltage_pu: voltage held at the root by the grid.
    voltage_min_pu, voltage_max_pu: limits at every other bus (Shi et al. 2023, Eq. 20; its upper limit is printed "min").
    """

    feeder: Literal["ieee33"] | None = None
    lines: tuple[Line, ...] = ()
    base_voltage_kv: Positive = 12.66
    base_power_mva: Positive = 1.0
    root_bus: int = 1
    nominal_load_mw: Mapping[int, NonNegative] = Field(default_factory=dict)
    nominal_load_mvar: Mapping[int, float] = Field(default_factory=dict)
    root_voltage_pu: Annotated[float, Field(ge=0.5, le=1.5)] = 1.0
    voltage_min_pu: Annotated[float, Field(ge=0.5, le=1.5)] = 0.90
    voltage_max_pu: Annotated[float, Field(ge=0.5, le=1.5)] = 1.10


class Unit(CaseModel):
    """Anything at a bus. ``reactive_max_mvar``: reactive power that it can give or take, none by default."""

    id: str
    bus: int
    reactive_max_mvar: NonNegative = 0.0


class GasUnit(Unit):
    """A small gas unit with commitment (Shi et al. 2023, Eqs. 11-14)."""

    power_min_mw: NonNegative = 0.0
    power_max_mw: Positive
    cost_per_mwh: NonNegative
    start_cost: NonNegative = 0.0
    ramp_up_mw_per_hour: Positive | None = None
    ramp_down_mw_per_hour: Positive | None = None
    initially_on: bool = False
    initial_power_mw: NonNegative = 0.0


class Storage(Unit, Battery):
    """A battery (Shi et al. 2023, Eqs. 9-10, with the efficiency, wear and end condition that the paper leaves out)."""


class WindFarm(Unit):
    """A wind farm: what could be produced, either ``available_mw`` per step or ``capacity_mw`` times an hourly shape."""

    capacity_mw: Positive
    shape: DayShape | None = None
    available_mw: tuple[NonNegative, ...] | None = None


class FeederCustomers(CaseModel):
    """One customer per load bus of the feeder; all share one daily shape and one kind of flexibility.

    Attributes
    ----------
    shape: rigid load by local hour of the day, as a share of the feeder's nominal load.
    rigid_mw: rigid load by bus and step instead of the shape.
    flexible_max_share, flexible_free_share: flexible demand at most, and without subsidy, as shares of the rigid load.
    full_response_subsidy_per_mwh: subsidy at which flexible demand reaches its largest value.
    elasticity_scale: factor on the elasticity that follows from the three values above.
    flexible_power_factor: ``customer`` (flexible demand draws reactive power like the rigid load) or ``unity``.
    retail_price_by_bus: retail price of single customers, currency per MWh.
    shiftable_buses: customers whose flexible energy of the day is fixed (variant ``responsive_shiftable``).
    """

    shape: DayShape | None = None
    rigid_mw: Mapping[int, tuple[float, ...]] | None = None
    flexible_max_share: NonNegative = 0.25
    flexible_free_share: NonNegative = 0.08
    full_response_subsidy_per_mwh: Positive = 20.0
    elasticity_scale: NonNegative = 1.0
    flexible_power_factor: Literal["customer", "unity"] = "customer"
    retail_price_by_bus: Mapping[int, float] = Field(default_factory=dict)
    shiftable_buses: tuple[int, ...] | Literal["all"] = "all"


class Customer(CaseModel):
    """One customer, stated by itself; single numbers hold for every step.

    Attributes
    ----------
    flexible_free_mw: flexible demand without subsidy (``U0``); negative if only a subsidy makes the first MW worth while.
    elasticity_mw_per_subsidy: MW per (currency/MWh) of a subsidy rate; MW per currency of a lump sum per hour.
    """

    id: str
    bus: int = 1
    rigid_mw: float | tuple[float, ...]
    rigid_mvar: float | tuple[float, ...] = 0.0
    flexible_max_mw: NonNegative | tuple[NonNegative, ...] = 0.0
    flexible_free_mw: float | tuple[float, ...] = 0.0
    elasticity_mw_per_subsidy: NonNegative = 0.0
    retail_price_per_mwh: float | tuple[float, ...] | None = None
    shiftable: bool = True


class Subsidy(CaseModel):
    """Limits of the subsidy.

    Attributes
    ----------
    rate_max_per_mwh: largest subsidy per MWh of flexible demand (responsive variants).
    lump_sum_max_per_hour: largest lump sum per hour of one customer (``faithful``); with ``feeder_customers`` that of all
        customers together, shared like the load.
    step_max_per_mwh: largest change of a subsidy rate from one step to the next.
    elasticity_anchor: ``zero`` (demand limit ``min(U_max, U0 + Ela sub)``) or ``paper`` (Eq. 18, anchored at the largest
        subsidy, where *more* elasticity means *less* demand). Only ``faithful`` knows this choice.
    """

    rate_max_per_mwh: NonNegative = 20.0
    lump_sum_max_per_hour: NonNegative = 10.0
    step_max_per_mwh: Positive | None = None
    elasticity_anchor: Literal["zero", "paper"] = "zero"


class Export(CaseModel):
    """Sale of surplus to the grid at spot price minus a fee."""

    allowed: bool = False
    fee_per_mwh: NonNegative = 0.0
    max_mw: Positive | None = None


class Imbalance(CaseModel):
    """Real-time settlement: purchase at ``spot (1 + buy_markup)``, sale at ``spot (1 - sell_discount)``, shedding."""

    buy_markup: NonNegative = 0.2
    sell_discount: Share = 0.2
    lost_load_per_mwh: Positive = 2000.0


class AdnoCase(Case):
    """An operator that buys at the spot price, runs local units, and moves its customers' demand by subsidies."""

    market_name: ClassVar[str] = "adno"

    market: Literal["adno"] = "adno"
    network: Network | None
    spot_price_per_mwh: tuple[float, ...]
    retail_price_per_mwh: float | tuple[float, ...]
    gas: tuple[GasUnit, ...] = ()
    storage: tuple[Storage, ...] = ()
    wind: tuple[WindFarm, ...] = ()
    feeder_customers: FeederCustomers | None = None
    customers: tuple[Customer, ...] = ()
    subsidy: Subsidy = Subsidy()
    export: Export = Export()
    imbalance: Imbalance = Imbalance()
    import_max_mw: NonNegative | None = None
    import_step_max_mw: Positive | None = None
    curtailment_price_per_mwh: NonNegative = 0.0
    allocation: Literal["optimistic", "pro_rata"] = "optimistic"
    check_magnitudes: bool = True

    @property
    def units(self) -> tuple[Unit, ...]:
        """Gas units, stores and wind farms."""
        return (*self.gas, *self.storage, *self.wind)

    @model_validator(mode="after")
    def _one_kind_of_customers(self) -> Self:
        if (self.feeder_customers is None) == (not self.customers):
            raise ValueError("state customers in one way: either 'feeder_customers' or a list 'customers'")
        return self

    def faults(self) -> list[str]:
        """See ``dispatch.case_adno_checks``."""
        from dispatch.case_adno_checks import adno_faults

        return adno_faults(self)

    def with_inputs(
        self,
        *,
        spot_price_per_mwh: ArrayLike | None = None,
        load_mw: ArrayLike | Mapping[int, ArrayLike] | None = None,
        wind_mw: Mapping[str, ArrayLike] | None = None,
        index: pd.DatetimeIndex | None = None,
        step_hours: float | None = None,
        name: str | None = None,
    ) -> AdnoCase:
        """The same network and assets on another day, such as a forecast day of 23, 24, 25, 92, 96 or 100 steps.

        Parameters
        ----------
        spot_price_per_mwh: ``[T]``.
        load_mw: rigid load, ``[T]`` of the whole feeder (shared like the nominal load) or ``{bus: [T]}`` of every customer.
        wind_mw: ``{wind farm id: [T]}``, what could be produced. Farms that are not named keep their hourly shape.
        index: start of each step; its local hour picks from hourly shapes.
        step_hours: length of a step; by default the spacing of ``index``, else that of this case.
        name: of the new case.

        Raises
        ------
        CaseError
            If lengths differ, a value is NaN, a farm is unknown, or the day cannot be served.

        Examples
        --------
        >>> from dispatch import load_case
        >>> load_case("adno_ieee33").with_inputs(spot_price_per_mwh=[40.0] * 25).steps
        25
        """
        spot = plain_values(self.spot_price_per_mwh if spot_price_per_mwh is None else spot_price_per_mwh)
        data = self.model_dump(exclude={"index"}, exclude_unset=True)
        data["step_hours"] = step_hours = self.step_hours_on(index, step_hours)
        data["horizon_hours"] = len(spot if index is None else index) * step_hours
        data["spot_price_per_mwh"] = spot
        data["index"] = index
        data["name"] = name or self.name
        faults: list[str] = []
        known = [farm.id for farm in self.wind]
        faults += [f"wind_mw: no wind farm '{i}'; this case has {known}" for i in wind_mw or {} if i not in known]
        for farm in data.get("wind", ()):
            if wind_mw is not None and farm["id"] in wind_mw:
                farm["available_mw"] = plain_values(wind_mw[farm["id"]])
        if load_mw is not None:
            faults += self._with_load(data, load_mw)
        return self.remade(data, faults)

    def _with_load(self, data: dict[str, object], load_mw: ArrayLike | Mapping[int, ArrayLike]) -> list[str]:
        from dispatch.case_inputs import nominal_load_shares

        section = data.get("feeder_customers")
        if not isinstance(section, dict):
            return ["load_mw: only a case with 'feeder_customers' takes a new load; this one lists its customers"]
        shares = nominal_load_shares(self)
        if isinstance(load_mw, Mapping):
            section["rigid_mw"] = {bus: plain_values(series) for bus, series in load_mw.items()}
        else:
            total = np.asarray(load_mw, dtype=float)
            section["rigid_mw"] = {bus: plain_values(share * total) for bus, share in shares.items()}
        return []
