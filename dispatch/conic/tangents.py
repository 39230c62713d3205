"""Second-order cones as sparse rows, and their tangents as linear cuts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Tangents of rotated cones are divided by ``max(P0^2 + Q0^2, this)``. Without it rows of lightly loaded lines vanish
#: in the solver's feasibility tolerance and the rounds do not converge.
SCALE_FLOOR = 1e-3

#: Stands for the length of a zero vector, so that its tangent reads ``bound >= 0``.
TINY = 1e-100

#: Least second factor of a rotated cone at a tangent point.
SMALLEST_FACTOR = 1e-9


class ConeRows:
    """Collects cones ``||y|| <= t`` with ``(t, y) = H x + h``, row by row."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.sizes: list[int] = []
        self.is_rotated: list[bool] = []
        self._data: list[float] = []
        self._rows: list[int] = []
        self._cols: list[int] = []
        self._constants: list[float] = []

    def rotated(
        self,
        name: str,
        p: dict[int, float],
        q: dict[int, float],
        left: dict[int, float],
        right: dict[int, float],
        right_constant: float = 0.0,
    ) -> None:
        """``p^2 + q^2 <= left (right + right_constant)`` as ``||(2p, 2q, left - right)|| <= left + right``."""
        self._open(name, 4, rotated=True)
        self._row(_combined(left, right, 1.0), right_constant)
        self._row({at: 2.0 * v for at, v in p.items()})
        self._row({at: 2.0 * v for at, v in q.items()})
        self._row(_combined(left, right, -1.0), -right_constant)

    def norm(self, name: str, terms: Iterable[int], bound: dict[int, float], constant: float) -> None:
        """``||terms|| <= bound + constant``."""
        terms = list(terms)
        self._open(name, 1 + len(terms), rotated=False)
        self._row(bound, constant)
        for term in terms:
            self._row({term: 1.0})

    def _open(self, name: str, size: int, rotated: bool) -> None:
        self.names.append(name)
        self.sizes.append(size)
        self.is_rotated.append(rotated)

    def _row(self, coefficients: dict[int, float], constant: float = 0.0) -> None:
        self._data.extend(coefficients.values())
        self._cols.extend(coefficients)
        self._rows.extend([len(self._constants)] * len(coefficients))
        self._constants.append(constant)

    def finish(self, size: int) -> ConeSet:
        """The collected cones over ``size`` columns."""
        shape = (len(self._constants), size)
        return ConeSet(
            names=self.names,
            sizes=np.array(self.sizes, dtype=np.int64),
            rotated=np.array(self.is_rotated, dtype=bool),
            H=csr_array(coo_array((self._data, (self._rows, self._cols)), shape=shape)),
            h=np.array(self._constants),
        )


@dataclass(frozen=True, eq=False)
class ConeSet:
    """Cones ``||y_k|| <= t_k``, the rows ``(t_k, y_k) = H x + h`` of cone ``k`` following one another.

    Rotated cones hold ``(left + right, 2p, 2q, left - right)``.
    """

    names: list[str]
    sizes: IntArray
    rotated: npt.NDArray[np.bool_]
    H: csr_array
    h: FloatArray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def starts(self) -> IntArray:
        """First row of each cone."""
        ends: IntArray = np.cumsum(self.sizes)
        return ends - self.sizes

    def subset(self, kept: npt.NDArray[np.bool_]) -> ConeSet:
        """The cones marked in ``kept``, in the same order."""
        rows = np.repeat(kept, self.sizes)
        names = [name for name, flag in zip(self.names, kept, strict=True) if flag]
        return ConeSet(names, self.sizes[kept], self.rotated[kept], csr_array(self.H[rows]), self.h[rows])

    def rows_at(self, x: FloatArray) -> FloatArray:
        """``H x + h``, shape [row]."""
        value: FloatArray = self.H @ x + self.h
        return value

    def violation(self, x: FloatArray) -> FloatArray:
        """Relative amount by which each cone is missed, shape [cone].

        Norm cones: ``(||y|| - t) / max(||y||, 1)``. Rotated: ``(p^2 + q^2 - left right) / max(p^2 + q^2, SCALE_FLOOR)``.
        """
        if not len(self):
            return np.zeros(0)
        z, starts = self.rows_at(x), self.starts
        head = z[starts]
        body = np.add.reduceat(z**2, starts) - head**2
        last = z[starts + self.sizes - 1]
        flow = np.maximum((body - last**2) / 4.0, 0.0)
        missed = flow - (head + last) * (head - last) / 4.0
        norm = np.sqrt(np.maximum(body, 0.0))
        return np.where(self.rotated, missed / np.maximum(flow, SCALE_FLOOR), (norm - head) / np.maximum(norm, 1.0))

    def points_at(self, x: FloatArray, which: IntArray) -> list[FloatArray]:
        """Rows of cones ``which`` at ``x``, one array per cone."""
        z, starts = self.rows_at(x), self.starts
        return [z[starts[k] : starts[k] + self.sizes[k]] for k in which]

    def tangents(self, points: Sequence[FloatArray], which: IntArray) -> tuple[csr_array, FloatArray]:
        """Tangents ``A x <= b`` of cones ``which``, each at the surface point below its entry of ``points``.

        A rotated point keeps its (p, q, right), a norm point its direction. For a rotated cone at ``(P0, Q0, u0)`` the
        cut is ``2 P0 p + 2 Q0 q - l0 u - u0 l <= 0`` with ``l0 = (P0^2 + Q0^2) / u0``, divided by
        ``max(P0^2 + Q0^2, SCALE_FLOOR)``.
        """
        if not len(which):
            return csr_array((0, self.H.shape[1])), np.zeros(0)
        weights = np.concatenate(points)
        sizes, rotated = self.sizes[which], self.rotated[which]
        heads = np.cumsum(sizes) - sizes
        spin = heads[rotated]
        flow = (weights[spin + 1] ** 2 + weights[spin + 2] ** 2) / 4.0
        right = np.maximum((weights[spin] - weights[spin + 3]) / 2.0, SMALLEST_FACTOR)
        norm = np.sqrt(np.maximum(np.add.reduceat(weights**2, heads) - weights[heads] ** 2, 0.0))
        norm[rotated] = flow / right + right
        weights[spin + 3] = flow / right - right
        norm = np.maximum(norm, TINY)
        weights[heads] = -norm
        scale = norm.copy()
        scale[rotated] = 2.0 * np.maximum(flow, SCALE_FLOOR)
        cut = np.repeat(np.arange(len(which)), sizes)
        rows = np.repeat(self.starts[which] - heads, sizes) + np.arange(len(weights))
        pick = csr_array(coo_array((weights / np.repeat(scale, sizes), (cut, rows)), shape=(len(which), len(self.h))))
        return csr_array(pick @ self.H), -(pick @ self.h)


@dataclass
class CutPool:
    """Tangent points by cone name. A tangent of a cone holds in every model that has the cone, so pools can be reused."""

    points: dict[str, list[FloatArray]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(found) for found in self.points.values())

    def add(self, name: str, point: FloatArray) -> None:
        """Remember the rows of a cone at which a tangent was laid."""
        self.points.setdefault(name, []).append(point)

    def matching(self, cones: ConeSet) -> list[tuple[int, FloatArray]]:
        """(cone, point) of every tangent that belongs to one of ``cones``."""
        return [
            (k, point)
            for k, (name, size) in enumerate(zip(cones.names, cones.sizes, strict=True))
            for point in self.points.get(name, ())
            if len(point) == size
        ]


def _combined(left: dict[int, float], right: dict[int, float], sign: float) -> dict[int, float]:
    total = dict(left)
    for at, value in right.items():
        total[at] = total.get(at, 0.0) + sign * value
    return total
