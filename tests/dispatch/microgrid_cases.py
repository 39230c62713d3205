"""Small microgrids cases that can be worked by hand, and the game of any case as a plain bilevel problem."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from dispatch.assets.price_taker_program import follower_program
from dispatch.bilevel import BilevelProblem, Follower
from dispatch.case_microgrids import MicrogridsCase
from dispatch.markets.microgrids_inputs import market_inputs

TURBINE = {"power_max_mw": 6.0, "cost_quadratic_per_mw2h": 0.08, "cost_linear_per_mwh": 0.9}
#: Every device with a limit that binds somewhere.
RICH = {
    "turbine": {**TURBINE, "ramp_up_mw_per_hour": 0.8, "ramp_down_mw_per_hour": 0.6, "power_max_mw": 1.5},
    "battery": {
        "energy_min_mwh": 0.1,
        "energy_max_mwh": 0.9,
        "energy_start_mwh": 0.5,
        "charge_max_mw": 0.4,
        "discharge_max_mw": 0.5,
        "charge_efficiency": 0.9,
        "discharge_efficiency": 0.95,
        "wear_per_mw2h": 0.05,
    },
    "shiftable": {"share": 0.2, "discomfort_per_mw2h": 0.2},
}


def game(grids: list[dict[str, Any]], buy: list[float], sell: list[float], **values: Any) -> MicrogridsCase:
    """A case of hourly steps with a trade limit of 8 MW."""
    data = {
        "horizon_hours": len(buy),
        "grid_buy_per_mwh": buy,
        "feed_in_per_mwh": sell,
        "microgrids": [{"trade_limit_mw": 8.0, **grid} for grid in grids],
        **values,
    }
    return MicrogridsCase.from_mapping(data, name="small")


def deficit_and_surplus() -> MicrogridsCase:
    """One hour: a deficit of 4 MW with a turbine, a surplus of 3 MW without."""
    return game(
        [{"id": "deficit", "net_load_mw": [4.0], "turbine": TURBINE}, {"id": "surplus", "net_load_mw": [-3.0]}],
        [1.2],
        [0.4],
    )


def as_bilevel(case: MicrogridsCase) -> BilevelProblem:
    """The same game for the general bilevel engine: followers as plain quadratic programs, payments as products."""
    market = market_inputs(case)
    times = list(range(market.steps))
    model = pyo.ConcreteModel()
    model.buy = pyo.Var(times, bounds=lambda _, t: (float(market.feed_in[t]), float(market.grid_buy[t])))
    model.sell = pyo.Var(times, bounds=lambda _, t: (float(market.feed_in[t]), float(market.grid_buy[t])))
    model.order = pyo.Constraint(times, rule=lambda m, t: m.sell[t] <= m.buy[t])
    model.grids = pyo.Block(list(range(len(market.grids))))
    bills, exchange = [], dict.fromkeys(times, 0.0)
    for j, grid in enumerate(market.grids):
        program, block = follower_program(grid), model.grids[j]
        count = len(program.lower)
        block.x = pyo.Var(list(range(count)), bounds=lambda _, k, p=program: (float(p.lower[k]), float(p.upper[k])))
        block.rows = pyo.ConstraintList()
        for matrix, limit, equal in ((program.equal, program.target, True), (program.below, program.limit, False)):
            for r in range(matrix.shape[0]):
                row = matrix.getrow(r)
                body = sum(float(v) * block.x[int(k)] for k, v in zip(row.indices, row.data, strict=True) if v)
                block.rows.add(body == float(limit[r]) if equal else body <= float(limit[r]))
        bought, sold = program.bought.start, program.sold.start
        bill = sum(model.buy[t] * block.x[bought + t] - model.sell[t] * block.x[sold + t] for t in times)
        own = sum(
            float(program.linear[k]) * block.x[k] + 0.5 * float(program.quadratic[k]) * block.x[k] ** 2
            for k in range(count)
        )
        block.cost = pyo.Objective(expr=case.step_hours * (bill + own))
        bills.append(bill)
        for t in times:
            exchange[t] = exchange[t] + block.x[bought + t] - block.x[sold + t]
    model.up, model.down = pyo.Var(times, bounds=(0, 100)), pyo.Var(times, bounds=(0, 100))
    model.balance = pyo.Constraint(times, rule=lambda m, t: m.up[t] - m.down[t] == exchange[t])
    wholesale = sum(float(market.feed_in[t]) * model.down[t] - float(market.grid_buy[t]) * model.up[t] for t in times)
    model.profit = pyo.Objective(expr=case.step_hours * (sum(bills) + wholesale), sense=pyo.maximize)
    followers = [Follower(model.grids[j], name=grid.name) for j, grid in enumerate(market.grids)]
    return BilevelProblem(model, followers, leader=[model.buy, model.sell, model.up, model.down])
