"""AC power flow of a radial feeder by backward/forward sweep, vectorised over time steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csc_matrix
from scipy.sparse.linalg import splu

from dispatch.errors import SolverError
from dispatch.network.feeder import Feeder

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class PowerFlow:
    """An AC solution; arrays follow ``feeder.bus_ids`` and ``feeder.line_keys``.

    voltage: complex, p.u., shape [step, bus].
    line_current: complex, p.u., positive away from the root, shape [step, line].
    line_p_mw, line_q_mvar: flow at the sending end, shape [step, line].
    loss_mw, loss_mvar: series losses of the whole feeder, shape [step].
    import_mw, import_mvar: power that the root takes from above, shape [step].
    mismatch_mva: largest error of any bus's complex power.
    iterations: sweeps used.
    """

    voltage: ComplexArray
    line_current: ComplexArray
    line_p_mw: FloatArray
    line_q_mvar: FloatArray
    loss_mw: FloatArray
    loss_mvar: FloatArray
    import_mw: FloatArray
    import_mvar: FloatArray
    mismatch_mva: float
    iterations: int

    @property
    def voltage_pu(self) -> FloatArray:
        """Voltage magnitude, p.u., shape [step, bus]."""
        return np.abs(self.voltage)

    @property
    def current_pu(self) -> FloatArray:
        """Current magnitude, p.u., shape [step, line]."""
        return np.abs(self.line_current)


def solve_power_flow(
    feeder: Feeder,
    p_net_mw: npt.ArrayLike,
    q_net_mvar: npt.ArrayLike,
    root_voltage_pu: float | FloatArray = 1.0,
    tolerance: float = 1e-12,
    max_sweeps: int = 200,
) -> PowerFlow:
    """AC power flow at constant-power net consumption.

    The sweep in matrix form: with the branch-to-parent matrix ``M`` of a tree, line currents are ``M J = conj(S / V)``
    and voltages are ``M' V = V0 - z J``, so one sparse factorisation serves every sweep and every step (J.-H. Teng,
    "A direct approach for distribution system load flow solutions", IEEE Trans. Power Delivery 18(3), 2003).

    Parameters
    ----------
    feeder: the network.
    p_net_mw, q_net_mvar: net consumption (generation negative) per bus in the order of ``feeder.bus_ids``, shape [bus]
        or [step, bus].
    root_voltage_pu: voltage magnitude at the root, a number or shape [step].
    tolerance: largest change of a voltage, p.u., at which the sweep stops.
    max_sweeps: give up after this many.

    Raises
    ------
    SolverError: wrong shape, values that are not finite, or no convergence (names the first step and the worst bus;
        usually the load exceeds what the lines can carry).
    """
    p, q = np.atleast_2d(np.asarray(p_net_mw, dtype=float)), np.atleast_2d(np.asarray(q_net_mvar, dtype=float))
    if p.shape != q.shape or p.shape[1] != len(feeder.buses):
        raise SolverError(
            f"power flow of {feeder.name}: net load has shapes {p.shape} and {q.shape}; "
            f"give [step, bus] with {len(feeder.buses)} buses in both"
        )
    if not (np.isfinite(p).all() and np.isfinite(q).all()):
        step, place = np.argwhere(~(np.isfinite(p) & np.isfinite(q)))[0]
        raise SolverError(f"power flow of {feeder.name}: net load at bus {feeder.bus_ids[place]}, step {step} is NaN")
    consumed = (p + 1j * q) / feeder.base_mva
    sending = np.array([feeder.position[i] for i, _ in feeder.line_keys], dtype=int)
    receiving = np.array([feeder.position[j] for _, j in feeder.line_keys], dtype=int)
    impedance = feeder.r_pu + 1j * feeder.x_pu
    tree = splu(_line_to_parent(feeder))
    root = np.broadcast_to(np.asarray(root_voltage_pu, dtype=float), (len(p),)).astype(complex)
    leaves_root = sending == feeder.position[feeder.root]

    voltage = np.repeat(root[:, None], len(feeder.buses), axis=1)
    demand = consumed[:, receiving]
    change, sweeps, current = np.inf, 0, np.zeros_like(demand)
    with np.errstate(all="ignore"):
        while sweeps < max_sweeps and not change <= tolerance:
            sweeps += 1
            current = tree.solve(np.conj(demand / voltage[:, receiving]).T).T
            source = np.where(leaves_root, root[:, None], 0.0) - impedance * current
            updated = tree.solve(np.ascontiguousarray(source.T), trans="T").T
            moved = np.abs(updated - voltage[:, receiving])
            change = float(moved.max()) if moved.size else 0.0
            voltage[:, receiving] = updated
            if not np.isfinite(change):
                break
    if not change <= tolerance:
        step, line = np.unravel_index(int(np.argmax(np.nan_to_num(moved, nan=np.inf))), moved.shape)
        raise SolverError(
            f"power flow of {feeder.name}: no AC solution found at step {step} near bus {feeder.line_keys[line][1]} "
            f"after {sweeps} sweeps; the load there probably exceeds what the lines can carry"
        )
    flow = voltage[:, sending] * np.conj(current)
    loss = (impedance * np.abs(current) ** 2).sum(axis=1) * feeder.base_mva
    supplied = flow[:, leaves_root].sum(axis=1) + consumed[:, feeder.position[feeder.root]]
    drawn = voltage[:, receiving] * np.conj((_line_to_parent(feeder) @ current.T).T)
    return PowerFlow(
        voltage=voltage,
        line_current=current,
        line_p_mw=flow.real * feeder.base_mva,
        line_q_mvar=flow.imag * feeder.base_mva,
        loss_mw=loss.real,
        loss_mvar=loss.imag,
        import_mw=supplied.real * feeder.base_mva,
        import_mvar=supplied.imag * feeder.base_mva,
        mismatch_mva=float(np.abs(drawn - demand).max(initial=0.0)) * feeder.base_mva,
        iterations=sweeps,
    )


def _line_to_parent(feeder: Feeder) -> csc_matrix:
    """``M`` with ``(M J)_l = J_l`` minus the currents of the lines that continue from the end of ``l``, [line, line]."""
    line_into = {j: line for line, (_, j) in enumerate(feeder.line_keys)}
    below = [(line_into[i], line) for line, (i, _) in enumerate(feeder.line_keys) if i != feeder.root]
    count = len(feeder.line_keys)
    rows = [*range(count), *(parent for parent, _ in below)]
    cols = [*range(count), *(line for _, line in below)]
    values = [1.0 + 0j] * count + [-1.0 + 0j] * len(below)
    return csc_matrix(coo_array((values, (rows, cols)), shape=(count, count)))
