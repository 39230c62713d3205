"""From a case of industrial parks to arrays over steps and parks, one set per agent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from dispatch.case_inputs import hours_of_day
from dispatch.case_parks import Agent, CountedBattery, IndustrialParksCase, Park

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PriceInputs:
    """Wholesale prices and limits of the offered price, ``[T]``, currency per MWh, common to all agents.

    neighbour: price of trade with the neighbour; average_cap: largest mean of the offered price.
    time_of_use: the tariff posted before, within the band and with the capped mean.
    """

    day_ahead: FloatArray
    real_time_buy: FloatArray
    real_time_sell: FloatArray
    neighbour: FloatArray
    floor: FloatArray
    ceiling: FloatArray
    average_cap: float
    time_of_use: FloatArray


@dataclass(frozen=True, eq=False)
class AgentInputs:
    """One agent with ``I`` parks over ``T`` steps; power in MW, prices in currency per MWh.

    neighbour_buy_max_mw, neighbour_sell_max_mw: ``[T]``.
    load_mw, wind_mw, pv_mw, reserve_mw: ``[I, T]``; generator_min_mw, generator_cost: ``[I]``.
    generator_top_mw: ``[I, T]``, capacity less the reserve of the chance constraint.
    purchase_max_mw: ``[I]``, infinite where there is none; sale_max_mw: ``[I, T]``, zero without buy-back.
    shift_max_mw: ``[I, T]``, zero in variants without moved load; discomfort: currency/(MW^2 h).
    """

    name: str
    step_hours: float
    prices: PriceInputs
    day_ahead_max_mw: float
    real_time_max_mw: float
    sale_within_discharge: bool
    buy_back_ratio: float
    neighbour_buy_max_mw: FloatArray
    neighbour_sell_max_mw: FloatArray
    storage: tuple[CountedBattery, ...]
    park_ids: tuple[str, ...]
    load_mw: FloatArray
    wind_mw: FloatArray
    pv_mw: FloatArray
    reserve_mw: FloatArray
    generator_min_mw: FloatArray
    generator_top_mw: FloatArray
    generator_cost: FloatArray
    purchase_max_mw: FloatArray
    sale_max_mw: FloatArray
    shift_max_mw: FloatArray
    discomfort: float

    @property
    def steps(self) -> int:
        """Number of steps ``T``."""
        return int(self.load_mw.shape[1])

    @property
    def renewable_mw(self) -> FloatArray:
        """Wind and photovoltaic power that could be used, ``[I, T]``."""
        return self.wind_mw + self.pv_mw


def at_ratio(price: FloatArray, ratio: float) -> FloatArray:
    """``ratio`` times a price; below zero the distance keeps its sign, so that a dearer price stays dearer."""
    marked: FloatArray = price + (ratio - 1.0) * np.abs(price)
    return marked


def parks_inputs(case: IndustrialParksCase, shiftable: bool = False) -> list[AgentInputs]:
    """The arrays of a checked case, one set per agent; moved load is zero unless ``shiftable``."""
    prices = price_inputs(case)
    return [_agent(case, name, agent, prices, shiftable) for name, agent in case.agents.items()]


def price_inputs(case: IndustrialParksCase) -> PriceInputs:
    """Prices of a case; see :class:`PriceInputs`."""
    day_ahead = np.asarray(case.day_ahead_price_per_mwh, dtype=float)
    sell_ratio = case.real_time.buy_ratio if case.rt_sale == "paper" else case.real_time.sell_ratio
    cap = case.average_price_cap_per_mwh
    average_cap = float(day_ahead.mean()) if isinstance(cap, str) else float(cap)
    floor, ceiling = (
        at_ratio(day_ahead, case.price_band.floor_ratio),
        at_ratio(day_ahead, case.price_band.ceiling_ratio),
    )
    return PriceInputs(
        day_ahead=day_ahead,
        real_time_buy=at_ratio(day_ahead, case.real_time.buy_ratio),
        real_time_sell=at_ratio(day_ahead, sell_ratio),
        neighbour=at_ratio(day_ahead, case.neighbour_trade.price_ratio),
        floor=floor,
        ceiling=ceiling,
        average_cap=average_cap,
        time_of_use=scaled_into_band(_time_of_use(case), floor, ceiling, average_cap),
    )


def scaled_into_band(tariff: FloatArray, floor: FloatArray, ceiling: FloatArray, mean: float) -> FloatArray:
    """A tariff ``[T]`` times one factor and clipped to the band, with the given mean if the band allows it."""

    def scaled(factor: float) -> FloatArray:
        clipped: FloatArray = np.clip(factor * tariff, floor, ceiling)
        return clipped

    largest = 2.0 * float(np.max(np.abs(ceiling))) / max(float(tariff.min()), 1e-9)
    if float(scaled(largest).mean()) <= mean:
        return scaled(largest)
    if float(scaled(0.0).mean()) >= mean:
        return scaled(0.0)
    factor = float(brentq(lambda f: float(scaled(f).mean()) - mean, 0.0, largest, xtol=1e-15, rtol=1e-14))
    found = scaled(factor)
    excess = max(0.0, float(found.mean()) - mean)
    return np.maximum(found - excess, floor)


def park_reserve_mw(load_sd: FloatArray, wind_sd: FloatArray, pv_sd: FloatArray, confidence: float) -> FloatArray:
    """Generation kept free so that it covers the forecast error with probability ``confidence``, MW::

        Pr{ G_max - g >= error of (L - W - V) } >= alpha   <=>   g <= G_max - F^-1(alpha) sqrt(sd_L^2 + sd_W^2 + sd_V^2)

    for independent normal errors with mean zero; per step, so that all of 24 steps hold together with probability of at
    least ``1 - 24 (1 - alpha)``. Source: Chen et al. 2024, chance constraint of the park's reserve.
    """
    reserve: FloatArray = norm.ppf(confidence) * np.sqrt(load_sd**2 + wind_sd**2 + pv_sd**2)
    return reserve


def _time_of_use(case: IndustrialParksCase) -> FloatArray:
    tariff = case.time_of_use
    by_hour = np.full(24, tariff.flat_price_per_mwh)
    by_hour[list(tariff.valley_hours)] = tariff.valley_price_per_mwh
    by_hour[list(tariff.peak_hours)] = tariff.peak_price_per_mwh
    return np.asarray(by_hour[hours_of_day(case)])


def _agent(case: IndustrialParksCase, name: str, agent: Agent, prices: PriceInputs, shiftable: bool) -> AgentInputs:
    hours, parks = hours_of_day(case), agent.parks
    wind = np.array(
        [_series(p.wind_available_mw, p.wind_capacity_mw * np.array(case.wind_shape), hours) for p in parks]
    )
    pv = np.array([_series(p.pv_available_mw, p.pv_capacity_mw * np.array(case.pv_shape), hours) for p in parks])
    load = np.array([_series(p.load_mw, np.array(p.load_by_hour_mw or (0.0,) * 24), hours) for p in parks])
    reserve = np.array([_reserve(case, p, load[i], wind[i], pv[i]) for i, p in enumerate(parks)])
    top = np.array([[p.generator_max_mw] for p in parks]) - reserve
    has_generator = np.array([[p.generator_max_mw > 0] for p in parks])
    top = np.where(has_generator, top, 0.0)
    sale = np.array([np.inf if p.sale_max_mw is None else p.sale_max_mw for p in parks])
    trade = case.neighbour_trade
    open_tie = case.neighbour == "series"
    return AgentInputs(
        name=name,
        step_hours=case.step_hours,
        prices=prices,
        day_ahead_max_mw=agent.day_ahead_max_mw,
        real_time_max_mw=agent.real_time_max_mw,
        sale_within_discharge=case.rt_sale == "paper" and case.rt_sale_within_discharge,
        buy_back_ratio=case.buy_back_ratio or 0.0,
        neighbour_buy_max_mw=open_tie * np.minimum(trade.power_max_mw, np.array(trade.surplus_by_hour_mw)[hours]),
        neighbour_sell_max_mw=open_tie * np.minimum(trade.power_max_mw, np.array(trade.deficit_by_hour_mw)[hours]),
        storage=agent.storage,
        park_ids=tuple(park.id for park in parks),
        load_mw=load,
        wind_mw=wind,
        pv_mw=pv,
        reserve_mw=np.where(has_generator, reserve, 0.0),
        generator_min_mw=np.array([park.generator_min_mw for park in parks]),
        generator_top_mw=top,
        generator_cost=np.array([park.generator_cost_per_mwh for park in parks]),
        purchase_max_mw=np.array([np.inf if p.purchase_max_mw is None else p.purchase_max_mw for p in parks]),
        sale_max_mw=(case.buy_back_ratio is not None) * np.minimum(sale[:, None], top + wind + pv),
        shift_max_mw=case.flexibility.share * load if shiftable else np.zeros_like(load),
        discomfort=case.flexibility.discomfort_per_mw2h,
    )


def _reserve(case: IndustrialParksCase, park: Park, load: FloatArray, wind: FloatArray, pv: FloatArray) -> FloatArray:
    share = case.forecast_error
    return park_reserve_mw(
        share.load_share * load if park.load_sd_mw is None else np.asarray(park.load_sd_mw),
        share.wind_share * wind if park.wind_sd_mw is None else np.asarray(park.wind_sd_mw),
        share.pv_share * pv if park.pv_sd_mw is None else np.asarray(park.pv_sd_mw),
        case.confidence,
    )


def _series(by_step: tuple[float, ...] | None, by_hour: FloatArray, hours: NDArray[np.int64]) -> FloatArray:
    return np.asarray(by_hour[hours] if by_step is None else by_step, dtype=float)
