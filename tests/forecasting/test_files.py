from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from forecasting.errors import DataError, NoDataError, SettingError, UnknownNameError
from forecasting.sources.base import Source
from forecasting.sources.files import FileSource
from forecasting.sources.layout import Layout, load_layout
from forecasting.sources.simulated_sites import SimulatedSites, even_sites

LAYOUTS = Path(__file__).resolve().parents[2] / "conf" / "layout"
ALL = (pd.Timestamp("1990-01-01T00:00Z"), pd.Timestamp("2090-01-01T00:00Z"))
PublicData = Callable[[str], Path]


def layout(time: dict[str, Any], series: dict[str, Any], file: str = "{zone}.csv", **more: Any) -> Layout:
    table = {"file": file, "time": time, "series": series, **more.pop("table", {})}
    mapping = {"name": "own", "description": "test", "market_time_zone": "Europe/Berlin", "tables": [table], **more}
    return Layout.from_mapping(mapping, "own")


def public(data: PublicData, folder: str, name: str, **options: Any) -> FileSource:
    return FileSource(data(folder), load_layout(LAYOUTS / f"{name}.yaml"), **options)


def test_csv_with_local_time_tells_both_passes_of_the_autumn_hour_apart(tmp_path: Path) -> None:
    stamps = pd.date_range("2024-10-26T22:00Z", periods=25, freq="h").tz_convert("Europe/Berlin").tz_localize(None)
    pd.DataFrame({"when": stamps, "price": range(25)}).to_csv(tmp_path / "DE.csv", index=False)
    source = FileSource(tmp_path, layout({"column": "when", "zone": "Europe/Berlin"}, {"price": {"column": "price"}}))
    assert isinstance(source, Source)
    assert source.zones() == ("DE",)
    frame = source.read("price", "DE", *ALL)
    assert frame.index[0] == pd.Timestamp("2024-10-26T22:00Z")
    assert np.diff(frame.index.asi8).tolist() == [3_600_000_000_000] * 24
    assert frame["available_at"].iloc[0] == pd.Timestamp("2024-10-26T12:57+02:00")


def test_hour_ending_stamps_are_moved_to_the_beginning(tmp_path: Path) -> None:
    pd.DataFrame({"t": ["2024-01-01T01:00Z", "2024-01-01T02:00Z"], "p": [5, 6]}).to_csv(tmp_path / "Z.csv", index=False)
    source = FileSource(tmp_path, layout({"column": "t", "zone": "UTC", "stamp": "ending"}, {"price": {"column": "p"}}))
    assert source.read("price", "Z", *ALL).index[0] == pd.Timestamp("2024-01-01T00:00Z")


@pytest.mark.parametrize(
    ("series", "unit", "raw", "value", "stated"),
    [
        ("load", "kW", 1500.0, 1.5, "MW"),
        ("load", "GW", 1.5, 1500.0, "MW"),
        ("price", "ct/kWh", 8.0, 80.0, "EUR/MWh"),
        ("price", "EUR/kWh", 0.08, 80.0, "EUR/MWh"),
        ("price", "USD/MWh", 30.0, 30.0, "USD/MWh"),
        ("wind_power", "pu", 0.25, 40.0, "MW"),
    ],
)
def test_units_are_converted(tmp_path: Path, series: str, unit: str, raw: float, value: float, stated: str) -> None:
    pd.DataFrame({"t": ["2024-01-01T00:00Z"], "x": [raw]}).to_csv(tmp_path / "Z.csv", index=False)
    time = {"column": "t", "zone": "UTC"}
    own = layout(time, {series: {"column": "x", "unit": unit}}, capacity_mw={"default": 160.0})
    frame = FileSource(tmp_path, own).read(series, "Z", *ALL)
    assert frame["value"].iloc[0] == pytest.approx(value)
    assert frame.attrs["unit"] == stated


def test_semicolons_decimal_commas_and_a_zone_column(tmp_path: Path) -> None:
    text = "time;area;price\n2024-01-01 00:00;A;1,5\n2024-01-01 00:00;B;2,5\n2024-01-01 01:00;A;3,5\n"
    (tmp_path / "all.csv").write_text(text)
    table = {"separator": ";", "decimal": ",", "zone_column": "area"}
    own = layout({"column": "time", "zone": "Europe/Berlin"}, {"price": {"column": "price"}}, "all.csv", table=table)
    source = FileSource(tmp_path, own)
    assert source.zones() == ("A", "B")
    assert source.read("price", "A", *ALL)["value"].tolist() == [1.5, 3.5]


def test_unsorted_and_repeated_rows_are_mended_and_noted(tmp_path: Path) -> None:
    stamps = ["2024-01-01T02:00Z", "2024-01-01T00:00Z", "2024-01-01T01:00Z", "2024-01-01T01:00Z"]
    pd.DataFrame({"t": stamps, "p": [3, 1, 2, 2]}).to_csv(tmp_path / "Z.csv", index=False)
    source = FileSource(tmp_path, layout({"column": "t", "zone": "UTC"}, {"price": {"column": "p"}}))
    frame = source.read("price", "Z", *ALL)
    assert frame["value"].tolist() == [1.0, 2.0, 3.0]
    assert len(frame.attrs["notes"]) == 2
    pd.DataFrame({"t": stamps, "p": [3, 1, 2, 9]}).to_csv(tmp_path / "Y.csv", index=False)
    with pytest.raises(
        DataError, match="price of Y: two different values for the same delivery time at 2024-01-01 01:00"
    ):
        source_of_y = FileSource(tmp_path, layout({"column": "t", "zone": "UTC"}, {"price": {"column": "p"}}))
        source_of_y.read("price", "Y", *ALL)


def test_classic_epf_csv_is_read_whatever_its_headers(tmp_path: Path) -> None:
    days = pd.date_range("2016-03-26", periods=72, freq="h")
    columns = {"Date": days, " Prices": np.arange(72.0), " Generation forecast": 5.0, " System load forecast": 6.0}
    pd.DataFrame(columns).to_csv(tmp_path / "BE.csv", index=False)
    renamed = {"Date": days, "Price": np.arange(72.0), "Exogenous 1": 5.0, "Exogenous 2": 6.0}
    pd.DataFrame(renamed).to_csv(tmp_path / "NP.csv", index=False)
    source = FileSource(tmp_path, load_layout(LAYOUTS / "epf_csv.yaml"))
    for zone in ("BE", "NP"):
        price = source.read("price", zone, *ALL)
        # 27 March 2016 is a clock change: the file has 24 rows all the same, and they are not localised.
        assert len(price) == 72
        assert price["available_at"].iloc[30] == pd.Timestamp("2016-03-26T12:57Z")
        assert source.market_time_zone(zone) == "UTC"
        assert source.read("exogenous_2", zone, *ALL)["value"].unique().tolist() == [6.0]
        assert str(source.availability("exogenous_1")) == "D-1 10:00"


def test_every_fault_of_a_layout_is_listed_at_once() -> None:
    mapping = {
        "name": "bad",
        "market_time_zone": "Europe/Berln",
        "tables": [
            {
                "file": "x.xlsx",
                "time": {"column": "t", "zone": "UTC", "stamp": "middle"},
                "serie": {},
                "series": {"prices": {"column": "p"}, "load": {"column": "l", "unit": "kg"}},
            }
        ],
        "availability": {"price": "noon"},
    }
    with pytest.raises(SettingError) as caught:
        Layout.from_mapping(mapping, "bad")
    text = str(caught.value)
    for part in (
        "description",
        "did you mean 'Europe/Berlin'",
        "must end in .parquet",
        "tables.0.time.stamp",
        "tables.0.serie: unknown key; did you mean 'series'",
        "availability: availability rule 'noon'",
    ):
        assert part in text


def test_wrong_series_and_units_of_a_layout_are_listed_with_the_nearest_name() -> None:
    with pytest.raises(SettingError, match=r"(?s)did you mean 'price'.*unit 'kg' cannot be read as MW"):
        layout({"column": "t", "zone": "UTC"}, {"prices": {"column": "p"}, "load": {"column": "l", "unit": "kg"}})


def test_naive_days_with_a_market_time_that_changes_its_clock_are_refused() -> None:
    with pytest.raises(SettingError, match="market_time_zone must be UTC"):
        layout({"column": "t", "zone": "naive_local"}, {"price": {"column": "p"}})


def test_wrong_folder_file_column_zone_and_layout_say_what_to_do(tmp_path: Path) -> None:
    own = layout({"column": "t", "zone": "UTC"}, {"price": {"column": "p"}}, zones=["Z"])
    with pytest.raises(SettingError, match=r"source\.root=.* is not a folder"):
        FileSource(tmp_path / "none", own)
    with pytest.raises(NoDataError, match="there is no file"):
        FileSource(tmp_path, own).read("price", "Z", *ALL)
    (tmp_path / "Z.csv").write_text("t,q\n2024-01-01T00:00Z,1\n")
    with pytest.raises(DataError, match="has no column 'p'; it has t, q"):
        FileSource(tmp_path, own).read("price", "Z", *ALL)
    with pytest.raises(UnknownNameError, match="did you mean 'Z'"):
        FileSource(tmp_path, own).read("price", "z", *ALL)
    with pytest.raises(UnknownNameError, match="did you mean 'entsoe_zones'"):
        load_layout(LAYOUTS / "entsoe_zone.yaml")


def test_empty_column_means_not_published_and_a_sum_leaves_it_out(tmp_path: Path) -> None:
    time = pd.date_range("2024-01-01T00:00Z", periods=4, freq="h")
    columns = {"t": time, "on": [1.0, 2.0, np.nan, 4.0], "off": [np.nan, 10.0, 10.0, np.nan], "sun": np.nan}
    pd.DataFrame(columns).to_csv(tmp_path / "A.csv", index=False)
    pd.DataFrame({**columns, "off": np.nan}).to_csv(tmp_path / "B.csv", index=False)
    names = {"wind_onshore_forecast": "on", "wind_offshore_forecast": "off", "solar_forecast": "sun"}
    own = layout({"column": "t", "zone": "UTC"}, {series: {"column": column} for series, column in names.items()})
    source = FileSource(tmp_path, own)
    # Before its first value offshore does not exist; after it a hole makes the sum unknown.
    np.testing.assert_array_equal(source.read("wind_forecast", "A", *ALL)["value"], [1.0, 12.0, np.nan, np.nan])
    np.testing.assert_array_equal(source.read("wind_forecast", "B", *ALL)["value"], [1.0, 2.0, np.nan, 4.0])
    assert "wind_offshore_forecast is not published for B" in source.read("wind_forecast", "B", *ALL).attrs["notes"]
    with pytest.raises(NoDataError, match="A publishes no solar_forecast"):
        source.read("solar_forecast", "A", *ALL)


def test_gaps_of_a_part_that_is_zero_throughout_do_not_spoil_the_sum(tmp_path: Path) -> None:
    time = pd.date_range("2024-01-01T00:00Z", periods=3, freq="h")
    pd.DataFrame({"t": time, "on": [1.0, 2.0, 3.0], "off": [0.0, np.nan, 0.0]}).to_csv(tmp_path / "A.csv", index=False)
    names = {"wind_onshore_forecast": {"column": "on"}, "wind_offshore_forecast": {"column": "off"}}
    source = FileSource(tmp_path, layout({"column": "t", "zone": "UTC"}, names))
    assert source.read("wind_forecast", "A", *ALL)["value"].tolist() == [1.0, 2.0, 3.0]


def test_every_shipped_layout_is_valid_and_named_like_its_file() -> None:
    found = sorted(LAYOUTS.glob("*.yaml"))
    assert len(found) >= 9
    for path in found:
        assert load_layout(path).name == path.stem
        assert yaml.safe_load(path.read_text())["description"]


@pytest.mark.data
def test_entsoe_zones_agree_with_energinet(public_data: PublicData) -> None:
    entsoe = public(public_data, "entsoe_2022_2024H1", "entsoe_zones")
    energinet = public(public_data, "dk_spot", "dk_spot")
    assert len(entsoe.zones()) == 38
    both = entsoe.read("price", "DK_1", *ALL)[["value"]].join(
        energinet.read("price", "DK_1", *ALL)["value"], rsuffix="_dk"
    )
    both = both.dropna()
    assert len(both) == 19703
    assert (both["value"] - both["value_dk"]).abs().max() < 1e-4


@pytest.mark.data
def test_entsoe_zones_without_wind_forecast_say_so(public_data: PublicData) -> None:
    source = public(public_data, "entsoe_2022_2024H1", "entsoe_zones")
    with pytest.raises(NoDataError, match="CZ publishes no wind_forecast"):
        source.read("wind_forecast", "CZ", *ALL)
    france = source.read("wind_forecast", "FR", *ALL)
    assert any("wind_offshore_forecast of FR begins 2023" in note for note in france.attrs["notes"])
    assert str(source.availability("wind_forecast")) == "D-1 18:00"


@pytest.mark.data
def test_quarter_hours_of_the_hourly_file_are_their_mean(public_data: PublicData) -> None:
    fine = public(public_data, "entsoe_2022_2024H1", "entsoe_15min").read("load_forecast", "AT", *ALL)["value"]
    coarse = public(public_data, "entsoe_2022_2024H1", "entsoe_zones").read("load_forecast", "AT", *ALL)["value"]
    both = pd.concat([fine.resample("1h").mean(), coarse], axis=1).dropna()
    assert len(both) > 21_000
    assert (both.iloc[:, 0] - both.iloc[:, 1]).abs().max() < 0.01


@pytest.mark.data
@pytest.mark.parametrize(
    ("zone", "low", "high", "unit"),
    [
        ("NP", 1.14, 199.97, "EUR/MWh"),
        ("PJM", -6.98, 839.30, "USD/MWh"),
        ("BE", -200.0, 2999.0, "EUR/MWh"),
        ("FR", -200.0, 1938.5, "EUR/MWh"),
        ("DE", -221.99, 210.0, "EUR/MWh"),
    ],
)
def test_epf_markets_have_their_published_ranges(
    public_data: PublicData, zone: str, low: float, high: float, unit: str
) -> None:
    source = public(public_data, "epf", "epf")
    price = source.read("price", zone, *ALL)
    assert len(price) == 52416
    assert (round(price["value"].min(), 2), round(price["value"].max(), 2)) == (low, high)
    assert price.attrs["unit"] == unit
    for series in ("exogenous_1", "exogenous_2"):
        assert np.isfinite(source.read(series, zone, *ALL)["value"]).all()


@pytest.mark.data
def test_wind_farm_files(public_data: PublicData) -> None:
    horns = public(public_data, "horns_rev", "horns_rev").read("wind_power", "HORNS_REV", *ALL)
    assert 150.0 < horns["value"].max() <= 160.0
    assert horns["value"].isna().sum() == 459
    gefcom14 = public(public_data, "gefcom2014_wind", "gefcom2014_wind")
    assert gefcom14.zones() == tuple("12345678")
    assert gefcom14.read("wind_power", "3", *ALL)["value"].isna().sum() == 744 + 88
    gefcom12 = public(public_data, "gefcom2012_wind", "gefcom2012_wind")
    assert len(gefcom12.read("wind_power", "7", *ALL)) == 18757
    weather = gefcom12.read("wind_u10_forecast", "7", *ALL)
    lead = (weather.index - pd.DatetimeIndex(weather["available_at"])) // pd.Timedelta(hours=1)
    assert (lead.min(), lead.max()) == (24, 47)
    germany = public(public_data, "de_2015_2020", "de_2015_2020")
    assert len(germany.read("renewables_forecast", "DE", *ALL)) == 52608


@pytest.mark.data
def test_simulated_sites_follow_the_real_forecast_and_are_marked(public_data: PublicData) -> None:
    files = public(public_data, "entsoe_2022_2024H1", "entsoe_zones")
    source = SimulatedSites(files, "DK_1", even_sites("DK_1", 3, 24.0), seed=1)
    assert isinstance(source, Source)
    assert source.sites("DK_1") == ("DK_1_W1", "DK_1_W2", "DK_1_W3")
    forecast = source.read("wind_forecast", "DK_1", *ALL)["value"]
    power = [source.read("wind_power", site, *ALL) for site in source.sites()]
    for frame in power:
        assert frame["value"].between(0.0, 24.0).all()
        assert 0.75 < frame["value"].corr(forecast) < 0.97
        assert frame.attrs["notes"] == ["simulated from the wind forecast of DK_1"]
        assert frame.attrs["source"] == "files (simulated)"
    assert 0.6 < power[0]["value"].corr(power[1]["value"]) < 0.97
    load = source.read("load", "DK_1", *ALL)
    assert (load["value"] / source.read("load_forecast", "DK_1", *ALL)["value"] - 1).std() == pytest.approx(
        0.025, rel=0.1
    )
    assert load["available_at"].iloc[0] == load.index[0] + pd.Timedelta(hours=2)


class Shortened:
    """A source whose series end at a moment, as they were on that night."""

    def __init__(self, source: FileSource, end: pd.Timestamp) -> None:
        self.source, self.end = source, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def read(self, series: str, zone: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        return self.source.read(series, zone, start, min(end, self.end))


@pytest.mark.data
def test_simulated_past_does_not_depend_on_the_future(public_data: PublicData) -> None:
    files = public(public_data, "entsoe_2022_2024H1", "entsoe_zones")
    cut = pd.Timestamp("2023-06-01T00:00Z")
    sites = even_sites("DK_1", 1, 24.0)
    whole = SimulatedSites(files, "DK_1", sites)
    early: Any = Shortened(files, cut)
    then = SimulatedSites(early, "DK_1", sites).read("wind_power", "DK_1_W1", *ALL)
    now = whole.read("wind_power", "DK_1_W1", ALL[0], cut)
    pd.testing.assert_frame_equal(then, now, check_freq=False)
