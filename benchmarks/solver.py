"""Time the cone engine on a distribution day: ``python -m benchmarks.solver [--repeats 5] [--scip] [--scaling]``.

Prints, for each situation, the median wall time from Pyomo model to checked answer, its share outside the solvers, the
proven gap and the AC errors; with ``--scip`` the time of SCIP on the same cones under a limit of 120 s in the same run;
with ``--scaling`` how time and memory grow with buses and steps.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import clarabel
import highspy

from benchmarks.dispatch_model import Situation, dispatch_model, situations
from dispatch.exactness import solve_exact
from dispatch.network.feeder import Feeder, load_feeder, random_feeder
from dispatch.solver import SolverOptions, solve

SCIP_LIMIT_S = 120.0
#: Phases spent inside Clarabel and HiGHS.
SOLVER_PHASES = ("relax", "milp", "polish")


@dataclass(frozen=True)
class Timing:
    """Medians over repeats: wall and processor seconds with model building, and the last run's quality."""

    wall_s: float
    cpu_s: float
    outside_share: float
    gap: float
    objective: float
    voltage_error_pu: float
    loss_error_mw: float


def timed(feeder: Feeder, situation: Situation, steps: int, repeats: int, options: SolverOptions) -> Timing:
    """Build, solve and check one day several times."""
    walls, processors, outside = [], [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        model, cones = dispatch_model(feeder, situation, steps)
        result, report = solve_exact(model, cones, model.network, options)
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
        inside = sum(result.seconds[phase] for phase in SOLVER_PHASES) + result.seconds.get("repair", 0.0)
        outside.append(1.0 - inside / walls[-1])
    return Timing(
        wall_s=statistics.median(walls),
        cpu_s=statistics.median(processors),
        outside_share=statistics.median(outside),
        gap=result.gap,
        objective=result.objective,
        voltage_error_pu=report.voltage_error_pu,
        loss_error_mw=report.loss_error_mw,
    )


def compare(repeats: int, with_scip: bool) -> None:
    """The five situations on the 33-bus feeder, 24 steps, 72 binaries, 768 line cones."""
    feeder, medians = load_feeder("ieee33"), []
    print(f"{'situation':<12}{'wall s':>8}{'cpu s':>8}{'outside':>9}{'gap':>10}{'dU p.u.':>10}{'profit':>12}  SCIP")
    for situation in situations():
        ours = timed(feeder, situation, 24, repeats, SolverOptions())
        medians.append(ours.wall_s)
        print(
            f"{situation.name:<12}{ours.wall_s:>8.2f}{ours.cpu_s:>8.2f}{ours.outside_share:>9.0%}{ours.gap:>10.1e}"
            f"{ours.voltage_error_pu:>10.1e}{ours.objective:>12.3f}  {_scip(feeder, situation, ours) if with_scip else '-'}",
            flush=True,
        )
    print(f"median of the situations {statistics.median(medians):.2f} s, worst {max(medians):.2f} s")


def _scip(feeder: Feeder, situation: Situation, ours: Timing) -> str:
    """SCIP on the same Pyomo model and cones, to the same gap; where losses pay it solves the relaxation only."""
    processor = time.process_time()
    model, cones = dispatch_model(feeder, situation)
    result = solve(model, cones, SolverOptions(solver="scip", time_limit_s=SCIP_LIMIT_S))
    spent = time.process_time() - processor
    return (
        f"{result.status}, wall {result.seconds['total']:.1f} s, cpu {spent:.1f} s ({spent / ours.cpu_s:.0f} times), "
        f"gap {result.gap:.1e}, profit {result.objective:.3f}"
    )


def scale(repeats: int) -> None:
    """Time and peak memory over feeders and steps, base situation with soft voltages; a fresh process for each size."""
    print(f"{'buses':>6}{'steps':>7}{'wall s':>9}{'cpu s':>9}{'outside':>9}{'gap':>10}{'peak MB':>9}")
    for buses in (33, 69, 123, 500):
        for steps in (24, 96) if buses <= 123 else (24,):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
                found, peak = fresh.submit(_sized, buses, steps, repeats).result()
            print(
                f"{buses:>6}{steps:>7}{found.wall_s:>9.2f}{found.cpu_s:>9.2f}{found.outside_share:>9.0%}"
                f"{found.gap:>10.1e}{peak:>9.0f}",
                flush=True,
            )


def _sized(buses: int, steps: int, repeats: int) -> tuple[Timing, float]:
    base = replace(situations()[0], min_voltage_pu=0.9)
    found = timed(random_feeder(buses, 1), base, steps, repeats, SolverOptions(time_limit_s=300.0))
    return found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scip", action="store_true", help="also solve each day by SCIP, up to 120 s each")
    parser.add_argument("--scaling", action="store_true", help="feeders of 33 to 500 buses, 24 and 96 steps")
    chosen = parser.parse_args()
    print(
        f"HiGHS {highspy.Highs().version()}, Clarabel {clarabel.__version__}, Python {platform.python_version()}, "
        f"{platform.machine()}, one thread"
    )
    compare(chosen.repeats, chosen.scip)
    if chosen.scaling:
        scale(1)


if __name__ == "__main__":
    main()
