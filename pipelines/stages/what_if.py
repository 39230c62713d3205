"""The case at another level of one of its factors: spot price, wind capacity, elasticity, subsidy, storage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dispatch.case_adno import AdnoCase
from pipelines.errors import ConfigError


def at_levels(case: AdnoCase, levels: Mapping[str, float]) -> AdnoCase:
    """The case with each factor multiplied by its level; 1 leaves it as it is.

    Raises ``ConfigError`` for an unknown factor or a level that is not positive (a subsidy may be zero).
    """
    data = case.model_dump(exclude={"index"}, exclude_unset=True)
    for name, value in levels.items():
        level = float(value)
        if name not in LEVELS:
            raise ConfigError(f"what_if.{name} is no factor; use one of {', '.join(LEVELS)}")
        if level < 0 or (level == 0 and name != "subsidy"):
            raise ConfigError(f"what_if.{name}={level:g} must be above zero")
        if level != 1.0:
            LEVELS[name](data, level)
    return AdnoCase.from_mapping({**data, "index": case.index}, name=case.name)


def _times(value: Any, level: float) -> Any:
    return [item * level for item in value] if isinstance(value, list | tuple) else value * level


def _spot(data: dict[str, Any], level: float) -> None:
    data["spot_price_per_mwh"] = _times(data["spot_price_per_mwh"], level)


def _wind(data: dict[str, Any], level: float) -> None:
    for farm in data.get("wind", ()):
        for key in ("capacity_mw", "available_mw"):
            if farm.get(key) is not None:
                farm[key] = _times(farm[key], level)


def _storage(data: dict[str, Any], level: float) -> None:
    for unit in data.get("storage", ()):
        for key in ("energy_min_mwh", "energy_max_mwh", "energy_start_mwh", "charge_max_mw", "discharge_max_mw"):
            if key in unit:
                unit[key] = _times(unit[key], level)


def _elasticity(data: dict[str, Any], level: float) -> None:
    shares = data.get("feeder_customers")
    if shares is not None:
        shares["elasticity_scale"] = level * shares.get("elasticity_scale", 1.0)
    for customer in data.get("customers", ()):
        customer["elasticity_mw_per_subsidy"] = level * customer.get("elasticity_mw_per_subsidy", 0.0)


def _subsidy(data: dict[str, Any], level: float) -> None:
    section = data["subsidy"] = dict(data.get("subsidy") or {})
    for key, usual in (("rate_max_per_mwh", 20.0), ("lump_sum_max_per_hour", 10.0)):
        section[key] = level * section.get(key, usual)


#: What can be varied, and how. A subsidy's level is that of its limits.
LEVELS: dict[str, Callable[[dict[str, Any], float], None]] = {
    "spot": _spot,
    "wind": _wind,
    "elasticity": _elasticity,
    "subsidy": _subsidy,
    "storage": _storage,
}
