"""``python -m pipelines.nightly``: fetch, forecast, dispatch, certify and report for one delivery day."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.schedule import Schedule
from forecasting.forecast import Forecast
from forecasting.store import Store
from pipelines.app import Outcome, Run, command
from pipelines.stages import fetch as fetching
from pipelines.stages import plan, predict
from pipelines.stages.local import LocalArea, local_area
from pipelines.stages.night import Mode, Night, plan_night
from pipelines.stages.sources import default_zone, moment, open_source


def run(run: Run) -> Outcome:
    """One night, from the source to the page."""
    config, outcome = run.config, Outcome()
    source = open_source(config["source"])
    zone = config["zone"] or default_zone(source)
    night = plan_night(
        zone,
        moment(config["as_of"], source),
        source.market_time_zone(zone),
        str(config["mode"]),
        int(config["forecast"]["step_minutes"]),
        source.availability("price"),
    )
    case = plan.configured_case(config)  # a mistake in the case shows before the work begins
    store = Store(Path(config["store"]["root"]) / source.name)
    area = local_area(source, zone, config["local"])

    history = config["history"]
    with run.phases.phase("fetch", f"fetching {night}"):
        fetched = fetching.fetch(
            area.source,
            store,
            night,
            history_days=history["train_days"] + history["valid_days"] + history["lookback_days"],
            lookback_days=history["lookback_days"],
            local=area.series(),
        )
    for finding in fetched.findings:
        outcome.degrade(finding)

    forecasts = _forecast(run, night, store, area, fetched, outcome)
    known = _known(store, night, area)
    with run.phases.phase("dispatch", f"dispatch of {case.name}, solved and certified"):
        price = forecasts["price"].mean if "price" in forecasts else known["price"]["published"].to_numpy()
        tied = plan.tie_to_day(
            case,
            night,
            price,
            [(forecasts[f"wind {site}"].mean, area.capacity_mw[site]) for site in area.sites],
            forecasts["load"].mean / area.peak_load(store, night) if "load" in forecasts else None,
            float(config["money"]["case_currency_per_eur"]),
        )
        schedule = plan.solve_case(tied, config, run.seed)
    _publish(run, night, outcome, forecasts, known, schedule, fetched, area)
    return outcome


def _forecast(
    run: Run, night: Night, store: Store, area: LocalArea, fetched: fetching.Fetched, outcome: Outcome
) -> dict[str, Forecast]:
    """Every target of the night by name: ``price`` (mornings), ``wind SITE``, ``load``."""
    config, history = run.config, run.config["history"]
    training = predict.Training(
        config["model"],
        history["train_days"],
        history["valid_days"],
        history["lookback_days"],
        run.seed,
        run.phases.watched,
    )
    decision = predict.decision_time(night, config["decision_time"])
    artefacts = config["artefacts"]
    forecasts: dict[str, Forecast] = {}
    for target in area.targets(night, fetched.simulated):
        with run.phases.phase("train", f"forecaster of {target.name}, trained or loaded", bar=run.phases.watched):
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
        with run.phases.phase("forecast", f"forecast of {target.name} at {', '.join(target.places)}"):
            made = predict.forecast_places(store, target, night, trained, training, fetched.records)
            made = predict.with_scenarios(made, trained, target, int(config["forecast"]["scenarios"]), run.seed)
        for forecast in made:
            forecasts[f"wind {forecast.zone}" if target.name == "wind" else target.name] = forecast
    return forecasts


def _known(store: Store, night: Night, area: LocalArea) -> dict[str, pd.DataFrame]:
    """What was known beside each forecast, for the page: the published value, last week, the system operator's forecast."""
    step = night.index[1] - night.index[0]

    def series(name: str, place: str, days_before: int = 0) -> NDArray[np.float64]:
        index = night.index - pd.Timedelta(days=days_before)
        rows = store.read(name, place, index[0], index[-1] + step, as_of=night.as_of)
        return np.asarray(rows["value"].reindex(index), dtype=np.float64)

    tables: dict[str, pd.DataFrame] = {
        "price": pd.DataFrame({"last week": series("price", night.zone, 7)}, night.index)
    }
    if night.mode is Mode.EVENING:
        tables["price"]["published"] = series("price", night.zone)
    for site in area.sites:
        tables[f"wind {site}"] = pd.DataFrame({"last week": series("wind_power", site, 7)}, night.index)
    tables["load"] = pd.DataFrame({"last week": series("load", night.zone, 7)}, night.index)
    operator = series("load_forecast", night.zone)
    if np.isfinite(operator).any():
        tables["load"]["system operator's forecast"] = operator
    return tables


def _publish(
    run: Run,
    night: Night,
    outcome: Outcome,
    forecasts: dict[str, Forecast],
    known: dict[str, pd.DataFrame],
    schedule: Schedule,
    fetched: fetching.Fetched,
    area: LocalArea,
) -> None:
    from pipelines.stages.publish import publish_night

    with run.phases.phase("report", "writing the files and the page"):
        publish_night(run, night, outcome, forecasts, known, schedule, fetched, area)


main = command("nightly", run)

if __name__ == "__main__":
    main()
