"""Named rules for bad data. Each finding says which rule, where, when, and what was done; missing is never zero.

Rules run in this order: ``unsorted``, ``duplicate``, ``unit``, ``negative``, ``flat``, those of ``quality_shape`` (``spike``,
``duplicated_day`` or ``repeated_forecast``, ``time_shift``), ``gap``. Repaired and borrowed
values are marked in the column ``origin`` and become available no sooner than the values they were made from.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from forecasting.availability import AvailabilityRule
from forecasting.errors import DataError
from forecasting.quality_gaps import fill_gaps, weeks_before
from forecasting.quality_policy import (
    DEFAULT_POLICY,
    Checked,
    Finding,
    Origin,
    Policy,
    QualityPolicy,
    RuleContext,
    quality_policy,
)
from forecasting.quality_shape import check_repeated_day, check_spike, check_time_shift
from forecasting.series import SeriesKind, series_spec

__all__ = [
    "CHECKS",
    "DEFAULT_POLICY",
    "Checked",
    "Finding",
    "Origin",
    "Policy",
    "QualityPolicy",
    "check_series",
    "quality_policy",
    "require_time_zone",
    "tidy",
    "weeks_before",
]


def require_time_zone(frame: pd.DataFrame, series: str, zone: str) -> None:
    """Raise ``DataError`` for an index or ``available_at`` without time zone."""
    if not isinstance(frame.index, pd.DatetimeIndex) or frame.index.tz is None:
        raise DataError(f"{series} of {zone}: delivery times must be a time index with a time zone")
    if getattr(frame["available_at"].dt, "tz", None) is None or frame["available_at"].isna().any():
        raise DataError(f"{series} of {zone}: every row needs available_at with a time zone")


def tidy(frame: pd.DataFrame, series: str, zone: str) -> Checked:
    """Rules ``unsorted`` and ``duplicate``: sort by delivery and availability; drop rows that are repeated exactly.

    Raises ``DataError`` with the dates if two rows with the same delivery and availability differ, and for an index or
    ``available_at`` without time zone.
    """
    require_time_zone(frame, series, zone)
    spec = series_spec(series)
    context = RuleContext(spec, zone, pd.Timedelta(0), "UTC", DEFAULT_POLICY)
    findings: list[Finding] = []
    if not frame.index.is_monotonic_increasing:
        late = frame.index[np.flatnonzero(np.diff(frame.index.asi8) < 0) + 1]
        findings.append(
            context.finding("unsorted", late, "repaired", f"rows out of order were sorted: {len(late)} places")
        )
        frame = frame.assign(_at=frame.index).sort_values(["_at", "available_at"], kind="stable").drop(columns="_at")
    key = pd.MultiIndex.from_arrays([frame.index, frame["available_at"]])
    if not key.is_unique:
        values = frame["value"].to_numpy()
        codes = key.factorize()[0]
        first_of = pd.Series(values).groupby(codes).transform("first").to_numpy()
        differs = ~((values == first_of) | (np.isnan(values) & np.isnan(first_of)))
        if differs.any():
            dates = sorted({f"{stamp:%Y-%m-%d %H:%M}" for stamp in frame.index[differs]})
            shown = ", ".join(dates[:5]) + (f" and {len(dates) - 5} more" if len(dates) > 5 else "")
            raise DataError(
                f"{series} of {zone}: two different values for the same delivery time at {shown} UTC; "
                "remove the wrong row from the source"
            )
        again = key.duplicated()
        findings.append(
            context.finding(
                "duplicate", frame.index[again], "repaired", f"{int(again.sum())} repeated rows were dropped"
            )
        )
        frame = frame[~again]
    return Checked(frame, tuple(findings))


def check_series(
    frame: pd.DataFrame,
    *,
    series: str,
    zone: str,
    expected: pd.DatetimeIndex,
    step_minutes: int,
    time_zone: str,
    rule: AvailabilityRule | None = None,
    history: pd.DataFrame | None = None,
    policy: QualityPolicy = DEFAULT_POLICY,
    capacity_mw: float | None = None,
) -> Checked:
    """Apply every rule to one series.

    Parameters
    ----------
    frame: as a ``Source`` returns it; one version per delivery time.
    expected: the delivery times that must be there (leave out what is not due yet).
    time_zone: market time, for messages and for "the same hour of the previous week".
    rule: when a repaired value would have been published; the catalogue's rule if left out.
    history: earlier rows of the series (column ``value``): the past that a new value is compared with, and from which the
        previous week may be borrowed.
    capacity_mw: of the site that generates, against which the rule ``unit`` holds the values; ``None`` where unknown.

    Raises
    ------
    DataError: where a rule refuses, with the dates and what to do next.
    """
    spec = series_spec(series)
    context = RuleContext(
        spec, zone, pd.Timedelta(minutes=step_minutes), time_zone, policy, _past(history), capacity_mw
    )
    tidied = tidy(frame, series, zone)
    frame, findings = tidied.frame, list(tidied.findings)
    if frame.index.has_duplicates:
        raise DataError(f"{series} of {zone}: give one version per delivery time to the quality rules")
    if np.isinf(frame["value"].to_numpy()).any():
        raise DataError(f"{series} of {zone}: infinite value at {frame.index[np.isinf(frame['value'])][0]}")
    for check in CHECKS:
        frame, found = check(frame, context)
        findings += found
    own = Origin.FORECAST if spec.kind is SeriesKind.FORECAST else Origin.MEASURED
    if "origin" not in frame:
        frame = frame.assign(origin=str(own))
    frame, found = fill_gaps(frame, context, expected, rule or spec.availability, history)
    return Checked(frame, tuple(findings + found))


#: A median above this multiple of the site's capacity is another unit: kW would give hundreds.
CAPACITY_FACTOR = 2.0

#: A new size that differs less than this from a credible past is weather or market, not another unit.
UNIT_FACTOR = 200.0


def _past(history: pd.DataFrame | None) -> pd.Series | None:
    if history is None:
        return None
    values: pd.Series = history["value"]
    return values[~values.index.duplicated(keep="last")]


def _check_unit(frame: pd.DataFrame, context: RuleContext) -> tuple[pd.DataFrame, list[Finding]]:
    """``unit``: the median size of the values is outside what the catalogue calls typical, and far from that of the past.

    Values are too small only if 95% of them are below the typical range. Generation of a site is held against its capacity
    instead. Generation that is too *small* by a thousand cannot be told from calm or night, and a forecast of a whole zone
    in kW is noticed only where its median in MW is above 100.
    """
    low, high = context.spec.typical
    if context.capacity_mw is not None:
        low, high = 0.0, CAPACITY_FACTOR * context.capacity_mw
    known = frame["value"].dropna()
    median = float(known.abs().median()) if len(known) else float("nan")
    # a market may be worth nothing in most hours of a week (Spain, April 2024), but not in nearly all of them
    large = float(known.abs().quantile(0.95)) if len(known) else float("nan")
    if len(known) < 24 or (large >= low and median <= high):
        return frame, []
    past = float(context.past.abs().median()) if context.past is not None and len(context.past) >= 24 else float("nan")
    alike = low <= past <= high and past / UNIT_FACTOR < median < past * UNIT_FACTOR
    if alike and context.capacity_mw is None:
        return frame, []
    text = (
        f"median size {median:.4g} is not credible in {context.spec.unit} (typical {low:g} to {high:g}); "
        "state the unit of the column in the layout"
    )
    if context.capacity_mw is not None:
        text += f", or correct the capacity of {context.capacity_mw:g} MW"
    return frame, [_refuse_or_keep("unit", frame.index, text, context, context.policy.unit)]


def _check_negative(frame: pd.DataFrame, context: RuleContext) -> tuple[pd.DataFrame, list[Finding]]:
    """``negative``: a quantity that cannot be negative is. Under ``repair`` the value counts as missing."""
    below = frame["value"].to_numpy() < 0
    if not context.spec.non_negative or not below.any():
        return frame, []
    index = frame.index[below]
    text = f"negative {context.spec.description}: {context.span(index)}, lowest {frame['value'].min():.4g}"
    if context.policy.negative in (Policy.REPAIR, Policy.FALLBACK):
        finding = context.finding("negative", index, "repaired", f"{text}; treated as missing")
        return frame.assign(value=frame["value"].mask(below)), [finding]
    text += "; correct the source, or set quality.negative=repair to treat it as missing"
    return frame, [_refuse_or_keep("negative", index, text, context, context.policy.negative)]


def _check_flat(frame: pd.DataFrame, context: RuleContext) -> tuple[pd.DataFrame, list[Finding]]:
    """``flat``: one non-zero value repeated for many hours. Under ``repair`` the repeats count as missing."""
    values = frame["value"].to_numpy()
    run = np.concatenate([[0], np.cumsum(values[1:] != values[:-1])]) if len(values) else np.zeros(0, dtype=int)
    length = np.bincount(run)[run] if len(values) else run
    flat = (length * context.step >= pd.Timedelta(hours=context.policy.flat_h)) & (values != 0) & np.isfinite(values)
    if not flat.any():
        return frame, []
    index = frame.index[flat]
    text = f"flat line: {context.span(index)}"
    if context.policy.flat in (Policy.REPAIR, Policy.FALLBACK):
        finding = context.finding("flat", index, "repaired", f"{text}; treated as missing")
        return frame.assign(value=frame["value"].mask(flat)), [finding]
    return frame, [_refuse_or_keep("flat", index, text, context, context.policy.flat)]


def _refuse_or_keep(check: str, index: pd.DatetimeIndex, text: str, context: RuleContext, policy: Policy) -> Finding:
    if policy is not Policy.ACCEPT:
        raise DataError(f"{context.spec.name} of {context.zone}: {text}")
    return context.finding(check, index, "kept", text)


#: A rule gets the frame and its context, and returns the frame (values it rejects become NaN) and its findings.
Check = Callable[[pd.DataFrame, RuleContext], tuple[pd.DataFrame, list[Finding]]]

#: The rules that look at values, in order. Add a rule here.
CHECKS: tuple[Check, ...] = (
    _check_unit,
    _check_negative,
    _check_flat,
    check_spike,
    check_repeated_day,
    check_time_shift,
)
