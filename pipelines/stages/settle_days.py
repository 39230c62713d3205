"""Settle many days: in chunks, on several workers, each chunk a part file that is never computed twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, Settlement
from dispatch.settlement.settle import settle
from dispatch.settlement.unit_price import unit_priced
from dispatch.settlement.worth import FACTORS, Planner, forecast_worth, plans_on
from pipelines import __version__
from pipelines.errors import ConfigError
from pipelines.run_folder import write_atomically

if TYPE_CHECKING:  # forecasting brings torch with it, which simulated days do not need
    from pipelines.stages.past_scenarios import NightDraws

#: Spawn key of the draws that plans are made on; no chunk of realisations has it.
DRAWS_KEY = 2**31

#: Money and energy of a settled day, as columns of ``realisations.parquet``.
SETTLED = tuple(item.name for item in fields(Settlement))

#: Raised when the columns of a part file change.
LAYOUT = 2


@dataclass(frozen=True, eq=False)
class Days:
    """What is settled.

    forecast: one day for all, or one for each; truth: ``K`` days; reference_load_mw ``[1, T]`` or ``[K, T]`` sizes the
    customers' flexible demand. labels: columns that name each day, a row per day. plan: one plan for all days or one
    each, if it is made already. draws: days that are not settled, for one plan on scenarios; nights: what the scenarios of
    each day are drawn from, for a plan on scenarios of each. simulated: series among them that nobody measured.
    """

    forecast: Realisations
    truth: Realisations
    reference_load_mw: FloatArray
    labels: pd.DataFrame
    plan: FirstStage | None = None
    draws: Realisations | None = None
    nights: Sequence[NightDraws] = ()
    simulated: tuple[str, ...] = ()

    def part(self, rows: slice) -> Days:
        """The days at ``rows``."""
        one = len(self.forecast) == 1
        return Days(
            self.forecast if one else self.forecast.take(rows),
            self.truth.take(rows),
            self.reference_load_mw if len(self.reference_load_mw) == 1 else self.reference_load_mw[rows],
            self.labels.iloc[rows],
            None if self.plan is None else self.plan.take(rows),
        )


def settle_days(
    planner: Planner,
    days: Days,
    *,
    chunk: int,
    with_regret: int,
    parts: Path | None,
    parallel: Mapping[str, Any],
) -> tuple[pd.DataFrame, int]:
    """A row per day, in order, and how many of them were taken from part files.

    The first ``with_regret`` days are also planned on the truth and on every mixture of truth and forecast. Chunks do not
    depend on the number of workers and neither does any row. ``parallel`` as in ``workers``.
    """
    rows = [slice(start, min(start + chunk, len(days.truth))) for start in range(0, len(days.truth), chunk)]
    tasks = [(days.part(at), max(0, min(with_regret - at.start, at.stop - at.start))) for at in rows]
    paths = [None if parts is None else parts / f"{fingerprint(planner, *task, LAYOUT)}.parquet" for task in tasks]
    tables = {k: pd.read_parquet(path) for k, path in enumerate(paths) if path is not None and path.exists()}
    reused = sum(rows[k].stop - rows[k].start for k in tables)
    waiting = [k for k in range(len(tasks)) if k not in tables]
    with workers(parallel):
        made = joblib.Parallel()(joblib.delayed(_settle_chunk)(planner, *tasks[k], paths[k]) for k in waiting)
    tables |= dict(zip(waiting, made, strict=True))
    frame = pd.concat([labelled(task[0].labels, tables[k]) for k, task in enumerate(tasks)])
    return frame.reset_index(drop=True), reused


@contextmanager
def workers(settings: Mapping[str, Any]) -> Iterator[None]:
    """``n_jobs`` workers of joblib's ``backend`` for what runs inside; ``scheduler`` is the address of a Dask cluster.

    Raises ``ConfigError`` if Dask is asked for and is not installed, or no cluster answers.
    """
    options = {key: value for key, value in settings.items() if key != "scheduler" and value is not None}
    if options.get("backend") != "dask":
        with joblib.parallel_config(**options):
            yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError('parallel.backend=dask needs the extra "cluster": pip install "adno[cluster]"') from error
    address = settings.get("scheduler")
    try:
        client = Client(address) if address else Client(n_workers=max(1, int(options["n_jobs"])), threads_per_worker=1)
    except OSError as error:
        raise ConfigError(f"parallel.scheduler={address}: no Dask scheduler answers there ({error})") from error
    with client, joblib.parallel_config(backend="dask"):
        yield


def labelled(labels: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The settled columns beside what names each day."""
    return pd.concat([labels.reset_index(drop=True), table.reset_index(drop=True)], axis=1)


def _settle_chunk(planner: Planner, days: Days, with_regret: int, path: Path | None) -> pd.DataFrame:
    plan = days.plan
    if plan is None:
        plan = plans_on(planner, days.forecast, days.reference_load_mw, len(days.truth))
    days = replace(days, plan=plan)
    both = days.part(slice(0, with_regret))
    tables = []
    if with_regret:
        worth = forecast_worth(planner, both.forecast, both.truth, both.reference_load_mw, both.plan)
        table = columns_of(worth.settled)
        best = columns_of(worth.best)
        extra = {f"best_{name}": best[name] for name in ("profit", "income", "cost", "subsidy_cost")}
        shares = {f"penalty_{name}": worth.penalty[name] for name in FACTORS}
        tables.append(table.assign(**extra, regret=worth.regret, **shares))
    if with_regret < len(days.truth):
        rest = days.part(slice(with_regret, len(days.truth)))
        assert rest.plan is not None
        tables.append(columns_of(settle(planner.assets, rest.plan, rest.truth)))
    counted = unit_priced(planner.assets, plan, days.forecast, days.truth)
    by_unit = {f"unit_price_{name}": counted.penalty[name] for name in FACTORS}
    frame = pd.concat(tables, ignore_index=True).assign(
        **by_unit, unit_price_income=counted.income, unit_price_cost=counted.cost()
    )
    if path is not None:
        write_atomically(path, lambda target: frame.to_parquet(target, compression="zstd"))
    return frame


def columns_of(settled: Settlement) -> pd.DataFrame:
    """Profit, cost, efficiency of the day alone, and every item."""
    items = {name: getattr(settled, name) for name in SETTLED}
    cost = settled.cost
    ratio = np.divide(settled.income, cost, out=np.full_like(cost, np.nan), where=cost > 0)
    return pd.DataFrame({"profit": settled.profit, "cost": cost, "efficiency": ratio, **items})


def fingerprint(planner: Planner, *inputs: Any) -> str:
    """What a part file depends on: code version, planner and inputs (forecasts, truths, settings, counts)."""
    digest = hashlib.sha256(f"{__version__} {type(planner).__name__}".encode())
    skipped = {"solved", "_takers", "labels"}
    for value in ({**vars(planner)}, *inputs):
        for leaf in _leaves(value, skipped):
            digest.update(leaf)
    return digest.hexdigest()[:24]


def _leaves(value: Any, skipped: set[str]) -> list[bytes]:
    """Everything a value holds as bytes, in a fixed order."""
    if isinstance(value, np.ndarray):
        return [str(value.shape).encode(), np.ascontiguousarray(value).tobytes()]
    if is_dataclass(value) and not isinstance(value, type):
        value = {item.name: getattr(value, item.name) for item in fields(value)}
    if isinstance(value, Mapping):
        return [b for key in sorted(value) if key not in skipped for b in (key.encode(), *_leaves(value[key], skipped))]
    if hasattr(value, "model_dump_json"):
        return [value.model_dump_json(exclude={"index"}).encode()]
    return [repr(value).encode()]


def seeds(seed: int, count: int, chunk: int) -> list[tuple[np.random.SeedSequence, int]]:
    """A seed of its own for each chunk of realisations, spawned from the run's, and the chunk's size."""
    sizes = [min(chunk, count - start) for start in range(0, count, chunk)]
    return list(zip(np.random.SeedSequence(seed).spawn(len(sizes)), sizes, strict=True))


def stacked(days: list[Realisations]) -> Realisations:
    """Days after one another."""

    def together(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(part, name) for part in days])

    return Realisations(together("price_per_mwh"), together("wind_mw"), together("load_mw"))
