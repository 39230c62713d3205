"""Reads Pyomo expressions as polynomials of degree two, the only ones that an exact reformulation can use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyomo.environ as pyo
from pyomo.repn.quadratic import QuadraticRepnVisitor
from pyomo.repn.util import OrderedVarRecorder

from dispatch.errors import BilevelError

VarData = Any
Pair = tuple[int, int]


@dataclass
class Polynomial:
    """``constant + sum linear[i] v_i + sum quadratic[i, j] v_i v_j``; keys are ``id`` of Pyomo variables.

    A square has the key ``(i, i)`` and its plain coefficient: ``3 v^2`` is stored as 3, not as 6.
    """

    constant: float = 0.0
    linear: dict[int, float] = field(default_factory=dict)
    quadratic: dict[Pair, float] = field(default_factory=dict)

    def add(self, other: Polynomial, factor: float = 1.0) -> None:
        """Adds ``factor`` times another polynomial to this one, in place."""
        self.constant += factor * other.constant
        for key, value in other.linear.items():
            self.linear[key] = self.linear.get(key, 0.0) + factor * value
        for pair, value in other.quadratic.items():
            self.add_product(pair[0], pair[1], factor * value)

    def add_product(self, first: int, second: int, coefficient: float) -> None:
        """Adds ``coefficient * v_first * v_second``; both orders of a pair are the same term."""
        pair = (second, first) if (second, first) in self.quadratic else (first, second)
        self.quadratic[pair] = self.quadratic.get(pair, 0.0) + coefficient

    def occurring(self) -> list[int]:
        """Ids of all variables with a coefficient other than zero, in the order of the terms."""
        found = {key: None for key, value in self.linear.items() if value}
        found.update((key, None) for pair, value in self.quadratic.items() if value for key in pair)
        return list(found)


class ExpressionReader:
    """Turns expressions into :class:`Polynomial` and remembers every variable met, by ``id``."""

    def __init__(self) -> None:
        self.variables: dict[int, VarData] = {}
        self._recorder = OrderedVarRecorder(self.variables, {}, None)
        self._visitor = QuadraticRepnVisitor({}, var_recorder=self._recorder)

    def note(self, variables: Iterable[VarData]) -> None:
        """Registers variables that may occur in no expression."""
        for variable in variables:
            if id(variable) not in self.variables:
                self._recorder.add(variable)

    def read(self, expression: Any, where: str) -> Polynomial:
        """Polynomial of an expression; fixed variables count as numbers.

        Raises BilevelError, with ``where``, if a term is neither linear nor quadratic.
        """
        found = self._visitor.walk_expression(expression)
        if found.nonlinear is not None:
            raise BilevelError(
                f"{where}: the term {found.nonlinear} is neither linear nor quadratic; "
                "write it piecewise linear or quadratic, or fix its variables"
            )
        quadratic = {pair: float(v) for pair, v in (found.quadratic or {}).items() if v}
        return Polynomial(float(found.constant), {k: float(v) for k, v in found.linear.items() if v}, quadratic)

    def expression(self, polynomial: Polynomial) -> Any:
        """The polynomial as a Pyomo expression again."""
        at = self.variables
        terms: list[Any] = [value * at[key] for key, value in polynomial.linear.items() if value]
        terms += [value * at[i] * at[j] for (i, j), value in polynomial.quadratic.items() if value]
        return pyo.quicksum(terms) + polynomial.constant
