"""The single-level problem: the leader's problem with every follower's optimality conditions declared beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from dispatch.errors import BilevelError
from dispatch.stackelberg.compiled import CompiledModel, compile_model, objective_arrays
from dispatch.stackelberg.extraction import FollowerForm, extract_follower, indefinite_part
from dispatch.stackelberg.follower import BilevelProblem
from dispatch.stackelberg.kkt import KKTBlock, declare_kkt
from dispatch.stackelberg.polynomial import ExpressionReader, Polynomial
from dispatch.stackelberg.strong_duality import (
    declare_strong_duality,
    refuse_moving_limits,
    replace_price_times_quantity,
)

#: Name of the block that lives on the user's model while a bilevel problem is being solved.
BLOCK_NAME = "bilevel_single_level"


@dataclass(frozen=True, eq=False)
class SingleLevel:
    """The leader's model with stationarity rows, duals and slacks of each follower; complementarity is not in it yet.

    block: on the user's model; holds ``follower[k]`` with the optimality conditions and ``objective`` (minimised).
    leader_objective: the user's own, inactive for now; sense: 1 if it is minimised, -1 if maximised.
    original: that objective as written, minimised; objective: with price times quantity replaced where exact.
    convex: whether ``objective`` is. compiled: arrays of all of it; pairs: (P, 2) columns of slack and dual.
    messages: what was replaced, in words.
    """

    problem: BilevelProblem
    leader_objective: Any
    block: Any
    kkts: tuple[KKTBlock, ...]
    reader: ExpressionReader
    sense: int
    original: Polynomial
    objective: Polynomial
    compiled: CompiledModel
    pairs: NDArray[np.int64]
    convex: bool
    messages: tuple[str, ...]


def extract_followers(problem: BilevelProblem) -> list[FollowerForm]:
    """Matrices of every follower. Raises BilevelError as :func:`extract_follower` does."""
    owner = {id(variable): "leader" for variable in problem.leader_variables}
    for follower in problem.followers:
        owner.update((id(variable), follower.name) for variable in follower.own_variables)
    forms = []
    for follower in problem.followers:
        own = {id(variable) for variable in follower.own_variables}
        forms.append(extract_follower(follower, {key: name for key, name in owner.items() if key not in own}))
    return forms


@contextmanager
def single_level(
    problem: BilevelProblem, strong_duality: bool = False, allow_nonconvex: bool = False
) -> Iterator[SingleLevel]:
    """Declares the single-level problem on the user's model and removes it at the end, objectives as they were.

    With ``strong_duality`` one row per part of a follower takes the place of complementarity where that is exact; with
    ``allow_nonconvex`` a leader's objective may stay non-convex.

    Raises BilevelError for followers that cannot be used, undeclared variables, and a leader's objective that stays
    non-convex after price times quantity is replaced.
    """
    model = problem.model
    if model.component(BLOCK_NAME) is not None:
        raise BilevelError(f"the model already has a component {BLOCK_NAME}; is it being solved twice at once?")
    forms = extract_followers(problem)
    for form in forms if strong_duality else ():
        refuse_moving_limits(form)
    leader_objective = problem.leader_objective
    objectives = [leader_objective, *(follower.own_objective for follower in problem.followers)]
    active = [objective.active for objective in objectives]
    block = pyo.Block(concrete=True)
    model.add_component(BLOCK_NAME, block)
    try:
        block.follower = pyo.Block(range(len(forms)))
        kkts = tuple(declare_kkt(block.follower[k], form) for k, form in enumerate(forms))
        for objective in objectives:
            objective.deactivate()
        yield _assemble(problem, block, kkts, leader_objective, strong_duality, allow_nonconvex)
    finally:
        model.del_component(block)
        for objective, was_active in zip(objectives, active, strict=True):
            if was_active:
                objective.activate()


def _assemble(
    problem: BilevelProblem,
    block: Any,
    kkts: tuple[KKTBlock, ...],
    leader_objective: Any,
    strong_duality: bool,
    allow_nonconvex: bool,
) -> SingleLevel:
    reader = ExpressionReader()
    sense = 1 if leader_objective.sense == pyo.minimize else -1
    original = Polynomial()
    original.add(reader.read(leader_objective.expr, "leader's objective"), sense)
    for kkt in kkts:
        reader.note([*kkt.form.x, *kkt.form.p, *kkt.block.mu.values(), *kkt.block.nu.values()])

    messages: list[str] = []
    if strong_duality:
        covered = [declare_strong_duality(kkt, reader) for kkt in kkts]
        kkts = tuple(kkt for kkt, _ in covered)
        messages = [message for _, each in covered for message in each]
    objective, convex, replaced = _convex_objective(original, kkts, reader, allow_nonconvex)
    block.objective = pyo.Objective(expr=reader.expression(objective), sense=pyo.minimize)
    slacks_and_duals = [v for kkt in kkts for pair in kkt.pairs for v in pair]
    implied = {key for kkt in kkts for key in _implied_by_slacks(kkt.form)}
    everyone = [
        v
        for kkt in kkts
        for v in (*kkt.form.x, *kkt.block.slack.values(), *kkt.block.mu.values(), *kkt.block.nu.values())
    ]
    everyone += [variable for variable in problem.leader_variables if not variable.fixed]
    compiled = compile_model(problem.model, objective, reader, [*slacks_and_duals, *everyone], skip=implied)
    _refuse_undeclared(problem, kkts, compiled)
    pairs = compiled.columns(slacks_and_duals).reshape(-1, 2)
    return SingleLevel(
        problem=problem,
        leader_objective=leader_objective,
        block=block,
        kkts=kkts,
        reader=reader,
        sense=sense,
        original=original,
        objective=objective,
        compiled=compiled,
        pairs=pairs,
        convex=convex,
        messages=(*messages, *replaced),
    )


def _implied_by_slacks(form: FollowerForm) -> set[int]:
    """Ids of the follower's constraints all of whose sides are slack definitions too."""
    sides: dict[int, int] = {}
    sources = {id(row.source): row.source for row in form.inequalities if row.source.ctype is pyo.Constraint}
    for row in form.inequalities:
        sides[id(row.source)] = sides.get(id(row.source), 0) + 1
    return {
        key
        for key, constraint in sources.items()
        if sides[key] == sum(limit is not None for limit in (constraint.lower, constraint.upper))
    }


def _convex_objective(
    original: Polynomial, kkts: tuple[KKTBlock, ...], reader: ExpressionReader, allow_nonconvex: bool
) -> tuple[Polynomial, bool, list[str]]:
    """The leader's objective if it is convex as written, else with price times quantity replaced by the identity.

    Also whether it is convex then, and what was done in words.
    """
    if not _convexity_fault(original, reader):
        return original, True, []
    objective, done, kept = original, [], []
    for kkt in kkts:
        objective, replaced, refused = replace_price_times_quantity(objective, kkt)
        done += replaced
        kept += refused
    fault = _convexity_fault(objective, reader)
    if fault and not allow_nonconvex:
        why = "; ".join(kept) or "no product in it is price times quantity of a follower's bill"
        raise BilevelError(
            f"the leader's objective is not convex in {fault}. Price times quantity is replaced exactly where the whole "
            f"bill of a follower occurs and no leader variable sits in that follower's limits: {why}. SCIP takes such an "
            "objective as it is: solver='scip', reformulation='kkt_indicator'"
        )
    if fault:
        done.append(f"the leader's objective is not convex in {fault}; SCIP branches on it in space")
    return objective, not fault, done


def _convexity_fault(objective: Polynomial, reader: ExpressionReader) -> str:
    part = Polynomial(quadratic=objective.quadratic)
    keys = part.occurring()
    _, Q = objective_arrays(part, {key: k for k, key in enumerate(keys)})
    return indefinite_part(Q, [reader.variables[key].name for key in keys]) if keys else ""


def _refuse_undeclared(problem: BilevelProblem, kkts: tuple[KKTBlock, ...], compiled: CompiledModel) -> None:
    known = {id(variable) for variable in problem.leader_variables}
    for kkt in kkts:
        for group in (kkt.form.x, kkt.block.mu.values(), kkt.block.nu.values(), kkt.block.slack.values()):
            known.update(id(variable) for variable in group)
    undeclared = [v.name for key, v in zip(compiled.column, compiled.variables, strict=True) if key not in known]
    if undeclared:
        shown = ", ".join(undeclared[:5]) + (" ..." if len(undeclared) > 5 else "")
        raise BilevelError(
            f"{shown}: used in the leader's objective or rows, but declared neither for the leader nor for a follower; "
            "add it to `leader` or to a follower's `variables`"
        )
