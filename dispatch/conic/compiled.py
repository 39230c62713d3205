"""A Pyomo model and its cones as sparse arrays, minimised, with nothing of Pyomo left in the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyomo.environ as pyo
from pyomo.common.collections import ComponentSet
from pyomo.repn import generate_standard_repn
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler
from scipy.sparse import csr_array, vstack

from dispatch.conic.cones import Cone, NormCone, QuadraticEpigraph, RotatedCone
from dispatch.conic.quadratic import square_factors
from dispatch.conic.tangents import ConeRows, ConeSet
from dispatch.errors import InfeasibleError, SolverError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Compiled:
    """``min cost x + offset`` over ``row_lower <= matrix x <= row_upper``, ``lower <= x <= upper``, cones, integers.

    columns: the Pyomo variable of each leading column; later columns were added here and have none.
    sense: 1 if the model minimises, -1 if it maximises (``cost`` is negated then).
    sources: Pyomo constraint of each leading row; ranges appear once per side.
    """

    columns: list[Any]
    sources: list[Any]
    matrix: csr_array
    row_lower: FloatArray
    row_upper: FloatArray
    lower: FloatArray
    upper: FloatArray
    integer: npt.NDArray[np.bool_]
    cost: FloatArray
    offset: float
    sense: int
    cones: ConeSet
    sos1: list[tuple[list[int], list[float]]] = field(default_factory=list)

    @cached_property
    def place(self) -> dict[int, int]:
        """``id`` of a Pyomo variable to its column."""
        return {id(variable): at for at, variable in enumerate(self.columns)}

    @property
    def size(self) -> int:
        """Number of columns."""
        return len(self.cost)

    def objective(self, x: FloatArray) -> float:
        """Value at ``x`` in the model's own sense."""
        return self.sense * (float(self.cost @ x) + self.offset)

    def with_rows(self, matrix: csr_array, lower: FloatArray, upper: FloatArray) -> Compiled:
        """The same problem with further rows ``lower <= matrix x <= upper``."""
        return replace(
            self,
            matrix=vstack([self.matrix, matrix], format="csr"),
            row_lower=np.concatenate([self.row_lower, lower]),
            row_upper=np.concatenate([self.row_upper, upper]),
        )

    def with_columns(self, lower: FloatArray, upper: FloatArray, integer: npt.NDArray[np.bool_]) -> Compiled:
        """The same problem with further columns of no cost that enter no row yet."""
        count = len(lower)

        def padded(matrix: csr_array) -> csr_array:
            return csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], self.size + count))

        return replace(
            self,
            matrix=padded(self.matrix),
            lower=np.concatenate([self.lower, lower]),
            upper=np.concatenate([self.upper, upper]),
            integer=np.concatenate([self.integer, integer]),
            cost=np.concatenate([self.cost, np.zeros(count)]),
            cones=replace(self.cones, H=padded(self.cones.H)),
        )

    def load(self, x: FloatArray) -> None:
        """Write ``x`` into the Pyomo variables, integers rounded and bounds respected to the last digit."""
        tidy = np.clip(np.where(self.integer, np.round(x), x), self.lower, self.upper).tolist()
        for column, value in zip(self.columns, tidy, strict=False):
            if not column.fixed:
                column.set_value(value, skip_validation=True)


class _Columns:
    """Columns of the compiled model while it grows."""

    def __init__(self, variables: list[Any]) -> None:
        self.variables = variables
        self.place = {id(v): k for k, v in enumerate(variables)}
        self.extra: list[tuple[float, float]] = []

    def of(self, variable: Any) -> int:
        found = self.place.get(id(variable))
        if found is None:
            if self.extra:
                raise SolverError(f"internal order: variable {variable.name} came after an auxiliary column")
            found = self.place[id(variable)] = len(self.variables)
            self.variables.append(variable)
        return found

    def add(self, lower: float = -math.inf, upper: float = math.inf) -> int:
        self.extra.append((lower, upper))
        return len(self.variables) + len(self.extra) - 1


@dataclass
class _Row:
    coefficients: dict[int, float]
    lower: float
    upper: float


def compile_model(model: Any, cones: Sequence[Cone] = ()) -> Compiled:
    """Compile a Pyomo model with linear constraints, a linear or convex quadratic objective, SOS1 sets, and cones.

    Quadratic objectives move to an epigraph; sums of squares are split into one cone per square, whose tangents are
    far stronger than those of the sum (J. P. Vielma et al., "Extended formulations in mixed integer conic quadratic
    programming", Math. Programming Computation 9, 2017).

    Raises SolverError for no or several objectives, a nonlinear constraint, or a quadratic that is not convex.
    """
    objectives = list(model.component_data_objects(pyo.Objective, active=True))
    if len(objectives) != 1:
        raise SolverError(f"model {model.name} has {len(objectives)} active objectives; it needs exactly one")
    objective = objectives[0]
    sense = 1 if objective.sense == pyo.minimize else -1
    degree = objective.expr.polynomial_degree() if hasattr(objective.expr, "polynomial_degree") else 0
    if degree not in (0, 1, 2):
        raise SolverError(f"objective {objective.name} is neither linear nor quadratic")
    sets = list(model.component_data_objects(pyo.SOSConstraint, active=True))
    form = _standard_form(model, objective if degree == 2 else None, sets)
    columns = _Columns(list(form.columns))
    repn = generate_standard_repn(objective.expr, quadratic=True) if degree == 2 else None
    _register(columns, cones, sets, repn)

    rows: list[_Row] = []
    builder = ConeRows()
    cost: dict[int, float] = {}
    offset = 0.0
    if repn is None:
        vector = form.c.tocsr()
        cost = dict(zip(vector.indices.tolist(), (sense * vector.data).tolist(), strict=True))
        offset = sense * float(form.c_offset[0])
    else:
        offset = sense * float(pyo.value(repn.constant))
        for variable, coef in zip(repn.linear_vars, repn.linear_coefs, strict=True):
            at = columns.of(variable)
            cost[at] = cost.get(at, 0.0) + sense * float(coef)
        for weight, combination in _objective_squares(repn, sense, columns, objective.name):
            square = _add_square(f"objective {objective.name}", combination, columns, rows, builder)
            cost[square] = cost.get(square, 0.0) + weight
    for cone in cones:
        _add_cone(cone, columns, rows, builder)
    return _assemble(form, columns, rows, builder, cost, offset, sense, sets)


def _standard_form(model: Any, quadratic: Any | None, sets: list[Any]) -> Any:
    """Pyomo's compiled form, a quadratic objective and SOS sets out of its sight for the moment."""
    hidden = [item for item in (quadratic, *sets) if item is not None]
    for item in hidden:
        item.deactivate()
    for container in (containers := ComponentSet(s.parent_component() for s in sets)):
        container.deactivate()
    try:
        return LinearStandardFormCompiler().write(model, mixed_form=True, set_sense=None)
    except Exception as error:
        if type(error).__name__ == "InfeasibleConstraintException":
            raise InfeasibleError(f"no schedule meets all limits: {error}") from error
        if type(error).__name__ in ("InvalidConstraintError", "InvalidExpressionError"):
            raise SolverError(f"{error} Declare convex terms as cones beside the model.") from error
        raise
    finally:
        for item in hidden:
            item.activate()
        for container in containers:
            container.activate()


def _register(columns: _Columns, cones: Sequence[Cone], sets: list[Any], repn: Any) -> None:
    """Give every variable that only a cone, a set or the quadratic mentions its column before auxiliaries come."""
    for cone in cones:
        if isinstance(cone, RotatedCone):
            mentioned: list[Any] = [cone.p, cone.q, *cone.product]
        elif isinstance(cone, NormCone):
            mentioned = [*cone.terms] if isinstance(cone.bound, (int, float)) else [*cone.terms, cone.bound]
        else:
            mentioned = [term for _, term in cone.terms]
            if not isinstance(cone.bound, (int, float)):
                mentioned += list(generate_standard_repn(cone.bound).linear_vars)
        for variable in mentioned:
            columns.of(variable)
    for group in sets:
        for variable in group.variables:
            columns.of(variable)
    if repn is not None:
        for variable in [*repn.linear_vars, *(v for pair in repn.quadratic_vars for v in pair)]:
            columns.of(variable)


def _objective_squares(repn: Any, sense: int, columns: _Columns, name: str) -> list[tuple[float, dict[int, float]]]:
    pairs = [
        (columns.of(a), columns.of(b), sense * float(coef))
        for (a, b), coef in zip(repn.quadratic_vars, repn.quadratic_coefs, strict=True)
    ]
    return square_factors(pairs, f"objective {name}")


def _add_square(
    name: str, combination: dict[int, float], columns: _Columns, rows: list[_Row], builder: ConeRows
) -> int:
    """A column ``s >= (combination x)^2``."""
    if len(combination) == 1:
        ((inner, scale),) = combination.items()
    else:
        inner, scale = columns.add(), 1.0
        rows.append(_Row({**combination, inner: -1.0}, 0.0, 0.0))
    square = columns.add(0.0)
    builder.rotated(name, p={inner: scale}, q={}, left={square: 1.0}, right={}, right_constant=1.0)
    return square


def _add_cone(cone: Cone, columns: _Columns, rows: list[_Row], builder: ConeRows) -> None:
    if isinstance(cone, RotatedCone):
        left, right = cone.product
        builder.rotated(
            cone.name,
            p={columns.of(cone.p): 1.0},
            q={columns.of(cone.q): 1.0},
            left={columns.of(left): 1.0},
            right={columns.of(right): 1.0},
        )
    elif isinstance(cone, NormCone):
        terms = [columns.of(term) for term in cone.terms]
        if isinstance(cone.bound, (int, float)):
            builder.norm(cone.name, terms, {}, cone.scale * float(cone.bound))
        else:
            builder.norm(cone.name, terms, {columns.of(cone.bound): cone.scale}, 0.0)
    elif isinstance(cone, QuadraticEpigraph):
        _add_epigraph(cone, columns, rows, builder)
    else:
        raise SolverError(f"{type(cone).__name__} is no cone; use RotatedCone, QuadraticEpigraph or NormCone")


def _add_epigraph(cone: QuadraticEpigraph, columns: _Columns, rows: list[_Row], builder: ConeRows) -> None:
    row: dict[int, float] = {}
    limit = 0.0
    if isinstance(cone.bound, (int, float)):
        limit = float(cone.bound)
    else:
        repn = generate_standard_repn(cone.bound)
        if not repn.is_linear():
            raise SolverError(f"quadratic epigraph {cone.name}: the bound must be affine")
        limit = float(pyo.value(repn.constant))
        for variable, coef in zip(repn.linear_vars, repn.linear_coefs, strict=True):
            at = columns.of(variable)
            row[at] = row.get(at, 0.0) - float(coef)
    for k, (weight, term) in enumerate(cone.terms):
        if weight < 0:
            raise SolverError(f"quadratic epigraph {cone.name}: weight {weight} of {term.name} is negative, not convex")
        if weight > 0:
            scale = _unit_scale(term)
            square = _add_square(f"{cone.name} [{k}]", {columns.of(term): scale}, columns, rows, builder)
            row[square] = weight / scale**2
    rows.append(_Row(row, -math.inf, limit))


def _unit_scale(variable: Any) -> float:
    """Brings a small variable to size one, so that its square is no column of size 1e-6 in an interior-point method."""
    farthest = max(abs(end) for end in _bounds(variable))
    return 1.0 / farthest if 0.0 < farthest < 1.0 else 1.0


def _assemble(
    form: Any,
    columns: _Columns,
    rows: list[_Row],
    builder: ConeRows,
    cost: dict[int, float],
    offset: float,
    sense: int,
    sets: list[Any],
) -> Compiled:
    variables = columns.variables
    size = len(variables) + len(columns.extra)
    kinds = np.array([kind for _, kind in form.rows], dtype=int)
    rhs = np.asarray(form.rhs, dtype=float)
    base = form.A.tocsr()
    base = csr_array((base.data, base.indices, base.indptr), shape=(base.shape[0], size))
    bounds = [_bounds(v) for v in variables] + columns.extra
    lower, upper = (np.array(side, dtype=float) for side in zip(*bounds, strict=True)) if bounds else (np.zeros(0),) * 2
    vector = np.zeros(size)
    vector[list(cost)] = list(cost.values())
    return Compiled(
        columns=variables,
        sources=[row.constraint for row in form.rows],
        matrix=vstack([base, _stacked(rows, size)], format="csr"),
        row_lower=np.concatenate([np.where(kinds <= 0, rhs, -np.inf), [row.lower for row in rows]]),
        row_upper=np.concatenate([np.where(kinds >= 0, rhs, np.inf), [row.upper for row in rows]]),
        lower=lower,
        upper=upper,
        integer=np.array([not v.is_continuous() and not v.fixed for v in variables] + [False] * len(columns.extra)),
        cost=vector,
        offset=offset,
        sense=sense,
        cones=builder.finish(size),
        sos1=[_sos1(group, columns) for group in sets],
    )


def _bounds(variable: Any) -> tuple[float, float]:
    if variable.fixed:
        value = float(variable.value)
        return value, value
    low, high = variable.bounds
    return -math.inf if low is None else float(low), math.inf if high is None else float(high)


def _stacked(rows: list[_Row], size: int) -> csr_array:
    data = [value for row in rows for value in row.coefficients.values()]
    indices = [at for row in rows for at in row.coefficients]
    starts = np.concatenate([[0], np.cumsum([len(row.coefficients) for row in rows])]).astype(np.int32)
    return csr_array((np.array(data, dtype=float), np.array(indices, dtype=np.int32), starts), shape=(len(rows), size))


def _sos1(group: Any, columns: _Columns) -> tuple[list[int], list[float]]:
    if group.level != 1:
        raise SolverError(f"set {group.name} is SOS{group.level}; only SOS1 is supported")
    pairs = list(group.get_items())
    return [columns.of(variable) for variable, _ in pairs], [float(weight) for _, weight in pairs]
