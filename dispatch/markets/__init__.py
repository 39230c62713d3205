"""Market models by name; each module states its variants and solves its own kind of case."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dispatch.case import Case

#: Market name to (module, class of its case). A module offers ``VARIANTS``, ``DEFAULT_VARIANT``, ``METHODS`` and ``solve``.
MARKETS: dict[str, tuple[str, str]] = {
    "adno": ("dispatch.markets.adno", "dispatch.case_adno:AdnoCase"),
    "energy_clearing": ("dispatch.markets.energy_clearing", "dispatch.case_clearing:EnergyClearingCase"),
    "industrial_parks": ("dispatch.markets.industrial_parks", "dispatch.case_parks:IndustrialParksCase"),
    "microgrids": ("dispatch.markets.microgrids", "dispatch.case_microgrids:MicrogridsCase"),
    "soft_open_point": ("dispatch.markets.soft_open_point", "dispatch.case_soft_open_point:SoftOpenPointCase"),
}


def market_module(market: str) -> Any:
    """The module of a market, loaded on demand."""
    return import_module(MARKETS[market][0])


def case_type(market: str) -> type[Case]:
    """The class that reads a market's cases."""
    module, name = MARKETS[market][1].split(":")
    found: type[Case] = getattr(import_module(module), name)
    return found
