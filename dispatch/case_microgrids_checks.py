"""Faults of a microgrids case that no single key can show: lengths, tariffs, and microgrids that cannot serve their load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, eye, hstack, vstack

from dispatch.assets.price_taker import PriceTaker
from dispatch.assets.price_taker_program import follower_program
from dispatch.case_microgrids import Battery, Microgrid, MicrogridsCase
from dispatch.markets.microgrids_inputs import price_taker

#: Load or production above this many times the limit of trade was probably given in kW.
LARGEST_LOAD_RATIO = 50.0


def microgrids_faults(case: MicrogridsCase) -> list[str]:
    """Every contradiction in the case, one line each; empty if the case can be used."""
    lengths = list(_length_faults(case))
    faults = [*lengths, *([] if lengths else _tariff_faults(case))]
    ids = Counter(grid.id for grid in case.microgrids)
    faults += [
        f"microgrid id '{name}' is used {times} times; ids must differ" for name, times in ids.items() if times > 1
    ]
    if not case.microgrids:
        faults.append("microgrids: the list is empty; state at least one")
    for place, grid in enumerate(case.microgrids):
        own = list(_microgrid_faults(f"microgrids[{place}] ('{grid.id}')", grid))
        faults += own
        if not lengths and not own:
            faults += _supply_faults(case, grid)
    for place, service in enumerate(case.search.services):
        if service.microgrid not in ids:
            faults.append(
                f"search.services[{place}].microgrid: no microgrid '{service.microgrid}'; there are {list(ids)}"
            )
    return faults


def _length_faults(case: MicrogridsCase) -> Iterator[str]:
    whole = case.horizon_hours / case.step_hours
    if abs(whole - round(whole)) > 1e-9:
        yield f"horizon_hours {case.horizon_hours:g} is not a whole number of steps of {case.step_hours:g} h"
        return
    day = f"{case.horizon_hours:g} hours have {case.steps} steps of {case.step_hours:g} h"
    series: dict[str, tuple[float, ...] | None] = {
        "grid_buy_per_mwh": case.grid_buy_per_mwh,
        "feed_in_per_mwh": case.feed_in_per_mwh,
    }
    for place, grid in enumerate(case.microgrids):
        for key in ("load_mw", "wind_mw", "pv_mw", "net_load_mw"):
            series[f"microgrids[{place}].{key}"] = getattr(grid, key)
    for where, values in series.items():
        if values is not None and len(values) != case.steps:
            yield f"{where}: {len(values)} values, but {day}"
    if case.index is not None and len(case.index) != case.steps:
        yield f"index: {len(case.index)} steps, but {day}"


def _microgrid_faults(where: str, grid: Microgrid) -> Iterator[str]:
    if (grid.load_mw is None) == (grid.net_load_mw is None):
        yield f"{where}: give either 'load_mw' (with 'wind_mw' and 'pv_mw', if any) or 'net_load_mw'"
    if grid.net_load_mw is not None and (grid.wind_mw is not None or grid.pv_mw is not None):
        yield f"{where}: 'net_load_mw' already holds the production; give 'load_mw' beside 'wind_mw' and 'pv_mw'"
    largest = max((abs(v) for s in (grid.load_mw, grid.net_load_mw) for v in s or ()), default=0.0)
    if largest > LARGEST_LOAD_RATIO * grid.trade_limit_mw:
        yield (
            f"{where}: a load of {largest:g} MW is {largest / grid.trade_limit_mw:.0f} times trade_limit_mw "
            f"{grid.trade_limit_mw:g}; was it given in kW?"
        )
    if grid.battery is not None:
        yield from _battery_faults(where, grid.battery)


def _battery_faults(where: str, unit: Battery) -> Iterator[str]:
    if unit.energy_min_mwh > unit.energy_max_mwh:
        yield f"{where}.battery: energy_min_mwh {unit.energy_min_mwh:g} is above energy_max_mwh {unit.energy_max_mwh:g}"
    elif not unit.energy_min_mwh <= unit.energy_start_mwh <= unit.energy_max_mwh:
        yield (
            f"{where}.battery: energy_start_mwh {unit.energy_start_mwh:g} is outside "
            f"[{unit.energy_min_mwh:g}, {unit.energy_max_mwh:g}], so the battery cannot return to its start"
        )


def _tariff_faults(case: MicrogridsCase) -> Iterator[str]:
    buy, sell = np.asarray(case.grid_buy_per_mwh), np.asarray(case.feed_in_per_mwh)
    for t in np.flatnonzero(sell > buy + 1e-12):
        yield (
            f"step {t}: feed_in_per_mwh {sell[t]:g} is above grid_buy_per_mwh {buy[t]:g}, which leaves no room for tariffs "
            "and lets money be made by buying and selling at once"
        )
    for t in np.flatnonzero(buy < 0):
        yield f"step {t}: grid_buy_per_mwh {buy[t]:g} is negative; a microgrid would be paid to consume without limit"
    for t in np.flatnonzero((sell < 0) & (buy >= 0)):
        yield f"step {t}: feed_in_per_mwh {sell[t]:g} is negative; give 0, since surplus may be curtailed for nothing"


def _supply_faults(case: MicrogridsCase, grid: Microgrid) -> Iterator[str]:
    """Whether any plan serves the load; tariffs have no say in it, so that a fault here is certain."""
    inputs = price_taker(case, grid)
    made = grid.turbine.power_max_mw if grid.turbine is not None else 0.0
    given = np.zeros(case.steps)
    for reservoir in inputs.reservoirs:
        for channel in reservoir.channels:
            given += np.maximum(channel.output * channel.lower, channel.output * channel.upper)
    short = inputs.net_load - (grid.trade_limit_mw + made + given)
    for t in np.flatnonzero(short > 1e-9):
        yield (
            f"microgrid '{grid.id}', step {t}: net load of {inputs.net_load[t]:.3f} MW cannot be served: trade limit "
            f"{grid.trade_limit_mw:g} + turbine {made:g} + battery and shifted load {given[t]:.3f} MW"
        )
    if (short > 1e-9).any():
        return
    missing = _energy_shortage(inputs)
    if missing > 1e-7:
        yield (
            f"microgrid '{grid.id}': at least {missing:.3f} MWh of its load cannot be served within its trade limit, ramps and "
            "battery; raise trade_limit_mw or a ramp"
        )


def _energy_shortage(inputs: PriceTaker) -> float:
    """Least unserved energy over the horizon, MWh, by a linear program; infinite if even that is infeasible."""
    program, T = follower_program(inputs), inputs.steps
    size = len(program.lower)
    unserved = vstack([eye(T), csr_matrix((program.equal.shape[0] - T, T))])
    answer = linprog(
        np.concatenate([np.zeros(size), np.full(T, inputs.step_hours)]),
        A_ub=hstack([program.below, csr_matrix((program.below.shape[0], T))]),
        b_ub=program.limit,
        A_eq=hstack([program.equal, unserved]),
        b_eq=program.target,
        bounds=np.column_stack(
            [np.concatenate([program.lower, np.zeros(T)]), np.concatenate([program.upper, np.full(T, np.inf)])]
        ),
        method="highs",
    )
    return float(answer.fun) if answer.status == 0 else float("inf")
