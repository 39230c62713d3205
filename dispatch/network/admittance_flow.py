"""AC voltages by the bus admittance matrix: a second route to what the sweeps of ``power_flow`` find.

Schedules mended to an AC state take their voltages from the sweeps; a replay by the sweeps would agree with them by
construction. This one shares no equation with them: it knows buses and admittances, neither lines in order nor a tree.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csc_matrix
from scipy.sparse.linalg import splu

from dispatch.errors import SolverError
from dispatch.network.feeder import Feeder

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

#: Largest change of a voltage, p.u., at which the iteration stops, and the most iterations.
TOLERANCE, ITERATIONS = 1e-12, 300


def bus_voltages(feeder: Feeder, p_net_mw: FloatArray, q_net_mvar: FloatArray, root_voltage_pu: float) -> ComplexArray:
    """Complex voltages ``[step, bus]``, p.u., at constant-power net consumption ``[step, bus]``.

    The implicit Z-bus iteration ``Y_LL V_L = conj(S_L / V_L) - Y_L0 V_0`` with one factorisation of ``Y_LL`` (T.-H. Chen
    et al., "Distribution system power flow analysis - a rigid approach", IEEE Trans. Power Delivery 6(3), 1991).

    Raises SolverError if it does not converge: the load exceeds what the lines can carry.
    """
    admittance = _admittance(feeder)
    root = feeder.position[feeder.root]
    others = np.delete(np.arange(len(feeder.bus_ids)), root)
    inner = splu(csc_matrix(admittance[others][:, others]))
    injected = -(p_net_mw + 1j * q_net_mvar)[:, others] / feeder.base_mva
    voltage = np.full((len(injected), len(feeder.bus_ids)), complex(root_voltage_pu))
    fixed = (admittance[others][:, [root]] @ np.full((1, len(injected)), complex(root_voltage_pu))).T
    for _ in range(ITERATIONS):
        with np.errstate(all="ignore"):
            updated = inner.solve((np.conj(injected / voltage[:, others]) - fixed).T).T
        change = float(np.abs(updated - voltage[:, others]).max(initial=0.0))
        voltage[:, others] = updated
        if change <= TOLERANCE:
            return voltage
        if not np.isfinite(change):
            break
    raise SolverError(
        f"AC replay of {feeder.name}: no voltages carry these net loads; they exceed what the lines can take"
    )


def line_losses(feeder: Feeder, voltage: ComplexArray) -> FloatArray:
    """Active losses ``[step]``, MW, at complex bus voltages ``[step, bus]``."""
    start, end = _ends(feeder)
    across = np.abs(voltage[:, start] - voltage[:, end]) ** 2
    losses: FloatArray = (across * _line_admittance(feeder).real).sum(axis=1) * feeder.base_mva
    return losses


def _admittance(feeder: Feeder) -> csc_matrix:
    start, end = _ends(feeder)
    y = _line_admittance(feeder)
    rows = np.concatenate([start, end, start, end])
    columns = np.concatenate([start, end, end, start])
    size = len(feeder.bus_ids)
    return csc_matrix(coo_array((np.concatenate([y, y, -y, -y]), (rows, columns)), shape=(size, size)))


def _line_admittance(feeder: Feeder) -> ComplexArray:
    impedance = feeder.r_pu.astype(np.complex128) + 1j * feeder.x_pu
    return np.reciprocal(impedance)


def _ends(feeder: Feeder) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    ends = np.array([[feeder.position[i], feeder.position[j]] for i, j in feeder.line_keys], dtype=np.int64)
    return ends[:, 0], ends[:, 1]
