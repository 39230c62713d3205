"""Cases: found, read, tied to a day, and refused with all of their faults at once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from dispatch import CaseError, case_names, load_case
from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import adno_inputs, nominal_load_shares

CASE_FILE = Path(__file__).resolve().parents[2] / "conf" / "case" / "adno_ieee33.yaml"


@pytest.fixture
def data() -> dict[str, Any]:
    return copy.deepcopy(yaml.safe_load(CASE_FILE.read_text(encoding="utf-8")))


def faults_of(data: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(CaseError) as refused:
        AdnoCase.from_mapping(data, name="test")
    assert refused.value.exit_code == 2
    return refused.value.faults


@pytest.mark.parametrize("name", ["adno_ieee33", "adno_ieee33_scaled"])
def test_installed_cases_load_by_name(name: str) -> None:
    assert name in case_names()
    case = load_case(name)
    assert case.market == "adno" and case.name == name and case.steps == 24


def test_totals_are_those_of_the_papers_table() -> None:
    case = load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    assert sum(farm.capacity_mw for farm in case.wind) == pytest.approx(0.5)
    assert sum(store.energy_max_mwh for store in case.storage) == pytest.approx(0.15)
    assert sum(unit.power_max_mw for unit in case.gas) == pytest.approx(0.6)
    assert np.mean(case.spot_price_per_mwh) == pytest.approx(81, abs=0.5)
    assert [u.bus for u in case.gas] == [9, 23, 26] and [u.bus for u in case.wind] == [4, 10, 20]
    assert adno_inputs(case).rigid_mw.max(axis=0).sum() == pytest.approx(3.715)


def test_a_misspelled_name_gets_the_nearest() -> None:
    with pytest.raises(CaseError, match="did you mean 'adno_ieee33'"):
        load_case("adno_iee33")


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"no file .*mine\.yaml"):
        load_case(tmp_path / "mine.yaml")


def test_a_case_can_lie_anywhere(tmp_path: Path, data: dict[str, Any]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**data, "name": "mine"}))
    assert load_case(path).name == "mine"


def test_a_case_of_another_market_is_refused(tmp_path: Path, data: dict[str, Any]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**data, "market": "adnoo"}))
    with pytest.raises(CaseError, match="did you mean 'adno'"):
        load_case(path)


def set_at(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        owner: Any = data
        for part in parents:
            owner = owner[int(part)] if isinstance(owner, list) else owner[part]
        owner[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_at("spot_price_per_mwh", [80.0] * 23), "spot_price_per_mwh: 23 values, but 24 hours have 24 steps"),
        (
            set_at("spot_price_per_mwh", [80.0] * 23 + [float("nan")]),
            "spot_price_per_mwh[23]: nan is not a finite number",
        ),
        (set_at("wind.0.capacity_mw", 166.0), "wind[0].capacity_mw: 166 MW is 45 times the feeder's nominal load"),
        (set_at("gas.1.id", "gas9"), "id 'gas9' is used 2 times"),
        (set_at("gas.0.bus", 34), "gas[0].bus: bus 34 does not exist; the feeder has buses 1 to 33"),
        (set_at("storage.0.energy_start_mwh", 0.2), "energy_start_mwh 0.2 is outside its limits [0, 0.075]"),
        (set_at("storage.1.energy_max_mwh", 75.0), "storage[1].energy_max_mwh: 75 MWh is 20 hours"),
        (set_at("gas.0.power_min_mw", 0.3), "power_min_mw 0.3 is above power_max_mw 0.2"),
        (set_at("gas.0.initial_power_mw", 0.1), "of a unit that is off"),
        (set_at("gas.0.cost_per_mhw", 91.0), "gas[0].cost_per_mhw: no such key; did you mean 'cost_per_mwh'?"),
        (set_at("network.voltage_min_pu", 1.2), "voltage_min_pu 1.2 is not below voltage_max_pu 1.1"),
        (set_at("feeder_customers.flexible_free_share", 0.3), "is above the largest"),
        (set_at("horizon_hours", 23.5), "horizon_hours 23.5 is not a whole number of steps of 1 h"),
        (set_at("feeder_customers.shape", None), "feeder_customers: give 'shape'"),
        (set_at("feeder_customers.retail_price_by_bus", {1: 90.0}), "no customer at bus [1]"),
        (set_at("import_max_mw", 0.5), "cannot be served: import limit 0.5 + gas 0.600 + storage 0.100 + wind"),
        (set_at("retail_price_per_mwh", "dear"), "retail_price_per_mwh: "),
        (set_at("network.feeder", "ieee34"), "network.feeder: "),
        (set_at("customers", [{"id": "c", "rigid_mw": 1.0}]), "state customers in one way"),
    ],
)
def test_each_fault_is_one_clear_line(data: dict[str, Any], change: Callable[[Any], None], words: str) -> None:
    change(data)
    faults = faults_of(data)
    assert any(words in fault for fault in faults), faults
    assert all("\n" not in fault for fault in faults)


def test_all_faults_of_a_file_come_at_once(data: dict[str, Any]) -> None:
    data["gas"][0]["bus"] = 99
    data["storage"][0]["energy_start_mwh"] = 1.0
    data["wind"][1]["capasity_mw"] = data["wind"][1].pop("capacity_mw")
    data["spot_price_per_mwh"] = data["spot_price_per_mwh"][:23]
    data["retail_prise_per_mwh"] = data.pop("retail_price_per_mwh")
    text = "\n".join(faults_of(data))
    for word in ("bus 99", "energy_start_mwh 1", "'capacity_mw'", "23 values", "'retail_price_per_mwh'"):
        assert word in text


def test_kilowatts_can_be_accepted_on_purpose(data: dict[str, Any]) -> None:
    data["wind"][0]["capacity_mw"] = 40.0
    data["check_magnitudes"] = False
    assert AdnoCase.from_mapping(data).wind[0].capacity_mw == 40.0


def test_a_load_beyond_the_lines_is_named_with_its_voltage(data: dict[str, Any]) -> None:
    data["feeder_customers"]["shape"] = [2.0] * 24
    faults = faults_of(data)
    assert len(faults) == 24
    assert (
        "step 0: load of 7.430 MW cannot be served" in faults[0] and "bus 18" in faults[0] and "below 0.9" in faults[0]
    )


def test_negative_load_is_refused(data: dict[str, Any]) -> None:
    case = AdnoCase.from_mapping(data)
    with pytest.raises(CaseError, match="rigid load -"):
        case.with_inputs(load_mw=np.full(24, -1.0))


def test_printed_anchor_needs_a_limit_above_its_elasticity(data: dict[str, Any]) -> None:
    data["subsidy"]["elasticity_anchor"] = "paper"
    data["feeder_customers"]["elasticity_scale"] = 2.0
    assert any("negative limit without subsidy" in fault for fault in faults_of(data))


@pytest.mark.parametrize(
    ("steps", "step_hours"), [(23, 1.0), (24, 1.0), (25, 1.0), (92, 0.25), (96, 0.25), (100, 0.25)]
)
def test_a_case_is_tied_to_a_day_of_any_length(steps: int, step_hours: float) -> None:
    case = load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    index = pd.date_range("2025-10-25T22:00", periods=steps, freq=pd.Timedelta(hours=step_hours), tz="UTC")
    load = np.linspace(1.5, 3.0, steps)
    wind = {"wind4": np.full(steps, 0.1)}
    day = case.with_inputs(spot_price_per_mwh=np.full(steps, 70.0), load_mw=load, wind_mw=wind, index=index)
    inputs = adno_inputs(day)
    assert day.steps == steps and day.step_hours == step_hours
    np.testing.assert_allclose(inputs.rigid_mw.sum(axis=1), load)
    np.testing.assert_allclose(inputs.flexible_max_mw, 0.25 * inputs.rigid_mw)
    np.testing.assert_allclose(inputs.wind_mw[0], 0.1)
    assert inputs.wind_mw[1, 0] == pytest.approx(0.5 / 3 * (0.73 if index[0].hour == 22 else 0))


def test_hourly_shapes_follow_the_local_hour() -> None:
    case = load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    index = pd.date_range("2024-06-01", periods=24, freq="h", tz="Europe/Copenhagen").tz_convert("UTC")
    local = adno_inputs(case.with_inputs(index=index.tz_convert("Europe/Copenhagen")))
    utc = adno_inputs(case.with_inputs(index=index))
    np.testing.assert_allclose(local.rigid_mw[0].sum(), 3.715 * 0.55)
    np.testing.assert_allclose(utc.rigid_mw[0].sum(), 3.715 * 0.70)


def test_inputs_of_unequal_length_are_refused_together() -> None:
    case = load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    with pytest.raises(CaseError) as refused:
        case.with_inputs(
            spot_price_per_mwh=[70.0] * 25, load_mw=[2.0] * 24, wind_mw={"wind4": [0.1] * 24, "wind5": [0.1]}
        )
    text = str(refused.value)
    assert "no wind farm 'wind5'" in text and "wind[0].available_mw: 24 values" in text and "rigid_mw" in text


def test_missing_values_are_never_taken_for_zero() -> None:
    case = load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    with pytest.raises(CaseError, match="not a finite number"):
        case.with_inputs(load_mw=[2.0] * 23 + [float("nan")])


def test_load_shares_add_up() -> None:
    case = load_case("adno_ieee33")
    assert isinstance(case, AdnoCase)
    shares = nominal_load_shares(case)
    assert len(shares) == 32 and sum(shares.values()) == pytest.approx(1.0)
