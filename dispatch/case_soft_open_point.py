"""The case of a distribution network operator with prosumers and a multi-terminal soft open point: what a user may state.

Lou et al. 2025, doi 10.3389/fenrg.2025.1537562. The paper adds money and per-unit voltage with weights; here the voltage
deviation carries a price of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import Field

from dispatch.case import Case, CaseModel, NonNegative, Positive, Share, plain_values
from dispatch.case_adno import Network

Series = tuple[float, ...]


class Battery(CaseModel):
    """A prosumer's battery; wear costs ``wear (eta_c P_c + P_d / eta_d)`` per hour (Lou et al. 2025, Eqs. 20, 22-25)."""

    energy_min_mwh: NonNegative
    energy_max_mwh: Positive
    energy_start_mwh: NonNegative
    charge_max_mw: Positive
    discharge_max_mw: Positive
    charge_efficiency: Annotated[float, Field(gt=0, le=1)] = 0.95
    discharge_efficiency: Annotated[float, Field(gt=0, le=1)] = 0.95
    wear_per_mwh: NonNegative = 20.0


class Prosumer(CaseModel):
    """A customer with PV at a bus; its load takes the place of the feeder's active load there.

    Attributes
    ----------
    load_peak_mw, pv_capacity_mw: scale of the case's shapes. load_mw, pv_mw: series by step instead of them.
    """

    id: str
    bus: int
    load_peak_mw: NonNegative = 0.0
    pv_capacity_mw: NonNegative = 0.0
    load_mw: tuple[NonNegative, ...] | None = None
    pv_mw: tuple[NonNegative, ...] | None = None
    battery: Battery | None = None


class Flexibility(CaseModel):
    """Transferable load of every prosumer: ``|d| <= share * load``, ``sum d = 0``, ``discomfort d^2`` per hour (Eqs. 26-27)."""

    share: Share = 0.2
    discomfort_per_mw2h: Positive = 400.0


class SoftOpenPoint(CaseModel):
    """Converters on one direct-current side (Lou et al. 2025, Eqs. 11-17, 40); each injects at its bus.

    Attributes
    ----------
    buses: one converter each. terminals_max: how many of the buses get one, chosen with the prices for the whole horizon (the
        paper's feeder selection); None for all.
    power_mva: capacity of a converter. reactive_max_mvar: limit of its reactive power.
    loss_share: losses per MVA passed, ``P_loss >= loss_share * |S|``.
    """

    buses: tuple[int, ...]
    power_mva: Positive = 1.0
    reactive_max_mvar: NonNegative = 0.8
    loss_share: Share = 0.02
    terminals_max: Annotated[int, Field(ge=2)] | None = None


class PriceBand(CaseModel):
    """Limits of the prices that prosumers face, by default the grid's own: its sale price below, its purchase price above."""

    low_per_mwh: float | Series | None = None
    high_per_mwh: float | Series | None = None


class Weights(CaseModel):
    """The operator's objective: ``cost * money + voltage * voltage_price * sum |deviation of u| dt`` plus soft limits.

    Attributes
    ----------
    cost, voltage: the paper's weights (Eq. 1). voltage_price_per_pu_h: price of a deviation of the squared voltage.
    limit_price_per_pu_h: penalty of a squared voltage outside its limits; not weighted.
    loss_price_per_mwh: price of losses beyond their purchase.
    """

    cost: NonNegative = 0.7
    voltage: NonNegative = 0.3
    voltage_price_per_pu_h: NonNegative = 50.0
    limit_price_per_pu_h: Positive = 10_000.0
    loss_price_per_mwh: NonNegative = 600.0


class SoftOpenPointCase(Case):
    """A network operator that prices prosumers' trade and steers converters between the ends of its feeder.

    pv_scale: factor on the PV of every prosumer, for studies of how much the feeder takes.
    spot_floor_per_mwh: lowest price that ``with_inputs`` takes over; at or below zero batteries could gain by charging and
    discharging at once, which the prosumers' conditions leave out.
    """

    market_name: ClassVar[str] = "soft_open_point"

    market: Literal["soft_open_point"] = "soft_open_point"
    network: Network
    voltage_reference_pu: Positive = 1.0
    spot_floor_per_mwh: Positive = 1.0
    load_shape: Series
    hv_buy_per_mwh: Series
    hv_sell_per_mwh: float | Series
    price_band: PriceBand = PriceBand()
    weights: Weights = Weights()
    soft_open_point: SoftOpenPoint | None = None
    prosumers: tuple[Prosumer, ...]
    prosumer_load_shape: Series | None = None
    pv_shape: Series | None = None
    pv_scale: NonNegative = 1.0
    flexibility: Flexibility | None = Flexibility()

    def faults(self) -> list[str]:
        """See ``dispatch.case_soft_open_point_checks``."""
        from dispatch.case_soft_open_point_checks import soft_open_point_faults

        return soft_open_point_faults(self)

    def with_inputs(
        self,
        *,
        spot_price_per_mwh: ArrayLike | None = None,
        load_mw: ArrayLike | None = None,
        prosumer_load_mw: Mapping[str, ArrayLike] | None = None,
        pv_mw: Mapping[str, ArrayLike] | None = None,
        index: pd.DatetimeIndex | None = None,
        step_hours: float | None = None,
        name: str | None = None,
    ) -> SoftOpenPointCase:
        """The same network and prosumers on another day.

        Series that are not given keep their values by time of day.

        Parameters
        ----------
        spot_price_per_mwh: ``[T]``, purchase price of the grid above, not below ``spot_floor_per_mwh``; its sale price keeps its
            mean ratio to the purchase price, and so do the ends of a price band that is stated.
        load_mw: ``[T]``, load of the whole feeder; shared like the nominal load.
        prosumer_load_mw, pv_mw: ``{prosumer id: [T]}``.
        index: start of each step. step_hours: by default the spacing of ``index``. name: of the new case.

        Raises
        ------
        CaseError
            If lengths differ, a value is NaN or a prosumer is unknown.

        Examples
        --------
        >>> from dispatch import load_case
        >>> load_case("soft_open_point").with_inputs(load_mw=[2.0] * 24).steps
        24
        """
        from dispatch.markets.soft_open_point_inputs import nominal_load_mw

        step_hours = self.step_hours_on(index, step_hours)
        series = [s for s in (spot_price_per_mwh, load_mw) if s is not None]
        series += [*(prosumer_load_mw or {}).values(), *(pv_mw or {}).values()]
        steps = len(index) if index is not None else len(np.asarray(series[0])) if series else self.steps
        data = self.model_dump(exclude={"index"}, exclude_unset=True)
        data |= {"step_hours": step_hours, "horizon_hours": steps * step_hours, "index": index}
        data["name"] = name or self.name
        at = np.floor(np.arange(steps) * step_hours / self.step_hours + 1e-9).astype(int) % self.steps

        def picked(values: object) -> object:
            return tuple(np.asarray(values, dtype=float)[at].tolist()) if isinstance(values, (tuple, list)) else values

        for key in ("load_shape", "hv_buy_per_mwh", "hv_sell_per_mwh", "prosumer_load_shape", "pv_shape"):
            data[key] = picked(data.get(key))
        data["price_band"] = {key: picked(value) for key, value in self.price_band.model_dump().items()}
        if load_mw is not None:
            data["load_shape"] = plain_values(np.asarray(load_mw, dtype=float) / nominal_load_mw(self))
        if spot_price_per_mwh is not None:
            price = np.maximum(np.asarray(spot_price_per_mwh, dtype=float), self.spot_floor_per_mwh)
            mean = float(np.mean(self.hv_buy_per_mwh))
            data["hv_buy_per_mwh"] = plain_values(price)
            data["hv_sell_per_mwh"] = plain_values(np.mean(self.hv_sell_per_mwh) / mean * price)
            data["price_band"] = {
                key: None if value is None else plain_values(np.mean(value) / mean * price)
                for key, value in self.price_band.model_dump().items()
            }
        known = [prosumer.id for prosumer in self.prosumers]
        given = {"load_mw": prosumer_load_mw or {}, "pv_mw": pv_mw or {}}
        faults = [
            f"{'prosumer_load_mw' if key == 'load_mw' else key}: no prosumer '{i}'; this case has {known}"
            for key, values in given.items()
            for i in values
            if i not in known
        ]
        for section in data["prosumers"]:
            for key, values in given.items():
                section[key] = (
                    plain_values(values[section["id"]]) if section["id"] in values else picked(section.get(key))
                )
        return self.remade(data, faults)
