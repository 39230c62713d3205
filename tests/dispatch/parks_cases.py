"""Small cases of industrial parks that can be worked by hand: one agent, no storage, no renewables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dispatch.case_parks import IndustrialParksCase


def small_agent(
    day_ahead: Sequence[float], parks: Sequence[dict[str, Any]], cap: float, **values: Any
) -> IndustrialParksCase:
    """Hourly steps, prices per MWh, band 0.8 to 1.2, a day-ahead limit of 10 MW; ``values`` override."""
    agent = {"day_ahead_max_mw": 10.0, "parks": list(parks), **values.pop("agent", {})}
    data = {
        "horizon_hours": float(len(day_ahead)),
        "day_ahead_price_per_mwh": list(day_ahead),
        "average_price_cap_per_mwh": cap,
        "agent": agent,
        "forecast_error": {"load_share": 0.0, "pv_share": 0.0, "wind_share": 0.0},
        **values,
    }
    return IndustrialParksCase.from_mapping(data, name="small")


def two_hours(cap: float = 500.0, **values: Any) -> IndustrialParksCase:
    """Loads of 100 and 200 kW at 400 and 600 per MWh; 150 kW of own generation at 650 per MWh."""
    park = {
        "id": "park",
        "load_mw": [0.1, 0.2],
        "generator_max_mw": 0.15,
        "generator_cost_per_mwh": 650.0,
        "purchase_max_mw": 0.5,
        **values.pop("park", {}),
    }
    return small_agent([400.0, 600.0], [park], cap, **values)


def rigid_demand(loads_mw: Sequence[float], cap: float, **values: Any) -> IndustrialParksCase:
    """One park without generation; a band of 0.4 to 0.8 around 500 per MWh gives prices of 200 to 400."""
    return small_agent([500.0] * len(loads_mw), [{"id": "park", "load_mw": list(loads_mw)}], cap, **values)
