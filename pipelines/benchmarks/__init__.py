"""Benchmarks by name: each one says what is forecast, from when to when, and whose published forecasts stand beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from forecasting.names import unknown
from pipelines.app import Outcome, Run
from pipelines.benchmarks.epf import epf_tasks
from pipelines.benchmarks.paper_tables import run_paper_tables
from pipelines.benchmarks.task import BenchmarkTask
from pipelines.benchmarks.wind import run_wind
from pipelines.benchmarks.zones import run_zones
from pipelines.errors import ConfigError

#: The tasks of a benchmark from its group in the configuration.
TASKS: dict[str, Callable[[Mapping[str, Any]], list[BenchmarkTask]]] = {"epf": epf_tasks}

#: Benchmarks that are not a rolling backtest of one model: they run themselves.
OWN_RUNS: dict[str, Callable[[Run], Outcome]] = {"paper_tables": run_paper_tables, "wind": run_wind, "zones": run_zones}


def benchmark_tasks(settings: Mapping[str, Any]) -> list[BenchmarkTask]:
    """Tasks of the benchmark called ``settings["name"]``. Raises ``ConfigError`` for one that does not exist."""
    name = str(settings["name"])
    if name not in TASKS:
        raise ConfigError(unknown("benchmark", name, (*TASKS, *OWN_RUNS)))
    return TASKS[name](settings)


__all__ = ["OWN_RUNS", "TASKS", "BenchmarkTask", "benchmark_tasks"]
