"""Dual bounds that the user states with a follower."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dispatch.errors import BilevelError
from dispatch.stackelberg.extraction import FloatArray, FollowerForm


@dataclass(frozen=True)
class Claims:
    """Claimed limits of duals by row of the form.

    inequalities: largest ``mu``; equalities: lowest and highest ``nu`` (minus the shadow price).
    """

    inequalities: dict[int, float] = field(default_factory=dict)
    equalities: dict[int, tuple[float, float]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """True if nothing is claimed."""
        return not self.inequalities and not self.equalities

    def at_least(self, proved: FloatArray) -> Claims:
        """The claims, each inequality's raised to a finite proved bound (r,) above it: a wider range stays valid."""
        raised = {
            row: max(value, float(proved[row])) if np.isfinite(proved[row]) else value
            for row, value in self.inequalities.items()
        }
        return Claims(raised, dict(self.equalities))


def claimed_bounds(form: FollowerForm) -> Claims:
    """The follower's ``dual_bounds`` by row.

    Raises BilevelError for a claim about something that is no row of the follower, or about no valid range.
    """
    rows: dict[int, list[int]] = {}
    for k, row in enumerate(form.inequalities):
        rows.setdefault(id(row.source), []).append(k)
    equalities = {id(row.source): k for k, row in enumerate(form.equalities)}
    claims = Claims()
    stated = form.follower.dual_bounds
    for component, value in stated.items() if isinstance(stated, Mapping) else stated:
        low, high = (float(v) for v in value) if isinstance(value, tuple) else (-float(value), float(value))
        for member in _members(component):
            if not low <= high or high < 0:
                raise BilevelError(f"follower {form.name}: dual bound {value} of {member.name} is no range of a dual")
            if id(member) in equalities:
                claims.equalities[equalities[id(member)]] = (-high, -low)
            elif id(member) in rows:
                claims.inequalities.update(dict.fromkeys(rows[id(member)], high))
            else:
                raise BilevelError(
                    f"follower {form.name}: a dual bound is given for {member.name}, which is neither a row nor a bounded "
                    "variable of this follower"
                )
    return claims


def _members(component: Any) -> Iterator[Any]:
    if hasattr(component, "is_indexed") and component.is_indexed():
        yield from component.values()
    else:
        yield component
