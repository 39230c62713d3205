"""Tables of a page from data frames and lists of records."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipelines.report.page import Table
from pipelines.report.words import number, quantity_name, quantity_unit, sentence

MOST_ROWS = 60


def frame_table(caption: str, frame: pd.DataFrame, currency: str = "", rows: int = MOST_ROWS) -> Table:
    """The first ``rows`` rows of a frame; the caption says how many there are, a column's name gives its unit."""
    return _table(caption, frame, [str(name) for name in frame.select_dtypes(["number", "bool"])], currency, rows)


def interval_table(caption: str, frame: pd.DataFrame, currency: str = "", rows: int = MOST_ROWS) -> Table:
    """The same with an estimate and its ends, ``NAME``, ``NAME_low`` and ``NAME_high``, in one column."""
    right = [str(name) for name in frame.select_dtypes(["number", "bool"])]
    folded = frame.copy()
    for name in frame.columns:
        ends = [f"{name}_low", f"{name}_high"]
        if set(ends) <= set(folded.columns):
            triples = folded[[name, *ends]].itertuples(index=False, name=None)
            folded[name] = [f"{number(value)} ({number(low)} to {number(high)})" for value, low, high in triples]
            folded = folded.drop(columns=ends)
    return _table(caption, folded, right, currency, rows)


def _table(caption: str, frame: pd.DataFrame, right: Sequence[str], currency: str, rows: int) -> Table:
    numeric = [k for k, name in enumerate(frame.columns) if k and name in right]
    heads = []
    for name in map(str, frame.columns):
        unit = quantity_unit(name, currency)
        heads.append(sentence(quantity_name(name)) + (f", {unit}" if unit else ""))
    body = [[_text(value) for value in record] for record in frame.head(rows).itertuples(index=False, name=None)]
    more = f" (first {rows} of {len(frame)} rows)" if len(frame) > rows else ""
    return Table(caption + more, heads, body, numeric)


def _text(value: object) -> str:
    if value is None or (not isinstance(value, str) and pd.api.types.is_scalar(value) and pd.isna(value)):
        return "n/a"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M %Z}".strip()
    return value if isinstance(value, str) else number(value)
