"""A night's plan on the joint scenarios of its forecasts: what it brings if one of them comes true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dispatch.case import Case
from dispatch.outcomes import can_settle, outcome_table, outcomes
from dispatch.schedule import Schedule
from forecasting.forecast import Forecast
from pipelines.stages import plan
from pipelines.stages.local import LocalArea
from pipelines.stages.night import Night

FloatArray = NDArray[np.float64]


def with_outcomes(
    schedule: Schedule,
    case: Case,
    night: Night,
    forecasts: Mapping[str, Forecast],
    known_price_eur_mwh: FloatArray,
    area: LocalArea,
    peak_load: float,
    currency_per_eur: float,
) -> Schedule:
    """The schedule with a further table ``over_the_scenarios_of_the_forecast``: every party's result as planned, on average
    and at worst.

    Path ``k`` of price (where it is forecast), wind and load together make day ``k``. A market without ``settle``, and a night
    without paths, leave the schedule as it is.
    """
    count = min((len(forecast.scenarios) for forecast in forecasts.values()), default=0)
    if not count or not can_settle(schedule.market):
        return schedule

    def days() -> Iterator[Case]:
        for k in range(count):
            yield plan.tie_to_day(
                case,
                night,
                forecasts["price"].scenarios[k] if "price" in forecasts else known_price_eur_mwh,
                [(forecasts[f"wind {site}"].scenarios[k], area.capacity_mw[site]) for site in area.sites],
                forecasts["load"].scenarios[k] / peak_load if "load" in forecasts else None,
                currency_per_eur,
            )

    table = outcome_table(schedule, outcomes(schedule, days()))
    return replace(schedule, extras={**schedule.extras, "over_the_scenarios_of_the_forecast": table})
