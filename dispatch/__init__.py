"""Certified dispatch of distribution systems whose customers and parks answer prices.

``load_case`` reads a case, ``solve`` turns it into a ``Schedule`` with its ``Certificate``.
"""

from __future__ import annotations

from typing import Literal

from dispatch.case import Case, case_names, load_case
from dispatch.case_faults import nearest
from dispatch.certificate import Certificate
from dispatch.conic.options import SolverOptions
from dispatch.errors import (
    BilevelError,
    CaseError,
    CertificateError,
    DispatchError,
    InfeasibleError,
    OptionError,
    SolverError,
    UnboundedError,
)
from dispatch.schedule import Schedule

__all__ = [
    "BilevelError",
    "Case",
    "CaseError",
    "Certificate",
    "CertificateError",
    "DispatchError",
    "InfeasibleError",
    "OptionError",
    "Schedule",
    "SolverError",
    "SolverOptions",
    "UnboundedError",
    "case_names",
    "load_case",
    "solve",
]


def solve(
    case: Case,
    *,
    variant: str | None = None,
    method: str = "exact",
    solver: Literal["highs", "scip"] | None = None,
    options: SolverOptions | None = None,
    certify: Literal["require", "report"] = "require",
) -> Schedule:
    """Solve the market model of a case and prove the answer.

    Parameters
    ----------
    case: from ``load_case``, or a case class's ``from_mapping``.
    variant: of the market model, named in the docstring of its module in ``dispatch.markets``; ``None`` for its default.
    method: ``exact``, or another that the market offers.
    solver: ``highs`` (default) or ``scip``; overrides ``options.solver``.
    options: gap, time limit, threads, seed; see ``SolverOptions``.
    certify: ``require`` refuses a schedule whose certificate fails; ``report`` returns it with the failed certificate.

    Raises
    ------
    OptionError
        If the variant or method is unknown, or ``InfeasibleError``, ``UnboundedError``, ``SolverError`` as they say;
        ``CertificateError`` if a check failed, with every figure.

    Examples
    --------
    >>> import dispatch
    >>> schedule = dispatch.solve(dispatch.load_case("adno_ieee33"), variant="no_subsidy")
    >>> schedule.certificate.passed
    True
    """
    from dataclasses import replace

    from dispatch.markets import market_module

    module = market_module(case.market)
    variant = module.DEFAULT_VARIANT if variant is None else variant
    for word, choices, what in ((variant, module.VARIANTS, "variant"), (method, module.METHODS, "method")):
        if word not in choices:
            guess = nearest(word, choices)
            hint = f"did you mean '{guess}'?" if guess else f"choose one of: {', '.join(choices)}"
            raise OptionError(f"market {case.market}: no {what} is named '{word}'; {hint}")
    options = options or SolverOptions()
    if solver is not None:
        options = replace(options, solver=solver)
    schedule: Schedule = module.solve(case, variant, method, options)
    if certify == "require" and not schedule.certificate.passed:
        raise CertificateError(
            f"{schedule} on {case.name}: the answer is not proven, so it is not given out{_way_on(schedule)}\n"
            f"{schedule.certificate}"
        )
    return schedule


def _way_on(schedule: Schedule) -> str:
    """What to do where only optimality is unproven."""
    if schedule.certificate.failures != ("mip_gap",):
        return ""
    return (
        f". It keeps every limit and its gap is proven, but the solver ended as '{schedule.status}': allow more time_limit_s, "
        "ask for a coarser gap, or take it as it is with certify='report'"
    )
