"""A distribution-network agent and industrial parks: Chen et al. 2024, doi 10.3389/fenrg.2024.1348823, top to bottom.

The agent buys ahead and in real time, runs storage with limited cycles, trades with a neighbouring network, and offers
each park a price within a band and under a cap of its mean. Parks answer with purchase, own generation and curtailment.
Variants:

``faithful``
    Linear parks, as in the paper (the default): a mixed-integer linear program, exact.
``flex``
    Parks can also move load within the day, at a quadratic discomfort.
``bill_guarantee``
    Prices may cost no park more than its own best answer to the time-of-use tariff would: nobody loses by the game.
``time_of_use``
    The time-of-use tariff is posted; parks answer and the agent only trades. The comparison of the paper's Table 3.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.assets.storage import declare_storage
from dispatch.assets.storage_cycles import declare_cycle_limits
from dispatch.case_parks import IndustrialParksCase
from dispatch.conic.cones import Cone
from dispatch.errors import InfeasibleError, SolverError, UnboundedError
from dispatch.markets.industrial_parks_baseline import Guarantee, baseline_tables, guarantees
from dispatch.markets.industrial_parks_certificate import certify_parks
from dispatch.markets.industrial_parks_followers import declare_parks
from dispatch.markets.industrial_parks_inputs import AgentInputs, parks_inputs
from dispatch.markets.industrial_parks_response import park_response
from dispatch.markets.industrial_parks_solution import ParksSolution, read_solution
from dispatch.schedule import Schedule
from dispatch.solver import SolveResult, SolverOptions
from dispatch.solver import solve as solve_cones

FloatArray = NDArray[np.float64]

VARIANTS = ("faithful", "flex", "bill_guarantee", "time_of_use")
DEFAULT_VARIANT = "faithful"
METHODS = ("exact",)


@dataclass(frozen=True, eq=False)
class ParksModel:
    """A built model: a block ``agent[a]`` per agent, and the squares of moved load."""

    case: IndustrialParksCase
    inputs: list[AgentInputs]
    model: Any
    cones: list[Cone]


def solve(case: IndustrialParksCase, variant: str, method: str, options: SolverOptions) -> Schedule:
    """The agent's best prices and trades with their certificate; see the module for variants.

    Raises
    ------
    InfeasibleError
        If no price and trade serves the parks' responses.
    SolverError
        If time ran out before any schedule was found.
    """
    solution, result, seconds = solve_variant(case, variant, options)
    baseline, extras, notes = solution, {}, []
    if variant != "time_of_use":
        clock = time.perf_counter()
        baseline, _, _ = solve_variant(case, "time_of_use", options, shiftable=variant == "flex")
        extras = baseline_tables(solution, baseline)
        seconds["baseline"] = time.perf_counter() - clock
    clock = time.perf_counter()
    certificate, ties = certify_parks(solution, result)
    seconds["certify"] = time.perf_counter() - clock
    notes = [*case.remarks(), *ties.notes(case.currency), *_notes(case, variant, result)]
    return Schedule.of(
        case,
        solution,
        market="industrial_parks",
        variant=variant,
        method=method,
        solver=options.solver,
        objective=solution.profit,
        bound=result.bound,
        gap=result.gap,
        sense="max",
        certificate=certificate,
        seconds=seconds,
        extras=extras,
        notes=tuple(notes),
        status=result.status,
    )


def solve_variant(
    case: IndustrialParksCase, variant: str, options: SolverOptions, shiftable: bool | None = None
) -> tuple[ParksSolution, SolveResult, dict[str, float]]:
    """Values, outcome and seconds of one variant; ``shiftable`` lets parks move load under a posted tariff too."""
    clock = time.perf_counter()
    built = build(case, variant, shiftable)
    seconds = {"build": time.perf_counter() - clock}
    clock = time.perf_counter()
    result = solve_cones(built.model, built.cones, options)
    _refuse(case, result)
    seconds["solve"] = time.perf_counter() - clock
    return read_solution(built.model, built.inputs, case), result, seconds


def build(case: IndustrialParksCase, variant: str = DEFAULT_VARIANT, shiftable: bool | None = None) -> ParksModel:
    """The agents' problem with every park replaced by its optimality conditions."""
    inputs = parks_inputs(case, variant == "flex" if shiftable is None else shiftable)
    model = pyo.ConcreteModel(name=f"industrial parks {case.name} {variant}")
    model.agent = pyo.Block(range(len(inputs)), concrete=True)
    cones: list[Cone] = []
    for a, agent in enumerate(inputs):
        block = model.agent[a]
        # Leader: prices, trade, storage
        promises = guarantees(agent) if variant == "bill_guarantee" else []
        declare_prices(block, agent, posted=agent.prices.time_of_use if variant == "time_of_use" else None)
        declare_bill_guarantee(block, agent, promises)
        declare_trade(block, agent)
        declare_storage(block, agent.storage, agent.steps, agent.step_hours, [True] * len(agent.storage))
        declare_cycle_limits(block, agent.storage, agent.steps, agent.step_hours)
        # Followers
        cones += declare_parks(block, agent)
        if variant == "time_of_use":
            fix_moved_load(block, agent)
    declare_tie_line(model, case, inputs)
    for a, agent in enumerate(inputs):
        declare_balance(model.agent[a], agent, sign=1.0 if a == 0 else -1.0, tie=model.tie_mw)
    model.profit = pyo.Objective(
        sense=pyo.maximize, expr=pyo.quicksum(declare_profit(model.agent[a], agent) for a, agent in enumerate(inputs))
    )
    return ParksModel(case, inputs, model, [] if variant == "time_of_use" else cones)


def declare_prices(block: Any, inputs: AgentInputs, posted: FloatArray | None = None) -> None:
    """Price ``price[i, t]`` offered to park ``i``, currency per MWh, within its band and under the cap of its mean::

        floor_t <= p_it <= ceiling_t,   sum_t p_it / T <= average cap

    Source: Chen et al. 2024, price constraints. The cap is an inequality here: a lower mean never hurts a park.

    Parameters
    ----------
    posted: ``[T]``, a tariff that takes the place of the agent's choice.
    """
    parks, times, prices = range(len(inputs.park_ids)), range(inputs.steps), inputs.prices
    block.price = pyo.Var(parks, times, bounds=lambda _, i, t: (float(prices.floor[t]), float(prices.ceiling[t])))
    if posted is not None:
        for i, t in block.price:
            block.price[i, t].fix(float(posted[t]))
        return
    block.average_price = pyo.Constraint(
        parks, rule=lambda m, i: pyo.quicksum(m.price[i, t] for t in times) <= inputs.steps * prices.average_cap
    )


def fix_moved_load(block: Any, inputs: AgentInputs) -> None:
    """Fixes moved load at the parks' answer to the posted tariff, which is unique, so that no quadratic is left to solve."""
    block.shift_total.deactivate()
    answers = [park_response(inputs, i, inputs.prices.time_of_use) for i in range(len(inputs.park_ids))]
    for i, t in block.shift_mw:
        moved = float(answers[i].shift_mw[t])
        block.shift_mw[i, t].fix(moved)
        block.shift_square[i, t].fix(inputs.discomfort * inputs.step_hours * moved**2)


def declare_bill_guarantee(block: Any, inputs: AgentInputs, promises: list[Guarantee]) -> None:
    """At the new prices, each park's answer to the time-of-use tariff may not cost more than it did::

        sum_t dt [p_it b^_it - k p_it s^_it + c g^_it] <= cost of park i at the time-of-use tariff

    ``b^, s^, g^`` are data, so that the row is linear; as the park can always repeat that answer, it is never worse off.
    Not in Chen et al. 2024, where nothing forces parks' costs to fall.
    """
    dt, k = inputs.step_hours, inputs.buy_back_ratio
    block.bill_guarantee = pyo.Constraint(
        range(len(promises)),
        rule=lambda m, i: (
            pyo.quicksum(dt * float(promises[i].net_purchase(k)[t]) * m.price[i, t] for t in range(inputs.steps))
            <= promises[i].bill
        ),
    )


def declare_trade(block: Any, inputs: AgentInputs) -> None:
    """Day-ahead contract, real-time trade and trade with the neighbour, MW, at every step ``t``::

        0 <= A <= A_max,   0 <= R+ <= R_max z,   0 <= R- <= R_max (1 - z)   (and R- <= discharge where the case says so)
        0 <= N+ <= neighbour's surplus,   0 <= N- <= neighbour's deficit

    Source: Chen et al. 2024, trading constraints. ``z`` is left out where real-time sale is cheaper than purchase, as
    trading both ways then never pays.
    """
    times = list(range(inputs.steps))
    block.day_ahead_mw = pyo.Var(times, bounds=(0, inputs.day_ahead_max_mw))
    block.real_time_buy_mw = pyo.Var(times, bounds=(0, inputs.real_time_max_mw))
    block.real_time_sell_mw = pyo.Var(times, bounds=(0, inputs.real_time_max_mw))
    block.neighbour_buy_mw = pyo.Var(times, bounds=lambda _, t: (0, float(inputs.neighbour_buy_max_mw[t])))
    block.neighbour_sell_mw = pyo.Var(times, bounds=lambda _, t: (0, float(inputs.neighbour_sell_max_mw[t])))
    circular = [t for t in times if inputs.prices.real_time_sell[t] >= inputs.prices.real_time_buy[t]]
    most = inputs.real_time_max_mw
    block.real_time_buying = pyo.Var(circular, domain=pyo.Binary)
    block.buy_only_if_buying = pyo.Constraint(
        circular, rule=lambda m, t: m.real_time_buy_mw[t] <= most * m.real_time_buying[t]
    )
    block.sell_only_if_not_buying = pyo.Constraint(
        circular, rule=lambda m, t: m.real_time_sell_mw[t] <= most * (1 - m.real_time_buying[t])
    )


def declare_tie_line(model: Any, case: IndustrialParksCase, inputs: list[AgentInputs]) -> None:
    """Power ``tie_mw[t]`` from the first agent to the second where both are solved together; its payment cancels."""
    most = case.neighbour_trade.power_max_mw if len(inputs) > 1 else 0.0
    model.tie_mw = pyo.Var(range(inputs[0].steps) if most > 0 else [], bounds=(-most, most))


def declare_balance(block: Any, inputs: AgentInputs, sign: float, tie: Any) -> None:
    """All that is bought and discharged is sold to parks, charged or passed on (Chen et al. 2024, power balance)::

    A + R+ - R- + N+ - N- + P^d - P^c -/+ tie = sum_i (b_i - s_i)
    """
    units, parks = range(len(inputs.storage)), range(len(inputs.park_ids))

    def balance(m: Any, t: int) -> Any:
        bought = m.day_ahead_mw[t] + m.real_time_buy_mw[t] - m.real_time_sell_mw[t]
        traded = m.neighbour_buy_mw[t] - m.neighbour_sell_mw[t]
        stored = pyo.quicksum(m.discharge_mw[s, t] - m.charge_mw[s, t] for s in units)
        passed = sign * tie[t] if t in tie else 0.0
        return bought + traded + stored - passed == pyo.quicksum(m.purchase_mw[i, t] - m.sale_mw[i, t] for i in parks)

    block.power_balance = pyo.Constraint(range(inputs.steps), rule=balance)
    if inputs.sale_within_discharge:
        block.sale_within_discharge = pyo.Constraint(
            range(inputs.steps),
            rule=lambda m, t: m.real_time_sell_mw[t] <= pyo.quicksum(m.discharge_mw[s, t] for s in units),
        )


def declare_profit(block: Any, inputs: AgentInputs) -> Any:
    """The agent's profit, currency (Chen et al. 2024, upper-level objective), with wear of storage added::

    sum_t dt [bill_t / dt + p^RT- R- + p^N (N- - N+) - p^DA A - p^RT+ R+ - beta (P^c + P^d)]
    """
    dt, prices = inputs.step_hours, inputs.prices
    return pyo.quicksum(
        block.bill[t]
        + dt * float(prices.real_time_sell[t]) * block.real_time_sell_mw[t]
        + dt * float(prices.neighbour[t]) * (block.neighbour_sell_mw[t] - block.neighbour_buy_mw[t])
        - dt * float(prices.day_ahead[t]) * block.day_ahead_mw[t]
        - dt * float(prices.real_time_buy[t]) * block.real_time_buy_mw[t]
        - pyo.quicksum(
            dt * unit.wear_per_mwh * (block.charge_mw[s, t] + block.discharge_mw[s, t])
            for s, unit in enumerate(inputs.storage)
        )
        for t in range(inputs.steps)
    )


def _refuse(case: IndustrialParksCase, result: SolveResult) -> None:
    if result.has_solution:
        return
    if result.status == "infeasible":
        raise InfeasibleError(
            f"case {case.name}: no price within the band and no trade serves what the parks then buy or sell; "
            "raise day_ahead_max_mw or real_time_max_mw, widen price_band or raise average_price_cap_per_mwh"
        )
    if result.status == "unbounded":
        raise UnboundedError(f"case {case.name}: profit can grow without limit; bound the agent's trades")
    raise SolverError(
        f"case {case.name}: no schedule found ({result.status}: {result.message}); allow more time, solver.time_limit_s"
    )


def _notes(case: IndustrialParksCase, variant: str, result: SolveResult) -> list[str]:
    notes = []
    if result.status != "optimal":
        notes.append(f"The solver stopped early ({result.status}): {result.message}.")
    if variant == "bill_guarantee":
        notes.append(
            "Theorem: no park pays more and the agent earns no less than under the time-of-use tariff, as each could repeat it."
        )
    elif variant in ("faithful", "flex"):
        notes.append(
            "Theorem: the agent earns no less than under the time-of-use tariff, which it may post. That parks' costs fall, "
            "as Chen et al. 2024 report, is not a theorem: the cap on the mean price is not weighted by load."
        )
    if case.neighbour == "joint":
        notes.append(
            "Both agents' profits are maximised together; that each gains by the tie line alone is not guaranteed at its price."
        )
    return notes
