"""A network operator that prices prosumers' trade and steers a soft open point: Lou et al. 2025, top to bottom.

Front. Energy Res. 13, doi 10.3389/fenrg.2025.1537562. The operator buys from the grid above, prices what prosumers exchange,
and steers converters that join the ends of its feeder (Eqs. 1-19). Prosumers with PV, transferable load and batteries answer
with their cheapest plan (Eqs. 20-27). The paper takes optimality conditions of prosumers with binary charging states, which
are not valid; with prices above zero and lossy batteries the binaries are redundant and are left out. Variants:

``single``
    One price for both directions (the paper; the default).
``two_price``
    A buy and a sell price, so that the operator keeps the margin on what prosumers trade among each other.
``..._without_soft_open_point``
    The converters stay off (the paper's scenario 2). Voltage limits are soft, with a penalty.
``..._economy_only``
    Money alone: neither converters nor voltages nor the price of losses (scenario 1).

The gap is relative to the objective net of the feeder's own load, which no decision can change: the gross value is an order of
magnitude larger and would hide what the operator controls.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from dispatch.assets.price_taker_conditions import price_taker_values
from dispatch.assets.price_taker_response import PriceTakerPlan, contents
from dispatch.case_soft_open_point import SoftOpenPointCase
from dispatch.errors import OptionError
from dispatch.markets.soft_open_point_benders import Benders, BendersAnswer, build_master
from dispatch.markets.soft_open_point_certificate import certify_soft_open_point
from dispatch.markets.soft_open_point_inputs import operator_inputs
from dispatch.markets.soft_open_point_network import Scenario, read_network
from dispatch.markets.soft_open_point_solution import SoftOpenPointSolution
from dispatch.schedule import Schedule
from dispatch.solver import SolverOptions

#: Variant to (two prices, scenario, largest gap with which a schedule is certified).
VARIANTS: dict[str, tuple[bool, Scenario, float]] = {
    "single": (False, Scenario(), 1e-3),
    "two_price": (True, Scenario(), 1e-3),
    "single_without_soft_open_point": (False, Scenario(converters=False), 5e-2),
    "two_price_without_soft_open_point": (True, Scenario(converters=False), 5e-2),
    "single_economy_only": (False, Scenario(converters=False, security=False), 1e-3),
    "two_price_economy_only": (True, Scenario(converters=False, security=False), 1e-3),
}
DEFAULT_VARIANT = "single"
METHODS = ("exact",)


def solve(case: SoftOpenPointCase, variant: str, method: str, options: SolverOptions) -> Schedule:
    """The operator's prices with the prosumers' answers, the network and a certificate; see the module for variants.

    Raises
    ------
    OptionError
        For any solver but HiGHS, which the decomposition drives (with Clarabel for the networks).
    InfeasibleError
        If no prices within the band let the prosumers answer.
    SolverError
        If time ran out before any prices were found, or the network cannot carry what prosumers exchange.
    """
    if options.solver != "highs":
        raise OptionError(f"market soft_open_point is solved by highs; solver {options.solver} is not offered")
    clock = time.perf_counter()
    two_prices, scenario, largest_gap = VARIANTS[variant]
    inputs = operator_inputs(case)
    master = build_master(inputs, two_prices)
    benders = Benders(master, scenario, options)
    seconds = {"build": time.perf_counter() - clock}
    clock = time.perf_counter()
    answer = benders.run()
    seconds["solve"] = time.perf_counter() - clock
    clock = time.perf_counter()
    model, scale, times = master.model, master.scale, range(inputs.steps)
    plans = []
    for n, prosumer in enumerate(inputs.prosumers):
        turbine, spilled, flows = price_taker_values(model.prosumer[n], prosumer)
        plans.append(PriceTakerPlan(answer.exchange[n], turbine, spilled, flows, contents(prosumer, flows)))
    buy = np.array([model.price[t].value for t in times]) * scale
    sell = np.array([model.sell_price[t].value for t in times]) * scale if two_prices else buy
    network = read_network(benders.steps, answer.network, inputs)
    solution = SoftOpenPointSolution(case, inputs, scenario, buy, sell, tuple(plans), network)
    bills = scale * sum(block.bill.value for block in model.prosumer.values())
    linearised = sum(value.value for value in answer.network) - inputs.weights.cost * bills
    certificate = certify_soft_open_point(
        solution, linearised, answer.gap, largest_gap, master.conditions.dual_bound_ratio, benders.steps, answer.network
    )
    seconds["certify"] = time.perf_counter() - clock
    items = solution.objective_items()
    return Schedule(
        market="soft_open_point",
        case=case.name,
        variant=variant,
        method=method,
        solver="highs",
        currency=case.currency,
        index=_utc(case),
        step_hours=case.step_hours,
        table=solution.table(),
        money=solution.money(),
        objective=solution.objective,
        bound=answer.bound + inputs.uncontrolled_cost,
        gap=answer.gap,
        sense="min",
        certificate=certificate,
        seconds=seconds,
        extras={
            "objective": pd.DataFrame({"item": list(items), "weighted_cost": list(items.values())}),
            "voltage": solution.voltage_table(),
            "against_grid_price": solution.against_grid_price(),
            "convergence": _convergence(answer, inputs.uncontrolled_cost),
        },
        notes=_notes(answer, solution),
    )


def _convergence(answer: BendersAnswer, constant: float) -> pd.DataFrame:
    rows = [(place + 1, s, v + constant, b + constant) for place, (s, v, b) in enumerate(answer.rounds)]
    return pd.DataFrame(rows, columns=["round", "seconds", "objective", "bound"])


def _notes(answer: BendersAnswer, solution: SoftOpenPointSolution) -> tuple[str, ...]:
    rest = f"{answer.value:,.2f} {solution.case.currency}"
    notes = [
        "Optimistic value: among plans that cost a prosumer the same, the operator's best is taken.",
        f"The gap is relative to the {rest} of the objective that remain without the purchase of the feeder's own load.",
    ]
    if solution.network.beyond.sum() > 1e-6:
        notes.append("Some voltages are outside their limits, which are soft here and penalised.")
    if answer.status != "optimal":
        notes.append("Time ran out before the gap asked for was closed.")
    return tuple(notes)


def _utc(case: SoftOpenPointCase) -> pd.Index:
    if case.index is None:
        return pd.RangeIndex(case.steps)
    return case.index if case.index.tz is None else case.index.tz_convert("UTC")
