"""The ledger of a store: one small record per night, from which it is settled later and shown on the site.

Layout: ``STORE/nights/ZONE/DAY/MODE/`` with ``night.json`` (what was forecast and decided), copies of the files of the night,
``settled.json`` once the day has come true, and ``failed.json`` if the last run of that night failed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from dispatch.case import Case
from dispatch.case_adno import AdnoCase
from dispatch.errors import DispatchError
from dispatch.schedule import Schedule
from dispatch.settlement.from_schedule import case_forecast, first_stage, planned_loss_share, recourse_assets
from forecasting.forecast import Forecast
from pipelines import clock
from pipelines.run_folder import plain, write_atomically
from pipelines.stages.local import LocalArea
from pipelines.stages.night import Night
from pipelines.stages.plan import nominal_load_mw

log = logging.getLogger("adno")

FOLDER = "nights"
FORMAT = "adno-night 1"

#: Files of the run that stay with the record, for the site.
KEPT_FILES = ("schedule.csv", "plan.json", "status.json", "report.html")

#: The stored series in which each target comes true.
TRUTH_SERIES = {"price": "price", "wind": "wind_power", "load": "load"}

#: Levels of the quantiles that are kept, where the forecast has them.
KEPT_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Entry:
    """One night of the ledger: its folder, and what ``night.json``, ``settled.json`` and ``failed.json`` say."""

    folder: Path
    zone: str
    day: str
    mode: str
    record: Mapping[str, Any] | None
    settled: Mapping[str, Any] | None
    failed: Mapping[str, Any] | None
    night_digest: str
    digest: str

    @property
    def money(self) -> Mapping[str, float] | None:
        """Items of the settled day; ``None`` before it has come true, and for a market that is not settled."""
        return self.settled["money"] if self.settled else None

    @property
    def status(self) -> str:
        """``ok`` or ``degraded`` for a night that was published, ``failed`` for one that never was."""
        return str(self.record["status"]) if self.record else "failed"

    @property
    def reasons(self) -> list[str]:
        """Why it is not ``ok``, a later run that failed included."""
        said = [str(reason) for reason in self.record["reasons"]] if self.record else []
        if self.failed is None:
            return said
        again = "a later run of this night failed: " if self.record else ""
        return said + [f"{again}{reason}" for reason in self.failed["reasons"]]

    @property
    def files(self) -> list[str]:
        """Names of the files kept with the record."""
        return [name for name in KEPT_FILES if self.record and (self.folder / name).is_file()]


class Ledger:
    """The nights of the store at ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root / FOLDER

    def folder(self, night: Night) -> Path:
        """Where the record of ``night`` lies."""
        return self.root / quote(night.zone, safe="") / night.delivery_day.isoformat() / str(night.mode)

    def book(self, night: Night, record: Mapping[str, Any], run_folder: Path) -> None:
        """Record a published night in place of an earlier run of the same one. Raises ``FolderError``."""
        folder = self.folder(night)
        for name in KEPT_FILES:
            source = run_folder / name
            write_atomically(folder / name, lambda path, source=source: shutil.copyfile(source, path))  # type: ignore[misc]
        _write(folder / "night.json", record)
        (folder / "failed.json").unlink(missing_ok=True)

    def book_failure(self, night: Night, reasons: Sequence[str]) -> None:
        """Record that the last run of a night failed; what an earlier run of it published stays. Raises ``FolderError``."""
        record = {"as_of": night.as_of, "finished_at": clock.now(), "reasons": list(reasons)}
        _write(self.folder(night) / "failed.json", record)

    def settle(self, entry: Entry, result: Mapping[str, Any]) -> None:
        """Record how a night came true. Raises ``FolderError``."""
        _write(entry.folder / "settled.json", {"night": entry.night_digest, **result})

    def entries(self) -> list[Entry]:
        """Every night, by zone, delivery day and instant of decision; a damaged record counts as absent and is logged."""
        found = [entry for folder in sorted(self.root.glob("*/*/*")) if (entry := _entry(folder)) is not None]
        return sorted(found, key=lambda e: (e.zone, e.day, str((e.record or e.failed or {}).get("as_of", ""))))


def night_record(
    night: Night,
    summary: Mapping[str, Any],
    forecasts: Mapping[str, Forecast],
    case: Case,
    schedule: Schedule,
    area: LocalArea,
    peak_load_mw: float,
    currency_per_eur: float,
) -> dict[str, Any]:
    """What a night's record holds: the forecasts, the decision, and how the day is settled when it has come true."""
    return {
        "format": FORMAT,
        "zone": night.zone,
        "delivery_day": night.delivery_day.isoformat(),
        "mode": str(night.mode),
        "as_of": night.as_of,
        "time_zone": night.market_time_zone,
        "step_minutes": night.step_minutes,
        "steps": list(night.index),
        **{key: summary[key] for key in ("status", "reasons", "simulated", "version", "config_hash", "seed")},
        "market": schedule.market,
        "case": schedule.case,
        "variant": schedule.variant,
        "currency": schedule.currency,
        "sense": schedule.sense,
        "objective": schedule.objective,
        "gap": schedule.gap,
        "certified": schedule.certificate.passed,
        "forecasts": {name: _forecast_record(one, area) for name, one in forecasts.items()},
        "settlement": _settlement_record(case, schedule, area, "load" in forecasts, peak_load_mw, currency_per_eur),
    }


def _forecast_record(forecast: Forecast, area: LocalArea) -> dict[str, Any]:
    kept = [k for k, level in enumerate(forecast.quantile_levels) if any(abs(level - x) < 1e-9 for x in KEPT_LEVELS)]
    return {
        "target": forecast.target,
        "place": forecast.zone,
        "unit": forecast.unit,
        "model": forecast.model_id,
        "capacity_mw": area.capacity_mw.get(forecast.zone) if forecast.target == "wind" else None,
        "mean": forecast.mean,
        "levels": [forecast.quantile_levels[k] for k in kept],
        "quantiles": forecast.quantiles[:, kept],
    }


def _settlement_record(
    case: Case, schedule: Schedule, area: LocalArea, load_forecast: bool, peak_load_mw: float, currency_per_eur: float
) -> dict[str, Any] | None:
    """The first stage and the assets of recourse as numbers; ``None`` for a market that cannot be settled."""
    if not isinstance(case, AdnoCase):
        return None
    share = planned_loss_share(case)
    try:
        plan = first_stage(case, schedule, share)
    except DispatchError as error:
        log.warning("the night cannot be settled later: %s", error)
        return None
    own = case_forecast(case)
    sites = area.sites
    farms = [(sites[k % len(sites)], farm.capacity_mw) for k, farm in enumerate(case.wind)] if sites else []
    return {
        "assets": vars(recourse_assets(case, share)),
        "plan": vars(plan),
        "currency_per_eur": currency_per_eur,
        "load_per_mw": nominal_load_mw(case) / peak_load_mw if load_forecast else None,
        "farms": [{"site": site, "site_mw": area.capacity_mw[site], "farm_mw": size} for site, size in farms],
        "own_wind_mw": None if farms else own.wind_mw[0],
        "own_load_mw": None if load_forecast else own.load_mw[0],
    }


def _entry(folder: Path) -> Entry | None:
    parts = {name: _read(folder / f"{name}.json") for name in ("night", "settled", "failed")}
    record, settled, failed = parts["night"][0], parts["settled"][0], parts["failed"][0]
    if record is None and failed is None:
        return None
    if settled is not None and settled.get("night") != parts["night"][1]:
        settled = None  # of an earlier run of this night
    zone = str(record["zone"]) if record else unquote(folder.parent.parent.name)
    digest = hashlib.sha256("".join(text for _, text in parts.values()).encode()).hexdigest()
    return Entry(folder, zone, folder.parent.name, folder.name, record, settled, failed, parts["night"][1], digest)


def _read(path: Path) -> tuple[dict[str, Any] | None, str]:
    """A record and the fingerprint of its file; nothing for one that is absent or damaged."""
    try:
        text = path.read_text(encoding="utf-8")
        return dict(json.loads(text)), hashlib.sha256(text.encode()).hexdigest()
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError) as error:
        log.warning("the record %s is damaged (%s); run that night again", path, error)
        return None, ""


def _write(path: Path, record: Mapping[str, Any]) -> None:
    text = json.dumps(plain(record), ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
