"""The catalogue of series: what each means, its unit and sign, its ENTSO-E document, and when it becomes known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from forecasting.availability import AvailabilityRule, with_overrides
from forecasting.errors import UnknownNameError
from forecasting.names import unknown


class SeriesKind(StrEnum):
    """How a series comes to be."""

    MARKET = "market"
    FORECAST = "forecast"
    MEASURED = "measured"


@dataclass(frozen=True)
class SeriesSpec:
    """One series of the catalogue.

    Attributes
    ----------
    unit: unit of every value in the store.
    sign: what a positive value means.
    kind: cleared by a market, published forecast, or measured.
    availability: default publication rule; a source or the config may override it.
    non_negative: a value below zero is a fault of the data.
    typical: range in which the median of the absolute values of a month must lie; outside it the unit is suspected.
    derived_from: series whose sum this is, where a source does not hold it itself.
    entsoe_article, entsoe_document, entsoe_process, entsoe_psr: regulation 543/2013 article, and the ``documentType``,
        ``processType`` and ``psrType`` codes of the ENTSO-E web service; empty where there is none.
    """

    name: str
    description: str
    unit: str
    sign: str
    kind: SeriesKind
    availability: AvailabilityRule
    non_negative: bool = False
    typical: tuple[float, float] = (0.0, float("inf"))
    derived_from: tuple[str, ...] = ()
    entsoe_article: str = ""
    entsoe_document: str = ""
    entsoe_process: str = ""
    entsoe_psr: str = ""


_CONSUMPTION = "positive is consumption"
_GENERATION = "positive is generation"
_AFTER_AUCTION = AvailabilityRule.parse("D-1 12:57")
_LOAD_FORECAST_DUE = AvailabilityRule.parse("D-1 10:00")
_RENEWABLES_FORECAST_DUE = AvailabilityRule.parse("D-1 18:00")
_METERED = AvailabilityRule.parse("delivery end + 60 min")
_DAY_BEFORE = AvailabilityRule.parse("D-1 00:00")


def _renewables_forecast(name: str, description: str, psr: str = "", parts: tuple[str, ...] = ()) -> SeriesSpec:
    return SeriesSpec(
        name,
        description,
        "MW",
        _GENERATION,
        SeriesKind.FORECAST,
        _RENEWABLES_FORECAST_DUE,
        non_negative=True,
        typical=(0.0, 100_000.0),
        derived_from=parts,
        entsoe_article="14.1.D",
        entsoe_document="A69",
        entsoe_process="A01",
        entsoe_psr=psr,
    )


def _weather_forecast(name: str, description: str) -> SeriesSpec:
    return SeriesSpec(name, description, "m/s", "positive is eastward or northward", SeriesKind.FORECAST, _DAY_BEFORE)


def _exogenous(name: str, description: str) -> SeriesSpec:
    return SeriesSpec(name, description, "MW", "as published", SeriesKind.FORECAST, _LOAD_FORECAST_DUE)


def _fuel(name: str, description: str, unit: str) -> SeriesSpec:
    return SeriesSpec(name, description, unit, "price", SeriesKind.MARKET, _DAY_BEFORE, non_negative=True)


_SPECS = (
    SeriesSpec(
        "price",
        "day-ahead market price",
        "EUR/MWh",
        "price",
        SeriesKind.MARKET,
        _AFTER_AUCTION,
        typical=(1.0, 4000.0),
        entsoe_article="12.1.D",
        entsoe_document="A44",
    ),
    SeriesSpec(
        "load_forecast",
        "day-ahead forecast of total load",
        "MW",
        _CONSUMPTION,
        SeriesKind.FORECAST,
        _LOAD_FORECAST_DUE,
        non_negative=True,
        typical=(0.01, 200_000.0),
        entsoe_article="6.1.B",
        entsoe_document="A65",
        entsoe_process="A01",
    ),
    SeriesSpec(
        "load",
        "measured total load",
        "MW",
        _CONSUMPTION,
        SeriesKind.MEASURED,
        _METERED,
        non_negative=True,
        typical=(0.01, 200_000.0),
        entsoe_article="6.1.A",
        entsoe_document="A65",
        entsoe_process="A16",
    ),
    _renewables_forecast("wind_onshore_forecast", "day-ahead forecast of onshore wind generation", "B19"),
    _renewables_forecast("wind_offshore_forecast", "day-ahead forecast of offshore wind generation", "B18"),
    _renewables_forecast(
        "wind_forecast",
        "day-ahead forecast of wind generation, onshore and offshore",
        parts=("wind_onshore_forecast", "wind_offshore_forecast"),
    ),
    _renewables_forecast("solar_forecast", "day-ahead forecast of solar generation", "B16"),
    _renewables_forecast("renewables_forecast", "day-ahead forecast of wind and solar generation together"),
    SeriesSpec(
        "wind_power",
        "measured generation of one wind site",
        "MW",
        _GENERATION,
        SeriesKind.MEASURED,
        _METERED,
        entsoe_article="16.1.A",
        entsoe_document="A73",
        entsoe_process="A16",
        entsoe_psr="B19",
    ),
    _exogenous("exogenous_1", "first exogenous day-ahead forecast of a benchmark market"),
    _exogenous("exogenous_2", "second exogenous day-ahead forecast of a benchmark market"),
    _weather_forecast("wind_u10_forecast", "forecast of the eastward wind at 10 m"),
    _weather_forecast("wind_v10_forecast", "forecast of the northward wind at 10 m"),
    _weather_forecast("wind_u100_forecast", "forecast of the eastward wind at 100 m"),
    _weather_forecast("wind_v100_forecast", "forecast of the northward wind at 100 m"),
    _fuel("emission_allowance_price", "price of an EU emission allowance", "EUR/t"),
    _fuel("coal_price", "API2 coal price", "EUR/t"),
    _fuel("gas_price", "TTF gas price", "EUR/MWh"),
    _fuel("oil_price", "Brent oil price", "EUR/bbl"),
)

#: Every known series by name.
CATALOGUE: dict[str, SeriesSpec] = {spec.name: spec for spec in _SPECS}


def series_spec(name: str) -> SeriesSpec:
    """The catalogue entry of ``name``. Raises ``UnknownNameError`` naming the nearest series."""
    if name not in CATALOGUE:
        raise UnknownNameError(unknown("series", name, CATALOGUE))
    return CATALOGUE[name]


def availability_rules(overrides: Mapping[str, str] | None = None) -> dict[str, AvailabilityRule]:
    """The rule of every series, with ``overrides`` (series name to rule text, as in the config) applied.

    Raises ``UnknownNameError`` for a series that does not exist and ``SettingError`` for a rule that cannot be read.
    """
    for name in overrides or {}:
        series_spec(name)
    return with_overrides({name: spec.availability for name, spec in CATALOGUE.items()}, overrides)
