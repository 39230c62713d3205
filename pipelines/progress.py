"""Phases of a run: shown while they run on a terminal, silent elsewhere, and timed."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console

log = logging.getLogger("adno")


class Phases:
    """Times each phase of a run and tells a watching person where it stands."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stderr)
        self.seconds: dict[str, float] = {}
        self.beat: Callable[[str, str], None] = lambda _name, _doing: None  # called at the start of each phase

    @property
    def watched(self) -> bool:
        """Whether a person is looking at a terminal."""
        return self.console.is_terminal

    @contextmanager
    def phase(self, name: str, doing: str, *, bar: bool = False) -> Iterator[None]:
        """Run a phase; ``bar`` leaves the line to a progress bar of the phase's own."""
        spinner = self.console.status(f"{doing} …") if self.watched and not bar else nullcontext()
        self.beat(name, doing)
        start = time.perf_counter()
        with spinner:
            yield
        took = time.perf_counter() - start
        self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 3)
        log.info("%s: %s, %.1f s", name, doing, took)
        if self.watched:
            self.console.print(f"[green]✓[/] {doing} [dim]{took:.1f} s[/]", highlight=False)
