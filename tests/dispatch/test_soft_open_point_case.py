"""Soft open point cases: every fault in the user's words, and other days by ``with_inputs``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dispatch
from dispatch.case_soft_open_point import SoftOpenPointCase
from dispatch.errors import CaseError
from dispatch.markets.soft_open_point_inputs import operator_inputs


@pytest.fixture
def case() -> SoftOpenPointCase:
    found = dispatch.load_case("soft_open_point")
    assert isinstance(found, SoftOpenPointCase)
    return found


def band(**limits: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.update(price_band=limits)


FAULTS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (band(low_per_mwh=1200.0), r"step 0: price_band is empty: low 1200 is above high 560"),
    (band(low_per_mwh=900.0, high_per_mwh=1500.0), r"mean of its lower end, 900, is above the mean purchase price"),
    (band(low_per_mwh=0.0), r"lowest price 0 is not above zero"),
    (lambda d: d.update(hv_sell_per_mwh=600.0), r"step 0: hv_sell_per_mwh 600 is above hv_buy_per_mwh 560"),
    (lambda d: d.update(load_shape=[1.0]), r"load_shape: 1 values, but 24 hours have 24 steps"),
    (lambda d: d["prosumers"][0].update(bus=99), r"prosumers\[0\] \('prosumer6'\): bus 99 does not exist"),
    (lambda d: d["prosumers"][0].update(bus=10), r"prosumers: bus 10 is used more than once"),
    (lambda d: d["prosumers"][1]["battery"].update(energy_start_mwh=2.0), r"cannot return to its start"),
    (lambda d: d["prosumers"][0].update(pv_capacity_mw=600.0), r"PV of 600 MW is 162 times the feeder's load"),
    (lambda d: d["soft_open_point"].update(buses=[18, 18, 40]), r"bus 40 does not exist"),
    (lambda d: d["soft_open_point"].update(power=1.0), r"no such key; did you mean 'power_mva'"),
    (lambda d: d.pop("pv_shape"), r"pv_capacity_mw needs pv_shape"),
    (lambda d: d.update(prosumers=[]), r"prosumers: the list is empty"),
]


@pytest.mark.parametrize(("change", "words"), FAULTS)
def test_a_fault_is_named(case: SoftOpenPointCase, change: Callable[[dict[str, Any]], Any], words: str) -> None:
    data = case.model_dump(mode="json", exclude_unset=True)
    change(data)
    with pytest.raises(CaseError, match=words):
        SoftOpenPointCase.from_mapping(data)


def test_all_faults_come_at_once(case: SoftOpenPointCase) -> None:
    data = case.model_dump(mode="json", exclude_unset=True)
    data["prosumers"][0]["bus"] = 99
    data["load_shape"] = [1.0]
    data["soft_open_point"]["buses"] = [18]
    with pytest.raises(CaseError) as caught:
        SoftOpenPointCase.from_mapping(data)
    assert len(caught.value.faults) == 3


def test_a_prosumer_replaces_the_load_of_its_bus_and_keeps_its_reactive_load(case: SoftOpenPointCase) -> None:
    inputs = operator_inputs(case)
    place = inputs.feeder.position[6]
    assert (inputs.feeder_mw[:, place] == 0).all()
    assert inputs.feeder_mvar[18, place] == pytest.approx(inputs.feeder.load_mvar[place])


def test_another_day(case: SoftOpenPointCase) -> None:
    price = np.linspace(350.0, 900.0, 92)
    sun = {prosumer.id: np.full(92, 0.1) for prosumer in case.prosumers}
    tied = case.with_inputs(spot_price_per_mwh=price, load_mw=np.full(92, 2.0), pv_mw=sun, step_hours=0.25)
    inputs = operator_inputs(tied)
    assert (tied.steps, tied.step_hours) == (92, 0.25)
    np.testing.assert_allclose(inputs.hv_sell, 400.0 / np.mean(case.hv_buy_per_mwh) * price)
    replaced = sum(inputs.feeder.load_mw[inputs.feeder.position[bus]] for bus in inputs.buses)
    nominal = inputs.feeder.load_mw.sum()
    assert inputs.feeder_mw[0].sum() == pytest.approx(2.0 * (nominal - replaced) / nominal)
    assert inputs.prosumers[0].load[40] == pytest.approx(0.3 * case.prosumer_load_shape[10])  # type: ignore[index]
    with pytest.raises(CaseError, match="pv_mw: no prosumer 'x'"):
        case.with_inputs(pv_mw={"x": np.ones(24)})
