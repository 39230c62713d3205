"""The case of a distribution-network agent and its industrial parks (Chen et al. 2024, doi 10.3389/fenrg.2024.1348823)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from dispatch.case import Case, CaseModel, DayShape, NonNegative, Positive, Share, plain_values
from dispatch.case_storage import Battery
from dispatch.errors import CaseWarning

Hour = Annotated[int, Field(ge=0, le=23)]
Series = tuple[NonNegative, ...]


class PriceBand(CaseModel):
    """Limits of the price offered to a park, as ratios of the day-ahead price of the same step."""

    floor_ratio: NonNegative = 0.8
    ceiling_ratio: NonNegative = 1.2


class RealTime(CaseModel):
    """Real-time prices, as ratios of the day-ahead price."""

    buy_ratio: NonNegative = 1.2
    sell_ratio: NonNegative = 0.8


class NeighbourTrade(CaseModel):
    """Trade with the neighbouring network's agent.

    Attributes
    ----------
    price_ratio: price of the trade, as a ratio of the day-ahead price.
    power_max_mw: largest trade in either direction.
    surplus_by_hour_mw, deficit_by_hour_mw: what the neighbour can give and take, by local hour of the day.
    """

    price_ratio: NonNegative = 0.9
    power_max_mw: NonNegative = 0.0
    surplus_by_hour_mw: DayShape = (0.0,) * 24
    deficit_by_hour_mw: DayShape = (0.0,) * 24


class CountedBattery(Battery):
    """A battery with a limited number of charge and discharge starts (or hours) per horizon.

    ``wear_per_mwh`` is paid per MWh charged or discharged at the terminals.
    """

    id: str
    charge_limit: Annotated[int, Field(ge=0)] | None = None
    discharge_limit: Annotated[int, Field(ge=0)] | None = None
    limit_counts: Literal["starts", "hours"] = "starts"

    @property
    def reactive_max_mvar(self) -> float:
        """Always zero: the agent's market has no voltages."""
        return 0.0


class Park(CaseModel):
    """A park with load, wind, photovoltaics and distributed generation.

    Attributes
    ----------
    load_by_hour_mw: by local hour of the day; load_mw: by step instead.
    wind_capacity_mw, pv_capacity_mw: times the case's shapes; wind_available_mw, pv_available_mw: by step instead.
    load_sd_mw, wind_sd_mw, pv_sd_mw: standard deviation of the forecast error by step; by default the case's shares.
    generator_min_mw, generator_max_mw, generator_cost_per_mwh: distributed generation.
    purchase_max_mw: limit of purchase from the agent; none by default.
    sale_max_mw: limit of sale to the agent; by default all that the park can generate.
    """

    id: str
    load_by_hour_mw: DayShape | None = None
    load_mw: Series | None = None
    wind_capacity_mw: NonNegative = 0.0
    pv_capacity_mw: NonNegative = 0.0
    wind_available_mw: Series | None = None
    pv_available_mw: Series | None = None
    load_sd_mw: Series | None = None
    wind_sd_mw: Series | None = None
    pv_sd_mw: Series | None = None
    generator_min_mw: NonNegative = 0.0
    generator_max_mw: NonNegative = 0.0
    generator_cost_per_mwh: NonNegative = 0.0
    purchase_max_mw: NonNegative | None = None
    sale_max_mw: NonNegative | None = None


@dataclass(frozen=True)
class ParkWind:
    """Wind power within a park: the park's id, and its capacity."""

    id: str
    capacity_mw: float


class ForecastError(CaseModel):
    """Standard deviation of forecast errors as a share of the forecast of the same step."""

    load_share: NonNegative = 0.05
    pv_share: NonNegative = 0.10
    wind_share: NonNegative = 0.12


class Flexibility(CaseModel):
    """Load that a park can move within the horizon (variant ``flex``).

    Attributes
    ----------
    share: largest change of the load in either direction, as a share of it.
    discomfort_per_mw2h: ``kappa`` of the cost ``kappa d^2 / 2`` per hour, currency/(MW^2 h).
    """

    share: Share = 0.1
    discomfort_per_mw2h: Positive = 400.0


class TimeOfUse(CaseModel):
    """The tariff posted before the agent sets prices: scaled to the average cap and kept within the price band."""

    valley_hours: tuple[Hour, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 22, 23)
    peak_hours: tuple[Hour, ...] = (10, 11, 13, 14, 15, 16, 17)
    valley_price_per_mwh: NonNegative = 380.0
    flat_price_per_mwh: NonNegative = 550.0
    peak_price_per_mwh: NonNegative = 800.0


class Agent(CaseModel):
    """An agent: its trade limits, its storage and its parks."""

    day_ahead_max_mw: NonNegative
    real_time_max_mw: NonNegative = 0.0
    storage: tuple[CountedBattery, ...] = ()
    parks: Annotated[tuple[Park, ...], Field(min_length=1)]


class IndustrialParksCase(Case):
    """An agent that buys at wholesale, runs storage, and prices the energy of its parks; prices per MWh.

    Attributes
    ----------
    average_price_cap_per_mwh: largest mean over steps of the price offered to a park.
    buy_back_ratio: the agent buys parks' surplus at this ratio of its own price; none: parks cannot sell.
    rt_sale: ``ladder`` sells in real time at ``real_time.sell_ratio``; ``paper`` at ``real_time.buy_ratio``, as printed.
    rt_sale_within_discharge: with ``paper``, real-time sale is at most what the storage discharges.
    neighbour: ``none``; ``series`` trades against the hourly surplus and deficit in ``neighbour_trade``; ``joint`` solves
        both agents together over one tie line, with ``neighbour_agent`` in full.
    confidence: probability with which a park's generation reserve covers the error of its forecasts.
    """

    market_name: ClassVar[str] = "industrial_parks"

    market: Literal["industrial_parks"] = "industrial_parks"
    currency: str = "RMB"
    day_ahead_price_per_mwh: tuple[float, ...]
    price_band: PriceBand = PriceBand()
    average_price_cap_per_mwh: float | Literal["mean_day_ahead"] = "mean_day_ahead"
    buy_back_ratio: NonNegative | None = None
    real_time: RealTime = RealTime()
    rt_sale: Literal["ladder", "paper"] = "ladder"
    rt_sale_within_discharge: bool = True
    neighbour: Literal["none", "series", "joint"] = "none"
    neighbour_trade: NeighbourTrade = NeighbourTrade()
    neighbour_agent: Agent | None = None
    agent: Agent
    wind_shape: DayShape = (0.0,) * 24
    pv_shape: DayShape = (0.0,) * 24
    forecast_error: ForecastError = ForecastError()
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.9
    flexibility: Flexibility = Flexibility()
    time_of_use: TimeOfUse = TimeOfUse()

    @property
    def agents(self) -> dict[str, Agent]:
        """The agents that are solved together, by name."""
        if self.neighbour == "joint" and self.neighbour_agent is not None:
            return {"agent": self.agent, "neighbour": self.neighbour_agent}
        return {"agent": self.agent}

    @property
    def wind(self) -> tuple[ParkWind, ...]:
        """Wind power by park, for forecasts of sites that feed it."""
        parks = (park for agent in self.agents.values() for park in agent.parks)
        return tuple(ParkWind(park.id, park.wind_capacity_mw) for park in parks if park.wind_capacity_mw > 0)

    @property
    def nominal_load_mw(self) -> float:
        """Highest load of all parks together, MW."""
        return float(np.sum(list(self._park_loads().values()), axis=0).max())

    def _park_loads(self) -> dict[str, NDArray[np.float64]]:
        parks = [park for agent in self.agents.values() for park in agent.parks]
        return {park.id: np.asarray(park.load_by_hour_mw or park.load_mw, dtype=float) for park in parks}

    def _load_shares(self) -> dict[str, float]:
        loads = {park: float(load.mean()) for park, load in self._park_loads().items()}
        return {park: load / sum(loads.values()) for park, load in loads.items()}

    def faults(self) -> list[str]:
        """See ``dispatch.case_parks_checks``."""
        from dispatch.case_parks_checks import parks_faults

        return parks_faults(self)

    def remarks(self) -> list[str]:
        """What is allowed but leads to answers that a user may not expect."""
        if self.rt_sale == "ladder" and self.real_time.sell_ratio <= 1:
            return []
        ratio = self.real_time.buy_ratio if self.rt_sale == "paper" else self.real_time.sell_ratio
        bound = "storage discharge" if self.rt_sale == "paper" and self.rt_sale_within_discharge else "the trade limits"
        remark = (
            f"Real-time sale at {ratio:g} times the day-ahead price is above its purchase price: buying ahead and selling "
            f"in real time earns {ratio - 1:.2g} of the price without any park, bounded only by {bound}."
        )
        return [remark]

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], name: str = "unnamed") -> Self:
        """As ``Case.from_mapping``; warns with ``CaseWarning`` of arbitrage between day-ahead and real-time prices."""
        case = super().from_mapping(data, name)
        for remark in case.remarks():
            warnings.warn(f"case {name}: {remark}", CaseWarning, stacklevel=2)
        return case

    def with_inputs(
        self,
        *,
        spot_price_per_mwh: ArrayLike | None = None,
        load_mw: ArrayLike | Mapping[str, ArrayLike] | None = None,
        wind_mw: Mapping[str, ArrayLike] | None = None,
        pv_mw: Mapping[str, ArrayLike] | None = None,
        load_sd_mw: Mapping[str, ArrayLike] | None = None,
        wind_sd_mw: Mapping[str, ArrayLike] | None = None,
        pv_sd_mw: Mapping[str, ArrayLike] | None = None,
        index: pd.DatetimeIndex | None = None,
        step_hours: float | None = None,
        name: str | None = None,
    ) -> IndustrialParksCase:
        """The same agent and parks on another day, such as a forecast day of 23, 24, 25, 92, 96 or 100 steps.

        Parameters
        ----------
        spot_price_per_mwh: day-ahead price ``[T]``; may be negative.
        load_mw: ``[T]`` of all parks together (shared like their daily energy) or ``{park: [T]}``.
        wind_mw, pv_mw: ``{park: [T]}``; parks that are not named keep their hourly values.
        load_sd_mw, wind_sd_mw, pv_sd_mw: ``{park: [T]}``, standard deviation of the forecast error, for the reserve.
        index: start of each step; its local hour picks from hourly values.
        step_hours: length of a step; by default the spacing of ``index``, else that of this case.
        name: of the new case.

        Raises
        ------
        CaseError
            If lengths differ, a value is NaN, a park is unknown, or a park cannot be served.

        Examples
        --------
        >>> from dispatch import load_case
        >>> load_case("industrial_parks").with_inputs(spot_price_per_mwh=[400.0] * 25).steps
        25
        """
        data = self.model_dump(exclude={"index"}, exclude_unset=True)
        price = plain_values(self.day_ahead_price_per_mwh if spot_price_per_mwh is None else spot_price_per_mwh)
        data["step_hours"] = step_hours = self.step_hours_on(index, step_hours)
        data["horizon_hours"] = len(price if index is None else index) * step_hours
        data |= {"day_ahead_price_per_mwh": price, "index": index, "name": name or self.name}
        if load_mw is not None and not isinstance(load_mw, Mapping):
            total = np.asarray(load_mw, dtype=float)
            load_mw = {park: share * total for park, share in self._load_shares().items()}
        series = {
            "load_mw": load_mw,
            "wind_available_mw": wind_mw,
            "pv_available_mw": pv_mw,
            "load_sd_mw": load_sd_mw,
            "wind_sd_mw": wind_sd_mw,
            "pv_sd_mw": pv_sd_mw,
        }
        parks = [park for key in ("agent", "neighbour_agent") for park in (data.get(key) or {}).get("parks", ())]
        known = [park["id"] for park in parks]
        faults = []
        for key, given in series.items():
            faults += [f"{key}: no park '{i}'; this case has {', '.join(known)}" for i in given or {} if i not in known]
            for park in parks:
                if given is not None and park["id"] in given:
                    park[key] = plain_values(given[park["id"]])
        return self.remade(data, faults)
