"""Half a year of real nights in five zones, run as the job runs them; a spread sample of them, or all.

As a script: ``python -m tests.pipelines.real_nights FOLDER [--every 10] [--zones DK_1 DE_LU] [--model NAME]``. Store, artefacts
and results stay in the folder: a call that was stopped goes on where it stood. Each night is appended to ``nights.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tests.conftest import SHARED_DATA
from tests.pipelines.running import execute_here

ZONES = ("DK_1", "DE_LU", "FR", "ES", "FI")
FIRST, LAST = "2024-01-01", "2024-06-29"
DATA = SHARED_DATA / "entsoe_2022_2024H1"


def nights(every: int, zones: Sequence[str] = ZONES) -> Iterator[tuple[str, pd.Timestamp]]:
    """Zone and instant of every ``every``-th night; mornings and evenings take turns."""
    for zone in zones:
        for number, day in enumerate(pd.date_range(FIRST, LAST, freq=f"{every}D", tz="Europe/Brussels")):
            yield zone, day.replace(hour=18 if number % 2 else 11, minute=30)


def real_night(folder: Path, zone: str, as_of: pd.Timestamp, model: str) -> dict[str, Any]:
    """Run one night below ``folder``; returns how it ended, with its wall and processor seconds.

    The nights between two of a sample are not run, so no champion is confirmed in them: its age does not count here.
    """
    wall, processor = time.perf_counter(), time.process_time()
    run = folder / "runs" / f"{zone}-{as_of:%Y-%m-%d-%H%M}"
    code = execute_here(
        "nightly",
        run,
        "source=files",
        f"source.root={DATA}",
        "source.layout=entsoe_zones",
        f"zone={zone}",
        f"as_of={as_of.isoformat()}",
        f"model={model}",
        f"store.root={folder / 'store'}",
        f"artefacts.root={folder / 'artefacts'}",
        "artefacts.max_age_days=400",
    )
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return {
        "zone": zone,
        "as_of": as_of.isoformat(),
        "code": code,
        "status": summary["status"],
        "reasons": summary["reasons"],
        "certified": bool(summary.get("dispatch", {}).get("certificate", {}).get("passed")),
        "models": sorted({one["model"].split()[0] for one in summary.get("forecast", {}).values()}),
        "trained": not _artefacts_before(folder, zone, as_of),
        "wall_s": round(time.perf_counter() - wall, 2),
        "processor_s": round(time.process_time() - processor, 2),
        "seconds": summary["seconds"],
    }


def _artefacts_before(folder: Path, zone: str, as_of: pd.Timestamp) -> bool:
    """Whether an earlier night of the same kind has left its champions."""
    kind = f"-{as_of:%H%M}"
    return any(
        path.name < f"{zone}-{as_of:%Y-%m-%d-%H%M}" and path.name.endswith(kind)
        for path in (folder / "runs").glob(f"{zone}-*")
    )


def run_all(folder: Path, every: int, zones: Sequence[str], model: str) -> pd.DataFrame:
    """Run what is not in ``folder`` yet; returns a row for each night."""
    results = folder / "nights.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    done = read_results(results)
    known = set(zip(done["zone"], done["as_of"], strict=True)) if len(done) else set()
    if results.exists() and not results.read_bytes().endswith(b"\n"):
        with results.open("a", encoding="utf-8") as file:
            file.write("\n")
    for zone, as_of in nights(every, zones):
        if (zone, as_of.isoformat()) in known:
            continue
        row = real_night(folder, zone, as_of, model)
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
        print(zone, row["as_of"], row["status"], f"{row['wall_s']} s", *row["reasons"], flush=True)
    return read_results(results)


def read_results(path: Path) -> pd.DataFrame:
    """The nights of a results file; a line that a kill cut short is left out, and its night is run again."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return pd.DataFrame(rows)


def summary_by_zone(table: pd.DataFrame) -> pd.DataFrame:
    """Nights, how they ended, and the seconds of those whose artefacts were trained before."""
    ready = table[~table["trained"]].groupby("zone")
    return pd.DataFrame(
        {
            "nights": table.groupby("zone").size(),
            "finished": table["status"].ne("failed").groupby(table["zone"]).sum(),
            "certified": table.groupby("zone")["certified"].sum(),
            "degraded": table["status"].eq("degraded").groupby(table["zone"]).sum(),
            "median_wall_s": ready["wall_s"].median(),
            "worst_wall_s": ready["wall_s"].max(),
            "median_processor_s": ready["processor_s"].median(),
            "worst_processor_s": ready["processor_s"].max(),
        }
    )


def main() -> None:
    """Run the nights that the command line asks for and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--zones", nargs="+", default=list(ZONES))
    parser.add_argument("--model", default="conditional_transformer_small")
    chosen = parser.parse_args()
    table = run_all(chosen.folder, chosen.every, chosen.zones, chosen.model)
    print(summary_by_zone(table).round(2).to_string())


if __name__ == "__main__":
    main()
