"""An MQTT broker on this machine, and a control system that subscribes to it."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amqtt.broker import Broker as LocalBroker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion


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
    """A control system that subscribes to everything below ``adno`` and remembers what comes.

    got: by topic the newest message and whether the broker had kept it; all: topic and text of every message.
    """

    def __init__(self, port: int, user: str = "", password: str = "") -> None:
        self.got: dict[str, tuple[str, bool]] = {}
        self.all: list[tuple[str, str]] = []
        self.ready = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_: client.subscribe("adno/#", qos=1)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = lambda _client, _data, message: self._remember(message)
        if user:
            self.client.username_pw_set(user, password)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.ready.wait(20)

    def _remember(self, message: MQTTMessage) -> None:
        text = message.payload.decode()
        self.got[message.topic] = (text, bool(message.retain))
        self.all.append((message.topic, text))

    def wait_for(self, topic: str) -> tuple[str, bool]:
        stop = time.monotonic() + 20
        while topic not in self.got and time.monotonic() < stop:
            time.sleep(0.02)
        return self.got[topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
