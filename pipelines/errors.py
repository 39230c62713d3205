"""Errors of the commands themselves."""

from __future__ import annotations

from typing import ClassVar

from forecasting.errors import ForecastingError

#: What a model that fails may raise; anything else is a defect of the job itself.
MODEL_FAILURES = (ForecastingError, RuntimeError, ArithmeticError, ValueError, MemoryError)


class PipelineError(Exception):
    """Base of every expected error of a command; ``exit_code`` is what the process ends with."""

    exit_code: ClassVar[int] = 1


class ConfigError(PipelineError):
    """A configuration value that cannot be used; the text says which key, what it holds, and what it may hold."""

    exit_code: ClassVar[int] = 2


class StoppedError(PipelineError):
    """The run was asked to stop (Ctrl-C or SIGTERM)."""


class FolderError(PipelineError):
    """A folder that cannot be read or written."""


class LockedError(PipelineError):
    """Another process works on the same store."""


class ForecastFailedError(PipelineError):
    """No model could make a forecast, the ones to fall back to included."""


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its kind if it says nothing."""
    return str(error).partition("\n")[0] or type(error).__name__
