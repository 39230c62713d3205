"""A limit on requests per minute that holds in every window, not only on average."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from forecasting.errors import SettingError


class RateLimiter:
    """Let at most ``limit`` callers pass in any ``window_s`` seconds; the others wait their turn.

    One object is shared by all threads that use the same account. ``monotonic`` and ``sleep`` (both in seconds) can be
    replaced in tests.

    Raises ``SettingError`` for a limit below one or a window that is not positive.
    """

    def __init__(
        self,
        limit: int,
        window_s: float = 60.0,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if limit < 1 or window_s <= 0:
            raise SettingError(f"a rate limit needs limit >= 1 and window_s > 0, not {limit} in {window_s} s")
        self.limit = limit
        self.window_s = window_s
        self._monotonic = monotonic
        self._sleep = sleep
        self._passed: deque[float] = deque(maxlen=limit)
        self._turn = threading.Lock()

    def wait(self) -> float:
        """Block until the caller may pass; returns the seconds waited."""
        with self._turn:
            arrived = now = self._monotonic()
            ready = self._passed[0] + self.window_s if len(self._passed) == self.limit else now
            while now < ready:
                self._sleep(ready - now)
                now = self._monotonic()
            self._passed.append(now)
            return now - arrived
