"""What the quality rules may do, and how they say what they found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import pandas as pd

from forecasting.errors import SettingError
from forecasting.series import SeriesKind, SeriesSpec


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

    ``spike`` of ``None`` means ``accept`` for market prices, whose spikes are news, and ``repair`` for the rest.

    ``short_gap_h``: gaps up to this length between two known values are interpolated, whatever the policy but
    ``accept``. ``flat_h``: hours of one repeated non-zero value that count as a flat line.

    ``spike_ranges``, ``price_spike_ranges``: a spike lies outside the 1% to 99% range
    of the past by more than so many widths of it.
    """

    gap: Policy | None = None
    negative: Policy = Policy.REFUSE
    unit: Policy = Policy.REFUSE
    flat: Policy = Policy.ACCEPT
    spike: Policy | None = None
    duplicated_day: Policy = Policy.ACCEPT
    repeated_forecast: Policy = Policy.ACCEPT
    time_shift: Policy = Policy.ACCEPT
    short_gap_h: float = 3.0
    flat_h: float = 36.0
    spike_ranges: float = 1.5
    price_spike_ranges: float = 5.0

    def gap_policy(self, spec: SeriesSpec) -> Policy:
        """The gap policy that holds for ``spec``."""
        if self.gap is not None:
            return Policy(self.gap)
        return Policy.FALLBACK if spec.kind is SeriesKind.FORECAST else Policy.REFUSE

    def spike_policy(self, spec: SeriesSpec) -> Policy:
        """The spike policy that holds for ``spec``."""
        if self.spike is not None:
            return Policy(self.spike)
        return Policy.ACCEPT if spec.kind is SeriesKind.MARKET else Policy.REPAIR

    def spike_limit(self, spec: SeriesSpec) -> float:
        """How far outside the usual range a value of ``spec`` is a spike, in widths of that range."""
        return self.price_spike_ranges if spec.kind is SeriesKind.MARKET else self.spike_ranges


#: The settings of ``QualityPolicy`` that hold a policy.
RULES = ("gap", "negative", "unit", "flat", "spike", "duplicated_day", "repeated_forecast", "time_shift")

DEFAULT_POLICY = QualityPolicy()


@dataclass(frozen=True)
class Checked:
    """A frame that passed the rules, with its column ``origin``, and what the rules found."""

    frame: pd.DataFrame
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class RuleContext:
    """What every rule knows about the series it looks at, and how it words a finding.

    ``past``: earlier values by UTC delivery time, where there are any. ``capacity_mw``: of the site, where it is known.
    """

    spec: SeriesSpec
    zone: str
    step: pd.Timedelta
    time_zone: str
    policy: QualityPolicy
    past: pd.Series | None = None
    capacity_mw: float | None = None

    def finding(self, check: str, index: pd.DatetimeIndex, action: str, text: str) -> Finding:
        """A finding that spans ``index``."""
        return Finding(check, self.spec.name, self.zone, index.min(), index.max(), action, text)

    def span(self, index: pd.DatetimeIndex) -> str:
        """Count and dates of ``index`` in market time."""
        first, last = index.min().tz_convert(self.time_zone), index.max().tz_convert(self.time_zone)
        return f"{len(index)} values from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} market time"


def quality_policy(**settings: object) -> QualityPolicy:
    """A policy from config values. Raises ``SettingError`` for a policy word that does not exist."""
    typed: dict[str, object] = {}
    for name, value in settings.items():
        if name in RULES and value is not None:
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
