"""Errors a user can act on. Each says what happened, where, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class DispatchError(Exception):
    """Base of every expected error of this package; ``exit_code`` is what a command line program should end with."""

    exit_code: ClassVar[int] = 1


class CaseError(DispatchError):
    """A case that cannot be used. Holds every fault found, so that a file is mended in one go."""

    exit_code: ClassVar[int] = 2

    def __init__(self, case: str, faults: Sequence[str]) -> None:
        self.case = case
        self.faults = tuple(faults)
        count = f"{len(self.faults)} faults" if len(self.faults) != 1 else "1 fault"
        super().__init__(f"case {case}: {count}\n" + "\n".join(f"  - {fault}" for fault in self.faults))


class OptionError(DispatchError):
    """A market, variant, method or solver option that does not exist; the text names the right ones."""

    exit_code: ClassVar[int] = 2


class InfeasibleError(DispatchError):
    """No schedule meets all limits; the text names the rows that conflict, in the user's words."""


class UnboundedError(DispatchError):
    """The objective can grow without limit: a bound is missing."""


class BilevelError(DispatchError):
    """A leader-follower problem that the engine refuses, with the reason."""


class SolverError(DispatchError):
    """The solver stopped without a usable answer (time limit before any incumbent, numerical failure)."""


class CertificateError(DispatchError):
    """A schedule that failed its certificate; it is never published."""


class CaseWarning(UserWarning):
    """A case that can be used, but whose answer may not be what its author expects; the text says why."""
