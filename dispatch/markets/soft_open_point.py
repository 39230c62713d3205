"""A network operator that prices prosumers' trade and steers a soft open point: Lou et al. 2025, top to bottom.

Front. Energy Res. 13, doi 10.3389/fenrg.2025.1537562. The operator buys from the grid above, prices what prosumers exchange,
and steers converters that join the ends of its feeder (Eqs. 1-19). Prosumers with PV, transferable load and batteries answer
with their cheapest plan (Eqs. 20-27). The paper takes optimality conditions of prosumers with binary charging states, which
are not valid; with prices above zero and lossy batteries the binaries are redundant and are left out. Variants:

``single``
    One price for both directions (the paper; the default).
``two_price``
    A buy and a sell price, so that the operator keeps the margin on what prosumers trade among each other.
``grid_price``
    No game: the grid's purchase price is passed on in both directions, and the operator steers its converters only.
``..._without_soft_open_point``
    The converters stay off (the paper's scenario 2). Voltage limits are soft, with a penalty.
``..._economy_only``
    Money alone: neither converters nor voltages nor the price of losses (scenario 1).

The gap is relative to the objective net of the feeder's own load, which no decision can change: the gross value is an order of
magnitude larger and would hide what the operator controls.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dispatch.assets.price_taker_conditions import price_taker_values
from dispatch.assets.price_taker_response import PriceTakerPlan, contents
from dispatch.case_soft_open_point import SoftOpenPointCase
from dispatch.certificate import Certificate
from dispatch.errors import OptionError
from dispatch.markets.soft_open_point_baseline import (
    against_grid_price,
    at_grid_price,
    converter_table,
    objective_table,
)
from dispatch.markets.soft_open_point_benders import Benders, BendersAnswer, build_master
from dispatch.markets.soft_open_point_certificate import certify_soft_open_point
from dispatch.markets.soft_open_point_inputs import operator_inputs
from dispatch.markets.soft_open_point_network import Scenario, read_network
from dispatch.markets.soft_open_point_notes import notes_of
from dispatch.markets.soft_open_point_solution import SoftOpenPointSolution
from dispatch.schedule import Schedule
from dispatch.solver import SolverOptions

_ALL, _OFF, _ECONOMY = Scenario(), Scenario(converters=False), Scenario(converters=False, security=False)


@dataclass(frozen=True)
class Variant:
    """What is priced and which scenario holds; largest_gap: with which a schedule is certified.

    priced: the operator chooses prices; otherwise the grid's are passed on.
    """

    two_prices: bool = False
    scenario: Scenario = _ALL
    largest_gap: float = 1e-3
    priced: bool = True


VARIANTS: dict[str, Variant] = {
    "single": Variant(),
    "two_price": Variant(two_prices=True),
    "grid_price": Variant(priced=False),
    "single_without_soft_open_point": Variant(scenario=_OFF, largest_gap=5e-2),
    "two_price_without_soft_open_point": Variant(two_prices=True, scenario=_OFF, largest_gap=5e-2),
    "grid_price_without_soft_open_point": Variant(scenario=_OFF, priced=False),
    "single_economy_only": Variant(scenario=_ECONOMY),
    "two_price_economy_only": Variant(two_prices=True, scenario=_ECONOMY),
    "grid_price_economy_only": Variant(scenario=_ECONOMY, priced=False),
}
DEFAULT_VARIANT = "single"
METHODS = ("exact",)


@dataclass(frozen=True, eq=False)
class _Solved:
    """A solution with its proof; bound: on the objective, with the uncontrolled cost."""

    solution: SoftOpenPointSolution
    certificate: Certificate
    gap: float
    bound: float
    status: str
    seconds: Mapping[str, float]
    rounds: pd.DataFrame | None = None


def solve(case: SoftOpenPointCase, variant: str, method: str, options: SolverOptions) -> Schedule:
    """The operator's prices with the prosumers' answers, the network and a certificate; see the module for variants.

    Raises
    ------
    OptionError
        For any solver but HiGHS, which the decomposition drives (with Clarabel for the networks), and for ``grid_price`` where
        the case asks for a choice of terminals.
    InfeasibleError
        If no prices within the band let the prosumers answer.
    SolverError
        If time ran out before any prices were found, or the network cannot carry what prosumers exchange.
    """
    if options.solver != "highs":
        raise OptionError(f"market soft_open_point is solved by highs; solver {options.solver} is not offered")
    chosen = VARIANTS[variant]
    solved = _game(case, chosen, options) if chosen.priced else _passed_on(case, chosen)
    solution = solved.solution
    baseline = at_grid_price(case, solution.inputs, chosen.scenario, solution.terminals).solution
    extras = {
        "against_grid_price": against_grid_price(solution, baseline),
        "objective": objective_table(solution, baseline),
        "voltage": solution.voltage_table(),
        "converters": converter_table(solution) if chosen.scenario.converters and solution.converter_buses else None,
        "convergence": solved.rounds,
    }
    return Schedule.of(
        case,
        solution,
        market="soft_open_point",
        variant=variant,
        method=method,
        solver="highs",
        objective=solution.objective,
        bound=solved.bound,
        gap=solved.gap,
        sense="min",
        certificate=solved.certificate,
        seconds=solved.seconds,
        extras={name: table for name, table in extras.items() if table is not None},
        notes=notes_of(solution, baseline, chosen.priced, solved.status),
        status=solved.status,
    )


def _game(case: SoftOpenPointCase, chosen: Variant, options: SolverOptions) -> _Solved:
    """Prices of the operator by decomposition."""
    seconds = {}
    clock = time.perf_counter()
    inputs = operator_inputs(case)
    master = build_master(inputs, chosen.two_prices, chosen.scenario.converters)
    benders = Benders(master, chosen.scenario, options)
    seconds["build"] = time.perf_counter() - clock
    clock = time.perf_counter()
    answer = benders.run()
    seconds["solve"] = time.perf_counter() - clock
    clock = time.perf_counter()
    model, scale = master.model, master.scale
    plans = []
    for n, prosumer in enumerate(inputs.prosumers):
        turbine, spilled, flows = price_taker_values(model.prosumer[n], prosumer)
        plans.append(PriceTakerPlan(answer.exchange[n], turbine, spilled, flows, contents(prosumer, flows)))
    buy = _values(model.price) * scale
    sell = _values(model.sell_price) * scale if chosen.two_prices else buy
    network = read_network(benders.steps, answer.network, inputs)
    solution = SoftOpenPointSolution(case, inputs, chosen.scenario, buy, sell, tuple(plans), answer.terminals, network)
    bills = scale * sum(block.bill.value for block in model.prosumer.values())
    linearised = sum(value.value for value in answer.network) - inputs.weights.cost * bills
    certificate = certify_soft_open_point(
        solution,
        linearised,
        answer.gap,
        chosen.largest_gap,
        master.conditions.dual_bound_ratio,
        benders.steps,
        answer.network,
    )
    seconds["certify"] = time.perf_counter() - clock
    bound = answer.bound + inputs.uncontrolled_cost
    rounds = _convergence(answer, inputs.uncontrolled_cost)
    return _Solved(solution, certificate, answer.gap, bound, answer.status, seconds, rounds)


def _passed_on(case: SoftOpenPointCase, chosen: Variant) -> _Solved:
    """The grid's purchase price in both directions; only the networks are optimised."""
    clock = time.perf_counter()
    inputs = operator_inputs(case)
    if inputs.chooses_terminals and chosen.scenario.converters:
        raise OptionError(
            "variant grid_price chooses no terminals; list the converters' buses in soft_open_point.buses without terminals_max"
        )
    posted = at_grid_price(case, inputs, chosen.scenario)
    seconds = {"solve": time.perf_counter() - clock}
    clock = time.perf_counter()
    certificate = certify_soft_open_point(
        posted.solution, None, posted.gap, chosen.largest_gap, None, posted.steps, posted.values
    )
    seconds["certify"] = time.perf_counter() - clock
    bound = posted.solution.objective - sum(max(v.value - v.bound, 0.0) for v in posted.values)
    return _Solved(posted.solution, certificate, posted.gap, bound, "optimal", seconds)


def _values(variable: Any) -> np.ndarray:
    return np.array([item.value for item in variable.values()], dtype=float)


def _convergence(answer: BendersAnswer, constant: float) -> pd.DataFrame:
    rows = [(s, v + constant, b + constant) for s, v, b in answer.rounds]
    return pd.DataFrame(rows, columns=["seconds", "objective", "bound"])
