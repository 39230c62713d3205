"""The invented map of the simulated market: 20 zones in three landscapes and 50 local wind sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.sources.site import SiteInfo


@dataclass(frozen=True)
class Landscape:
    """What zones of one kind have in common; capacities are shares of the zone's peak load.

    ``wind_scale_m_s`` is the Weibull scale of the wind at hub height.
    """

    name: str
    zones: int
    sites_per_zone: tuple[int, ...]
    wind_scale_m_s: float
    onshore_share: float
    offshore_share: float
    solar_share: float


LANDSCAPES = (
    Landscape("COAST", 6, (4,) * 6, 9.6, 0.50, 0.14, 0.15),
    Landscape("PLAIN", 8, (2,) * 8, 8.2, 0.48, 0.0, 0.32),
    Landscape("VALLEY", 6, (2, 2, 2, 2, 1, 1), 6.8, 0.18, 0.0, 0.55),
)


@dataclass(frozen=True)
class ZoneInfo:
    """One simulated bidding zone; positions in km on a flat map, capacities in MW."""

    name: str
    landscape: str
    east_km: float
    north_km: float
    latitude_deg: float
    longitude_deg: float
    peak_load_mw: float
    wind_scale_m_s: float
    onshore_mw: float
    offshore_mw: float
    solar_mw: float
    dispatchable_mw: float


@dataclass(frozen=True)
class Geography:
    """Zones in a fixed order and the sites of each."""

    zones: tuple[ZoneInfo, ...]
    sites: tuple[SiteInfo, ...]


def build_geography(rng: np.random.Generator) -> Geography:
    """Draw the map. Coast lies in the north-west, plains in the middle, valleys in the south-east (map of 1100 km)."""
    rows = {
        "COAST": (650.0, 1000.0, 0.0, 700.0),
        "PLAIN": (350.0, 700.0, 200.0, 1000.0),
        "VALLEY": (0.0, 350.0, 400.0, 1100.0),
    }
    zones: list[ZoneInfo] = []
    sites: list[SiteInfo] = []
    for landscape in LANDSCAPES:
        south, north, west, east = rows[landscape.name]
        spread = np.linspace(west, east, landscape.zones)
        for k in range(landscape.zones):
            zone = _draw_zone(landscape, k, float(spread[k]), south, north, rng)
            zones.append(zone)
            sites += [_draw_site(zone, number, rng) for number in range(1, landscape.sites_per_zone[k] + 1)]
    return Geography(tuple(zones), tuple(sites))


def _draw_zone(
    landscape: Landscape, k: int, east_km: float, south: float, north: float, rng: np.random.Generator
) -> ZoneInfo:
    north_km = float(rng.uniform(south, north))
    peak = float(np.round(rng.uniform(2500.0, 9000.0), -1))
    varied = rng.uniform(0.9, 1.1, size=3)
    return ZoneInfo(
        name=f"{landscape.name}_{k + 1}",
        landscape=landscape.name,
        east_km=east_km + float(rng.uniform(-40, 40)),
        north_km=north_km,
        latitude_deg=47.0 + north_km / 111.0,
        longitude_deg=6.0 + east_km / 72.0,
        peak_load_mw=peak,
        wind_scale_m_s=landscape.wind_scale_m_s * float(rng.uniform(0.96, 1.04)),
        onshore_mw=landscape.onshore_share * peak * float(varied[0]),
        offshore_mw=landscape.offshore_share * peak * float(varied[1]),
        solar_mw=landscape.solar_share * peak * float(varied[2]),
        dispatchable_mw=peak * float(rng.uniform(0.93, 1.0)),
    )


def _draw_site(zone: ZoneInfo, number: int, rng: np.random.Generator) -> SiteInfo:
    return SiteInfo(
        name=f"{zone.name}_W{number}",
        zone=zone.name,
        capacity_mw=float(rng.choice([12.0, 18.0, 24.0, 36.0, 48.0])),
        east_km=zone.east_km + float(rng.uniform(-50, 50)),
        north_km=zone.north_km + float(rng.uniform(-50, 50)),
    )
