"""A data source of one's own: one zone whose series are sines, so that every value can be checked by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecasting import NoDataError, UnknownNameError
from forecasting.availability import AvailabilityRule
from forecasting.series import CATALOGUE
from forecasting.sources.frames import source_frame

#: Mean of each series that this source has: EUR/MWh for the price, MW for the others.
LEVEL = {"price": 60.0, "load": 800.0, "load_forecast": 810.0, "wind_onshore_forecast": 200.0}


class SineSource:
    """Prices in EUR/MWh, load and wind in MW, around a level with a daily swing of ``swing`` times that level."""

    name = "sine"
    simulated = True

    def __init__(self, swing: float = 0.3) -> None:
        self.swing = swing

    def zones(self) -> Sequence[str]:
        """The one zone."""
        return ["SINE"]

    def market_time_zone(self, zone: str) -> str:
        """Market days are UTC days here."""
        return "UTC"

    def availability(self, series: str) -> AvailabilityRule:
        """The rule of the catalogue: when the series is published as a rule."""
        return CATALOGUE[series].availability

    def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Hourly values delivered in ``[start, end)``; raises as ``forecasting.sources.base.Source`` says."""
        if zone != "SINE":
            raise UnknownNameError(f"unknown zone {zone!r}; this source has one: SINE")
        if series not in LEVEL:
            raise NoDataError(f"no data for {zone}, {series}, {start} to {end}: this source has {', '.join(LEVEL)}")
        index = pd.date_range(start, end, freq="h", inclusive="left")
        values = LEVEL[series] * (1 + self.swing * np.sin(2 * np.pi * index.hour.to_numpy() / 24))
        known = self.availability(series).available_at(index, self.market_time_zone(zone), step_minutes=60)
        return source_frame(index, values, known, series=series, zone=zone, source=self.name)
