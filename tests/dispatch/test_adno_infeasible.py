"""A feeder that is no tree, and days that no schedule can serve, are refused with bus or line, hour and amount."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

import dispatch
from dispatch.case_adno import AdnoCase
from dispatch.errors import CaseError, InfeasibleError
from dispatch.network.feeder import load_feeder

IEEE33 = load_feeder("ieee33")


def own_feeder(**network: Any) -> dict[str, Any]:
    """The IEEE 33 case with its feeder written out as a table of lines."""
    data = dispatch.load_case("adno_ieee33").model_dump(mode="python", exclude_none=True)  # type: ignore[attr-defined]
    ohm = IEEE33.base_kv**2 / IEEE33.base_mva
    lines = [
        {"from_bus": i, "to_bus": j, "resistance_ohm": r * ohm, "reactance_ohm": x * ohm}
        for (i, j), r, x in zip(IEEE33.line_keys, IEEE33.r_pu.tolist(), IEEE33.x_pu.tolist(), strict=True)
    ]
    loads = zip(IEEE33.bus_ids, IEEE33.load_mw.tolist(), IEEE33.load_mvar.tolist(), strict=True)
    nominal = {bus: (p, q) for bus, p, q in loads if p > 0}
    data["network"] = {
        "lines": lines,
        "base_voltage_kv": IEEE33.base_kv,
        "nominal_load_mw": {bus: p for bus, (p, _) in nominal.items()},
        "nominal_load_mvar": {bus: q for bus, (_, q) in nominal.items()},
        **network,
    }
    return data


def line(data: dict[str, Any], start: int, end: int) -> dict[str, Any]:
    found: dict[str, Any] = next(
        item for item in data["network"]["lines"] if (item["from_bus"], item["to_bus"]) == (start, end)
    )
    return found


def test_the_written_out_feeder_is_the_embedded_one() -> None:
    ours = dispatch.solve(AdnoCase.from_mapping(own_feeder(), "own"), variant="no_subsidy")
    embedded = dispatch.solve(dispatch.load_case("adno_ieee33"), variant="no_subsidy")
    assert ours.objective == pytest.approx(embedded.objective, rel=2e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda d: d["network"]["lines"].append(
                {"from_bus": 18, "to_bus": 33, "resistance_ohm": 0.5, "reactance_ohm": 0.5}
            ),
            "branch 18-33 closes a loop",
        ),
        (lambda d: d["network"]["lines"].remove(line(d, 6, 7)), "no path from root 1 to bus 7, 8, 9"),
        (lambda d: line(d, 6, 7).update(resistance_ohm=0.0, reactance_ohm=0.0), "branch 6-7: impedance is zero"),
        (lambda d: d["network"]["nominal_load_mw"].update({77: 0.1}), "77"),
    ],
    ids=["meshed", "disconnected", "zero impedance", "load at no bus"],
)
def test_a_feeder_that_is_no_tree_is_refused_in_one_line(change: Any, words: str) -> None:
    data = own_feeder()
    change(data)
    with pytest.raises(CaseError, match=re.escape(words)) as caught:
        AdnoCase.from_mapping(data, "own")
    assert str(caught.value).count("\n  - ") == 1


def refusal(case: Any) -> str:
    began = time.process_time()
    with pytest.raises(InfeasibleError) as caught:
        dispatch.solve(case)
    assert time.process_time() - began < 6.0
    return str(caught.value)


def test_a_line_limit_that_is_too_small_is_named_in_ampere() -> None:
    data = own_feeder()
    line(data, 6, 7)["current_max_ka"] = 0.04
    text = refusal(AdnoCase.from_mapping(data, "own"))
    found = re.search(r"line 6-7, step 18 \(18:00\): current (\d+\.\d) A, above its limit of 40\.0 A", text)
    assert found
    assert 45.0 < float(found[1]) < 60.0


def test_an_import_limit_that_is_too_small_is_named_with_what_is_missing() -> None:
    case = dispatch.load_case("adno_ieee33")
    text = refusal(case.model_copy(update={"import_max_mw": 3.2}))  # type: ignore[attr-defined]
    found = re.search(r"grid, step 18 \(18:00\): import above its limit of 3\.2 MW by (\d\.\d+) MW", text)
    assert found
    missing = float(found[1])
    wider = case.model_copy(update={"import_max_mw": 3.2 + missing + 0.02})  # type: ignore[attr-defined]
    assert dispatch.solve(wider).certificate.passed


def test_a_root_voltage_above_the_limit_is_named_at_its_neighbours() -> None:
    text = refusal(AdnoCase.from_mapping(own_feeder(root_voltage_pu=1.12), "own"))
    assert re.search(r"bus 2, step \d+ \(\d\d:00\): voltage above 1\.1 p\.u\. by 0\.01\d", text)
    assert "more" in text.splitlines()[-1]
