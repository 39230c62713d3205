"""Past nights: what a forecaster would have said on each of them, and what then came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import forecasting
from dispatch.case_adno import AdnoCase
from dispatch.settlement.problem import FloatArray, Realisations
from forecasting.backtesting import backtest
from forecasting.models.base import Forecaster
from forecasting.recalibration import Recalibration
from forecasting.samples import DayAheadSamples
from forecasting.windows import build_samples
from pipelines.errors import ConfigError
from pipelines.stages import fetch, plan, predict
from pipelines.stages.night import Mode, Night
from pipelines.stages.predict import Target
from pipelines.stages.realisations import farm_power
from pipelines.stages.setting import Setting
from pipelines.stages.settle_days import Days


@dataclass(frozen=True, eq=False)
class Told:
    """Forecast and truth of one place on the test days ``[D]``, ``[D, S]`` each, in the unit of its series."""

    day: NDArray[np.datetime64]
    forecast: FloatArray
    truth: FloatArray

    def on(self, days: NDArray[np.datetime64]) -> Told:
        """The same on some of its days."""
        rows = np.isin(self.day, days)
        return Told(self.day[rows], self.forecast[rows], self.truth[rows])


def history_days(case: AdnoCase, setting: Setting, config: Mapping[str, Any], seed: int) -> Days:
    """Every past night in ``[realisations.first, realisations.last]`` whose outcome is known.

    Each night is forecast from what was known at its decision time, by a forecaster that is trained anew every
    ``realisations.refit_days`` days on what was known then. Market days are taken in 24 (or 96) steps: the missing hour
    of spring is filled, the doubled one of autumn averaged.
    """
    first, last = (pd.Timestamp(str(config["realisations"][key])) for key in ("first", "last"))
    night = _as_decided(setting, config)
    if pd.Timestamp(night.delivery_day) <= last:
        raise ConfigError(
            f"realisations.last={last.date()} is not over at as_of; take as_of after that day, for example "
            f"as_of={(last + pd.Timedelta(days=3)).date()}T12:00Z"
        )
    before = sum(int(config["history"][key]) for key in ("train_days", "valid_days", "lookback_days"))
    needed = (pd.Timestamp(night.delivery_day) - first).days + before
    fetched = fetch.fetch(
        setting.source,
        setting.store,
        night,
        history_days=needed,
        lookback_days=int(config["history"]["lookback_days"]),
        local=setting.area.series(),
        seen_at=setting.seen_at,
    )
    told: dict[str, Told] = {}
    peak = 1.0
    targets = setting.area.targets(night, fetched.simulated)
    if night.mode is Mode.EVENING:
        told["price"] = _published(setting, night, config, first, last)
    for target in targets:
        samples = _samples(setting, target, night, config, first, last)
        if target.name == "load":
            peak = float(np.nanmax(samples.select(samples.day < np.datetime64(first, "D")).y))
        for place, series in _told(target, samples, config, first, last, seed).items():
            told[setting.area.label(target, place)] = series
    return _days(case, setting, config, told, peak)


def _as_decided(setting: Setting, config: Mapping[str, Any]) -> Night:
    """The setting's night, with the mode whose decision time the past nights keep; ``auto`` means the morning."""
    mode = str(config["mode"])
    return replace(setting.night, mode=Mode.MORNING if mode == "auto" else Mode(mode))


def _samples(
    setting: Setting,
    target: Target,
    night: Night,
    config: Mapping[str, Any],
    first: pd.Timestamp,
    last: pd.Timestamp,
) -> DayAheadSamples:
    history = config["history"]
    start = first - timedelta(days=int(history["train_days"]) + int(history["valid_days"]))
    parts = [
        predict.scaled(
            build_samples(
                setting.store,
                predict.plan_of(target, place, night),
                first_day=np.datetime64(start.date()),
                last_day=np.datetime64(last.date()),
                time_zone=night.market_time_zone,
                decision=predict.decision_time(night, config["decision_time"]),
                history_days=int(history["lookback_days"]),
                step_minutes=night.step_minutes,
                as_of=night.as_of,
            ),
            1 / target.scale(place),
        )
        for place in target.places
    ]
    return DayAheadSamples.concat(parts)


def _published(
    setting: Setting, night: Night, config: Mapping[str, Any], first: pd.Timestamp, last: pd.Timestamp
) -> Told:
    """The price of nights that know it."""
    target = Target("price", (setting.area.zone,), {})
    known = _samples(setting, target, replace(night, mode=Mode.MORNING), config, first, last).known()
    rows = known.between(np.datetime64(first, "D"), np.datetime64(last, "D"))
    price = rows.y.astype(np.float64)
    return Told(rows.day, price, price)


def _told(
    target: Target,
    samples: DayAheadSamples,
    config: Mapping[str, Any],
    first: pd.Timestamp,
    last: pd.Timestamp,
    seed: int,
) -> dict[str, Told]:
    """What was told and what came, by place."""
    model = {key: value for key, value in config["model"].items() if key != "name"}
    name, root = str(config["model"]["name"]), config["parts"]["root"]

    def factory() -> Forecaster:
        return forecasting.create(name, **model)

    result = backtest(
        factory,
        samples,
        np.datetime64(first, "D"),
        np.datetime64(last, "D"),
        recalibration=Recalibration(
            every_days=int(config["realisations"]["refit_days"]),
            valid_days=int(config["history"]["valid_days"]),
        ),
        seed=seed,
        parts=None if root is None else Path(root) / "backtest" / f"{samples.zone[0]}-{target.name}-{name}",
    )
    told = {}
    for place in target.places:
        at = (result.rows.zone == place) & np.isfinite(result.rows.y).all(axis=1)
        scale = target.scale(place)
        truth = result.rows.y[at].astype(np.float64)
        told[place] = Told(result.rows.day[at], result.prediction.mean[at] * scale, truth * scale)
    return told


def _days(
    case: AdnoCase,
    setting: Setting,
    config: Mapping[str, Any],
    told: Mapping[str, Told],
    peak: float,
) -> Days:
    """Every day that all series share, on the case's scale."""
    days = reduce(np.intersect1d, [series.day for series in told.values()])
    if not len(days):
        raise ConfigError("realisations.first and last: no day between them is known in every series")
    told = {name: series.on(days) for name, series in told.items()}
    factor = float(config["money"]["case_currency_per_eur"]) * float(config["what_if"]["spot"])
    nominal = plan.nominal_load_mw(case)
    shape = told["load"].truth.shape
    sites = [(told[f"wind {site}"], setting.area.capacity_mw[site]) for site in setting.area.sites]
    sides = {}
    for side in ("forecast", "truth"):
        sides[side] = Realisations(
            price_per_mwh=getattr(told["price"], side) * factor,
            wind_mw=farm_power(case, [(getattr(series, side), mw) for series, mw in sites], (shape[0], shape[1])),
            load_mw=np.maximum(getattr(told["load"], side) / peak, 0.0) * nominal,
        )
    labels = pd.DataFrame({"realisation": np.arange(len(days)), "day": days.astype("datetime64[s]")})
    return Days(sides["forecast"], sides["truth"], sides["forecast"].load_mw, labels)
