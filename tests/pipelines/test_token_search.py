"""Whole nights against services that fail in every way and echo the token: it is in no file, no stream and no message."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import yaml

pytest.importorskip("paho.mqtt")
pytest.importorskip("amqtt")

from tests.forecasting.entsoe_server import (
    TOKEN,
    EntsoeServer,
    Fault,
    Published,
    acknowledgement,
    hourly,
    price,
    running,
)
from tests.pipelines.faulty import CASE
from tests.pipelines.mqtt_listener import Control, broker, free_port
from tests.pipelines.running import run_shell
from tests.pipelines.token_search import files_with, forms, holds
from tests.pipelines.webhook_listener import listening

pytestmark = pytest.mark.slow

DK_1 = "10YDK-1--------W"
DAYS = 90
NIGHT = pd.Timestamp("2024-06-14T11:30", tz="Europe/Copenhagen")
#: A token whose plain, quoted and escaped forms differ from each other.
SECRET = "5ec2e7/aa+0000&4bad=cafe<70ken'0f>a test"
QUICK = (
    "source=entsoe",
    "zone=DK_1",
    "model=naive",
    "history.train_days=35",
    "history.valid_days=21",
    "history.lookback_days=8",
    "local.sites=1",
    "hydra.verbose=true",
    "monitoring.webhook.url_variable=NIGHT_HOOK",
    "monitoring.mqtt.host=127.0.0.1",
)
ECHO = f"Unauthorized. Missing or invalid security token {SECRET}, securityToken={quote(SECRET, safe='')}"
#: Failures after which the same request is tried again, and succeeds.
PASSING = (
    Fault(429, acknowledgement(ECHO), headers={"Retry-After": "0"}),
    Fault(503, f"<html>/api?securityToken={SECRET}</html>"),
    Fault(500, acknowledgement(ECHO)),
    Fault(200, "<a/>", delay_s=2.5),
    Fault(200, f"<a>{SECRET}", promised_bytes=500),
    Fault(200, f"<Publication_MarketDocument>{SECRET}"),
)
#: Failures that end the requests of a night, and what the night says of them.
LASTING = {
    "refused the security token (HTTP 401)": Fault(401, acknowledgement(ECHO)),
    "HTTP 503": Fault(503, f"<html>/api?securityToken={SECRET}</html>"),
    "no answer before the time-out": Fault(200, "<a/>", delay_s=0.8),
    "no complete XML document": Fault(200, f"<Publication_MarketDocument><b>{SECRET}</c></Publication_MarketDocument>"),
    "HTTP 400": Fault(400, f"<html>/api?securityToken={quote(SECRET, safe='')} {SECRET}</html>", "text/html"),
}


def published() -> list[Published]:
    """Prices, load and wind of some months, with a daily shape and noise."""
    rng = np.random.default_rng(0)
    hours = np.arange(24 * DAYS)
    start = f"{(NIGHT - pd.Timedelta(days=DAYS - 2)).tz_convert('UTC'):%Y-%m-%d}"

    def series(level: float, swing: float) -> list[float]:
        values = level + swing * np.sin(hours * np.pi / 12) + 0.2 * swing * rng.normal(size=len(hours))
        return [round(max(float(value), 0.0), 2) for value in values]

    return [
        price(DK_1, hourly(start, series(80, 30))),
        Published("A65", DK_1, [hourly(start, series(2500, 500))], process="A01"),
        Published("A69", DK_1, [hourly(start, series(1500, 900))], process="A01", psr="B19"),
        Published("A69", DK_1, [hourly(start, series(400, 300))], process="A01", psr="B16"),
    ]


@dataclass
class World:
    """A working service, its requests' tokens, and whoever listens to the nights."""

    server: EntsoeServer
    tokens: list[str]
    control: Control
    posted: list[dict[str, object]]
    hook: str
    port: int

    def nights(self, folder: Path, *overrides: str) -> CompletedProcess[str]:
        folder.mkdir(parents=True, exist_ok=True)
        return run_shell("nightly", folder, *QUICK, *overrides, ENTSOE_API_KEY=SECRET, NIGHT_HOOK=self.hook)

    def everything_said(self, done: CompletedProcess[str]) -> bytes:
        """Both streams, and what the listeners got."""
        messages = [f"{topic} {text}" for topic, text in self.control.all]
        return "\n".join((done.stdout, done.stderr, json.dumps(self.posted), *messages)).encode()


@pytest.fixture
def world() -> Iterator[World]:
    with running() as server, listening() as (hook, posted), broker() as port:
        honest, tokens, failures = server.respond, list[str](), list(PASSING)

        def respond(asked: dict[str, str]) -> Fault:
            tokens.append(asked["securityToken"])
            if failures and len(tokens) % 2:  # each on the first attempt of a request: the second waits a second only
                return failures.pop(0)
            return honest({**asked, "securityToken": TOKEN if asked["securityToken"] == SECRET else "another"})

        server.respond = respond  # type: ignore[method-assign]
        server.published = published()
        control = Control(port)
        yield World(server, tokens, control, posted, hook, port)
        control.close()


def test_nights_that_fail_in_every_way_show_no_token(world: World, tmp_path: Path) -> None:
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(CASE), encoding="utf-8")
    both = (f"monitoring.mqtt.port={world.port}", "case.path=case.yaml")
    good = world.nights(
        tmp_path,
        *both,
        "hydra.run.dir=run",
        f"as_of={NIGHT.isoformat()}",
        f"source.endpoint={world.server.url}",
        "source.read_timeout_s=2",
        "source.deadline_s=60",
    )
    assert good.returncode == 0, good.stderr
    assert len(world.tokens) > 2 * len(PASSING)
    assert set(world.tokens) == {SECRET}
    log = (tmp_path / "run" / "nightly.log").read_text(encoding="utf-8")
    assert "HTTP 503" in log, "the failures were logged"
    assert "securityToken=[hidden]" in log, "the requests were logged, with the token hidden"
    assert "ENTSOE_API_KEY" in (tmp_path / "run" / ".hydra" / "config.yaml").read_text(encoding="utf-8")
    for name in ("report.html", "plan.json", "summary.json", "scenarios.parquet"):
        assert (tmp_path / "run" / name).stat().st_size > 100
    assert len(list((tmp_path / "store").rglob("rows.parquet"))) > 4
    world.control.wait_for("adno/DK_1/plan")

    with ExitStack() as stack:
        endpoints = [f"http://127.0.0.1:{free_port()}/api"]
        for fault in LASTING.values():
            failing = stack.enter_context(running())
            failing.respond = lambda _, fault=fault: fault  # type: ignore[method-assign,misc]
            endpoints.append(failing.url)
        bad = world.nights(
            tmp_path,
            *both,
            "hydra.sweep.dir=bad",
            f"as_of={(NIGHT + pd.Timedelta(days=1)).isoformat()}",
            f"source.endpoint={','.join(endpoints)}",
            "store.root=store,empty",
            "source.read_timeout_s=0.4",
            "source.deadline_s=0.6",
            "--multirun",
        )
    assert bad.returncode == 1, bad.stderr
    assert "Traceback" not in bad.stderr
    count = 2 * len(endpoints)
    nights = [json.loads((tmp_path / f"bad/{n}/summary.json").read_text(encoding="utf-8")) for n in range(count)]
    said = ["\n".join(night["reasons"]) for night in nights]
    for number, words in enumerate(("broken connection", *LASTING)):
        from_store, without = nights[2 * number : 2 * number + 2]
        assert (from_store["status"], without["status"]) == ("degraded", "failed"), words
        assert words in said[2 * number]
        assert words in said[2 * number + 1]
    assert (tmp_path / "store/entsoe/site/index.html").stat().st_size > 1000
    assert (tmp_path / "bad" / "multirun.yaml").is_file()
    assert len(world.posted) == 1 + count
    assert files_with(tmp_path, SECRET) == {}
    assert holds(world.everything_said(good) + world.everything_said(bad), SECRET) == []


def test_the_search_finds_a_token_in_every_form(tmp_path: Path) -> None:
    for name, form in forms(SECRET).items():
        (tmp_path / name).write_bytes(b"something" + form + b"else")
    for shift in range(3):
        (tmp_path / f"encoded {shift}").write_bytes(base64.b64encode(b"x" * shift + SECRET.encode() + b"&more"))
    table = pd.DataFrame({"source": [f"entsoe {SECRET}"] * 300, "value": range(300)})
    table.to_parquet(tmp_path / "rows.parquet", compression="zstd")
    (tmp_path / "clean").write_text(SECRET[:-1])
    found = files_with(tmp_path, SECRET)
    assert set(found) == {*forms(SECRET), "encoded 0", "encoded 1", "encoded 2", "rows.parquet"}
    assert all(name in found[name] for name in forms(SECRET))
