"""Faults of a soft open point case that no single key can show: lengths, buses, prices, batteries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from dispatch.case_inputs import feeder_of
from dispatch.case_soft_open_point import Prosumer, SoftOpenPointCase
from dispatch.errors import CaseError
from dispatch.network.feeder import Feeder

#: A prosumer or converter above this many times the feeder's nominal load was probably given in kW.
LARGEST_POWER_RATIO = 10.0


def soft_open_point_faults(case: SoftOpenPointCase) -> list[str]:
    """Every contradiction in the case, one line each; empty if the case can be used."""
    faults = list(_length_faults(case))
    if not faults:
        faults += _price_faults(case)
    feeder: Feeder | None = None
    try:
        feeder = feeder_of(case.network)
    except CaseError as error:
        faults += [f"network: {fault}" for fault in error.faults]
    net = case.network
    if net.voltage_min_pu >= net.voltage_max_pu:
        faults.append(
            f"network: voltage_min_pu {net.voltage_min_pu:g} is not below voltage_max_pu {net.voltage_max_pu:g}"
        )
    if not case.prosumers:
        faults.append("prosumers: the list is empty; state at least one")
    for what, values in (("id", [p.id for p in case.prosumers]), ("bus", [p.bus for p in case.prosumers])):
        doubles = [str(value) for value, times in Counter(values).items() if times > 1]
        faults += [f"prosumers: {what} {value} is used more than once; each needs its own" for value in doubles]
    for place, prosumer in enumerate(case.prosumers):
        faults += _prosumer_faults(case, f"prosumers[{place}] ('{prosumer.id}')", prosumer, feeder)
    if feeder is not None:
        faults += _converter_faults(case, feeder)
    return faults


def _length_faults(case: SoftOpenPointCase) -> Iterator[str]:
    whole = case.horizon_hours / case.step_hours
    if abs(whole - round(whole)) > 1e-9:
        yield f"horizon_hours {case.horizon_hours:g} is not a whole number of steps of {case.step_hours:g} h"
        return
    day = f"{case.horizon_hours:g} hours have {case.steps} steps of {case.step_hours:g} h"
    series: dict[str, object] = {
        key: getattr(case, key)
        for key in ("load_shape", "hv_buy_per_mwh", "hv_sell_per_mwh", "prosumer_load_shape", "pv_shape")
    }
    series |= {f"price_band.{key}": getattr(case.price_band, key) for key in ("low_per_mwh", "high_per_mwh")}
    for place, prosumer in enumerate(case.prosumers):
        series |= {f"prosumers[{place}].{key}": getattr(prosumer, key) for key in ("load_mw", "pv_mw")}
    for where, values in series.items():
        if isinstance(values, tuple) and len(values) != case.steps:
            yield f"{where}: {len(values)} values, but {day}"
    if case.index is not None and len(case.index) != case.steps:
        yield f"index: {len(case.index)} steps, but {day}"


def _prosumer_faults(case: SoftOpenPointCase, where: str, prosumer: Prosumer, feeder: Feeder | None) -> Iterator[str]:
    if feeder is not None and prosumer.bus not in feeder.bus_ids:
        yield f"{where}: bus {prosumer.bus} does not exist; the feeder has buses {_span(feeder.bus_ids)}"
    elif feeder is not None and prosumer.bus == feeder.root:
        yield f"{where}: bus {prosumer.bus} is the substation; a prosumer belongs on another bus"
    if prosumer.load_mw is None and prosumer.load_peak_mw > 0 and case.prosumer_load_shape is None:
        yield f"{where}: load_peak_mw needs prosumer_load_shape; or give load_mw"
    if prosumer.pv_mw is None and prosumer.pv_capacity_mw > 0 and case.pv_shape is None:
        yield f"{where}: pv_capacity_mw needs pv_shape; or give pv_mw"
    peaks = {
        "load": max(prosumer.load_mw or (prosumer.load_peak_mw,)),
        "PV": case.pv_scale * max(prosumer.pv_mw or (prosumer.pv_capacity_mw,)),
    }
    nominal = float(feeder.load_mw.sum()) if feeder is not None else 0.0
    for what, peak in peaks.items():
        if nominal > 0 and peak > LARGEST_POWER_RATIO * nominal:
            yield f"{where}: {what} of {peak:g} MW is {peak / nominal:.0f} times the feeder's load; was it given in kW?"
    unit = prosumer.battery
    if unit is not None and not unit.energy_min_mwh <= unit.energy_start_mwh <= unit.energy_max_mwh:
        limits = f"[{unit.energy_min_mwh:g}, {unit.energy_max_mwh:g}]"
        yield f"{where}.battery: energy_start_mwh {unit.energy_start_mwh:g} is outside {limits}, so it cannot return to its start"


def _converter_faults(case: SoftOpenPointCase, feeder: Feeder) -> Iterator[str]:
    sop = case.soft_open_point
    if sop is None:
        return
    if len(sop.buses) < 2:
        yield "soft_open_point.buses: a soft open point joins at least two buses"
    for bus, times in Counter(sop.buses).items():
        if bus not in feeder.bus_ids:
            yield f"soft_open_point.buses: bus {bus} does not exist; the feeder has buses {_span(feeder.bus_ids)}"
        if times > 1:
            yield f"soft_open_point.buses: bus {bus} is given {times} times"
    if sop.terminals_max is not None and sop.terminals_max > len(sop.buses):
        yield f"soft_open_point.terminals_max: {sop.terminals_max} converters, but only {len(sop.buses)} buses for them"
    nominal = float(feeder.load_mw.sum())
    if nominal > 0 and sop.power_mva > LARGEST_POWER_RATIO * nominal:
        yield f"soft_open_point.power_mva: {sop.power_mva:g} MVA is far above the feeder's load; was it given in kVA?"


def _price_faults(case: SoftOpenPointCase) -> Iterator[str]:
    from dispatch.markets.soft_open_point_inputs import price_series

    buy, sell, low, high = price_series(case)
    for t in np.flatnonzero(sell > buy + 1e-9):
        yield (
            f"step {t}: hv_sell_per_mwh {sell[t]:g} is above hv_buy_per_mwh {buy[t]:g}: money would be made by buying and "
            "selling at once"
        )
    for t in np.flatnonzero(low > high + 1e-9):
        yield f"step {t}: price_band is empty: low {low[t]:g} is above high {high[t]:g}"
    if low.mean() > buy.mean() + 1e-9:
        yield (
            f"price_band: the mean of its lower end, {low.mean():g}, is above the mean purchase price {buy.mean():g}, which the "
            "mean price offered may not exceed"
        )
    for t in np.flatnonzero(low <= 0):
        yield (
            f"step {t}: the lowest price {low[t]:g} is not above zero; batteries could then gain by charging and "
            "discharging at once, which this model leaves out; raise price_band.low_per_mwh"
        )


def _span(buses: tuple[int, ...]) -> str:
    return f"{min(buses)} to {max(buses)}"
