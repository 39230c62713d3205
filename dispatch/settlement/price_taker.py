"""Units that face a price alone: the best day of a gas unit and of a store, for many price paths at once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import highspy
import numpy as np
from numpy.typing import NDArray

from dispatch.errors import SolverError
from dispatch.settlement.linear_program import BOTH_WAYS_MW, add_storage
from dispatch.settlement.problem import FloatArray, RecourseAssets
from dispatch.settlement.sparse_model import HAS_SOLUTION, MIP_SECONDS, SparseModel, run

#: A unit whose outputs would need more levels than this is left to the mixed-integer programme.
MOST_LEVELS = 120

#: Answers that are kept: prices as forecast, and as they come true.
MOST_KEPT = 4


@dataclass(frozen=True, eq=False)
class UnitDays:
    """Best operation of all units at ``K`` price paths.

    on, gas_mw ``[K, I, T]``; charge_mw, discharge_mw ``[K, S, T]``; start_cost ``[K]``.
    """

    on: FloatArray
    gas_mw: FloatArray
    charge_mw: FloatArray
    discharge_mw: FloatArray
    start_cost: FloatArray


class PriceTakers:
    """Gas units and stores of an operator, each alone against prices; units alike are solved once."""

    def __init__(self, assets: RecourseAssets, steps: int) -> None:
        self.assets, self.steps = assets, steps
        self._levels = [output_levels(assets, i) for i in range(assets.gas_units)]
        self._stores: dict[int, _Store] = {}
        self._kept: dict[bytes, UnitDays] = {}

    @property
    def possible(self) -> bool:
        """Whether every gas unit's outputs fit on a grid."""
        return all(levels is not None for levels in self._levels)

    def best(self, price: FloatArray) -> UnitDays:
        """Best days at energy values ``price [K, T]``; the last few answers are kept, since plans differ in wind and load too."""
        key = price.tobytes()
        if key not in self._kept:
            if len(self._kept) == MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = self._best(price)
        return self._kept[key]

    def _best(self, price: FloatArray) -> UnitDays:
        count, assets = len(price), self.assets
        gas = np.zeros((count, assets.gas_units, self.steps))
        on, starts = np.zeros_like(gas), np.zeros(count)
        seen: dict[tuple[float, ...], int] = {}
        for i in range(assets.gas_units):
            twin = seen.setdefault(_unit_description(assets, i), i)
            if twin == i:
                gas[:, i], on[:, i] = self._gas_days(i, price)
            else:
                gas[:, i], on[:, i] = gas[:, twin], on[:, twin]
            before = np.concatenate([np.full((count, 1), assets.gas_initial_on[i]), on[:, i, :-1]], axis=1)
            starts += assets.gas_start_cost[i] * np.clip(on[:, i] - before, 0, None).sum(axis=1)
        charge, discharge = self._store_days(price)
        return UnitDays(on, gas, charge, discharge, starts)

    def _gas_days(self, i: int, price: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Output and commitment ``[K, T]`` by dynamic programming over output levels; state 0 is off."""
        assets, count = self.assets, len(price)
        levels = self._levels[i]
        assert levels is not None
        power = np.concatenate([[0.0], levels])
        move = self._moves(i, power)  # [from, to], cost of the change or infinity
        worth = np.full((count, len(power)), np.inf)
        choice = np.zeros((self.steps, count, len(power)), dtype=np.int16)
        running = (assets.gas_cost_per_mwh[i] - price[:, :, None]) * power * assets.step_hours  # [K, T, state]
        worth = self._first_moves(i, power) + running[:, 0]
        for t in range(1, self.steps):
            reached = worth[:, :, None] + move
            choice[t] = reached.argmin(axis=1)
            worth = np.take_along_axis(reached, choice[t][:, None, :].astype(np.intp), axis=1)[:, 0] + running[:, t]
        state = worth.argmin(axis=1)
        path = np.zeros((count, self.steps), dtype=np.intp)
        for t in range(self.steps - 1, -1, -1):
            path[:, t] = state
            if t:
                state = choice[t][np.arange(count), state].astype(np.intp)
        return power[path], (path > 0).astype(float)

    def _moves(self, i: int, power: FloatArray) -> FloatArray:
        assets = self.assets
        up, down, least = assets.gas_ramp_up_mw[i], assets.gas_ramp_down_mw[i], assets.gas_min_mw[i]
        change = power[None, :] - power[:, None]
        move = np.where((change <= up + 1e-12) & (change >= -down - 1e-12), 0.0, np.inf)
        move[0, :] = np.where(power <= max(up, least) + 1e-12, assets.gas_start_cost[i], np.inf)
        move[:, 0] = np.where(power <= max(down, least) + 1e-12, 0.0, np.inf)
        move[0, 0] = 0.0
        return move

    def _first_moves(self, i: int, power: FloatArray) -> FloatArray:
        assets = self.assets
        if not assets.gas_initial_on[i]:
            moves = self._moves(i, power)
            return np.asarray(moves[0])
        moves = self._moves(i, np.concatenate([[0.0, assets.gas_initial_mw[i]], power[1:]]))
        return np.delete(moves[1], 1)

    def _store_days(self, price: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Charge and discharge ``[K, S, T]``."""
        shape = (len(price), self.assets.storages, self.steps)
        charge, discharge = np.zeros(shape), np.zeros(shape)
        seen: dict[tuple[float, ...], int] = {}
        for s in range(self.assets.storages):
            twin = seen.setdefault(_store_description(self.assets, s), s)
            if twin != s:
                charge[:, s], discharge[:, s] = charge[:, twin], discharge[:, twin]
                continue
            store = self._stores.setdefault(s, _Store(_only_store(self.assets, s), self.steps))
            for k, path in enumerate(price):
                charge[k, s], discharge[k, s] = store.solve(path)
        return charge, discharge


class _Store:
    """One store against one price path: a linear programme, with binaries on days on which burning energy would pay."""

    def __init__(self, assets: RecourseAssets, steps: int) -> None:
        self.assets, self.steps = assets, steps
        self._lossy = bool(assets.storage_efficiency_in[0] * assets.storage_efficiency_out[0] < 1)
        self._models = {False: self._build(exclusive=False)}

    def _build(self, *, exclusive: bool) -> tuple[highspy.Highs, NDArray[np.int32]]:
        model = SparseModel()
        charge, discharge, _ = add_storage(model, self.assets, self.steps, exclusive=exclusive)
        flows = np.concatenate([charge.ravel(), discharge.ravel()]).astype(np.int32)
        return model.build_exclusive(exclusive=exclusive), flows

    def solve(self, price: FloatArray, *, exclusive: bool = False) -> tuple[FloatArray, FloatArray]:
        """Charge and discharge ``[T]``."""
        if exclusive not in self._models:
            self._models[exclusive] = self._build(exclusive=exclusive)
        model, flows = self._models[exclusive]
        assets, hours = self.assets, self.assets.step_hours
        wear = assets.storage_wear_per_mwh[0]
        paid = price + wear * assets.storage_efficiency_in[0]
        earned = price - wear / assets.storage_efficiency_out[0]
        model.changeColsCost(len(flows), flows, np.concatenate([paid, -earned]) * hours)
        model.clearSolver()  # a warm start would choose among equal plans by what was solved before
        run(model, MIP_SECONDS if exclusive else None)
        if model.getInfo().primal_solution_status != HAS_SOLUTION:
            raise SolverError(
                f"a store has no plan: {model.modelStatusToString(model.getModelStatus())}; check its limits"
            )
        solution = np.array(model.getSolution().col_value)[flows]
        inward, outward = solution[: self.steps], solution[self.steps :]
        if not exclusive and self._lossy and np.minimum(inward, outward).max() > BOTH_WAYS_MW:
            return self.solve(price, exclusive=True)
        return inward, outward


def output_levels(assets: RecourseAssets, i: int) -> FloatArray | None:
    """Outputs that a gas unit can have in some optimum at any prices, ``None`` if there are too many to list.

    For a given commitment the unit's limits are bounds and differences between neighbouring steps, so an optimal corner
    has every output at a bound (minimum, maximum, largest output after a start or before a stop, initial output) plus
    whole ramps.
    """
    least, most = assets.gas_min_mw[i], assets.gas_max_mw[i]
    up, down = assets.gas_ramp_up_mw[i], assets.gas_ramp_down_mw[i]
    found = {float(least), float(most), float(max(up, least)), float(max(down, least)), float(assets.gas_initial_mw[i])}
    found = {level for level in found if np.isfinite(level)}
    waiting = list(found)
    while waiting:
        level = waiting.pop()
        for step in (up, -up, down, -down):
            reached = round(level + step, 10)
            if least <= reached <= most and reached not in found:
                found.add(reached)
                waiting.append(reached)
        if len(found) > MOST_LEVELS:
            return None
    return np.array(sorted({round(level, 10) for level in found if least - 1e-12 <= level <= most + 1e-12}))


def _unit_description(assets: RecourseAssets, i: int) -> tuple[float, ...]:
    names = ("min_mw", "max_mw", "cost_per_mwh", "start_cost", "ramp_up_mw", "ramp_down_mw", "initial_mw", "initial_on")
    return tuple(float(getattr(assets, f"gas_{name}")[i]) for name in names)


_STORE_FIELDS = tuple(item.name for item in fields(RecourseAssets) if item.name.startswith("storage_"))


def _store_description(assets: RecourseAssets, s: int) -> tuple[float, ...]:
    return tuple(float(getattr(assets, name)[s]) for name in _STORE_FIELDS)


def _only_store(assets: RecourseAssets, s: int) -> RecourseAssets:
    """The assets with one store."""
    return replace(assets, **{name: getattr(assets, name)[s : s + 1] for name in _STORE_FIELDS})
