"""Champion against challenger: who forecast better on the days that both forecast before they were delivered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from forecasting.errors import SettingError
from forecasting.metrics import pinball_loss
from forecasting.models.base import QUANTILE_LEVELS


@dataclass(frozen=True)
class Margin:
    """What counts as better.

    ``gain``: share by which the mean loss must be lower. ``p_value``: largest one-sided p-value of the paired t-test, so
    that a single lucky day does not decide. ``days``: fewest days.
    """

    days: int = 7
    gain: float = 0.01
    p_value: float = 0.1

    def __post_init__(self) -> None:
        if self.days < 2:
            raise SettingError(f"a paired comparison needs at least 2 days, got {self.days}")
        if not 0.0 <= self.gain < 1.0 or not 0.0 < self.p_value <= 0.5:
            raise SettingError("a margin needs 0 <= gain < 1 and 0 < p_value <= 0.5")


@dataclass(frozen=True)
class Comparison:
    """Losses of two forecasters on the same days.

    ``gain``: share by which the first one's mean loss is lower (negative if it is higher). ``p_value``: of the one-sided
    paired t-test that the first is better; 0.5 if the losses do not differ.
    """

    days: int
    gain: float
    p_value: float

    def better(self, margin: Margin) -> bool:
        """Whether the first is better by ``margin``."""
        return (
            self.days >= margin.days and self.gain > 0 and self.gain >= margin.gain and self.p_value <= margin.p_value
        )

    def worse(self, margin: Margin) -> bool:
        """Whether the second is better by ``margin``."""
        if self.gain >= 0:
            return False
        return Comparison(self.days, -self.gain / (1.0 - self.gain), 1.0 - self.p_value).better(margin)


def compare(loss: ArrayLike, rival: ArrayLike) -> Comparison:
    """Compare two loss series ``[N]`` of the same days, one value per day.

    The paired t-test is the Diebold-Mariano test without autocorrelation, with Student's t for few days (Harvey, Leybourne
    and Newbold, Int. J. Forecasting 13 (1997) 281-291).

    >>> compare([1.0, 2.0, 1.5], [2.0, 3.0, 2.8]).gain.__round__(3)
    0.423
    """
    ours, theirs = np.asarray(loss, dtype=np.float64), np.asarray(rival, dtype=np.float64)
    days = len(ours)
    if days == 0:
        return Comparison(0, 0.0, 0.5)
    total = float(theirs.sum())
    gain = 1.0 - float(ours.sum()) / total if total > 0 else 0.0
    difference = theirs - ours
    spread = float(difference.std(ddof=1)) if days > 1 else 0.0
    mean = float(difference.mean())
    if spread <= 1e-12 * max(abs(mean), 1e-300):
        return Comparison(days, gain, 0.5 if mean == 0 or days < 2 else float(mean < 0))
    return Comparison(days, gain, float(student.sf(mean / (spread / np.sqrt(days)), days - 1)))


def day_loss(truth: ArrayLike, quantiles: ArrayLike) -> float:
    """Mean pinball loss of one delivery day over its known steps: ``truth`` ``[S]``, ``quantiles`` ``[S, Q]``.

    NaN if no step is known.
    """
    known = np.isfinite(np.asarray(truth, dtype=np.float64))
    if not known.any():
        return float("nan")
    return pinball_loss(np.asarray(truth)[known], np.asarray(quantiles)[known], QUANTILE_LEVELS)
