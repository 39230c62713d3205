"""What subsidies can do in one hour without a network: flexible demand in segments of rising cost."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import AdnoInputs, adno_inputs
from dispatch.errors import OptionError
from dispatch.markets.adno_faithful import limit_line, useful_lump_sum
from dispatch.markets.adno_followers import response_range
from dispatch.settlement.problem import FloatArray

#: Variants of the follower that separate by customer once the network is left out.
SEPARABLE = ("responsive", "no_subsidy", "faithful")


@dataclass(frozen=True, eq=False)
class Response:
    """Flexible demand of ``G`` segments per step; arrays ``[T, G]``, or ``[K, T, G]`` for days of different load.

    base_mw: demand that comes without subsidy.
    width_mw: demand that the operator may add.
    cost_per_mwh, slope: subsidies for ``x`` MW of a segment cost ``cost_per_mwh x + slope x^2 / 2`` per hour.
    retail_per_mwh: what the customer pays for either.
    lump_sum: whether the subsidy widens a limit instead of paying for each MWh.
    """

    base_mw: FloatArray
    width_mw: FloatArray
    cost_per_mwh: FloatArray
    slope: FloatArray
    retail_per_mwh: FloatArray
    lump_sum: bool = False

    def best(self, value_per_mwh: FloatArray) -> FloatArray:
        """Added demand that earns most where energy is worth ``value_per_mwh``, ``[..., T]``; the answer is ``[..., T, G]``.

        The margin ``retail - value - cost - slope x`` falls in ``x``, so each segment is filled up to where it vanishes.
        """
        margin = self.retail_per_mwh - value_per_mwh[..., None] - self.cost_per_mwh
        straight = np.where(margin > 0, self.width_mw, 0.0)
        bent = np.divide(margin, self.slope, out=straight.copy(), where=np.broadcast_to(self.slope > 0, margin.shape))
        added: FloatArray = np.where(self.slope > 0, np.clip(bent, 0.0, self.width_mw), straight)
        return added

    def subsidy(self, added_mw: FloatArray) -> FloatArray:
        """Subsidies per hour for ``added_mw [..., T, G]``, ``[..., T]``."""
        cost: FloatArray = (self.cost_per_mwh * added_mw + 0.5 * self.slope * added_mw**2).sum(axis=-1)
        return cost

    def income(self, added_mw: FloatArray) -> FloatArray:
        """Retail income per hour from flexible demand, ``[..., T]``."""
        income: FloatArray = (self.retail_per_mwh * (self.base_mw + added_mw)).sum(axis=-1)
        return income

    def demand(self, added_mw: FloatArray) -> FloatArray:
        """Flexible demand, ``[..., T]``, MW."""
        total: FloatArray = (self.base_mw + added_mw).sum(axis=-1)
        return total

    def of_days(self, ratio: FloatArray) -> Response:
        """The response on days whose rigid load is ``ratio [K, T]`` times that of the case.

        Flexible demand is a share of the rigid load, so widths grow with it and the slope falls; the price of a segment
        stays. A lump sum widens the limit by a share of the load, so there the price of a segment falls as well.
        """
        by = ratio[..., None]
        shape = np.broadcast_shapes(self.slope.shape, by.shape)
        slope = np.divide(self.slope, by, out=np.zeros(shape), where=by > 0)
        cost = np.divide(self.cost_per_mwh, by if self.lump_sum else 1.0, out=np.zeros(shape), where=by > 0)
        return replace(self, base_mw=self.base_mw * by, width_mw=self.width_mw * by, cost_per_mwh=cost, slope=slope)

    def take(self, day: int) -> Response:
        """The response of one day of a stack."""
        if self.width_mw.ndim == 2:
            return self
        names = ("base_mw", "width_mw", "cost_per_mwh", "slope")
        return replace(self, **{name: getattr(self, name)[day] for name in names})


def response_of(case: AdnoCase, variant: str) -> Response:
    """Segments of the case's customers, those alike put together.

    ``responsive``: demand ``d`` costs ``b d^2 - (a - p) d`` (the exact bill of individual subsidy rates), from the demand
    that comes without subsidy to the largest that the largest rate brings about. ``no_subsidy``: nothing can be added.
    ``faithful``: demand up to the limit without a lump sum is free, beyond it costs ``1 / Ela`` per MW.

    Raises
    ------
    OptionError
        For a variant or a limit on subsidies that couples customers or steps; plan with the network's model then.
    """
    if variant not in SEPARABLE:
        raise OptionError(
            f"variant {variant} couples customers or steps, so there is no plan without its full model; "
            f"use one of {', '.join(SEPARABLE)}, or plan on the network"
        )
    if case.subsidy.step_max_per_mwh is not None and variant == "responsive":
        raise OptionError("subsidy.step_max_per_mwh couples steps; leave it out, or plan on the network")
    inputs = adno_inputs(case)
    if variant == "faithful":
        if (np.ptp(inputs.retail_price, axis=1) > 1e-9).any():
            raise OptionError("variant faithful with different retail prices needs its full model; plan on the network")
        return _merged(_lump_sum_segments(case, inputs))
    lower, upper = response_range(case, inputs)
    if variant == "no_subsidy":
        upper = lower
    slope = np.where(inputs.elasticity > 0, inputs.slope, 0.0)
    return _merged(
        Response(
            base_mw=lower,
            width_mw=upper - lower,
            cost_per_mwh=2.0 * slope * lower - inputs.surplus_at_zero,
            slope=2.0 * slope,
            retail_per_mwh=inputs.retail_price,
        )
    )


def _lump_sum_segments(case: AdnoCase, inputs: AdnoInputs) -> Response:
    """A segment that needs no lump sum, and one that costs ``1 / Ela`` per MW, for every customer."""
    free, ela = limit_line(case, inputs)
    free = np.minimum(free, inputs.flexible_max_mw)
    room = useful_lump_sum(inputs, free, ela) * ela
    price = np.divide(1.0, ela, out=np.zeros_like(ela), where=ela > 0)
    return Response(
        base_mw=np.zeros((inputs.steps, 2 * len(inputs.customer_ids))),
        width_mw=np.hstack([free, room]),
        cost_per_mwh=np.hstack([np.zeros_like(price), price]),
        slope=np.zeros((inputs.steps, 2 * len(inputs.customer_ids))),
        retail_per_mwh=np.hstack([inputs.retail_price, inputs.retail_price]),
        lump_sum=True,
    )


def _merged(response: Response) -> Response:
    """Customers alike in price and relative slope act as one: widths add, and so do the inverses of the slopes."""
    relative = response.slope * response.width_mw  # the rise of the marginal cost over a segment
    keys = np.round(np.vstack([response.cost_per_mwh, relative, response.retail_per_mwh]), 9)
    _, group = np.unique(keys, axis=1, return_inverse=True)
    member = np.eye(group.max() + 1)[np.ravel(group)]  # [J, G]
    first = np.array([np.flatnonzero(member[:, g])[0] for g in range(member.shape[1])], dtype=int)
    width = response.width_mw @ member
    slope = np.divide(relative[:, first], width, out=np.zeros_like(width), where=width > 0)
    return Response(
        base_mw=response.base_mw @ member,
        width_mw=width,
        cost_per_mwh=response.cost_per_mwh[:, first],
        slope=slope,
        retail_per_mwh=response.retail_per_mwh[:, first],
        lump_sum=response.lump_sum,
    )
