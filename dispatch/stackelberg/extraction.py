"""A follower's block compiled to the matrices of the parametric quadratic program that the reformulations work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from scipy import sparse

from dispatch.errors import BilevelError
from dispatch.stackelberg.follower import Follower
from dispatch.stackelberg.polynomial import ExpressionReader, Polynomial, VarData
from dispatch.stackelberg.rows import Row, merge_opposite_rows

FloatArray = NDArray[np.float64]
#: An eigenvalue below this share of the largest one makes a Hessian indefinite.
CONVEXITY_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class FollowerForm:
    """``min_x (c + B p)'x + x'Q x/2  s.t.  G x + K p <= h (mu >= 0),  E x + L p = f (nu)``.

    Attributes
    ----------
    follower: the declaration this was read from.
    x, p: own variables (n) and outside variables seen (m): the leader's, and those of rival followers.
    c, B, Q: (n,), (n, m), (n, n); an objective that is maximised is negated first.
    G, K, h: (r, n), (r, m), (r,); variable bounds are rows like any other.
    E, L, f: (s, n), (s, m), (s,); two opposite inequalities count as one equality.
    inequalities, equalities: the rows with their names and sources, in the order of the matrices.
    sense: 1 if the follower minimises, -1 if it maximises.
    """

    follower: Follower
    x: tuple[VarData, ...]
    p: tuple[VarData, ...]
    c: FloatArray
    B: sparse.csr_array
    Q: sparse.csr_array
    G: sparse.csr_array
    K: sparse.csr_array
    h: FloatArray
    E: sparse.csr_array
    L: sparse.csr_array
    f: FloatArray
    inequalities: tuple[Row, ...]
    equalities: tuple[Row, ...]
    sense: int

    @property
    def name(self) -> str:
        """The follower's name."""
        return self.follower.name

    @property
    def is_linear(self) -> bool:
        """True if the follower's objective has no square."""
        return bool(self.Q.nnz == 0)

    @property
    def leader_in_limits(self) -> tuple[str, ...]:
        """Names of the rows whose right-hand side holds a variable of another player."""
        rows = [row for row, count in zip(self.inequalities, np.diff(self.K.indptr), strict=True) if count]
        rows += [row for row, count in zip(self.equalities, np.diff(self.L.indptr), strict=True) if count]
        return tuple(row.name for row in rows)

    def __str__(self) -> str:
        kind = "linear" if self.is_linear else "convex quadratic"
        return (
            f"follower {self.name}: {kind}, {len(self.x)} variables, {len(self.inequalities)} inequalities, "
            f"{len(self.equalities)} equalities, sees {len(self.p)} variables of others"
        )


def extract_follower(follower: Follower, outside: dict[int, str]) -> FollowerForm:
    """Compiles a follower.

    ``outside`` maps the ``id`` of every variable of the other players to its owner's name.

    Raises BilevelError for an integer variable, a term that is not linear or quadratic, a row in which the follower's
    variables are squared or multiplied with another player's, an indefinite Hessian, or an undeclared variable.
    """
    reader = ExpressionReader()
    own = [variable for variable in follower.own_variables if not variable.fixed]
    _refuse_integers(follower, own)
    reader.note(own)
    position = {id(variable): k for k, variable in enumerate(own)}
    objective = follower.own_objective
    sense = 1 if objective.sense == pyo.minimize else -1
    cost = Polynomial()
    cost.add(reader.read(objective.expr, f"follower {follower.name}: objective"), sense)
    rows = _read_rows(follower, own, position, reader)

    others = _outside_variables(follower, cost, rows, position, reader, outside)
    column = {key: k for k, key in enumerate(others)}
    c, B, Q = _objective_matrices(follower, cost, position, column, reader)
    inequalities, equalities = merge_opposite_rows(rows)
    n, m = len(own), len(others)
    return FollowerForm(
        follower=follower,
        x=tuple(own),
        p=tuple(reader.variables[key] for key in others),
        c=c,
        B=B,
        Q=Q,
        G=_coefficients([row.own for row in inequalities], position, n),
        K=_coefficients([row.outside for row in inequalities], column, m),
        h=np.array([row.limit for row in inequalities], dtype=float),
        E=_coefficients([row.own for row in equalities], position, n),
        L=_coefficients([row.outside for row in equalities], column, m),
        f=np.array([row.limit for row in equalities], dtype=float),
        inequalities=tuple(inequalities),
        equalities=tuple(equalities),
        sense=sense,
    )


def _refuse_integers(follower: Follower, own: list[VarData]) -> None:
    discrete = [variable.name for variable in own if not variable.is_continuous()]
    if discrete:
        shown = ", ".join(discrete[:3]) + (" ..." if len(discrete) > 3 else "")
        raise BilevelError(
            f"follower {follower.name}: {len(discrete)} integer variables ({shown}). Optimality conditions (KKT, strong "
            "duality) do not exist for an integer follower, and its relaxation gives no bound (Moore and Bard 1990); "
            "make them continuous, or give them to the leader"
        )


def _read_rows(follower: Follower, own: list[VarData], position: dict[int, int], reader: ExpressionReader) -> list[Row]:
    """Constraints of the block and bounds of its variables; rows without a variable of this follower are left out."""
    rows: list[Row] = []
    for constraint in follower.block.component_data_objects(pyo.Constraint, active=True, descend_into=True):
        where = f"follower {follower.name}: row {constraint.name}"
        body = reader.read(constraint.body, where)
        for i, j in body.quadratic:
            if i in position or j in position:
                first, second = reader.variables[i].name, reader.variables[j].name
                raise BilevelError(f"{where}: the product {first} * {second} is not linear in the follower's variables")
        mine = {key: value for key, value in body.linear.items() if key in position and value}
        if not mine:
            continue
        if body.quadratic:
            raise BilevelError(f"{where}: squares of leader variables in a follower's row are not supported")
        others = {key: value for key, value in body.linear.items() if key not in position and value}
        lower, upper = pyo.value(constraint.lower), pyo.value(constraint.upper)
        rows += Row.between(constraint.name, constraint, mine, others, lower, upper, body.constant)
    for variable in own:
        lower, upper = variable.bounds
        rows += Row.between(variable.name, variable, {id(variable): 1.0}, {}, lower, upper, 0.0)
    return rows


def _outside_variables(
    follower: Follower,
    cost: Polynomial,
    rows: list[Row],
    position: dict[int, int],
    reader: ExpressionReader,
    outside: dict[int, str],
) -> list[int]:
    """Ids of the variables of other players that matter to this follower, in the order met."""
    seen: dict[int, None] = {}
    for i, j in cost.quadratic:
        if (i in position) != (j in position):
            seen[j if i in position else i] = None
    for row in rows:
        seen.update(dict.fromkeys(row.outside))
    undeclared = [reader.variables[key].name for key in {*seen, *cost.occurring()} if key not in outside | position]
    if undeclared:
        raise BilevelError(
            f"follower {follower.name} mentions {', '.join(sorted(undeclared))}, declared neither as its own variable "
            "nor as a leader variable; add it to `leader` or to the follower's `variables`"
        )
    return list(seen)


def _objective_matrices(
    follower: Follower, cost: Polynomial, position: dict[int, int], column: dict[int, int], reader: ExpressionReader
) -> tuple[FloatArray, sparse.csr_array, sparse.csr_array]:
    n, m = len(position), len(column)
    c = np.zeros(n)
    for key, value in cost.linear.items():
        if key in position:
            c[position[key]] = value
    B, Q = sparse.lil_array((n, m)), sparse.lil_array((n, n))
    for (i, j), value in cost.quadratic.items():
        if i in position and j in position:
            Q[position[i], position[j]] += value
            Q[position[j], position[i]] += value
        elif i in position:
            B[position[i], column[j]] += value
        elif j in position:
            B[position[j], column[i]] += value
    Q = Q.tocsr()
    Q.eliminate_zeros()
    fault = indefinite_part(Q, [reader.variables[key].name for key in position])
    if fault:
        raise BilevelError(
            f"follower {follower.name}: the objective is not convex in {fault}. Stationary points of such a follower need "
            "not be optimal"
        )
    return c, B.tocsr(), Q


def indefinite_part(Q: sparse.csr_array, names: list[str]) -> str:
    """The variables and the eigenvalue that make a symmetric (n, n) matrix not positive semidefinite, or nothing.

    Checked block by block, so that a separable objective of any size is cheap.
    """
    count, label = sparse.csgraph.connected_components(Q, directed=False)
    members: list[list[int]] = [[] for _ in range(count)]
    for k, block in enumerate(label):
        members[block].append(k)
    for block in members:
        eigenvalues = np.linalg.eigvalsh(Q[block][:, block].toarray())
        if eigenvalues[0] < -CONVEXITY_TOLERANCE * max(1.0, eigenvalues[-1]):
            shown = ", ".join(names[k] for k in block[:4])
            return f"({shown}): its Hessian has the eigenvalue {eigenvalues[0]:.3g}"
    return ""


def _coefficients(rows: list[dict[int, float]], position: dict[int, int], width: int) -> sparse.csr_array:
    at = [(r, position[key], value) for r, row in enumerate(rows) for key, value in row.items()]
    if not at:
        return sparse.csr_array((len(rows), width))
    r, k, v = zip(*at, strict=True)
    return sparse.csr_array((np.array(v, dtype=float), (np.array(r), np.array(k))), shape=(len(rows), width))
