"""Settle the nights of a ledger: once the series of a day are in the store, what the plan earned and how far off it was told."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from dispatch.errors import DispatchError
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets
from dispatch.settlement.settle import settle
from forecasting.store import Store
from pipelines.run_folder import plain
from pipelines.stages.ledger import TRUTH_SERIES, Entry, Ledger
from pipelines.stages.settle_days import columns_of

log = logging.getLogger("adno")

#: A source revises the last days; nights that ended longer before the newest stored price are not settled again.
REVISED_DAYS = pd.Timedelta(days=10)

#: What a plan decides for each gas unit or storage and step.
_BY_ASSET = ("commitment", "charge_mw", "discharge_mw")


def settle_ledger(ledger: Ledger, store: Store, *, everything: bool = False) -> int:
    """Settle every night that can be, again where its series were revised in the last days; returns how many changed.

    ``everything`` settles every night again, however old.

    Raises ``DataError`` for a damaged store, ``FolderError`` if a record cannot be written.
    """
    entries = [entry for entry in ledger.entries() if entry.record is not None]
    newest = max((pd.Timestamp(entry.record["steps"][-1]) for entry in entries if entry.record), default=None)
    changed = 0
    for entry in entries:
        assert entry.record is not None and newest is not None
        old = pd.Timestamp(entry.record["steps"][-1]) < newest - REVISED_DAYS
        if entry.settled is not None and old and not everything:
            continue
        truths = {label: truth_of(store, entry.record, *place) for label, place in wanted(entry.record).items()}
        if any(not np.isfinite(truth).all() for truth in truths.values()):
            continue
        result = plain(settled_night(entry.record, truths))
        if entry.settled is None or dict(entry.settled) != {"night": entry.night_digest, **result}:
            ledger.settle(entry, result)
            changed += 1
    return changed


def wanted(record: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The stored series ``(series, place)`` in which a night comes true, by label; the price is among them always."""
    found = {label: (TRUTH_SERIES[one["target"]], str(one["place"])) for label, one in record["forecasts"].items()}
    return {"price": ("price", str(record["zone"])), **found}


def missing_series(store: Store, entry: Entry) -> list[str]:
    """Labels of the series that an unsettled night still waits for."""
    if entry.record is None:
        return []
    truths = {label: truth_of(store, entry.record, *place) for label, place in wanted(entry.record).items()}
    return [label for label, truth in truths.items() if not np.isfinite(truth).all()]


def truth_of(store: Store, record: Mapping[str, Any], series: str, place: str) -> FloatArray:
    """What came, on the steps of the night: finer values averaged, coarser ones repeated, NaN where it is not known."""
    steps = pd.DatetimeIndex(pd.to_datetime(list(record["steps"]), utc=True))
    length = pd.Timedelta(minutes=int(record["step_minutes"]))
    values = store.read(series, place, steps[0], steps[-1] + length)["value"]
    return on_steps(values, steps, length)


def on_steps(values: pd.Series, steps: pd.DatetimeIndex, length: pd.Timedelta) -> FloatArray:
    """Values on ``steps`` of ``length`` (an hour or a part of one); an hour of which a part is missing is missing.

    The resolution may change once, as that of the day-ahead price did; where it seems to change more often, values are absent.
    """
    hours = values.index.floor("h")
    counts = values.groupby(hours).size()
    if (counts.diff().iloc[1:] != 0).sum() > 1:
        counts = counts[counts == counts.max()]
    whole = values[hours.isin(counts.index[counts.isin((1, 2, 4))])]
    if whole.empty:
        return np.full(len(steps), np.nan)
    average = whole.groupby(whole.index.floor(length)).mean().reindex(steps)
    repeated = whole.reindex(steps, method="ffill").where(steps.floor("h").isin(whole.index.floor("h")))
    return np.asarray(average.fillna(repeated), dtype=np.float64)


def settled_night(record: Mapping[str, Any], truths: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Forecast errors (mean absolute, in each forecast's unit) and, where the market can be settled, the day's money."""
    errors = {
        label: float(np.abs(np.asarray(one["mean"], dtype=float) - truths[label]).mean())
        for label, one in record["forecasts"].items()
    }
    money = None
    if record["settlement"] is not None:
        try:
            money = settled_money(record, truths)
        except DispatchError as error:
            log.warning("the night of %s in %s cannot be settled: %s", record["delivery_day"], record["zone"], error)
    return {"errors": errors, "money": money, "truth": dict(truths)}


def settled_money(record: Mapping[str, Any], truths: Mapping[str, FloatArray]) -> dict[str, float]:
    """Profit, cost, efficiency and every item of the plan settled against what came (Shi et al. 2023, Eqs 24-26).

    Raises ``DispatchError`` if the day cannot be settled.
    """
    terms = record["settlement"]
    assets = RecourseAssets(**{name: _numbers(value) for name, value in terms["assets"].items()})
    plan = FirstStage(**{name: _numbers(value) for name, value in terms["plan"].items()})
    steps = plan.steps
    plan = replace(
        plan, **{name: getattr(plan, name).reshape(-1, steps) for name in _BY_ASSET}
    )  # also where there is none
    wind = np.asarray(terms["own_wind_mw"] or np.zeros(steps), dtype=float)
    for farm in terms["farms"]:
        share = np.clip(truths[f"wind {farm['site']}"] / farm["site_mw"], 0.0, 1.0)
        wind = wind + share * farm["farm_mw"]
    load = (
        np.asarray(terms["own_load_mw"], dtype=float)
        if terms["load_per_mw"] is None
        else np.maximum(truths["load"], 0.0) * terms["load_per_mw"]
    )
    day = Realisations.single(truths["price"] * terms["currency_per_eur"], wind, load)
    row = columns_of(settle(assets, plan, day)).iloc[0]
    return {str(name): float(value) for name, value in row.items()}


def _numbers(value: Any) -> Any:
    """Numbers and arrays as they were written; JSON has no infinity, so the record holds null for it."""
    if isinstance(value, list):
        return np.array([_numbers(item) for item in value], dtype=float)
    return float("inf") if value is None else value
