"""A wind site: its id, the zone it feeds, where it stands, and how much it can generate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SiteInfo:
    """One local wind site. ``east_km`` and ``north_km`` are map coordinates; zero where they are not known."""

    name: str
    zone: str
    capacity_mw: float
    east_km: float = 0.0
    north_km: float = 0.0
