"""A feeder is checked when it is made, with every fault at once, and its branches are put in order."""

from __future__ import annotations

import math

import pandapower.networks
import pytest

from dispatch.errors import CaseError
from dispatch.network.feeder import Branch, Bus, Feeder, load_feeder, random_feeder
from dispatch.network.power_flow import solve_power_flow


def feeder(buses: list[Bus], branches: list[Branch], root: int = 1) -> Feeder:
    return Feeder("test", 1.0, 10.0, root, tuple(buses), tuple(branches))


def faults_of(buses: list[Bus], branches: list[Branch], root: int = 1) -> str:
    with pytest.raises(CaseError) as caught:
        feeder(buses, branches, root)
    return "\n".join(caught.value.faults)


def test_ieee33_has_the_impedances_and_loads_of_pandapower() -> None:
    ours, theirs = load_feeder("ieee33"), pandapower.networks.case33bw()
    closed = theirs.line[theirs.line.in_service]
    expected = {
        (row.from_bus + 1, row.to_bus + 1): complex(row.r_ohm_per_km, row.x_ohm_per_km) for row in closed.itertuples()
    }
    assert {b.key: complex(b.r_ohm, b.x_ohm) for b in ours.branches} == pytest.approx(expected)
    loads = {row.bus + 1: complex(row.p_mw, row.q_mvar) for row in theirs.load.itertuples()}
    assert {b.id: complex(b.load_mw, b.load_mvar) for b in ours.buses if b.load_mw} == pytest.approx(loads)
    assert (ours.load_mw.sum(), ours.load_mvar.sum()) == pytest.approx((3.715, 2.300))
    assert ours.base_kv == 12.66


def test_branches_point_away_from_the_root_and_parents_come_first() -> None:
    ours = feeder(
        [Bus(4), Bus(1), Bus(2), Bus(3)], [Branch(4, 3, 1, 1), Branch(3, 2, 1, 1), Branch(2, 1, 1, 1)], root=1
    )
    assert ours.line_keys == ((1, 2), (2, 3), (3, 4))
    assert ours.path(4) == ((1, 2), (2, 3), (3, 4))
    assert ours.parent == {2: 1, 3: 2, 4: 3}


def test_all_faults_are_reported_at_once() -> None:
    text = faults_of(
        [Bus(1), Bus(2, load_mw=math.nan), Bus(3, load_mw=420.0), Bus(3), Bus(4), Bus(6)],
        [
            Branch(1, 2, 0.0, 0.0),
            Branch(2, 1, 0.1, 0.1),
            Branch(2, 3, -1.0, 0.1),
            Branch(3, 1, 0.1, 0.1),
            Branch(3, 9, 0.1, 0.1),
            Branch(3, 4, 0.1, 0.1, current_limit_ka=0.0),
        ],
    )
    for fault in (
        "bus 2: load nan MW",
        "bus 3: load 420 MW, 0 Mvar is over 200 times the base of 1 MVA; was it given in kW and kvar?",
        "bus 3 is given 2 times",
        "branch 1-2: impedance is zero",
        "branch 1-2 is given 2 times",
        "branch 2-3: impedance -1 + j0.1 ohm is negative",
        "branch 3-1 closes a loop",
        "branch 3-9: bus 9 does not exist",
        "branch 3-4: current limit 0.0 kA",
        "no path from root 1 to bus 6",
    ):
        assert fault in text


def test_a_root_that_does_not_exist_is_named() -> None:
    assert "root bus 7 does not exist; buses are 1, 2" in faults_of([Bus(1), Bus(2)], [Branch(1, 2, 1, 1)], root=7)


def test_bases_must_be_positive() -> None:
    with pytest.raises(CaseError, match="base_mva is -1"):
        Feeder("test", -1.0, 10.0, 1, (Bus(1), Bus(2)), (Branch(1, 2, 1, 1),))


def test_per_unit_values_follow_the_bases() -> None:
    ours = Feeder("test", 10.0, 20.0, 1, (Bus(1), Bus(2)), (Branch(1, 2, 4.0, 8.0, current_limit_ka=0.5),))
    assert (ours.r_pu[0], ours.x_pu[0]) == pytest.approx((0.1, 0.2))
    assert ours.current_limit_pu[0] == pytest.approx(0.5 * math.sqrt(3) * 20.0 / 10.0)


def test_unknown_names_and_buses_are_refused() -> None:
    with pytest.raises(CaseError, match="no feeder is called 'ieee34'"):
        load_feeder("ieee34")
    with pytest.raises(CaseError, match="bus 99 does not exist"):
        load_feeder("ieee33").path(99)


@pytest.mark.parametrize("buses", [2, 33, 500])
def test_random_feeders_are_radial_repeatable_and_equally_loaded(buses: int) -> None:
    first, again, other = random_feeder(buses, 3), random_feeder(buses, 3), random_feeder(buses, 4)
    assert first == again
    assert first != other
    assert len(first.branches) == buses - 1
    lowest = solve_power_flow(first, first.load_mw, first.load_mvar).voltage_pu.min()
    assert 0.94 < lowest < 0.95
