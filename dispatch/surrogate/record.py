"""What has been asked and answered: the only knowledge of a black-box search."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.surrogate.tariffs import TariffSpace

FloatArray = NDArray[np.float64]

#: Tariffs ``buy [T]``, ``sell [T]`` to exchanges ``[J, T]``: bought less sold, MW.
Respond = Callable[[FloatArray, FloatArray], FloatArray]
#: Tariffs ``[n, T]`` twice and exchanges ``[n, J, T]`` to the leader's profits ``[n]``.
Profit = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


class OutOfCallsError(Exception):
    """The agreed number of questions has been asked."""


class CallRecord:
    """Asks tariffs, counts, and remembers.

    points: ``[n, 2 T]``; answers: ``[n, J, T]``; profits: ``[n]``.
    """

    def __init__(self, space: TariffSpace, respond: Respond, profit: Profit, most_calls: int) -> None:
        self.space, self._respond, self._profit = space, respond, profit
        self.most_calls = most_calls
        self._points: list[FloatArray] = []
        self._answers: list[FloatArray] = []
        self._profits: list[float] = []

    @property
    def calls(self) -> int:
        """Number of tariffs asked so far."""
        return len(self._points)

    @property
    def points(self) -> FloatArray:
        """Asked points, ``[n, 2 T]``."""
        return np.array(self._points)

    @property
    def answers(self) -> FloatArray:
        """Exchanges answered, ``[n, J, T]``."""
        return np.array(self._answers)

    @property
    def profits(self) -> FloatArray:
        """True profit of each asked point, ``[n]``."""
        return np.array(self._profits)

    @property
    def best(self) -> int:
        """Place of the most profitable point."""
        return int(np.argmax(self._profits))

    def ask(self, z: FloatArray) -> float:
        """The true profit at an admissible point ``[2 T]``.

        Raises
        ------
        OutOfCallsError
            If all questions have been asked.
        """
        if self.calls >= self.most_calls:
            raise OutOfCallsError
        buy, sell = self.space.tariffs(z)
        answer = self._respond(buy, sell)
        self._points.append(z.copy())
        self._answers.append(answer)
        self._profits.append(float(self.profit_of(z[None], answer[None])[0]))
        return self._profits[-1]

    def profit_of(self, z: FloatArray, exchange: FloatArray) -> FloatArray:
        """Profit of points ``[n, 2 T]`` if they brought about ``exchange`` ``[n, J, T]``."""
        buy, sell = self.space.tariffs(z)
        return self._profit(buy, sell, exchange)

    def convergence(self, bound: float | None = None) -> pd.DataFrame:
        """Best true profit after so many calls, one row at each improvement and at the end; with its share of ``bound``."""
        best = np.maximum.accumulate(self.profits)
        kept = np.flatnonzero(np.concatenate([[True], np.diff(best) > 0]))
        kept = np.unique(np.concatenate([kept, [len(best) - 1]]))
        table = pd.DataFrame({"calls": kept + 1, "best_profit": best[kept]})
        if bound is not None:
            table["certified_bound"] = bound
        return table
