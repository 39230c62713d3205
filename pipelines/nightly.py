"""``python -m pipelines.nightly``: fetch, forecast, dispatch, certify and report for one delivery day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.case import Case
from forecasting.forecast import Forecast
from forecasting.store import Store
from pipelines.app import Outcome, Run, command
from pipelines.errors import FolderError, LockedError
from pipelines.stages import plan, predict
from pipelines.stages.books import book_failure, keep_books
from pipelines.stages.fallback import ForecastDesk
from pipelines.stages.fetch import Fetched
from pipelines.stages.ledger import night_record
from pipelines.stages.ledger_settlement import on_steps
from pipelines.stages.listeners import listeners_of
from pipelines.stages.local import LocalArea
from pipelines.stages.monitoring import Monitor
from pipelines.stages.night import Mode, Night
from pipelines.stages.outcomes import with_outcomes
from pipelines.stages.publish import NIGHT_FILES, publish_night
from pipelines.stages.recalibrate import rules_of
from pipelines.stages.scenarios import Made, with_joint_paths
from pipelines.stages.setting import Setting, open_setting, training_of
from pipelines.store_lock import store_lock
from pipelines.time_budget import TimeBudget


def run(run: Run) -> Outcome:
    """One night, from the source to the page. What an earlier night left in the run's folder is set aside."""
    try:
        return _watched_night(run)
    except LockedError:
        raise  # the files may be those of the night that holds the store
    except BaseException:
        with suppress(FolderError):  # the reason for the failure matters more than a folder that cannot be tidied
            run.folder.set_aside(NIGHT_FILES)
        raise


def _watched_night(run: Run) -> Outcome:
    config = run.config
    setting = open_setting(config)
    case = plan.configured_case(config)  # a mistake in the case shows before the work begins
    watch = config["monitoring"]
    folder = Path(watch["folder"]) if watch["folder"] else setting.store.root / "monitoring"
    monitor = Monitor(folder, setting.night, listeners_of(watch, setting.night))
    run.phases.beat = monitor.beat
    with store_lock(setting.store.root):
        try:
            run.folder.set_aside(NIGHT_FILES)
            done = _night(run, setting, case)
        except BaseException as error:
            monitor.failed(error, run.phases.seconds)
            book_failure(setting.store, setting.night, error, config["site"])
            raise
        _tell(run, setting, monitor, done)
    return done.outcome


@dataclass(frozen=True)
class _Published:
    """A night whose plan is out: its outcome, its status, and how its record for the ledger is made."""

    outcome: Outcome
    status: Mapping[str, Any]
    record: Callable[[], Mapping[str, Any]]


def _tell(run: Run, setting: Setting, monitor: Monitor, done: _Published) -> None:
    """Tell whoever listens, book the night and refresh the site; what does not work is a warning in the status."""
    objective = done.outcome.record["dispatch"]["objective"]
    with run.phases.phase("deliver", "telling the listeners"):
        plan_text = (run.folder.path / "plan.json").read_text(encoding="utf-8")
        status = monitor.ended(done.status, objective, plan_text)
        run.folder.record("status.json", status)
    with run.phases.phase("site", "booking the night and refreshing the site"):
        late = keep_books(setting.store, setting.night, done.record, run.folder.path, run.config["site"])
    if late:
        status = {**status, "warnings": [*status["warnings"], *late]}
        monitor.note(status, objective)
        run.folder.record("status.json", status)
    done.outcome.record["warnings"] = status["warnings"]


def _night(run: Run, setting: Setting, case: Case) -> _Published:
    config, outcome = run.config, Outcome()
    night, store, area = setting.night, setting.store, setting.area
    with run.phases.phase("fetch", f"fetching {night}"):
        fetched = setting.fetch()
    for finding in fetched.findings:
        outcome.degrade(finding)

    forecasts, fallbacks, forecasters = _forecast(run, setting, fetched)
    for reason in fallbacks.values():
        outcome.degrade(reason)
    known = _known(store, night, area)
    with run.phases.phase("dispatch", f"dispatch of {case.name}, solved and certified"):
        peak, currency = area.peak_load(store, night), float(config["money"]["case_currency_per_eur"])
        price = forecasts["price"].mean if "price" in forecasts else known["price"]["actual"].to_numpy()
        tied = plan.tie_to_day(
            case,
            night,
            price,
            [(forecasts[f"wind {site}"].mean, area.capacity_mw[site]) for site in area.sites],
            forecasts["load"].mean / peak if "load" in forecasts else None,
            currency,
        )
        schedule, unproven = plan.solve_or_best(tied, config, run.seed, float(config["fallback"]["largest_gap"]))
        if unproven:
            outcome.degrade(unproven)
        schedule = with_outcomes(schedule, case, night, forecasts, price, area, peak, currency)
    with run.phases.phase("report", "writing the files and the page"):
        status = publish_night(
            run, night, outcome, forecasts, known, tied, schedule, fetched, area, fallbacks, forecasters
        )
    summary = {**run.provenance(), **outcome.record, "status": outcome.status, "reasons": outcome.reasons}
    record = partial(night_record, night, summary, forecasts, tied, schedule, area, peak, currency)
    return _Published(outcome, status, record)


def _forecast(
    run: Run, setting: Setting, fetched: Fetched
) -> tuple[dict[str, Forecast], dict[str, str], dict[str, Mapping[str, Any]]]:
    """Every target of the night by name (``price`` in the morning, ``wind SITE``, ``load``), why a model was replaced,
    and the contest of each target's forecasters."""
    config, night = run.config, setting.night
    rules = rules_of(config["recalibration"])
    desk = ForecastDesk(
        setting.store,
        setting.source.name,
        night,
        predict.decision_time(night, config["decision_time"]),
        training_of(config, run.seed, progress=run.phases.watched),
        Path(config["artefacts"]["root"]),
        float(config["artefacts"]["max_age_days"]),
        list(config["fallback"]["models"]),
        fetched.records,
        rules,
        TimeBudget(rules.budget_s if rules else 0.0),
    )
    made: dict[str, Made] = {}
    fallbacks: dict[str, str] = {}
    forecasters: dict[str, Mapping[str, Any]] = {}
    for target in setting.area.targets(night, fetched.simulated):
        answer = desk.forecast(target, run.phases)
        if answer.contest is not None:
            forecasters[target.name] = answer.contest
        for forecast in answer.forecasts:
            label = setting.area.label(target, forecast.zone)
            made[label] = Made(forecast, answer.trained, target)
            if answer.fallback:
                fallbacks[label] = answer.fallback
    with run.phases.phase("forecast", "joint scenarios"):
        joint = with_joint_paths(made, night, int(config["forecast"]["scenarios"]), run.seed)
    return joint, fallbacks, forecasters


def _known(store: Store, night: Night, area: LocalArea) -> dict[str, pd.DataFrame]:
    """What was known beside each forecast, for the page: the published value, last week, the system operator's forecast."""
    step = night.index[1] - night.index[0]

    def series(name: str, place: str, days_before: int = 0) -> NDArray[np.float64]:
        index = night.index - pd.Timedelta(days=days_before)
        rows = store.read(name, place, index[0], index[-1] + step, as_of=night.as_of)
        return on_steps(rows["value"], index, step)

    tables: dict[str, pd.DataFrame] = {
        "price": pd.DataFrame({"last_week": series("price", night.zone, 7)}, night.index)
    }
    if night.mode is Mode.EVENING:
        tables["price"]["actual"] = series("price", night.zone)
    for site in area.sites:
        tables[f"wind {site}"] = pd.DataFrame({"last_week": series("wind_power", site, 7)}, night.index)
    tables["load"] = pd.DataFrame({"last_week": series("load", night.zone, 7)}, night.index)
    operator = series("load_forecast", night.zone)
    if np.isfinite(operator).any():
        tables["load"]["iso_forecast"] = operator
    return tables


main = command("nightly", run)

if __name__ == "__main__":
    main()
