"""A Pyomo model compiled to the arrays that the relaxations and the branching work on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from scipy import sparse

from dispatch.errors import BilevelError
from dispatch.stackelberg.extraction import FloatArray
from dispatch.stackelberg.polynomial import ExpressionReader, Polynomial, VarData


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """``min c'v + v'Q v/2 + constant  s.t.  row_lower <= A v <= row_upper, lower <= v <= upper``, some v integer.

    variables: Pyomo variable of each of the N columns; column: ``id`` of a variable to its column.
    row_names: constraint of each of the M rows.
    """

    variables: tuple[VarData, ...]
    column: dict[int, int]
    c: FloatArray
    Q: sparse.csr_array
    constant: float
    A: sparse.csr_array
    row_lower: FloatArray
    row_upper: FloatArray
    lower: FloatArray
    upper: FloatArray
    integer: NDArray[np.bool_]
    row_names: tuple[str, ...]

    def columns(self, variables: Collection[VarData]) -> NDArray[np.int64]:
        """Columns of the given variables."""
        return np.array([self.column[id(variable)] for variable in variables], dtype=np.int64)

    def value(self, point: FloatArray) -> float:
        """Objective at a point of (N,)."""
        return float(self.c @ point + 0.5 * point @ (self.Q @ point) + self.constant)

    def load(self, point: FloatArray) -> None:
        """Writes a point back into the Pyomo variables, integers rounded."""
        for variable, value, integer in zip(self.variables, point, self.integer, strict=True):
            variable.set_value(round(value) if integer else float(value), skip_validation=True)


def compile_model(
    model: Any,
    objective: Polynomial,
    reader: ExpressionReader,
    extra_variables: Collection[VarData] = (),
    skip: Collection[int] = (),
) -> CompiledModel:
    """Compiles the active constraints of a model with an objective to minimise, read by ``reader``.

    skip: ``id`` of constraints to leave out (because others imply them).
    extra_variables: get a column even if no row mentions them.

    Raises BilevelError for a row that is not linear.
    """
    rows: list[tuple[str, Polynomial, float, float]] = []
    for constraint in model.component_data_objects(pyo.Constraint, active=True, descend_into=True):
        if id(constraint) in skip:
            continue
        body = reader.read(constraint.body, f"row {constraint.name}")
        if body.quadratic:
            i, j = next(iter(body.quadratic))
            raise BilevelError(
                f"row {constraint.name}: the product {reader.variables[i].name} * {reader.variables[j].name} in a row "
                "is not supported; only objectives may be quadratic, and cones are passed as cones"
            )
        lower, upper = pyo.value(constraint.lower), pyo.value(constraint.upper)
        low = -np.inf if lower is None else lower - body.constant
        high = np.inf if upper is None else upper - body.constant
        rows.append((constraint.name, body, low, high))

    used: dict[int, None] = dict.fromkeys(objective.occurring())
    for _, body, _, _ in rows:
        used.update(dict.fromkeys(body.linear))
    reader.note(extra_variables)
    used.update(dict.fromkeys(id(variable) for variable in extra_variables))
    variables = tuple(reader.variables[key] for key in used)
    column = {key: k for k, key in enumerate(used)}

    entries = [(r, column[key], v) for r, (_, body, _, _) in enumerate(rows) for key, v in body.linear.items()]
    r, k, v = (np.array(part) for part in zip(*entries, strict=True)) if entries else (np.empty(0),) * 3
    count = len(variables)
    c, Q = objective_arrays(objective, column)
    return CompiledModel(
        variables=variables,
        column=column,
        c=c,
        Q=Q,
        constant=objective.constant,
        A=sparse.csr_array((v, (r.astype(int), k.astype(int))), shape=(len(rows), count)),
        row_lower=np.array([low for _, _, low, _ in rows], dtype=float),
        row_upper=np.array([high for _, _, _, high in rows], dtype=float),
        lower=np.array([-np.inf if v.lb is None else v.lb for v in variables], dtype=float),
        upper=np.array([np.inf if v.ub is None else v.ub for v in variables], dtype=float),
        integer=np.array([not v.is_continuous() for v in variables], dtype=bool),
        row_names=tuple(name for name, _, _, _ in rows),
    )


def objective_arrays(objective: Polynomial, column: dict[int, int]) -> tuple[FloatArray, sparse.csr_array]:
    """Linear part (N,) and symmetric Hessian (N, N) of a polynomial over the given columns."""
    count = len(column)
    c = np.zeros(count)
    for key, value in objective.linear.items():
        if value:
            c[column[key]] = value
    Q = sparse.lil_array((count, count))
    for (i, j), value in objective.quadratic.items():
        if value:
            Q[column[i], column[j]] += value
            Q[column[j], column[i]] += value
    return c, Q.tocsr()
