"""The tidy frame that every source returns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.series import series_spec


def source_frame(
    index: pd.DatetimeIndex,
    values: NDArray[np.float64],
    available_at: pd.DatetimeIndex,
    *,
    series: str,
    zone: str,
    source: str,
    unit: str | None = None,
    notes: Sequence[str] = (),
) -> pd.DataFrame:
    """Frame of the ``Source`` protocol: index ``delivery_utc``, columns ``value`` and ``available_at``, and its attrs."""
    frame = pd.DataFrame(
        {"value": np.asarray(values, dtype=np.float64), "available_at": available_at.as_unit("ns")},
        index=index.as_unit("ns").rename("delivery_utc"),
    )
    frame.attrs.update(
        unit=unit or series_spec(series).unit, series=series, zone=zone, source=source, notes=list(notes)
    )
    return frame
