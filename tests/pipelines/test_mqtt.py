"""Status and plan through a local MQTT broker: what a control system that listens, or comes later, receives."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("paho.mqtt")
pytest.importorskip("amqtt")

from amqtt.broker import Broker as LocalBroker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from pipelines.stages.delivery import Plan
from pipelines.stages.mqtt import Broker
from tests.pipelines.faulty import run_night

USER, PASSWORD = "substation", "a-pass-word-of-mine"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def broker(passwords: Path | None = None) -> Iterator[int]:
    """A broker on a free local port; with ``passwords`` only whom that file names may connect."""
    port, loop = free_port(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    plugins: dict[str, Any] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    if passwords is not None:
        plugins = {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(passwords)}}
    listener = ListenerConfig(type=ListenerType.TCP, bind=f"127.0.0.1:{port}")

    async def start() -> LocalBroker:
        made = LocalBroker(BrokerConfig(listeners={"default": listener}, plugins=plugins), loop=loop)
        await made.start()
        return made

    logging.getLogger("amqtt").setLevel(logging.ERROR)
    logging.getLogger("transitions").setLevel(logging.ERROR)
    thread.start()
    made = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(made.shutdown(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


class Control:
    """A control system that subscribes to everything below ``adno`` and remembers what comes."""

    def __init__(self, port: int, user: str = "", password: str = "") -> None:
        self.got: dict[str, tuple[str, bool]] = {}
        self.ready = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_: client.subscribe("adno/#", qos=1)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = lambda _c, _d, m: self.got.update({m.topic: (m.payload.decode(), bool(m.retain))})
        if user:
            self.client.username_pw_set(user, password)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.ready.wait(20)

    def wait_for(self, topic: str) -> tuple[str, bool]:
        stop = time.monotonic() + 20
        while topic not in self.got and time.monotonic() < stop:
            time.sleep(0.02)
        return self.got[topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def at(port: int) -> tuple[str, ...]:
    return ("monitoring.mqtt.host=127.0.0.1", f"monitoring.mqtt.port={port}")


def test_who_listens_gets_plan_and_status_and_who_comes_later_gets_the_status_alone(tmp_path: Path) -> None:
    with broker() as port:
        early = Control(port)
        night = run_night(tmp_path, *at(port))
        assert (night.code, night.summary["warnings"]) == (0, [])
        told, _ = early.wait_for("adno/COAST_1/plan")
        assert told == (night.folder / "plan.json").read_text(encoding="utf-8")
        assert Plan.model_validate_json(told).delivery_day == "2022-06-15"
        status = json.loads(early.wait_for("adno/COAST_1/status")[0])
        assert status == json.loads((night.folder / "status.json").read_text(encoding="utf-8"))
        early.close()
        late = Control(port)
        kept, retained = late.wait_for("adno/COAST_1/status")
        assert (json.loads(kept)["status"], retained) == ("ok", True)
        failed = run_night(tmp_path, *at(port), "model.name=lier", name="failed")
        assert failed.code == 2
        stop = time.monotonic() + 20
        while json.loads(late.got["adno/COAST_1/status"][0])["status"] == "ok" and time.monotonic() < stop:
            time.sleep(0.02)
        assert json.loads(late.got["adno/COAST_1/status"][0])["status"] == "failed"
        assert "adno/COAST_1/plan" not in late.got, "a failed night publishes no plan, and an old one is not kept"
        late.close()


def test_user_and_password_come_from_the_environment_and_are_found_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text(f"{USER}:{PasswordHash((Argon2Hasher(),)).hash(PASSWORD)}\n")
    monkeypatch.setenv("BROKER_USER", USER)
    monkeypatch.setenv("BROKER_PASSWORD", PASSWORD)
    named = ("monitoring.mqtt.user_variable=BROKER_USER", "monitoring.mqtt.password_variable=BROKER_PASSWORD")
    with broker(passwords) as port:
        night = run_night(tmp_path / "nights", *at(port), *named, "monitoring.mqtt.retain_plan=true")
        assert night.summary["warnings"] == []
        later = Control(port, USER, PASSWORD)
        assert later.wait_for("adno/COAST_1/plan")[1] is True, "kept, because it was asked for"
        later.close()
        refused = Broker("127.0.0.1", port, "adno/COAST_1", 5.0, user=USER, password="wrong")
        assert "refused the connection" in refused.tell({"status": "ok"})
        assert "wrong" not in repr(refused)
    written = [path.read_bytes() for path in (tmp_path / "nights").rglob("*") if path.is_file()]
    assert not [text for text in written if PASSWORD.encode() in text]
    assert PASSWORD not in night.said


def test_a_broker_that_is_not_there_is_a_warning_and_never_a_failed_night(tmp_path: Path) -> None:
    night = run_night(tmp_path, *at(free_port()))
    assert (night.code, night.published, night.summary["status"]) == (0, True, "ok")
    (warning,) = night.summary["warnings"]
    assert warning.startswith("the MQTT broker 127.0.0.1:")
    assert warning.endswith("was not reached (ConnectionRefusedError)")
    monitoring = tmp_path / "store" / "synthetic" / "monitoring"
    assert json.loads((monitoring / "status.json").read_text(encoding="utf-8"))["warnings"] == [warning]
    assert 'adno_nightly_warnings{zone="COAST_1"} 1.0' in (monitoring / "status.prom").read_text(encoding="utf-8")


def test_a_broker_that_accepts_and_says_nothing_is_given_up_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        said = Broker("127.0.0.1", silent.getsockname()[1], "adno/A", 0.5).tell({"status": "ok"}, "{}")
    assert "did not answer within 0.5 s" in said
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("monitoring.mqtt.topic='adno/#'", "is no topic"),
        ("monitoring.mqtt.password_variable=NOT_SET_ANYWHERE", "this environment variable is empty"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_the_night(tmp_path: Path, override: str, words: str) -> None:
    night = run_night(tmp_path, "monitoring.mqtt.host=127.0.0.1", override)
    assert (night.code, night.published) == (2, False)
    assert words in night.said
