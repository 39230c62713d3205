"""Days to settle that are the joint scenarios of a night's forecasters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dispatch.case_adno import AdnoCase
from dispatch.settlement.from_schedule import case_forecast
from dispatch.settlement.problem import Realisations
from pipelines.errors import ConfigError
from pipelines.stages import plan, predict
from pipelines.stages.case_scale import farm_power
from pipelines.stages.ledger_settlement import on_steps
from pipelines.stages.scenarios import Made, with_joint_paths
from pipelines.stages.setting import Setting, training_of
from pipelines.stages.settle_days import Days


def scenario_days(
    case: AdnoCase, setting: Setting, config: Mapping[str, Any], seed: int, draws: int = 0
) -> tuple[AdnoCase, Days]:
    """The case on the night's forecast, and its joint scenarios as truths: path ``k`` of price, wind and load together.

    ``draws`` more paths are kept to plan on.
    """
    night, store, area = setting.night, setting.store, setting.area
    fetched = setting.fetch()
    count = int(config["realisations"]["count"])
    training = training_of(config, seed, progress=False)
    decision = predict.decision_time(night, config["decision_time"])
    artefacts = config["artefacts"]
    made: dict[str, Made] = {}
    for target in area.targets(night, fetched.simulated):
        trained = predict.obtain(
            store,
            area.source.name,
            target,
            night,
            decision,
            training,
            Path(artefacts["root"]),
            artefacts["max_age_days"],
        )
        for forecast in predict.forecast_places(store, target, night, trained, training, fetched.records):
            made[area.label(target, forecast.zone)] = Made(forecast, trained, target)
    forecasts = with_joint_paths(made, night, count + draws, seed)
    if any(not len(forecast.scenarios) for forecast in forecasts.values()):
        raise ConfigError(
            "realisations.kind=scenarios: too few recent days to draw paths from; raise history.valid_days"
        )
    step = night.index[1] - night.index[0]
    known = store.read("price", night.zone, night.index[0], night.index[-1] + step, as_of=night.as_of)["value"]
    price = forecasts["price"].mean if "price" in forecasts else on_steps(known, night.index, step)
    factor, peak = float(config["money"]["case_currency_per_eur"]), area.peak_load(store, night)
    sites = [(forecasts[f"wind {site}"], area.capacity_mw[site]) for site in area.sites]
    wind = [(forecast.mean, capacity) for forecast, capacity in sites]
    tied = plan.tie_to_day(case, night, price, wind, forecasts["load"].mean / peak, factor)
    assert isinstance(tied, AdnoCase)
    paths = forecasts["price"].scenarios if "price" in forecasts else np.tile(price, (count + draws, 1))
    every = Realisations(
        price_per_mwh=paths * factor,
        wind_mw=farm_power(
            tied, [(forecast.scenarios, capacity) for forecast, capacity in sites], (count + draws, tied.steps)
        ),
        load_mw=np.maximum(forecasts["load"].scenarios / peak, 0.0) * plan.nominal_load_mw(tied),
    )
    day = case_forecast(tied)
    labels = pd.DataFrame({"realisation": np.arange(count)})
    more = every.take(slice(count, count + draws)) if draws else None
    truth = every.take(slice(0, count))
    return tied, Days(day, truth, day.load_mw, labels, draws=more, simulated=tuple(sorted(fetched.simulated)))
