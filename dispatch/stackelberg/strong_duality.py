"""Strong duality of a follower: price times quantity taken out of the leader's objective, and optimality as one row.

For ``min (c + B p)'x + x'Q x/2`` over ``G x <= h (mu)``, ``E x = f (nu)`` the optimality conditions give

    ``p'B'x = -c'x - x'Q x - h'mu - f'nu``

(stationarity multiplied by ``x``; note ``x'Q x`` and not its half). It holds for every part of a follower that shares no
row and no product with the rest, so one block may hold many independent customers or hours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from scipy import sparse

from dispatch.errors import BilevelError
from dispatch.stackelberg.extraction import FollowerForm
from dispatch.stackelberg.kkt import KKTBlock
from dispatch.stackelberg.polynomial import ExpressionReader, Polynomial

#: Coefficients that agree to this, relative, count as the same multiple.
SAME_MULTIPLE = 1e-9


def refuse_moving_limits(form: FollowerForm) -> None:
    """Raises BilevelError if another player's variable sits in a limit: its product with the dual would be bilinear."""
    moving = form.leader_in_limits
    if moving:
        shown = ", ".join(moving[:3]) + (" ..." if len(moving) > 3 else "")
        raise BilevelError(
            f"follower {form.name}: strong duality is not exact, since variables of other players sit in the right-hand "
            f"side of {len(moving)} rows ({shown}): dual times limit would be a product of decisions. Use "
            "reformulation='kkt_bigm' or 'branching'"
        )


def declare_strong_duality(kkt: KKTBlock, reader: ExpressionReader) -> tuple[KKTBlock, list[str]]:
    """Puts ``primal <= dual`` in the place of complementarity, for parts of a linear follower that no leader touches.

    Declared as ``strong_duality`` on the block. Where the leader sets prices the row would hold price times quantity,
    and in a quadratic part a square met only to a tolerance: there complementarity stays. Returns the block with the
    rows that still need it, and what was done in words.
    """
    form = kkt.form
    covered: set[int] = set()
    rows = []
    for part in independent_parts(form):
        curved = any(form.Q.indptr[i] != form.Q.indptr[i + 1] for i in part.variables)
        if curved or _bill(form, part):
            continue
        rows.append(reader.expression(negative_dual_value(kkt, part)))
        covered.update(part.inequalities)
    kkt.block.strong_duality = pyo.Constraint(range(len(rows)), rule=lambda _, k: rows[k] >= 0)
    paired = tuple(r for r in kkt.paired if r not in covered)
    messages = []
    if rows:
        messages.append(
            f"follower {form.name}: strong duality replaces the complementarity of {len(covered)} inequalities in "
            f"{len(rows)} part" + ("s" if len(rows) > 1 else "")
        )
    if paired:
        messages.append(
            f"follower {form.name}: complementarity is kept for {len(paired)} inequalities, where the leader's prices or "
            "squares would make the strong duality row non-linear"
        )
    return replace(kkt, paired=paired), messages


@dataclass(frozen=True)
class Part:
    """Variables, inequality rows and equality rows (positions in the form) of one independent part of a follower."""

    variables: tuple[int, ...]
    inequalities: tuple[int, ...]
    equalities: tuple[int, ...]


def independent_parts(form: FollowerForm) -> list[Part]:
    """Parts of a follower that share no row of its limits and no product in its objective."""
    n, r, s = len(form.x), len(form.inequalities), len(form.equalities)
    links = sparse.block_array(
        [
            [form.Q, form.G.T, form.E.T],
            [form.G, sparse.csr_array((r, r)), None],
            [form.E, None, sparse.csr_array((s, s))],
        ],
        format="csr",
    )
    _, label = sparse.csgraph.connected_components(links, directed=False)
    return [
        Part(_members(label[:n] == k), _members(label[n : n + r] == k), _members(label[n + r :] == k))
        for k in sorted(set(label[:n]))
    ]


def _members(chosen: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(k) for k in np.flatnonzero(chosen))


def limits_of_others(form: FollowerForm, part: Part) -> tuple[str, ...]:
    """Names of the rows of a part whose limit holds another player's variable; the identity needs none."""
    inequalities, equalities = np.diff(form.K.indptr), np.diff(form.L.indptr)
    names = [form.inequalities[k].name for k in part.inequalities if inequalities[k]]
    return tuple(names + [form.equalities[k].name for k in part.equalities if equalities[k]])


def negative_dual_value(kkt: KKTBlock, part: Part) -> Polynomial:
    """``-c'x - x'Q x - h'mu - f'nu`` over one part: what ``p'B'x`` equals at the follower's optimum."""
    form, total = kkt.form, Polynomial()
    for i in part.variables:
        total.linear[id(form.x[i])] = -float(form.c[i])
        for k in range(form.Q.indptr[i], form.Q.indptr[i + 1]):
            total.add_product(id(form.x[i]), id(form.x[form.Q.indices[k]]), -float(form.Q.data[k]))
    for r in part.inequalities:
        total.linear[id(kkt.block.mu[r])] = -float(form.h[r])
    for s in part.equalities:
        total.linear[id(kkt.block.nu[s])] = -float(form.f[s])
    return total


def replace_price_times_quantity(objective: Polynomial, kkt: KKTBlock) -> tuple[Polynomial, list[str], list[str]]:
    """The leader's objective without this follower's price-times-quantity terms, where the identity is exact.

    Returns the new objective, what was replaced, and why other products could not be, each a sentence.
    """
    form = kkt.form
    result = Polynomial()
    result.add(objective)
    own = {id(variable): i for i, variable in enumerate(form.x)}
    products: dict[int, list[tuple[tuple[int, int], int, int]]] = {}
    for pair in objective.quadratic:
        first, second = pair
        if (first in own) != (second in own):
            i, other = (own[first], second) if first in own else (own[second], first)
            products.setdefault(i, []).append((pair, i, other))
    done, kept = [], []
    for part in independent_parts(form):
        mine = [entry for i in part.variables for entry in products.get(i, ())]
        if not mine:
            continue
        bill = _bill(form, part)
        multiple = _multiple(objective, bill, mine)
        moving = limits_of_others(form, part)
        if multiple is None:
            kept.append(
                f"follower {form.name}: the leader's products of prices and quantities are no multiple of the bill in "
                "the follower's objective"
            )
        elif moving:
            kept.append(f"follower {form.name}: leader variables sit in the limits of {', '.join(moving[:3])}")
        else:
            for pair, _, _ in mine:
                result.quadratic.pop(pair)
            result.add(negative_dual_value(kkt, part), multiple)
            done.append(f"follower {form.name}: price times quantity replaced exactly by strong duality")
    return result, list(dict.fromkeys(done)), list(dict.fromkeys(kept))


def _bill(form: FollowerForm, part: Part) -> dict[tuple[int, int], float]:
    """Coefficient of each (own variable, ``id`` of the other's variable) product in the follower's objective."""
    bill = {}
    for i in part.variables:
        for k in range(form.B.indptr[i], form.B.indptr[i + 1]):
            if form.B.data[k]:
                bill[i, id(form.p[form.B.indices[k]])] = float(form.B.data[k])
    return bill


def _multiple(
    objective: Polynomial, bill: dict[tuple[int, int], float], products: list[tuple[tuple[int, int], int, int]]
) -> float | None:
    """The number by which the whole bill occurs in the leader's objective, or None."""
    found = {(i, other): objective.quadratic[pair] for pair, i, other in products if objective.quadratic[pair]}
    if found.keys() != bill.keys():
        return None
    ratios = [value / bill[key] for key, value in found.items()]
    size = max(abs(ratio) for ratio in ratios)
    return ratios[0] if max(ratios) - min(ratios) <= SAME_MULTIPLE * size else None
