"""How long a night takes: the first one (trains), a second one (artefacts at hand), and the dispatch inside it.

Run ``python benchmarks/nightly.py`` on an idle machine; it prints a Markdown table with the machine it ran on. Each figure is a
whole process, started in a fresh folder; memory is the process's peak.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dispatch

#: What each figure must stay under: seconds, and MiB.
LIMITS = {"first night": 120.0, "night with artefacts": 30.0, "ADNO solve": 3.0, "peak memory": 3072.0}


def one_night(folder: Path) -> tuple[float, float, dict[str, float]]:
    """Wall seconds, peak memory so far of all children in MiB, and seconds by phase of a night run in ``folder``."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.nightly"], cwd=folder, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"the night failed:\n{done.stderr}")
    summaries = sorted(folder.glob("outputs/nightly/*/summary.json"), key=lambda path: path.stat().st_mtime)
    phases = json.loads(summaries[-1].read_text(encoding="utf-8"))["seconds"]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return took, peak, phases


def solve_seconds(repeats: int) -> float:
    """Median wall seconds to build, prove and certify the ADNO on IEEE 33."""
    case = dispatch.load_case("adno_ieee33")
    dispatch.solve(case)  # the first solve also imports the solvers
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        dispatch.solve(case)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    """Measure, print, and exit with 1 if a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--repeats", type=int, default=5, help="nights with artefacts, and solves, of which the median counts"
    )
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, _, phases = one_night(folder)
        again = statistics.median(one_night(folder)[0] for _ in range(repeats))
        peak = one_night(folder)[1]
    figures = {
        "first night": first,
        "night with artefacts": again,
        "ADNO solve": solve_seconds(repeats),
        "peak memory": peak,
    }
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, median of {repeats}\n")
    print("| figure | measured | limit |\n|---|---|---|")
    for name, value in figures.items():
        unit = "MiB" if name == "peak memory" else "s"
        print(f"| {name} | {value:.1f} {unit} | {LIMITS[name]:g} {unit} |")
    print("\nfirst night by phase: " + ", ".join(f"{name} {value:.1f} s" for name, value in phases.items()))
    if any(value > LIMITS[name] for name, value in figures.items()):
        sys.exit(1)


if __name__ == "__main__":
    main()
