"""What did the user mean? One helper for every message that names the nearest right name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice most like ``name`` (case ignored), or ``None`` if nothing is close.

    >>> nearest("DK1", ["DK_1", "SE_3"])
    'DK_1'
    """
    by_lower: dict[str, str] = {}
    for choice in choices:
        by_lower.setdefault(choice.lower(), choice)
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.5)
    return by_lower[found[0]] if found else None


def unknown(kind: str, name: str, choices: Iterable[str]) -> str:
    """One line for an unknown name: what it is, the nearest right one, and the right ones.

    >>> unknown("zone", "DK1", ["DK_1", "SE_3"])
    "unknown zone 'DK1'; did you mean 'DK_1'? Known: DK_1, SE_3"
    """
    names = list(choices)
    guess = nearest(name, names)
    hint = f"; did you mean '{guess}'?" if guess else "."
    shown = ", ".join(names[:25]) + (f" and {len(names) - 25} more" if len(names) > 25 else "")
    return f"unknown {kind} '{name}'{hint} Known: {shown or 'none'}"
