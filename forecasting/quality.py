"""Named rules for bad data. Each finding says which rule, where, when, and what was done; missing is never zero.

Rules run in this order: ``unsorted``, ``duplicate``, ``unit``, ``negative``, ``flat``, ``gap``. Repaired and borrowed
values are marked in the column ``origin`` and become available no sooner than the values they were made from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.availability import AvailabilityRule
from forecasting.errors import DataError, SettingError
from forecasting.series import SeriesKind, SeriesSpec, series_spec


class Origin(StrEnum):
    """Where one stored value came from."""

    MEASURED = "measured"
    FORECAST = "forecast"
    REPAIRED = "repaired"
    FALLBACK = "fallback"


class Policy(StrEnum):
    """What a rule does with what it finds.

    ``repair``: mend from the values around it. ``fallback``: mend, and where that is impossible borrow the same hour of
    an earlier week. ``refuse``: raise ``DataError``. ``accept``: keep what is there (a gap stays missing) and report.
    """

    REPAIR = "repair"
    FALLBACK = "fallback"
    REFUSE = "refuse"
    ACCEPT = "accept"


@dataclass(frozen=True)
class Finding:
    """One thing a rule found. ``action`` is ``repaired``, ``fallback``, ``kept`` or ``refused``; times are UTC."""

    check: str
    series: str
    zone: str
    start: pd.Timestamp
    end: pd.Timestamp
    action: str
    text: str

    def __str__(self) -> str:
        return f"{self.series} of {self.zone}: {self.text}"


@dataclass(frozen=True)
class QualityPolicy:
    """The policy of each rule. ``gap`` of ``None`` means ``fallback`` for forecasts and ``refuse`` for the rest.

    ``short_gap_h``: gaps up to this length between two known values are interpolated, whatever the policy but
    ``accept``. ``flat_h``: hours of one repeated non-zero value that count as a flat line.
    """

    gap: Policy | None = None
    negative: Policy = Policy.REFUSE
    unit: Policy = Policy.REFUSE
    flat: Policy = Policy.ACCEPT
    short_gap_h: float = 3.0
    flat_h: float = 36.0

    def gap_policy(self, spec: SeriesSpec) -> Policy:
        """The gap policy that holds for ``spec``."""
        if self.gap is not None:
            return Policy(self.gap)
        return Policy.FALLBACK if spec.kind is SeriesKind.FORECAST else Policy.REFUSE


DEFAULT_POLICY = QualityPolicy()

#: A gap is borrowed from the nearest earlier week that has it, at most this many weeks back.
MOST_WEEKS_BACK = 4


@dataclass(frozen=True)
class Checked:
    """A frame that passed the rules, with its column ``origin``, and what the rules found."""

    frame: pd.DataFrame
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class _Context:
    spec: SeriesSpec
    zone: str
    step: pd.Timedelta
    time_zone: str
    policy: QualityPolicy

    def finding(self, check: str, index: pd.DatetimeIndex, action: str, text: str) -> Finding:
        return Finding(check, self.spec.name, self.zone, index.min(), index.max(), action, text)

    def span(self, index: pd.DatetimeIndex) -> str:
        """Count and dates of ``index`` in market time."""
        first, last = index.min().tz_convert(self.time_zone), index.max().tz_convert(self.time_zone)
        return f"{len(index)} values from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} market time"


def tidy(frame: pd.DataFrame, series: str, zone: str) -> Checked:
    """Rules ``unsorted`` and ``duplicate``: sort by delivery and availability; drop rows that are repeated exactly.

    Raises ``DataError`` with the dates if two rows with the same delivery and availability differ, and for an index or
    ``available_at`` without time zone.
    """
    spec = series_spec(series)
    if not isinstance(frame.index, pd.DatetimeIndex) or frame.index.tz is None:
        raise DataError(f"{series} of {zone}: delivery times must be a time index with a time zone")
    if getattr(frame["available_at"].dt, "tz", None) is None or frame["available_at"].isna().any():
        raise DataError(f"{series} of {zone}: every row needs available_at with a time zone")
    context = _Context(spec, zone, pd.Timedelta(0), "UTC", DEFAULT_POLICY)
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
) -> Checked:
    """Apply every rule to one series.

    Parameters
    ----------
    frame: as a ``Source`` returns it; one version per delivery time.
    expected: the delivery times that must be there (leave out what is not due yet).
    time_zone: market time, for messages and for "the same hour of the previous week".
    rule: when a repaired value would have been published; the catalogue's rule if left out.
    history: earlier rows of the series (column ``value``) from which the previous week may be borrowed.

    Raises
    ------
    DataError: where a rule refuses, with the dates and what to do next.
    """
    spec = series_spec(series)
    context = _Context(spec, zone, pd.Timedelta(minutes=step_minutes), time_zone, policy)
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
    frame, found = _fill_gaps(frame, context, expected, rule or spec.availability, history)
    return Checked(frame, tuple(findings + found))


def _check_unit(frame: pd.DataFrame, context: _Context) -> tuple[pd.DataFrame, list[Finding]]:
    """``unit``: the median size of the values is outside what the catalogue calls typical."""
    low, high = context.spec.typical
    known = frame["value"].dropna()
    median = float(known.abs().median()) if len(known) else float("nan")
    if len(known) < 24 or low <= median <= high:
        return frame, []
    text = (
        f"median size {median:.4g} is not credible in {context.spec.unit} (typical {low:g} to {high:g}); "
        "state the unit of the column in the layout"
    )
    return frame, [_refuse_or_keep("unit", frame.index, text, context, context.policy.unit)]


def _check_negative(frame: pd.DataFrame, context: _Context) -> tuple[pd.DataFrame, list[Finding]]:
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


def _check_flat(frame: pd.DataFrame, context: _Context) -> tuple[pd.DataFrame, list[Finding]]:
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


def _refuse_or_keep(check: str, index: pd.DatetimeIndex, text: str, context: _Context, policy: Policy) -> Finding:
    if policy is not Policy.ACCEPT:
        raise DataError(f"{context.spec.name} of {context.zone}: {text}")
    return context.finding(check, index, "kept", text)


#: A rule gets the frame and its context, and returns the frame (values it rejects become NaN) and its findings.
Check = Callable[[pd.DataFrame, _Context], tuple[pd.DataFrame, list[Finding]]]

#: The rules that look at values, in order. Add a rule here.
CHECKS: tuple[Check, ...] = (_check_unit, _check_negative, _check_flat)


def _fill_gaps(
    frame: pd.DataFrame,
    context: _Context,
    expected: pd.DatetimeIndex,
    rule: AvailabilityRule,
    history: pd.DataFrame | None,
) -> tuple[pd.DataFrame, list[Finding]]:
    """``gap``: interpolate short gaps, borrow or refuse long ones. Rows that stay missing are dropped."""
    grid = frame.reindex(frame.index.union(expected))
    missing = grid["value"].isna().to_numpy()
    wanted = grid.index.isin(expected)
    if not missing.any():
        return frame, []
    findings: list[Finding] = []
    policy = context.policy.gap_policy(context.spec)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing & wanted, [False]]).astype(np.int8)))
    earlier = pd.concat([history["value"], frame["value"]]) if history is not None else frame["value"]
    earlier = earlier[~earlier.index.duplicated(keep="last")]
    step_minutes = int(context.step.total_seconds() // 60)
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        span = grid.index[first:last]
        due = rule.available_at(span, context.time_zone, step_minutes)
        inside = first > 0 and last < len(grid) and not missing[first - 1] and not missing[last]
        if (
            policy is not Policy.ACCEPT
            and inside
            and len(span) * context.step <= pd.Timedelta(hours=context.policy.short_gap_h)
        ):
            weight = np.arange(1, len(span) + 1) / (len(span) + 1)
            before, after = grid["value"].iloc[first - 1], grid["value"].iloc[last]
            known = max(grid["available_at"].iloc[first - 1], grid["available_at"].iloc[last])
            _put(grid, span, before + weight * (after - before), due.where(due > known, known), Origin.REPAIRED)
            findings.append(context.finding("gap", span, "repaired", f"short gap interpolated: {context.span(span)}"))
            continue
        if policy is Policy.FALLBACK:
            borrowed, weeks = _borrow(earlier, span, context.time_zone)
            if borrowed is not None:
                _put(grid, span, borrowed, due, Origin.FALLBACK)
                source = "the previous week" if weeks == 1 else f"{weeks} weeks before"
                text = f"gap filled with the same hours of {source}: {context.span(span)}"
                findings.append(context.finding("gap", span, "fallback", text))
                continue
        text = f"missing: {context.span(span)}"
        if policy is not Policy.ACCEPT:
            raise DataError(
                f"{context.spec.name} of {context.zone}: {text}; gaps up to {context.policy.short_gap_h:g} h are "
                "repaired, this one is refused: get the data, choose another day, or set quality.gap=accept to leave it missing"
            )
        findings.append(context.finding("gap", span, "kept", text))
    filled = grid[grid["value"].notna()]
    filled.attrs.update(frame.attrs)
    return filled, findings


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


def quality_policy(**settings: object) -> QualityPolicy:
    """A policy from config values. Raises ``SettingError`` for a policy word that does not exist."""
    typed: dict[str, object] = {}
    for name, value in settings.items():
        if name in ("gap", "negative", "unit", "flat") and value is not None:
            if value not in {str(policy) for policy in Policy}:
                raise SettingError(f"quality.{name}={value!r}: use one of {', '.join(Policy)}")
            typed[name] = Policy(str(value))
        else:
            typed[name] = value
    try:
        return replace(DEFAULT_POLICY, **typed)  # type: ignore[arg-type]
    except TypeError as error:
        raise SettingError(
            f"quality: {error}; known settings: {', '.join(QualityPolicy.__dataclass_fields__)}"
        ) from error
