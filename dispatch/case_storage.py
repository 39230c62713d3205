"""What every market's case states about a battery, and when a battery cannot do what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from dispatch.case import CaseModel, NonNegative, Positive

Efficiency = Annotated[float, Field(gt=0, le=1)]


class Battery(CaseModel):
    """Limits, efficiency and wear of a battery; see ``dispatch.assets.storage`` for the equations.

    Attributes
    ----------
    energy_end: stored energy at the end of the horizon: ``equal`` to the start, ``at_least`` the start, or ``free``.
    wear_per_mwh: cost of wear per MWh that passes the cells.
    """

    energy_min_mwh: NonNegative = 0.0
    energy_max_mwh: Positive
    energy_start_mwh: NonNegative
    energy_end: Literal["equal", "at_least", "free"] = "equal"
    charge_max_mw: NonNegative
    discharge_max_mw: NonNegative
    charge_efficiency: Efficiency = 0.95
    discharge_efficiency: Efficiency = 0.95
    self_discharge_per_hour: Annotated[float, Field(ge=0, lt=1)] = 0.0
    wear_per_mwh: NonNegative = 0.0


def battery_faults(where: str, unit: Battery, steps: int, step_hours: float) -> Iterator[str]:
    """Contradictions within one battery: limits, a start outside them, a start to which it cannot return."""
    low, high, start = unit.energy_min_mwh, unit.energy_max_mwh, unit.energy_start_mwh
    if low > high:
        yield f"{where}: energy_min_mwh {low:g} is above energy_max_mwh {high:g}"
        return
    if not low <= start <= high:
        yield f"{where}: energy_start_mwh {start:g} is outside its limits [{low:g}, {high:g}]"
        return
    most, needed = start, 0.0 if unit.energy_end == "free" else start
    for step in range(steps):
        kept = (1 - unit.self_discharge_per_hour * step_hours) * most
        most = min(high, kept + unit.charge_efficiency * unit.charge_max_mw * step_hours)
        if most < low * (1 - 1e-9):
            yield (
                f"{where}: falls below energy_min_mwh {low:g} at step {step} although it only charges: self-discharge "
                f"{unit.self_discharge_per_hour:g} per hour outruns charge_max_mw {unit.charge_max_mw:g}"
            )
            return
    if most < needed * (1 - 1e-9):
        yield (
            f"{where}: cannot return to energy_start_mwh {start:g}: with all steps spent charging it ends at {most:.4g} MWh; "
            "raise charge_max_mw, lower self_discharge_per_hour or let energy_end be 'free'"
        )
