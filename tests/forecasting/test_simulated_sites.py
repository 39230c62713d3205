"""Simulated local series: the same in every interval, from a bounded part of the source, with the stated statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import NoDataError, UnknownNameError
from forecasting.sources.simulated_sites import LOAD_ERROR, SimulatedSites, even_sites
from forecasting.sources.steady_noise import steady_noise
from forecasting.sources.synthetic import synthetic_source

BEGIN = pd.Timestamp("2022-01-01T00:00Z")


class Zone:
    """The simulated market without its own sites and load, as a public platform would show it; ``asked``: intervals read."""

    def __init__(self, holes: Sequence[tuple[str, str]] = ()) -> None:
        self.market, self.asked = synthetic_source(years=2), list[tuple[pd.Timestamp, pd.Timestamp]]()
        self.holes = [(pd.Timestamp(a, tz="UTC"), pd.Timestamp(b, tz="UTC")) for a, b in holes]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.market, name)

    def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        if series in ("load", "wind_power"):
            raise NoDataError(f"no {series}")
        self.asked.append((start, end))
        frame = self.market.read(series, zone, start, end)
        for first, last in self.holes:
            frame = frame[(frame.index < first) | (frame.index >= last)]
        return frame


def simulated(zone: Any | None = None, seed: int = 0) -> SimulatedSites:
    return SimulatedSites(zone or Zone(), "COAST_1", even_sites("COAST_1", 2, 10.0), seed=seed)


WHOLE = simulated()
POWER = WHOLE.read("wind_power", "COAST_1_W1", BEGIN, pd.Timestamp("2023-06-01T00:00Z"))
LOAD = WHOLE.read("load", "COAST_1", BEGIN, pd.Timestamp("2023-06-01T00:00Z"))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 24 * 500), st.integers(1, 24 * 10))
def test_any_interval_holds_the_same_values(first: int, length: int) -> None:
    start = BEGIN + pd.Timedelta(hours=first)
    end = start + pd.Timedelta(hours=length)
    source = simulated()
    for whole, series, place in ((POWER, "wind_power", "COAST_1_W1"), (LOAD, "load", "COAST_1")):
        part = source.read(series, place, start, end)
        pd.testing.assert_frame_equal(part, whole[(whole.index >= start) & (whole.index < end)], check_freq=False)


def test_a_few_days_ask_the_source_for_no_more_than_the_year_before() -> None:
    zone = Zone()
    start, end = pd.Timestamp("2023-05-20T00:00Z"), pd.Timestamp("2023-05-24T00:00Z")
    source = simulated(zone)
    source.read("wind_power", "COAST_1_W1", start, end)
    source.read("wind_power", "COAST_1_W2", start, end)
    assert min(asked for asked, _ in zone.asked) == pd.Timestamp("2022-05-01T00:00Z")
    assert max(asked for _, asked in zone.asked) == pd.Timestamp("2023-06-01T00:00Z")
    assert len(zone.asked) == len(set(zone.asked)) == 13, "every month is read once for all sites"


def test_a_gap_of_the_forecast_is_mended_alike_in_every_interval() -> None:
    holes = [("2022-03-10T02:00", "2022-03-10T04:00"), ("2022-03-31T20:00", "2022-04-01T09:00")]
    whole = simulated(Zone(holes)).read("load", "COAST_1", BEGIN, pd.Timestamp("2022-05-01T00:00Z"))
    part = simulated(Zone(holes)).read(
        "load", "COAST_1", pd.Timestamp("2022-03-31T18:00Z"), pd.Timestamp("2022-04-01T12:00Z")
    )
    pd.testing.assert_frame_equal(part, whole.loc[part.index[0] : part.index[-1]], check_freq=False)
    assert whole.index.is_unique
    assert pd.Timestamp("2022-03-10T03:00Z") in whole.index


def test_the_level_of_a_month_does_not_move_when_the_month_goes_on() -> None:
    class Cut(Zone):
        def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
            return super().read(series, zone, start, min(end, pd.Timestamp("2023-05-24T00:00Z")))

    span = pd.Timestamp("2023-05-01T00:00Z"), pd.Timestamp("2023-05-24T00:00Z")
    early = simulated(Cut()).read("wind_power", "COAST_1_W1", *span)
    pd.testing.assert_frame_equal(early, POWER.loc[early.index[0] : early.index[-1]], check_freq=False)


def test_the_simulation_has_its_stated_spread_and_is_marked() -> None:
    forecast = WHOLE.source.read("load_forecast", "COAST_1", LOAD.index[0], LOAD.index[-1] + pd.Timedelta(hours=1))
    error = LOAD["value"] / forecast["value"] - 1
    assert error.std() == pytest.approx(LOAD_ERROR, rel=0.05)
    assert POWER["value"].between(0.0, 10.0).all()
    other = WHOLE.read("wind_power", "COAST_1_W2", BEGIN, pd.Timestamp("2023-06-01T00:00Z"))
    assert 0.7 < POWER["value"].corr(other["value"]) < 0.99
    assert POWER.attrs["simulated"] is True
    assert POWER.attrs["notes"] == ["simulated from the wind forecast of COAST_1"]
    other_seed = simulated(seed=1).read("load", "COAST_1", BEGIN, BEGIN + pd.Timedelta(days=2))
    assert not np.allclose(other_seed["value"], LOAD["value"].loc[: other_seed.index[-1]])


def test_the_noise_is_standard_and_forgets_as_stated() -> None:
    index = pd.date_range("2022-01-01", periods=24 * 4 * 400, freq="15min", tz="UTC")
    noise = steady_noise(index, 6.0, 3, "a")
    assert noise.mean() == pytest.approx(0.0, abs=0.06)
    assert noise.std() == pytest.approx(1.0, rel=0.03)
    for hours in (1, 6, 12):
        lag = 4 * hours
        assert np.corrcoef(noise[lag:], noise[:-lag])[0, 1] == pytest.approx(np.exp(-hours / 6), abs=0.05)
    np.testing.assert_array_equal(steady_noise(index[5000:5100:4], 6.0, 3, "a"), noise[5000:5100:4])
    assert abs(np.corrcoef(noise, steady_noise(index, 6.0, 3, "b"))[0, 1]) < 0.06


def test_an_interval_without_a_forecast_has_no_data() -> None:
    with pytest.raises(NoDataError, match="no wind_power of COAST_1_W1 in"):
        WHOLE.read("wind_power", "COAST_1_W1", pd.Timestamp("2030-01-01T00:00Z"), pd.Timestamp("2030-02-01T00:00Z"))


class InParts(Zone):
    """The same zone with its wind forecast onshore and offshore only, as ENTSO-E publishes it."""

    def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        if series == "wind_forecast":
            raise UnknownNameError(f"{series} is no series of this source")
        share = {"wind_onshore_forecast": 0.75, "wind_offshore_forecast": 0.25}.get(series)
        if share is None:
            return super().read(series, zone, start, end)
        frame = super().read("wind_forecast", zone, start, end)
        return frame.assign(value=share * frame["value"])


def test_wind_published_in_parts_makes_the_same_sites() -> None:
    month = BEGIN, pd.Timestamp("2022-02-01T00:00Z")
    power = simulated(InParts()).read("wind_power", "COAST_1_W1", *month)
    pd.testing.assert_series_equal(
        power["value"], POWER.loc[: month[1] - pd.Timedelta(1, "ns"), "value"], check_freq=False
    )
