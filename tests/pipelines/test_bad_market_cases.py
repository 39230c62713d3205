"""Case files of the other markets with several faults: all told at once in the user's words, exit code 2, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.app import CONF
from tests.pipelines.running import execute_here

Change = Callable[[dict[str, Any]], None]


def soft_open_point(case: dict[str, Any]) -> None:
    case["price_band"] = {"low_per_mwh": 1090.0}
    case["hv_sell_per_mwh"] = 600.0
    case["prosumers"][1]["battery"]["energy_start_mwh"] = 2.0
    case["prosumers"][0]["bus"] = 99
    case["soft_open_point"]["buses"] = [18, 18]


def industrial_parks(case: dict[str, Any]) -> None:
    case["price_band"] = {"floor_ratio": 1.3, "ceiling_ratio": 1.2}
    case["buy_back_ratio"] = 1.1
    case["agent"]["parks"][0]["purchase_max_mw"] = 0.01
    case["agent"]["storage"][0] |= {"energy_start_mwh": 3.5, "self_discharge_per_hour": 0.05, "charge_max_mw": 0.01}


def energy_clearing(case: dict[str, Any]) -> None:
    case["heat_band"] = {"floor_per_mwh": 700.0, "ceiling_per_mwh": 600.0}
    case["storage"][0]["energy_start_mwh"] = 2.0
    case["parks"][0]["electricity_by_hour_mw"] = [5.0] * 24


@pytest.mark.parametrize(
    ("market", "change", "words"),
    [
        (
            "soft_open_point",
            soft_open_point,
            [
                "cannot return to its start",
                "bus 99 does not exist",
                "bus 18 is given 2 times",
                "step 0: hv_sell_per_mwh 600 is above hv_buy_per_mwh 560",
                "step 0: price_band is empty: low 1090 is above high 560",
                "mean of its lower end, 1090, is above the mean purchase price",
            ],
        ),
        (
            "industrial_parks",
            industrial_parks,
            [
                "floor_ratio 1.3 is above ceiling_ratio 1.2",
                "buy from parks above the price at which it sells",
                "cannot be served",
                "cannot return to energy_start_mwh 3.5",
            ],
        ),
        (
            "energy_clearing",
            energy_clearing,
            ["floor_per_mwh 700 is above ceiling_per_mwh 600", "energy_start_mwh 2 is outside", "cannot be served"],
        ),
    ],
)
def test_every_fault_of_a_case_file_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], market: str, change: Change, words: list[str]
) -> None:
    case = yaml.safe_load((CONF / "case" / f"{market}.yaml").read_text(encoding="utf-8"))
    change(case)
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(case), encoding="utf-8")
    run = tmp_path / "run"
    assert execute_here("optimize", run, f"market={market}", f"case={market}", f"case.path={file}") == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told and told.startswith("optimize: ")
    assert [word for word in words if word not in told] == []
    assert not list(run.glob("schedule.*")) and not (run / "report.html").exists()
