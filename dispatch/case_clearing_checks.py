"""Faults of a case of the electricity and heat market that no single key can show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from dispatch.assets.storage import needs_binaries
from dispatch.case_clearing import EnergyClearingCase
from dispatch.case_storage import battery_faults
from dispatch.markets.energy_clearing_inputs import clearing_inputs


def clearing_faults(case: EnergyClearingCase) -> list[str]:
    """Every contradiction in the case, one line each; empty if the case can be used."""
    unreadable = [*_length_faults(case), *_identity_faults(case)]
    faults = [*unreadable, *_band_faults(case)]
    for section in ("storage", "heat_storage"):
        for place, unit in enumerate(getattr(case, section)):
            faults += battery_faults(f"{section}[{place}] ('{unit.id}')", unit, case.steps, case.step_hours)
    return faults if unreadable else [*faults, *_supply_faults(case), *_store_faults(case)]


def _length_faults(case: EnergyClearingCase) -> Iterator[str]:
    whole = case.horizon_hours / case.step_hours
    if abs(whole - round(whole)) > 1e-9:
        yield f"horizon_hours {case.horizon_hours:g} is not a whole number of steps of {case.step_hours:g} h"
        return
    day = f"{case.horizon_hours:g} hours have {case.steps} steps of {case.step_hours:g} h"
    if case.grid_price_per_mwh is None and case.grid_price_by_hour_per_mwh is None:
        yield "grid price: give 'grid_price_by_hour_per_mwh' (24 values) or 'grid_price_per_mwh' (by step)"
    series: dict[str, tuple[float, ...] | None] = {
        "grid_price_per_mwh": case.grid_price_per_mwh,
        "retail.electricity_per_mwh": case.retail.electricity_per_mwh,
        "retail.heat_per_mwh": case.retail.heat_per_mwh,
    }
    for section in ("wind", "pv"):
        for place, unit in enumerate(getattr(case, section)):
            series[f"{section}[{place}].available_mw"] = unit.available_mw
            if unit.available_mw is None and unit.shape is None:
                yield f"{section}[{place}] ('{unit.id}'): give 'shape' (24 shares of the capacity) or 'available_mw'"
    for place, park in enumerate(case.parks):
        for energy in ("electricity", "heat"):
            by_step = getattr(park, f"{energy}_mw")
            series[f"parks[{place}].{energy}_mw"] = by_step
            if by_step is None and getattr(park, f"{energy}_by_hour_mw") is None:
                yield f"parks[{place}] ('{park.id}'): give '{energy}_by_hour_mw' (24 values) or '{energy}_mw' (by step)"
    for where, values in series.items():
        if values is not None and len(values) != case.steps:
            yield f"{where}: {len(values)} values, but {day}"
    if case.index is not None and len(case.index) != case.steps:
        yield f"index: {len(case.index)} steps, but {day}"


def _identity_faults(case: EnergyClearingCase) -> Iterator[str]:
    sections = ("turbines", "boilers", "wind", "pv", "storage", "heat_storage", "parks")
    ids = Counter(unit.id for section in sections for unit in getattr(case, section))
    yield from (f"id '{name}' is used {times} times; ids must differ" for name, times in ids.items() if times > 1)


def _band_faults(case: EnergyClearingCase) -> Iterator[str]:
    for name in ("electricity_band", "heat_band"):
        band = getattr(case, name)
        if band.floor_per_mwh > band.ceiling_per_mwh:
            yield (
                f"{name}: floor_per_mwh {band.floor_per_mwh:g} is above ceiling_per_mwh {band.ceiling_per_mwh:g}: no price "
                "is allowed"
            )
        elif band.ceiling_per_mwh > case.lost_load_per_mwh:
            yield (
                f"{name}: ceiling_per_mwh {band.ceiling_per_mwh:g} is above lost_load_per_mwh {case.lost_load_per_mwh:g}: parks "
                "would bid more than unserved load costs them"
            )


def _supply_faults(case: EnergyClearingCase) -> Iterator[str]:
    """Steps at which rigid load exceeds all that the supplier can give; unserved load would be planned from the start."""
    inputs = clearing_inputs(case)
    power = case.exchange.buy_max_mw + sum(u.power_max_mw for u in case.turbines) + inputs.renewable_mw.sum(axis=0)
    heat = sum(u.heat_max_mw for u in case.boilers) + sum(u.heat_ratio * u.power_max_mw for u in case.turbines)
    for name, energy, most, stores in (
        ("electricity", inputs.electricity, power, case.storage),
        ("heat", inputs.heat, np.full(inputs.steps, heat), case.heat_storage),
    ):
        least = (energy.load_mw - energy.shift_max_mw).sum(axis=0)
        most = most + sum(unit.discharge_max_mw for unit in stores)
        for t in np.flatnonzero(least > most + 1e-9):
            yield (
                f"step {t}: {name} of at least {least[t]:.4g} MW cannot be served: purchase, units and stores give at most "
                f"{most[t]:.4g} MW"
            )


def _store_faults(case: EnergyClearingCase) -> Iterator[str]:
    """Stores that would earn by charging and discharging at once; prices are duals only where no binary must forbid it.

    Energy has no negative value unless the grid's price is negative, since renewables and purchase can be turned down.
    """
    lowest = float(clearing_inputs(case).grid_price.min())
    for place, unit in enumerate(case.storage):
        if lowest < 0 and needs_binaries(unit, lowest):
            yield (
                f"storage[{place}] ('{unit.id}'): at the grid price {lowest:g} it would earn by charging and discharging at "
                "once, and the market would have no prices; raise wear_per_mwh or floor the grid price"
            )
