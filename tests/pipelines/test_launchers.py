"""Sweeps on other launchers: jobs in processes of their own, in folders of their own, give the rows of one process."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.pipelines.running import run_here, run_shell

JOB = ("realisations.count=6", "realisations.chunk=3", "regret.realisations=3", "parts.root=null")
LEVELS = ("0.5", "1.0")
LAUNCHERS = {
    "joblib": ("hydra_plugins.hydra_joblib_launcher", ("hydra.launcher.n_jobs=2",)),
    "submitit_local": ("hydra_plugins.hydra_submitit_launcher", ("hydra.launcher.cpus_per_task=1",)),
}


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("here")
    return {
        level: run_here("evaluate", folder / level, *JOB, f"what_if.spot={level}").table("realisations.parquet")
        for level in LEVELS
    }


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
    for number, level in enumerate(LEVELS):
        assert (sweep / str(number) / "summary.json").exists()
        rows = pd.read_parquet(sweep / str(number) / "realisations.parquet")
        pd.testing.assert_frame_equal(rows, one_process[level])
