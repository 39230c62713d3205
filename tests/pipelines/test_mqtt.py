"""Status and plan through a local MQTT broker: what a control system that listens, or comes later, receives."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

pytest.importorskip("paho.mqtt")
pytest.importorskip("amqtt")

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from pipelines.stages.delivery import Plan
from pipelines.stages.mqtt import Broker
from tests.pipelines.faulty import run_night
from tests.pipelines.mqtt_listener import Control, broker, free_port

USER, PASSWORD = "substation", "a-pass-word-of-mine"


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
