"""The rows of a price-taker's own problem, tariffs apart (Chen et al. 2024, Eqs. 9-18; Lou et al. 2025, Eqs. 20-27)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, eye, hstack, vstack

from dispatch.assets.price_taker import PriceTaker

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FollowerProgram:
    """``min linear x + x quadratic x / 2`` over ``equal x = target``, ``below x <= limit``, ``lower <= x <= upper``.

    Costs are per MW and hour, without tariffs. The first rows of ``equal`` are the power balances. Slices give the place of
    each ``[T]`` group of columns.
    """

    linear: FloatArray
    quadratic: FloatArray
    equal: Any
    target: FloatArray
    below: Any
    limit: FloatArray
    lower: FloatArray
    upper: FloatArray
    bought: slice
    sold: slice
    curtailed: slice
    turbine: slice | None
    flows: tuple[tuple[slice, ...], ...]


@dataclass(frozen=True, eq=False)
class _Group:
    """Columns of one quantity over all steps; ``output``: effect on the balance."""

    output: float
    lower: FloatArray
    upper: FloatArray
    square: float = 0.0
    price: float = 0.0


def follower_program(grid: PriceTaker) -> FollowerProgram:
    """Balance ``B - S - r + g + sum output x = net load``, limits of trade, turbine with ramps, reservoirs.

    Departures from the paper: wind in the balance (Eq. 10 leaves it out) with free curtailment ``r``; the content of a battery
    falls by the power over its capacity (Eq. 16 divides by the horizon); shifted load.
    """
    T = grid.steps
    zero, trade = np.zeros(T), np.full(T, grid.trade_limit)
    groups = [_Group(1.0, zero, trade), _Group(-1.0, zero, trade), _Group(-1.0, zero, grid.curtailable)]
    unit = grid.turbine
    if unit is not None:
        top = np.full(T, unit.power_max_mw)
        groups.append(_Group(1.0, zero, top, unit.cost_quadratic_per_mw2h, unit.cost_linear_per_mwh))
    places: list[list[int]] = []
    for reservoir in grid.reservoirs:
        places.append([])
        for channel in reservoir.channels:
            places[-1].append(len(groups))
            groups.append(_Group(channel.output, channel.lower, channel.upper, channel.wear, channel.price))
    width = len(groups)

    def row(blocks: dict[int, Any], height: int) -> Any:
        return hstack([blocks.get(k, csr_matrix((height, T))) for k in range(width)], format="csr")

    equal = [row({k: group.output * eye(T, format="csr") for k, group in enumerate(groups)}, T)]
    target = [grid.net_load]
    below = [csr_matrix((0, width * T))]
    limit = [np.zeros(0)]
    for reservoir, found in zip(grid.reservoirs, places, strict=True):
        pairs = list(zip(found, reservoir.channels, strict=True))
        equal.append(row({k: csr_matrix(np.full((1, T), c.draw)) for k, c in pairs}, 1))
        target.append(np.zeros(1))
        if reservoir.bounded:
            until = csr_matrix(np.tril(np.ones((T, T)))[:-1]) * grid.step_hours
            drawn = row({k: c.draw * until for k, c in pairs}, T - 1)
            below += [drawn, -drawn]
            limit.append(np.full(T - 1, reservoir.energy_start - reservoir.energy_min))
            limit.append(np.full(T - 1, reservoir.energy_max - reservoir.energy_start))
    if unit is not None and T > 1:
        change = diags([-np.ones(T - 1), np.ones(T - 1)], [0, 1], shape=(T - 1, T), format="csr")
        for sign, ramp in ((1.0, unit.ramp_up_mw_per_hour), (-1.0, unit.ramp_down_mw_per_hour)):
            if ramp is not None:
                below.append(row({3: sign * change}, T - 1))
                limit.append(np.full(T - 1, ramp * grid.step_hours))

    def at(k: int) -> slice:
        return slice(k * T, (k + 1) * T)

    return FollowerProgram(
        linear=np.repeat([group.price for group in groups], T),
        quadratic=np.repeat([2.0 * group.square for group in groups], T),
        equal=vstack(equal, format="csr"),
        target=np.concatenate(target),
        below=vstack(below, format="csr"),
        limit=np.concatenate(limit),
        lower=np.concatenate([group.lower for group in groups]),
        upper=np.concatenate([group.upper for group in groups]),
        bought=at(0),
        sold=at(1),
        curtailed=at(2),
        turbine=at(3) if unit is not None else None,
        flows=tuple(tuple(at(k) for k in found) for found in places),
    )
