"""What a plan brings if another day comes true: one hook for every market.

A market model takes part by a function ``settle(case, schedule)`` in its module: the money of every party, by item, if the
prices of ``schedule`` stand and the wind, load and prices of ``case`` come true instead of those planned on. The days are
cases like the planned one, tied to other series by ``with_inputs``, for instance to the joint scenarios of a forecast.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from dispatch.case import Case
from dispatch.errors import OptionError
from dispatch.markets import market_module
from dispatch.schedule import Schedule

#: Quantiles of the outcomes that :func:`outcome_table` states: one day in 20 lies beyond each.
LOW, HIGH = 0.05, 0.95


def can_settle(market: str) -> bool:
    """True if the market offers ``settle``."""
    return hasattr(market_module(market), "settle")


def outcomes(schedule: Schedule, days: Iterable[Case]) -> pd.DataFrame:
    """Money of each party on each day, currency: a row per day, a column per party.

    Raises
    ------
    OptionError
        If the schedule's market does not offer ``settle``, or a day is a case of another market.

    Examples
    --------
    >>> import dispatch
    >>> from dispatch.outcomes import outcomes
    >>> case = dispatch.load_case("microgrids")
    >>> schedule = dispatch.solve(case, variant="grid_tariffs")
    >>> calm = case.with_inputs(wind_mw={"mg1": [0.0] * 24})
    >>> outcomes(schedule, [case, calm])["mg1"].diff().iloc[1] < 0  # without wind it has more to buy
    True
    """
    if not can_settle(schedule.market):
        raise OptionError(
            f"market {schedule.market} has no settle(case, schedule), so its plans are not tried on other days"
        )
    module = market_module(schedule.market)
    rows = []
    for day in days:
        if day.market != schedule.market:
            raise OptionError(f"case {day.name} is of market {day.market}, but the schedule is of {schedule.market}")
        rows.append({party: sum(items.values()) for party, items in module.settle(day, schedule).items()})
    return pd.DataFrame(rows, index=pd.RangeIndex(len(rows), name="day"))


def outcome_table(schedule: Schedule, money: pd.DataFrame) -> pd.DataFrame:
    """Each party's result as planned, and its mean and range over the days of :func:`outcomes`, currency."""
    parties = list(money.columns)
    return pd.DataFrame(
        {
            "party": parties,
            "planned": [sum(schedule.money[party].values()) for party in parties],
            "mean": money.mean().to_numpy(),
            "one_day_in_20_below": money.quantile(LOW).to_numpy(),
            "one_day_in_20_above": money.quantile(HIGH).to_numpy(),
            "days": len(money),
        }
    )
