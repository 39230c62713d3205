"""Run a command in this process, as its shell would, and read what it left."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import hydra
import pandas as pd
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from pipelines.app import CONF, Outcome, Run, _execute
from pipelines.progress import Phases
from pipelines.run_folder import RunFolder


@dataclass(frozen=True)
class Finished:
    """A command that ran: its outcome, and its folder."""

    outcome: Outcome
    folder: Path

    def table(self, name: str) -> pd.DataFrame:
        """A Parquet file of the run."""
        return pd.read_parquet(self.folder / name)


def run_here(command: str, folder: Path, *overrides: str) -> Finished:
    """Compose ``conf/COMMAND.yaml`` with ``overrides`` and call the command's run function, all paths below ``folder``."""
    values = cast(dict[str, Any], OmegaConf.to_container(_composed(command, folder, overrides), resolve=True))
    run = Run(command, values, RunFolder(folder), Phases())
    outcome = importlib.import_module(f"pipelines.{command}").run(run)
    return Finished(outcome, folder)


def execute_here(command: str, folder: Path, *overrides: str) -> int:
    """The whole command in this process, its messages and its summary included; returns the exit code."""
    config = _composed(command, folder, overrides)
    folder.mkdir(parents=True, exist_ok=True)
    return _execute(command, importlib.import_module(f"pipelines.{command}").run, config)


def _composed(command: str, folder: Path, overrides: tuple[str, ...]) -> DictConfig:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        config = hydra.compose(command, [f"hydra.run.dir={folder}", *overrides], return_hydra_config=True)
    with open_dict(config):
        config.hydra.runtime.output_dir = str(folder)
        config.hydra.mode = RunMode.RUN
    HydraConfig.instance().set_config(config)
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def run_shell(command: str, folder: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, started in ``folder``."""
    return subprocess.run(
        [sys.executable, "-m", f"pipelines.{command}", *overrides],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def summary_of(folder: Path) -> dict[str, Any]:
    """The only ``summary.json`` below ``folder``."""
    (path,) = folder.rglob("summary.json")
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
