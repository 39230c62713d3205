"""Units of data files, and the factor that brings them to the catalogue's."""

from __future__ import annotations

import re

from forecasting.errors import SettingError

_TO_MW = {"MW": 1.0, "MWh/h": 1.0, "kW": 1e-3, "GW": 1e3, "W": 1e-6}
_PRICE = re.compile(r"^([A-Z]{3}|ct)/(MWh|kWh)$")


def conversion_factor(unit: str | None, to: str, capacity_mw: float | None = None) -> float:
    """Factor from ``unit`` to the catalogue unit ``to``; ``None`` means "already in that unit".

    Prices in another currency are not converted (see ``stated_unit``); ``pu`` is a share of ``capacity_mw``. Raises
    ``SettingError`` for a unit that cannot be brought to ``to``.

    >>> conversion_factor("kW", "MW"), conversion_factor("ct/kWh", "EUR/MWh")
    (0.001, 10.0)
    """
    if unit is None or unit == to:
        return 1.0
    if to == "MW":
        if unit == "pu":
            if capacity_mw is None:
                raise SettingError("a column in pu needs capacity_mw for its zone in the layout")
            return capacity_mw
        if unit in _TO_MW:
            return _TO_MW[unit]
    price = _PRICE.match(unit)
    if to == "EUR/MWh" and price:
        return (0.01 if price[1] == "ct" else 1.0) * (1000.0 if price[2] == "kWh" else 1.0)
    accepted = (
        [*_TO_MW, "pu"] if to == "MW" else ["EUR/MWh", "USD/MWh", "EUR/kWh", "ct/kWh"] if to == "EUR/MWh" else [to]
    )
    raise SettingError(f"unit {unit!r} cannot be read as {to}; use one of {', '.join(accepted)}")


def stated_unit(unit: str | None, to: str) -> str:
    """Unit of the values after conversion: ``to``, but a foreign currency stays what it is."""
    price = _PRICE.match(unit) if unit else None
    return f"{price[1]}/MWh" if price and price[1] != "ct" and to == "EUR/MWh" else to
