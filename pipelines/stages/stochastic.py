"""The day-ahead plan on scenarios instead of on one forecast, and what that is worth out of sample."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from dispatch.settlement.efficiency import paired_difference
from dispatch.settlement.planner import CopperPlatePlanner
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations
from dispatch.settlement.reduction import reduce_scenarios, uncoupled
from dispatch.settlement.two_stage import PlanOptions, Risk, plan_on_scenarios, tail_mean
from pipelines.errors import ConfigError

COUPLINGS = ("keep", "break")


def stochastic_plan(
    planner: CopperPlatePlanner, draws: Realisations, settings: Mapping[str, Any], seed: int
) -> tuple[FirstStage, dict[str, Any]]:
    """The best plan on the reduced draws, and its record: what it promises, its proven gap, and how it was found.

    ``settings`` is the section ``plan.stochastic``. Raises ``ConfigError`` for an unknown coupling.
    """
    coupling = str(settings["coupling"])
    if coupling not in COUPLINGS:
        raise ConfigError(f"plan.stochastic.coupling={coupling} is unknown; use keep or break")
    started = time.perf_counter()
    if coupling == "break":
        draws = uncoupled(draws, seed)
    reduced = reduce_scenarios(draws, int(settings["scenarios"]))
    plan = plan_on_scenarios(
        planner.assets,
        planner.response,
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
