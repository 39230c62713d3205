"""The shell of every command: Hydra reads the configuration, a run function does the work, and the exit code tells.

Exit codes: 0 published (``ok`` or ``degraded``; 3 for ``degraded`` with ``strict=true``), 1 failed and nothing
published, 2 the command or its configuration is wrong. Expected errors print one clear message and no traceback.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from dispatch.errors import DispatchError
from forecasting.errors import ForecastingError
from pipelines import __version__, config_guard
from pipelines.errors import ConfigError, PipelineError, StoppedError
from pipelines.progress import Phases
from pipelines.run_folder import RunFolder, config_hash

log = logging.getLogger("adno")

#: The folder of Hydra groups, installed beside this package.
CONF = Path(__file__).resolve().parents[1] / "conf"

#: Errors that are explained in one message; anything else is a defect and keeps its traceback.
EXPECTED = (ForecastingError, DispatchError, PipelineError)


@dataclass
class Outcome:
    """What a run function hands back: its verdict, and the keys it adds to ``summary.json``."""

    status: str = "ok"
    reasons: list[str] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    headline: str = ""

    def degrade(self, reason: str) -> None:
        """Mark the run as degraded, for one more reason."""
        self.status = "degraded"
        if reason not in self.reasons:
            self.reasons.append(reason)


@dataclass
class Run:
    """What a run function gets: the resolved configuration, its folder, and the phases to report on."""

    command: str
    config: dict[str, Any]
    folder: RunFolder
    phases: Phases

    @property
    def seed(self) -> int:
        """The random seed of the run."""
        return int(self.config["seed"])

    @property
    def hash(self) -> str:
        """Fingerprint of the resolved configuration."""
        return config_hash(self.config)

    def provenance(self) -> dict[str, Any]:
        """What every published number can be traced to."""
        return {"command": self.command, "version": __version__, "seed": self.seed, "config_hash": self.hash}


RunFunction = Callable[[Run], Outcome]


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn SIGTERM into the same clean stop as Ctrl-C."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise StoppedError("stopped by SIGTERM; nothing was published, run the same command again to resume")

    try:
        previous = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread: a sweep's worker leaves signals to its parent
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _finish(run: Run, outcome: Outcome, started: float) -> None:
    seconds = {**run.phases.seconds, "total": round(time.perf_counter() - started, 3)}
    summary = {**run.provenance(), "status": outcome.status, "reasons": outcome.reasons, "seconds": seconds}
    run.folder.record("summary.json", {**summary, **outcome.record})


def _execute(command: str, function: RunFunction, config: DictConfig) -> int:
    """One run in its Hydra folder; returns the exit code and always leaves a summary if the folder can be written."""
    started = time.perf_counter()
    plain = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    run = Run(command, plain, RunFolder(Path(HydraConfig.get().runtime.output_dir)), Phases())
    sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        with _stoppable():
            outcome = function(run)
            _finish(run, outcome, started)
    except (KeyboardInterrupt, *EXPECTED) as error:
        stop = isinstance(error, (KeyboardInterrupt, StoppedError))
        if isinstance(error, KeyboardInterrupt):
            error = StoppedError("stopped by Ctrl-C; nothing was published, run the same command again to resume")
        try:
            _finish(run, Outcome(status="failed", reasons=[str(error)]), started)
        except PipelineError as unwritten:
            log.debug("no summary: %s", unwritten)
        log.error("%s", error)
        print(f"{command}: {error}", file=sys.stderr)
        if stop and sweep:
            raise KeyboardInterrupt from None  # ends the whole sweep, not only this job
        return error.exit_code
    colour = {"ok": "green", "degraded": "yellow"}.get(outcome.status, "red")
    console = Console(highlight=False, soft_wrap=True)
    if outcome.headline:
        console.print(escape(outcome.headline))
    for reason in outcome.reasons:
        console.print(f"  [yellow]·[/] {escape(reason)}")
    console.print(f"[{colour}]{outcome.status}[/] {escape(str(run.folder.path))}")
    return 3 if outcome.status == "degraded" and plain.get("strict") else 0


def _keys(config: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{key}.")


def _explain(error: Exception, config_name: str) -> str:
    """One message for a mistake in the command line or in a configuration file."""
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    text = " ".join(str(error).split())
    wrong = re.search(r"[Cc]ould not override '([^']+)'", text)
    if wrong:
        key = wrong.group(1)
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            known = list(_keys(cast(dict[Any, Any], OmegaConf.to_container(hydra.compose(config_name), resolve=False))))
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; --help lists every key of {config_name}"
        return f"unknown configuration key {key}{hint}"
    if cause is not error and str(cause) not in text:
        text += f" ({' '.join(str(cause).split())})"
    return text


def command(config_name: str, function: RunFunction) -> Callable[[], None]:
    """The ``main`` of ``python -m pipelines.NAME``: ``conf/NAME.yaml`` composed by Hydra, then ``function``."""
    codes: list[int] = []
    config_guard.guard()

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)
    def app(config: DictConfig) -> int:
        code = _execute(config_name, function, config)
        codes.append(code)
        return code

    def main() -> None:
        # a log file that a full disk refuses must not print over the message that says so
        logging.raiseExceptions = False
        os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors reach the handlers below, not Hydra's own printer
        try:
            app()
        except (HydraException, OmegaConfBaseException) as error:
            print(f"{config_name}: {_explain(error, config_name)}", file=sys.stderr)
            sys.exit(ConfigError.exit_code)
        except KeyboardInterrupt:
            print(f"{config_name}: stopped by Ctrl-C; nothing was published", file=sys.stderr)
            sys.exit(1)
        except OSError as error:
            place = error.filename or "a file"
            print(
                f"{config_name}: cannot write {place}: {error.strerror or error}; choose another folder with hydra.run.dir=PATH",
                file=sys.stderr,
            )
            sys.exit(1)
        sys.exit(max(codes, default=0))

    return main
