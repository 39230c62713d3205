"""One-sided rows of a follower, with opposite inequalities joined to equalities."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from dispatch.errors import BilevelError

#: Two limits closer than this, relative to their size, are the same number.
SAME = 1e-12


@dataclass(frozen=True, eq=False)
class Row:
    """``own'x + outside'p <= limit`` (or ``= limit``), by variable ``id``.

    name: of the constraint or variable, with ``>=`` or ``<=`` behind it where both sides exist.
    source: the Pyomo constraint, or the variable whose bound this is.
    side: ``lower`` or ``upper`` limit of the source, or ``equal``.
    """

    name: str
    source: Any
    side: str
    own: dict[int, float]
    outside: dict[int, float]
    limit: float

    @classmethod
    def between(
        cls,
        name: str,
        source: Any,
        own: dict[int, float],
        outside: dict[int, float],
        lower: float | None,
        upper: float | None,
        constant: float,
    ) -> list[Row]:
        """Rows for ``lower <= own'x + outside'p + constant <= upper``; an infinite limit gives no row."""
        low = -math.inf if lower is None else float(lower)
        high = math.inf if upper is None else float(upper)
        if low > high:
            raise BilevelError(f"{name}: lower limit {low:g} above upper limit {high:g}")
        if low == high:
            return [cls(name, source, "equal", own, outside, low - constant)]
        rows = []
        if high < math.inf:
            rows.append(cls(f"{name} <=", source, "upper", own, outside, high - constant))
        if low > -math.inf:
            minus_own = {key: -value for key, value in own.items()}
            minus_outside = {key: -value for key, value in outside.items()}
            rows.append(cls(f"{name} >=", source, "lower", minus_own, minus_outside, constant - low))
        return rows

    def direction(self) -> tuple[tuple[tuple[int, float], ...], float]:
        """Coefficients of the own variables divided by their scale, and the scale (sign included)."""
        scale = next(iter(sorted(self.own.items())))[1]
        return tuple(sorted((key, round(value / scale, 12)) for key, value in self.own.items())), scale


def merge_opposite_rows(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Inequalities and equalities, each pair ``g x <= h``, ``-g x <= -h`` turned into the equality ``g x = h``.

    Their duals would be unbounded (only the difference is determined), so no finite bound exists before the merge.
    """
    equalities = [row for row in rows if row.side == "equal"]
    inequalities = [row for row in rows if row.side != "equal"]
    groups: dict[Any, list[int]] = {}
    for k, row in enumerate(inequalities):
        groups.setdefault(row.direction()[0], []).append(k)
    gone: set[int] = set()
    for members in groups.values():
        for position, k in enumerate(members):
            for other in members[position + 1 :]:
                if k not in gone and other not in gone and _opposite(inequalities[k], inequalities[other]):
                    gone.update((k, other))
                    merged = replace(inequalities[k], name=f"{inequalities[k].name} and opposite", side="equal")
                    equalities.append(merged)
    return [row for k, row in enumerate(inequalities) if k not in gone], equalities


def _opposite(first: Row, second: Row) -> bool:
    scale, other = first.direction()[1], second.direction()[1]
    if scale * other >= 0:
        return False
    left = {key: value / scale for key, value in first.outside.items()}
    right = {key: value / other for key, value in second.outside.items()}
    size = max(1.0, abs(first.limit / scale))
    if abs(first.limit / scale - second.limit / other) > SAME * size:
        return False
    return all(abs(left.get(key, 0.0) - right.get(key, 0.0)) <= SAME for key in left.keys() | right.keys())
