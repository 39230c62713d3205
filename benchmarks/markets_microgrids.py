"""Microgrids: seconds, gaps and true calls, beside what the papers print.

    python -m benchmarks.markets_microgrids exact            # game to a proven gap, HiGHS and SCIP (--solvers scip for one)
    python -m benchmarks.markets_microgrids commitment       # the same with turbines that are switched, HiGHS
    python -m benchmarks.markets_microgrids searches --seeds 10 --calls 600
    python -m benchmarks.markets_microgrids parties          # Chen et al. 2024, Table 3

CPU seconds are of this process alone, so that a busy machine does not spoil them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import dispatch
from dispatch.case_microgrids import MicrogridsCase
from dispatch.markets.microgrids_inputs import market_inputs
from dispatch.markets.microgrids_search import search
from dispatch.solver import SolverOptions

#: Chen et al. 2024, Table 4 (DSO earnings in RMB, iterations; ten runs) and Table 3 (cost of scheme 2 against scheme 1).
PAPER_SEARCHES = {"ga": (14384.6, 397), "pso": (12454.3, 1786), "kriging": (14793.2, 58)}
PAPER_PARTIES = {"operator": -0.5063, "mg1": -0.01425, "mg2": -0.04649, "mg3": -0.01694}


def microgrids() -> MicrogridsCase:
    case = dispatch.load_case("microgrids")
    assert isinstance(case, MicrogridsCase)
    return case


def exact(given: argparse.Namespace) -> pd.DataFrame:
    """The game of microgrids to 1e-4; SCIP took 14.5 s and HiGHS 55 to 65 s in a prototype on one core."""
    rows = []
    for solver in given.solvers.split(","):
        cpu, clock = time.process_time(), time.perf_counter()
        schedule = dispatch.solve(microgrids(), options=SolverOptions(time_limit_s=given.limit, solver=solver))
        rows.append(
            {
                "solver": solver,
                "profit": schedule.objective,
                "gap": schedule.gap,
                "cpu_s": time.process_time() - cpu,
                "wall_s": time.perf_counter() - clock,
            }
        )
    return pd.DataFrame(rows)


def commitment(given: argparse.Namespace) -> pd.DataFrame:
    """The game whose microgrids switch their turbines: profit, proven gap, and cuts that were needed."""
    case = microgrids().model_copy(update={"mt_commitment": True})
    cpu = time.process_time()
    schedule = dispatch.solve(case, options=SolverOptions(time_limit_s=given.limit), certify="report")
    row = {
        "profit": schedule.objective,
        "bound": schedule.bound,
        "gap": schedule.gap,
        "cpu_s": time.process_time() - cpu,
    }
    return pd.DataFrame([{**row, "cuts": schedule.extras["value_function_cuts"]["cuts"].iloc[-1]}])


def calls_until(profits: NDArray[np.float64], goal: float) -> float:
    """True calls until the best profit reaches ``goal``; NaN if it never does."""
    reached = np.flatnonzero(profits >= goal)
    return float(reached[0] + 1) if len(reached) else float("nan")


def searches(given: argparse.Namespace) -> pd.DataFrame:
    """Share of the certified optimum by true calls, median and worst over seeds."""
    case = microgrids()
    inputs = market_inputs(case)
    optimum = dispatch.solve(case, options=SolverOptions(time_limit_s=given.limit)).objective
    case = case.model_copy(update={"search": case.search.model_copy(update={"calls": given.calls})})
    rows = []
    for method in ("kriging", "pso", "ga"):
        cpu, shares, calls, goals = time.process_time(), [], [], []
        for seed in range(given.seeds):
            record = search(case, inputs, method, seed)
            shares.append(record.profits.max() / optimum)
            calls.append(record.calls)
            goals.append(calls_until(record.profits, 0.92 * optimum))
        rows.append(
            {
                "method": method,
                "seeds": given.seeds,
                "true_calls": float(np.mean(calls)),
                "median_share": float(np.median(shares)),
                "worst_share": min(shares),
                "median_calls_to_92_percent": float(np.median(goals)),
                "mean_profit": float(np.mean(shares)) * optimum,
                "cpu_s_per_seed": (time.process_time() - cpu) / given.seeds,
                "paper_earnings": PAPER_SEARCHES[method][0],
                "paper_iterations": PAPER_SEARCHES[method][1],
            }
        )
    return pd.DataFrame(rows)


def parties(given: argparse.Namespace) -> pd.DataFrame:
    """Relative change of each party's cost against the grid's tariffs. Every cost falls, in the paper and by theorem."""
    table = dispatch.solve(microgrids(), options=SolverOptions(time_limit_s=given.limit)).extras["against_grid_tariffs"]
    table["change_of_cost"] = -table["gain"] / table["grid_tariffs"].abs()
    table["paper_change_of_cost"] = [PAPER_PARTIES[party] for party in table["party"]]
    return table


BENCHMARKS: dict[str, Callable[[argparse.Namespace], pd.DataFrame]] = {
    "exact": exact,
    "commitment": commitment,
    "searches": searches,
    "parties": parties,
}


def main() -> None:
    """Run one benchmark and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds of one exact solve")
    parser.add_argument("--solvers", default="highs,scip", help="of the exact benchmark")
    given = parser.parse_args()
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(BENCHMARKS[given.benchmark](given).to_string(index=False))


if __name__ == "__main__":
    main()
