"""Name the rows that make a model infeasible, in the words of whoever declared them.

``declare_*`` functions attach a sentence to their constraints and bounds with :func:`describe`. After an infeasible
verdict :func:`explain` solves an elastic copy, in which described rows may be missed at a price, and reports each row
that had to be missed and by how much (J. W. Chinneck, "Feasibility and Infeasibility in Optimization", 2008, ch. 6).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TypeAlias

import numpy as np
from scipy.sparse import csr_array, hstack, vstack

from dispatch.conic.compiled import Compiled, compile_model
from dispatch.conic.cones import Cone
from dispatch.conic.options import SolverOptions
from dispatch.conic.outer_approximation import OuterApproximation
from dispatch.errors import InfeasibleError

#: ``text(index, amount)``: one sentence about the row at ``index`` (a tuple). ``amount`` is in the row's unit, positive
#: above an upper limit and negative below a lower one.
RowText: TypeAlias = Callable[[tuple[Any, ...], float], str]

#: Misses below this are solver noise.
SMALLEST_MISS = 1e-6
#: Rows listed in an error text.
MOST_ROWS = 12


def describe(component: Any, text: RowText) -> None:
    """Attach words to a Pyomo constraint, or to a variable for its bounds, for use when a model is infeasible.

    The words are kept on the parent block as ``row_texts``, so they survive ``clone``.
    """
    block = component.parent_block()
    if not hasattr(block, "row_texts"):
        block.row_texts = {}
    block.row_texts[component.local_name] = text


def explain(model: Any, cones: Sequence[Cone] = (), options: SolverOptions | None = None) -> tuple[str, ...]:
    """Sentences about a least set of rows whose relaxation makes the model feasible, the largest miss first.

    Only described rows are relaxed; if that is not enough, every row and bound is, under its Pyomo name. Empty if the
    model is feasible or if the elastic copy was not solved in ``options.time_limit_s``.
    """
    options = options or SolverOptions(time_limit_s=20.0)
    compiled = compile_model(model, cones)
    for everything in (False, True):
        rows = list(_elastic_rows(compiled, everything))
        engine = OuterApproximation(
            _elastic(compiled, rows),
            replace(options, gap=1e-3, solver="highs"),
            None,
            time.perf_counter() + options.time_limit_s,
        )
        engine.run()
        if engine.x is not None:
            return tuple(_sentences(rows, engine.x[compiled.size :]))
    return ()


def raise_infeasible(model: Any, cones: Sequence[Cone] = (), options: SolverOptions | None = None) -> NoReturn:
    """Raise InfeasibleError with the rows that conflict; call it after an infeasible verdict."""
    rows = explain(model, cones, options)
    if not rows:
        raise InfeasibleError("no schedule meets all limits; the conflicting rows could not be told apart")
    listed = "\n".join(f"  - {row}" for row in rows[:MOST_ROWS])
    more = f"\n  ... and {len(rows) - MOST_ROWS} more" if len(rows) > MOST_ROWS else ""
    raise InfeasibleError(f"no schedule meets all limits; the nearest one would still miss\n{listed}{more}")


@dataclass(frozen=True)
class _ElasticRow:
    """A row (``row``) or the bounds of a column (``column``) that may be missed; the other of the two is -1."""

    row: int
    column: int
    text: RowText
    index: tuple[Any, ...]


def _elastic_rows(compiled: Compiled, everything: bool) -> Iterator[_ElasticRow]:
    for row, source in enumerate(compiled.sources):
        text = _text_of(source, everything)
        if text is not None:
            yield _ElasticRow(row, -1, text, _as_tuple(source.index()))
    bounded = (np.isfinite(compiled.lower) | np.isfinite(compiled.upper)) & (compiled.lower < compiled.upper)
    for column, variable in enumerate(compiled.columns):
        if bounded[column] and not compiled.integer[column]:
            text = _text_of(variable, everything)
            if text is not None:
                yield _ElasticRow(-1, column, text, _as_tuple(variable.index()))


def _text_of(data: Any, everything: bool) -> RowText | None:
    component = data.parent_component()
    text: RowText | None = getattr(component.parent_block(), "row_texts", {}).get(component.local_name)
    if text is None and everything:
        name = data.name
        return lambda _, amount: f"{name}: missed by {abs(amount):.4g}"
    return text


def _as_tuple(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _elastic(compiled: Compiled, rows: list[_ElasticRow]) -> Compiled:
    """The copy with two slack columns per elastic row, priced at one; elastic bounds become rows."""
    count, size = len(rows), compiled.size
    of_bounds = [k for k, row in enumerate(rows) if row.row < 0]
    columns = np.array([rows[k].column for k in of_bounds], dtype=np.int64)
    unit = csr_array((np.ones(len(columns)), (np.arange(len(columns)), columns)), shape=(len(columns), size))
    base = vstack([compiled.matrix, unit], format="csr")
    first = compiled.matrix.shape[0]
    at = np.zeros(count, dtype=np.int64)
    at[of_bounds] = first + np.arange(len(of_bounds))
    of_rows = [k for k, row in enumerate(rows) if row.row >= 0]
    at[of_rows] = [rows[k].row for k in of_rows]
    slack = csr_array((np.ones(count), (at, np.arange(count))), shape=(base.shape[0], count))
    lower, upper = compiled.lower.copy(), compiled.upper.copy()
    lower[columns], upper[columns] = -np.inf, np.inf
    pad = csr_array((compiled.cones.H.shape[0], 2 * count))
    return replace(
        compiled,
        matrix=csr_array(hstack([base, slack, -slack], format="csr")),
        row_lower=np.concatenate([compiled.row_lower, compiled.lower[columns]]),
        row_upper=np.concatenate([compiled.row_upper, compiled.upper[columns]]),
        lower=np.concatenate([lower, np.zeros(2 * count)]),
        upper=np.concatenate([upper, np.full(2 * count, np.inf)]),
        integer=np.concatenate([compiled.integer, np.zeros(2 * count, dtype=bool)]),
        cost=np.concatenate([np.zeros(size), np.ones(2 * count)]),
        offset=0.0,
        sense=1,
        cones=replace(compiled.cones, H=csr_array(hstack([compiled.cones.H, pad], format="csr"))),
    )


def _sentences(rows: list[_ElasticRow], slacks: Any) -> list[str]:
    short, long = np.split(slacks, 2)
    amounts = long - short
    order = sorted(np.flatnonzero(np.abs(amounts) > SMALLEST_MISS), key=lambda k: -abs(amounts[k]))
    return list(dict.fromkeys(rows[k].text(rows[k].index, float(amounts[k])) for k in order))
