"""Time settlement and planning: ``python -m benchmarks.settlement [--days 1000]``.

Prints processor seconds and days per second of one core for the recourse as a linear programme, the vectorised merit order
on days where it is proved, the day-ahead plans without a network, and the whole evaluation with its eight plans a day.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import dispatch
from dispatch.case_adno import AdnoCase
from dispatch.settlement.error_model import ErrorModel
from dispatch.settlement.from_schedule import case_forecast
from dispatch.settlement.merit_order import dispatch_hours
from dispatch.settlement.planner import CopperPlatePlanner
from dispatch.settlement.problem import RecourseAssets
from dispatch.settlement.settle import Engine, merit_order_is_optimal, settle
from dispatch.settlement.worth import forecast_worth


def timed(name: str, count: int, work: Callable[[], object]) -> None:
    """Run once and print its processor time."""
    started = time.process_time()
    work()
    seconds = time.process_time() - started
    print(f"{name:<52}{seconds:>9.3f} s{count / max(seconds, 1e-9):>14,.0f} days/s")


def without_storage_and_ramps(assets: RecourseAssets) -> RecourseAssets:
    """Assets whose merit order is the optimum on every day."""
    names = [name for name in vars(assets) if name.startswith("storage_")]
    free = {name: getattr(assets, name)[:0] for name in names}
    ramps = {name: getattr(assets, name) + float("inf") for name in ("gas_ramp_up_mw", "gas_ramp_down_mw")}
    return replace(assets, **free, **ramps)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=1000)
    count = parser.parse_args().days
    case = dispatch.load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    day, planner = case_forecast(case), CopperPlatePlanner.of_case(case)
    days = ErrorModel().sample(day, count, 0, wind_capacity_mw=sum(farm.capacity_mw for farm in case.wind))
    plan = planner.plans(day).take(0)
    free = without_storage_and_ramps(planner.assets)
    bare = replace(plan, charge_mw=plan.charge_mw[:0], discharge_mw=plan.discharge_mw[:0])
    proved = merit_order_is_optimal(free, bare, days, dispatch_hours(free, bare, days)).mean()
    print(f"{count} days of {day.steps} steps, {case.name}, one core")
    timed("recourse, linear programme", count, lambda: settle(planner.assets, plan, days, Engine.LINEAR_PROGRAM))
    timed(f"recourse, merit order (proved on {proved:.0%})", count, lambda: settle(free, bare, days))
    timed("day-ahead plans, asset by asset", count, lambda: planner.plans(days))
    timed(
        "regret and Shapley shares, eight plans a day", count, lambda: forecast_worth(planner, day, days, day.load_mw)
    )


if __name__ == "__main__":
    main()
