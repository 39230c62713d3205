"""A place in the plane for every bus of a radial feeder that brings none."""

from __future__ import annotations

from collections.abc import Sequence


def tree_layout(branches: Sequence[tuple[str, str]], root: str) -> dict[str, tuple[float, float]]:
    """Positions with the longest path along the top row and each lateral on a row of its own below.

    branches: pairs of buses that form a tree. x is the number of branches from the root.
    """
    neighbours: dict[str, list[str]] = {root: []}
    for a, b in branches:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    depth, order, parent = {root: 0}, [root], {root: root}
    for bus in order:
        for other in neighbours[bus]:
            if other not in depth:
                depth[other], parent[other] = depth[bus] + 1, bus
                order.append(other)
    height = dict.fromkeys(order, 0)
    for bus in reversed(order[1:]):
        height[parent[bus]] = max(height[parent[bus]], height[bus] + 1)
    row = {root: 0}
    taken: dict[int, list[tuple[int, int]]] = {0: [(0, height[root])]}
    for bus in order:
        children = sorted((b for b in neighbours[bus] if parent.get(b) == bus and b != root), key=lambda b: -height[b])
        for rank, child in enumerate(children):
            if rank == 0:
                row[child] = row[bus]
                continue
            span = (depth[child] - 1, depth[child] + height[child])
            row[child] = _free_row(taken, row[bus], span)
    return {bus: (float(depth[bus]), float(-row[bus])) for bus in order}


def _free_row(taken: dict[int, list[tuple[int, int]]], near: int, span: tuple[int, int]) -> int:
    for distance in range(1, len(taken) + 2):
        for candidate in (near + distance, near - distance):
            if all(span[1] < start or end < span[0] for start, end in taken.get(candidate, [])):
                taken.setdefault(candidate, []).append(span)
                return candidate
    raise AssertionError("a new row is always free")
