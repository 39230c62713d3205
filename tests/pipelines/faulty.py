"""Nights under fault: a simulated market whose answers can be spoiled, a small case, and a command run as its shell runs it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import yaml

from forecasting.sources.synthetic import SyntheticSource
from pipelines.report.page import Page
from tests.pipelines.running import execute_here

#: A night that runs in a second: nothing to train, a short history, a feeder of two lines.
QUICK = (
    "model=naive",
    "history.train_days=40",
    "history.valid_days=21",
    "history.lookback_days=8",
    "forecast.scenarios=5",
    "local.sites=1",
    "site.refresh=false",
)
AS_OF = "2022-06-14T11:30+02:00"

CASE = {
    "market": "adno",
    "name": "two_lines",
    "currency": "EUR",
    "step_hours": 1.0,
    "horizon_hours": 24.0,
    "network": {
        "root_bus": 1,
        "base_power_mva": 1.0,
        "base_voltage_kv": 12.66,
        "voltage_min_pu": 0.9,
        "voltage_max_pu": 1.1,
        "nominal_load_mw": {2: 0.4, 3: 0.3},
        "nominal_load_mvar": {2: 0.1, 3: 0.1},
        "lines": [
            {"from_bus": 1, "to_bus": 2, "resistance_ohm": 0.1, "reactance_ohm": 0.1},
            {"from_bus": 2, "to_bus": 3, "resistance_ohm": 0.1, "reactance_ohm": 0.1},
        ],
    },
    "retail_price_per_mwh": 150.0,
    "spot_price_per_mwh": [80.0] * 24,
    "feeder_customers": {
        "shape": [0.7] * 24,
        "flexible_max_share": 0.2,
        "flexible_free_share": 0.1,
        "full_response_subsidy_per_mwh": 20.0,
    },
    "gas": [
        {
            "id": "gas3",
            "bus": 3,
            "power_min_mw": 0.05,
            "power_max_mw": 0.2,
            "cost_per_mwh": 91.0,
            "start_cost": 5.0,
            "ramp_up_mw_per_hour": 0.2,
            "ramp_down_mw_per_hour": 0.2,
        }
    ],
    "wind": [{"id": "wind2", "bus": 2, "capacity_mw": 0.2, "shape": [0.5] * 24}],
}

#: What a fault does to an answer: gets series, place and the frame, and returns the spoiled frame or raises.
Fault = Callable[[str, str, pd.DataFrame], pd.DataFrame]


@cache
def market() -> SyntheticSource:
    """One simulated year for all nights of a process."""
    return SyntheticSource(seed=0, years=1)


@dataclass
class FaultySource:
    """The simulated market with ``fault`` applied to every answer; ``asked`` lists what was asked for."""

    fault: Fault | None = None
    asked: list[tuple[str, str, pd.Timestamp, pd.Timestamp]] = field(default_factory=list)
    name: str = "synthetic"
    simulated: bool = True

    def __getattr__(self, name: str) -> Any:
        return getattr(market(), name)

    def sites(self, zone: str | None = None) -> tuple[str, ...]:
        return market().sites(zone)

    def site_info(self, site: str) -> Any:
        return market().site_info(site)

    def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        self.asked.append((series, zone, start, end))
        frame = market().read(series, zone, start, end).copy()
        return frame if self.fault is None else self.fault(series, zone, frame)


@dataclass(frozen=True)
class Night:
    """How a night ended: its exit code, what it said, and what it left."""

    code: int
    said: str
    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        """The night's ``summary.json``."""
        return dict(json.loads((self.folder / "summary.json").read_text(encoding="utf-8")))

    @property
    def published(self) -> bool:
        """Whether a plan came out; a night that did not publish must have left no part of one."""
        names = {path.name for path in self.folder.iterdir()} & {"schedule.csv", "schedule.parquet", "report.html"}
        assert len(names) in (0, 3), f"half-published: {names}"
        return bool(names)

    @property
    def reasons(self) -> str:
        """All reasons in one text."""
        return "\n".join(self.summary["reasons"])


def text_page(_forecasts: Any, _known: Any, schedule: Any, *, summary: dict[str, Any], **_: Any) -> Page:
    """A page without charts: the charts have tests of their own and take longer than the rest of a night."""
    return Page(f"{schedule.case}", "", summary["status"], summary["reasons"])


@contextlib.contextmanager
def drawn_as_text() -> Iterator[None]:
    """Draw the page of a night without its charts."""
    with mock.patch("pipelines.report.nightly.nightly_page", text_page):
        yield


def run_night(
    folder: Path,
    *overrides: str,
    source: FaultySource | None = None,
    name: str = "run",
    as_of: str = AS_OF,
    case_changes: Mapping[str, Any] | None = None,
) -> Night:
    """One night of the simulated market below ``folder``, with the exit code and the output of its shell."""
    folder.mkdir(parents=True, exist_ok=True)
    case = folder / "case.yaml"
    case.write_text(yaml.safe_dump({**CASE, **(case_changes or {})}), encoding="utf-8")
    places = (f"store.root={folder / 'store'}", f"artefacts.root={folder / 'artefacts'}", f"case.path={case}")
    output = io.StringIO()
    with (
        mock.patch("pipelines.stages.setting.open_source", lambda _: source or FaultySource()),
        drawn_as_text(),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        code = execute_here("nightly", folder / name, *QUICK, *places, f"as_of={as_of}", *overrides)
    return Night(code, output.getvalue(), folder / name)


def stored_rows(folder: Path) -> pd.DataFrame:
    """Every row of every partition of the store below ``folder``, with its series and zone."""
    paths = sorted((folder / "store").rglob("rows.parquet"))
    parts = [pd.read_parquet(path).assign(series=path.parts[-4], zone=path.parts[-3]) for path in paths]
    return pd.concat(parts, ignore_index=True)
