"""MkDocs hook: formulas become MathML while the site is built, so that pages need neither scripts nor another host."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<block>.*?)\\\])</(?P=tag)>', re.DOTALL
)


def on_page_content(content: str, **_: Any) -> str:
    """Replace what ``pymdownx.arithmatex`` marked; called by MkDocs for every page."""
    return _FORMULA.sub(_mathml, content)


def _mathml(match: re.Match[str]) -> str:
    if match["inline"] is not None:
        return str(convert(html.unescape(match["inline"])))
    return f'<div class="formula" tabindex="0">{convert(html.unescape(match["block"]), display="block")}</div>'
