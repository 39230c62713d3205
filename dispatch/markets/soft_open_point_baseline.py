"""The baseline of the game, the grid's purchase price passed on unchanged, and what converters add to a plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.assets.price_taker_response import PriceTakerQp
from dispatch.case_soft_open_point import SoftOpenPointCase
from dispatch.markets.soft_open_point_inputs import OperatorInputs
from dispatch.markets.soft_open_point_network import NetworkStep, NetworkValue, Scenario, network_values, read_network
from dispatch.markets.soft_open_point_solution import SoftOpenPointSolution

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Posted:
    """A solution at posted prices, with the network's programs and their values."""

    solution: SoftOpenPointSolution
    steps: list[NetworkStep]
    values: tuple[NetworkValue, ...]

    @property
    def gap(self) -> float:
        """Proven distance of the network's cost from its least value, relative to the objective net of the uncontrolled cost."""
        inputs = self.solution.inputs
        net = self.solution.objective - inputs.uncontrolled_cost
        return sum(max(value.value - value.bound, 0.0) for value in self.values) / max(1.0, abs(net))


def at_grid_price(
    case: SoftOpenPointCase, inputs: OperatorInputs, scenario: Scenario, terminals: FloatArray | None = None
) -> Posted:
    """Prosumers pay and get the grid's purchase price and answer it; the operator steers its converters only.

    terminals: ``[M]``, 1 where a converter is, if that is a choice of the case.
    """
    price = inputs.hv_buy
    plans = tuple(PriceTakerQp(prosumer).respond(price, price) for prosumer in inputs.prosumers)
    exchange = np.stack([plan.exchange for plan in plans])
    steps = [NetworkStep(inputs, t, scenario) for t in range(inputs.steps)]
    chosen = terminals if terminals is not None and scenario.converters else np.zeros(0)
    values = network_values(steps, exchange, chosen)
    network = read_network(steps, values, inputs)
    return Posted(SoftOpenPointSolution(case, inputs, scenario, price, price, plans, chosen, network), steps, values)


def against_grid_price(solution: SoftOpenPointSolution, baseline: SoftOpenPointSolution) -> pd.DataFrame:
    """Money of each party here and at the grid's purchase price, currency; the gain is what the offered prices bring it."""
    before, here = baseline.money(), solution.money()
    rows = [(party, sum(before[party].values()), sum(here[party].values())) for party in here]
    table = pd.DataFrame(rows, columns=["party", "at_grid_price", "this_plan"])
    return table.assign(gain=table["this_plan"] - table["at_grid_price"])


def objective_table(solution: SoftOpenPointSolution, baseline: SoftOpenPointSolution) -> pd.DataFrame:
    """The operator's objective by item, weighted, currency: here and at the grid's purchase price."""
    here, before = solution.objective_items(), baseline.objective_items()
    rows = [(item.replace("_", " "), value, before[item]) for item, value in here.items()]
    return pd.DataFrame(rows, columns=["item", "weighted_cost", "weighted_cost_at_grid_price"])


def converter_table(solution: SoftOpenPointSolution) -> pd.DataFrame:
    """Voltages and losses of this plan with its converters, and of the same exchanges with the converters off."""
    inputs, off = solution.inputs, replace(solution.scenario, converters=False)
    steps = [NetworkStep(inputs, t, off) for t in range(inputs.steps)]
    values = network_values(steps, solution.exchange, np.zeros(0))
    without = replace(solution, scenario=off, terminals=np.zeros(0), network=read_network(steps, values, inputs))
    table = pd.concat([solution.voltage_table(), without.voltage_table()], ignore_index=True)
    table = table.drop(columns="mean_deviation_pu")
    table.insert(0, "converters", ["on", "off"])
    return table.assign(objective=[solution.objective, without.objective])
