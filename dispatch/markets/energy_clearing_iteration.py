"""Clearing by best responses: parks answer prices, the supplier serves them and offers its marginal costs, and so on.

As printed in Wu et al. 2024 (doi 10.3389/fenrg.2024.1342516) each party answers the others' last strategies in full, which
may cycle for ever, since the supplier's marginal cost is a step function. Two updates converge to the equilibrium.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import highspy
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.errors import SolverError
from dispatch.markets.energy_clearing_program import ClearingPoint, ClearingProgram
from dispatch.markets.energy_clearing_response import reductions

FloatArray = NDArray[np.float64]

#: Reductions this close to those of an earlier round, MW, close a cycle.
SAME_MW = 1e-7


@dataclass(frozen=True, eq=False)
class Answer:
    """Prices ``[2, T]`` to post; the parks' answers to them ``[2, I, T]`` and the supplier's service of these.

    tables: ``convergence`` and ``residuals``, a row per round. calls: how often followers were asked.
    proof: prices whose dual bound proves how good the answer is; ``None`` if nothing is claimed.
    cycle: length of the cycle that was found, if any.
    """

    price: FloatArray
    reduction_mw: FloatArray
    point: ClearingPoint
    tables: dict[str, pd.DataFrame]
    calls: int
    proof: FloatArray | None = None
    cycle: int | None = None


@dataclass(frozen=True)
class _Round:
    """One round: cost of the iterate, what it could at most be too dear by, and the change of price."""

    cost: float
    gap: float
    price_change: float


def fully_corrective(program: ClearingProgram) -> Answer:
    """Keeps every marginal cost as a cut of the supplier's cost and lets parks answer all of them together (Kelley).

    The prices are the cuts' marginal costs, weighted by their duals. The gap between the cost of the iterate and the value
    of the cuts is proved, and closes after few rounds because the supplier's cost is piecewise linear.
    """
    limits = program.case.iteration
    master = _Master(program)
    reduction = np.zeros_like(program.columns, dtype=float)
    price, rounds = np.zeros((2, program.inputs.steps)), []
    for _ in range(limits.rounds_max):
        point = program.serve(reduction)
        cost = point.supplier_cost + program.discomfort(reduction)
        master.add_cut(point, reduction)
        reduction_next, price_next, bound = master.solve()
        rounds.append(_Round(cost, max(0.0, cost - bound), _change(price_next, price)))
        price = price_next
        if cost - bound <= limits.tolerance * max(1.0, abs(cost)):
            break
        reduction = reduction_next
    return _answer(program, price, rounds, proof=price)


def damped(program: ClearingProgram) -> Answer:
    """Moves quantities a share ``2 / (k + 2)`` of the way to the parks' answer: a generalised Frank-Wolfe method.

    The parks' gain ``lambda (x^ - x) - kappa (x^2^ - x^2) / 2`` bounds how far the cost is from its least value. Marginal
    costs jump and do not converge; their average over the rounds, weighted like the quantities, does, and is posted.
    """
    limits = program.case.iteration
    reduction = np.zeros_like(program.columns, dtype=float)
    average, price, rounds = np.zeros((2, program.inputs.steps)), np.zeros((2, program.inputs.steps)), []
    proof, proved = price, -np.inf
    for k in range(limits.rounds_max):
        point = program.serve(reduction)
        answer = reductions(program.inputs, point.price)
        cost, gap = point.supplier_cost + program.discomfort(reduction), _gain(program, point.price, reduction, answer)
        rounds.append(_Round(cost, gap, _change(point.price, price)))
        price, share = point.price, 2.0 / (k + 2.0)
        if cost - gap > proved:
            proof, proved = price, cost - gap
        average = (1 - share) * average + share * price
        if gap <= limits.tolerance * max(1.0, abs(cost)):
            break
        reduction = (1 - share) * reduction + share * answer
    return _answer(program, average, rounds, proof=proof)


def undamped(program: ClearingProgram) -> Answer:
    """The paper's iteration: everyone answers the others' last strategies in full, until nothing changes or a cycle closes.

    Of all prices met on the way, those are posted whose answers cost the market least.
    """
    limits = program.case.iteration
    reduction = np.zeros_like(program.columns, dtype=float)
    seen: list[FloatArray] = []
    price, best_price, best_cost = np.zeros((2, program.inputs.steps)), np.zeros((2, program.inputs.steps)), np.inf
    rounds: list[_Round] = []
    cycle = None
    for _ in range(limits.rounds_max):
        point = program.serve(reduction)
        answer = reductions(program.inputs, point.price)
        cost, gap = point.supplier_cost + program.discomfort(reduction), _gain(program, point.price, reduction, answer)
        rounds.append(_Round(cost, gap, _change(point.price, price)))
        price = point.price
        answered = program.serve(answer).supplier_cost + program.discomfort(answer)
        if answered < best_cost:
            best_price, best_cost = price, answered
        if gap <= limits.tolerance * max(1.0, abs(cost)):
            break
        seen.append(reduction)
        cycle = next((k + 1 for k, old in enumerate(reversed(seen)) if np.abs(old - answer).max() < SAME_MW), None)
        if cycle is not None:
            break
        reduction = answer
    return _answer(program, best_price, rounds, cycle=cycle)


UPDATES = {"fully_corrective": fully_corrective, "damped": damped, "undamped": undamped}


def _gain(program: ClearingProgram, price: FloatArray, reduction: FloatArray, answer: FloatArray) -> float:
    """What all parks together gain by their answer to the prices: a bound on the distance from the least cost, currency."""
    moved = (answer - reduction).sum(axis=1)
    income = float((price * moved).sum()) * program.inputs.step_hours
    return max(0.0, income - program.discomfort(answer) + program.discomfort(reduction))


def _change(price: FloatArray, before: FloatArray) -> float:
    return float(np.abs(price - before).max())


def _answer(
    program: ClearingProgram,
    price: FloatArray,
    rounds: list[_Round],
    proof: FloatArray | None = None,
    cycle: int | None = None,
) -> Answer:
    answer = reductions(program.inputs, price)
    point = program.serve(answer)
    cost, gap = np.array([each.cost for each in rounds]), np.array([each.gap for each in rounds])
    index = np.arange(1, len(rounds) + 1)
    change = [each.price_change for each in rounds]
    tables = {
        "convergence": pd.DataFrame({"round": index, "cost": cost, "proven_bound": np.maximum.accumulate(cost - gap)}),
        "residuals": pd.DataFrame({"round": index, "gap": gap, "price_change_per_mwh": change}),
    }
    return Answer(price, answer, point, tables, len(rounds), proof, cycle)


class _Master:
    """``min theta + discomfort`` over parks' limits and all cuts ``theta >= cost_k - dt lambda_k (x - x_k)``."""

    def __init__(self, program: ClearingProgram) -> None:
        self.program, self.shape = program, program.columns.shape
        inputs, count = program.inputs, int(np.prod(self.shape))
        self.count, self.multipliers = count, np.zeros((0, 2, inputs.steps))
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        highs.setOptionValue("qp_regularization_value", 0.0)  # it would weigh the cuts' level, and so tilt prices
        size = np.array([energy.shift_max_mw for energy in inputs.energies]).ravel()
        for k in range(count):
            highs.addVar(-size[k], size[k])
        highs.addVar(-highspy.kHighsInf, highspy.kHighsInf)
        highs.changeColCost(count, 1.0)
        for row in np.arange(count).reshape(-1, inputs.steps):
            highs.addRow(0.0, 0.0, len(row), row.astype(np.int32), np.ones(len(row)))
        self.first_cut = self.shape[0] * self.shape[1]
        hessian = highspy.HighsHessian()
        hessian.dim_, hessian.format_ = count + 1, highspy.HessianFormat.kTriangular
        hessian.start_ = np.minimum(np.arange(count + 2), count).astype(np.int32)
        hessian.index_, hessian.value_ = np.arange(count, dtype=np.int32), program.hessian[program.columns].ravel()
        highs.passHessian(hessian)
        self._highs = highs

    def add_cut(self, point: ClearingPoint, reduction_mw: FloatArray) -> None:
        dt = self.program.inputs.step_hours
        slope = np.broadcast_to(dt * point.price[:, None, :], self.shape).ravel()
        level = point.supplier_cost + float(slope @ reduction_mw.ravel())
        index = np.arange(self.count + 1, dtype=np.int32)
        self._highs.addRow(level, highspy.kHighsInf, len(index), index, np.append(slope, 1.0))
        self.multipliers = np.concatenate([self.multipliers, point.price[None]])

    def solve(self) -> tuple[FloatArray, FloatArray, float]:
        """Reductions, prices and the value of all cuts."""
        self._highs.run()
        status = self._highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"the parks' answer to all offers was not found: HiGHS reports status {status}")
        solution = self._highs.getSolution()
        weights = np.clip(np.array(solution.row_dual)[self.first_cut :], 0.0, None)
        price = np.tensordot(weights / weights.sum(), self.multipliers, axes=1)
        reduction = np.array(solution.col_value)[: self.count].reshape(self.shape)
        return reduction, price, float(self._highs.getInfo().objective_function_value)


def cycle_notes(answer: Answer, currency: str) -> Iterator[str]:
    """What the undamped iteration did, in one sentence."""
    rounds, last = len(answer.tables["residuals"]), answer.tables["residuals"].iloc[-1]
    if answer.cycle is not None:
        yield (
            f"Undamped best responses repeat themselves every {answer.cycle} rounds from round {rounds} on, "
            f"with prices jumping by up to {last['price_change_per_mwh']:.1f} {currency}/MWh; the cheapest prices met are posted."
        )
    else:
        yield f"Undamped best responses after {rounds} rounds; the cheapest prices met are posted."
