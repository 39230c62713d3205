"""Is the relaxed network answer physical, and what to do when it is not.

The second-order cone relaxation of DistFlow is exact when every loss costs something. Where losses are useful (prices at
or below zero, surplus without export, a voltage limit from above, voltage-deviation objectives) its optimum can hold
currents that no network carries. Here that is detected by the cones' gap and an AC replay, never by prices, and repaired.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dispatch.conic.clarabel_oracle import OracleAnswer, solve_continuous
from dispatch.conic.compiled import Compiled, compile_model
from dispatch.conic.cones import Cone
from dispatch.conic.options import SolveResult, SolverOptions, result_of
from dispatch.conic.outer_approximation import OuterApproximation
from dispatch.conic.tangents import CutPool
from dispatch.errors import SolverError
from dispatch.network.distflow import DistFlow
from dispatch.network.line_columns import LineColumns, net_consumption
from dispatch.network.power_flow import solve_power_flow
from dispatch.network.repair import Repair, repair
from dispatch.network.secants import FlowRanges

#: Largest cone gap (p.u.), voltage error (p.u.) and loss error (MW) of an answer that counts as physical.
GAP_TOLERANCE_PU = 1e-4
VOLTAGE_TOLERANCE_PU = 1e-5
LOSS_TOLERANCE_MW = 1e-5


@dataclass(frozen=True)
class ExactnessReport:
    """How far a network answer is from an AC state.

    cone_gap_pu: largest ``|l u - P^2 - Q^2|`` over lines and steps.
    voltage_error_pu, loss_error_mw: largest differences from the AC power flow at the same net loads; infinite if that
        has no solution.
    slack: the lines and steps whose cone gap is too large, worst first, as ((sending, receiving), step).
    repaired: True if the relaxation was not physical and the answer was mended.
    """

    cone_gap_pu: float
    voltage_error_pu: float
    loss_error_mw: float
    slack: tuple[tuple[tuple[int, int], Any], ...] = ()
    repaired: bool = False

    @property
    def exact(self) -> bool:
        """True if the answer is an AC state to tolerance."""
        return (
            self.cone_gap_pu <= GAP_TOLERANCE_PU
            and self.voltage_error_pu <= VOLTAGE_TOLERANCE_PU
            and self.loss_error_mw <= LOSS_TOLERANCE_MW
        )


def check_exactness(block: Any) -> ExactnessReport:
    """Compare the values in a DistFlow block with the AC power flow at the net loads that its balances imply.

    block: made by :func:`dispatch.network.distflow.declare_distflow`, with values in its variables.
    """
    network: DistFlow = block.distflow
    lines, steps = network.feeder.line_keys, network.steps
    values = {
        name: np.array([[variable[(*line, t)].value for line in lines] for t in steps], dtype=float)
        for name, variable in (
            ("p", block.flow_p_pu),
            ("q", block.flow_q_pu),
            ("current", block.current_sq_pu),
        )
    }
    voltage = np.array(
        [[block.voltage_sq_pu[bus, t].value for bus in network.feeder.bus_ids] for t in steps], dtype=float
    )
    return _report(network, values["p"], values["q"], values["current"], voltage)


def solve_exact(
    model: Any,
    cones: Sequence[Cone],
    block: Any,
    options: SolverOptions | None = None,
    warm_cuts: CutPool | None = None,
) -> tuple[SolveResult, ExactnessReport]:
    """Solve as :func:`dispatch.solver.solve` does, and make sure that the network answer is physical.

    If the relaxation leaves cones slack, squared currents are bounded from above (Kirchhoff and secant bounds, valid for
    every AC state within the voltage limits), the problem is solved again for a valid bound and a commitment, and
    sequential linearisation with the integers fixed gives the physical schedule. If the gap is then open, reduced costs
    narrow the flow ranges and the loosest chords are cut into segments. ``objective`` is the physical profit or cost and
    ``bound`` the relaxation's; the status is ``feasible`` if their gap stays open.

    block: the DistFlow block inside ``model``. Other arguments and errors as for ``solve``; ``solver`` must be ``highs``.

    Raises
    ------
    SolverError: no lower voltage limit, a net consumption without finite bounds, or slack cones and no physical schedule
        found, with the worst lines.
    """
    options = options or SolverOptions()
    if options.solver != "highs":
        raise SolverError("solve_exact works with solver=highs; use solve for a second opinion by SCIP")
    start = time.perf_counter()
    deadline = start + options.time_limit_s
    compiled = compile_model(model, cones)
    at = LineColumns.of(compiled, block)
    ranges = _ranges_if_known(compiled, block)
    bounded = ranges.bounding(compiled) if ranges else compiled
    seconds = {"build": time.perf_counter() - start}
    relaxed = None
    if options.cone_oracle == "clarabel":
        relaxed = solve_continuous(bounded, bounded.lower, bounded.upper, options.time_limit_s, options.threads)
        seconds["relax"] = time.perf_counter() - start - seconds["build"]
    if relaxed is None or relaxed.status != "optimal" or not _is_slack(at, relaxed.x):
        engine = _solved(bounded, options, warm_cuts, deadline, relaxed)
        if engine.x is None or not _is_slack(at, engine.x):
            return _finish(compiled, block, engine, engine.x, seconds, start, engine.pool(), repaired=False)
    mended = repair(
        compiled, block, ranges or FlowRanges.of(compiled, block), GAP_TOLERANCE_PU, options, warm_cuts, deadline
    )
    if mended.x is None and mended.relaxed_x is not None:
        worst = _slack_lines(block.distflow, at.gap(mended.relaxed_x))[:3]
        raise SolverError(
            f"losses are useful here and no physical schedule was found; slackest lines and steps: {worst}"
        )
    return _finish(compiled, block, mended, mended.x, seconds, start, mended.cuts, repaired=mended.x is not None)


def _ranges_if_known(compiled: Compiled, block: Any) -> FlowRanges | None:
    """Flow ranges, or None where something unbounded enters the network; they are indispensable for a repair only."""
    try:
        return FlowRanges.of(compiled, block)
    except SolverError:
        return None


def _solved(
    compiled: Compiled,
    options: SolverOptions,
    warm_cuts: CutPool | None,
    deadline: float,
    relaxed: OracleAnswer | None = None,
) -> OuterApproximation:
    engine = OuterApproximation(compiled, options, warm_cuts, deadline)
    engine.run(relaxed)
    return engine


def _is_slack(at: LineColumns, x: Any) -> bool:
    return bool(np.abs(at.gap(x)).max() > GAP_TOLERANCE_PU)


def _finish(
    compiled: Compiled,
    block: Any,
    outcome: OuterApproximation | Repair,
    x: Any,
    seconds: Mapping[str, float],
    start: float,
    cuts: CutPool,
    repaired: bool,
) -> tuple[SolveResult, ExactnessReport]:
    report = ExactnessReport(np.inf, np.inf, np.inf)
    if x is not None:
        compiled.load(x)
        report = replace(check_exactness(block), repaired=repaired)
    spent = {**outcome.seconds, **seconds}
    spent["relax"] = outcome.seconds.get("relax", 0.0) + seconds.get("relax", 0.0)
    spent["total"] = time.perf_counter() - start
    value, bound, rounds = outcome.value, outcome.bound, outcome.rounds
    return result_of(compiled.sense, outcome.status, value, bound, spent, rounds, cuts, ""), report


def _report(network: DistFlow, p: Any, q: Any, current: Any, voltage_sq: Any) -> ExactnessReport:
    feeder = network.feeder
    sending = [feeder.position[i] for i, _ in feeder.line_keys]
    gap = current * voltage_sq[:, sending] - p**2 - q**2
    net = net_consumption(network, p, q, current)
    try:
        replay = solve_power_flow(feeder, *net, network.limits.root_voltage_pu)
    except SolverError:
        return ExactnessReport(float(np.abs(gap).max()), np.inf, np.inf, _slack_lines(network, gap))
    loss = (current * feeder.r_pu).sum(axis=1) * feeder.base_mva
    return ExactnessReport(
        cone_gap_pu=float(np.abs(gap).max()),
        voltage_error_pu=float(np.abs(np.sqrt(voltage_sq) - replay.voltage_pu).max()),
        loss_error_mw=float(np.abs(loss - replay.loss_mw).max()),
        slack=_slack_lines(network, gap),
    )


def _slack_lines(network: DistFlow, gap: Any) -> tuple[tuple[tuple[int, int], Any], ...]:
    worst = np.argsort(-np.abs(gap), axis=None)
    places = (divmod(int(k), gap.shape[1]) for k in worst[: int((np.abs(gap) > GAP_TOLERANCE_PU).sum())])
    return tuple((network.feeder.line_keys[line], network.steps[step]) for step, line in places)
