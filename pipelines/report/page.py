"""A page of figures and tables as one HTML file that asks no other host for anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipelines.report.charts.svg import Chart
from pipelines.report.charts.theme import css_variables
from pipelines.run_folder import write_atomically

Status = Literal["ok", "degraded", "failed"]

#: What each status means to the reader.
STATUS_WORDS: dict[str, str] = {
    "ok": "OK: complete",
    "degraded": "Degraded: complete, with reservations",
    "failed": "Failed: nothing was published",
}
SIMULATED_BANNER = "This page shows simulated data: its series come from a stochastic model, not from a market."


@dataclass(frozen=True)
class Cell:
    """A table cell with a verdict: ``tone`` is ``good``, ``warn`` or ``bad`` and colours what the text already says.

    ``links``: (text, relative address) of what the cell leads to, in place of its text.
    """

    text: str
    tone: Literal["good", "warn", "bad"] | None = None
    links: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Table:
    """A table with its caption. ``numeric`` are the positions of columns set to the right; the first column heads its row."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    numeric: Sequence[int] = ()


@dataclass(frozen=True)
class Headline:
    """One figure at the top of the page: what it is, the figure, its unit, and one line to read it by."""

    name: str
    value: str
    unit: str = ""
    note: str = ""
    tone: Literal["good", "warn", "bad"] | None = None


@dataclass(frozen=True)
class Section:
    """One part of a page: a leading sentence that says the result, then figures, tables, text and links to files."""

    title: str
    lead: str = ""
    figures: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    text: Sequence[str] = ()
    links: Sequence[tuple[str, str]] = ()

    @property
    def anchor(self) -> str:
        """The section's id: its title in lower case and hyphens."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"


@dataclass(frozen=True)
class Page:
    """Everything that one report shows.

    status: ``ok``, ``degraded`` or ``failed``; reasons: why it is not ``ok``, one sentence each.
    status_words: the status in words, where the usual ones do not say enough.
    banners: what must be seen before any figure, such as "simulated data".
    links: (text, relative address) of data files that lie beside the page.
    trail: (text, relative address) of the pages around this one, shown above the title.
    """

    title: str
    subtitle: str
    status: Status
    reasons: Sequence[str] = ()
    banners: Sequence[str] = ()
    headlines: Sequence[Headline] = ()
    sections: Sequence[Section] = ()
    links: Sequence[tuple[str, str]] = ()
    footer: str = ""
    status_words: str = ""
    trail: Sequence[tuple[str, str]] = ()


def render(page: Page) -> str:
    """The page as one self-contained HTML document: style and drawings inline, everything else escaped."""
    template = _environment().get_template("page.html.j2")
    anchors = _distinct([section.anchor for section in page.sections])
    return template.render(
        page=page,
        sections=list(zip(anchors, page.sections, strict=True)),
        status_words=page.status_words or STATUS_WORDS[page.status],
        style=_style(),
    )


def write_page(path: Path | str, page: Page) -> Path:
    """Write the page so that a reader sees the old file or the whole new one, never a part.

    Raises
    ------
    FolderError: if the folder cannot be written; the old file is then untouched.
    """
    text = render(page)
    return write_atomically(Path(path), lambda part: part.write_text(text, encoding="utf-8"))


def _distinct(anchors: Sequence[str]) -> list[str]:
    used = {"content": 1, "contents": 1, "status": 1, "trail": 1}
    distinct = []
    for anchor in anchors:
        used[anchor] = used.get(anchor, 0) + 1
        distinct.append(anchor if used[anchor] == 1 else f"{anchor}-{used[anchor]}")
    return distinct


def _svg(chart: Chart) -> Markup:
    # Safe: matplotlib's SVG writer and ElementTree escaped every text that entered the drawing.
    return Markup(chart.svg)


def _as_cell(value: str | Cell) -> Cell:
    return value if isinstance(value, Cell) else Cell(str(value))


@cache
def _environment() -> Environment:
    loader = PackageLoader("pipelines.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Any] = {"svg": _svg, "cell": _as_cell}
    environment.filters.update(filters)
    return environment


@cache
def _style() -> Markup:
    text = (Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    return Markup(css_variables() + text)
