"""The command on a microgrids case: every fault of a file at once, in the user's words, and nothing published."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.dispatch.microgrid_cases import RICH, deficit_and_surplus
from tests.pipelines.running import execute_here

MARKET = ("market=microgrids", "case=microgrids")


def test_every_fault_of_a_file_comes_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = tmp_path / "case.yaml"
    content = {
        "market": "microgrids",
        "horizon_hours": 2,
        "grid_buy_per_mwh": [1.2, 1.2],
        "feed_in_per_mwh": [0.4, 1.5],
        "microgrids": [
            {"id": "short", "net_load_mw": [4.0, 4.0], "trade_limit_mw": 1.0},
            {
                "id": "full",
                "load_mw": [1.0, 1.0],
                "trade_limit_mw": 2.0,
                "battery": {**RICH["battery"], "energy_start_mwh": 2.0},
            },
        ],
    }
    case.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert execute_here("optimize", tmp_path / "run", *MARKET, f"case.path={case}") == 2
    message = capsys.readouterr().err
    for words in (
        "step 1: feed_in_per_mwh 1.5 is above grid_buy_per_mwh 1.2",
        "microgrid 'short', step 0: net load of 4.000 MW cannot be served",
        "cannot return to its start",
    ):
        assert words in message
    assert "Traceback" not in message
    assert not list((tmp_path / "run").glob("schedule.*"))


def test_a_search_and_its_convergence_reach_the_page(tmp_path: Path) -> None:
    case = tmp_path / "case.yaml"
    data = deficit_and_surplus().model_dump(mode="json", exclude_unset=True)
    case.write_text(yaml.safe_dump({**data, "search": {"calls": 30}}), encoding="utf-8")
    assert execute_here("optimize", tmp_path / "run", *MARKET, f"case.path={case}", "method=ga") == 0
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for words in ("Convergence", "Prices offered", "Against grid tariffs", "No party is worse off", "Certified"):
        assert words in page
    record = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert record["bound"] >= record["objective"] - 1e-6 and "answered 30 tariffs" in record["notes"][0]


def test_the_service_command_explains_a_wrong_name() -> None:
    command = [sys.executable, "-m", "dispatch.microgrid_service", "microgrids", "mg9"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    assert "no microgrid 'mg9'" in done.stderr and "Traceback" not in done.stderr
