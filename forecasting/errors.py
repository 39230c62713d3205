"""Errors a user can act on. Each says what happened, where, and what to do next."""

from __future__ import annotations

from typing import ClassVar


class ForecastingError(Exception):
    """Base of every expected error of this package; ``exit_code`` is what a command line program should end with."""

    exit_code: ClassVar[int] = 1


class UnknownNameError(ForecastingError):
    """A zone, site, series, model or option that does not exist; the text names the nearest right one."""

    exit_code: ClassVar[int] = 2


class SettingError(ForecastingError):
    """A setting that cannot be used (an ``as_of`` without time zone, a negative window length)."""

    exit_code: ClassVar[int] = 2


class DataError(ForecastingError):
    """Data that is missing, broken or contradictory, with its dates."""


class NoDataError(DataError):
    """The source has nothing for this series, zone and interval."""


class SourceUnavailableError(ForecastingError):
    """The data service did not answer within its deadline, or refused the request."""


class ArtefactError(ForecastingError):
    """A saved forecaster that is missing, damaged, or written by an incompatible version."""


class StorageError(ForecastingError):
    """The disk refused a file: it is full, over quota, or broken."""
