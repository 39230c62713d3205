"""Status and plan for an MQTT broker (MQTT 3.1.1), by the extra ``mqtt``."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.errors import ConfigError
from pipelines.run_folder import plain
from pipelines.stages.night import Night

#: Delivered at least once: the broker confirms every message.
AT_LEAST_ONCE = 1


@dataclass(frozen=True)
class Broker:
    """Where status and plan are published: ``TOPIC/status``, kept by the broker for who comes later, and ``TOPIC/plan``.

    ``retain_plan`` keeps the plan as well; it then stays after a night that failed, with its own validity in it. User and
    password are never logged, raised or stored.
    """

    host: str
    port: int
    topic: str
    timeout_s: float
    tls: bool = False
    retain_plan: bool = False
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def tell(self, record: Mapping[str, Any], plan: str | None = None) -> str:
        """Publish the status, after the plan if there is one; returns why it did not work, empty if it did."""
        messages = [(f"{self.topic}/status", json.dumps(plain(record)), True)]
        if plan is not None:
            messages.insert(0, (f"{self.topic}/plan", plan, self.retain_plan))
        where = f"the MQTT broker {self.host}:{self.port}"
        try:
            problem = self._publish(messages)
        except (
            OSError,
            ValueError,
        ) as error:  # refused, no such host, time-out, TLS; a payload above the broker's limit
            return f"{where} was not reached ({type(error).__name__})"
        return f"{where} {problem}" if problem else ""

    def _publish(self, messages: list[tuple[str, str, bool]]) -> str:
        from paho.mqtt.client import Client, MQTTv311
        from paho.mqtt.enums import CallbackAPIVersion

        answered, said = threading.Event(), [""]

        def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            said[0] = f"refused the connection ({reason})" if reason.is_failure else ""
            answered.set()

        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv311)
        client.on_connect = on_connect
        client.connect_timeout = self.timeout_s
        if self.user:
            client.username_pw_set(self.user, self.password or None)
        if self.tls:
            client.tls_set_context(ssl.create_default_context())
        stop = time.monotonic() + self.timeout_s
        client.connect(self.host, self.port)
        client.loop_start()
        try:
            if not answered.wait(self.timeout_s) or said[0]:
                return said[0] or f"did not answer within {self.timeout_s:g} s"
            sent = [client.publish(topic, text, AT_LEAST_ONCE, retain) for topic, text, retain in messages]
            for message in sent:
                message.wait_for_publish(max(0.01, stop - time.monotonic()))
            if not all(message.is_published() for message in sent):
                return f"did not confirm the messages within {self.timeout_s:g} s"
            return ""
        finally:
            client.disconnect()
            client.loop_stop()


def broker_of(settings: Mapping[str, Any], night: Night) -> Broker | None:
    """The broker of the configuration, with the topic of the night's zone; none if no host is named.

    Raises ``ConfigError`` if the extra is not installed, a named environment variable is empty, or the topic cannot be.
    """
    if not settings["host"]:
        return None
    if importlib.util.find_spec("paho") is None:
        raise ConfigError('monitoring.mqtt.host needs the extra "mqtt": pip install "adno[mqtt]"')
    topic = str(settings["topic"]).strip("/")
    if not topic or re.search(r"[+#\0]", topic):
        raise ConfigError(
            f"monitoring.mqtt.topic={settings['topic']} is no topic; write one like grid/adno, without + and #"
        )
    return Broker(
        str(settings["host"]),
        int(settings["port"]),
        f"{topic}/{re.sub('[+#/]', '_', night.zone)}",
        float(settings["timeout_s"]),
        bool(settings["tls"]),
        bool(settings["retain_plan"]),
        _secret(settings, "user_variable"),
        _secret(settings, "password_variable"),
    )


def _secret(settings: Mapping[str, Any], key: str) -> str:
    variable = settings[key]
    if not variable:
        return ""
    value = os.environ.get(str(variable), "")
    if not value:
        raise ConfigError(
            f"monitoring.mqtt.{key}={variable}: this environment variable is empty; export it, or set "
            f"monitoring.mqtt.{key}=null"
        )
    return value
