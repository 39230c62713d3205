"""Numbers, instants and names as a reader wants to see them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

#: What the unit at the end of a quantity's name is called on the page; the longest ending wins.
UNIT_ENDINGS: dict[str, str] = {
    "_per_mwh": "{currency}/MWh",
    "_eur_mwh": "EUR/MWh",
    "_kwh": "kWh",
    "_mwh": "MWh",
    "_mvarh": "Mvarh",
    "_mvar": "Mvar",
    "_mva": "MVA",
    "_mw": "MW",
    "_kw": "kW",
    "_pu": "p.u.",
    "_hours": "h",
    "_seconds": "s",
    "_share": "share",
    "_percent": "%",
    "_c": "°C",
}


#: Market models as their pages call them.
MARKET_NAMES: dict[str, str] = {
    "adno": "Active distribution network",
    "energy_clearing": "Electricity and heat clearing",
    "soft_open_point": "Soft open point",
    "microgrids": "Operator and microgrids",
}

SCORE_NAMES: dict[str, str] = {
    "mae": "MAE",
    "rmae": "rMAE",
    "smape": "sMAPE",
    "rmse": "RMSE",
    "crps": "CRPS",
    "coverage_90": "90% coverage",
}


#: What sweeps vary and report, as a reader calls it.
SWEEP_NAMES: dict[str, str] = {
    "what_if.spot": "spot price level",
    "what_if.wind": "wind capacity level",
    "what_if.elasticity": "elasticity level",
    "what_if.subsidy": "level of the largest subsidy",
    "what_if.storage": "storage level",
    "case.subsidy.elasticity_anchor": "anchor of Eq. 18",
    "plan.stochastic.scenarios": "number of scenarios",
    "plan.stochastic.coupling": "price and wind in the scenarios",
    "plan.purchase": "planned purchase",
    "plan.flexible": "planned flexible demand",
    "plan.gas_unit": "planned hours of gas units",
    "plan.charge": "planned charging",
    "profit_mean": "mean profit",
    "profit_perfect_mean": "mean profit with perfect forecasts",
    "regret_mean": "mean regret",
    "efficiency_perfect": "efficiency with perfect forecasts",
    "efficiency_without_subsidy": "efficiency without subsidies in the cost",
    "efficiency_paper": "efficiency in the paper",
    "unit_price.efficiency": "efficiency by unit prices",
    "penalty.wind": "regret from wind errors",
    "stochastic.vss": "gain over the plan on the forecast",
    "stochastic.promised": "profit promised on the scenarios",
    "stochastic.worst_days_mean": "mean of the worst days",
    "stochastic.deterministic_worst_days_mean": "mean of the worst days, plan on the forecast",
    "case.soft_open_point.buses": "buses of the converters",
    "case.pv_scale": "PV, times that of the case",
    "figures.over_limit": "bus-hours over the limits",
    "figures.lowest": "lowest voltage",
    "figures.highest": "highest voltage",
    "figures.line_losses": "line losses",
    "figures.converter_losses": "converter losses",
}


#: What sweeps report in the currency of their case.
MONEY = frozenset(
    {
        "profit_mean",
        "profit_perfect_mean",
        "regret_mean",
        "penalty.wind",
        "gain",
        "objective",
        "stochastic.vss",
        "stochastic.promised",
        "stochastic.worst_days_mean",
        "stochastic.deterministic_worst_days_mean",
    }
)


def number(value: object, digits: int = 4) -> str:
    """A figure with thousands separators and about ``digits`` significant digits; ``n/a`` where there is none."""
    if value is None or value is pd.NaT:
        return "n/a"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "\N{MINUS SIGN}")
    if not isinstance(value, float):
        try:
            value = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return str(value)
    if math.isnan(value):
        return "n/a"
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-3 or size >= 1e9:
        text = f"{value:.1e}"
    else:
        decimals = max(0, min(max(3, digits - 1), digits - 1 - math.floor(math.log10(size))))
        text = f"{value:,.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}", 1) if value < 0 else text


def level(value: object) -> str:
    """A setting as one would type it: 0.1 and 1, not 0.100 and 1.000; text stays as it is."""
    return f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def amount(value: float, currency: str) -> tuple[str, str]:
    """An amount of money with two decimals, and its currency."""
    sign = "\N{MINUS SIGN}" if round(value, 2) < 0 else ""
    return f"{sign}{abs(value):,.2f}", currency


def money(value: float, currency: str) -> str:
    """An amount of money in one text."""
    return " ".join(amount(value, currency))


def instant(value: object, time_zone: str) -> str:
    """A moment in ``time_zone``; text that is no moment is returned as it is."""
    if value is None or value is pd.NaT or value == "":
        return "n/a"
    try:
        moment = pd.Timestamp(value)
    except (TypeError, ValueError):
        return str(value)
    if moment.tzinfo is None:
        return str(value)
    return f"{moment.tz_convert(time_zone):%d %b %Y %H:%M %Z}"


def quantity_unit(quantity: str, currency: str = "") -> str:
    """Unit of a quantity by the ending of its name (``power_mw`` is in MW), or the currency of an amount of money."""
    if quantity in MONEY:
        return currency
    for ending, name in UNIT_ENDINGS.items():
        if quantity.endswith(ending):
            return name.format(currency=currency or "money")
    return ""


def quantity_name(quantity: str) -> str:
    """The quantity in words, without its unit: ``curtailed_power_mw`` is curtailed power."""
    for ending in UNIT_ENDINGS:
        if quantity.endswith(ending):
            quantity = quantity[: -len(ending)]
            break
    return plain(quantity)


def plain(name: str) -> str:
    """An identifier in words; the usual scores are written as the field writes them, codes in capitals stay (``DK_1``)."""
    text = str(name)
    if text.isupper():
        return text
    for end, words in (("_low", " from"), ("_high", " to")):  # ends of an interval
        if text.endswith(end) and text.removesuffix(end) in SWEEP_NAMES:
            return SWEEP_NAMES[text.removesuffix(end)] + words
    return SCORE_NAMES.get(text) or SWEEP_NAMES.get(text) or text.replace("_", " ").strip()


def sentence(text: str) -> str:
    """The text with a capital first letter."""
    return text if text in SCORE_NAMES.values() else text[:1].upper() + text[1:]


def figures(values: Mapping[str, float]) -> str:
    """``name 1.2, other 3.4`` for a mapping of seconds or the like."""
    return ", ".join(f"{plain(name)} {number(value, 3)}" for name, value in values.items())
