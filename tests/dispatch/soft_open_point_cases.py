"""Small days of the soft open point case, and two buses that can be worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dispatch
from dispatch.case_soft_open_point import SoftOpenPointCase


def two_bus(prosumer: dict[str, Any], buy: list[float], **values: Any) -> SoftOpenPointCase:
    """One prosumer behind a line of almost no impedance, no other load, money alone in the objective."""
    data = {
        "horizon_hours": len(buy),
        "network": {
            "lines": [{"from_bus": 1, "to_bus": 2, "resistance_ohm": 0.01, "reactance_ohm": 0.01}],
            "voltage_min_pu": 0.95,
            "voltage_max_pu": 1.05,
        },
        "load_shape": [0.0] * len(buy),
        "hv_buy_per_mwh": buy,
        "hv_sell_per_mwh": 400.0,
        "weights": {"cost": 1.0},
        "prosumers": [{"id": "p", "bus": 2, **prosumer}],
        "flexibility": None,
        **values,
    }
    return SoftOpenPointCase.from_mapping(data, name="two buses")


def some_hours(hours: Sequence[int] = (4, 12, 18, 23), **sop: Any) -> SoftOpenPointCase:
    """Hours of the full case, by default night, noon, evening peak and late evening; ``sop`` changes its converters."""
    case = dispatch.load_case("soft_open_point")
    assert isinstance(case, SoftOpenPointCase)
    data = case.model_dump(exclude_unset=True)
    for key in ("load_shape", "hv_buy_per_mwh", "prosumer_load_shape", "pv_shape"):
        data[key] = [data[key][hour] for hour in hours]
    data["soft_open_point"] = {**data["soft_open_point"], **sop}
    return SoftOpenPointCase.from_mapping({**data, "horizon_hours": float(len(hours))}, name="some hours")


def nominal_hour() -> SoftOpenPointCase:
    """The IEEE 33-bus feeder at its nominal load for one hour: its prosumer takes what bus 18 does, and no more can be done."""
    data = {
        "horizon_hours": 1.0,
        "network": {"feeder": "ieee33", "root_voltage_pu": 1.0, "voltage_min_pu": 0.95, "voltage_max_pu": 1.05},
        "load_shape": [1.0],
        "hv_buy_per_mwh": [700.0],
        "hv_sell_per_mwh": 400.0,
        "prosumers": [{"id": "p", "bus": 18, "load_mw": [0.09]}],
        "flexibility": None,
        "soft_open_point": {"buses": [18, 33]},
    }
    return SoftOpenPointCase.from_mapping(data, name="nominal hour")
