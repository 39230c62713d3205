"""Both ends of every cleared price: the least and the largest dual that any optimum of the market has."""

from __future__ import annotations

import highspy
import numpy as np
from numpy.typing import NDArray

from dispatch.errors import SolverError
from dispatch.markets.energy_clearing_program import ClearingPoint, ClearingProgram

FloatArray = NDArray[np.float64]

#: Distance from a limit, MW or MWh, below which the limit may have a dual.
ACTIVE = 1e-7
#: Reduced cost that counts as zero, currency per MW and step: the quadratic solver's own regularisation leaves 1e-7.
SLACK = 1e-6


def price_ranges(program: ClearingProgram, point: ClearingPoint) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest price of each step, ``[2, T]`` each, currency per MWh.

    Duals are optimal exactly if they are complementary to one optimum: the reduced cost ``c + Q x - A'y`` of a column is
    zero between its bounds, not negative at the lower and not positive at the upper one. That set is a polyhedron; two
    linear programs per price find its ends.
    """
    compiled, x = program.compiled, point.x
    gradient = compiled.cost + program.hessian * x
    at_low, at_high = x - compiled.lower <= ACTIVE, compiled.upper - x <= ACTIVE
    activity = compiled.matrix @ x
    low_side, high_side = activity - compiled.row_lower <= ACTIVE, compiled.row_upper - activity <= ACTIVE
    inf = highspy.kHighsInf
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = compiled.matrix.shape[0], compiled.size
    lp.col_cost_ = np.zeros(lp.num_col_)
    lp.col_lower_, lp.col_upper_ = np.where(high_side, -inf, 0.0), np.where(low_side, inf, 0.0)
    # reduced cost >= 0 is A'y <= gradient
    lp.row_lower_ = np.where(at_low, -inf, gradient - SLACK)
    lp.row_upper_ = np.where(at_high, inf, gradient + SLACK)
    transposed = compiled.matrix.tocsc()
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = transposed.indptr.astype(np.int32)
    lp.a_matrix_.index_ = transposed.indices.astype(np.int32)
    lp.a_matrix_.value_ = transposed.data
    highs.passModel(lp)
    ends = [
        [[_extreme(highs, int(row), sense) / program.inputs.step_hours for row in rows] for rows in program.rows]
        for sense in (highspy.ObjSense.kMinimize, highspy.ObjSense.kMaximize)
    ]
    low, high = (np.round(np.array(end), 4) + 0.0 for end in ends)
    return low, high


def _extreme(highs: highspy.Highs, row: int, sense: highspy.ObjSense) -> float:
    highs.changeObjectiveSense(sense)
    highs.changeColCost(row, 1.0)
    highs.run()
    status, value = highs.getModelStatus(), float(highs.getInfo().objective_function_value)
    highs.changeColCost(row, 0.0)
    if status == highspy.HighsModelStatus.kOptimal:
        return value
    if status in (highspy.HighsModelStatus.kUnbounded, highspy.HighsModelStatus.kUnboundedOrInfeasible):
        return float("inf") if sense == highspy.ObjSense.kMaximize else float("-inf")
    raise SolverError(f"the range of a cleared price was not found: HiGHS reports {highs.modelStatusToString(status)}")
