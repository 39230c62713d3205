"""Declaring who leads and who follows: a follower is a Pyomo block with its own variables, limits and objective."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyomo.environ as pyo
from pyomo.core.base.block import BlockData

from dispatch.errors import BilevelError

VarData = Any
DualRange = float | tuple[float, float]


@dataclass(frozen=True, eq=False)
class Follower:
    """One follower, ``min (c + B p)'x + x'Qx/2`` over linear rows, with leader decisions ``p`` taken as given.

    Attributes
    ----------
    block: Pyomo block that holds the follower's constraints and, unless given below, its variables and objective.
        Its rows and its objective may mention leader variables.
    variables: what this follower decides (Vars, members of Vars or blocks); by default every variable on the block.
    objective: the follower's Objective; by default the one active objective on the block.
    dual_bounds: by constraint or bounded variable (a whole indexed component may be given; for variables use a
        ``ComponentMap`` or a list of pairs): the largest dual of an
        inequality; for an equality the largest absolute shadow price, or the range ``(low, high)`` of the shadow price
        (change of the minimised objective per unit of right-hand side). A claim is used
        only with ``dual_bounds_proof``, where the engine finds no bound of its own, or where the problem is too large to
        look for one row by row.
    dual_bounds_proof: the argument behind ``dual_bounds`` ("clipping lemma: trade prices lie in [0, 80]").
    name: how reports call it; by default the block's name.
    """

    block: Any
    variables: Any = None
    objective: Any = None
    dual_bounds: Mapping[Any, DualRange] | Sequence[tuple[Any, DualRange]] = ()
    dual_bounds_proof: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.block, BlockData):
            raise BilevelError(
                f"follower {self.name or self.block!r}: expected one Pyomo block, got {type(self.block).__name__}; "
                "give each member of an indexed block as its own follower"
            )
        object.__setattr__(self, "name", self.name or str(self.block.name))

    @property
    def own_variables(self) -> tuple[VarData, ...]:
        """The variables this follower decides, fixed ones included."""
        source = self.block if self.variables is None else self.variables
        return tuple(each_variable(source))

    @property
    def own_objective(self) -> Any:
        """The follower's one objective. Raises BilevelError if there is none or more than one."""
        if self.objective is not None:
            return self.objective
        found = list(self.block.component_data_objects(pyo.Objective, active=True, descend_into=True))
        if len(found) != 1:
            raise BilevelError(
                f"follower {self.name}: {len(found)} active objectives on its block, exactly 1 is needed"
            )
        return found[0]


@dataclass(frozen=True, eq=False)
class BilevelProblem:
    """A leader and its followers on one Pyomo model; the answer is optimistic unless said otherwise.

    Attributes
    ----------
    model: holds the leader's objective and rows (which may mention follower variables) and the followers' blocks.
    followers: at least one. A follower may mention another follower's variables: then they play Nash among each other.
    leader: every variable the leader decides (Vars, members of Vars, or whole blocks). A variable that is neither
        declared here nor owned by a follower is refused: forgetting one would silently hand it to the wrong player.
    recourse: those leader variables that the leader sets after the followers have answered (such as the purchase that
        covers their demand); used by the pessimistic value alone.
    """

    model: Any
    followers: Sequence[Follower]
    leader: Any
    recourse: Any = ()
    _leader_variables: tuple[VarData, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        if not self.followers:
            raise BilevelError("a bilevel problem needs at least one follower")
        owners: dict[int, str] = {}
        for follower in self.followers:
            for variable in follower.own_variables:
                if id(variable) in owners:
                    raise BilevelError(
                        f"variable {variable.name} belongs to follower {owners[id(variable)]} and to follower "
                        f"{follower.name}; each variable has one owner"
                    )
                owners[id(variable)] = follower.name
        declared: list[VarData] = []
        for variable, swept_up in _declared(self.leader):
            if id(variable) not in owners:
                declared.append(variable)
            elif not swept_up:
                raise BilevelError(
                    f"variable {variable.name} is declared for the leader and belongs to follower {owners[id(variable)]}"
                )
        object.__setattr__(self, "_leader_variables", tuple(declared))
        known = {id(variable) for variable in declared}
        for variable in each_variable(self.recourse):
            if id(variable) not in known:
                raise BilevelError(f"recourse variable {variable.name} is not among the leader's variables")

    @property
    def leader_variables(self) -> tuple[VarData, ...]:
        """The leader's variables, fixed ones included."""
        return self._leader_variables

    @property
    def leader_objective(self) -> Any:
        """The one active objective that belongs to no follower. Raises BilevelError if there is none or more."""
        followers = {id(follower.own_objective) for follower in self.followers}
        found = [
            objective
            for objective in self.model.component_data_objects(pyo.Objective, active=True, descend_into=True)
            if id(objective) not in followers
        ]
        if len(found) != 1:
            raise BilevelError(f"the leader has {len(found)} active objectives, exactly 1 is needed")
        return found[0]


def each_variable(source: Any) -> Iterator[VarData]:
    """Single variables of a Var, a member of a Var, a block, or any nesting of sequences of these."""
    return (variable for variable, _ in _declared(source))


def _declared(source: Any) -> Iterator[tuple[VarData, bool]]:
    """Each variable, and whether it was swept up with its block: a leader declared as the whole model owns the rest."""
    if isinstance(source, BlockData):
        for variable in source.component_data_objects(pyo.Var, descend_into=True, sort=False):
            yield variable, True
    elif hasattr(source, "is_indexed") and source.is_indexed():
        for member in source.values():
            yield from _declared(member)
    elif hasattr(source, "is_variable_type") and source.is_variable_type():
        yield source, False
    elif isinstance(source, Iterable) and not isinstance(source, str):
        for member in source:
            yield from _declared(member)
    else:
        raise BilevelError(f"{source} is neither a variable, nor a block, nor a list of them")
