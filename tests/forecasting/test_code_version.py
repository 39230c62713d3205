"""Saved parts belong to the code that made them: the fingerprint follows a module's own imports and nothing else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from forecasting import backtesting
from forecasting.backtesting import BacktestJob, discard_parts, run_job
from forecasting.code_version import code_version
from forecasting.models.naive import Naive
from tests.forecasting.neural_samples import make_samples


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package whose ``model`` imports ``layers`` at the top and ``training`` inside a function, and never ``report``."""
    root = tmp_path / "outside_models"
    root.mkdir()
    for name, text in {
        "__init__": "",
        "model": "from outside_models import layers\n\n\ndef fit():\n    from .training import train\n    return train()\n",
        "layers": "WIDTH = 8\n",
        "training": "def train():\n    return 1\n",
        "report": "TITLE = 'a'\n",
    }.items():
        (root / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("outside_models.model")
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] == "outside_models"]:
        del sys.modules[name]
    code_version.cache_clear()


def fingerprint() -> str:
    code_version.cache_clear()
    return code_version("outside_models.model")


@pytest.mark.parametrize(
    ("module", "changes"), [("model", True), ("layers", True), ("training", True), ("report", False)]
)
def test_a_change_of_what_the_model_imports_changes_its_version(package: Path, module: str, changes: bool) -> None:
    before = fingerprint()
    assert fingerprint() == before
    file = package / f"{module}.py"
    file.write_text(file.read_text() + "MORE = 1\n")
    assert (fingerprint() != before) == changes


def test_shipped_models_are_covered_down_to_their_layers() -> None:
    lear, transformer = (code_version(f"forecasting.models.{name}") for name in ("lear", "conditional_transformer"))
    assert lear != transformer and len(lear) == 16


def test_parts_of_older_code_are_not_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = make_samples(40)
    job = BacktestJob("naive", Naive, samples, samples.day[30], samples.day[-1], parts=tmp_path / "parts")
    run_job(job)
    folder = next((tmp_path / "parts").iterdir())
    monkeypatch.setattr(backtesting, "code_version", lambda module: "another release")
    run_job(job)
    folders = set((tmp_path / "parts").iterdir())
    assert len(folders) == 2 and folder in folders
    discard_parts(job)
    assert set((tmp_path / "parts").iterdir()) == {folder}
    monkeypatch.undo()
    discard_parts(job)
    assert not (tmp_path / "parts").exists()
    assert np.isfinite(run_job(job).prediction.mean).all()
