"""Who is told how a night ended, as the configuration names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.stages.monitoring import Listener, webhook_of
from pipelines.stages.mqtt import broker_of
from pipelines.stages.night import Night


def listeners_of(settings: Mapping[str, Any], night: Night) -> list[Listener]:
    """Webhook and MQTT broker of the section ``monitoring``. Raises ``ConfigError`` for what cannot be used."""
    named: list[Listener | None] = [webhook_of(settings["webhook"]), broker_of(settings["mqtt"], night)]
    return [listener for listener in named if listener is not None]
