"""Past nights: what a forecaster would have said on each of them, and what then came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import forecasting
from dispatch.case_adno import AdnoCase
from dispatch.settlement.problem import FloatArray
from forecasting.backtesting import backtest
from forecasting.models.base import Forecaster
from forecasting.recalibration import Recalibration
from forecasting.samples import DayAheadSamples
from forecasting.windows import build_samples
from pipelines.errors import ConfigError
from pipelines.stages import fetch, plan, predict
from pipelines.stages.case_scale import CaseScale
from pipelines.stages.night import Mode, Night
from pipelines.stages.past_scenarios import TRUTH_DELAY_DAYS, Told, nights_to_draw
from pipelines.stages.predict import Target
from pipelines.stages.setting import Setting
from pipelines.stages.settle_days import Days


def history_days(case: AdnoCase, setting: Setting, config: Mapping[str, Any], seed: int, draws: int = 0) -> Days:
    """Every past night in ``[realisations.first, realisations.last]`` whose outcome is known.

    Each night is forecast from what was known at its decision time, by a forecaster that is trained anew every
    ``realisations.refit_days`` days on what was known then. What customers could do does not depend on who forecasts: their
    flexible demand is sized by the mean day of the load before the first night. Market days are taken in 24 (or 96) steps:
    the missing hour of spring is filled, the doubled one of autumn averaged. With ``draws``, every night also has that many
    joint scenarios to plan on; the forecasts then begin ``history.valid_days`` nights earlier, to have errors that the first
    night knows.
    """
    begin, last = (pd.Timestamp(str(config["realisations"][key])) for key in ("first", "last"))
    first = begin - pd.Timedelta(days=int(config["history"]["valid_days"]) + TRUTH_DELAY_DAYS) if draws else begin
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
        capacity_mw=setting.area.capacity_mw,
    )
    told: dict[str, Told] = {}
    peak, usual_load = 1.0, np.ones((1, 1))
    targets = setting.area.targets(night, fetched.simulated)
    wind = Target("wind", setting.area.sites, setting.area.capacity_mw)
    if night.mode is Mode.EVENING:
        told["price"] = _published(setting, night, config, first, last)
    for target in targets:
        samples = _samples(setting, target, night, config, first, last)
        if target.name == "load":
            earlier = samples.select(samples.day < np.datetime64(first, "D")).y.astype(np.float64)
            peak, usual_load = float(np.nanmax(earlier)), np.nanmean(earlier, axis=0, keepdims=True)
        for place, series in _told(target, samples, config, first, last, seed).items():
            told[setting.area.label(target, place)] = series
    scale = CaseScale(
        case,
        price=float(config["money"]["case_currency_per_eur"]) * float(config["what_if"]["spot"]),
        load=plan.nominal_load_mw(case) / peak,
        sites={setting.area.label(wind, site): setting.area.capacity_mw[site] for site in setting.area.sites},
    )
    usual_mw = np.maximum(usual_load * scale.load, 0.0)
    days = _days(scale, told, usual_mw, np.datetime64(begin, "D"), draws, int(config["history"]["valid_days"]), seed)
    return replace(days, simulated=tuple(sorted(fetched.simulated)))


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
        truth, bounds = result.rows.y[at].astype(np.float64), target.bounds
        told[place] = Told(
            result.rows.day[at],
            result.prediction.mean[at] * scale,
            truth * scale,
            result.prediction.quantiles[at] * scale,
            result.prediction.levels,
            (bounds[0] * scale, bounds[1] * scale),
        )
    return told


def _days(
    scale: CaseScale,
    told: Mapping[str, Told],
    reference_load_mw: FloatArray,
    begin: np.datetime64,
    draws: int,
    rank_days: int,
    seed: int,
) -> Days:
    """Every day from ``begin`` on that all series share, on the case's scale."""
    days = reduce(np.intersect1d, [series.day for series in told.values()])
    chosen = days[days >= begin]
    if not len(chosen):
        raise ConfigError("realisations.first and last: no day between them is known in every series")
    shared = {name: series.on(days) for name, series in told.items()}
    nights = nights_to_draw(scale, shared, chosen, rank_days, seed) if draws else ()
    told = {name: series.on(chosen) for name, series in told.items()}
    forecast = scale.realisations({name: series.forecast for name, series in told.items()})
    truth = scale.realisations({name: series.truth for name, series in told.items()})
    labels = pd.DataFrame({"realisation": np.arange(len(chosen)), "day": chosen.astype("datetime64[s]")})
    return Days(forecast, truth, reference_load_mw, labels, nights=nights)
