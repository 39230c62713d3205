"""Upper bounds on squared currents that every AC state obeys and that a slack cone does not.

The relaxed cone bounds a squared current from below only; where losses are useful the optimum invents them. Two facts
bound it from above without cutting off any AC state that keeps the voltage limits:

- Kirchhoff: the current of a line is the sum of the bus currents behind it, each at most ``|s| / min_voltage_pu``;
- secants: ``l u = P^2 + Q^2`` lies below the chords of the two parabolas over the ranges of ``P`` and ``Q``, and above
  the McCormick under-estimators of ``l u``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from dispatch.conic.compiled import Compiled
from dispatch.errors import SolverError
from dispatch.network.distflow import DistFlow
from dispatch.network.line_columns import LineColumns, receiving_and_children

FloatArray = npt.NDArray[np.float64]

#: Passes in which flow ranges and current bounds tighten each other.
TIGHTENING_PASSES = 3


@dataclass(frozen=True, eq=False)
class FlowRanges:
    """Ranges that every AC state within the voltage limits keeps, p.u., each of shape [step, line].

    p_low, p_high, q_low, q_high: flow at the sending end. current_high: squared current. u_low, u_high: squared voltage
    of the sending bus.
    """

    at: LineColumns
    p_low: FloatArray
    p_high: FloatArray
    q_low: FloatArray
    q_high: FloatArray
    current_high: FloatArray
    u_low: FloatArray
    u_high: FloatArray

    @classmethod
    def of(cls, compiled: Compiled, block: Any) -> FlowRanges:
        """Ranges of a DistFlow block from the bounds of whatever enters its balances.

        Raises SolverError if a net consumption or the lower voltage limit has no finite bound, naming the first bus.
        """
        network: DistFlow = block.distflow
        feeder, limits = network.feeder, network.limits
        if not limits.min_voltage_pu:
            raise SolverError("bounding currents needs a lower voltage limit; set min_voltage_pu in the network limits")
        at = LineColumns.of(compiled, block)
        p_net = _net_range(compiled, block, block.eq_p_balance, at.p, at.current)
        q_net = _net_range(compiled, block, block.eq_q_balance, at.q, at.current)
        behind = _subtree(network)
        u_low = compiled.lower[at.sending]
        u_high = np.minimum(compiled.upper[at.sending], _highest_voltage_sq(network, p_net[0], q_net[0], behind))
        strongest = np.hypot(np.abs(np.array(p_net)).max(axis=0), np.abs(np.array(q_net)).max(axis=0))
        current = np.minimum(compiled.upper[at.current], (strongest @ behind.T / limits.min_voltage_pu) ** 2)
        p_low = np.maximum(p_net[0] @ behind.T, compiled.lower[at.p])
        q_low = np.maximum(q_net[0] @ behind.T, compiled.lower[at.q])
        for _ in range(TIGHTENING_PASSES):
            p_high = np.minimum((p_net[1] + feeder.r_pu * current) @ behind.T, compiled.upper[at.p])
            q_high = np.minimum((q_net[1] + feeder.x_pu * current) @ behind.T, compiled.upper[at.q])
            farthest = np.maximum(p_low**2, p_high**2) + np.maximum(q_low**2, q_high**2)
            current = np.minimum(current, farthest / u_low)
        return cls(at, p_low, p_high, q_low, q_high, current, u_low, u_high)

    def bounding(self, compiled: Compiled) -> Compiled:
        """The compiled model with the squared currents bounded; cheap, and keeps a slack relaxation finite."""
        upper = compiled.upper.copy()
        upper[self.at.current] = np.minimum(upper[self.at.current], self.current_high)
        return replace(compiled, upper=upper)

    def with_secants(self, compiled: Compiled) -> Compiled:
        """The bounded model with the two secant rows of every line and step."""
        s, t = self.p_low + self.p_high, self.q_low + self.q_high
        d = self.p_low * self.p_high + self.q_low * self.q_high
        nothing = np.zeros_like(d)
        chords = _Chords(self.at, compiled.size)
        chords.add(self.u_low, nothing, nothing, s, t, d)
        chords.add(self.u_high, self.current_high, self.current_high * self.u_high, s, t, d)
        matrix, limit = chords.finish()
        return self.bounding(compiled).with_rows(matrix, np.full(len(limit), -np.inf), limit)


class _Chords:
    """Rows ``a l + b u - c <= s P + t Q - d``, scaled by their largest coefficient."""

    def __init__(self, at: LineColumns, size: int) -> None:
        self.at, self.size = at, size
        self.parts: list[tuple[FloatArray, ...]] = []

    def add(self, a: FloatArray, b: FloatArray, c: FloatArray, s: FloatArray, t: FloatArray, d: FloatArray) -> None:
        self.parts.append((a, b, c, s, t, d))

    def finish(self) -> tuple[csr_array, FloatArray]:
        columns = np.stack([self.at.current.ravel(), self.at.sending.ravel(), self.at.p.ravel(), self.at.q.ravel()])
        rows_each, blocks, limits = columns.shape[1], [], []
        for a, b, c, s, t, d in self.parts:
            values = np.stack([a.ravel(), b.ravel(), -s.ravel(), -t.ravel()])
            scale = np.maximum(np.abs(values).max(axis=0), 1e-9)
            blocks.append(values / scale)
            limits.append((c - d).ravel() / scale)
        values = np.concatenate(blocks, axis=1)
        places = np.tile(columns, len(blocks))
        rows = np.broadcast_to(np.arange(values.shape[1]), values.shape)
        shape = (rows_each * len(blocks), self.size)
        return csr_array(coo_array((values.ravel(), (rows.ravel(), places.ravel())), shape=shape)), np.concatenate(
            limits
        )


def _net_range(
    compiled: Compiled, block: Any, balance: Any, flow: npt.NDArray[np.int64], current: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Least and largest net consumption behind each balance row, p.u., shape [step, line], by interval arithmetic."""
    network: DistFlow = block.distflow
    row_of = {id(source): row for row, source in enumerate(compiled.sources)}
    rows = np.array(
        [[row_of[id(balance[i, j, t])] for i, j in network.feeder.line_keys] for t in network.steps], dtype=np.int64
    )
    own = np.zeros(compiled.size, dtype=bool)
    own[flow] = own[current] = True
    part = compiled.matrix[rows.ravel()]
    taken = csr_array((np.where(own[part.indices], 0.0, -part.data), part.indices, part.indptr), shape=part.shape)
    taken.eliminate_zeros()
    up, down = taken.maximum(0.0), taken.minimum(0.0)
    fixed = compiled.row_upper[rows]
    with np.errstate(invalid="ignore"):
        least = (up @ compiled.lower + down @ compiled.upper).reshape(rows.shape) + fixed
        most = (up @ compiled.upper + down @ compiled.lower).reshape(rows.shape) + fixed
    open_ended = np.argwhere(~(np.isfinite(least) & np.isfinite(most)))
    if len(open_ended):
        step, line = open_ended[0]
        raise SolverError(
            f"bounding currents: net consumption at bus {network.feeder.line_keys[line][1]}, step {network.steps[step]} "
            "has no finite bound; bound the variables that enter it"
        )
    return least, most


def _subtree(network: DistFlow) -> FloatArray:
    """``behind[l, m] = 1`` if line ``m`` is ``l`` or is fed through it."""
    _, out = receiving_and_children(network)
    behind = np.eye(len(out))
    for line in reversed(range(len(out))):
        behind[line] += behind[out[:, line] > 0].sum(axis=0)
    return behind


def _highest_voltage_sq(network: DistFlow, p_low: FloatArray, q_low: FloatArray, behind: FloatArray) -> FloatArray:
    """Lossless squared voltage of each line's sending bus at least consumption, which no AC state exceeds."""
    feeder = network.feeder
    drop = 2.0 * (feeder.r_pu * (p_low @ behind.T) + feeder.x_pu * (q_low @ behind.T))
    end = network.limits.root_voltage_pu**2 - drop @ behind
    line_into = {j: line for line, (_, j) in enumerate(feeder.line_keys)}
    root = np.full(len(network.steps), network.limits.root_voltage_pu**2)
    return np.stack([end[:, line_into[i]] if i in line_into else root for i, _ in feeder.line_keys], axis=1)
