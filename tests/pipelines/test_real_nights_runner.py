"""The runner of real nights: which nights a sample holds, how it goes on after a kill, and how it adds up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.pipelines import real_nights
from tests.pipelines.real_nights import ZONES, nights, read_results, run_all, summary_by_zone


def row(zone: str, as_of: pd.Timestamp, **changed: Any) -> dict[str, Any]:
    night = {"zone": zone, "as_of": as_of.isoformat(), "code": 0, "status": "ok", "reasons": [], "certified": True}
    return {**night, "trained": False, "wall_s": 4.0, "processor_s": 2.0, **changed}


def test_a_sample_is_spread_over_the_half_year_in_both_modes() -> None:
    every_tenth = list(nights(10))
    assert len(every_tenth) == 5 * 19
    assert len(list(nights(1))) == 5 * 181
    assert {zone for zone, _ in every_tenth} == set(ZONES)
    assert {f"{as_of:%H:%M}" for _, as_of in every_tenth} == {"11:30", "18:30"}
    assert every_tenth[0][1] == pd.Timestamp("2024-01-01T11:30", tz="Europe/Brussels")


def test_a_stopped_run_goes_on_and_runs_a_half_written_night_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[pd.Timestamp] = []

    def night(_folder: Path, zone: str, as_of: pd.Timestamp, _model: str) -> dict[str, Any]:
        ran.append(as_of)
        return row(zone, as_of)

    monkeypatch.setattr(real_nights, "real_night", night)
    wanted = [as_of for _, as_of in nights(60, ["DK_1"])]
    lines = [json.dumps(row("DK_1", as_of)) for as_of in wanted[:2]]
    (tmp_path / "nights.jsonl").write_text(f"{lines[0]}\n{lines[1][:40]}", encoding="utf-8")
    table = run_all(tmp_path, 60, ["DK_1"], "naive")
    assert ran == wanted[1:]
    assert sorted(table["as_of"]) == [as_of.isoformat() for as_of in wanted]
    assert len(read_results(tmp_path / "nights.jsonl")) == len(wanted) == 4


def test_nights_that_trained_do_not_count_in_the_seconds() -> None:
    noon = pd.Timestamp("2024-01-01T12:00Z")
    rows = [
        row("FI", noon, trained=True, wall_s=90.0),
        row("FI", noon, wall_s=5.0),
        row("FI", noon, wall_s=7.0, status="degraded"),
        row("FR", noon, status="failed", certified=False, wall_s=1.0),
    ]
    finland, france = (summary_by_zone(pd.DataFrame(rows)).loc[zone] for zone in ("FI", "FR"))
    assert (finland["nights"], finland["finished"], finland["certified"], finland["degraded"]) == (3, 3, 3, 1)
    assert (finland["median_wall_s"], finland["worst_wall_s"]) == (6.0, 7.0)
    assert (france["finished"], france["certified"]) == (0, 0)
