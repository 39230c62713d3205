"""What a watcher reads: a status in JSON and in the Prometheus text format, a heartbeat per phase, and a webhook."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import requests

from pipelines import clock
from pipelines.errors import ConfigError, FolderError
from pipelines.run_folder import plain, write_atomically
from pipelines.stages.night import Night

log = logging.getLogger("adno")

STATUSES = ("ok", "degraded", "failed")

_HELP = {
    "adno_nightly_status": "1 for the status of the last night that ended, 0 for the others",
    "adno_nightly_finished_timestamp_seconds": "when the last night ended",
    "adno_nightly_as_of_timestamp_seconds": "the instant for which the last night was run",
    "adno_nightly_delivery_timestamp_seconds": "first step of the delivery day of the last night",
    "adno_nightly_reasons": "number of reasons why the last night is degraded or failed",
    "adno_nightly_warnings": "number of things beside the plan that did not work, such as a broker that was not reached",
    "adno_nightly_phase_seconds": "wall time of the last night by phase",
    "adno_nightly_objective": "profit or cost of the last plan, in the currency of the case",
}


def status_record(
    night: Night,
    status: str,
    reasons: Sequence[str],
    seconds: Mapping[str, float],
    forecasters: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """What ``status.json`` says; ``forecasters``: champion and challenger by target."""
    return {
        "status": status,
        "reasons": list(reasons),
        "night": str(night),
        "zone": night.zone,
        "as_of": night.as_of,
        "delivery_day": night.delivery_day.isoformat(),
        "finished_at": clock.now(),
        "seconds": dict(seconds),
        "forecasters": dict(forecasters or {}),
        "warnings": [],
    }


def prometheus_text(night: Night, record: Mapping[str, Any], objective: float | None = None) -> str:
    """The status in the Prometheus text exposition format 0.0.4, every sample with the zone."""
    samples: dict[str, list[tuple[dict[str, str], float]]] = {
        "adno_nightly_status": [({"status": name}, float(record["status"] == name)) for name in STATUSES],
        "adno_nightly_finished_timestamp_seconds": [({}, record["finished_at"].timestamp())],
        "adno_nightly_as_of_timestamp_seconds": [({}, night.as_of.timestamp())],
        "adno_nightly_delivery_timestamp_seconds": [({}, night.index[0].timestamp())],
        "adno_nightly_reasons": [({}, float(len(record["reasons"])))],
        "adno_nightly_warnings": [({}, float(len(record["warnings"])))],
        "adno_nightly_phase_seconds": [({"phase": name}, value) for name, value in record["seconds"].items()],
    }
    if objective is not None:
        samples["adno_nightly_objective"] = [({}, objective)]
    lines = []
    for name, values in samples.items():
        lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge"]
        for labels, value in values:
            pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in {"zone": night.zone, **labels}.items())
            lines.append(f"{name}{{{pairs}}} {float(value)!r}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@dataclass(frozen=True)
class Webhook:
    """Where the status is posted to. The address may hold a secret, so it is never logged, raised or stored."""

    url: str = field(repr=False)
    timeout_s: float

    def tell(self, record: Mapping[str, Any], _plan: str | None = None) -> str:
        """Post the record as JSON; returns why nobody took it, empty if somebody did. The night does not depend on it."""
        try:
            answer = requests.post(self.url, json=plain(record), timeout=self.timeout_s)
        except requests.RequestException as error:
            return f"the webhook was not reached ({type(error).__name__})"
        return "" if answer.ok else f"the webhook answered with HTTP {answer.status_code}"


def webhook_of(settings: Mapping[str, Any]) -> Webhook | None:
    """The webhook of the configuration, whose address is in an environment variable; none if it names none.

    Raises ``ConfigError`` if the variable is not set.
    """
    variable = settings.get("url_variable")
    if not variable:
        return None
    url = os.environ.get(str(variable), "")
    if not url.startswith(("http://", "https://")):
        raise ConfigError(
            f"monitoring.webhook.url_variable={variable}: this environment variable holds no http address; export it, or "
            "set monitoring.webhook.url_variable=null"
        )
    return Webhook(url, float(settings["timeout_s"]))


class Listener(Protocol):
    """Somebody who is told how a night ended."""

    def tell(self, record: Mapping[str, Any], plan: str | None = None) -> str:
        """Hand over the status and the plan, if there is one; returns what went wrong in words, empty if nothing."""
        ...


def words_of(error: BaseException) -> str:
    """What an error says, for a status."""
    return str(error) or ("stopped by Ctrl-C" if isinstance(error, KeyboardInterrupt) else type(error).__name__)


@dataclass(frozen=True)
class Monitor:
    """Writes the state of a store's nights to ``folder``, and tells the listeners how a night ended."""

    folder: Path
    night: Night
    listeners: Sequence[Listener] = ()

    def beat(self, phase: str, doing: str) -> None:
        """Renew the heartbeat: which process is doing what since when. A disk that refuses it does not stop the night."""
        self._write("heartbeat", {"pid": os.getpid(), "phase": phase, "doing": doing, "at": clock.now()})

    def ended(
        self, record: Mapping[str, Any], objective: float | None = None, plan: str | None = None
    ) -> dict[str, Any]:
        """Publish how the night ended; returns the status with a warning for each listener that was not reached."""
        self.note(record, objective)  # first, as a listener may keep the night waiting
        warnings = [words for listener in self.listeners if (words := listener.tell(record, plan))]
        for words in warnings:
            log.warning("%s", words)
        told = {**record, "warnings": [*record["warnings"], *warnings]}
        if warnings:
            self.note(told, objective)
        return told

    def note(self, record: Mapping[str, Any], objective: float | None = None) -> None:
        """Write the status and its metrics without telling anybody."""
        self._write("status.json", record)
        self._write("status.prom", prometheus_text(self.night, record, objective))

    def failed(self, error: BaseException, seconds: Mapping[str, float]) -> None:
        """Publish that the night failed, and why."""
        self.ended(status_record(self.night, "failed", [words_of(error)], seconds))

    def _write(self, name: str, content: Mapping[str, Any] | str) -> None:
        text = content if isinstance(content, str) else json.dumps(plain(content), indent=2) + "\n"
        try:
            write_atomically(self.folder / name, lambda path: path.write_text(text, encoding="utf-8"))
        except FolderError as error:
            log.warning("%s", error)
