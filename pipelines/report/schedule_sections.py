"""Sections of a page about one schedule: dispatch, storage, subsidies, voltages, money, certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dispatch.schedule import Schedule
from pipelines.report.certificate_words import certificate_lead, certificate_table
from pipelines.report.charts import (
    Chart,
    dispatch_stack,
    feeder_map,
    money_waterfall,
    price_and_dispatch,
    response_totals,
    storage_energy,
    time_heatmap,
    voltage_band,
    voltage_profile,
)
from pipelines.report.page import Section, Table
from pipelines.report.schedule_view import ScheduleView, feeder_drawing
from pipelines.report.words import figures, money, number, plain, sentence

Asset = tuple[str, str, str]


def dispatch_section(view: ScheduleView, time_zone: str | None, price_per_mwh: Mapping[str, np.ndarray]) -> Section:
    """Who supplies and uses the power, and how the plan answers the price."""
    axis = view.axis(time_zone)
    supply, use = view.supply_mw(), view.use_mw()
    charts: list[Chart] = []
    if supply:
        charts.append(dispatch_stack(axis, supply, use, view.load_mw()))
    followers = {name: power for name, power in supply.items() if name in ("grid import", "gas", "storage discharge")}
    if price_per_mwh and followers:
        charts.append(price_and_dispatch(axis, price_per_mwh, followers, view.schedule.currency))
    energy = {name: view.energy_mwh(power) for name, power in supply.items()}
    total = sum(energy.values())
    shares = ", ".join(f"{name} {100 * e / total:.0f}%" for name, e in energy.items()) if total > 0 else ""
    return Section("Dispatch", f"{sentence(shares)} of {number(total)} MWh supplied." if shares else "", charts)


def storage_section(view: ScheduleView, time_zone: str | None) -> Section | None:
    """What the stores hold and when they work; ``None`` without stores."""
    energy = view.table("storage", "energy_mwh")
    if energy is None:
        return None
    charge, discharge = view.total("storage", "charge_mw"), view.total("storage", "discharge_mw")
    net = discharge - charge if charge is not None and discharge is not None else None
    lead = f"Charged {number(view.energy_mwh(charge))} MWh, discharged {number(view.energy_mwh(discharge))} MWh."
    return Section(
        "Storage", lead, [storage_energy(view.axis(time_zone), energy, net, "Energy and power of the stores")]
    )


def response_section(view: ScheduleView, time_zone: str | None) -> Section | None:
    """Subsidies offered and what customers do for them; ``None`` for a market without subsidies."""
    subsidy, response = view.table("customer", "subsidy_per_mwh"), view.table("customer", "flexible_mw")
    if subsidy is None or response is None:
        return None
    axis, currency = view.axis(time_zone), view.schedule.currency
    paid = np.asarray((subsidy * response).sum(axis=1), dtype=float)
    charts = [
        time_heatmap(axis, subsidy, "Subsidy by customer", f"{currency}/MWh", "customer"),
        response_totals(axis, np.asarray(response.sum(axis=1), dtype=float), paid, currency),
        time_heatmap(axis, response * 1000, "Flexible demand by customer", "kW", "customer", "cividis"),
    ]
    offered = subsidy.to_numpy(dtype=float)
    above = offered[offered > 1e-6]
    lead = f"{int((offered.max(axis=0) > 1e-6).sum())} of {offered.shape[1]} customers are offered a subsidy"
    lead += f", {number(float(above.mean()))} {currency}/MWh on average." if above.size else "."
    return Section("Subsidies and response", lead, charts)


def network_section(
    view: ScheduleView,
    time_zone: str | None,
    feeder: Any | None,
    assets: Sequence[Asset],
    limits_pu: tuple[float, float] | None,
) -> Section | None:
    """Voltages over the day, along the buses, and on the map at the worst step; ``None`` without a network."""
    voltage = view.table("bus", "voltage_pu")
    if voltage is None:
        return None
    axis = view.axis(time_zone)
    worst = int(voltage.to_numpy(dtype=float).min(axis=1).argmin())
    charts = [voltage_band(axis, voltage, limits_pu), voltage_profile(axis, voltage, limits_pu)]
    if feeder is not None:
        drawing = feeder_drawing(feeder)
        now = {str(bus): float(value) for bus, value in voltage.iloc[worst].items()}
        flow = _flows(view.table("line", "flow_mw"), worst)
        charts.append(feeder_map(drawing, now, assets, axis.step_names[worst], limits_pu, flow))
    low, high = float(voltage.to_numpy().min()), float(voltage.to_numpy().max())
    lead = f"Voltages stay between {number(low, 5)} and {number(high, 5)} p.u."
    losses = view.total("line", "loss_mw")
    if losses is not None:
        lead += f" Line losses {number(view.energy_mwh(losses))} MWh."
    return Section("Network", lead, charts)


def _flows(flow_mw: pd.DataFrame | None, step: int) -> dict[tuple[str, str], float]:
    """Branch (sending, receiving bus) to its flow; lines are called by both buses, ``1-2``."""
    if flow_mw is None:
        return {}
    ends = {str(name).partition("-")[::2]: float(value) for name, value in flow_mw.iloc[step].items()}
    return {(a, b): value for (a, b), value in ends.items()}


def money_section(view: ScheduleView) -> Section:
    """What each party earns and pays, by item, and the leader's result as a waterfall."""
    schedule, leader = view.schedule, view.leader()
    rows: list[list[str]] = []
    for party, items in schedule.money.items():
        rows += [[plain(party), plain(item), money(amount, schedule.currency)] for item, amount in items.items()]
        rows.append([plain(party), "total", money(sum(items.values()), schedule.currency)])
    table = Table(
        "Money by party and item; income positive, cost negative", ("Party", "Item", "Amount"), rows, numeric=(2,)
    )
    if leader is None:
        return Section("Money", tables=[table] if rows else [])
    word = "profit" if schedule.sense == "max" else "result"
    chart = money_waterfall(
        {item: value for item, value in schedule.money[leader].items() if value != 0},
        schedule.currency,
        f"Money of the {plain(leader)}",
        word,
    )
    lead = f"{sentence(plain(leader))}: {word} {money(sum(schedule.money[leader].values()), schedule.currency)} over the horizon."
    return Section("Money", lead, [chart], [table])


def certificate_section(schedule: Schedule) -> Section:
    """The certificate in plain words, with the notes that come with it."""
    notes = [*schedule.certificate.notes, *schedule.notes]
    return Section(
        "Certificate",
        certificate_lead(schedule.certificate),
        tables=[certificate_table(schedule.certificate)],
        text=notes,
    )


def solution_rows(schedule: Schedule) -> list[list[str]]:
    """How the schedule was made, as rows of a table."""
    gap = "n/a" if schedule.gap is None else f"{schedule.gap:.1e}"
    bound = "n/a" if schedule.bound is None else money(schedule.bound, schedule.currency)
    word = "Profit" if schedule.sense == "max" else "Cost"
    return [
        ["Market model", f"{schedule.market}, variant {schedule.variant}"],
        ["Case", schedule.case],
        ["Method and solver", f"{schedule.method}, {schedule.solver}"],
        [word, money(schedule.objective, schedule.currency)],
        ["Proven bound and gap", f"{bound}, {gap}"],
        ["Seconds of the solution", figures(schedule.seconds)],
    ]
