"""What leaves the night for other programs: the plan with its schema, the status, its metrics, the heartbeat, the webhook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from pipelines.stages.delivery import SCHEMA_FILE, Plan, plan_schema
from tests.pipelines.faulty import AS_OF, Night, run_night
from tests.pipelines.webhook_listener import listening


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return run_night(tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def plan(night: Night) -> dict[str, Any]:
    return dict(json.loads((night.folder / "plan.json").read_text(encoding="utf-8")))


def test_the_shipped_schema_is_that_of_the_code() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == plan_schema(), "write plan_schema() to pipelines/plan.schema.json"


def test_the_plan_is_valid_by_its_schema_and_a_spoiled_one_is_not(plan: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    assert check.is_valid(plan)
    for spoiled in ({**plan, "version": "2.0"}, {**plan, "set_points": []}, {**plan, "surprise": 1}):
        assert not check.is_valid(spoiled)


def test_the_plan_holds_the_set_points_and_prices_of_the_schedule(night: Night, plan: dict[str, Any]) -> None:
    table = pd.read_parquet(night.folder / "schedule.parquet")
    profiles = {(one["kind"], one["asset"], one["quantity"]): one for one in plan["set_points"] + plan["prices"]}
    orders = table[~table["kind"].isin(["bus", "line"])]
    assert len(profiles) == orders.groupby(["kind", "asset", "quantity"]).ngroups
    for key, rows in orders.groupby(["kind", "asset", "quantity"]):
        np.testing.assert_allclose(profiles[key]["values"], rows.sort_values("step")["value"])
    assert profiles["gas", "gas3", "power_mw"]["unit"] == "MW"
    subsidies = [one for one in plan["prices"] if one["quantity"] == "subsidy_per_mwh"]
    assert {one["asset"] for one in subsidies} == set(table.loc[table["kind"] == "customer", "asset"])
    assert {one["unit"] for one in subsidies} == {"EUR/MWh"}


def test_the_plan_says_when_it_holds_and_what_proves_it(plan: dict[str, Any]) -> None:
    day = pd.date_range("2022-06-15", periods=25, freq="h", tz="Europe/Copenhagen")
    assert pd.Timestamp(plan["valid_from"]) == day[0]
    assert pd.Timestamp(plan["valid_until"]) == day[-1]
    assert [pd.Timestamp(step) for step in plan["steps"]] == list(day[:-1])
    assert pd.Timestamp(plan["as_of"]) == pd.Timestamp(AS_OF)
    assert plan["simulated"] is True
    assert plan["certificate"]["passed"] is True
    assert plan["certificate"]["figures"]["mip_gap"] <= plan["certificate"]["tolerances"]["mip_gap"]


def test_a_plan_with_a_hole_or_without_a_number_cannot_be_made(plan: dict[str, Any]) -> None:
    short = json.loads(json.dumps(plan))
    short["set_points"][0]["values"].pop()
    with pytest.raises(ValidationError, match="has 23 values"):
        Plan.model_validate(short)
    nan = json.loads(json.dumps(plan))
    nan["set_points"][0]["values"][3] = float("nan")
    with pytest.raises(ValidationError, match="finite number"):
        Plan.model_validate(nan)


def monitoring(night: Night) -> Path:
    return night.folder.parent / "store" / "synthetic" / "monitoring"


def test_the_status_says_how_the_night_ended(night: Night) -> None:
    status = json.loads((night.folder / "status.json").read_text(encoding="utf-8"))
    assert status == json.loads((monitoring(night) / "status.json").read_text(encoding="utf-8"))
    assert (status["status"], status["reasons"], status["delivery_day"]) == ("ok", [], "2022-06-15")
    assert pd.Timestamp(status["finished_at"]) <= pd.Timestamp.now(tz="UTC")
    assert {"fetch", "train", "forecast", "dispatch"} <= status["seconds"].keys()


def samples(text: str) -> dict[str, float]:
    """Samples of a Prometheus text exposition; every line must be a comment or a sample of a declared metric."""
    declared, found = set(), {}
    for line in text.splitlines():
        if line.startswith("#"):
            kind, name = line.split()[1:3]
            assert kind in ("HELP", "TYPE")
            declared.add(name)
            continue
        match = re.fullmatch(r'(\w+)(\{(?:\w+="(?:[^"\\\n]|\\.)*",?)*\}) (\S+)', line)
        assert match, line
        assert match[1] in declared
        found[match[1] + match[2]] = float(match[3])
    assert text.endswith("\n")
    return found


def test_the_metrics_are_prometheus_text(night: Night) -> None:
    found = samples((monitoring(night) / "status.prom").read_text(encoding="utf-8"))
    assert found['adno_nightly_status{zone="COAST_1",status="ok"}'] == 1.0
    assert found['adno_nightly_status{zone="COAST_1",status="failed"}'] == 0.0
    as_of = 'adno_nightly_as_of_timestamp_seconds{zone="COAST_1"}'
    assert found[as_of] == pd.Timestamp(AS_OF).timestamp()
    assert found['adno_nightly_objective{zone="COAST_1"}'] == night.summary["dispatch"]["objective"]


def test_the_heartbeat_names_the_last_phase(night: Night) -> None:
    beat = json.loads((monitoring(night) / "heartbeat").read_text(encoding="utf-8"))
    assert beat["phase"] == "site"
    assert pd.Timestamp(beat["at"]) <= pd.Timestamp.now(tz="UTC")


@pytest.fixture
def listener() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    with listening() as served:
        yield served


HOOK = "monitoring.webhook.url_variable=NIGHT_HOOK"


def test_the_webhook_is_told_of_good_and_failed_nights_and_its_address_is_kept_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: tuple[str, list[dict[str, Any]]]
) -> None:
    url, posted = listener
    monkeypatch.setenv("NIGHT_HOOK", url)
    good = run_night(tmp_path, HOOK, name="good")
    failed = run_night(tmp_path, HOOK, case_changes={"import_max_mw": 0.35}, name="failed")
    assert [one["status"] for one in posted] == ["ok", "failed"]
    assert "no schedule meets all limits" in posted[1]["reasons"][0]
    status = json.loads((monitoring(failed) / "status.json").read_text(encoding="utf-8"))
    assert status["status"] == "failed"
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in written if b"token-of-mine" in text]
    assert "token-of-mine" not in good.said + failed.said


@pytest.mark.parametrize("hook", ["refuse", "closed"])
def test_a_webhook_that_does_not_answer_does_not_stop_the_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: tuple[str, list[dict[str, Any]]], hook: str
) -> None:
    monkeypatch.setenv("NIGHT_HOOK", listener[0] + "/refuse" if hook == "refuse" else "http://127.0.0.1:1/")
    night = run_night(tmp_path, HOOK)
    assert (night.code, night.published) == (0, True)


def test_a_webhook_without_an_address_is_a_mistake_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NIGHT_HOOK", raising=False)
    night = run_night(tmp_path, HOOK)
    assert (night.code, night.published) == (2, False)
    assert "this environment variable holds no http address" in night.said
