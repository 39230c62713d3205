"""A market of one's own: a retailer posts a price for each step, one customer buys less the higher it is."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pyomo.environ as pyo
from pydantic import Field

from dispatch import Schedule, SolverOptions
from dispatch.bilevel import BilevelOptions, BilevelProblem, Follower
from dispatch.bilevel import solve as solve_bilevel
from dispatch.case import Case, Positive

VARIANTS = ("posted_price",)
DEFAULT_VARIANT = "posted_price"
METHODS = ("exact",)


class RetailerCase(Case):
    """One retailer and one customer.

    Attributes
    ----------
    spot_price_per_mwh: what the retailer pays, one value a step.
    load_mw: what the customer takes at ``usual_price_per_mwh``, one value a step.
    usual_price_per_mwh, choke_price_per_mwh: demand falls in a straight line to zero at the choke price.
    """

    market_name: ClassVar[str] = "retailer"

    spot_price_per_mwh: tuple[float, ...]
    load_mw: tuple[Positive, ...]
    usual_price_per_mwh: float = 100.0
    choke_price_per_mwh: float = Field(default=300.0)

    @property
    def nominal_load_mw(self) -> float:
        """Largest load; a load forecast, given as a share of the yearly peak, is scaled to it."""
        return max(self.load_mw)

    def faults(self) -> list[str]:
        """Contradictions between keys, each in one sentence."""
        found = [
            f"{key}: {len(values)} values, but the horizon has {self.steps} steps"
            for key, values in (("spot_price_per_mwh", self.spot_price_per_mwh), ("load_mw", self.load_mw))
            if len(values) != self.steps
        ]
        if not self.choke_price_per_mwh > self.usual_price_per_mwh:
            found.append("choke_price_per_mwh: must be above usual_price_per_mwh, else demand never falls")
        return found

    def with_inputs(
        self, *, spot_price_per_mwh: Any, load_mw: Any = None, index: pd.DatetimeIndex, step_hours: float, **_: Any
    ) -> Self:
        """The same retailer on a forecast day: prices ``[T]`` per MWh, load ``[T]`` in MW."""
        load = self.load_mw if load_mw is None else tuple(np.maximum(load_mw, 1e-3).tolist())
        return type(self).from_mapping(
            {
                **self.model_dump(exclude={"index"}),
                "spot_price_per_mwh": tuple(np.asarray(spot_price_per_mwh).tolist()),
                "load_mw": load,
                "index": index,
                "step_hours": step_hours,
                "horizon_hours": step_hours * len(index),
            },
            name=self.name,
        )


def solve(case: RetailerCase, variant: str, method: str, options: SolverOptions) -> Schedule:
    """Post the prices that earn most, given how the customer answers.

    With demand ``d(p) = load (choke - p) / (choke - usual)`` the best price is half-way between choke and spot price.
    """
    started = time.perf_counter()
    model = pyo.ConcreteModel("retailer")
    steps = range(case.steps)
    width = case.choke_price_per_mwh - case.usual_price_per_mwh
    top = [load * case.choke_price_per_mwh / width for load in case.load_mw]  # demand at a price of zero
    model.price = pyo.Var(steps, bounds=(0, case.choke_price_per_mwh))
    model.customer = pyo.Block()
    model.customer.demand = pyo.Var(steps, bounds=lambda _, t: (0, top[t]))
    demand = model.customer.demand
    bill = case.step_hours * sum(model.price[t] * demand[t] for t in steps)
    utility = case.step_hours * sum(
        case.choke_price_per_mwh * demand[t] - width / (2 * case.load_mw[t]) * demand[t] ** 2 for t in steps
    )
    purchase = case.step_hours * sum(case.spot_price_per_mwh[t] * demand[t] for t in steps)
    model.customer.cost = pyo.Objective(expr=bill - utility)
    model.profit = pyo.Objective(expr=bill - purchase, sense=pyo.maximize)

    answer = solve_bilevel(
        BilevelProblem(model, [Follower(model.customer)], leader=model.price),
        solver=options.solver,
        options=BilevelOptions(gap=options.gap, time_limit_s=options.time_limit_s),
    )
    rows = [
        (t, asset, kind, quantity, float(variable[t].value))
        for t in steps
        for asset, kind, quantity, variable in (
            ("tariff", "grid", "price_per_mwh", model.price),
            ("customer", "customer", "power_mw", demand),
        )
    ]
    return Schedule(
        market=case.market,
        case=case.name,
        variant=variant,
        method=method,
        solver=options.solver,
        currency=case.currency,
        index=case.index if case.index is not None else pd.RangeIndex(case.steps),
        step_hours=case.step_hours,
        table=pd.DataFrame(rows, columns=["step", "asset", "kind", "quantity", "value"]),
        money={"retailer": {"sales": float(pyo.value(bill)), "purchase": -float(pyo.value(purchase))}},
        objective=answer.objective,
        bound=answer.bound,
        gap=answer.gap,
        sense="max",
        certificate=replace(answer.certificate, mip_gap=answer.gap),
        seconds={"solve": time.perf_counter() - started},
        status=answer.status,
    )
