"""Many nights in a row with faults drawn at random; and nights killed at random moments.

As a script: ``python -m tests.pipelines.soak nights 400 [seed [folder]]`` or ``python -m tests.pipelines.soak kills 50
[seed]``. With a folder the nights go on where an earlier call was stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

import forecasting
from forecasting.errors import NoDataError, SourceUnavailableError
from forecasting.store import Store
from pipelines.run_folder import write_atomically
from tests.pipelines.faulty import FaultySource, market, run_night, stored_rows

FIRST_NIGHT = pd.Timestamp("2022-03-20T11:30", tz="Europe/Copenhagen")
KEYS = ["series", "zone", "delivery_utc", "available_at"]

#: What may happen on a night, and how often.
FAULTS = {"none": 0.55, "down": 0.1, "partly down": 0.05, "hole": 0.1, "nan": 0.05, "spike": 0.1, "absent": 0.05}


@dataclass
class DrawnFault:
    """A fault of one night. ``hit`` says of each series and place which delivery times it took or changed."""

    kind: str
    series: str
    begin: pd.Timestamp
    end: pd.Timestamp
    hit: dict[tuple[str, str], pd.DatetimeIndex] = field(default_factory=dict)

    def __call__(self, name: str, place: str, frame: pd.DataFrame) -> pd.DataFrame:
        """The answer about ``name`` at ``place``, spoiled."""
        kind = self.kind
        if kind == "down" or (kind == "partly down" and name == self.series):
            raise SourceUnavailableError(f"{name}: HTTP 503 for 300 s")
        if name != self.series or kind == "none":
            return frame
        inside = (frame.index >= self.begin) & (frame.index < self.end)
        if kind == "absent" and name.endswith("forecast"):
            raise NoDataError(f"no data for {name}")
        if kind in ("hole", "nan", "spike"):
            seen = self.hit.get((name, place), frame.index[:0])
            self.hit[name, place] = seen.union(frame.index[inside])
        if kind == "hole":
            return frame[~inside]
        if kind == "nan":
            return frame.assign(value=frame["value"].mask(inside))
        if kind == "spike":
            return frame.assign(value=frame["value"].where(~inside, frame["value"] * 60 + 20_000))
        return frame

    def must_be_told(self, stored: pd.DataFrame, as_of: pd.Timestamp) -> bool:
        """Whether it kept a new value from the night: one that was due, was not stored and belongs to the last day.

        ``stored``: every row of the store before the night.
        """
        if self.kind == "down":
            return True
        since = as_of - pd.Timedelta(days=1)
        for (name, place), times in self.hit.items():
            rule = market().availability(name)
            due = times[np.asarray(rule.available_at(times, market().market_time_zone("COAST_1"), 60) <= as_of)]
            have = stored[(stored["series"] == f"series={name}") & (stored["zone"] == f"zone={place}")]
            if len(due[(due >= since)].difference(pd.DatetimeIndex(have["delivery_utc"]))):
                return True
        return False


def drawn_fault(kind: str, rng: np.random.Generator, as_of: pd.Timestamp) -> DrawnFault:
    """A fault of one night: which series and which hours it hits follows from ``rng``."""
    series = str(rng.choice(["price", "load", "load_forecast", "wind_forecast", "wind_power"]))
    begin = as_of.tz_convert("UTC").floor("h") - pd.Timedelta(hours=int(rng.integers(0, 60)))
    return DrawnFault(kind, series, begin, begin + pd.Timedelta(hours=int(rng.integers(1, 12))))


def soak(folder: Path, nights: int, seed: int = 0) -> Counter[str]:
    """Run ``nights`` in a row (morning and evening in turn), checking each; returns how many ended how.

    What is drawn for a night follows from ``seed`` and its number, so a soak that was stopped goes on in its folder.
    Raises ``AssertionError`` on a crash, a silent degradation, a lost or doubled row, or a store that cannot be read.
    """
    progress = folder / "progress.json"
    done = json.loads(progress.read_text(encoding="utf-8")) if progress.exists() else {"nights": 0, "ended": {}}
    ended = Counter[str](done["ended"])
    before = stored_rows(folder)[[*KEYS, "value"]] if done["nights"] else pd.DataFrame(columns=[*KEYS, "value"])
    for number in range(done["nights"], nights):
        rng = np.random.default_rng([seed, number])
        day, evening = divmod(number, 2)
        as_of = FIRST_NIGHT + pd.Timedelta(days=day, hours=7 * evening)
        kind = str(rng.choice(list(FAULTS), p=list(FAULTS.values()))) if number else "none"
        fault = drawn_fault(kind, rng, as_of)
        night = run_night(folder, source=FaultySource(fault), as_of=as_of.isoformat(), name=f"night{number}")
        where = f"night {number} ({kind} of {fault.series} from {fault.begin}, {as_of}): {night.said}"
        status = night.summary["status"]
        assert "Traceback" not in night.said, where
        assert night.code == int(status == "failed"), where
        assert night.published == (status != "failed"), where
        assert bool(night.summary["reasons"]) == (status != "ok"), where
        if fault.must_be_told(before, as_of.tz_convert("UTC")):
            assert status != "ok", where
        told = json.loads((folder / "store/synthetic/monitoring/status.json").read_text(encoding="utf-8"))
        assert told["status"] == status, where
        if night.published:
            plan = json.loads((night.folder / "plan.json").read_text(encoding="utf-8"))
            assert (plan["status"], plan["reasons"]) == (status, night.summary["reasons"]), where
            assert plan["certificate"]["passed"], where
        rows = stored_rows(folder)
        assert not rows.duplicated(KEYS).any(), where
        kept = before.merge(rows[[*KEYS, "value"]], on=KEYS, how="left", suffixes=("", "_now"))
        assert kept["value_now"].notna().all(), where
        before = rows[[*KEYS, "value"]]
        ended[status] += 1
        ended["changes of champion"] += sum(
            "promoted" in one["event"] or "returned" in one["event"]
            for one in night.summary.get("forecasters", {}).values()
        )
        shutil.rmtree(night.folder)
        _note(progress, number + 1, ended)
    store = Store(folder / "store" / "synthetic")
    assert int(store.query("SELECT count(*) AS n FROM observations")["n"].iloc[0]) == len(before)
    return ended


def _note(progress: Path, nights: int, ended: Counter[str]) -> None:
    text = json.dumps({"nights": nights, "ended": ended})
    write_atomically(progress, lambda path: path.write_text(text, encoding="utf-8"))


def killed(folder: Path, kills: int, seed: int = 0) -> float:
    """Kill two nights in a row at ``kills`` random moments, half of them each, and let each finish before the next.

    The second night has a champion to challenge. Returns the seconds of one whole night. Raises ``AssertionError`` if what
    follows all the kills differs from an undisturbed run in forecast, schedule, store, artefacts or record of champions.
    """
    rng = np.random.default_rng(seed)
    calm, rough = folder / "calm", folder / "rough"
    began = time.perf_counter()
    for run in ("first", "second"):
        assert _night_process(calm, run).wait(timeout=600) == 0
    whole = (time.perf_counter() - began) / 2
    for run, share in (("first", kills - kills // 2), ("second", kills // 2)):
        for _ in range(share):
            process = _night_process(rough, run)
            try:
                process.wait(timeout=float(rng.uniform(0.2, 1.1)) * whole)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if (rough / run / "summary.json").exists():
                pd.read_parquet(rough / run / "schedule.parquet")  # a summary vouches for whole files
        assert _night_process(rough, run).wait(timeout=600) == 0
    for run in ("first", "second"):
        for name in ("schedule.parquet", "forecast.parquet"):
            pd.testing.assert_frame_equal(pd.read_parquet(calm / run / name), pd.read_parquet(rough / run / name))
    pd.testing.assert_frame_equal(stored_rows(calm), stored_rows(rough))
    assert _kept_artefacts(calm) == _kept_artefacts(rough)
    leftovers = [*rough.rglob(".rows-*"), *rough.rglob(".partial")]
    assert not leftovers
    return whole


def _kept_artefacts(folder: Path) -> dict[str, str]:
    """Every artefact by name with its fingerprint, and the records of champions with their text."""
    paths = sorted((folder / "artefacts").rglob("[!.]*.*"))
    return {
        str(path.relative_to(folder)): (
            forecasting.load(path).meta.fingerprint if path.suffix == ".pt" else path.read_text(encoding="utf-8")
        )
        for path in paths
    }


def _night_process(folder: Path, run: str) -> subprocess.Popen[str]:
    folder.mkdir(parents=True, exist_ok=True)
    as_of = {"first": "2024-10-14T11:30+02:00", "second": "2024-10-15T11:30+02:00"}[run]
    quick = ("model=naive", "history.train_days=60", "history.valid_days=28", f"hydra.run.dir={run}", f"as_of={as_of}")
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.nightly", *quick],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def main() -> None:
    """Run the soak or the kills that the command line names, in a folder that is removed afterwards if none is named."""
    what, count, *more = sys.argv[1:]
    seed = int(more[0]) if more else 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(more[1]) if len(more) > 1 else Path(temporary)
        if what == "nights":
            print(f"{count} nights from seed {seed}: {dict(soak(folder, int(count), seed))}")
        else:
            whole = killed(folder, int(count), seed)
            print(f"{count} kills from seed {seed}: same result; a whole night takes {whole:.1f} s")


if __name__ == "__main__":
    main()
