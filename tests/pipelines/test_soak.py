"""A short soak with random faults, and a night that is killed again and again: nothing lost, nothing silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines.soak import killed, soak


@pytest.mark.slow
def test_twenty_nights_with_random_faults_lose_nothing_and_hide_nothing(tmp_path: Path) -> None:
    ended = soak(tmp_path, 20, seed=7)
    assert ended["ok"] + ended["degraded"] + ended["failed"] == 20
    assert ended["ok"] >= 5
    assert ended["degraded"] >= 1


@pytest.mark.slow
def test_two_nights_killed_in_the_middle_end_as_undisturbed_ones(tmp_path: Path) -> None:
    killed(tmp_path, 2, seed=1)
