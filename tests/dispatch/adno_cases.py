"""Small ADNO cases that can be worked by hand: no network, one hour."""

from __future__ import annotations

from typing import Any

from dispatch.case_adno import AdnoCase


def plain_customer(name: str, **values: Any) -> dict[str, Any]:
    """A customer of 1 MW rigid load."""
    return {"id": name, "rigid_mw": 1.0, **values}


def one_hour(customers: list[dict[str, Any]], **values: Any) -> AdnoCase:
    """One hour without a network: retail 150, spot 81 USD/MWh."""
    data = {
        "network": None,
        "horizon_hours": 1.0,
        "spot_price_per_mwh": [81.0],
        "retail_price_per_mwh": 150.0,
        "customers": customers,
        **values,
    }
    return AdnoCase.from_mapping(data, name="one hour")


def responsive_customer(
    name: str, utility: float, slope: float, upper_mw: float, price: float = 150.0
) -> dict[str, Any]:
    """A customer with marginal utility ``utility - slope d`` and no rigid load."""
    return {
        "id": name,
        "rigid_mw": 0.0,
        "flexible_max_mw": upper_mw,
        "flexible_free_mw": (utility - price) / slope,
        "elasticity_mw_per_subsidy": 1.0 / slope,
    }
