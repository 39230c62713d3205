"""The case of an electricity and heat market (Wu et al. 2024, doi 10.3389/fenrg.2024.1342516): what a user may state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from dispatch.case import Case, CaseModel, DayShape, NonNegative, Positive, Share, plain_values
from dispatch.case_storage import Battery, Efficiency

Series = tuple[NonNegative, ...]
Count = Annotated[int, Field(ge=1)]


class GasTurbine(CaseModel):
    """A gas turbine; ``heat_ratio`` is the heat that can be recovered per unit of power."""

    id: str
    power_max_mw: Positive
    efficiency: Efficiency
    heat_ratio: NonNegative = 0.0
    maintenance_per_mwh: NonNegative = 0.0


class Boiler(CaseModel):
    """A gas boiler."""

    id: str
    heat_max_mw: Positive
    efficiency: Efficiency
    maintenance_per_mwh: NonNegative = 0.0


class RenewableUnit(CaseModel):
    """Wind or sun: capacity times an hourly shape, or what could be produced by step."""

    id: str
    capacity_mw: Positive
    shape: DayShape | None = None
    available_mw: Series | None = None


class Exchange(CaseModel):
    """Limits of trade with the grid at the grid's price."""

    buy_max_mw: NonNegative
    sell_max_mw: NonNegative


class Store(Battery):
    """A store of electricity or heat that the supplier owns."""

    id: str

    @property
    def reactive_max_mvar(self) -> float:
        """Always zero: the market has no voltages."""
        return 0.0


class ClearingPark(CaseModel):
    """A park that buys electricity and heat, and can move a share of both within the horizon.

    Attributes
    ----------
    electricity_by_hour_mw, heat_by_hour_mw: loads by local hour of the day; electricity_mw, heat_mw: by step instead.
    electricity_shift_share, heat_shift_share: largest change of a load in either direction, as a share of it.
    electricity_discomfort_per_mw2h, heat_discomfort_per_mw2h: ``kappa`` of the cost ``kappa x^2 / 2`` per hour.
    """

    id: str
    electricity_by_hour_mw: DayShape | None = None
    heat_by_hour_mw: DayShape | None = None
    electricity_mw: Series | None = None
    heat_mw: Series | None = None
    electricity_shift_share: Share = 0.15
    heat_shift_share: Share = 0.10
    electricity_discomfort_per_mw2h: Positive = 2000.0
    heat_discomfort_per_mw2h: Positive = 2000.0


class BidBand(CaseModel):
    """Lowest offer and highest bid, currency per MWh; a cleared price outside is flagged and clipped when posted."""

    floor_per_mwh: float
    ceiling_per_mwh: float


class Retail(CaseModel):
    """Fixed prices of scenarios 1 and 2: the grid's price and the first boiler's marginal cost, each with a markup.

    electricity_per_mwh, heat_per_mwh: by step instead of the markups.
    """

    electricity_markup: Annotated[float, Field(gt=-1)] = 0.0
    heat_markup: Annotated[float, Field(gt=-1)] = 0.0
    electricity_per_mwh: tuple[float, ...] | None = None
    heat_per_mwh: tuple[float, ...] | None = None


class Iteration(CaseModel):
    """How ``method: best_response`` updates quantities.

    Attributes
    ----------
    update: ``fully_corrective`` (all cost cuts kept), ``damped`` (step ``2 / (k + 2)``) or ``undamped`` (as printed in the
        paper; may cycle).
    rounds_max: at most so many rounds; tolerance: stop at this gap, relative to the cost.
    """

    update: Literal["fully_corrective", "damped", "undamped"] = "fully_corrective"
    rounds_max: Count = 80
    tolerance: Positive = 1e-8


class Swarm(CaseModel):
    """Effort of ``method: pso``."""

    particles: Count = 30
    iterations: Count = 80
    residual_penalty: NonNegative = 0.05


class EnergyClearingCase(Case):
    """A supplier of electricity and heat, parks that answer prices, and a market that clears both; prices per MWh.

    Attributes
    ----------
    grid_price_by_hour_per_mwh: price of purchase from and sale to the grid, by local hour; grid_price_per_mwh: by step.
    gas_price_by_hour_per_m3: by local hour; gas_heating_value_kwh_per_m3: lower heating value.
    electricity_program_per_mwh, heat_program_per_mwh: what the supplier pays parks per MWh reduced; a transfer only.
    lost_load_per_mwh: what unserved load costs a park; it keeps the market feasible.
    """

    market_name: ClassVar[str] = "energy_clearing"

    market: Literal["energy_clearing"] = "energy_clearing"
    currency: str = "RMB"
    grid_price_by_hour_per_mwh: DayShape | None = None
    grid_price_per_mwh: tuple[float, ...] | None = None
    gas_price_by_hour_per_m3: DayShape
    gas_heating_value_kwh_per_m3: Positive = 9.7
    exchange: Exchange
    turbines: tuple[GasTurbine, ...] = ()
    boilers: tuple[Boiler, ...] = ()
    wind: tuple[RenewableUnit, ...] = ()
    pv: tuple[RenewableUnit, ...] = ()
    storage: tuple[Store, ...] = ()
    heat_storage: tuple[Store, ...] = ()
    parks: Annotated[tuple[ClearingPark, ...], Field(min_length=1)]
    electricity_band: BidBand = BidBand(floor_per_mwh=200.0, ceiling_per_mwh=1300.0)
    heat_band: BidBand = BidBand(floor_per_mwh=50.0, ceiling_per_mwh=600.0)
    retail: Retail = Retail()
    electricity_program_per_mwh: NonNegative = 0.0
    heat_program_per_mwh: NonNegative = 0.0
    lost_load_per_mwh: Positive = 5000.0
    iteration: Iteration = Iteration()
    swarm: Swarm = Swarm()

    @property
    def nominal_load_mw(self) -> float:
        """Highest electricity load of all parks together, MW."""
        return float(np.sum(list(self._park_loads().values()), axis=0).max())

    def _park_loads(self) -> dict[str, NDArray[np.float64]]:
        return {
            park.id: np.asarray(park.electricity_by_hour_mw or park.electricity_mw, dtype=float) for park in self.parks
        }

    def _load_shares(self) -> dict[str, float]:
        loads = {park: float(load.mean()) for park, load in self._park_loads().items()}
        return {park: load / sum(loads.values()) for park, load in loads.items()}

    def faults(self) -> list[str]:
        """See ``dispatch.case_clearing_checks``."""
        from dispatch.case_clearing_checks import clearing_faults

        return clearing_faults(self)

    def with_inputs(
        self,
        *,
        spot_price_per_mwh: ArrayLike | None = None,
        load_mw: ArrayLike | Mapping[str, ArrayLike] | None = None,
        heat_mw: Mapping[str, ArrayLike] | None = None,
        wind_mw: Mapping[str, ArrayLike] | None = None,
        pv_mw: Mapping[str, ArrayLike] | None = None,
        index: pd.DatetimeIndex | None = None,
        step_hours: float | None = None,
        name: str | None = None,
    ) -> EnergyClearingCase:
        """The same supplier and parks on another day, such as a forecast day of 23, 24, 25, 92, 96 or 100 steps.

        Parameters
        ----------
        spot_price_per_mwh: the grid's price ``[T]``; may be negative.
        load_mw: electricity, ``[T]`` of all parks together (shared like their daily energy) or ``{park: [T]}``.
        heat_mw: ``{park: [T]}``; wind_mw, pv_mw: ``{unit: [T]}``. What is not named keeps its hourly values.
        index: start of each step; its local hour picks from hourly values.
        step_hours: length of a step; by default the spacing of ``index``, else that of this case.
        name: of the new case.

        Raises
        ------
        CaseError
            If lengths differ, a value is NaN, or a park or unit is unknown.

        Examples
        --------
        >>> from dispatch import load_case
        >>> load_case("energy_clearing").with_inputs(spot_price_per_mwh=[400.0] * 25).steps
        25
        """
        data = self.model_dump(exclude={"index"}, exclude_unset=True)
        data["step_hours"] = step_hours = self.step_hours_on(index, step_hours)
        price = None if spot_price_per_mwh is None else plain_values(spot_price_per_mwh)
        price = price or self.grid_price_per_mwh
        steps = len(index) if index is not None else len(price) if price is not None else self.steps
        data |= {"index": index, "name": name or self.name, "horizon_hours": steps * step_hours}
        if price is not None:
            data["grid_price_per_mwh"] = price
        if load_mw is not None and not isinstance(load_mw, Mapping):
            load_mw = {park: share * np.asarray(load_mw, dtype=float) for park, share in self._load_shares().items()}
        faults = [
            fault
            for section, key, given in (
                ("parks", "electricity_mw", load_mw),
                ("parks", "heat_mw", heat_mw),
                ("wind", "available_mw", wind_mw),
                ("pv", "available_mw", pv_mw),
            )
            for fault in _replace(data.get(section, ()), section, key, given or {})
        ]
        return self.remade(data, faults)


def _replace(units: Any, section: str, key: str, given: Mapping[str, ArrayLike]) -> list[str]:
    """Writes given series into the units they name; a fault per name that no unit has."""
    known = {unit["id"]: unit for unit in units}
    for name, series in given.items():
        if name in known:
            known[name][key] = plain_values(series)
    return [f"{section}: no '{name}'; this case has {', '.join(known)}" for name in given if name not in known]
