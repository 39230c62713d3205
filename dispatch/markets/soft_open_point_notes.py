"""What a reader of a soft open point schedule must know, one sentence each."""

from __future__ import annotations

from dispatch.markets.soft_open_point_solution import SoftOpenPointSolution

#: A squared voltage further than this outside its soft limits, summed over buses, p.u., is worth a sentence.
BEYOND_LIMITS = 1e-6


def notes_of(
    solution: SoftOpenPointSolution, baseline: SoftOpenPointSolution, priced: bool, status: str
) -> tuple[str, ...]:
    """Sentences for the page and ``summary.json``; ``baseline`` is the plan at the grid's purchase price."""
    inputs, currency = solution.inputs, solution.case.currency
    net = solution.objective - inputs.uncontrolled_cost
    notes = [
        "Optimistic value: among plans that cost a prosumer the same, the operator's best is taken."
        if priced
        else "No game: the grid's purchase price is passed on, and the operator steers its converters only.",
        f"The gap is relative to the {net:,.2f} {currency} of the objective left without the purchase of the feeder's own load.",
    ]
    weights = inputs.weights
    if solution.scenario.security:
        notes.append(
            f"The cost is the operator's objective, {weights.cost:g} of its money and of a price of losses and "
            f"{weights.voltage:g} of a price of voltage deviations; the money itself stands with the parties."
        )
    if priced:
        saved = baseline.objective - solution.objective
        notes.append(
            f"Against passing on the grid's purchase price the operator's objective falls by {saved:,.2f} {currency}. That it "
            "cannot rise is a theorem, as that price may be offered; that prosumers gain too is none: they lose wherever they "
            "sell below it."
        )
    if solution.converter_buses and solution.terminals.size:
        buses = ", ".join(str(bus) for bus in solution.converter_buses.values())
        notes.append(f"Converters are placed at buses {buses}.")
    notes += _scenario_notes(solution)
    if status != "optimal":
        notes.append(
            "Time ran out before the gap asked for was closed: the prices are the best found, the gap is proven."
        )
    return tuple(notes)


def _scenario_notes(solution: SoftOpenPointSolution) -> list[str]:
    """How the paper's over-limit rate reads here (Lou et al. 2025, Table 3: 26.39, 65.03 and 0% in scenarios 1 to 3)."""
    rate = 100 * float(solution.voltage_table()["over_limit_share"].iloc[0])
    shown = f"{rate:.2f}% of all bus-hours are outside the voltage limits here"
    if not solution.scenario.security:
        words = "for this scenario of money alone; the rate depends on the feeder's load, which they do not print"
        return [f"{shown}. Lou et al. 2025 report 26.39% {words}."]
    if not solution.scenario.converters:
        words = "without soft open point, although their limits are hard (Eq. 10), so that they must have been soft"
        return [f"{shown}, at a penalty. Lou et al. 2025 report 65.03% {words}."]
    notes = [f"{shown}; Lou et al. 2025 report 0% with the soft open point."]
    if solution.network.beyond.sum() > BEYOND_LIMITS:
        notes.append("Some voltages are outside their limits, which are soft here and penalised.")
    return notes
