"""What cannot train a forecaster: rows whose target is not known."""

from __future__ import annotations

import numpy as np

from forecasting.errors import DataError
from forecasting.samples import DayAheadSamples

_SHOWN_DAYS = 10


def require_known_target(samples: DayAheadSamples, purpose: str = "training") -> None:
    """Raise ``DataError`` naming the zones and dates on which the target has a NaN, or if there are no rows."""
    if not len(samples):
        raise DataError(f"no samples of {samples.target} for {purpose}; check the first and last day")
    gaps = np.flatnonzero(~np.isfinite(samples.y).all(axis=1))
    if len(gaps):
        shown = ", ".join(f"{samples.zone[row]} {samples.day[row]}" for row in gaps[:_SHOWN_DAYS])
        more = f" and {len(gaps) - _SHOWN_DAYS} more" if len(gaps) > _SHOWN_DAYS else ""
        raise DataError(
            f"the target {samples.target} is not a number on {len(gaps)} {purpose} day(s): {shown}{more}; "
            "repair the series or leave these days out with samples.known()"
        )
