"""Real nights of western Denmark: rich wind and negative prices, published and certified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipelines.running import Finished, run_here

pytestmark = pytest.mark.data


def real_night(data: Path, folder: Path, as_of: str) -> Finished:
    return run_here(
        "nightly",
        folder / "run",
        "source=files",
        f"source.root={data}",
        "source.layout=entsoe_zones",
        "zone=DK_1",
        f"as_of={as_of}",
        "model=naive",
        "history.train_days=60",
        "history.valid_days=28",
        f"store.root={folder / 'store'}",
        f"artefacts.root={folder / 'artefacts'}",
    )


def test_a_windy_day_with_negative_prices_is_dispatched_and_certified(
    public_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """9 June 2024 in DK_1: ten hours below zero, down to -37 EUR/MWh, where slack cones invite invented losses."""
    data = public_data("entsoe_2022_2024H1/zones_hourly.parquet").parent
    finished = real_night(data, tmp_path, "2024-06-08T18:30+02:00")
    dispatch = finished.outcome.record["dispatch"]
    assert finished.outcome.status == "ok"
    assert dispatch["certificate"]["passed"] is True
    assert dispatch["certificate"]["cone_gap"] <= 1e-4
    table = finished.table("schedule.parquet")
    spot = table[table["quantity"] == "spot_price_per_mwh"]["value"]
    assert (spot < 0).sum() == 10
    assert spot.min() == pytest.approx(-37.0, abs=1.0)
    assert finished.outcome.record["inputs"]["price"]["origin"] == "measured"
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert "simulated data in part" in page  # local sites and load are simulated from the zone's real forecasts


def test_before_the_auction_no_wind_forecast_is_used(public_data: Callable[[str], Path], tmp_path: Path) -> None:
    """Wind and solar forecasts (14.1.D) are due at 18:00, so the morning's newest one is that of the running day."""
    data = public_data("entsoe_2022_2024H1/zones_hourly.parquet").parent
    finished = real_night(data, tmp_path, "2024-06-14T11:30+02:00")
    record = finished.outcome.record
    assert record["mode"] == "morning"
    assert str(record["inputs"]["wind_forecast"]["newest"]) == "2024-06-14 21:00:00+00:00"
    assert str(record["inputs"]["load_forecast"]["newest"]) == "2024-06-15 21:00:00+00:00"
    assert record["dispatch"]["certificate"]["passed"] is True
