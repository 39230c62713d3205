"""Series from the ENTSO-E Transparency Platform: prices, load, wind and solar forecasts, generation of a plant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import pandas as pd
from entsoe.mappings import Area

from forecasting.availability import AvailabilityRule
from forecasting.errors import DataError, NoDataError, SettingError, SourceUnavailableError, UnknownNameError
from forecasting.names import unknown
from forecasting.series import availability_rules, series_spec
from forecasting.sources.entsoe_curves import (
    day_ahead_auction,
    drop_placeholder_zeros,
    finest,
    net_generation,
    prices_in_market_resolution,
    tabulate,
)
from forecasting.sources.entsoe_http import PoliteSession, RetryPolicy
from forecasting.sources.entsoe_parse import MarketTimeSeries
from forecasting.sources.entsoe_requests import QUERIES, Collected, EntsoeRequests
from forecasting.sources.plants import Plant, plants_from_settings
from forecasting.sources.rate_limit import RateLimiter
from forecasting.sources.redaction import KeyFromEnvironment
from forecasting.sources.site import SiteInfo

#: The service bans an account for ten minutes beyond this.
MOST_REQUESTS_PER_MINUTE = 400

#: Zones of the coupled day-ahead market whose clocks are not on Central European time: their market day still is.
_MARKET_DAY_IN_CENTRAL_EUROPEAN_TIME = ("BG", "EE", "FI", "GR", "IE_SEM", "LT", "LV", "PT", "RO")


class EntsoeSource:
    """The ENTSO-E Transparency Platform as a source of the series in ``entsoe_requests.QUERIES``.

    Parameters
    ----------
    key_variable: environment variable that holds the security token; read at each request and kept nowhere.
    endpoint: address of the service; ``None`` means ``ENTSOE_ENDPOINT_URL`` or the official one.
    plants: wind sites by the name under which ``wind_power`` is asked: ``{name: {area: DK_1, eic: 45W..., capacity_mw:
        400}}``, with ``unit: NAME AS PUBLISHED`` in place of ``eic`` where the code is not known.
    requests_per_minute: pace; at most 400, which is the service's limit.
    connect_timeout_s, read_timeout_s, deadline_s: seconds; the deadline covers one request with its retries.
    availability: rules of publication by series that replace the catalogue's, as ``{"price": "D-1 12:57"}``.

    Raises ``SettingError`` for settings that cannot be used. A missing key is reported at the first request.
    """

    name = "entsoe"
    simulated = False

    def __init__(
        self,
        *,
        key_variable: str = "ENTSOE_API_KEY",
        endpoint: str | None = None,
        plants: Mapping[str, Mapping[str, Any]] | None = None,
        requests_per_minute: int = 360,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 60.0,
        deadline_s: float = 300.0,
        availability: Mapping[str, str] | None = None,
    ) -> None:
        if not 1 <= requests_per_minute <= MOST_REQUESTS_PER_MINUTE:
            raise SettingError(
                f"source.requests_per_minute is {requests_per_minute}; use 1 to {MOST_REQUESTS_PER_MINUTE}, the limit "
                "of the service"
            )
        self._key = KeyFromEnvironment(key_variable)
        self._plants = plants_from_settings(plants or {})
        self._rules = availability_rules(availability)
        self._fetched_at: pd.Timestamp | None = None
        policy = RetryPolicy(connect_timeout_s, read_timeout_s, deadline_s)
        limiter = RateLimiter(requests_per_minute)
        self.requests = EntsoeRequests(PoliteSession(self._key, policy=policy, limiter=limiter, endpoint=endpoint))

    def __repr__(self) -> str:
        return f"EntsoeSource(key_variable={self._key.variable!r}, plants={sorted(self._plants)})"

    def zones(self) -> Sequence[str]:
        """Names of the areas as in ``entsoe-py``, then the plants of the settings."""
        return [area.name for area in Area] + list(self._plants)

    def series(self) -> Sequence[str]:
        """Names of the series that this source can ask for."""
        return list(QUERIES)

    def market_time_zone(self, zone: str) -> str:
        """Time zone of the market day: Central European time in the whole coupled market, local time elsewhere."""
        area, _ = self._locate(zone)
        if area.name in _MARKET_DAY_IN_CENTRAL_EUROPEAN_TIME:
            return "Europe/Brussels"
        return str(area.tz)

    def availability(self, series: str) -> AvailabilityRule:
        """When values of ``series`` become known."""
        return self._rules[series_spec(series).name]

    def sites(self, zone: str | None = None) -> Sequence[str]:
        """Names of the plants in ``zone``, or of all."""
        return [name for name, plant in self._plants.items() if zone in (None, plant.area)]

    def site_info(self, site: str) -> SiteInfo:
        """Area and capacity of a plant. Raises ``UnknownNameError``."""
        if site not in self._plants:
            raise UnknownNameError(unknown("plant", site, self._plants))
        return SiteInfo(site, self._plants[site].area, self._plants[site].capacity_mw)

    def fetching_at(self, fetched_at: pd.Timestamp) -> EntsoeSource:
        """The same source, whose every ``read`` is dated ``fetched_at``: for a run of now, not for a replay."""
        dated = copy(self)
        dated._fetched_at = fetched_at
        return dated

    def read(
        self,
        series: str,
        zone: str,
        start: pd.Timestamp,
        end: pd.Timestamp,
        *,
        fetched_at: pd.Timestamp | None = None,
    ) -> pd.DataFrame:
        """Values of ``series`` delivered in ``[start, end)``, as the protocol ``Source`` says.

        ``available_at`` follows the publication rule of the series. With ``fetched_at`` (the instant of this call),
        what is delivered after it is recorded as known at ``fetched_at``, and nothing is recorded as known later; zeros
        in place of prices that are not out yet become missing.

        Rows are missing where nothing is published, and NaN where a document announces a step without a value.

        Raises ``NoDataError`` ("no data for ZONE, SERIES, INTERVAL"), ``DataError`` for answers that contradict each
        other, ``SourceUnavailableError``, ``UnknownNameError``, ``SettingError``.
        """
        area, plant = self._locate(zone)
        if series not in QUERIES:
            raise UnknownNameError(unknown("series of the ENTSO-E source", series, QUERIES))
        if (series == "wind_power") != (plant is not None):
            raise UnknownNameError(
                f"{series} is asked for {'a plant' if plant is None else 'an area'}, and {zone} is "
                f"{'an area; name the plant in source.plants' if plant is None else 'a plant'}"
            )
        start, end = _interval(start, end)
        what = f"{zone}, {series}, {start:%Y-%m-%dT%H:%MZ} to {end:%Y-%m-%dT%H:%MZ}"
        try:
            collected = self.requests.collect(series, area, start, end, plant.eic if plant else None)
            notes: list[str] = []
            rows = self._rows(series, area, plant, collected, what, notes)
        except SourceUnavailableError as error:
            raise SourceUnavailableError(f"{what}: {error}") from None
        rows = rows[(rows.index >= start) & (rows.index < end)]
        frame = self._with_availability(rows, series, zone, fetched_at or self._fetched_at, notes)
        if frame["value"].notna().sum() == 0:
            reasons = "; ".join(dict.fromkeys(reason for *_, reason in collected.without_data)) or "nothing published"
            raise NoDataError(f"no data for {what} ({reasons})")
        notes += [f"no data from {a:%Y-%m-%d} to {b:%Y-%m-%d}: {why}" for a, b, why in collected.without_data]
        frame.attrs = {
            "unit": series_spec(series).unit,
            "series": series,
            "zone": zone,
            "source": self.name,
            "notes": notes,
        }
        return frame

    def _locate(self, zone: str) -> tuple[Area, Plant | None]:
        plant = self._plants.get(zone)
        area = plant.area if plant else zone
        if area not in Area.__members__:
            raise UnknownNameError(unknown("zone", zone, self.zones()))
        return Area[area], plant

    def _rows(
        self, series: str, area: Area, plant: Plant | None, collected: Collected, what: str, notes: list[str]
    ) -> pd.DataFrame:
        """One row per step (index ``delivery_utc``; columns ``step``, ``value``), not yet cut to the interval."""
        found: Sequence[MarketTimeSeries] = collected.series
        if series == "price":
            found = day_ahead_auction(found)
            _check_prices(found, area, what)
            return finest(prices_in_market_resolution(tabulate(found, what), notes))
        if plant is not None:
            found = [one for one in found if plant.matches(one) and not one.consumption]
            return finest(tabulate(found, what))
        psr = series_spec(series).entsoe_psr
        found = [one for one in found if not psr or one.psr_type == psr]
        if not psr:
            return finest(tabulate(found, what))
        generation = finest(tabulate([one for one in found if not one.consumption], what))
        consumption = finest(tabulate([one for one in found if one.consumption], what))
        return net_generation(generation, consumption, notes)

    def _with_availability(
        self, rows: pd.DataFrame, series: str, zone: str, fetched_at: pd.Timestamp | None, notes: list[str]
    ) -> pd.DataFrame:
        index = pd.DatetimeIndex(rows.index).as_unit("ns").rename("delivery_utc")
        values = pd.Series(rows["value"].to_numpy(dtype=float), index=index)
        time_zone = self.market_time_zone(zone)
        minutes = (rows["step"] / pd.Timedelta(minutes=1)).to_numpy()
        known = pd.Series(pd.DatetimeIndex([pd.NaT] * len(index), tz="UTC"), index=index)
        for step in np.unique(minutes):
            at_step = minutes == step
            known[at_step] = self._rules[series].available_at(index[at_step], time_zone, int(step))
        if fetched_at is not None:
            if fetched_at.tzinfo is None:
                raise SettingError(f"fetched_at {fetched_at} has no time zone; write it as 2024-06-27T11:30+02:00")
            fetched = fetched_at.tz_convert("UTC")
            if series == "price":
                values = drop_placeholder_zeros(values, pd.DatetimeIndex(known), fetched, time_zone, notes)
            known = known.where((known <= fetched) & (index < fetched), fetched)
        return pd.DataFrame({"value": values, "available_at": known}, index=index)


def _interval(start: pd.Timestamp, end: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
    if start.tzinfo is None or end.tzinfo is None:
        raise SettingError(f"the interval {start} to {end} has no time zone; write 2024-06-01T00:00+02:00")
    if not start < end:
        raise SettingError(f"the interval {start} to {end} is empty; the end must lie after the start")
    return start.tz_convert("UTC").as_unit("ns"), end.tz_convert("UTC").as_unit("ns")


def _check_prices(found: Sequence[MarketTimeSeries], area: Area, what: str) -> None:
    for one in found:
        if one.currency not in ("", "EUR"):
            raise DataError(f"{what}: prices are in {one.currency}, not EUR; this zone cannot be used as it is")
        if one.domain not in ("", area.code):
            raise DataError(f"{what}: the answer is about {one.domain}, asked for {area.code}")
