"""The certificate of a microgrids schedule, from its values alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dispatch.assets.price_taker_response import PriceTakerPlan, plan_violations
from dispatch.assets.turbine_commitment import Responder, responder
from dispatch.certificate import TOLERANCES, Certificate
from dispatch.certify import largest
from dispatch.markets.microgrids_solution import MicrogridsSolution

FloatArray = NDArray[np.float64]

#: Relative change of all tariffs by which ties are looked for.
NUDGE = 1e-6


def certify_microgrids(
    solution: MicrogridsSolution, claimed: float, mip_gap: float | None = None, dual_bound_ratio: float | None = None
) -> Certificate:
    """Every check that applies; see ``Certificate`` for what each figure means.

    Parameters
    ----------
    claimed: the profit as the method found it (linearised for ``exact``), against the microgrids' own answers. Of two
        answers that cost a microgrid with a switched turbine the same, the planned one counts; ``tie_width`` tells of the other.
    mip_gap, dual_bound_ratio: of the exact method; other methods prove no optimality.
    """
    buy, sell = solution.buy, solution.sell
    programs = [responder(grid) for grid in solution.inputs.grids]
    answers = []
    gains, gaps = [], []
    for grid, plan, program in zip(solution.inputs.grids, solution.plans, programs, strict=True):
        answer = program.respond(buy, sell)
        planned, best = plan.cost(grid, buy, sell), answer.cost(grid, buy, sell)
        tied = grid.committed and planned <= best + TOLERANCES["best_response_gap"] * max(1.0, abs(best))
        answers.append(plan if tied else answer)
        scale = max(1.0, abs(best))
        gains.append((planned - best) / scale)
        gaps.append(abs(planned - program.proven_cost) / scale)
    profit = _profit(solution, answers)
    return Certificate(
        balance_max=largest(*violations(solution)),
        best_response_gap=max(0.0, *gains),
        duality_gap=max(gaps),
        objective_identity=abs(profit - claimed) / max(1.0, abs(solution.profit)),
        dual_bound_ratio=dual_bound_ratio,
        mip_gap=mip_gap,
        tie_width=_tie_width(solution, programs, profit),
    )


def _profit(solution: MicrogridsSolution, plans: list[PriceTakerPlan]) -> float:
    return solution.inputs.profit(solution.buy, solution.sell, np.stack([plan.exchange for plan in plans]))


def _tie_width(solution: MicrogridsSolution, programs: list[Responder], profit: float) -> float:
    """Change of the profit when tariffs are off by a millionth: microgrids with unique answers hardly move."""
    moved = []
    for sign in (1.0, -1.0):
        buy, sell = solution.buy * (1 + sign * NUDGE), solution.sell * (1 - sign * NUDGE)
        moved.append(_profit(solution, [program.respond(buy, sell) for program in programs]))
    return max(abs(value - profit) for value in moved)


def violations(solution: MicrogridsSolution) -> Iterator[FloatArray]:
    """How far each balance and limit is missed, MW, MWh or relative price; nothing is positive in a feasible schedule."""
    inputs = solution.inputs
    highest = max(float(inputs.grid_buy.max()), 1e-9)
    yield (inputs.feed_in - solution.sell) / highest
    yield (solution.sell - solution.buy) / highest
    yield (solution.buy - inputs.grid_buy) / highest
    for grid, plan in zip(inputs.grids, solution.plans, strict=True):
        yield from plan_violations(grid, plan)
