"""The case of a distribution system operator that trades with microgrids: what a user may state.

Chen et al. 2024, doi 10.3389/fenrg.2024.1450731. The paper prints its cost coefficients without units; here power is in
MW, prices are per MWh and all money is in the case's currency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import Field

from dispatch.case import Case, CaseModel, NonNegative, Positive, Share, plain_values


class Turbine(CaseModel):
    """A micro gas turbine with the cost ``a g^2 + b g`` per hour (Chen et al. 2024, Eqs. 7, 13-14).

    Attributes
    ----------
    cost_quadratic_per_mw2h, cost_linear_per_mwh: ``a``, ``b``.
    cost_fixed_per_hour: ``c``, paid in every hour in which the unit runs where the case says ``mt_commitment``. Without, it
        would be paid in every hour whatever anyone decides; it is left out of costs and named in a note. (The paper's own
        values add up to more than the total costs that it reports.)
    ramp_up_mw_per_hour, ramp_down_mw_per_hour: none by default.
    """

    power_max_mw: Positive
    cost_quadratic_per_mw2h: Positive
    cost_linear_per_mwh: NonNegative
    cost_fixed_per_hour: NonNegative = 0.0
    ramp_up_mw_per_hour: Positive | None = None
    ramp_down_mw_per_hour: Positive | None = None


class Battery(CaseModel):
    """A battery whose wear costs ``wear P^2`` per hour (Chen et al. 2024, Eqs. 8, 15-18).

    The energy at the end of the horizon equals that at its start. The paper knows no losses: efficiencies are 1 by default.
    """

    energy_min_mwh: NonNegative = 0.0
    energy_max_mwh: Positive
    energy_start_mwh: NonNegative
    charge_max_mw: Positive
    discharge_max_mw: Positive
    charge_efficiency: Annotated[float, Field(gt=0, le=1)] = 1.0
    discharge_efficiency: Annotated[float, Field(gt=0, le=1)] = 1.0
    wear_per_mw2h: Positive


class ShiftableLoad(CaseModel):
    """Load that may be moved within the horizon: ``|d| <= share * load``, ``sum d = 0``, at ``discomfort d^2`` per hour.

    The paper uses demand response without stating it; this form keeps the microgrid's answer unique.
    """

    share: Share
    discomfort_per_mw2h: Positive


class Microgrid(CaseModel):
    """One microgrid.

    Attributes
    ----------
    load_mw: demand by step. wind_mw, pv_mw: what could be produced by step; surplus may be curtailed.
    net_load_mw: demand less production, where the two are not known apart (its negative part counts as production).
    wind_capacity_mw, pv_capacity_mw: scale of a forecast that is fed in; the largest stated value by default.
    trade_limit_mw: largest exchange with the operator in either direction.
    """

    id: str
    load_mw: tuple[NonNegative, ...] | None = None
    wind_mw: tuple[NonNegative, ...] | None = None
    pv_mw: tuple[NonNegative, ...] | None = None
    net_load_mw: tuple[float, ...] | None = None
    wind_capacity_mw: Positive | None = None
    pv_capacity_mw: Positive | None = None
    trade_limit_mw: Positive
    turbine: Turbine | None = None
    battery: Battery | None = None
    shiftable: ShiftableLoad | None = None


class SpotLink(CaseModel):
    """Grid tariffs that follow a price series fed in by ``with_inputs``: ``buy = price + fee``, ``feed-in = share * price``.

    Negative prices count as zero: neither tariff may pay for consumption.
    """

    buy_fee_per_mwh: NonNegative = 0.0
    feed_in_share: Share = 0.5


class Service(CaseModel):
    """A microgrid that answers over HTTP (see ``dispatch.microgrid_service``); the token is read from an environment variable."""

    microgrid: str
    url: Annotated[str, Field(pattern="^https?://")]
    token_variable: str = "MICROGRID_TOKEN"


class Search(CaseModel):
    """Effort of the methods that only see the microgrids' answers (``kriging``, ``pso``, ``ga``).

    Attributes
    ----------
    calls: largest number of tariffs that the microgrids are asked to answer.
    kriging: ``local`` (regions with Kriging of the samples near by) or ``paper`` (one Kriging model of the whole range, as in
        Chen et al. 2024, section 4.2, after a first sample of nine points for each tariff).
    services: microgrids that are asked over HTTP instead of in this process.
    """

    calls: Annotated[int, Field(ge=20)] = 600
    kriging: Literal["local", "paper"] = "local"
    services: tuple[Service, ...] = ()


@dataclass(frozen=True)
class Site:
    """A wind or PV plant as a forecast is fed to it."""

    id: str
    capacity_mw: float


class MicrogridsCase(Case):
    """An operator that sets a buy and a sell tariff between the grid's own, and microgrids that answer.

    mt_commitment: microgrids switch their turbines on and off, and pay ``cost_fixed_per_hour`` while they run.
    """

    market_name: ClassVar[str] = "microgrids"

    market: Literal["microgrids"] = "microgrids"
    grid_buy_per_mwh: tuple[float, ...]
    feed_in_per_mwh: tuple[float, ...]
    microgrids: tuple[Microgrid, ...]
    mt_commitment: bool = False
    spot_link: SpotLink = SpotLink()
    search: Search = Search()

    @property
    def wind(self) -> tuple[Site, ...]:
        """Wind sites by the id of their microgrid."""
        return tuple(_site(grid.id, grid.wind_mw, grid.wind_capacity_mw) for grid in self.microgrids if grid.wind_mw)

    @property
    def pv(self) -> tuple[Site, ...]:
        """PV sites by the id of their microgrid."""
        return tuple(_site(grid.id, grid.pv_mw, grid.pv_capacity_mw) for grid in self.microgrids if grid.pv_mw)

    @property
    def nominal_load_mw(self) -> float:
        """Largest load of all microgrids together, MW: the scale of a load forecast."""
        loads = [grid.load_mw or tuple(max(v, 0.0) for v in grid.net_load_mw or ()) for grid in self.microgrids]
        return max((sum(step) for step in zip(*loads, strict=True)), default=0.0)

    def faults(self) -> list[str]:
        """See ``dispatch.case_microgrids_checks``."""
        from dispatch.case_microgrids_checks import microgrids_faults

        return microgrids_faults(self)

    def with_inputs(
        self,
        *,
        spot_price_per_mwh: ArrayLike | None = None,
        load_mw: ArrayLike | Mapping[str, ArrayLike] | None = None,
        wind_mw: Mapping[str, ArrayLike] | None = None,
        pv_mw: Mapping[str, ArrayLike] | None = None,
        index: pd.DatetimeIndex | None = None,
        step_hours: float | None = None,
        name: str | None = None,
    ) -> MicrogridsCase:
        """The same microgrids on another day, such as a forecast day of 23, 24, 25, 92, 96 or 100 steps.

        Series that are not given keep their values, repeated by position in the day if the number of steps changes.

        Parameters
        ----------
        spot_price_per_mwh: ``[T]``; the grid's tariffs follow it by ``spot_link``.
        load_mw: ``[T]`` of all microgrids together (shared like their present energy), or ``{microgrid id: [T]}``.
        wind_mw, pv_mw: ``{microgrid id: [T]}``, what could be produced.
        index: start of each step.
        step_hours: length of a step; by default the spacing of ``index``, else that of this case.
        name: of the new case.

        Raises
        ------
        CaseError
            If lengths differ, a value is NaN, a microgrid is unknown or states only a net load, or cannot serve its load.

        Examples
        --------
        >>> from dispatch import load_case
        >>> load_case("microgrids").with_inputs(spot_price_per_mwh=[500.0] * 24).grid_buy_per_mwh[0]
        500.0
        """
        step_hours = self.step_hours_on(index, step_hours)
        given = [np.asarray(s, dtype=float) for s in (spot_price_per_mwh,) if s is not None]
        for series in (load_mw, wind_mw, pv_mw):
            if isinstance(series, Mapping):
                given += [np.asarray(values, dtype=float) for values in series.values()]
            elif series is not None:
                given.append(np.asarray(series, dtype=float))
        steps = len(index) if index is not None else len(given[0]) if given else self.steps
        data = self.model_dump(exclude={"index"}, exclude_unset=True)
        data |= {"step_hours": step_hours, "horizon_hours": steps * step_hours, "index": index}
        data["name"] = name or self.name
        source = _positions(steps, step_hours, self.steps, self.step_hours)
        for key in ("grid_buy_per_mwh", "feed_in_per_mwh"):
            data[key] = _picked(data[key], source)
        if spot_price_per_mwh is not None:
            price = np.clip(np.asarray(spot_price_per_mwh, dtype=float), 0.0, None)
            data["grid_buy_per_mwh"] = plain_values(price + self.spot_link.buy_fee_per_mwh)
            data["feed_in_per_mwh"] = plain_values(self.spot_link.feed_in_share * price)
        faults = self._with_series(data, source, load_mw, wind_mw or {}, pv_mw or {})
        return self.remade(data, faults)

    def _with_series(
        self,
        data: dict[str, object],
        source: Sequence[int],
        load_mw: ArrayLike | Mapping[str, ArrayLike] | None,
        wind_mw: Mapping[str, ArrayLike],
        pv_mw: Mapping[str, ArrayLike],
    ) -> list[str]:
        known = [grid.id for grid in self.microgrids]
        loads = load_mw if isinstance(load_mw, Mapping) else self._shared_load(load_mw)
        faults = [
            f"{label}: no microgrid '{i}'; this case has {known}"
            for label, series in (("load_mw", loads), ("wind_mw", wind_mw), ("pv_mw", pv_mw))
            for i in series
            if i not in known
        ]
        sections = data["microgrids"]
        assert isinstance(sections, (list, tuple))
        for section in sections:
            for key, series in (("load_mw", loads), ("wind_mw", wind_mw), ("pv_mw", pv_mw)):
                if section["id"] in series:
                    if section.get("net_load_mw") is not None:
                        faults.append(
                            f"microgrid '{section['id']}' states net_load_mw; a new {key} needs load_mw there"
                        )
                    section[key] = plain_values(series[section["id"]])
                elif section.get(key) is not None:
                    section[key] = _picked(section[key], source)
            if section.get("net_load_mw") is not None:
                section["net_load_mw"] = _picked(section["net_load_mw"], source)
        return faults

    def _shared_load(self, load_mw: ArrayLike | None) -> dict[str, ArrayLike]:
        if load_mw is None:
            return {}
        energy = {grid.id: sum(grid.load_mw or ()) for grid in self.microgrids}
        total = sum(energy.values()) or 1.0
        return {name: np.asarray(load_mw, dtype=float) * part / total for name, part in energy.items() if part > 0}


def _site(name: str, series: tuple[float, ...] | None, capacity: float | None) -> Site:
    return Site(name, capacity if capacity is not None else max(series or (0.0,)))


def _positions(steps: int, step_hours: float, known_steps: int, known_step_hours: float) -> list[int]:
    """Step of the known day at the same time of day, from the first again after its end."""
    elapsed = np.floor(np.arange(steps) * step_hours / known_step_hours + 1e-9).astype(int)
    return [int(at) % known_steps for at in elapsed]


def _picked(series: Sequence[float], source: Sequence[int]) -> tuple[float, ...]:
    return tuple(series[at] for at in source if at < len(series))
