"""The day-ahead plan on scenarios instead of on one forecast, and what that is worth out of sample."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from dispatch.settlement.efficiency import paired_difference
from dispatch.settlement.planner import CopperPlatePlanner
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations
from dispatch.settlement.reduction import reduce_scenarios, uncoupled
from dispatch.settlement.two_stage import PlanOptions, Risk, plan_on_scenarios, tail_mean
from pipelines.errors import ConfigError
from pipelines.run_folder import write_atomically
from pipelines.stages.settle_days import Days, fingerprint, workers

if TYPE_CHECKING:
    from pipelines.stages.past_scenarios import NightDraws

COUPLINGS = ("keep", "break")


def stochastic_plan(
    planner: CopperPlatePlanner,
    draws: Realisations,
    settings: Mapping[str, Any],
    seed: int,
    reference_load_mw: FloatArray | None = None,
) -> tuple[FirstStage, dict[str, Any]]:
    """The best plan on the reduced draws, and its record: what it promises, its proven gap, and how it was found.

    ``settings`` is the section ``plan.stochastic``; ``reference_load_mw [T]`` sizes the customers' flexible demand where it
    is not that of the case. Raises ``ConfigError`` for an unknown coupling.
    """
    coupling = str(settings["coupling"])
    if coupling not in COUPLINGS:
        raise ConfigError(f"plan.stochastic.coupling={coupling} is unknown; use keep or break")
    started = time.perf_counter()
    if coupling == "break":
        draws = uncoupled(draws, seed)
    reduced = reduce_scenarios(draws, int(settings["scenarios"]))
    response = planner.response
    if reference_load_mw is not None:
        response = planner.response_at(reference_load_mw[None]).take(0)
    plan = plan_on_scenarios(
        planner.assets,
        response,
        planner.income_per_mwh,
        reduced.days,
        reduced.weight,
        sale=planner.sale,
        risk=Risk(float(settings["risk_weight"]), float(settings["risk_level"])),
        options=PlanOptions(float(settings["gap"]), float(settings["time_limit_s"]), seed),
    )
    return plan.first, {
        "scenarios": len(reduced.weight),
        "draws": len(draws),
        "coupling": coupling,
        "promised": plan.objective,
        "bound": plan.bound,
        "gap": (plan.bound - plan.objective) / max(1.0, abs(plan.objective)),
        "rounds": plan.rounds,
        "plan_seconds": round(time.perf_counter() - started, 3),
    }


def plans_of_nights(
    planner: CopperPlatePlanner,
    days: Days,
    settings: Mapping[str, Any],
    seed: int,
    *,
    parts: Path | None,
    parallel: Mapping[str, Any],
) -> tuple[FirstStage, dict[str, Any]]:
    """A plan on the scenarios of each of ``days.nights``, and their record; each plan is a part file, made only once.

    ``parallel`` as in ``workers``; the plans do not depend on the number of workers.
    """
    reference = np.broadcast_to(days.reference_load_mw, days.truth.load_mw.shape)
    tasks = [(night, dict(settings), seed, reference[k]) for k, night in enumerate(days.nights)]
    paths = [None if parts is None else parts / f"{fingerprint(planner, *task)}.npz" for task in tasks]
    made = {k: _load(path) for k, path in enumerate(paths) if path is not None and path.exists()}
    waiting = [k for k in range(len(tasks)) if k not in made]
    with workers(parallel):
        found = joblib.Parallel()(joblib.delayed(_plan_night)(planner, *tasks[k], paths[k]) for k in waiting)
    made |= dict(zip(waiting, found, strict=True))
    records = [made[k][1] for k in range(len(tasks))]
    record: dict[str, Any] = {name: records[0][name] for name in ("scenarios", "draws", "coupling")}
    record |= {name: float(np.mean([one[name] for one in records])) for name in ("promised", "bound", "rounds")}
    record["gap"] = max(one["gap"] for one in records)
    record["plan_seconds"] = round(sum(one["plan_seconds"] for one in records), 3)
    return FirstStage.stack([made[k][0] for k in range(len(tasks))]), {"nights": len(records), **record}


def _plan_night(
    planner: CopperPlatePlanner,
    night: NightDraws,
    settings: Mapping[str, Any],
    seed: int,
    reference_load_mw: FloatArray,
    path: Path | None,
) -> tuple[FirstStage, dict[str, Any]]:
    plan, record = stochastic_plan(planner, night.draw(int(settings["draws"])), settings, seed, reference_load_mw)
    if path is not None:
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in vars(plan).items()}
        arrays["record"] = np.array(json.dumps(record))
        write_atomically(path, lambda target: np.savez(target, allow_pickle=False, **arrays))
    return plan, record


def _load(path: Path) -> tuple[FirstStage, dict[str, Any]]:
    with np.load(path) as arrays:
        values = dict(arrays)
    record: dict[str, Any] = json.loads(str(values.pop("record")))
    return FirstStage(**values), record


def worth_of_scenarios(stochastic: FloatArray, deterministic: FloatArray, level: float) -> dict[str, Any]:
    """Value of the stochastic solution on common days ``[K]``, paired, and the mean of the worst days of either plan."""
    gain, p_value = paired_difference(stochastic, deterministic)
    weights = np.full(len(stochastic), 1.0 / len(stochastic))
    return {
        "vss": gain.value,
        "vss_ci95": gain.interval,
        "p_value": p_value,
        "deterministic_profit_mean": float(deterministic.mean()),
        "worst_days_mean": tail_mean(stochastic, weights, level),
        "deterministic_worst_days_mean": tail_mean(deterministic, weights, level),
    }
