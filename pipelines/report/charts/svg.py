"""A matplotlib figure as a small inline SVG that reads its colours from the page and can be read aloud."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from pipelines.report.charts.theme import RC_PARAMS, WIDTH_PX, C

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_HEX = re.compile(r"#[0-9a-f]{6}\b")
_FONT = re.compile(r"font-family: [^;]*;? ?")
_NO_TURN = re.compile(r"rotate\(-?0 [^)]*\)")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_VARIABLE = {value: f"var(--{name},{value})" for name, value in C.items()}
_NUMERIC = ("d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "transform", "points")


@dataclass(frozen=True)
class Chart:
    """One figure of a page.

    svg: inline SVG, without id clashes with any other chart of the page.
    caption: what the reader should see in it, a sentence or two under the figure.
    title: short name, read first by a screen reader; description: the same content in words and numbers.
    wide: whether it takes the full width of the page on a large screen.
    """

    svg: str
    caption: str
    title: str
    description: str
    wide: bool = False


@dataclass
class Canvas:
    """A figure being drawn: ``figure`` is matplotlib's, ``hints`` maps an artist's gid to the text shown on hover."""

    figure: Any
    hints: dict[str, str] = field(default_factory=dict)

    def hint(self, artist: Any, text: str) -> None:
        """Show ``text`` when the pointer rests on ``artist``."""
        gid = f"hint{len(self.hints)}"
        artist.set_gid(gid)
        self.hints[gid] = text

    def chart(self, title: str, caption: str, description: str = "", *, wide: bool = False) -> Chart:
        """The finished drawing. ``description`` defaults to the caption."""
        told = description or caption
        return Chart(inline_svg(self.figure, title, told, self.hints), caption, title, told, wide)


@contextmanager
def canvas(height_px: float = 280, width_px: float = WIDTH_PX) -> Iterator[Canvas]:
    """An empty figure in the report's style; one SVG unit is one CSS pixel."""
    with matplotlib.rc_context(RC_PARAMS):
        figure = Figure(figsize=(width_px / 72, height_px / 72), dpi=72)
        FigureCanvasSVG(figure)
        figure.patch.set_alpha(0.0)
        yield Canvas(figure)


def inline_svg(figure: Any, title: str, description: str, hints: Mapping[str, str] | None = None) -> str:
    """Draw ``figure`` and return one ``<svg>`` element for an HTML page.

    Ids are dropped where nothing refers to them and carry a prefix from the content where something does; coordinates
    are rounded to a hundredth of a pixel; the report's colours become CSS variables; text stays text in the page's font.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    raw = buffer.getvalue()
    root = ElementTree.fromstring(raw)
    prefix = "c" + hashlib.sha256(raw + title.encode()).hexdigest()[:8]
    _drop(root, {f"{_SVG}metadata", f"{_SVG}style"})
    _hang_hints(root, hints or {})
    referenced = _referenced_ids(root)
    for element in root.iter():
        _clean(element, prefix, referenced)
    _describe(root, prefix, title, description)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _drop(root: ElementTree.Element, tags: set[str]) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            empty_defs = child.tag == f"{_SVG}defs" and all(c.tag in tags for c in child)
            if child.tag in tags or empty_defs:
                parent.remove(child)


def _hang_hints(root: ElementTree.Element, hints: Mapping[str, str]) -> None:
    for element in list(root.iter()):
        text = hints.get(element.get("id", ""))
        if text is not None:
            label = ElementTree.Element("title")
            label.text = text
            element.insert(0, label)


def _referenced_ids(root: ElementTree.Element) -> set[str]:
    found: set[str] = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == _XLINK and value.startswith("#"):
                found.add(value[1:])
            found.update(_REFERENCE.findall(value))
    return found


def _clean(element: ElementTree.Element, prefix: str, referenced: set[str]) -> None:
    element.tag = element.tag.removeprefix(_SVG)
    attributes: dict[str, str] = {}
    for name, value in element.attrib.items():
        if name == "id":
            if value in referenced:
                attributes["id"] = f"{prefix}-{value}"
            continue
        if name == _XLINK:
            attributes["href"] = f"#{prefix}-{value[1:]}" if value.startswith("#") else value
            continue
        if name in _NUMERIC:
            value = _NO_TURN.sub("", " ".join(_NUMBER.sub(_round, value).split()))
            if not value:
                continue
        elif name == "style":
            value = _style(value)
        attributes[name] = _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
    element.attrib.clear()
    element.attrib.update(attributes)
    if element.tag != "text" and element.text is not None and not element.text.strip():
        element.text = None
    element.tail = None


def _style(value: str) -> str:
    value = _HEX.sub(lambda m: _VARIABLE.get(m[0], m[0]), _NUMBER.sub(_round, _FONT.sub("", value)))
    return value.replace("; ", ";").replace(": ", ":")


def _round(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")


def _describe(root: ElementTree.Element, prefix: str, title: str, description: str) -> None:
    width, height = root.get("viewBox", "0 0 0 0").split()[2:]
    root.attrib.clear()
    root.attrib.update(
        {
            "viewBox": f"0 0 {width} {height}",
            "width": width,
            "height": height,
            "role": "img",
            "aria-labelledby": f"{prefix}-t {prefix}-d",
        }
    )
    for tag, key, text in (("desc", "d", description), ("title", "t", title)):
        label = ElementTree.Element(tag, {"id": f"{prefix}-{key}"})
        label.text = text
        root.insert(0, label)
