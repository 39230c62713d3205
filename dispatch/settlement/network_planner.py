"""Plans with the full network model, certified, behind the same face as the plans without one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

import dispatch
from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import adno_inputs
from dispatch.schedule import Schedule
from dispatch.settlement.from_schedule import first_stage, planned_loss_share, recourse_assets
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets
from dispatch.solver import SolverOptions


@dataclass(eq=False)
class NetworkPlanner:
    """Every plan is a certified schedule of the market model on its feeder, seconds each.

    In settlement the feeder's losses are those of the schedule, moved with the rigid load by ``loss_share``. So a perfect
    forecast costs nothing, but a regret can be below zero by as much as losses are off, and by the schedules' gaps.
    The customers' flexible demand is sized by the load that the plan is told, not by a reference.
    """

    case: AdnoCase
    variant: str = "responsive"
    options: SolverOptions = field(default_factory=SolverOptions)
    solved: dict[str, int] = field(default_factory=lambda: {"network": 0})

    def __post_init__(self) -> None:
        self.loss_share = planned_loss_share(self.case)
        self.assets: RecourseAssets = recourse_assets(self.case, self.loss_share)

    def schedule(self, days: Realisations, day: int) -> tuple[AdnoCase, Schedule]:
        """The certified schedule of one day, and its case; wind is shared by the farms as on the case's day."""
        inputs = adno_inputs(self.case)
        total = inputs.wind_mw.sum(axis=0)
        even = np.full_like(inputs.wind_mw, 1.0 / max(len(inputs.wind_mw), 1))
        share = np.divide(inputs.wind_mw, total, out=even, where=total > 0)
        rigid = inputs.rigid_mw.sum(axis=1)
        case = self.case.with_inputs(
            spot_price_per_mwh=days.price_per_mwh[day],
            wind_mw={farm.id: share[v] * days.wind_mw[day] for v, farm in enumerate(self.case.wind)} or None,
            load_mw=None if np.allclose(days.load_mw[day], rigid, rtol=0, atol=1e-12) else days.load_mw[day],
            index=self.case.index,
        )
        self.solved["network"] += 1
        return case, dispatch.solve(case, variant=self.variant, options=self.options)

    def plans(self, days: Realisations, reference_load_mw: FloatArray | None = None) -> FirstStage:
        """The schedule's first stage for each of ``K`` days."""
        return FirstStage.stack([first_stage(*self.schedule(days, day), self.loss_share) for day in range(len(days))])
