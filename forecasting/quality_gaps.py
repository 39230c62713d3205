"""The rule ``gap``: what happens to values that should be there and are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.availability import AvailabilityRule
from forecasting.errors import DataError
from forecasting.quality_policy import Finding, Origin, Policy, RuleContext

#: A gap is borrowed from the nearest earlier week that has it, at most this many weeks back.
MOST_WEEKS_BACK = 4


def fill_gaps(
    frame: pd.DataFrame,
    context: RuleContext,
    expected: pd.DatetimeIndex,
    rule: AvailabilityRule,
    history: pd.DataFrame | None,
) -> tuple[pd.DataFrame, list[Finding]]:
    """Interpolate short gaps, borrow or refuse long ones; rows that stay missing are dropped.

    ``frame`` has ``value``, ``available_at``, ``origin`` and one row per delivery time; ``expected`` must all be there.
    Raises ``DataError`` with the dates of a gap that the policy refuses.
    """
    grid = frame.reindex(frame.index.union(expected))
    missing = grid["value"].isna().to_numpy()
    if not missing.any():
        return frame, []
    findings: list[Finding] = []
    earlier = pd.concat([history["value"], frame["value"]]) if history is not None else frame["value"]
    earlier = earlier[~earlier.index.duplicated(keep="last")]
    wanted = missing & grid.index.isin(expected)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(np.int8)))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        bounded = first > 0 and last < len(grid) and not missing[first - 1] and not missing[last]
        findings.append(_mend(grid, int(first), int(last), bool(bounded), context, rule, earlier))
    filled = grid[grid["value"].notna()]
    filled.attrs.update(frame.attrs)
    return filled, findings


def _mend(
    grid: pd.DataFrame,
    first: int,
    last: int,
    bounded: bool,
    context: RuleContext,
    rule: AvailabilityRule,
    earlier: pd.Series,
) -> Finding:
    """Mend rows ``first`` to ``last`` (not included) of ``grid`` in place, leave them, or refuse."""
    span, policy = grid.index[first:last], context.policy.gap_policy(context.spec)
    due = rule.available_at(span, context.time_zone, int(context.step.total_seconds() // 60))
    short = len(span) * context.step <= pd.Timedelta(hours=context.policy.short_gap_h)
    if policy is not Policy.ACCEPT and bounded and short:
        weight = np.arange(1, len(span) + 1) / (len(span) + 1)
        before, after = grid["value"].iloc[first - 1], grid["value"].iloc[last]
        known = max(grid["available_at"].iloc[first - 1], grid["available_at"].iloc[last])
        _put(grid, span, before + weight * (after - before), due.where(due > known, known), Origin.REPAIRED)
        return context.finding("gap", span, "repaired", f"short gap interpolated: {context.span(span)}")
    if policy is Policy.FALLBACK:
        borrowed, weeks = _borrow(earlier, span, context.time_zone)
        if borrowed is not None:
            _put(grid, span, borrowed, due, Origin.FALLBACK)
            source = "the previous week" if weeks == 1 else f"{weeks} weeks before"
            text = f"gap filled with the same hours of {source}: {context.span(span)}"
            return context.finding("gap", span, "fallback", text)
    if policy is not Policy.ACCEPT:
        raise DataError(
            f"{context.spec.name} of {context.zone}: missing: {context.span(span)}; gaps up to "
            f"{context.policy.short_gap_h:g} h are repaired, this one is refused: get the data, choose another day, or "
            "set quality.gap=accept to leave it missing"
        )
    return context.finding("gap", span, "kept", f"missing: {context.span(span)}")


def _put(
    grid: pd.DataFrame, span: pd.DatetimeIndex, values: np.ndarray, available_at: pd.DatetimeIndex, origin: Origin
) -> None:
    grid.loc[span, "value"] = values
    grid.loc[span, "available_at"] = available_at
    grid.loc[span, "origin"] = str(origin)


def _borrow(earlier: pd.Series, span: pd.DatetimeIndex, time_zone: str) -> tuple[NDArray[np.float64] | None, int]:
    """Values of the nearest earlier week that has all of ``span``, and how many weeks back it lies."""
    for weeks in range(1, MOST_WEEKS_BACK + 1):
        values = earlier.reindex(weeks_before(span, time_zone, weeks)).to_numpy(dtype=np.float64)
        if np.isfinite(values).all():
            return values, weeks
    return None, 0


def weeks_before(index: pd.DatetimeIndex, time_zone: str, weeks: int = 1) -> pd.DatetimeIndex:
    """The same clock times ``weeks`` earlier, in UTC; across a clock change the hour on the clock counts."""
    wall = index.tz_convert(time_zone).tz_localize(None) - pd.Timedelta(weeks=weeks)
    first_pass = np.ones(len(wall), dtype=bool)
    return wall.tz_localize(time_zone, ambiguous=first_pass, nonexistent="shift_forward").tz_convert("UTC")
