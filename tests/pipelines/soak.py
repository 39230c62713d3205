"""Many nights in a row with faults drawn at random; and nights killed at random moments.

As a script: ``python -m tests.pipelines.soak nights 400 [seed]`` or ``python -m tests.pipelines.soak kills 50 [seed]``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.errors import NoDataError, SourceUnavailableError
from forecasting.store import Store
from tests.pipelines.faulty import Fault, FaultySource, run_night, stored_rows

FIRST_NIGHT = pd.Timestamp("2022-03-20T11:30", tz="Europe/Copenhagen")
KEYS = ["series", "zone", "delivery_utc", "available_at"]

#: What may happen on a night, and how often.
FAULTS = {"none": 0.55, "down": 0.1, "partly down": 0.05, "hole": 0.1, "nan": 0.05, "spike": 0.1, "absent": 0.05}


def drawn_fault(kind: str, rng: np.random.Generator, as_of: pd.Timestamp) -> Fault:
    """A fault of one night: which series and which hours it hits follows from ``rng``."""
    series = str(rng.choice(["price", "load", "load_forecast", "wind_forecast", "wind_power"]))
    begin = as_of.tz_convert("UTC").floor("h") - pd.Timedelta(hours=int(rng.integers(0, 60)))
    end = begin + pd.Timedelta(hours=int(rng.integers(1, 12)))

    def spoil(name: str, _place: str, frame: pd.DataFrame) -> pd.DataFrame:
        if kind == "down" or (kind == "partly down" and name == series):
            raise SourceUnavailableError(f"{name}: HTTP 503 for 300 s")
        if name != series or kind == "none":
            return frame
        inside = (frame.index >= begin) & (frame.index < end)
        if kind == "absent" and name.endswith("forecast"):
            raise NoDataError(f"no data for {name}")
        if kind == "hole":
            return frame[~inside]
        if kind == "nan":
            return frame.assign(value=frame["value"].mask(inside))
        if kind == "spike":
            return frame.assign(value=frame["value"].where(~inside, frame["value"] * 60 + 20_000))
        return frame

    return spoil


def soak(folder: Path, nights: int, seed: int = 0) -> Counter[str]:
    """Run ``nights`` in a row (morning and evening in turn), checking each; returns how many ended how.

    Raises ``AssertionError`` on a crash, a silent degradation, a lost or doubled row, or a store that cannot be read.
    """
    rng, ended = np.random.default_rng(seed), Counter[str]()
    before = pd.DataFrame(columns=[*KEYS, "value"])
    for number in range(nights):
        day, evening = divmod(number, 2)
        as_of = FIRST_NIGHT + pd.Timedelta(days=day, hours=7 * evening)
        kind = str(rng.choice(list(FAULTS), p=list(FAULTS.values()))) if number else "none"
        source = FaultySource(drawn_fault(kind, rng, as_of))
        night = run_night(folder, source=source, as_of=as_of.isoformat(), name=f"night{number}")
        where = f"night {number} ({kind}, {as_of}): {night.said}"
        status = night.summary["status"]
        assert "Traceback" not in night.said, where
        assert night.code == int(status == "failed"), where
        assert night.published == (status != "failed"), where
        assert bool(night.summary["reasons"]) == (status != "ok"), where
        if kind == "down":
            assert status != "ok", where
        told = json.loads((folder / "store/synthetic/monitoring/status.json").read_text(encoding="utf-8"))
        assert told["status"] == status, where
        rows = stored_rows(folder)
        assert not rows.duplicated(KEYS).any(), where
        kept = before.merge(rows[[*KEYS, "value"]], on=KEYS, how="left", suffixes=("", "_now"))
        assert kept["value_now"].notna().all(), where
        before = rows[[*KEYS, "value"]]
        ended[status] += 1
    store = Store(folder / "store" / "synthetic")
    assert int(store.query("SELECT count(*) AS n FROM observations")["n"].iloc[0]) == len(before)
    return ended


def killed(folder: Path, kills: int, seed: int = 0) -> float:
    """Kill the same night at ``kills`` random moments, then let it finish; returns how long a whole night takes, s.

    Raises ``AssertionError`` if the night that follows all the kills differs from an undisturbed one.
    """
    rng = np.random.default_rng(seed)
    calm, began = folder / "calm", time.perf_counter()
    assert _night_process(calm).wait(timeout=300) == 0
    whole = time.perf_counter() - began
    rough = folder / "rough"
    for _ in range(kills):
        process = _night_process(rough)
        try:
            process.wait(timeout=float(rng.uniform(0.2, 1.1)) * whole)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if (rough / "run" / "summary.json").exists():
            pd.read_parquet(rough / "run" / "schedule.parquet")  # a summary vouches for whole files
    assert _night_process(rough).wait(timeout=300) == 0
    for name in ("schedule.parquet", "forecast.parquet"):
        pd.testing.assert_frame_equal(pd.read_parquet(calm / "run" / name), pd.read_parquet(rough / "run" / name))
    pd.testing.assert_frame_equal(stored_rows(calm), stored_rows(rough))
    leftovers = [*rough.rglob(".rows-*"), *rough.rglob(".partial")]
    assert not leftovers
    return whole


def _night_process(folder: Path) -> subprocess.Popen[str]:
    folder.mkdir(parents=True, exist_ok=True)
    quick = ("model=naive", "history.train_days=60", "history.valid_days=28", "hydra.run.dir=run")
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.nightly", *quick],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def main() -> None:
    """Run the soak or the kills that the command line names, in a folder that is removed afterwards."""
    what, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
    with tempfile.TemporaryDirectory() as folder:
        if what == "nights":
            print(f"{count} nights from seed {seed}: {dict(soak(Path(folder), count, seed))}")
        else:
            print(
                f"{count} kills from seed {seed}: same result; a whole night takes {killed(Path(folder), count, seed):.1f} s"
            )


if __name__ == "__main__":
    main()
