"""Leader-follower problems on Pyomo blocks: declared once, solved exactly, proved.

A follower is a Pyomo block with its own variables, a linear or convex quadratic objective and linear rows, both of which
may mention leader variables. The leader's objective and rows may mention follower variables.

>>> import pyomo.environ as pyo
>>> from dispatch.bilevel import BilevelProblem, Follower, solve
>>> model = pyo.ConcreteModel()
>>> model.price = pyo.Var(bounds=(0, 80))
>>> model.customer = pyo.Block()
>>> model.customer.energy = pyo.Var(bounds=(0, 10))
>>> bill = model.price * model.customer.energy
>>> model.customer.cost = pyo.Objective(expr=bill - 60 * model.customer.energy + 2 * model.customer.energy**2)
>>> model.profit = pyo.Objective(expr=bill - 20 * model.customer.energy, sense=pyo.maximize)
>>> answer = solve(BilevelProblem(model, [Follower(model.customer)], leader=model.price))
>>> round(answer.objective, 4), round(model.price.value, 4), round(model.customer.energy.value, 4)
(100.0, 40.0, 5.0)
>>> answer.certificate.passed
True
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import pyomo.environ as pyo

from dispatch.errors import BilevelError, SolverError
from dispatch.solver import Cone
from dispatch.stackelberg.best_response import best_response
from dispatch.stackelberg.branching import ComplementarityBranching
from dispatch.stackelberg.certify import FollowerDuals, certify
from dispatch.stackelberg.checks import refuse_unanswerable
from dispatch.stackelberg.complementarity import LARGEST_BIG_M, PairBounds, dual_ratios
from dispatch.stackelberg.dual_bounds import BoundOptions, prove_bounds
from dispatch.stackelberg.follower import BilevelProblem, Follower
from dispatch.stackelberg.options import BilevelOptions, Reformulation, SolverName, check_names
from dispatch.stackelberg.pessimistic import Pessimistic, pessimistic_value
from dispatch.stackelberg.result import BilevelResult, DualBound
from dispatch.stackelberg.routes import Outcome, Route
from dispatch.stackelberg.single_level import SingleLevel, single_level

__all__ = [
    "BilevelError",
    "BilevelOptions",
    "BilevelProblem",
    "BilevelResult",
    "DualBound",
    "Follower",
    "solve",
]


def solve(
    problem: BilevelProblem,
    reformulation: Reformulation = "auto",
    solver: SolverName = "highs",
    options: BilevelOptions | None = None,
    cones: Sequence[Cone] = (),
) -> BilevelResult:
    """Solves a leader-follower problem to a proven gap and certifies the answer; values are left in the model.

    Parameters
    ----------
    problem: the model, its followers and the leader's variables.
    reformulation: how the followers' complementarity is enforced.
        ``auto``: ``kkt_bigm`` if every bound can be proved, else ``kkt_sos1`` where the solver has it, else ``branching``.
        ``kkt_bigm``: binaries with proved bounds on slacks and duals; falls back like ``auto`` and says so.
        ``kkt_sos1``, ``kkt_indicator``: SCIP only, no bounds needed; the latter also takes a leader's objective that is
        not convex.
        ``strong_duality``: refuses leader variables in a follower's limits; parts of a follower that no leader variable
        touches get one linear row instead of complementarity, the others keep it and have their bill replaced exactly.
        ``branching``: branch and bound over the complementarity itself, no bounds needed.
    solver: ``highs`` or ``scip``.
    options: gap, time limit and effort.
    cones: convex constraints of the leader, as for ``dispatch.solver.solve``.

    Returns
    -------
    The optimistic answer with its certificate, duals and the pessimistic value.

    Raises
    ------
    BilevelError: the problem is refused, with the reason (integers in a follower, a non-convex follower, leader variables
        in limits under strong duality, an undeclared variable, a follower without feasible response or finite optimum,
        terms that are not linear or quadratic, bounds on duals that stay binding).
    InfeasibleError, UnboundedError, SolverError: no answer exists, or none was found.
    """
    check_names(reformulation, solver)
    options = options or BilevelOptions()
    start = time.perf_counter()
    nonconvex = solver == "scip" and reformulation in ("auto", "kkt_indicator") and not cones
    with single_level(problem, reformulation == "strong_duality", allow_nonconvex=nonconvex) as level:
        for kkt in level.kkts:
            refuse_unanswerable(kkt.form)
        route = Route(level, ComplementarityBranching(level.compiled, level.pairs), options, solver, cones)
        built = time.perf_counter()
        outcome = _take(route, reformulation)
        solved = time.perf_counter()
        assert outcome.point is not None
        level.compiled.load(outcome.point)
        duals = [FollowerDuals(kkt.form, kkt.mu_values(), kkt.nu_values()) for kkt in level.kkts]
        linearised = level.sense * level.compiled.value(outcome.point)
        worst = pessimistic_value(problem, level, options) if options.pessimistic else Pessimistic(None)
    return _result(problem, level, outcome, duals, linearised, worst, solver, (start, built, solved))


def _take(route: Route, reformulation: Reformulation) -> Outcome:
    """The route asked for; without proved bounds the one that needs none, with the reason in the messages."""
    if reformulation == "branching":
        return route.branch()
    if reformulation == "kkt_sos1":
        return route.sos1()
    if reformulation == "kkt_indicator" or not route.level.convex:
        return route.indicator()
    level, options = route.level, route.options
    effort = BoundOptions(options.bound_search_nodes, options.time_limit_s)
    bounds, remarks = prove_bounds(level.kkts, route.search, effort)
    missing = _unbounded_rows(level, bounds)
    if not missing:
        outcome = route.big_m(bounds)
    else:
        shown = "; ".join(missing[:3]) + (f"; and {len(missing) - 3} more" if len(missing) > 3 else "")
        instead = "SOS1 sets" if route.solver == "scip" else "branching on the complementarity"
        remarks.append(f"no usable bound for {shown}: solved by {instead}, which needs none")
        outcome = route.sos1() if route.solver == "scip" else route.branch()
    outcome.messages[:0] = remarks
    return outcome


def _unbounded_rows(level: SingleLevel, bounds: list[PairBounds]) -> list[str]:
    return [
        f"the {what} of {kkt.form.name}: {kkt.form.inequalities[r].name}"
        for kkt, each in zip(level.kkts, bounds, strict=True)
        for r in kkt.paired
        for what, value in (("slack", each.slack[r]), ("dual", each.dual[r]))
        if not value <= LARGEST_BIG_M
    ]


def _result(
    problem: BilevelProblem,
    level: SingleLevel,
    outcome: Outcome,
    duals: list[FollowerDuals],
    linearised: float,
    worst: Pessimistic,
    solver: SolverName,
    times: tuple[float, float, float],
) -> BilevelResult:
    """Certifies the values now in the model, after the reformulation has been removed from it."""
    start, built, solved = times
    objective = float(pyo.value(problem.leader_objective.expr))
    gap = abs(level.sense * outcome.bound - objective) / max(1.0, abs(objective))
    gap = 0.0 if outcome.bound >= outcome.value else gap
    ratio, used = None, {}
    if outcome.pair_bounds is not None:
        ratio = 0.0
        for each, bounds in zip(duals, outcome.pair_bounds, strict=True):
            ratio = max([ratio, *map(float, dual_ratios(each.mu, bounds))])
            used[each.form.name] = {
                row.name: DualBound(float(bound), float(dual), rule)
                for row, bound, dual, rule in zip(
                    each.form.inequalities, bounds.dual, each.mu, bounds.dual_rule, strict=True
                )
            }
    tie_width = None if worst.value is None else abs(worst.value - objective)
    tie_width = 0.0 if tie_width is not None and tie_width <= 1e-6 * max(1.0, abs(objective)) else tie_width
    messages = (*level.messages, *outcome.messages, *worst.remarks)
    gap_of_responses, remarks = _best_responses(problem)
    messages += remarks
    certificate = certify(problem, gap_of_responses, duals, linearised, gap, ratio, tie_width, messages)
    ended = time.perf_counter()
    return BilevelResult(
        status="optimal" if outcome.status == "optimal" else "time_limit",
        objective=objective,
        bound=level.sense * min(outcome.bound, outcome.value),
        gap=gap,
        reformulation=outcome.reformulation,
        solver=solver,
        certificate=certificate,
        duals={each.form.name: each.by_row() for each in duals},
        dual_bounds=used,
        pessimistic_objective=worst.value,
        tie_width=tie_width,
        messages=messages,
        seconds={
            "build": built - start,
            "solve": solved - built,
            "certify": ended - solved,
            "total": ended - start,
        },
    )


def _best_responses(problem: BilevelProblem) -> tuple[float, tuple[str, ...]]:
    """What the worst-off follower could still gain alone (infinite if that could not be found), and remarks."""
    worst, remarks = 0.0, []
    for follower in problem.followers:
        try:
            found = best_response(follower)
        except SolverError as fault:
            worst = float("inf")
            remarks.append(str(fault))
            continue
        worst = max(worst, found.gap)
        if found.box is not None:
            remarks.append(
                f"follower {follower.name} has an optimum only on the edge of the leader's decision: it was examined "
                f"within {found.box:g} times its response"
            )
    return worst, tuple(remarks)
