"""A night to draw: three forecasts, an ADNO-like schedule on the IEEE 33-bus feeder, and its summary."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from dispatch.certificate import Certificate
from dispatch.network.feeder import Feeder, load_feeder
from dispatch.schedule import Schedule
from forecasting.forecast import Forecast, InputOrigin, InputRecord

ZONE_TIME = "Europe/Copenhagen"
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
ASSETS = [
    *((f"gas_{bus}", "gas", str(bus)) for bus in (9, 23, 26)),
    *((f"wind_{bus}", "wind", str(bus)) for bus in (4, 10, 20)),
    *((f"storage_{bus}", "storage", str(bus)) for bus in (1, 5)),
]


def delivery_index(day: str = "2024-06-27", minutes: int = 60) -> pd.DatetimeIndex:
    """Every step of a market day in UTC: 23, 24 or 25 hours long."""
    start = pd.Timestamp(day, tz=ZONE_TIME)
    end = (start + pd.Timedelta(hours=36)).normalize()
    return pd.date_range(start.tz_convert("UTC"), end.tz_convert("UTC"), freq=f"{minutes}min", inclusive="left")


def forecast(
    index: pd.DatetimeIndex, target: str = "price", zone: str = "DK_1", *, simulated: bool = False, seed: int = 1
) -> Forecast:
    rng = np.random.default_rng(seed)
    hours = np.arange(len(index)) * 24 / len(index)
    level, swing, unit = {"price": (70.0, 45.0, "EUR/MWh"), "wind": (0.3, 0.15, "MW"), "load": (2.6, 0.7, "MW")}[target]
    mean = level + swing * np.sin((hours - 9) / 24 * 4 * np.pi) + rng.normal(0, swing / 20, len(index))
    std = np.full(len(index), swing * 0.2) * (1 + hours / 24)
    quantiles = mean[:, None] + std[:, None] * np.array([-1.645, -0.674, 0.0, 0.674, 1.645])
    inputs = {
        f"{target} {zone}": InputRecord(InputOrigin.MEASURED, index[0] - pd.Timedelta(hours=13)),
        f"wind forecast {zone}": InputRecord(
            InputOrigin.FALLBACK, index[0] - pd.Timedelta(hours=37), "yesterday's, today's was late"
        ),
    }
    none = np.empty((0, len(index)))
    issued = index[0] - pd.Timedelta(hours=12.5)
    model = "conditional_transformer 0.1.0 3fa9c1"
    return Forecast(target, zone, unit, issued, index, mean, std, LEVELS, quantiles, none, inputs, model, simulated)


def known(made: Forecast, seed: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    spread = float(made.std.mean())
    columns = {
        name: made.mean + rng.normal(0, spread, len(made.mean)) for name in ("actual", "iso_forecast", "last_week")
    }
    return pd.DataFrame(columns, index=made.index)


def _voltages(feeder: Feeder, load_mw: np.ndarray, injected: dict[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Lossless flows (MW) by line and voltages (p.u.) by bus, shapes [step, line] and [step, bus]."""
    steps = len(load_mw)
    share = feeder.load_mw / feeder.load_mw.sum()
    p = {bus: load_mw * share[place] - injected.get(bus, np.zeros(steps)) for bus, place in feeder.position.items()}
    q = {bus: p[bus] * 0.5 for bus in p}
    for sending, receiving in reversed(feeder.line_keys):
        p[sending] = p[sending] + p[receiving]
        q[sending] = q[sending] + q[receiving]
    squared = {feeder.root: np.ones(steps)}
    for (a, b), r, x in zip(feeder.line_keys, feeder.r_pu, feeder.x_pu, strict=True):
        squared[b] = squared[a] - 2 * (r * p[b] + x * q[b])
    flow = np.stack([p[b] for _, b in feeder.line_keys], axis=1)
    return flow, np.sqrt(np.stack([squared[bus] for bus in feeder.bus_ids], axis=1))


def schedule(index: pd.Index, step_hours: float = 1.0, *, certificate: Certificate | None = None) -> Schedule:
    """A plan with gas in the dear hours, a store that charges in the cheap ones, and subsidies in between."""
    feeder, steps = load_feeder("ieee33"), len(index)
    hour = np.arange(steps) * step_hours
    spot = 81 + 30 * np.sin((hour - 9) / 24 * 4 * np.pi)
    rigid = 2.7 + 0.9 * np.sin((hour - 10) / 24 * 2 * np.pi)
    flexible = rigid * np.clip(0.08 + 0.17 * (111 - spot) / 60, 0.08, 0.25)
    available = 0.33 + 0.12 * np.cos(hour / 24 * 2 * np.pi)
    gas = np.where(spot > 95, 0.5, 0.0)
    charge, discharge = np.where(spot < 58, 0.05, 0.0), np.where(spot > 106, 0.05, 0.0)
    wind = available * np.where(hour < 2, 0.9, 1.0)
    grid = rigid + flexible + charge - discharge - gas - wind
    share = feeder.load_mw / feeder.load_mw.sum()
    flow, voltage = _voltages(feeder, rigid + flexible, {9: gas, 10: wind, 5: discharge - charge})
    subsidy = np.clip((111 - spot) / 3, 0, 20)
    rows: list[tuple[int, str, str, str, float]] = []

    def add(kind: str, asset: str, quantity: str, values: np.ndarray) -> None:
        rows.extend((step, asset, kind, quantity, float(value)) for step, value in enumerate(values))

    add("grid", "grid", "import_mw", grid)
    add("grid", "grid", "spot_price_per_mwh", spot)
    for name, kind, _ in ASSETS:
        if kind == "gas":
            add(kind, name, "power_mw", gas / 3)
        elif kind == "wind":
            add(kind, name, "power_mw", wind / 3)
            add(kind, name, "available_mw", available / 3)
        else:
            add(kind, name, "charge_mw", charge / 2)
            add(kind, name, "discharge_mw", discharge / 2)
            add(kind, name, "energy_mwh", np.clip(0.04 + np.cumsum(charge - discharge) * step_hours / 2, 0, None))
    for place, bus in enumerate(feeder.bus_ids):
        add("bus", f"bus{bus}", "voltage_pu", voltage[:, place])
        if share[place] > 0:
            add("customer", f"customer{bus}", "rigid_mw", rigid * share[place])
            add("customer", f"customer{bus}", "flexible_mw", flexible * share[place])
            add("customer", f"customer{bus}", "subsidy_per_mwh", subsidy * (0.6 + 0.4 * np.sin(place)) ** 2)
    for place, (a, b) in enumerate(feeder.line_keys):
        add("line", f"line{a}-{b}", "flow_mw", flow[:, place])
        add("line", f"line{a}-{b}", "loss_mw", 0.001 * np.abs(flow[:, place]))
    operator = {
        "retail_income": 150 * float((rigid + flexible).sum()) * step_hours,
        "spot_purchase": -float((spot * grid).sum()) * step_hours,
        "gas_fuel": -91 * float(gas.sum()) * step_hours,
        "gas_start": -120.0,
        "subsidy": -float((subsidy * flexible).sum()) * step_hours,
        "storage_wear": -2 * float((charge + discharge).sum()) * step_hours,
    }
    profit = sum(operator.values())
    money = {"customers": {"subsidy": -operator["subsidy"]}, "operator": operator}
    passing = Certificate(
        balance_max=3.1e-9, best_response_gap=2.2e-12, objective_identity=4.1e-11, cone_gap=8.8e-6, mip_gap=6.2e-5,
        tie_width=0.0, ac_voltage_error_pu=2.4e-7, ac_loss_error_mw=9.1e-7,
    )  # fmt: skip
    table = pd.DataFrame(rows, columns=["step", "asset", "kind", "quantity", "value"])
    notes = ("Customers that do not care choose what suits the operator; the tie width above says what that is worth.",)
    return Schedule(
        "adno", "adno_ieee33", "responsive", "exact", "highs", "USD", index, step_hours, table, money, profit,
        profit * (1 + 6.2e-5), 6.2e-5, "max", certificate or passing, {"build": 0.31, "solve": 1.42, "certify": 0.22}, {}, notes,
    )  # fmt: skip


def summary(**changes: Any) -> dict[str, Any]:
    return {
        "command": "nightly", "status": "ok", "reasons": [], "seed": 0, "version": "0.1.0", "config_hash": "9f3ab1c2d4e5",
        "seconds": {"fetch": 1.2, "forecast": 3.4, "dispatch": 2.0, "report": 1.9}, "delivery_day": "2024-06-27",
        "as_of": "2024-06-26T11:30:00+02:00", "mode": "morning", "zone": "DK_1", "source": "files",
        "inputs": {"feeder load": {"origin": "measured", "newest": "2024-06-26T09:00:00+00:00", "note": ""}}, **changes,
    }  # fmt: skip


@cache
def night_page(
    day: str = "2024-06-27", minutes: int = 60, *, zone: str = "DK_1", simulated: bool = False, **changes: Any
) -> Any:
    """A whole nightly page of a market day."""
    from pipelines.report.nightly import nightly_page

    index = delivery_index(day, minutes)
    made = {
        target: forecast(index, target, zone, simulated=simulated, seed=seed)
        for seed, target in enumerate(("price", "load", "wind"))
    }
    beside = {name: known(item) for name, item in made.items()}
    plan = schedule(index, minutes / 60)
    record = summary(delivery_day=day, zone=zone, **changes)
    return nightly_page(
        made, beside, plan, load_feeder("ieee33"), record, ZONE_TIME, assets=ASSETS, voltage_limits_pu=(0.9, 1.1)
    )
