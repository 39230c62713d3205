"""The scheduling examples: units that systemd accepts, cron lines and an Airflow task that call the job with known keys."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import hydra
import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra

from pipelines.app import CONF

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "scheduling"
SYSTEMD = shutil.which("systemd-analyze")


def accepted(command: str) -> list[str]:
    """The overrides of a call of the nightly job, which must all be keys of its configuration."""
    words = shlex.split(command)
    overrides = words[words.index("pipelines.nightly") + 1 :]
    overrides = [word for word in overrides if "=" in word]
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        hydra.compose("nightly", overrides)
    return overrides


def test_the_cron_lines_call_the_job_at_market_time() -> None:
    text = (EXAMPLES / "adno.cron").read_text(encoding="utf-8")
    assert "CRON_TZ=Europe/Copenhagen" in text
    jobs = [line for line in text.splitlines() if re.match(r"\d", line)]
    assert [line.split()[:2] for line in jobs] == [["30", "11"], ["30", "18"]]
    for line in jobs:
        assert "zone=DK_1" in accepted(line.split(None, 6)[6])
        assert "%" not in line, "cron reads a percent sign as the end of the command"


def test_the_service_runs_the_job_and_does_not_repeat_what_cannot_be_mended() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(EXAMPLES / "adno.service")
    assert accepted(unit["Service"]["ExecStart"])
    assert unit["Service"]["RestartPreventExitStatus"].split() == ["2", "3"]
    assert "ENTSOE_API_KEY" not in unit["Service"]["ExecStart"]


@pytest.mark.skipif(SYSTEMD is None, reason="no systemd on this machine")
def test_systemd_accepts_the_timer_and_the_service(tmp_path: Path) -> None:
    for name in ("adno.service", "adno.timer"):
        text = (EXAMPLES / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/adno/bin/python", sys.executable), encoding="utf-8")
    command = [str(SYSTEMD), "verify", "--man=no", str(tmp_path / "adno.service"), str(tmp_path / "adno.timer")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if "adno." in line] == []
    for line in re.findall(r"^OnCalendar=(.*)$", (EXAMPLES / "adno.timer").read_text(encoding="utf-8"), re.M):
        subprocess.run([str(SYSTEMD), "calendar", line], check=True, capture_output=True, timeout=60)


def test_the_airflow_task_hands_over_the_end_of_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against stand-ins that record the arguments: Airflow itself is not needed to see what the task would run."""
    made: dict[str, dict[str, Any]] = {}

    class Recorder:
        def __init__(self, **settings: Any) -> None:
            made[type(self).__name__] = settings

        def __enter__(self) -> Recorder:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing to end."""

    def module(name: str, **content: Any) -> None:
        stand_in = ModuleType(name)
        vars(stand_in).update(content)
        monkeypatch.setitem(sys.modules, name, stand_in)

    module("pendulum", timezone=str, datetime=lambda *a, tz: pd.Timestamp(*a, tz=tz), duration=pd.Timedelta)
    module("airflow", DAG=type("DAG", (Recorder,), {}))
    module("airflow.operators")
    module("airflow.operators.bash", BashOperator=type("BashOperator", (Recorder,), {}))
    code = (EXAMPLES / "adno_airflow.py").read_text(encoding="utf-8")
    exec(compile(code, "adno_airflow.py", "exec"), {"__name__": "example"})
    assert made["DAG"]["max_active_runs"] == 1
    command = made["BashOperator"]["bash_command"]
    command = command.replace("{{ data_interval_end.isoformat() }}", "2024-06-27T09:30:00+00:00")
    assert "as_of=2024-06-27T09:30:00+00:00" in accepted(command.replace("{{ ts_nodash }}", "20240627T093000"))
