"""Faults of a case of industrial parks that no single key can show: lengths, price band, parks that cannot be served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from dispatch.case_parks import Agent, IndustrialParksCase
from dispatch.case_storage import battery_faults
from dispatch.markets.industrial_parks_inputs import AgentInputs, parks_inputs, price_inputs

SERIES = ("load_mw", "wind_available_mw", "pv_available_mw", "load_sd_mw", "wind_sd_mw", "pv_sd_mw")


def parks_faults(case: IndustrialParksCase) -> list[str]:
    """Every contradiction in the case, one line each; empty if the case can be used."""
    faults = [*_length_faults(case), *_identity_faults(case)]
    if faults:
        return faults
    faults += _price_faults(case)
    for where, agent in _stated(case):
        for place, unit in enumerate(agent.storage):
            faults += battery_faults(f"{where}.storage[{place}] ('{unit.id}')", unit, case.steps, case.step_hours)
    for inputs in parks_inputs(case):
        parks = list(_park_faults(inputs, case.confidence))
        faults += parks or _supply_faults(case, inputs)
    return faults


def _stated(case: IndustrialParksCase) -> Iterator[tuple[str, Agent]]:
    yield "agent", case.agent
    if case.neighbour_agent is not None:
        yield "neighbour_agent", case.neighbour_agent


def _length_faults(case: IndustrialParksCase) -> Iterator[str]:
    whole = case.horizon_hours / case.step_hours
    if abs(whole - round(whole)) > 1e-9:
        yield f"horizon_hours {case.horizon_hours:g} is not a whole number of steps of {case.step_hours:g} h"
        return
    day = f"{case.horizon_hours:g} hours have {case.steps} steps of {case.step_hours:g} h"
    series: dict[str, object] = {"day_ahead_price_per_mwh": case.day_ahead_price_per_mwh}
    for where, agent in _stated(case):
        for place, park in enumerate(agent.parks):
            if park.load_mw is None and park.load_by_hour_mw is None:
                yield f"{where}.parks[{place}] ('{park.id}'): give 'load_by_hour_mw' (24 values) or 'load_mw' (by step)"
            series |= {f"{where}.parks[{place}].{key}": getattr(park, key) for key in SERIES}
    for name, values in series.items():
        if isinstance(values, tuple) and len(values) != case.steps:
            yield f"{name}: {len(values)} values, but {day}"
    if case.index is not None and len(case.index) != case.steps:
        yield f"index: {len(case.index)} steps, but {day}"


def _identity_faults(case: IndustrialParksCase) -> Iterator[str]:
    if case.neighbour == "joint" and case.neighbour_agent is None:
        yield "neighbour: 'joint' needs 'neighbour_agent', the other agent's limits, storage and parks"
    parks = [park.id for _, agent in _stated(case) for park in agent.parks]
    ids = Counter([*parks, *(unit.id for _, agent in _stated(case) for unit in agent.storage)])
    yield from (f"id '{name}' is used {times} times; ids must differ" for name, times in ids.items() if times > 1)


def _price_faults(case: IndustrialParksCase) -> Iterator[str]:
    band = case.price_band
    if band.floor_ratio > band.ceiling_ratio:
        yield f"price_band: floor_ratio {band.floor_ratio:g} is above ceiling_ratio {band.ceiling_ratio:g}: no price is allowed"
    prices = price_inputs(case)
    lowest = float(prices.floor.mean())
    if band.floor_ratio <= band.ceiling_ratio and lowest > prices.average_cap + 1e-9:
        yield (
            f"price_band: the floors alone have a mean of {lowest:.6g}, above average_price_cap_per_mwh "
            f"{prices.average_cap:.6g}: no price is allowed; lower floor_ratio or raise the cap"
        )
    ratio = case.buy_back_ratio
    if ratio is not None and ratio > 1:
        yield (
            f"buy_back_ratio {ratio:g}: the agent would buy from parks above the price at which it sells to them, and parks "
            "would trade in circles; give at most 1"
        )
    elif ratio is not None and ratio < 1 and float(prices.floor.min()) < 0:
        yield (
            f"buy_back_ratio {ratio:g}: at the negative price of step {int(prices.floor.argmin())} a share of the price is above "
            "the price, and parks would trade in circles; use 1 or none on days with negative prices"
        )
    real_time = case.real_time
    if case.rt_sale == "ladder" and real_time.sell_ratio > real_time.buy_ratio:
        yield (
            f"real_time: sell_ratio {real_time.sell_ratio:g} is above buy_ratio {real_time.buy_ratio:g}: the agent would buy and "
            "sell in real time at once"
        )


def _park_faults(inputs: AgentInputs, confidence: float) -> Iterator[str]:
    for i, name in enumerate(inputs.park_ids):
        where = f"park '{name}'"
        least, top = float(inputs.generator_min_mw[i]), inputs.generator_top_mw[i]
        tightest = int(top.argmin())
        if top[tightest] < least - 1e-12:
            yield (
                f"{where}: reserve of {inputs.reserve_mw[i, tightest]:.4g} MW at step {tightest} (confidence {confidence:g}) "
                f"leaves its generator {top[tightest]:.4g} MW, below generator_min_mw {least:g}"
            )
            continue
        most = inputs.purchase_max_mw[i] + top + inputs.renewable_mw[i]
        short = inputs.load_mw[i] - most
        worst = int(short.argmax())
        if short[worst] > 1e-9:
            yield (
                f"{where}: load of {inputs.load_mw[i, worst]:.4g} MW at step {worst} cannot be served: purchase, generation and "
                f"renewables reach {most[worst]:.4g} MW"
            )
        excess = least - inputs.load_mw[i] - inputs.sale_max_mw[i]
        worst = int(excess.argmax())
        if excess[worst] > 1e-9:
            yield (
                f"{where}: generator_min_mw {least:g} is above load and sale at step {worst} "
                f"({inputs.load_mw[i, worst]:.4g} + {inputs.sale_max_mw[i, worst]:.4g} MW): it has no feasible response"
            )


def _supply_faults(case: IndustrialParksCase, inputs: AgentInputs) -> Iterator[str]:
    """Steps that no price can serve: parks at least buy more than the agent can buy, or sell more than it can pass on."""
    own = inputs.generator_top_mw + inputs.renewable_mw
    needed = np.clip(inputs.load_mw - own, 0, None).sum(axis=0)
    tie = case.neighbour_trade.power_max_mw if case.neighbour == "joint" else inputs.neighbour_buy_max_mw
    stores = sum(unit.discharge_max_mw for unit in inputs.storage)
    most = inputs.day_ahead_max_mw + inputs.real_time_max_mw + stores + tie
    for t in np.flatnonzero(needed > most + 1e-9):
        yield (
            f"{inputs.name}: parks must buy at least {needed[t]:.4g} MW at step {t}, but day-ahead, real-time, neighbour and "
            f"storage give at most {np.broadcast_to(most, needed.shape)[t]:.4g} MW"
        )
    if inputs.buy_back_ratio == 0:
        return
    least = inputs.generator_min_mw[:, None] + np.where(inputs.prices.floor > 0, inputs.renewable_mw, 0.0)
    surplus = -np.maximum(inputs.load_mw - least, -inputs.sale_max_mw).sum(axis=0)
    tie = case.neighbour_trade.power_max_mw if case.neighbour == "joint" else inputs.neighbour_sell_max_mw
    most = inputs.real_time_max_mw + sum(unit.charge_max_mw for unit in inputs.storage) + tie
    for t in np.flatnonzero(surplus > most + 1e-9):
        yield (
            f"{inputs.name}: parks sell at least {surplus[t]:.4g} MW more than they buy at step {t}, but real-time, neighbour "
            f"and storage take at most {np.broadcast_to(most, surplus.shape)[t]:.4g} MW; raise real_time_max_mw or lower "
            "sale_max_mw"
        )
