"""Soft open point: seconds, proven gaps and voltages of the tariffs and scenarios, beside what Lou et al. 2025 print.

    python -m benchmarks.markets_soft_open_point                          # every variant
    python -m benchmarks.markets_soft_open_point --variants single,two_price --limit 3600
    python -m benchmarks.markets_soft_open_point --hours 4,18 --monolith  # one program, by HiGHS and by SCIP

CPU seconds are of this process alone, so that a busy machine does not spoil them; ``--limit`` is wall time. Sweeps of PV and of
the converters' places are the experiments ``hosting_capacity`` and ``placement``.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, Literal

import pandas as pd
import pyomo.environ as pyo

import dispatch
from dispatch.case_soft_open_point import SoftOpenPointCase
from dispatch.markets.soft_open_point import VARIANTS
from dispatch.markets.soft_open_point_benders import build_master
from dispatch.markets.soft_open_point_inputs import operator_inputs
from dispatch.markets.soft_open_point_network import Scenario, network_model
from dispatch.solver import SolverOptions
from dispatch.solver import solve as solve_model

#: Lou et al. 2025, Table 3: share of bus-hours outside the voltage limits, by scenario 3, 2 and 1.
PAPER_OVER_LIMIT = {"": 0.0, "_without_soft_open_point": 0.6503, "_economy_only": 0.2639}


def case_of(hours: str | None) -> SoftOpenPointCase:
    """The full case, or some of its hours."""
    case = dispatch.load_case("soft_open_point")
    assert isinstance(case, SoftOpenPointCase)
    if hours is None:
        return case
    chosen = [int(hour) for hour in hours.split(",")]
    data = case.model_dump(exclude_unset=True)
    for key in ("load_shape", "hv_buy_per_mwh", "prosumer_load_shape", "pv_shape"):
        data[key] = [data[key][hour] for hour in chosen]
    return SoftOpenPointCase.from_mapping({**data, "horizon_hours": float(len(chosen))}, name=f"hours {hours}")


def measured(case: SoftOpenPointCase, variant: str, gap: float, limit: float) -> dict[str, Any]:
    """One variant from case to certificate."""
    cpu, wall = time.process_time(), time.perf_counter()
    options = SolverOptions(gap=gap, time_limit_s=limit)
    schedule = dispatch.solve(case, variant=variant, options=options, certify="report")
    voltage = schedule.extras["voltage"].iloc[0]
    scenario = variant.removeprefix("single").removeprefix("two_price").removeprefix("grid_price")
    return {
        "variant": variant,
        "objective": schedule.objective,
        "bound": schedule.bound,
        "net_gap": schedule.gap,
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "lowest_pu": voltage["lowest_pu"],
        "over_limit": voltage["over_limit_share"],
        "paper_over_limit": PAPER_OVER_LIMIT[scenario],
        "tie_width": schedule.certificate.tie_width,
        "failed": " ".join(schedule.certificate.failures) or "nothing",
    }


def monolith(
    case: SoftOpenPointCase, solver: Literal["highs", "scip"], two_prices: bool, gap: float, limit: float
) -> dict[str, Any]:
    """Prosumers' conditions and all networks as one mixed-integer cone program."""
    inputs = operator_inputs(case)
    cpu, wall = time.process_time(), time.perf_counter()
    master = build_master(inputs, two_prices)
    model, cones = master.model, list(master.conditions.cones)
    model.step = pyo.Block(list(range(inputs.steps)))
    for t in range(inputs.steps):
        network, more = network_model(inputs, t, Scenario())
        network.cost.deactivate()
        model.step[t].transfer_attributes_from(network)
        cones += more
        model.step[t].price = pyo.Constraint(expr=master.scale * model.network_cost[t] >= model.step[t].cost.expr)
        model.step[t].link = pyo.Constraint(
            range(len(inputs.prosumers)), rule=lambda b, n, t=t: b.prosumer_mw[n] == model.prosumer[n].exchange_mw[t]
        )
    result = solve_model(model, cones, SolverOptions(gap=gap, time_limit_s=limit, solver=solver))
    return {
        "variant": f"{'two_price' if two_prices else 'single'}, one program, {solver}",
        "objective": result.objective + inputs.uncontrolled_cost,
        "bound": result.bound + inputs.uncontrolled_cost,
        "net_gap": result.gap,
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "failed": result.status,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--hours", default=None, help="hours of the case, by default all")
    parser.add_argument("--monolith", action="store_true")
    parser.add_argument(
        "--gap", type=float, default=1e-3, help="relative to the objective net of the feeder's own load"
    )
    parser.add_argument("--limit", type=float, default=1200.0, help="seconds of wall time of one solve")
    given = parser.parse_args()
    case, rows = case_of(given.hours), []
    with pd.option_context("display.width", 220, "display.max_columns", 20):
        for variant in given.variants.split(","):
            rows.append(measured(case, variant, given.gap, given.limit))
            print(pd.DataFrame(rows[-1:]).to_string(index=False), flush=True)
            if given.monolith and VARIANTS[variant].priced and VARIANTS[variant].scenario == Scenario():
                solvers: tuple[Literal["highs", "scip"], ...] = ("highs", "scip")
                for solver in solvers:
                    row = monolith(case, solver, VARIANTS[variant].two_prices, given.gap, given.limit)
                    print(pd.DataFrame([row]).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
