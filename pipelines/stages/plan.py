"""Plan: tie the market case to the forecast day, solve it, and prove it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from numpy.typing import NDArray

import dispatch
from dispatch.case import Case, load_case
from dispatch.errors import CertificateError
from dispatch.markets import case_type
from dispatch.schedule import Schedule
from dispatch.solver import SolverOptions
from pipelines.errors import ConfigError
from pipelines.stages.night import Night

FloatArray = NDArray[np.float64]


def configured_case(config: Mapping[str, Any]) -> Case:
    """The case of the run: ``case.path`` if given, else the group's content with its overrides."""
    section = dict(config["case"])
    path = section.pop("path", None)
    market = str(config["market"]["name"])
    if path is not None:
        return load_case(str(path), market)
    name = str(HydraConfig.get().runtime.choices.get("case") or "case")
    return case_type(market).from_mapping({**section, "name": section.get("name", name)}, name=name)


def tie_to_day(
    case: Case,
    night: Night,
    price_eur_mwh: FloatArray,
    wind: Sequence[tuple[FloatArray, float]],
    load_share: FloatArray | None,
    currency_per_eur: float,
) -> Case:
    """The case on the night's delivery day.

    Parameters
    ----------
    price_eur_mwh: ``[T]``, forecast or published.
    wind: for each local site its forecast in MW ``[T]`` and its capacity in MW; the case's wind farms take the sites in
        order (again from the first where there are fewer sites) and scale them to their own capacity.
    load_share: ``[T]``, load as a share of its yearly peak; the feeder's nominal load is that peak.
    """
    farms = getattr(case, "wind", ())
    wind_mw = {}
    if wind:
        for place, farm in enumerate(farms):
            power, capacity = wind[place % len(wind)]
            wind_mw[farm.id] = np.clip(power / capacity, 0.0, 1.0) * farm.capacity_mw
    tied: Case = case.with_inputs(  # type: ignore[attr-defined]
        spot_price_per_mwh=price_eur_mwh * currency_per_eur,
        load_mw=None if load_share is None else np.maximum(load_share, 0.0) * nominal_load_mw(case),
        **({"wind_mw": wind_mw} if wind_mw else {}),
        index=night.index.tz_convert(night.market_time_zone),
        step_hours=night.step_hours,
    )
    return tied


def nominal_load_mw(case: Case) -> float:
    """Largest load that the case is made for: what it states, else the nominal load of its feeder."""
    from dispatch.case_inputs import feeder_of

    stated = getattr(case, "nominal_load_mw", None)
    if stated is not None:
        return float(stated)
    network = getattr(case, "network", None)
    if network is None:
        raise ConfigError(f"case {case.name} states no load, so a load forecast cannot be scaled to it")
    return float(feeder_of(network).load_mw.sum())


def solver_options(settings: Mapping[str, Any], seed: int) -> SolverOptions:
    """The options of ``conf/solver``; the run's seed is the solver's."""
    return SolverOptions(**{**settings, "seed": seed})


def solve_or_best(case: Case, config: Mapping[str, Any], seed: int, largest_gap: float | None) -> tuple[Schedule, str]:
    """Solve and certify; if only optimality stays unproven, the best schedule found counts.

    Such a schedule keeps every other proof; its certificate states the gap and the tolerance it was given. Returns the
    schedule, and in words what was left unproven (empty if nothing was).

    Parameters
    ----------
    largest_gap: accepted relative gap; None: any that is proven. A market whose gap is relative to a small part of its objective
        states its own as ``market.largest_gap``.

    Raises
    ------
    CertificateError
        If any other figure fails or the gap is too large; further what ``dispatch.solve`` raises.
    """
    variant = config.get("variant") or config["market"].get("variant")
    options = solver_options(config["solver"], seed)
    schedule = dispatch.solve(case, variant=variant, method=str(config["method"]), options=options, certify="report")
    certificate = schedule.certificate
    if certificate.passed:
        return schedule, ""
    gap = certificate.mip_gap
    if largest_gap is not None:
        largest_gap = float(config["market"].get("largest_gap") or largest_gap)
    unproven = certificate.failures == ("mip_gap",)
    if not unproven or gap is None or not np.isfinite(gap) or (largest_gap is not None and gap > largest_gap):
        raise CertificateError(
            f"{schedule} on {case.name}: the answer is not proven, so it is not given out\n{certificate}"
        )
    accepted = gap if largest_gap is None else largest_gap
    words = (
        f"the solver stopped before the optimum was proven: the plan is within {100 * gap:.2g}% of the best possible, "
        f"{accepted:.2g} is accepted as relative gap"
    )
    stated = replace(
        certificate,
        tolerances={**certificate.tolerances, "mip_gap": accepted},
        notes=(*certificate.notes, words),
    )
    return replace(schedule, certificate=stated, notes=(*schedule.notes, words)), words
