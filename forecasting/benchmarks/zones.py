"""Bidding zones as a benchmark: samples after the quality rules, what the rules found, and which zones qualify."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecasting.errors import DataError, NoDataError
from forecasting.quality import Finding, Policy, QualityPolicy, check_series
from forecasting.samples import DayAheadSamples
from forecasting.sources.base import Source
from forecasting.windows import MORNING, build_samples, channel_plan

#: Published forecasts that every zone is offered; one that a zone does not publish is NaN throughout.
ZONE_CONDITIONS = ("load_forecast", "wind_forecast", "solar_forecast")
_STEP_MINUTES = 60

#: A value that later values would expose is reported and kept, since nobody could have known; gaps are mended.
ZONE_POLICY = QualityPolicy(negative=Policy.REPAIR, spike=Policy.ACCEPT)


@dataclass(frozen=True, eq=False)
class ZoneData:
    """Samples of one zone and the flaws of its data. ``excluded`` says why it cannot be scored, empty if it can."""

    zone: str
    samples: DayAheadSamples | None
    findings: tuple[Finding, ...] = ()
    excluded: str = ""


class CheckedSeries:
    """A source read through the quality rules; answers like a store, with one version of each value.

    Gaps of forecasts are interpolated where short and borrowed from an earlier week where long; where no earlier week has
    them they stay missing. Repaired values count as known no sooner than the values they were made from.
    """

    def __init__(self, source: Source, policy: QualityPolicy = ZONE_POLICY) -> None:
        self.source = source
        self.policy = policy
        self.findings: list[Finding] = []

    def versions(
        self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp, as_of: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """See ``forecasting.windows.VersionedSeries``; empty where the source has nothing."""
        try:
            raw = self.source.read(series, zone, start, end)
        except NoDataError:
            empty = pd.DatetimeIndex([], tz="UTC", name="delivery_utc")
            return pd.DataFrame({"value": np.zeros(0), "available_at": empty}, index=empty)
        raw = raw[raw["value"].notna()]
        expected = pd.date_range(raw.index[0], raw.index[-1], freq=f"{_STEP_MINUTES}min") if len(raw) else raw.index
        try:
            frame = self._checked(raw, series, zone, expected, self.policy)
        except DataError:
            frame = self._checked(raw, series, zone, expected, replace(self.policy, gap=Policy.ACCEPT))
        frame = frame[frame["value"].notna()]
        return frame if as_of is None else frame[frame["available_at"] <= as_of]

    def _checked(
        self, raw: pd.DataFrame, series: str, zone: str, expected: pd.DatetimeIndex, policy: QualityPolicy
    ) -> pd.DataFrame:
        checked = check_series(
            raw,
            series=series,
            zone=zone,
            expected=expected,
            step_minutes=_STEP_MINUTES,
            time_zone=self.source.market_time_zone(zone),
            rule=self.source.availability(series),
            policy=policy,
        )
        self.findings += checked.findings
        return checked.frame


def load_zone(
    source: Source,
    zone: str,
    first_day: np.datetime64,
    last_day: np.datetime64,
    *,
    history_days: int = 14,
    least_known: float = 0.8,
) -> ZoneData:
    """Morning samples of the price of ``zone`` from ``first_day`` to ``last_day``.

    A zone is excluded, with the reason, if it has no price, or if its wind forecast is absent, zero throughout, or known
    for less than ``least_known`` of the hours.
    """
    checked = CheckedSeries(source)
    try:
        samples = build_samples(
            checked,
            channel_plan("price", zone, conditions=ZONE_CONDITIONS),
            first_day=first_day,
            last_day=last_day,
            time_zone=source.market_time_zone(zone),
            decision=MORNING,
            history_days=history_days,
            step_minutes=_STEP_MINUTES,
        )
    except (NoDataError, DataError) as error:
        return ZoneData(zone, None, tuple(checked.findings), str(error))
    wind = samples.future[..., samples.future_channels.index("wind_forecast")]
    known = float(np.isfinite(wind).mean())
    reason = ""
    if not known:
        reason = "publishes no wind forecast before the auction"
    elif not np.nan_to_num(wind).any():
        reason = "its wind forecast is zero throughout"
    elif known < least_known:
        reason = f"its wind forecast is known for {known:.0%} of the hours"
    return ZoneData(zone, samples, tuple(checked.findings), reason)


def describe_findings(findings: tuple[Finding, ...]) -> list[str]:
    """One line per rule and series: how often, how many hours, and what was done."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.series, finding.check, finding.action), []).append(finding)
    lines = []
    for (series, check, action), found in groups.items():
        hours = sum((one.end - one.start) / pd.Timedelta(hours=1) + 1 for one in found)
        first, last = min(one.start for one in found), max(one.end for one in found)
        times = f"{len(found)} times" if len(found) > 1 else "once"
        lines.append(f"{series}: {check} {times}, {hours:.0f} h from {first:%Y-%m-%d} to {last:%Y-%m-%d}, {action}")
    return lines
