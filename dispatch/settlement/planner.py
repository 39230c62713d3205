"""The operator's best day-ahead plan without a network, for thousands of days: each asset alone where that is proved.

Where the operator imports in every step, a MWh is worth the spot price to everyone behind the meter: gas units and stores
face that price alone, and subsidies are paid up to where the margin on flexible demand vanishes. The sum of these plans is
the optimum of a relaxation (energy may be bought and sold at the spot price without limit). If it needs no sale, respects
the import limit, and no price is above the value of lost load, it is the optimum of the plan itself. The other days go to
the mixed-integer programme.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import adno_inputs
from dispatch.errors import OptionError
from dispatch.settlement.from_schedule import planned_loss_share, recourse_assets, rigid_price
from dispatch.settlement.price_taker import PriceTakers, UnitDays
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets
from dispatch.settlement.response import Response, response_of
from dispatch.settlement.two_stage import PlanOptions, Sale, plan_on_scenarios

_TOLERANCE = 1e-9


@dataclass(eq=False)
class CopperPlatePlanner:
    """Plans of one operator.

    income_per_mwh: retail price of the rigid load, ``[T]``; reference_load_mw: rigid load at which ``response`` holds, ``[T]``.
    solved: how many plans came from which route, counted as they are made.
    """

    assets: RecourseAssets
    response: Response
    income_per_mwh: FloatArray
    reference_load_mw: FloatArray
    sale: Sale = field(default_factory=Sale)
    options: PlanOptions = field(default_factory=PlanOptions)
    solved: dict[str, int] = field(default_factory=lambda: {"price_taker": 0, "mixed_integer": 0})

    def __post_init__(self) -> None:
        self._takers = PriceTakers(self.assets, len(self.income_per_mwh))

    def __getstate__(self) -> dict[str, object]:
        """Without the solver models, which no other process can read."""
        return {name: value for name, value in vars(self).items() if name != "_takers"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self.__post_init__()

    @classmethod
    def of_case(
        cls, case: AdnoCase, variant: str = "responsive", options: PlanOptions | None = None
    ) -> CopperPlatePlanner:
        """The planner of a case; its network is stood for by one share of losses (``planned_loss_share``).

        Raises ``OptionError`` for a variant or limit that has no plan without the full model.
        """
        if case.import_step_max_mw is not None:
            raise OptionError(
                "import_step_max_mw couples the steps of the exchange; leave it out, or plan on the network"
            )
        inputs = adno_inputs(case)
        made = sum(u.power_max_mw for u in case.gas) + sum(u.discharge_max_mw for u in case.storage)
        made += sum(farm.capacity_mw for farm in case.wind)
        sale = Sale(min(made, case.export.max_mw or made), case.export.fee_per_mwh) if case.export.allowed else Sale()
        return cls(
            assets=recourse_assets(case, planned_loss_share(case)),
            response=response_of(case, variant),
            income_per_mwh=rigid_price(inputs),
            reference_load_mw=inputs.rigid_mw.sum(axis=1),
            sale=sale,
            options=options or PlanOptions(),
        )

    def plans(self, days: Realisations, reference_load_mw: FloatArray | None = None) -> FirstStage:
        """The best plan of each of ``K`` days, known for certain.

        reference_load_mw: rigid load ``[K, T]`` by which the customers' flexible demand is sized, where it is not that of
            the case.
        """
        response = self.response if reference_load_mw is None else self.response_at(reference_load_mw)
        plans, proved = self._price_taker_plans(days, response)
        for k in np.flatnonzero(~proved):
            one = plan_on_scenarios(
                self.assets,
                response.take(int(k)),
                self.income_per_mwh,
                days.take(slice(k, k + 1)),
                sale=self.sale,
                options=self.options,
            ).first
            for name, stack in vars(plans).items():
                stack[k] = getattr(one, name)
        self.solved["price_taker"] += int(proved.sum())
        self.solved["mixed_integer"] += int((~proved).sum())
        return plans

    def response_at(self, reference_load_mw: FloatArray) -> Response:
        """What customers do on days whose flexible demand is sized by a rigid load of ``reference_load_mw [K, T]``."""
        ratio = np.divide(
            reference_load_mw,
            self.reference_load_mw,
            out=np.ones(np.broadcast_shapes(reference_load_mw.shape, self.reference_load_mw.shape)),
            where=self.reference_load_mw > 0,
        )
        return self.response if np.allclose(ratio, 1.0, rtol=0.0, atol=1e-12) else self.response.of_days(ratio)

    def _price_taker_plans(self, days: Realisations, response: Response) -> tuple[FirstStage, NDArray[np.bool_]]:
        assets, price, hours = self.assets, days.price_per_mwh, self.assets.step_hours
        count, losses = len(days), 1.0 + assets.loss_share
        if not self._takers.possible:
            return self._empty(count, days.steps), np.zeros(count, dtype=bool)
        paths, which = np.unique(price, axis=0, return_inverse=True)
        units = _rows(self._takers.best(paths), np.ravel(which))
        added = response.best(price * losses)
        flexible = response.demand(added)
        used = np.where(price > -assets.curtailment_cost_per_mwh, days.wind_mw, 0.0)
        net = (days.load_mw + flexible) * losses - used
        net = net + units.charge_mw.sum(axis=1) - units.discharge_mw.sum(axis=1) - units.gas_mw.sum(axis=1)
        proved = ((net >= -_TOLERANCE) & (net <= assets.import_max_mw + _TOLERANCE)).all(axis=1)
        proved &= (price <= assets.shed_cost_per_mwh + self.income_per_mwh).all(axis=1)
        plans = FirstStage(
            purchase_mw=np.clip(net, 0.0, None),
            commitment=units.on,
            flexible_mw=flexible,
            losses_mw=assets.loss_share * flexible,
            charge_mw=units.charge_mw,
            discharge_mw=units.discharge_mw,
            start_cost=units.start_cost,
            subsidy_cost=response.subsidy(added).sum(axis=-1) * hours,
            flexible_income=response.income(added).sum(axis=-1) * hours,
            income_per_mwh=np.tile(self.income_per_mwh, (count, 1)),
            sale_fee=np.zeros(count),
        )
        return plans, proved

    def _empty(self, count: int, steps: int) -> FirstStage:
        flat, gas, store = (
            np.zeros((count, steps)),
            (count, self.assets.gas_units, steps),
            (count, self.assets.storages, steps),
        )
        line = np.zeros(count)
        return FirstStage(
            flat.copy(), np.zeros(gas), flat.copy(), flat.copy(), np.zeros(store), np.zeros(store),
            line.copy(), line.copy(), line.copy(), flat.copy(), line.copy(),
        )  # fmt: skip


def _rows(units: UnitDays, rows: NDArray[np.intp]) -> UnitDays:
    return UnitDays(**{name: values[rows] for name, values in vars(units).items()})
