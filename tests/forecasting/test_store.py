from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forecasting.store_files as store_files
from forecasting.errors import DataError, NoDataError, SettingError, UnknownNameError
from forecasting.store import Store

START = pd.Timestamp("2024-01-30T00:00Z")
END = pd.Timestamp("2024-03-01T00:00Z")
KNOWN = pd.Timestamp("2024-01-29T12:00Z")


def frame(
    values: list[float], known: pd.Timestamp = KNOWN, start: pd.Timestamp = START, **more: object
) -> pd.DataFrame:
    index = pd.date_range(start, periods=len(values), freq="12h", name="delivery_utc")
    data = pd.DataFrame({"value": values, "available_at": known, **more}, index=index)
    data.attrs.update(series="price", zone="DK_1", source="test")
    return data


def rows_on_disk(store: Store) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(store.root.rglob("*")) if path.is_file()}


def test_what_is_written_is_read_with_source_origin_and_unit(tmp_path: Path) -> None:
    store = Store(tmp_path)
    report = store.write(frame([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    assert (report.added, report.unchanged) == (6, 0)
    read = store.read("price", "DK_1", START, END)
    assert read["value"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert set(read["source"]) == {"test"}
    assert set(read["origin"]) == {"measured"}
    assert read.attrs["unit"] == "EUR/MWh"
    assert str(read.index.tz) == "UTC"
    assert len(store.read("price", "DK_1", START, START + pd.Timedelta(hours=12))) == 1


def test_partitions_are_by_series_zone_and_month(tmp_path: Path) -> None:
    Store(tmp_path).write(frame([1.0] * 6))
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet"))
    months = [f"series=price/zone=DK_1/month=2024-0{month}/rows.parquet" for month in (1, 2)]
    assert found == months


def test_writing_the_same_rows_again_changes_no_byte(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(frame([1.0, 2.0, 3.0]))
    before = rows_on_disk(store)
    report = store.write(frame([1.0, 2.0, 3.0]))
    assert (report.added, report.revised, report.unchanged) == (0, 0, 3)
    assert rows_on_disk(store) == before


def test_revision_is_a_new_version_and_reads_are_point_in_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(frame([1.0, 2.0]))
    later = KNOWN + pd.Timedelta(hours=6)
    report = store.write(frame([1.5, 2.0], known=later))
    # The second value repeats what was known: it would change no read.
    assert (report.added, report.revised, report.unchanged) == (0, 1, 1)
    assert store.read("price", "DK_1", START, END, as_of=later)["value"].tolist() == [1.5, 2.0]
    just_before = later - pd.Timedelta(seconds=1)
    assert store.read("price", "DK_1", START, END, as_of=just_before)["value"].tolist() == [1.0, 2.0]
    assert store.read("price", "DK_1", START, END, as_of=KNOWN - pd.Timedelta(seconds=1)).empty
    assert len(store.versions("price", "DK_1", START, END)) == 3


def test_value_that_returns_after_a_revision_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for hours, value in ((0, 1.0), (1, 2.0), (2, 1.0)):
        store.write(frame([value], known=KNOWN + pd.Timedelta(hours=hours)))
    assert store.read("price", "DK_1", START, END)["value"].tolist() == [1.0]
    assert len(store.versions("price", "DK_1", START, END)) == 3


def test_contradiction_is_refused_with_dates_and_nothing_is_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(frame([1.0, 2.0]))
    before = rows_on_disk(store)
    values = [1.0, 9.0, 3.0, 4.0, 5.0, 6.0]
    with pytest.raises(DataError, match=r"1 values contradict .* from 2024-01-30 12:00 to 2024-01-30 12:00"):
        store.write(frame(values))
    assert rows_on_disk(store) == before


def test_a_value_revised_in_the_past_is_known_since_it_was_seen(tmp_path: Path) -> None:
    """A source that dates by rule gives a revised value the same ``available_at`` as the first one."""
    store = Store(tmp_path)
    store.write(frame([1.0, 2.0, 3.0]))
    seen = KNOWN + pd.Timedelta(days=3)
    report = store.write(frame([1.0, 2.5, 3.0]), seen_at=seen)
    assert (report.added, report.revised, report.unchanged) == (0, 1, 2)
    before = store.read("price", "DK_1", START, END, as_of=seen - pd.Timedelta(1, "ns"))
    assert before["value"].tolist() == [1.0, 2.0, 3.0], "history is not rewritten"
    assert store.read("price", "DK_1", START, END, as_of=seen)["value"].tolist() == [1.0, 2.5, 3.0]
    bytes_then = rows_on_disk(store)
    assert store.write(frame([1.0, 2.5, 3.0]), seen_at=seen + pd.Timedelta(days=1)).unchanged == 3
    assert rows_on_disk(store) == bytes_then, "the revised value read again is the one that is known"
    back = store.write(frame([1.0, 2.0, 3.0]), seen_at=seen + pd.Timedelta(days=2))
    assert back.revised == 1
    assert store.read("price", "DK_1", START, END)["value"].tolist() == [1.0, 2.0, 3.0]
    assert len(store.versions("price", "DK_1", START, END)) == 5


def test_a_value_that_arrives_after_its_repair_leaves_the_repair_to_earlier_reads(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(frame([1.0, 2.0], origin=["measured", "repaired"]))
    seen = KNOWN + pd.Timedelta(days=1)
    assert store.write(frame([1.0, 5.0]), seen_at=seen).revised == 1
    assert store.read("price", "DK_1", START, END, as_of=KNOWN)["value"].tolist() == [1.0, 2.0]
    assert store.read("price", "DK_1", START, END, as_of=seen)["origin"].tolist() == ["measured", "measured"]
    again = store.write(frame([1.0, 7.0], origin=["measured", "repaired"]), seen_at=seen + pd.Timedelta(days=1))
    assert (again.revised, again.replaced) == (0, 0), "a repair never takes the place of what was published"
    assert store.read("price", "DK_1", START, END)["value"].tolist() == [1.0, 5.0]


def test_a_clock_that_went_back_neither_loses_nor_hides_the_newest_version(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(frame([1.0]))
    store.write(frame([2.0]), seen_at=KNOWN + pd.Timedelta(days=9))
    store.write(frame([3.0]), seen_at=KNOWN + pd.Timedelta(days=4))
    assert store.read("price", "DK_1", START, END, as_of=KNOWN + pd.Timedelta(days=4))["value"].tolist() == [3.0]
    assert store.read("price", "DK_1", START, END)["value"].tolist() == [2.0]
    assert store.read("price", "DK_1", START, END, as_of=KNOWN)["value"].tolist() == [1.0]


def test_published_value_replaces_a_repair_but_not_the_other_way_round(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(frame([1.0, 2.0], origin=["measured", "repaired"]))
    assert store.write(frame([1.0, 5.0])).replaced == 1
    read = store.read("price", "DK_1", START, END)
    assert read["value"].tolist() == [1.0, 5.0]
    assert read["origin"].tolist() == ["measured", "measured"]
    again = store.write(frame([1.0, 7.0], origin=["measured", "fallback"]))
    assert (again.replaced, again.unchanged) == (0, 2)
    assert store.read("price", "DK_1", START, END)["value"].tolist() == [1.0, 5.0]


def test_missing_values_are_counted_and_not_stored(tmp_path: Path) -> None:
    store = Store(tmp_path)
    report = store.write(frame([1.0, np.nan, 3.0]))
    assert (report.added, report.missing) == (2, 1)
    assert store.read("price", "DK_1", START, END)["value"].tolist() == [1.0, 3.0]


def test_unsorted_and_repeated_rows_are_reported(tmp_path: Path) -> None:
    data = frame([1.0, 2.0, 3.0])
    report = Store(tmp_path).write(
        pd.concat([data.iloc[::-1], data.iloc[[0]]]), series="price", zone="DK_1", source="t"
    )
    assert [finding.check for finding in report.findings] == ["unsorted", "duplicate"]
    assert report.added == 3


def test_damaged_partition_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(frame([1.0]))
    path = next(tmp_path.rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"month=2024-01/rows\.parquet is damaged .* delete this file and run again"):
        store.read("price", "DK_1", START, END)
    with pytest.raises(DataError, match="damaged"):
        store.write(frame([2.0]))


def test_crash_before_the_move_leaves_the_old_partition_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.write(frame([1.0]))
    before = rows_on_disk(store)

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store_files.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.write(frame([1.5], known=KNOWN + pd.Timedelta(hours=1)))
    assert rows_on_disk(store) == before


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(SettingError, match=r"cannot write the store at .*store\.root"):
        Store(blocked / "store").write(frame([1.0]))


def test_sql_sees_every_partition_in_utc(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(frame([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    other = frame([10.0])
    store.write(other, series="price", zone="Ø/1 'x'")
    answer = store.query(
        "SELECT zone, sum(value) AS total, min(delivery_utc) AS first FROM observations GROUP BY zone ORDER BY 2"
    )
    assert answer["total"].tolist() == [10.0, 21.0]
    assert answer["zone"].tolist() == ["Ø/1 'x'", "DK_1"]
    assert pd.Timestamp(answer["first"].iloc[0]).tz_localize(None) == START.tz_localize(None)
    assert store.zones("price") == ("DK_1", "Ø/1 'x'")
    with pytest.raises(SettingError, match="query failed"):
        store.query("SELECT nothing FROM observations")


def test_empty_store_and_unknown_names_say_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    with pytest.raises(NoDataError, match="empty"):
        store.query("SELECT 1")
    assert store.read("price", "DK_1", START, END).empty
    with pytest.raises(UnknownNameError, match="did you mean 'price'"):
        store.read("prise", "DK_1", START, END)


def test_moment_without_time_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="as_of=2024-01-01 00:00:00 has no time zone"):
        Store(tmp_path).read("price", "DK_1", START, END, as_of=pd.Timestamp("2024-01-01"))


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 4), st.sampled_from([1.0, 2.0, 3.0])),
        min_size=1,
        max_size=25,
        unique_by=lambda row: row[:2],
    ),
    st.integers(1, 25),
    st.integers(-1, 5),
)
@settings(max_examples=40, deadline=None)
def test_any_split_of_the_writes_gives_the_same_point_in_time_reads(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, float]], split: int, moment: int
) -> None:
    table = pd.DataFrame(rows, columns=["step", "version", "value"]).sort_values(["version", "step"])
    index = pd.DatetimeIndex(START + pd.to_timedelta(table["step"], unit="h"), name="delivery_utc")
    known = KNOWN + pd.to_timedelta(table["version"].to_numpy(), unit="h")
    data = pd.DataFrame({"value": table["value"].to_numpy(), "available_at": known}, index=index)
    as_of = KNOWN + pd.Timedelta(hours=moment)
    due = data[data["available_at"] <= as_of]
    expected = due.groupby(level=0)["value"].last()
    store = Store(tmp_path_factory.mktemp("split"))
    for part in (data.iloc[:split], data.iloc[split:], data):
        if len(part):
            store.write(part, series="price", zone="Z", source="t")
    read = store.read("price", "Z", START, END, as_of=as_of)["value"]
    assert read.tolist() == expected.tolist()
