"""Fenced blocks of a Markdown page, and what it means to run each.

``python`` blocks of a page share one namespace; ``bash`` blocks run in the page's folder, in order with them. A class says
otherwise: ``.exit-2`` expects that exit code, ``.compose`` needs a key or hours, so its commands are only composed as Hydra
would, and ``.show`` is read, not run. A block with ``title="FILE"`` is written to that file.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra

from pipelines.app import CONF

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"python -m pipelines\.(\w+)")


@dataclass(frozen=True)
class Block:
    """A fenced block: language, classes, title and text, and the line at which it begins."""

    language: str
    classes: frozenset[str]
    title: str
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        words = re.findall(r'title="[^"]*"|[^\s{}]+', match["info"])
        titles = [word[7:-1] for word in words if word.startswith("title=")]
        names = [word.lstrip(".") for word in words if not word.startswith("title=")]
        body = "".join(line.removeprefix(match["indent"]) for line in match["body"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(names[0] if names else "", frozenset(names[1:]), titles[0] if titles else "", body, line))
    return found


def run_page(page: Path, folder: Path) -> None:
    """Run every block of ``page`` in ``folder``; fails with the block's line."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(page):
        where = f"{page.name}, line {block.line}"
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif "show" in block.classes or block.language in ("text", "toml", "yaml", "ini", ""):
            continue
        elif block.language == "python":
            exec(compile(block.text, where, "exec"), namespace)
        elif block.language in ("bash", "console") and "compose" in block.classes:
            compose_commands(block.text, where)
        elif block.language == "bash":
            wanted = next((int(name.removeprefix("exit-")) for name in block.classes if name.startswith("exit-")), 0)
            _shell(block.text, folder, wanted, where)
        else:
            raise AssertionError(f"{where}: a {block.language} block is neither run nor marked .show")


def _shell(text: str, folder: Path, wanted: int, where: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-ec", text],
        cwd=folder,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == wanted, (
        f"{where}: exit {done.returncode}, expected {wanted}\n{done.stdout}\n{done.stderr}"
    )


def compose_commands(text: str, where: str) -> None:
    """Every command line of the package in ``text`` is one that Hydra can compose."""
    commands = [line for line in text.splitlines() if _COMMAND.search(line)]
    assert commands, f"{where}: no command to compose"
    for line in commands:
        command, words = _COMMAND.search(line), shlex.split(line.split("pipelines.", 1)[1])[1:]
        assert command is not None
        GlobalHydra.instance().clear()
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            hydra.compose(command[1], [word for word in words if not word.startswith("--")], return_hydra_config=True)
