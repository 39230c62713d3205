"""Colours and text of every chart, in one place, for light and dark pages.

The colours are those of Okabe and Ito (2008), told apart under the common forms of colour blindness, each with a lighter
twin for a dark page. A chart is drawn with the light value; the SVG names the CSS variable, so that the page decides.
"""

from __future__ import annotations

from typing import NamedTuple


class Ink(NamedTuple):
    """One colour: the value on a light page and the value on a dark page."""

    light: str
    dark: str


INKS: dict[str, Ink] = {
    "ink": Ink("#1b2430", "#e6edf3"),
    "muted": Ink("#56616f", "#a3afbd"),
    "hairline": Ink("#dde3ea", "#2d3642"),
    "surface": Ink("#fefefe", "#161b22"),
    "grid": Ink("#0072b2", "#4aa8e0"),
    "gas": Ink("#d55e00", "#f2894b"),
    "wind": Ink("#009e73", "#3cc79f"),
    "storage": Ink("#b2579a", "#dd8fc6"),
    "response": Ink("#e69f00", "#f0b840"),
    "charge": Ink("#7a6bb0", "#b3a6e0"),
    "solar": Ink("#b8a500", "#f0e442"),
    "heat": Ink("#8c4a2f", "#d39b82"),
    "accent": Ink("#2457c5", "#7aa2ff"),
    "good": Ink("#1a7f4b", "#3fb97a"),
    "warn": Ink("#8a5a00", "#e3b341"),
    "bad": Ink("#b42318", "#ff7b72"),
}

#: Names of the colours given to series that have none of their own, in order.
SERIES = ("grid", "gas", "wind", "storage", "response", "charge", "heat", "solar")

#: Name to light value: what a chart is drawn with.
C: dict[str, str] = {name: ink.light for name, ink in INKS.items()}

WIDTH_PX = 500
TICK_PX = 11.5
LABEL_PX = 12.0

RC_PARAMS: dict[str, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": LABEL_PX,
    "text.color": C["ink"],
    "axes.labelcolor": C["muted"],
    "axes.labelsize": LABEL_PX,
    "axes.edgecolor": C["hairline"],
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "grid.color": C["hairline"],
    "grid.linewidth": 1.0,
    "xtick.labelsize": TICK_PX,
    "ytick.labelsize": TICK_PX,
    "xtick.color": C["hairline"],
    "ytick.color": C["hairline"],
    "xtick.labelcolor": C["muted"],
    "ytick.labelcolor": C["muted"],
    "ytick.major.size": 0,
    "xtick.major.size": 4,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": TICK_PX,
    "legend.handlelength": 1.3,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "legend.borderaxespad": 0.0,
}


def series_colour(position: int) -> str:
    """Colour of the series at this position; they repeat after the eighth, where line styles change."""
    return C[SERIES[position % len(SERIES)]]


def series_style(position: int) -> str:
    """Line style that tells the ninth series from the first."""
    return ("-", "--", ":", "-.")[(position // len(SERIES)) % 4]


def css_variables() -> str:
    """The colours as CSS custom properties: light, dark, and light again for print."""
    light = "".join(f"--{name}:{ink.light};" for name, ink in INKS.items())
    dark = "".join(f"--{name}:{ink.dark};" for name, ink in INKS.items())
    return f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}@media print{{:root{{{light}}}}}"
