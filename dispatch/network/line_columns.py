"""Where the quantities of a DistFlow block stand among the columns of a compiled model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dispatch.conic.compiled import Compiled
from dispatch.network.distflow import DistFlow

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LineColumns:
    """Columns of flow, squared current and sending voltage, each of shape [step, line]."""

    p: IntArray
    q: IntArray
    current: IntArray
    sending: IntArray

    @classmethod
    def of(cls, compiled: Compiled, block: Any) -> LineColumns:
        """Columns of a block made by :func:`dispatch.network.distflow.declare_distflow`."""
        network: DistFlow = block.distflow

        def columns(variable: Any, key: Any) -> IntArray:
            return np.array(
                [
                    [compiled.place[id(variable[key(i, j, t)])] for i, j in network.feeder.line_keys]
                    for t in network.steps
                ]
            )

        return cls(
            p=columns(block.flow_p_pu, lambda i, j, t: (i, j, t)),
            q=columns(block.flow_q_pu, lambda i, j, t: (i, j, t)),
            current=columns(block.current_sq_pu, lambda i, j, t: (i, j, t)),
            sending=columns(block.voltage_sq_pu, lambda i, j, t: (i, t)),
        )

    def gap(self, x: FloatArray) -> FloatArray:
        """``l u - P^2 - Q^2`` at ``x``, p.u., shape [step, line]."""
        found: FloatArray = x[self.current] * x[self.sending] - x[self.p] ** 2 - x[self.q] ** 2
        return found


def net_consumption(
    network: DistFlow, p: FloatArray, q: FloatArray, current: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Net consumption that the balances imply, MW and Mvar, shape [step, bus]; zero at the root.

    p, q, current: sending flows and squared currents, p.u., shape [step, line].
    """
    feeder = network.feeder
    into, out = receiving_and_children(network)
    active = np.zeros((len(network.steps), len(feeder.buses)))
    reactive = np.zeros_like(active)
    active[:, into] = p - feeder.r_pu * current - p @ out
    reactive[:, into] = q - feeder.x_pu * current - q @ out
    return active * feeder.base_mva, reactive * feeder.base_mva


def receiving_and_children(network: DistFlow) -> tuple[IntArray, FloatArray]:
    """Position of each line's receiving bus, and ``out[m, l] = 1`` where line ``m`` starts at the end of ``l``."""
    feeder = network.feeder
    into = np.array([feeder.position[j] for _, j in feeder.line_keys])
    start = np.array([feeder.position[i] for i, _ in feeder.line_keys])
    return into, (start[:, None] == into[None, :]).astype(float)
