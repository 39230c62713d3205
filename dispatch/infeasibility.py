"""Name the rows that make a model infeasible, in the words of whoever declared them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

#: ``text(index, amount)``: one sentence about the row at ``index`` (a tuple) that is missed by ``amount`` in its unit.
RowText: TypeAlias = Callable[[tuple[Any, ...], float], str]


def describe(component: Any, text: RowText) -> None:
    """Attach words to a Pyomo constraint, or to a variable for its bounds, for use when a model is infeasible.

    The words are kept on the parent block, so they survive ``clone``.
    """
    block = component.parent_block()
    if not hasattr(block, "row_texts"):
        block.row_texts = {}
    block.row_texts[component.local_name] = text
