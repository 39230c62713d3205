"""Nothing is lost, doubled or half-written: a second instance, a full disk, a cut file, a clock that jumps, a cut-off run."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from forecasting.errors import SourceUnavailableError
from pipelines.errors import LockedError
from pipelines.stages.publish import NIGHT_FILES
from pipelines.store_lock import store_lock
from tests.pipelines.faulty import FaultySource, run_night, stored_rows

KEYS = ["series", "zone", "delivery_utc", "available_at"]


def test_a_second_night_on_the_same_store_is_refused_with_the_holder(tmp_path: Path) -> None:
    with store_lock(tmp_path / "store" / "synthetic"):
        night = run_night(tmp_path)
    assert (night.code, night.published) == (1, False)
    assert f"is in use by process {os.getpid()}, started 20" in night.said
    assert run_night(tmp_path, name="later").code == 0


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    holder = "from pathlib import Path; import os, sys; from pipelines.store_lock import store_lock\n"
    holder += "with store_lock(Path(sys.argv[1])):\n    print(os.getpid(), flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    number = process.stdout.readline().strip()
    with pytest.raises(LockedError, match=f"in use by process {number}, started"), store_lock(tmp_path):
        pass
    process.kill()
    process.communicate()
    with store_lock(tmp_path):
        assert f'"pid": {os.getpid()}' in (tmp_path / ".lock").read_text()
    assert (tmp_path / ".lock").read_text() == ""


def test_what_a_killed_writer_left_is_cleared(tmp_path: Path) -> None:
    partial = tmp_path / "series=price" / "zone=A" / "month=2022-06" / ".rows-x1.tmp"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"half")
    with store_lock(tmp_path):
        assert not partial.exists()


def test_a_run_cut_off_in_the_middle_goes_on_where_it_stopped(tmp_path: Path) -> None:
    reads = 0

    def breaks(series: str, _place: str, frame: pd.DataFrame) -> pd.DataFrame:
        nonlocal reads
        reads += 1
        if reads == 4:
            raise KeyboardInterrupt
        return frame

    first = run_night(tmp_path, "history.train_days=100", source=FaultySource(breaks), name="first")
    assert (first.code, first.published) == (1, False)
    assert "run the same command again to resume" in first.said
    source = FaultySource()
    assert run_night(tmp_path, "history.train_days=100", source=source, name="second").code == 0
    (resumed_at, *_) = [start for series, _, start, _ in source.asked if series == "price"]
    assert resumed_at > pd.Timestamp("2022-03-25", tz="UTC"), "three stored months are not fetched again"
    undisturbed = run_night(tmp_path / "calm", "history.train_days=100")
    pd.testing.assert_frame_equal(
        pd.read_parquet(undisturbed.folder / "schedule.parquet"), pd.read_parquet(tmp_path / "second/schedule.parquet")
    )
    pd.testing.assert_frame_equal(stored_rows(tmp_path / "calm"), stored_rows(tmp_path))


def test_artefacts_of_a_run_that_failed_later_are_used_again(tmp_path: Path) -> None:
    failed = run_night(tmp_path, case_changes={"import_max_mw": 0.35}, name="failed")
    assert failed.code == 1
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "artefacts").rglob("*.pt")}
    assert len(written) == 3
    assert run_night(tmp_path, name="again").code == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "artefacts").rglob("*.pt")} == written


def test_a_store_file_cut_in_half_is_refused_with_its_path_and_healed_by_deleting_it(tmp_path: Path) -> None:
    first = run_night(tmp_path, name="first")
    path = next((tmp_path / "store").glob("*/series=price/**/month=2022-06/rows.parquet"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    night = run_night(tmp_path, name="cut")
    assert (night.code, night.published) == (1, False)
    assert str(path) in night.said
    assert "delete this file and run again" in night.said
    path.unlink()
    healed = run_night(tmp_path, name="healed")
    assert healed.summary["status"] == "ok"
    assert healed.summary["dispatch"]["objective"] == first.summary["dispatch"]["objective"]


def full(matching: str) -> Callable[[int], None]:
    """``os.fsync`` on a disk that is full for files whose path contains ``matching``."""
    honest = os.fsync

    def fsync(handle: int) -> None:
        if matching in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        honest(handle)

    return fsync


@pytest.mark.parametrize("place", ["store", "artefacts", "schedule", "report.html", "forecast.parquet"])
def test_a_full_disk_ends_in_one_line_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full(place))
        night = run_night(tmp_path, name="run")
    assert night.code == 1
    assert "No space left on device" in night.said
    assert night.said.count("\n") == 1
    assert not night.published
    assert not [path for path in tmp_path.rglob(".*") if path.name != ".lock"]
    assert run_night(tmp_path, name="run").summary["status"] == "ok", "with room again, the same command succeeds"


def test_a_clock_that_jumps_backwards_loses_and_doubles_nothing(tmp_path: Path) -> None:
    early, late = "2022-06-10T11:30+02:00", "2022-06-14T18:30+02:00"
    first = run_night(tmp_path, as_of=early, name="first")
    run_night(tmp_path, as_of=late, name="late")
    rows = stored_rows(tmp_path)
    again = run_night(tmp_path, as_of=early, name="again")
    assert again.summary["dispatch"]["objective"] == first.summary["dispatch"]["objective"]
    pd.testing.assert_frame_equal(stored_rows(tmp_path), rows)
    assert not rows.duplicated(KEYS).any()
    run_night(tmp_path / "straight", as_of=late)
    straight = stored_rows(tmp_path / "straight").set_index(KEYS)["value"]
    both = rows.set_index(KEYS)["value"]
    assert straight.index.isin(both.index).all()


def test_a_service_that_dies_between_series_leaves_a_store_that_the_next_run_completes(tmp_path: Path) -> None:
    def dies(series: str, place: str, frame: pd.DataFrame) -> pd.DataFrame:
        if series == "load":
            raise SourceUnavailableError("load: gone")
        return frame

    assert run_night(tmp_path, source=FaultySource(dies), name="first").code == 1
    assert run_night(tmp_path, name="second").summary["status"] == "ok"


@pytest.mark.parametrize(
    ("overrides", "changes"),
    [((), {"import_max_mw": 0.35}), (("model.name=lier",), {}), (("zone=NOWHERE",), {})],
    ids=["no plan is possible", "unknown model", "wrong zone, found before the store is locked"],
)
def test_a_failed_night_in_the_folder_of_an_earlier_one_leaves_no_plan_there(
    tmp_path: Path, overrides: tuple[str, ...], changes: dict[str, float]
) -> None:
    first = run_night(tmp_path, name="run")
    plan = (tmp_path / "run" / "plan.json").read_bytes()
    failed = run_night(tmp_path, *overrides, name="run", as_of="2022-06-15T11:30+02:00", case_changes=changes)
    assert failed.code != 0
    assert not failed.published
    assert not {path.name for path in failed.folder.iterdir()} & set(NIGHT_FILES)
    assert failed.summary["status"] == "failed"
    assert (failed.folder / "previous" / "plan.json").read_bytes() == plan
    again = run_night(tmp_path, name="run")
    assert again.published
    assert again.summary["dispatch"]["objective"] == first.summary["dispatch"]["objective"]


def test_a_night_killed_before_it_publishes_leaves_no_earlier_plan_in_its_folder(tmp_path: Path) -> None:
    run_night(tmp_path, name="run")
    seen: list[set[str]] = []

    def look(series: str, _place: str, frame: pd.DataFrame) -> pd.DataFrame:
        seen.append({path.name for path in (tmp_path / "run").iterdir()} & {*NIGHT_FILES, "summary.json"})
        return frame

    run_night(tmp_path, name="run", source=FaultySource(look))
    assert seen
    assert not set.union(*seen), "from the first request on, nothing here looks like a plan of this night"


def test_a_second_instance_leaves_the_files_of_the_first_alone(tmp_path: Path) -> None:
    first = run_night(tmp_path, name="run")
    with store_lock(tmp_path / "store" / "synthetic"):
        assert run_night(tmp_path, name="run").code == 1
    assert first.published
