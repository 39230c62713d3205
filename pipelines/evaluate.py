"""``python -m pipelines.evaluate``: plan on a forecast, settle against what comes, say what the forecast is worth."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dispatch.case_adno import AdnoCase
from dispatch.errors import DispatchError
from dispatch.settlement.efficiency import Estimate, mean_estimate, ratio_estimate
from dispatch.settlement.network_planner import NetworkPlanner
from dispatch.settlement.on_feeder import settle_on_feeder
from dispatch.settlement.planner import CopperPlatePlanner
from dispatch.settlement.problem import FirstStage
from dispatch.settlement.worth import FACTORS, Planner
from pipelines.app import Outcome, Run, command
from pipelines.errors import ConfigError
from pipelines.stages import plan as planning
from pipelines.stages.settle_days import Days, settle_days
from pipelines.stages.stochastic import plans_of_nights, stochastic_plan, worth_of_scenarios
from pipelines.stages.what_if import at_levels

#: Where realisations come from.
KINDS = ("synthetic", "scenarios", "history")


def run(run: Run) -> Outcome:
    """Case and days in, efficiency, profit, regret and penalties out."""
    config, outcome = run.config, Outcome()
    case = planning.configured_case(config)
    if not isinstance(case, AdnoCase):
        raise ConfigError(f"market={case.market} has no settlement; use market=adno")
    case = at_levels(case, config["what_if"])
    with run.phases.phase("realisations", f"days to settle, from {config['realisations']['kind']}"):
        case, days, origin = _days(run, case)
    with run.phases.phase("plan", f"plan of {case.name}"):
        planner = _planner(run, case)
        plan = planner.plans(days.forecast, days.reference_load_mw).take(0) if len(days.forecast) == 1 else None
        usual = replace(days, plan=plan)
        days, chosen = _planned(run, planner, usual)
    count, wanted = len(days.truth), config["regret"]["realisations"]
    with_regret = count if wanted is None else min(count, int(wanted))
    started = time.perf_counter()
    with run.phases.phase("settle", f"settling {count} days"):
        frame, reused = _settled(run, planner, days, with_regret)
        if chosen:
            frame["deterministic_profit"] = _settled(run, planner, usual, 0)[0]["profit"]
            level = float(config["plan"]["stochastic"]["risk_level"])
            chosen |= worth_of_scenarios(frame["profit"].to_numpy(), frame["deterministic_profit"].to_numpy(), level)
    rate = (count - reused) / (time.perf_counter() - started) if count > reused else None
    if not origin["simulated"] and days.simulated:
        origin |= {"simulated_in_part": True, "simulated_series": list(days.simulated)}
    outcome.record = {**_record(run, case, frame, outcome), **origin, "realisations_per_second": rate, "reused": reused}
    outcome.record |= _plan_record(run, case, days.plan) | ({"stochastic": chosen} if chosen else {})
    if config["settle"]["network"]:
        with run.phases.phase("feeder", f"replaying {count} days on the feeder"):
            outcome.record["feeder"] = _on_feeder(case, planner, days, frame)
    if with_regret < count:
        outcome.record["notes"] = [
            f"Regret and penalties are those of the first {with_regret} of {count} realisations."
        ]
    _publish(run, case, outcome, frame, days.plan)
    return outcome


def _planned(run: Run, planner: Planner, days: Days) -> tuple[Days, dict[str, Any]]:
    """The days with the plan on scenarios in place of that on the forecast, where it is asked for, and its record."""
    settings = run.config["plan"]
    if settings["kind"] == "deterministic":
        return days, {}
    if settings["kind"] != "stochastic":
        raise ConfigError(f"plan.kind={settings['kind']} is unknown; use deterministic or stochastic")
    if not isinstance(planner, CopperPlatePlanner):
        raise ConfigError("plan.kind=stochastic plans without a network; set plan.network=false")
    if days.draws is not None:
        plan, record = stochastic_plan(planner, days.draws, settings["stochastic"], run.seed)
    else:
        parts, parallel = _parts(run, "plans"), dict(run.config["parallel"])
        plan, record = plans_of_nights(planner, days, settings["stochastic"], run.seed, parts=parts, parallel=parallel)
    return replace(days, plan=plan), record


def _settled(run: Run, planner: Planner, days: Days, with_regret: int) -> tuple[pd.DataFrame, int]:
    return settle_days(
        planner,
        days,
        chunk=int(run.config["realisations"]["chunk"]),
        with_regret=with_regret,
        parts=_parts(run, "evaluate"),
        parallel=dict(run.config["parallel"]),
    )


def _parts(run: Run, kind: str) -> Path | None:
    """Where finished work of one kind is kept."""
    root = run.config["parts"]["root"]
    return None if root is None else Path(str(root)) / kind


def _on_feeder(case: AdnoCase, planner: Planner, days: Days, frame: pd.DataFrame) -> dict[str, Any]:
    """Profit, losses and voltages of every day from AC power flows, as columns of ``frame``, and their means."""
    count = len(days.truth)
    plan = days.plan
    if plan is None:
        reference = np.broadcast_to(days.reference_load_mw, days.truth.load_mw.shape)
        plan = planner.plans(days.forecast.repeated(count), reference)
    found = settle_on_feeder(case, planner.assets, plan, days.truth)
    frame["feeder_profit"], frame["feeder_loss_mwh"] = found.settled.profit, found.loss_mwh
    frame["voltage_min_pu"], frame["outside_hours"] = found.voltage_min_pu, found.outside_hours
    profit = mean_estimate(found.settled.profit)
    return {
        "profit_mean": profit.value,
        "profit_ci95": profit.interval,
        "efficiency": float(found.settled.income.mean() / found.settled.cost.mean()),
        "loss_mwh_mean": float(found.loss_mwh.mean()),
        "voltage_min_pu": float(found.voltage_min_pu.min()),
        "outside_hours_mean": float(found.outside_hours.mean()),
        "rounds": found.rounds,
    }


def _days(run: Run, case: AdnoCase) -> tuple[AdnoCase, Days, dict[str, Any]]:
    """The case on its day, the days to settle, and where they come from."""
    settings = run.config["realisations"]
    kind, planned = str(settings["kind"]), run.config["plan"]
    draws = int(planned["stochastic"]["draws"]) if planned["kind"] == "stochastic" else 0
    if kind == "synthetic":
        from pipelines.stages.realisations import synthetic_days

        return case, synthetic_days(case, settings, run.seed, draws), {"simulated": True, "kind": kind}
    if kind not in KINDS:
        raise ConfigError(f"realisations.kind={kind} is unknown; use one of {', '.join(KINDS)}")
    from pipelines.stages.setting import open_setting

    setting = open_setting(run.config)
    origin = {
        "kind": kind,
        "simulated": setting.source.simulated,
        "source": setting.source.name,
        "zone": setting.night.zone,
        "model": run.config["model"]["name"],
    }
    if kind == "history":
        from pipelines.stages.history import history_days

        return case, history_days(case, setting, run.config, run.seed, draws), origin
    from pipelines.stages.night_scenarios import scenario_days

    case, days = scenario_days(case, setting, run.config, run.seed, draws)
    return case, days, {**origin, "as_of": setting.night.as_of, "delivery_day": setting.night.delivery_day.isoformat()}


def _planner(run: Run, case: AdnoCase) -> Planner:
    config = run.config
    variant = str(config.get("variant") or config["market"].get("variant"))
    if config["plan"]["network"]:
        return NetworkPlanner(case, variant, planning.solver_options(config["solver"], run.seed))
    return CopperPlatePlanner.of_case(case, variant)


def _record(run: Run, case: AdnoCase, frame: pd.DataFrame, outcome: Outcome) -> dict[str, Any]:
    both = frame.dropna(subset=["regret"]) if "regret" in frame else frame.iloc[:0]
    profit = mean_estimate(frame["profit"].to_numpy())
    record: dict[str, Any] = {
        "market": case.market,
        "case": case.name,
        "variant": run.config.get("variant") or run.config["market"].get("variant"),
        "currency": case.currency,
        "realisations": len(frame),
        "profit_mean": profit.value,
        "profit_ci95": profit.interval,
        "income_mean": frame["income"].mean(),
        "cost_mean": frame["cost"].mean(),
        "shed_mwh_mean": frame["shed_mwh"].mean(),
    }
    for name, cost in (
        ("efficiency", frame["cost"]),
        ("efficiency_without_subsidy", frame["cost"] - frame["subsidy_cost"]),
    ):
        estimate = _ratio(frame["income"], cost, outcome)
        record |= {name: estimate.value, f"{name}_ci95": estimate.interval}
    record["unit_price"] = _unit_price(frame, outcome)
    if not len(both):
        return {**record, "regret_mean": None, "penalty": {}, "regret_realisations": 0}
    regret = mean_estimate(both["regret"].to_numpy())
    perfect = _ratio(both["best_income"], both["best_cost"], outcome)
    penalty = {name: float(both[f"penalty_{name}"].mean()) for name in FACTORS}
    return {
        **record,
        "regret_mean": regret.value,
        "regret_ci95": regret.interval,
        "regret_realisations": len(both),
        "penalty": {**penalty, "total": regret.value},
        "profit_perfect_mean": float(both["best_profit"].mean()),
        "efficiency_perfect": perfect.value,
        "efficiency_perfect_ci95": perfect.interval,
    }


def _unit_price(frame: pd.DataFrame, outcome: Outcome) -> dict[str, Any]:
    """The index as Eqs 24 and 25 count it, with the penalties of Eq. 26."""
    income, cost = frame["unit_price_income"], frame["unit_price_cost"]
    both = {
        "efficiency": _ratio(income, cost, outcome),
        "efficiency_without_subsidy": _ratio(income, cost - frame["subsidy_cost"], outcome),
    }
    found: dict[str, Any] = {name: estimate.value for name, estimate in both.items()}
    penalty = {name: float(frame[f"unit_price_{name}"].mean()) for name in FACTORS}
    intervals = {f"{name}_ci95": estimate.interval for name, estimate in both.items()}
    return found | intervals | {"penalty": {**penalty, "total": sum(penalty.values())}}


def _ratio(income: pd.Series, cost: pd.Series, outcome: Outcome) -> Estimate:
    try:
        return ratio_estimate(income.to_numpy(), cost.to_numpy())
    except DispatchError as error:
        outcome.degrade(str(error))
        return Estimate(float("nan"), float("nan"), float("nan"))


def _plan_record(run: Run, case: AdnoCase, plan: FirstStage | None) -> dict[str, Any]:
    """What was decided, where all realisations share one plan, and where the run's levels and words are kept."""
    record: dict[str, Any] = {"what_if": dict(run.config["what_if"]), "network": bool(run.config["plan"]["network"])}
    if run.config.get("published"):
        record["published"] = run.config["published"]
    if plan is None or plan.count is not None:
        return record
    hours = case.step_hours
    return record | {
        "plan": {
            "purchase_mwh": float(plan.purchase_mw.sum() * hours),
            "flexible_mwh": float(plan.flexible_mw.sum() * hours),
            "gas_unit_hours": float(plan.commitment.sum() * hours),
            "charge_mwh": float(plan.charge_mw.sum() * hours),
            "subsidy_cost": float(plan.subsidy_cost),
        }
    }


def _plan_table(case: AdnoCase, plan: FirstStage) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "step": np.arange(plan.steps),
            "hour": np.arange(plan.steps) * case.step_hours,
            "spot_price_per_mwh": case.spot_price_per_mwh,
            "purchase_mw": plan.purchase_mw,
            "flexible_mw": plan.flexible_mw,
            "gas_units_on": plan.commitment.sum(axis=0),
            "charge_mw": plan.charge_mw.sum(axis=0),
            "discharge_mw": plan.discharge_mw.sum(axis=0),
        }
    )


def _publish(run: Run, case: AdnoCase, outcome: Outcome, frame: pd.DataFrame, plan: FirstStage | None) -> None:
    from pipelines.report.evaluate import evaluate_page
    from pipelines.report.page import render

    with run.phases.phase("report", "writing the files and the page"):
        run.folder.frame("realisations.parquet", frame)
        links = [("realisations.parquet", "realisations.parquet"), ("summary.json", "summary.json")]
        if plan is not None and plan.count is None:
            run.folder.frame("plan.parquet", _plan_table(case, plan))
            links.append(("plan.parquet", "plan.parquet"))
        summary = {
            **run.provenance(),
            "status": outcome.status,
            "reasons": outcome.reasons,
            "seconds": run.phases.seconds,
        }
        page = evaluate_page({**summary, **outcome.record}, frame, currency=case.currency, links=links)
        run.folder.text("report.html", render(page))
    record = outcome.record
    regret = f", regret {record['regret_mean']:,.2f}" if record["regret_mean"] is not None else ""
    outcome.headline = (
        f"{case.name}: efficiency {record['efficiency']:.3f}, profit {record['profit_mean']:,.2f} {case.currency}{regret} "
        f"over {record['realisations']} realisations"
    )


main = command("evaluate", run)

if __name__ == "__main__":
    main()
