"""Convex nonlinear constraints that a linear Pyomo model may carry beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

#: A single Pyomo variable (``pyomo.core.base.var.VarData``), untyped for lack of stubs.
VarData: TypeAlias = Any
#: A number, a Pyomo variable or an affine Pyomo expression.
Affine: TypeAlias = Any


@dataclass(frozen=True)
class RotatedCone:
    """``p^2 + q^2 <= product[0] * product[1]`` with both factors nonnegative; the cone of DistFlow.

    In DistFlow ``product`` is (squared current, squared voltage), in this order.
    """

    name: str
    p: VarData
    q: VarData
    product: tuple[VarData, VarData]


@dataclass(frozen=True)
class QuadraticEpigraph:
    """``sum_k weight_k * term_k^2 <= bound`` with weights >= 0; terms are single variables, ``bound`` may be affine."""

    name: str
    terms: tuple[tuple[float, VarData], ...]
    bound: Affine


@dataclass(frozen=True)
class NormCone:
    """``||terms||_2 <= scale * bound``; with a constant ``bound`` a capacity circle."""

    name: str
    terms: tuple[VarData, ...]
    bound: VarData | float
    scale: float = 1.0


Cone: TypeAlias = RotatedCone | QuadraticEpigraph | NormCone
