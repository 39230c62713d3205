"""Microgrids that answer over HTTP, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import yaml

import dispatch
from dispatch import microgrid_service
from dispatch.assets.price_taker_response import PriceTakerQp
from dispatch.case_microgrids import MicrogridsCase
from dispatch.errors import OptionError, SolverError
from dispatch.markets.microgrids_inputs import market_inputs
from dispatch.microgrid_service import RemoteMicrogrid, serve
from tests.dispatch.microgrid_cases import deficit_and_surplus

GRIDS = {grid.name: grid for grid in market_inputs(deficit_and_surplus()).grids}
TARIFFS = np.array([1.0]), np.array([0.5])


def run_service(name: str, port: Connection) -> None:
    server = serve(GRIDS[name], "secret")
    port.send(server.server_port)
    server.serve_forever()


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, str]]:
    """URL of each microgrid's own process."""
    context = multiprocessing.get_context("spawn")
    urls, running = {}, []
    for name in GRIDS:
        here, there = context.Pipe()
        process = context.Process(target=run_service, args=(name, there), daemon=True)
        process.start()
        running.append(process)
        assert here.poll(60), "the service did not start"
        urls[name] = f"http://127.0.0.1:{here.recv()}"
    yield urls
    for process in running:
        process.terminate()
        process.join()


@pytest.fixture
def slow_service() -> Iterator[str]:
    """A service in this process that lets two requests through and then five a second."""
    server = serve(GRIDS["deficit"], "secret", per_second=5.0, burst=2)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_service_answers_like_the_microgrid_itself(services: dict[str, str]) -> None:
    for name, url in services.items():
        np.testing.assert_array_equal(
            RemoteMicrogrid(url, "secret").respond(*TARIFFS), PriceTakerQp(GRIDS[name]).respond(*TARIFFS).exchange
        )


def test_the_operator_finds_its_tariffs_over_http(services: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROGRID_TOKEN", "secret")
    addresses = [{"microgrid": name, "url": url} for name, url in services.items()]
    data = deficit_and_surplus().model_dump(exclude_unset=True)
    remote = MicrogridsCase.from_mapping({**data, "search": {"calls": 25, "services": addresses}})
    local = MicrogridsCase.from_mapping({**data, "search": {"calls": 25}})
    assert dispatch.solve(remote, method="kriging").objective == dispatch.solve(local, method="kriging").objective


def test_a_missing_token_is_refused_before_anything_is_asked(
    services: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MICROGRID_TOKEN", raising=False)
    addresses = [{"microgrid": "deficit", "url": services["deficit"]}]
    data = deficit_and_surplus().model_dump(exclude_unset=True)
    case = MicrogridsCase.from_mapping({**data, "search": {"services": addresses}})
    with pytest.raises(OptionError, match="MICROGRID_TOKEN is not set"):
        dispatch.solve(case, method="pso")


def test_a_wrong_token_learns_nothing(services: dict[str, str]) -> None:
    with pytest.raises(SolverError, match="401"):
        RemoteMicrogrid(services["deficit"], "guess").respond(*TARIFFS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"buy_per_mwh": [1.0]}, "give buy_per_mwh and sell_per_mwh"),
        ({"buy_per_mwh": [1.0, 1.0], "sell_per_mwh": [0.5, 0.5]}, "give 1 values"),
        ({"buy_per_mwh": [1.0], "sell_per_mwh": [2.0]}, "above the buy tariff"),
        ({"buy_per_mwh": ["x"], "sell_per_mwh": [2.0]}, "could not convert"),
    ],
)
def test_tariffs_that_make_no_sense_are_refused(services: dict[str, str], content: dict[str, Any], words: str) -> None:
    header = {"Authorization": "Bearer secret"}
    answer = requests.post(f"{services['deficit']}/respond", json=content, headers=header, timeout=10)
    assert answer.status_code == 400 and words in answer.json()["error"]


def test_the_rate_limit_is_told_and_waited_for(slow_service: str) -> None:
    header = {"Authorization": "Bearer secret"}
    content = {"buy_per_mwh": [1.0], "sell_per_mwh": [0.5]}
    codes = [
        requests.post(f"{slow_service}/respond", json=content, headers=header, timeout=10).status_code for _ in range(6)
    ]
    assert codes[:2] == [200, 200] and 429 in codes
    assert RemoteMicrogrid(slow_service, "secret").respond(*TARIFFS).shape == (1,)


def test_a_service_that_is_gone_is_named() -> None:
    with pytest.raises(SolverError, match=r"127.0.0.1:9 cannot be reached"):
        RemoteMicrogrid("http://127.0.0.1:9", "secret", timeout_s=2).respond(*TARIFFS)


def test_a_service_without_a_token_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if k != "MICROGRID_TOKEN"})
    path = tmp_path / "case.yaml"
    data = deficit_and_surplus().model_dump(mode="json", exclude_unset=True)
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(SolverError, match="MICROGRID_TOKEN"):
        microgrid_service.main([str(path), "deficit", "--port", "0"])
