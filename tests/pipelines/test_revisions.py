"""A source that changes its past: the revision is stored as known since it was seen, and earlier nights stay what they were."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pandas as pd

from forecasting.store import Store
from tests.pipelines.faulty import AS_OF, FaultySource, Night, run_night, stored_rows

NEXT = "2022-06-15T11:30+02:00"
NOON = pd.Timestamp("2022-06-13T10:00Z"), pd.Timestamp("2022-06-13T12:00Z")
KEYS = ["series", "zone", "delivery_utc", "available_at"]


def revised_load(series: str, _place: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Two hours of metered load come out 5% higher than at first; the publication rule dates them as before."""
    inside = (frame.index >= NOON[0]) & (frame.index < NOON[1])
    return frame.assign(value=frame["value"].where(~inside, frame["value"] * 1.05)) if series == "load" else frame


def night(folder: Path, as_of: str, source: FaultySource, name: str) -> Night:
    """A night of measured data, run at its own instant."""
    source.simulated = False
    with mock.patch("pipelines.clock.now", lambda: pd.Timestamp(as_of).tz_convert("UTC")):
        return run_night(folder, "zone=COAST_1", source=source, as_of=as_of, name=name)


def test_a_revised_load_is_a_version_of_its_own_and_an_earlier_night_stays_what_it_was(tmp_path: Path) -> None:
    first = night(tmp_path, AS_OF, FaultySource(), "first")
    second = night(tmp_path, NEXT, FaultySource(revised_load), "second")
    assert (second.code, second.summary["status"]) == (0, "ok")
    assert "2 values changed by the source since they were stored" in second.summary["inputs"]["load"]["note"]
    store = Store(tmp_path / "store" / "synthetic")
    then = store.read("load", "COAST_1", *NOON, as_of=pd.Timestamp(AS_OF))["value"]
    now = store.read("load", "COAST_1", *NOON, as_of=pd.Timestamp(NEXT))["value"]
    assert ((now / then) - 1.05).abs().max() < 1e-12
    rows = stored_rows(tmp_path)
    assert not rows.duplicated(KEYS).any()
    third = night(tmp_path, NEXT, FaultySource(revised_load), "third")
    assert "changed by the source" not in third.summary["inputs"]["load"]["note"]
    pd.testing.assert_frame_equal(stored_rows(tmp_path), rows)
    again = night(tmp_path, AS_OF, FaultySource(), "again")
    assert again.summary["dispatch"]["objective"] == first.summary["dispatch"]["objective"]


def test_simulated_values_that_change_are_refused_because_another_seed_made_them(tmp_path: Path) -> None:
    run_night(tmp_path, name="first")
    mixed = run_night(tmp_path, source=FaultySource(revised_load), as_of=NEXT, name="mixed")
    assert (mixed.code, mixed.published) == (1, False)
    assert "2 values contradict stored ones" in mixed.said
