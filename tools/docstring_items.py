"""Docstrings as the packages write them, turned into what the NumPy style of griffe reads.

The packages write items of a section in one line (``case: from load_case``); griffe expects the text below the name. Sphinx
roles (``:func:`solve```) become plain code.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTION = re.compile(r"^(Parameters|Attributes|Raises|Returns|Yields|Examples|Notes|See Also)\n-{3,}\n", re.MULTILINE)
_ITEM = re.compile(r"^(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*): (?P<text>\S.*)$")
_ROLE = re.compile(r":\w+:`~?([^`]+)`")


def readable(text: str) -> str:
    """The docstring with one-line items of its sections spread over two lines, and without roles.

    >>> print(readable("Parameters\\n----------\\ncase: from a file.\\nsteps: of an hour,\\n    or less."))
    Parameters
    ----------
    case
        from a file.
    steps
        of an hour,
        or less.
    """
    text = _ROLE.sub(r"`\1`", text)
    pieces = _SECTION.split(text)
    done = [pieces[0]]
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if name in ("Parameters", "Attributes", "Raises"):
            body = _spread(body)
        done.append(f"{name}\n{'-' * len(name)}\n{body}")
    return "".join(done)


def _spread(body: str) -> str:
    lines = []
    for line in body.splitlines():
        item = _ITEM.match(line)
        if item:
            lines += [item["names"], f"    {item['text']}"]
        else:
            lines.append(line)
    return "\n".join(lines)


class ReadableDocstrings(griffe.Extension):
    """Applies :func:`readable` to every docstring as it is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of ``obj`` in place."""
        if obj.docstring:
            obj.docstring.value = readable(obj.docstring.value)
