"""A configuration or case file cannot bring code of its own."""

from __future__ import annotations

from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException

from dispatch.case import load_case
from dispatch.errors import CaseError
from pipelines import config_guard
from pipelines.app import CONF
from tests.pipelines.running import run_shell

COMMANDS = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "base")


def compose(name: str, *overrides: str) -> None:
    config_guard.guard()
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        hydra.compose(name, list(overrides), return_hydra_config=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_project_passes(name: str) -> None:
    compose(name)


def test_the_launchers_of_sweeps_pass() -> None:
    for launcher in ("joblib", "submitit_local"):
        compose("evaluate", f"hydra/launcher={launcher}")


@pytest.mark.parametrize(
    "override",
    [
        "+hydra.callbacks.own._target_=own_module.Callback",
        "hydra.launcher._target_=os.system",
        "+case.wind.0._target_=builtins.exec",
        "+hydra.job_logging.handlers.own={class: own_module.Handler}",
        "+hydra.callbacks.own._target_='${oc.env:HOME}'",
    ],
)
def test_code_named_anywhere_in_a_configuration_is_refused_before_it_is_touched(override: str) -> None:
    with pytest.raises(ConfigCompositionException, match="names code of its own"):
        compose("nightly", override)


def test_a_logging_factory_can_only_come_from_a_file_and_is_refused_too() -> None:
    found = config_guard.foreign_names({"hydra": {"job_logging": {"filters": [{"()": "os.system"}]}}})
    assert list(found) == ["hydra.job_logging.filters[0].()=os.system"]
    assert not list(config_guard.foreign_names({"case": {"class": "residential"}}))


def test_a_config_folder_of_somebody_else_cannot_run_its_code(tmp_path: Path) -> None:
    trace, folder = tmp_path / "trace", tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    (tmp_path / "own_module.py").write_text(f"open({str(trace)!r}, 'w').close()\nclass Callback: pass\n")
    text = "# @package _global_\nhydra:\n  callbacks:\n    own: {_target_: own_module.Callback}\n"
    (folder / "own.yaml").write_text(text, encoding="utf-8")
    done = run_shell("nightly", tmp_path, "--config-dir=conf", "+experiment=own", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2, done.stderr
    assert "the configuration names code of its own (hydra.callbacks.own._target_=own_module.Callback)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not trace.exists(), "the module was not even imported"


def test_a_case_file_is_data_alone(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    case = tmp_path / "case.yaml"
    case.write_text(f"name: !!python/object/apply:os.system ['touch {trace}']\n", encoding="utf-8")
    with pytest.raises(CaseError):
        load_case(str(case))
    assert not trace.exists()
