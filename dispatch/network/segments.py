"""Piecewise chords of the squared flow: the bound of a repaired problem, tightened where it is loose.

Over the whole range of a flow the chord of ``P^2`` is loose by up to a quarter of the squared range. Where that matters
the range is cut at the physical schedule's flow, at which the chord then is exact, and nearby; a binary picks the segment
(the disaggregated form, whose relaxation is the convex hull of the segments).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from dispatch.conic.compiled import Compiled
from dispatch.network.secants import FlowRanges

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Distance of the outer break points from the schedule's flow, as a share of the range.
NEIGHBOUR_SHARE = 1.0 / 8.0
#: Share of the invented losses whose lines are cut, and the most lines and steps that are.
COVERED_SHARE, MOST_LINES = 0.97, 24


def loosest_lines(ranges: FlowRanges, r_pu: FloatArray, x: FloatArray) -> IntArray:
    """(step, line) positions that hold most of the invented losses at ``x``, worst first, shape [n, 2]."""
    at = ranges.at
    excess = np.maximum(r_pu * at.gap(x) / np.maximum(x[at.sending], 1e-9), 0.0)
    order = np.argsort(-excess, axis=None)
    running = np.cumsum(excess.ravel()[order])
    count = int(np.searchsorted(running, COVERED_SHARE * running[-1])) + 1 if running[-1] > 0 else 0
    chosen = order[: min(count, MOST_LINES)]
    return np.stack(np.unravel_index(chosen, excess.shape), axis=1)


def with_segments(
    ranges: FlowRanges, compiled: Compiled, where: IntArray, x: FloatArray
) -> tuple[Compiled, FloatArray]:
    """The model (secants included) with segments of ``P`` on the lines and steps ``where``, and ``x`` among its points.

    where: (step, line) positions, shape [n, 2]. x: the physical schedule around whose flows the ranges are cut.
    """
    step, line = where.T
    p_at = x[ranges.at.p]
    low, high, centre = ranges.p_low[step, line], ranges.p_high[step, line], p_at[step, line]
    near = NEIGHBOUR_SHARE * (high - low)
    cuts = np.sort(np.clip(np.stack([low, centre - near, centre, centre + near, high]), low, high), axis=0)
    begin, end = cuts[:-1], cuts[1:]
    pieces, count = begin.shape
    total = pieces * count
    flow = compiled.size + np.arange(total).reshape(pieces, count)
    pick = flow + total
    wider = compiled.with_columns(
        np.concatenate([np.minimum(begin, 0.0).ravel(), np.zeros(total)]),
        np.concatenate([np.maximum(end, 0.0).ravel(), np.ones(total)]),
        np.concatenate([np.zeros(total, dtype=bool), np.ones(total, dtype=bool)]),
    )
    rows = _Rows()
    ones, none = np.ones(count), np.full(count, -np.inf)
    rows.add([(pick[k], ones) for k in range(pieces)], ones, ones)
    p, q = ranges.at.p[step, line], ranges.at.q[step, line]
    rows.add([(p, -ones), *((flow[k], ones) for k in range(pieces))], 0.0 * ones, 0.0 * ones)
    for k in range(pieces):
        rows.add([(flow[k], ones), (pick[k], -end[k])], none, 0.0 * ones)
        rows.add([(flow[k], -ones), (pick[k], begin[k])], none, 0.0 * ones)
    chord = [
        *((flow[k], -(begin[k] + end[k])) for k in range(pieces)),
        *((pick[k], begin[k] * end[k]) for k in range(pieces)),
        (q, -(ranges.q_low + ranges.q_high)[step, line]),
    ]
    limit = -(ranges.q_low * ranges.q_high)[step, line]
    current, sending = ranges.at.current[step, line], ranges.at.sending[step, line]
    top, u_high = ranges.current_high[step, line], ranges.u_high[step, line]
    rows.add([(current, ranges.u_low[step, line]), *chord], none, limit)
    rows.add([(current, u_high), (sending, top), *chord], none, limit + top * u_high)
    return wider.with_rows(*rows.finish(wider.size)), np.concatenate([x, *_position(begin, end, centre)])


def _position(begin: FloatArray, end: FloatArray, flow: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values of the segment flows and of the binaries at ``flow``, both flat, segment by segment."""
    inside = (begin <= flow) & (flow <= end)
    chosen = np.zeros(begin.shape)
    chosen[inside.argmax(axis=0), np.arange(begin.shape[1])] = 1.0
    return (chosen * flow).ravel(), chosen.ravel()


class _Rows:
    """Groups of rows, each given by columns and coefficients of equal length."""

    def __init__(self) -> None:
        self.count = 0
        self.rows: list[IntArray] = []
        self.columns: list[IntArray] = []
        self.values: list[FloatArray] = []
        self.lower: list[FloatArray] = []
        self.upper: list[FloatArray] = []

    def add(self, terms: list[tuple[IntArray, FloatArray]], lower: FloatArray, upper: FloatArray) -> None:
        own = self.count + np.arange(len(lower))
        for columns, values in terms:
            self.rows.append(own)
            self.columns.append(columns)
            self.values.append(values)
        self.lower.append(lower)
        self.upper.append(upper)
        self.count += len(lower)

    def finish(self, size: int) -> tuple[csr_array, FloatArray, FloatArray]:
        entries = (np.concatenate(self.values), (np.concatenate(self.rows), np.concatenate(self.columns)))
        matrix = csr_array(coo_array(entries, shape=(self.count, size)))
        return matrix, np.concatenate(self.lower), np.concatenate(self.upper)
