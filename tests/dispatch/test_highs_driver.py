"""HiGHS as a persistent model: time limits of runs that follow one another."""

from __future__ import annotations

import time

import numpy as np
import pyomo.environ as pyo

from dispatch.conic.compiled import compile_model
from dispatch.conic.highs_driver import HighsModel
from dispatch.conic.options import SolverOptions


def market_split(items: int = 40, rows: int = 5) -> HighsModel:
    """Equal halves in several currencies at once, which no solver finds in seconds (Cornuejols and Dawande 1999)."""
    worth = np.random.default_rng(0).integers(0, 100, (rows, items))
    m = pyo.ConcreteModel()
    m.take = pyo.Var(range(items), domain=pyo.Binary)
    m.over, m.under = pyo.Var(range(rows), bounds=(0, None)), pyo.Var(range(rows), bounds=(0, None))

    def half(model: pyo.ConcreteModel, i: int) -> object:
        taken = sum(int(worth[i, k]) * model.take[k] for k in range(items))
        return taken + model.under[i] - model.over[i] == int(worth[i].sum()) // 2

    m.half = pyo.Constraint(range(rows), rule=half)
    m.missed = pyo.Objective(expr=sum(m.over.values()) + sum(m.under.values()))
    return HighsModel(compile_model(m), SolverOptions())


def test_every_run_keeps_its_own_time_limit() -> None:
    model, clock = market_split(), time.perf_counter()
    for _ in range(4):
        assert model.run(1e-6, 0.5).status == "stopped"
    assert time.perf_counter() - clock < 5.0  # 0.5 + 1 + 2 + 4 s if each run were given what those before it took


def test_a_linear_program_has_time_after_a_long_search() -> None:
    model = market_split()
    model.run(1e-6, 1.0)
    assert model.run(1e-6, 0.9, relaxed=True).status == "optimal"
