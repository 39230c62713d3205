"""A radial medium-voltage feeder: buses, branches, base values, and the checks that a file of it must pass."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from dispatch.errors import CaseError

#: Above this many times the base power a load is taken to be in the wrong unit (kW given as MW).
LARGEST_LOAD_PER_BASE = 200.0


@dataclass(frozen=True)
class Bus:
    """A node. ``load_mw``, ``load_mvar``: nominal demand; ``x``, ``y``: place on a drawing, any unit."""

    id: int
    load_mw: float = 0.0
    load_mvar: float = 0.0
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True)
class Branch:
    """A line section between two buses; ``current_limit_ka`` is the thermal limit (none if infinite)."""

    from_bus: int
    to_bus: int
    r_ohm: float
    x_ohm: float
    current_limit_ka: float = math.inf

    @property
    def key(self) -> tuple[int, int]:
        """The pair (sending bus, receiving bus)."""
        return self.from_bus, self.to_bus


@dataclass(frozen=True)
class Feeder:
    """A radial feeder, checked when it is made.

    After construction every branch points away from the root and ``branches`` is in breadth-first order, so a parent
    branch always comes before its children.

    Parameters
    ----------
    name: how reports call it.
    base_mva, base_kv: three-phase power base and line-to-line voltage base.
    root: id of the bus at the substation.
    buses, branches: in any order, branches in either direction.

    Raises
    ------
    CaseError: with every fault at once: duplicate or unknown buses, parallel branches, loops, buses that the root does
        not reach, zero or negative impedance, values that are not finite, loads far beyond the base.
    """

    name: str
    base_mva: float
    base_kv: float
    root: int
    buses: tuple[Bus, ...]
    branches: tuple[Branch, ...]

    def __post_init__(self) -> None:
        faults = [*_value_faults(self), *_topology_faults(self)]
        if faults:
            raise CaseError(self.name, faults)
        object.__setattr__(self, "branches", tuple(_oriented(self)))

    @cached_property
    def bus_ids(self) -> tuple[int, ...]:
        """Bus ids in the order of ``buses``; every array over buses follows it."""
        return tuple(bus.id for bus in self.buses)

    @cached_property
    def line_keys(self) -> tuple[tuple[int, int], ...]:
        """(sending, receiving) bus of each branch; every array over lines follows it."""
        return tuple(branch.key for branch in self.branches)

    @cached_property
    def position(self) -> dict[int, int]:
        """Bus id to its place in ``bus_ids``."""
        return {bus: place for place, bus in enumerate(self.bus_ids)}

    @cached_property
    def parent(self) -> dict[int, int]:
        """Bus id to the bus that feeds it; the root has none."""
        return {branch.to_bus: branch.from_bus for branch in self.branches}

    @cached_property
    def children(self) -> dict[int, tuple[int, ...]]:
        """Bus id to the buses fed from it."""
        found: dict[int, list[int]] = {bus: [] for bus in self.bus_ids}
        for branch in self.branches:
            found[branch.from_bus].append(branch.to_bus)
        return {bus: tuple(kids) for bus, kids in found.items()}

    @property
    def base_ohm(self) -> float:
        """Impedance base ``base_kv ** 2 / base_mva``."""
        return self.base_kv**2 / self.base_mva

    @property
    def base_ka(self) -> float:
        """Current base ``base_mva / (sqrt(3) base_kv)``."""
        return self.base_mva / (math.sqrt(3.0) * self.base_kv)

    @cached_property
    def r_pu(self) -> npt.NDArray[np.float64]:
        """Resistance of each line, p.u., shape [line]."""
        return np.array([branch.r_ohm for branch in self.branches]) / self.base_ohm

    @cached_property
    def x_pu(self) -> npt.NDArray[np.float64]:
        """Reactance of each line, p.u., shape [line]."""
        return np.array([branch.x_ohm for branch in self.branches]) / self.base_ohm

    @cached_property
    def current_limit_pu(self) -> npt.NDArray[np.float64]:
        """Largest current magnitude of each line, p.u., infinite where none is given, shape [line]."""
        return np.array([branch.current_limit_ka for branch in self.branches]) / self.base_ka

    @cached_property
    def load_mw(self) -> npt.NDArray[np.float64]:
        """Nominal active demand, MW, shape [bus]."""
        return np.array([bus.load_mw for bus in self.buses])

    @cached_property
    def load_mvar(self) -> npt.NDArray[np.float64]:
        """Nominal reactive demand, Mvar, shape [bus]."""
        return np.array([bus.load_mvar for bus in self.buses])

    def path(self, bus: int) -> tuple[tuple[int, int], ...]:
        """Lines from the root to a bus, nearest the root first; empty for the root.

        Raises CaseError for a bus that the feeder does not have.
        """
        if bus not in self.position:
            raise CaseError(self.name, [f"bus {bus} does not exist; buses are {_shortened(self.bus_ids)}"])
        steps: list[tuple[int, int]] = []
        while bus != self.root:
            steps.append((self.parent[bus], bus))
            bus = self.parent[bus]
        return tuple(reversed(steps))

    def scaled(self, load: float = 1.0, impedance: float = 1.0) -> Feeder:
        """The same feeder with all loads and all impedances multiplied."""
        return replace(
            self,
            buses=tuple(replace(b, load_mw=b.load_mw * load, load_mvar=b.load_mvar * load) for b in self.buses),
            branches=tuple(replace(b, r_ohm=b.r_ohm * impedance, x_ohm=b.x_ohm * impedance) for b in self.branches),
        )

    def __str__(self) -> str:
        demand = f"{self.load_mw.sum():.3f} MW + {self.load_mvar.sum():.3f} Mvar"
        return f"feeder {self.name}: {len(self.buses)} buses, {self.base_kv:g} kV, root {self.root}, {demand}"


def _shortened(ids: Sequence[int], most: int = 8) -> str:
    listed = ", ".join(str(i) for i in ids[:most])
    return listed if len(ids) <= most else f"{listed}, ... ({len(ids)} in all)"


def _value_faults(feeder: Feeder) -> Iterator[str]:
    for label, base in (("base_mva", feeder.base_mva), ("base_kv", feeder.base_kv)):
        if not (math.isfinite(base) and base > 0):
            yield f"{label} is {base}; give a positive number"
    for bus in feeder.buses:
        if not all(map(math.isfinite, (bus.load_mw, bus.load_mvar))):
            yield f"bus {bus.id}: load {bus.load_mw} MW, {bus.load_mvar} Mvar is not a number"
        elif max(abs(bus.load_mw), abs(bus.load_mvar)) > LARGEST_LOAD_PER_BASE * feeder.base_mva:
            yield (
                f"bus {bus.id}: load {bus.load_mw:g} MW, {bus.load_mvar:g} Mvar is over {LARGEST_LOAD_PER_BASE:g} times "
                f"the base of {feeder.base_mva:g} MVA; was it given in kW and kvar?"
            )
    for branch in feeder.branches:
        where = f"branch {branch.from_bus}-{branch.to_bus}"
        if not all(map(math.isfinite, (branch.r_ohm, branch.x_ohm))):
            yield f"{where}: impedance {branch.r_ohm} + j{branch.x_ohm} ohm is not a number"
        elif branch.r_ohm < 0 or branch.x_ohm < 0:
            yield f"{where}: impedance {branch.r_ohm:g} + j{branch.x_ohm:g} ohm is negative"
        elif branch.r_ohm == 0 and branch.x_ohm == 0:
            yield f"{where}: impedance is zero; merge the two buses or give the section's true value"
        if not branch.current_limit_ka > 0:
            yield f"{where}: current limit {branch.current_limit_ka} kA; give a positive number or leave it out"


def _topology_faults(feeder: Feeder) -> Iterator[str]:
    ids = [bus.id for bus in feeder.buses]
    for bus, times in Counter(ids).items():
        if times > 1:
            yield f"bus {bus} is given {times} times"
    known = set(ids)
    if feeder.root not in known:
        yield f"root bus {feeder.root} does not exist; buses are {_shortened(ids)}"
    for pair, times in Counter(tuple(sorted(branch.key)) for branch in feeder.branches).items():
        if times > 1:
            yield f"branch {pair[0]}-{pair[1]} is given {times} times; replace parallel lines by their equivalent"
    group = {bus: bus for bus in known}

    def representative(bus: int) -> int:
        while group[bus] != bus:
            bus = group[bus]
        return bus

    seen: set[tuple[int, ...]] = set()
    for branch in feeder.branches:
        missing = [end for end in branch.key if end not in known]
        if missing or tuple(sorted(branch.key)) in seen:
            yield from (f"branch {branch.from_bus}-{branch.to_bus}: bus {end} does not exist" for end in missing)
            continue
        seen.add(tuple(sorted(branch.key)))
        ends = [representative(end) for end in branch.key]
        if ends[0] == ends[1]:
            yield f"branch {branch.from_bus}-{branch.to_bus} closes a loop; the feeder must be radial, open one line of it"
        else:
            group[ends[0]] = ends[1]
    if feeder.root in known:
        lost = [bus for bus in dict.fromkeys(ids) if representative(bus) != representative(feeder.root)]
        if lost:
            yield f"no path from root {feeder.root} to bus {_shortened(lost)}"


def _oriented(feeder: Feeder) -> Iterator[Branch]:
    touching: dict[int, list[Branch]] = {bus.id: [] for bus in feeder.buses}
    for branch in feeder.branches:
        touching[branch.from_bus].append(branch)
        touching[branch.to_bus].append(branch)
    reached, front = {feeder.root}, [feeder.root]
    while front:
        upcoming: list[int] = []
        for bus in front:
            for branch in touching[bus]:
                far = branch.to_bus if branch.from_bus == bus else branch.from_bus
                if far not in reached:
                    reached.add(far)
                    upcoming.append(far)
                    yield replace(branch, from_bus=bus, to_bus=far)
        front = upcoming


def load_feeder(name: str) -> Feeder:
    """A feeder that ships with the package.

    ``ieee33``: 33 buses, 12.66 kV, 3.715 MW and 2.300 Mvar, the 32 closed lines of M. E. Baran and F. F. Wu, "Network
    reconfiguration in distribution systems for loss reduction and load balancing", IEEE Trans. Power Delivery 4(2),
    1989. Bus 1 is the substation; base 1 MVA. Coordinates are a schematic drawing, not geography.

    Raises CaseError for any other name.
    """
    if name != "ieee33":
        raise CaseError(name, [f"no feeder is called {name!r}; the package has 'ieee33', or build a Feeder yourself"])
    folder = files("dispatch.network") / "data"
    with (folder / "ieee33_buses.csv").open() as table:
        buses = tuple(
            Bus(int(r["bus"]), float(r["load_kw"]) / 1e3, float(r["load_kvar"]) / 1e3, float(r["x"]), float(r["y"]))
            for r in csv.DictReader(table)
        )
    with (folder / "ieee33_branches.csv").open() as table:
        branches = tuple(
            Branch(int(r["from_bus"]), int(r["to_bus"]), float(r["r_ohm"]), float(r["x_ohm"]))
            for r in csv.DictReader(table)
        )
    return Feeder("ieee33", base_mva=1.0, base_kv=12.66, root=1, buses=buses, branches=branches)


def random_feeder(buses: int, seed: int, lowest_voltage_pu: float = 0.95, load_mw: float = 3.7) -> Feeder:
    """A random radial feeder for scaling studies.

    A trunk with laterals: each new bus extends the newest bus with probability 0.75 and branches off a random earlier
    one otherwise. Impedances are scaled so that the lossless voltage at the worst bus is ``lowest_voltage_pu`` when the
    root is at 1 p.u., which keeps feeders of any size equally loaded. Bus 1 is the root; base 1 MVA, 12.66 kV.

    Raises CaseError for fewer than two buses.
    """
    if buses < 2:
        raise CaseError(f"random{buses}", ["a feeder needs at least two buses"])
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(buses - 1, 4.0)) * load_mw
    power_factor = rng.uniform(0.85, 0.97, buses - 1)
    r_ohm, x_ohm = rng.uniform(0.1, 1.5, buses - 1), rng.uniform(0.1, 1.2, buses - 1)
    places = [Bus(1)]
    branches: list[Branch] = []
    for k in range(buses - 1):
        start = places[-1] if rng.random() < 0.75 else places[int(rng.integers(len(places)))]
        row = start.y if start is places[-1] else float(rng.integers(-6, 7))
        reactive = share[k] * math.tan(math.acos(power_factor[k]))
        places.append(Bus(k + 2, float(share[k]), float(reactive), start.x + 1.0, row))
        branches.append(Branch(start.id, k + 2, float(r_ohm[k]), float(x_ohm[k])))
    feeder = Feeder(f"random{buses}", 1.0, 12.66, 1, tuple(places), tuple(branches))
    return feeder.scaled(impedance=(1.0 - lowest_voltage_pu**2) / _lossless_drop(feeder))


def _lossless_drop(feeder: Feeder) -> float:
    """Largest drop of the squared voltage without losses, p.u. (linear in the impedances)."""
    p = {bus.id: bus.load_mw / feeder.base_mva for bus in feeder.buses}
    q = {bus.id: bus.load_mvar / feeder.base_mva for bus in feeder.buses}
    for start, end in reversed(feeder.line_keys):
        p[start] += p[end]
        q[start] += q[end]
    drop = {feeder.root: 0.0}
    for (start, end), r, x in zip(feeder.line_keys, feeder.r_pu, feeder.x_pu, strict=True):
        drop[end] = drop[start] + 2.0 * (r * p[end] + x * q[end])
    return max(drop.values())
