"""One row per fault: what the night published, what it said, and its exit code."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

import dispatch
from dispatch.errors import SolverError
from forecasting.errors import DataError
from forecasting.models.lear import Lear
from forecasting.models.naive import Naive
from pipelines.store_lock import store_lock
from tests.pipelines.faults import (
    DELIVERY,
    LAST_THREE_DAYS,
    NOON,
    YESTERDAY,
    absurd,
    between,
    both_models_fail,
    cut,
    day_before,
    deleted,
    down,
    down_for,
    earlier,
    flat,
    full_disk,
    in_kw,
    nothing,
    on,
    patched,
    raising,
    repeated,
    shifted,
    spoiled_schedule,
    terminated,
    without,
)
from tests.pipelines.faulty import AS_OF, Fault, FaultySource, run_night

EVENING = "2022-06-14T18:30+02:00"


@dataclass(frozen=True)
class Row:
    """A fault and what must come of it.

    fault: of the source. before: what happens in the folder first (an earlier night, damage). around: what holds while the
    night runs. words: in the reasons of a published night, or in the message of a refused one.
    """

    name: str
    status: str
    words: str
    fault: Fault | None = None
    overrides: tuple[str, ...] = ()
    as_of: str = AS_OF
    before: Callable[[Path], None] = lambda _: None
    around: Callable[[Path], Any] = field(default=lambda _: ExitStack())
    case_changes: dict[str, Any] = field(default_factory=dict)
    code: int | None = None


ROWS = [
    # bad data
    Row("price, two hours missing", "degraded", "short gap interpolated: 2 values", on("price", without(*NOON))),
    Row("price, a day missing", "failed", "missing: 24 values from 2022-06-13 00:00", on("price", without(*YESTERDAY))),
    Row(
        "price, a day missing, accepted",
        "degraded",
        "missing: 24 values from 2022-06-13 00:00",
        on("price", without(*YESTERDAY)),
        ("quality.gap=accept",),
    ),
    Row("price, an old day missing", "ok", "", on("price", without("2022-05-10T22:00", "2022-05-11T22:00"))),
    Row("price, not a number", "failed", "missing: 24 values", on("price", between(*YESTERDAY, lambda v: v * np.nan))),
    Row("price, infinite", "failed", "infinite value", on("price", between(*NOON, lambda v: v * np.inf))),
    Row(
        "price in EUR per kWh",
        "failed",
        "not credible in EUR/MWh",
        on("price", lambda f: f.assign(value=f["value"] / 1e5)),
    ),
    Row("price, a spike", "degraded", "spike: 2 values", on("price", between(*NOON, lambda v: v + 9e3))),
    Row(
        "price, a spike, refused",
        "failed",
        "spike: 2 values",
        on("price", between(*NOON, lambda v: v + 9e3)),
        ("quality.spike=refuse",),
    ),
    Row("price of the delivery day missing", "failed", "missing: 24", on("price", without(*DELIVERY)), as_of=EVENING),
    Row(
        "load forecast, a day missing",
        "degraded",
        "same hours of the previous week",
        on("load_forecast", without(*DELIVERY)),
    ),
    Row("wind forecast, never published", "ok", "", nothing),
    Row("load, negative", "failed", "negative measured total load", on("load", between(*NOON, lambda v: -v))),
    Row(
        "load, negative, repaired",
        "degraded",
        "treated as missing",
        on("load", between(*NOON, lambda v: -v)),
        ("quality.negative=repair",),
    ),
    Row("load in kW", "failed", "not credible in MW", on("load", in_kw)),
    Row("wind power in kW", "failed", "not credible in MW", on("wind_power", in_kw)),
    Row("wind forecast in kW", "failed", "not credible in MW", on("wind_forecast", in_kw)),
    Row("load, a spike", "degraded", "spike: 2 values", on("load", between(*NOON, lambda v: v * 40))),
    Row(
        "load, a flat line",
        "degraded",
        "flat line",
        on("load", between("2022-06-12T00:00", "2022-06-14T09:00", flat)),
    ),
    Row("load forecast, yesterday's again", "degraded", "served again", on("load_forecast", day_before)),
    Row(
        "load forecast, yesterday's again, refused",
        "failed",
        "quality.repeated_forecast=repair",
        on("load_forecast", day_before),
        ("quality.repeated_forecast=refuse",),
    ),
    Row(
        "price, yesterday's again",
        "degraded",
        "the values of the day before again",
        on("price", day_before),
        as_of=EVENING,
    ),
    Row("load forecast an hour late", "degraded", "come 1 h late", on("load_forecast", lambda f: shifted(f, 1))),
    Row("load two hours early", "degraded", "come 2 h early", on("load", lambda f: shifted(f, -2))),
    Row("rows twice", "degraded", "repeated rows were dropped", on("price", repeated)),
    Row(
        "rows twice that disagree",
        "failed",
        "two different values for the same delivery time",
        on("price", lambda f: repeated(f, 1.0)),
    ),
    Row("rows in disorder", "degraded", "rows out of order were sorted", on("price", lambda f: f.iloc[::-1])),
    Row("times without a zone", "failed", "time", on("price", lambda f: f.tz_localize(None))),
    Row("load, three days missing", "failed", "missing: 72 values", on("load", without(*LAST_THREE_DAYS))),
    Row(
        "load forecast, stopped three days ago",
        "degraded",
        "same hours of the previous week",
        on("load_forecast", without(LAST_THREE_DAYS[0], DELIVERY[1])),
    ),
    Row("price, a flat line", "degraded", "flat line", on("price", between("2022-06-12T22:00", DELIVERY[0], flat))),
    # services
    Row(
        "service of one series down, store of yesterday",
        "degraded",
        "the data service did not answer, so the store serves: load of COAST_1 (newest value of 2022-06-13 ",
        down_for("load"),
        before=earlier(),
    ),
    Row(
        "service of one forecast down, store empty",
        "degraded",
        "the data service: load_forecast: HTTP 503",
        down_for("load_forecast"),
    ),
    Row(
        "clock a month ahead of the data",
        "failed",
        "missing: ",
        lambda _name, _place, frame: frame[frame.index < pd.Timestamp(DELIVERY[1], tz="UTC")],
        as_of="2022-07-14T11:30+02:00",
        before=earlier(),
    ),
    Row("service down, store empty", "failed", "the data service is down and the store has none of it", down),
    Row("service down, store of yesterday", "degraded", "the data service did not answer", down, before=earlier()),
    Row("service down, store too old", "failed", "behind what is due", down, before=earlier("2022-06-09T11:30+02:00")),
    Row(
        "service down in the evening", "failed", "the data service is down", down, as_of=EVENING, before=earlier(AS_OF)
    ),
    # models
    Row(
        "model cannot be trained",
        "degraded",
        "price forecast by lear, because naive failed: the loss is not finite",
        around=patched(Naive, "fit", raising(RuntimeError("the loss is not finite"))),
    ),
    Row(
        "model cannot be trained, older artefact",
        "degraded",
        "price forecast by its artefact of 2022-05-30 09:30 UTC",
        before=earlier("2022-05-30T11:30+02:00"),
        around=patched(Naive, "fit", raising(DataError("too little memory"))),
    ),
    Row(
        "neither model nor LEAR",
        "degraded",
        "price forecast by naive, because lear failed: the loss is not finite",
        overrides=("model=lear",),
        around=patched(Lear, "fit", raising(RuntimeError("the loss is not finite"))),
    ),
    Row(
        "every model fails",
        "failed",
        "no forecast of price: naive failed: the loss is not finite",
        around=both_models_fail,
    ),
    Row(
        "absurd prediction",
        "degraded",
        "outside what the past makes credible",
        overrides=("model=lear",),
        around=absurd,
    ),
    Row("damaged artefact", "ok", "", before=cut("artefacts/**/*.pt")),
    Row(
        "history too short",
        "failed",
        "are needed, fetch more history",
        overrides=("history.train_days=2",),
    ),
    Row("model that does not exist", "failed", "lier", overrides=("model.name=lier",), code=2),
    # dispatch
    Row("infeasible case", "failed", "no schedule meets all limits", case_changes={"import_max_mw": 0.35}),
    Row(
        "solver finds nothing in time",
        "failed",
        "no schedule found",
        around=patched(dispatch, "solve", raising(SolverError("case two_lines: no schedule found (time_limit)"))),
    ),
    Row(
        "solver stops with a gap of 1%",
        "degraded",
        "within 1% of the best possible",
        around=spoiled_schedule(mip_gap=0.01),
    ),
    Row("solver stops with a gap of 5%", "failed", "the answer is not proven", around=spoiled_schedule(mip_gap=0.05)),
    Row("a certificate that fails", "failed", "the answer is not proven", around=spoiled_schedule(balance_max=1.0)),
    # the machine
    Row("disk full, store", "failed", "No space left on device", around=full_disk("rows-")),
    Row("disk full, artefact", "failed", "No space left on device", around=full_disk(".pt")),
    Row("disk full, schedule", "failed", "No space left on device", around=full_disk("schedule.csv")),
    Row("disk full, plan", "failed", "No space left on device", around=full_disk("plan.json")),
    Row("disk full, record of champions", "failed", "No space left on device", around=full_disk(".champion.json")),
    Row("disk full, heartbeat", "ok", "", around=full_disk("heartbeat")),
    Row("record of champions cut in half", "ok", "", before=cut("artefacts/**/*.champion.json")),
    Row("champions deleted", "ok", "", before=deleted("artefacts/**/*.pt")),
    Row("disk full, page", "failed", "No space left on device", around=full_disk("report.html")),
    Row("disk broken, store", "failed", "Input/output error", around=full_disk("rows-", errno.EIO)),
    Row(
        "store file cut in half",
        "failed",
        "delete this file",
        before=cut("store/*/series=price/**/rows.parquet"),
    ),
    Row(
        "second instance",
        "failed",
        "is in use by process",
        around=lambda folder: store_lock(folder / "store" / "synthetic"),
    ),
    Row("stopped by SIGTERM", "failed", "stopped by SIGTERM", on("load", terminated)),
    Row("stopped by Ctrl-C", "failed", "stopped by Ctrl-C", on("load", raising(KeyboardInterrupt()))),  # type: ignore[arg-type]
    Row("clock before the newest night", "ok", "", before=earlier("2022-06-18T18:30+02:00")),
    Row("no fault at all", "ok", ""),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_fault_ends_as_stated(tmp_path: Path, row: Row) -> None:
    row.before(tmp_path)
    source = FaultySource(row.fault)
    with row.around(tmp_path):
        night = run_night(tmp_path, *row.overrides, source=source, as_of=row.as_of, case_changes=row.case_changes)
    assert night.code == (row.code if row.code is not None else int(row.status == "failed")), night.said
    assert night.summary["status"] == row.status
    assert night.published == (row.status != "failed")
    assert "Traceback" not in night.said
    assert row.words in (night.said if row.status == "failed" else night.reasons)
    if row.status == "failed":
        assert night.said.startswith("nightly: ")
        assert night.summary["reasons"]
    else:
        assert bool(night.reasons) == (row.status == "degraded")
        assert all(reason in night.said for reason in night.summary["reasons"])
        page = (night.folder / "report.html").read_text(encoding="utf-8")
        assert f'class="status {row.status}"' in page
        assert all(f"<li>{escape(reason)}</li>" in page for reason in night.summary["reasons"])
    leftovers = [path for path in tmp_path.rglob(".*") if path.name != ".lock"]
    assert not leftovers


def test_every_fault_has_a_row_of_its_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 40
