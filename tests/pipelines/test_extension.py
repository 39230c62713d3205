"""A market, a forecaster and a source of an installed package join the commands without a line changed here."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from tests.pipelines.running import run_shell, summary_of

EXTENSION = Path(__file__).resolve().parents[2] / "examples" / "extension"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which the example package is installed: its code, and the entry points of its ``pyproject.toml``."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(EXTENSION / "adno_tiny", site / "adno_tiny")
    project = tomllib.loads((EXTENSION / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    record = site / f"adno_tiny-{project['version']}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (record / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
            for group, points in project["entry-points"].items()
        )
    )
    return {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}


def test_market_from_outside_is_solved_and_certified(installed: dict[str, str], tmp_path: Path) -> None:
    conf = f"--config-dir={EXTENSION / 'conf'}"
    done = run_shell("optimize", tmp_path, conf, "market=retailer", "case=retailer", **installed)
    assert done.returncode == 0, done.stderr
    summary = summary_of(tmp_path)
    # by hand: the best price is half-way between choke price (300) and spot, so the profit is load (300 - spot)^2 / 800
    by_hand = (1.0 * 260**2 + 1.2 * 260**2 + 2.0 * 240**2 + 1.5 * 220**2) / 800
    assert summary["objective"] == pytest.approx(by_hand, rel=1e-6)
    assert summary["certificate"]["passed"]


def test_whole_night_from_outside(installed: dict[str, str], tmp_path: Path) -> None:
    conf = f"--config-dir={EXTENSION / 'conf'}"
    own = ["market=retailer", "case=retailer", "source=sine", "model=mean_day", "local.sites=0"]
    done = run_shell("nightly", tmp_path, conf, *own, "as_of=2026-03-10T11:30+00:00", **installed)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("outputs/nightly/*")
    assert json.loads((folder / "summary.json").read_text())["status"] == "ok"
    schedule = pd.read_parquet(folder / "schedule.parquet")
    offered = schedule[schedule["quantity"] == "price_per_mwh"].sort_values("step")["value"].to_numpy()
    # the sine source repeats its day, so the mean of the last days is the day to come, and prices follow by hand
    spot = pd.read_parquet(folder / "forecast.parquet").query("target == 'price'")["mean"].to_numpy()
    assert offered == pytest.approx((300 + spot) / 2, abs=1e-4)


def test_unknown_kind_names_the_installed_ones(installed: dict[str, str], tmp_path: Path) -> None:
    done = run_shell("nightly", tmp_path, "source.kind=sinus", **installed)
    assert done.returncode == 2
    assert "did you mean 'sine'" in done.stderr
    assert "Traceback" not in done.stderr
