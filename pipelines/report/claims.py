"""What a publication says of its figure, and what the model implies in general, checked on the jobs of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipelines.report.words import level, number, plain, quantity_name, quantity_unit

#: Relative change that still counts as none, and as hardly any.
SAME = 1e-6
FLAT = 0.02

#: "About" half means half of it more or less by this share of the half.
ABOUT = 0.25


def findings(done: pd.DataFrame, published: Mapping[str, Any], currency: str = "") -> list[str]:
    """One sentence per check of the experiment: what was claimed, by whom, and what the jobs show.

    done: a row per job that finished; published: the experiment's section of that name, with ``checks`` of ``column``,
    ``claim`` and ``kind`` (``general`` or ``paper``), and ``where`` for one value of ``by``.
    """
    found = []
    for check in published.get("checks", ()):
        part = done if check.get("where") is None else done[done[published["by"]].astype(str) == str(check["where"])]
        series = part.groupby(str(published["x"]))[check["column"]].mean().dropna()
        chosen = (published.get("names") or {}).get(check.get("where"), check.get("where"))
        where = "" if chosen is None else f" ({plain(published['by'])}: {chosen})"
        by = "Follows from the model" if check["kind"] == "general" else "The paper reports"
        verdict, claimed, shown = _verdict(series, check, quantity_unit(str(check["column"]), currency))
        answer = "holds here" if verdict else "does not hold here"
        found.append(f"{by}: {quantity_name(check['column'])}{where} {claimed}. It {answer}: {shown}.")
    return found


def _verdict(series: pd.Series, check: Mapping[str, Any], unit: str) -> tuple[bool, str, str]:
    """Whether the claim holds, the claim in words, and what is seen."""
    values, size = series.to_numpy(dtype=float), max(float(series.abs().max()), 1e-12)
    change = np.diff(values) / size
    x = plain(str(series.index.name))
    ends = ", ".join(f"{number(float(values[k]))} {unit}".strip() + f" at {level(series.index[k])}" for k in (0, -1))
    match check["claim"]:
        case "never_rises":
            return bool((change <= SAME).all()), f"never rises with {x}", ends + _against(change, series, "rises")
        case "never_falls":
            return bool((change >= -SAME).all()), f"never falls with {x}", ends + _against(-change, series, "falls")
        case "moves_by":
            moved, share = float(np.ptp(values)) / size, float(check["share"])
            seen = f"it changes by {100 * moved:.1f}%, {ends}"
            return abs(moved - share) <= ABOUT * share, f"changes by about {100 * share:.0f}% with {x}", seen
        case "turns":
            peak = int(values.argmax())
            turned = peak > 0 and values[-1] < values[peak] - SAME * size
            return turned, "rises to a turning point and then falls", f"its peak is at {level(series.index[peak])}"
        case "flat_beyond":
            tail = series[series.index >= check["beyond"] - 1e-9].to_numpy(dtype=float)
            spread = float(np.ptp(tail) / np.abs(tail).max())
            claimed = f"hardly changes beyond {level(check['beyond'])}"
            return spread <= FLAT, claimed, f"it changes by {100 * spread:.1f}% there"
        case "zero_up_to":
            zeros = next((at for at, value in enumerate(values) if abs(value) > SAME), len(values))
            reached = f"zero up to {level(series.index[zeros - 1])}" if zeros else "at no point zero"
            beyond = f", not at {level(series.index[zeros])}" if 0 < zeros < len(values) else ""
            return zeros == len(values), "is zero", f"it is {reached}{beyond}"
        case other:
            raise ValueError(f"published.checks: no claim is named {other}")


def _against(change: np.ndarray[Any, Any], series: pd.Series, moves: str) -> str:
    """Where a series moves most against a claim, in words; nothing where it never does."""
    most = int(change.argmax()) if len(change) else 0
    if not len(change) or change[most] <= SAME:
        return ""
    return (
        f"; it {moves} by {100 * change[most]:.1f}% from {level(series.index[most])} to {level(series.index[most + 1])}"
    )
