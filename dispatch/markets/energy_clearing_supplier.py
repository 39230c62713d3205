"""The supplier of electricity and heat on a Pyomo block: units, stores, exchange with the grid (Wu et al. 2024, Eqs. 6-12)."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from dispatch.assets.heat import declare_boiler, declare_cogeneration
from dispatch.assets.storage import declare_storage
from dispatch.assets.wind import declare_wind
from dispatch.case_clearing import EnergyClearingCase
from dispatch.markets.energy_clearing_inputs import ClearingInputs


def declare_supplier(block: Any, case: EnergyClearingCase, inputs: ClearingInputs) -> None:
    """All that the supplier decides, with its power and heat per step and its cost.

    Adds the assets' variables, ``exchange_mw[t]`` (purchase positive), ``unserved_mw[t]``, ``unserved_heat_mw[t]`` and the
    expressions ``power_supply[t]``, ``heat_supply[t]`` (MW) and ``cost[t]`` (currency)::

        power = wind + sun + turbine + exchange + discharge - charge + unserved
        heat  = recovered heat + boiler + discharge - charge + unserved
        -sell_max <= exchange <= buy_max
        cost  = dt c_grid exchange + gas + maintenance + wear + dt VOLL (unserved + unserved heat)

    Source: Wu et al. 2024 (doi 10.3389/fenrg.2024.1342516), Eqs. 6-12. Storage equations, wear and unserved load (which keeps
    every demand servable) are added. Given the parks' demand, prices are a constant of this problem.
    """
    times, dt = list(range(inputs.steps)), inputs.step_hours
    grid = inputs.grid_price.tolist()
    declare_cogeneration(block, case.turbines, inputs.gas_price, dt)
    declare_boiler(block, case.boilers, inputs.gas_price, dt)
    declare_wind(block, inputs.renewable_mw, dt)
    declare_storage(block, case.storage, inputs.steps, dt, [False] * len(case.storage))
    block.heat_store = pyo.Block(concrete=True)
    declare_storage(block.heat_store, case.heat_storage, inputs.steps, dt, [False] * len(case.heat_storage))
    block.exchange_mw = pyo.Var(times, bounds=(-case.exchange.sell_max_mw, case.exchange.buy_max_mw))
    most = [
        [float(energy.load_mw[:, t].sum() + energy.shift_max_mw[:, t].sum()) for t in times]
        for energy in inputs.energies
    ]
    block.unserved_mw = pyo.Var(times, bounds=lambda _, t: (0, most[0][t]))
    block.unserved_heat_mw = pyo.Var(times, bounds=lambda _, t: (0, most[1][t]))

    def stored(m: Any, count: int, t: int) -> Any:
        return sum(m.discharge_mw[s, t] - m.charge_mw[s, t] for s in range(count))

    block.power_supply = pyo.Expression(
        times,
        rule=lambda m, t: (
            sum(m.wind_mw[u, t] for u in range(len(inputs.renewable_mw)))
            + sum(m.turbine_mw[k, t] for k in range(len(case.turbines)))
            + m.exchange_mw[t]
            + stored(m, len(case.storage), t)
            + m.unserved_mw[t]
        ),
    )
    block.heat_supply = pyo.Expression(
        times,
        rule=lambda m, t: (
            sum(m.recovered_heat_mw[k, t] for k in range(len(case.turbines)))
            + sum(m.boiler_heat_mw[k, t] for k in range(len(case.boilers)))
            + stored(m.heat_store, len(case.heat_storage), t)
            + m.unserved_heat_mw[t]
        ),
    )
    block.cost = pyo.Expression(
        times,
        rule=lambda m, t: (
            dt * grid[t] * m.exchange_mw[t]
            + m.turbine_gas_cost[t]
            + m.turbine_maintenance[t]
            + m.boiler_gas_cost[t]
            + m.boiler_maintenance[t]
            + m.wear_cost[t]
            + m.heat_store.wear_cost[t]
            + dt * case.lost_load_per_mwh * (m.unserved_mw[t] + m.unserved_heat_mw[t])
        ),
    )
