"""Sweeps: on any launcher, and after a kill, every job is in a folder of its own with the rows of one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import hydra
import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra

from pipelines.app import CONF
from tests.pipelines.running import run_here, run_shell

JOB = ("realisations.count=8", "realisations.chunk=2", "regret.realisations=4")
LEVELS = ("0.5", "1.0")
LAUNCHERS = {
    "joblib": ("hydra_plugins.hydra_joblib_launcher", ("hydra.launcher.n_jobs=2",)),
    "submitit_local": ("hydra_plugins.hydra_submitit_launcher", ("hydra.launcher.cpus_per_task=1",)),
}


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("here")
    return {
        level: run_here("evaluate", folder / level, *JOB, "parts.root=null", f"what_if.spot={level}").table(
            "realisations.parquet"
        )
        for level in LEVELS
    }


def same_rows(sweep: Path, expected: dict[str, pd.DataFrame]) -> None:
    for number, level in enumerate(LEVELS):
        assert (sweep / str(number) / "summary.json").exists()
        pd.testing.assert_frame_equal(pd.read_parquet(sweep / str(number) / "realisations.parquet"), expected[level])


def test_two_sweeps_started_at_once_have_folders_of_their_own() -> None:
    def folder() -> str:
        GlobalHydra.instance().clear()
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            return str(hydra.compose("evaluate", return_hydra_config=True).hydra.sweep.dir)

    assert folder() != folder()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_sweep_on_the_launcher_gives_the_rows_of_one_process(
    launcher: str, one_process: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    plugin, settings = LAUNCHERS[launcher]
    pytest.importorskip(plugin)
    done = run_shell(
        "evaluate", tmp_path, "--multirun", f"hydra/launcher={launcher}", *settings, *JOB,
        f"what_if.spot={','.join(LEVELS)}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (sweep,) = (tmp_path / "multirun" / "evaluate").iterdir()
    same_rows(sweep, one_process)


def test_a_sweep_killed_halfway_and_started_again_redoes_nothing_that_is_done(
    one_process: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    """Killed once the second job has settled two of its eight days, before it has written a summary."""
    arguments = ["--multirun", *JOB, f"what_if.spot={','.join(LEVELS)}"]
    command = [sys.executable, "-m", "pipelines.evaluate", *arguments, "hydra.sweep.dir=first"]
    sweep = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
    )
    parts, deadline = tmp_path / "parts" / "evaluate", time.monotonic() + 200
    while len(list(parts.glob("[!.]*.parquet"))) < 5 and sweep.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    sweep.send_signal(signal.SIGKILL)
    assert sweep.wait() == -signal.SIGKILL
    assert (tmp_path / "first" / "0" / "summary.json").exists()
    assert not (tmp_path / "first" / "1" / "summary.json").exists()
    again = run_shell("evaluate", tmp_path, *arguments, "hydra.sweep.dir=second")
    assert again.returncode == 0, again.stderr
    same_rows(tmp_path / "second", one_process)
    reused = [json.loads((tmp_path / "second" / n / "summary.json").read_text())["reused"] for n in ("0", "1")]
    assert reused[0] == 8
    assert reused[1] >= 2
