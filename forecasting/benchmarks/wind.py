"""Wind farms with weather forecasts: their power, and what was known of both when each delivery day was forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.errors import DataError, NoDataError
from forecasting.names import unknown
from forecasting.sources.files import FileSource

FloatArray = NDArray[np.float64]

HOURS = 24
#: Weather components that a set of farms may have, by height in metres.
_HEIGHTS_M = (10, 100)
_ALWAYS = (pd.Timestamp("1900-01-01", tz="UTC"), pd.Timestamp("2200-01-01", tz="UTC"))


@dataclass(frozen=True, eq=False)
class WindFarms:
    """``F`` farms over ``D`` consecutive days of 24 hours.

    ``power`` ``[F, D, 24]``: share of capacity, NaN where not published. ``u``, ``v`` ``[F, D, 24, heights]``: forecast wind
    in m/s. ``issued_at`` ``[D]``: when the weather forecast of the day was out, which is when the day is forecast.
    ``power_known_at`` ``[D, 24]``: when the power of every farm was metered. Times are UTC.
    """

    sites: tuple[str, ...]
    day: NDArray[np.datetime64]
    power: FloatArray
    u: FloatArray
    v: FloatArray
    heights_m: tuple[int, ...]
    issued_at: NDArray[np.datetime64]
    power_known_at: NDArray[np.datetime64]

    def __post_init__(self) -> None:
        shape = (len(self.sites), len(self.day), HOURS)
        wind = (*shape, len(self.heights_m))
        if self.power.shape != shape or self.u.shape != wind or self.v.shape != wind:
            raise DataError(f"wind farms: power {self.power.shape}, u {self.u.shape}, v {self.v.shape}; want {shape}")

    def positions(self, sites: Sequence[str]) -> NDArray[np.intp]:
        """Row of each site. Raises ``DataError`` naming the nearest one that exists."""
        for site in sites:
            if site not in self.sites:
                raise DataError(unknown("wind farm", site, self.sites))
        return np.array([self.sites.index(site) for site in sites], dtype=np.intp)

    def select(self, sites: Sequence[str]) -> WindFarms:
        """The farms called ``sites``, in that order."""
        rows = self.positions(sites)
        return replace(self, sites=tuple(sites), power=self.power[rows], u=self.u[rows], v=self.v[rows])

    def until(self, last: np.datetime64) -> WindFarms:
        """The days up to ``last``."""
        kept = self.day <= last
        names = ("power", "u", "v")
        cut = {name: getattr(self, name)[:, kept] for name in names}
        return replace(
            self, day=self.day[kept], issued_at=self.issued_at[kept], power_known_at=self.power_known_at[kept], **cut
        )

    def known_days(self, day: np.datetime64) -> NDArray[np.bool_]:
        """Days before ``day`` whose whole power was metered when ``day`` was forecast, ``[D]``."""
        decision = self.issued_at[int((day - self.day[0]).astype(np.int64))]
        return np.asarray((self.day < day) & (self.power_known_at <= decision).all(axis=1), dtype=np.bool_)


def load_wind_farms(source: FileSource, sites: Sequence[str] | None = None) -> WindFarms:
    """Farms of a file source that has ``wind_power`` and ``wind_u10_forecast``, ``wind_v10_forecast`` (100 m too if there).

    Power is divided by the capacity that the layout states; without one it is taken as it is. Hours that are not in the
    files are NaN. A day whose weather is missing as a whole is forecast at the usual hour.

    Raises ``NoDataError`` if a farm has no power or no weather.
    """
    chosen = tuple(source.zones()) if sites is None else tuple(str(site) for site in sites)
    for site in chosen:
        if site not in source.zones():
            raise DataError(unknown("wind farm", site, source.zones()))
    if not chosen:
        raise NoDataError(f"no wind farms in {source.root}")
    power = {site: source.read("wind_power", site, *_ALWAYS) for site in chosen}
    held = {name for table in source.layout.tables for name in table.columns_of(chosen[0])}
    heights = tuple(height for height in _HEIGHTS_M if f"wind_u{height}_forecast" in held)
    if not heights:
        raise NoDataError(f"layout {source.layout.name} has no weather forecast of farm {chosen[0]}")
    first = min(frame.index[0] for frame in power.values()).tz_localize(None).normalize()
    last = max(frame.index[-1] for frame in power.values()).tz_localize(None).normalize()
    day = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)
    hours = pd.date_range(first, periods=HOURS * len(day), freq="h", tz="UTC")
    shape = (len(day), HOURS)

    def grid(frame: pd.DataFrame, column: str) -> pd.Series:
        return frame[column].reindex(hours)

    values, known_at = [], []
    for site in chosen:
        capacity = source.layout.capacity(site) or 1.0
        values.append(grid(power[site], "value").to_numpy(dtype=np.float64).reshape(shape) / capacity)
        known_at.append(_instants(grid(power[site], "available_at")).reshape(shape))
    wind: dict[str, list[FloatArray]] = {"u": [], "v": []}
    out_at = []
    for site in chosen:
        for name, parts in wind.items():
            frames = [source.read(f"wind_{name}{height}_forecast", site, *_ALWAYS) for height in heights]
            parts.append(
                np.stack([grid(f, "value").to_numpy(dtype=np.float64).reshape(shape) for f in frames], axis=-1)
            )
            out_at += [_instants(grid(frame, "available_at")).reshape(shape) for frame in frames]
    return WindFarms(
        sites=chosen,
        day=day,
        power=np.stack(values),
        u=np.stack(wind["u"]),
        v=np.stack(wind["v"]),
        heights_m=heights,
        issued_at=_issued_at(day, np.stack(out_at)),
        power_known_at=_latest(np.stack(known_at)),
    )


def _instants(times: pd.Series) -> NDArray[np.datetime64]:
    return np.asarray(pd.DatetimeIndex(times).tz_convert("UTC").tz_localize(None).to_numpy(), dtype="datetime64[ns]")


def _latest(times: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Latest along the first axis; NaT (never published) counts for nothing unless all are."""
    ticks = times.astype("datetime64[ns]").view(np.int64)
    latest = np.where(np.isnat(times), np.iinfo(np.int64).min, ticks).max(axis=0)
    return np.asarray(latest.view("datetime64[ns]"))


def _issued_at(day: NDArray[np.datetime64], out_at: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """When the last value of each day was out, ``[series, D, 24] -> [D]``; the usual hour where a day has none."""
    latest = _latest(_latest(out_at).T)
    start = day.astype("datetime64[ns]")
    offset = (latest - start).astype("timedelta64[ns]").view(np.int64)
    known = ~np.isnat(latest)
    usual = np.int64(np.median(offset[known]))
    return np.where(known, latest, start + np.timedelta64(int(usual), "ns"))
