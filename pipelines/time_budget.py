"""A budget of seconds for work that a night can do without: what exceeds it is broken off."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pipelines.errors import PipelineError


class BudgetExceededError(PipelineError):
    """The work took longer than its budget; what it began is to be thrown away."""


class TimeBudget:
    """Seconds that several pieces of work share."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.left = seconds

    @contextmanager
    def spend(self) -> Iterator[None]:
        """Run the block on what is left, and break it off when nothing is.

        In the main thread an alarm ends the block where it stands; elsewhere it is told at its end that it took too long.

        Raises ``BudgetExceededError``.
        """
        if self.left <= 0:
            raise BudgetExceededError(self._words())
        started = time.perf_counter()
        try:
            with self._alarm():
                yield
        finally:
            self.left -= time.perf_counter() - started
        if self.left <= 0:
            raise BudgetExceededError(self._words())

    @contextmanager
    def _alarm(self) -> Iterator[None]:
        def stop(_signal: int, _frame: FrameType | None) -> None:
            raise BudgetExceededError(self._words())

        try:
            previous = signal.signal(signal.SIGALRM, stop)
        except ValueError:  # not in the main thread, where signals arrive
            yield
            return
        signal.setitimer(signal.ITIMER_REAL, self.left)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)

    def _words(self) -> str:
        return f"it did not end within the {self.seconds:g} s of the night"
