"""Time industrial parks and energy clearing: ``python -m benchmarks.markets_parks_clearing [--repeats 5]``.

Prints, for each market, variant and solver, the median wall and processor time from case to certified schedule, the time
in the solver alone, objective, proven gap and the certificate's verdict. Wu et al. 2024 report 16.3 minutes for clearing.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from typing import Any, Literal

import dispatch
from dispatch.case import Case

PAPER_CLEARING_S = 16.3 * 60
Solver = Literal["highs", "scip"]


def timed(case: Case, variant: str, method: str, solver: Solver, repeats: int) -> dict[str, Any]:
    """Medians over repeats, and what the last run answered; gap 1e-4, one thread."""
    walls, processors, solves = [], [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        schedule = dispatch.solve(case, variant=variant, method=method, solver=solver)
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
        solves.append(schedule.seconds["solve"])
    rounds = len(schedule.extras["convergence"]) if "convergence" in schedule.extras else 0
    return {
        "wall_s": statistics.median(walls),
        "cpu_s": statistics.median(processors),
        "solve_s": statistics.median(solves),
        "objective": schedule.objective,
        "gap": schedule.gap or 0.0,
        "rounds": rounds,
        "certified": schedule.certificate.passed,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    parks, clearing = dispatch.load_case("industrial_parks"), dispatch.load_case("energy_clearing")
    runs: list[tuple[Case, str, str, Solver]] = [
        (parks, variant, "exact", solver)
        for variant in ("faithful", "flex", "bill_guarantee", "time_of_use")
        for solver in ("highs", "scip")
    ]
    runs += [(clearing, "equilibrium", "exact", "highs"), (clearing, "equilibrium", "exact", "scip")]
    runs += [(clearing, "equilibrium", "best_response", "highs"), (clearing, "equilibrium", "pso", "highs")]
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {repeats} repeats, medians"
    )
    print(
        f"{'market variant method solver':<52}{'wall s':>9}{'cpu s':>9}{'solve s':>9}{'objective':>13}{'gap':>10}  rounds"
    )
    for case, variant, method, solver in runs:
        row = timed(case, variant, method, solver, repeats)
        name = f"{case.market} {variant} {method} {solver}"
        verdict = "" if row["certified"] else "  NOT certified"
        print(
            f"{name:<52}{row['wall_s']:>9.3f}{row['cpu_s']:>9.3f}{row['solve_s']:>9.4f}{row['objective']:>13.3f}"
            f"{row['gap']:>10.1e}{row['rounds'] or '':>8}{verdict}"
        )
    print(f"published time of clearing (Wu et al. 2024): {PAPER_CLEARING_S:.0f} s")


if __name__ == "__main__":
    main()
