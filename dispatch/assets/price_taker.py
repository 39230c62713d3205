"""A party that takes tariffs as given and answers with its cheapest plan: microgrids, prosumers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class QuadraticTurbine(Protocol):
    """What a turbine must state; see ``dispatch.case_microgrids.Turbine`` for units."""

    @property
    def power_max_mw(self) -> float: ...
    @property
    def cost_quadratic_per_mw2h(self) -> float: ...
    @property
    def cost_linear_per_mwh(self) -> float: ...
    @property
    def ramp_up_mw_per_hour(self) -> float | None: ...
    @property
    def ramp_down_mw_per_hour(self) -> float | None: ...


@dataclass(frozen=True, eq=False)
class Channel:
    """A power flow in or out of a reservoir.

    output: +1 if the flow feeds the microgrid, -1 if it takes from it.
    draw: energy taken out of the reservoir per unit of flow (negative if it fills it).
    lower, upper: ``[T]``, MW. wear, price: cost ``wear x^2 + price x`` per hour.
    """

    name: str
    output: float
    draw: float
    lower: FloatArray
    upper: FloatArray
    wear: float
    price: float = 0.0


@dataclass(frozen=True, eq=False)
class Reservoir:
    """A battery, or load that is moved within the day: what goes in comes out.

    energy_min, energy_max: limits of the content, MWh, infinite for shifted load; energy_start: content at both ends.
    """

    name: str
    channels: tuple[Channel, ...]
    energy_min: float
    energy_max: float
    energy_start: float

    @property
    def bounded(self) -> bool:
        """True if the content has limits of its own."""
        return bool(np.isfinite(self.energy_max))


@dataclass(frozen=True, eq=False)
class PriceTaker:
    """A follower that buys and sells at tariffs it does not make: load, production, turbine and reservoirs.

    load, available: ``[T]``, demand and production, MW; curtailable: ``[T]``, production that may be given up, MW.
    trade_limit: largest exchange in either direction, MW.
    running_cost_per_hour: what the turbine costs in every hour in which it runs; above zero it may be switched off, which
        makes the answer a mixed-integer one.
    """

    name: str
    step_hours: float
    load: FloatArray
    available: FloatArray
    curtailable: FloatArray
    trade_limit: float
    turbine: QuadraticTurbine | None
    reservoirs: tuple[Reservoir, ...]
    running_cost_per_hour: float = 0.0

    @property
    def committed(self) -> bool:
        """True if the turbine is switched on and off."""
        return self.turbine is not None and self.running_cost_per_hour > 0

    @property
    def steps(self) -> int:
        """Number of steps ``T``."""
        return len(self.load)

    @property
    def net_load(self) -> FloatArray:
        """Load less available production, ``[T]``."""
        return self.load - self.available
