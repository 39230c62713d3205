"""Market models by name; each module states its variants and solves its own kind of case.

A market of your own joins by :func:`register`, or from an installed package by an entry point of the group ``adno.markets``
(``my_market = "my_package.my_market:MyCase"``: the module of the market, and in it the class of its cases).
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dispatch.case import Case

#: Market name to (module, class of its case). A module offers ``VARIANTS``, ``DEFAULT_VARIANT``, ``METHODS`` and ``solve``.
_MARKETS: dict[str, tuple[str, str]] = {
    "adno": ("dispatch.markets.adno", "dispatch.case_adno:AdnoCase"),
    "energy_clearing": ("dispatch.markets.energy_clearing", "dispatch.case_clearing:EnergyClearingCase"),
    "industrial_parks": ("dispatch.markets.industrial_parks", "dispatch.case_parks:IndustrialParksCase"),
    "microgrids": ("dispatch.markets.microgrids", "dispatch.case_microgrids:MicrogridsCase"),
    "soft_open_point": ("dispatch.markets.soft_open_point", "dispatch.case_soft_open_point:SoftOpenPointCase"),
}


def register(market: str, module: str, case_class: str) -> None:
    """Add a market of your own for this process.

    Parameters
    ----------
    market: name that cases and ``market=NAME`` use.
    module: importable name of the module with ``VARIANTS``, ``DEFAULT_VARIANT``, ``METHODS`` and
        ``solve(case, variant, method, options) -> Schedule``.
    case_class: ``package.module:Class``, a class derived from ``dispatch.case.Case``.
    """
    _MARKETS[market] = (module, case_class)


def available() -> tuple[str, ...]:
    """Names of all markets: the built-in ones, registered ones, and those of installed packages."""
    return tuple(_all_markets())


def market_module(market: str) -> Any:
    """The module of a market, loaded on demand. Raises ``KeyError`` for a market that :func:`available` does not list."""
    return import_module(_all_markets()[market][0])


def case_type(market: str) -> type[Case]:
    """The class that reads a market's cases. Raises ``KeyError`` like :func:`market_module`."""
    module, name = _all_markets()[market][1].split(":")
    found: type[Case] = getattr(import_module(module), name)
    return found


def _all_markets() -> dict[str, tuple[str, str]]:
    installed = {point.name: (point.module, point.value) for point in entry_points(group="adno.markets")}
    return {**installed, **_MARKETS}
