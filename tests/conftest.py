"""Shared fixtures. Public data lives beside the checkout; a test that needs it skips where that folder is absent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def public_data() -> Callable[[str], Path]:
    """Path of a public data file by its name below ``shared/data``; fails if the folder is there and the file is not."""

    def path(name: str) -> Path:
        if not SHARED_DATA.is_dir():
            pytest.skip(f"public data folder {SHARED_DATA} is absent")
        found = SHARED_DATA / name
        assert found.exists(), f"{SHARED_DATA} is there, but {name} is not"
        return found

    return path
