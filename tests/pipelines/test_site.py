"""The site of a store: nights booked, settled once they have come true, and shown on pages whose every link leads somewhere."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

import pipelines.stages.books as books
from forecasting.store import Store
from pipelines.errors import FolderError
from pipelines.report.page import render
from pipelines.report.site import day_page, index_page, zones_page
from pipelines.stages.ledger import Entry, Ledger
from pipelines.stages.ledger_settlement import on_steps, settle_ledger, settled_money
from pipelines.stages.site import refresh_site
from tests.pipelines.faults import down, nothing
from tests.pipelines.faulty import FaultySource, market, run_night
from tests.pipelines.running import run_shell
from tests.pipelines.test_report_browser import BROWSER, MEASURE, browse

NIGHTS = {"first": "2022-06-13T11:30+02:00", "evening": "2022-06-13T18:30+02:00", "last": "2022-06-16T11:30+02:00"}


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a settled day of two runs, a degraded night, one that failed, and one that has not come true."""
    folder = tmp_path_factory.mktemp("nights")
    for name in ("first", "evening"):
        assert run_night(folder, name=name, as_of=NIGHTS[name]).summary["status"] == "ok"
    assert run_night(folder, name="degraded", as_of="2022-06-14T11:30+02:00", source=FaultySource(down)).code == 0
    assert run_night(folder, "model.name=lier", name="failed", as_of="2022-06-15T11:30+02:00").code == 2
    assert run_night(folder, name="last", as_of=NIGHTS["last"]).summary["status"] == "ok"
    return folder


@pytest.fixture(scope="module")
def site(nights: Path) -> Path:
    store = Store(nights / "store" / "synthetic")
    return refresh_site(store, nights / "site").index.parent


def entry_of(folder: Path, day: str, mode: str = "morning") -> Entry:
    entries = Ledger(folder / "store" / "synthetic").entries()
    return next(entry for entry in entries if (entry.day, entry.mode) == (day, mode))


def came_true(series: str, place: str, record: dict[str, Any]) -> np.ndarray:
    steps = pd.DatetimeIndex(pd.to_datetime(record["steps"], utc=True))
    return market().read(series, place, steps[0], steps[-1] + pd.Timedelta(hours=1))["value"].to_numpy()


def test_a_plan_on_a_perfect_forecast_earns_what_was_planned(nights: Path) -> None:
    record = dict(entry_of(nights, "2022-06-14").record or {})
    truths = {label: np.array(one["mean"]) for label, one in record["forecasts"].items()}
    money = settled_money(record, truths)
    assert money["profit"] == pytest.approx(record["objective"], rel=1e-5)
    dearer = settled_money(record, {**truths, "price": truths["price"] + 1.0})
    bought = pd.read_csv(nights / "first" / "schedule.csv").query("quantity == 'import_mw'")["value"].sum()
    assert money["profit"] - dearer["profit"] == pytest.approx(bought, rel=0.02), "each MWh bought costs one euro more"


def test_a_night_is_settled_with_what_came(nights: Path, site: Path) -> None:
    entry = entry_of(nights, "2022-06-14")
    assert entry.record is not None
    assert entry.settled is not None
    record = dict(entry.record)
    for label, (series, place) in {
        "price": ("price", "COAST_1"),
        "wind COAST_1_W1": ("wind_power", "COAST_1_W1"),
    }.items():
        truth = came_true(series, place, record)
        error = np.abs(truth - np.array(record["forecasts"][label]["mean"])).mean()
        assert entry.settled["errors"][label] == pytest.approx(error, rel=1e-9)
    money = entry.settled["money"]
    assert money["profit"] == pytest.approx(money["income"] - money["cost"])
    assert money["efficiency"] == pytest.approx(money["income"] / money["cost"])
    index = (site / "index.html").read_text(encoding="utf-8")
    assert f"{entry.settled['errors']['price']:.2f}" in index


def test_what_has_not_come_true_is_shown_as_such(nights: Path, site: Path) -> None:
    assert entry_of(nights, "2022-06-17").settled is None
    index, page = ((site / name).read_text(encoding="utf-8") for name in ("index.html", "COAST_1/2022-06-17.html"))
    assert "not settled yet" in index
    assert "Not settled yet, waiting for price, wind COAST_1_W1, load" in page


def test_degraded_and_failed_days_are_named_with_their_reasons_in_words_and_colour(site: Path) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    said = "the data service did not answer, so the store serves: price of COAST_1"
    assert f'<td class=" warn">Degraded</td><td class="">{said}' in index
    assert "OK: the newest night, for 17 Jun 2022" in index
    assert re.search(r'<td class=" bad">Failed</td><td class="">[^<]*lier', index)
    page = (site / "COAST_1/2022-06-15.html").read_text(encoding="utf-8")
    assert 'class="status degraded"' in page
    assert "Degraded: morning plan published" in page
    failed = (site / "COAST_1/2022-06-16.html").read_text(encoding="utf-8")
    assert "Failed: nothing was published" in failed


def test_days_on_which_no_night_was_run_are_counted(tmp_path: Path) -> None:
    for name, day in (("first", "13"), ("last", "16")):
        run_night(tmp_path, name=name, as_of=f"2022-06-{day}T11:30+02:00")
    index = refresh_site(Store(tmp_path / "store" / "synthetic"), tmp_path / "site").index.read_text(encoding="utf-8")
    assert "2 delivery days from 14 Jun 2022 to 17 Jun 2022; 2 days between them without any night" in index


class Links(HTMLParser):
    """Every address that a page refers to, its ids, and its table and landmark tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        if tag == "a":
            self.addresses.append(values.get("href") or "")
        elif tag not in ("use", "svg"):
            self.loaded += [str(values[key]) for key in ("src", "href", "srcset", "action", "data") if values.get(key)]


def test_every_link_leads_to_a_file_of_the_site_and_nothing_is_asked_of_another_host(site: Path) -> None:
    followed, waiting = set(), [site / "index.html"]
    while waiting:
        page = waiting.pop()
        followed.add(page)
        text = page.read_text(encoding="utf-8")
        found = Links(text)
        assert set(found.loaded) <= {"data:,"}
        assert not re.search(r"url\((?!#|&quot;#)", text)
        assert "default-src 'none'" in text
        for address in found.addresses:
            place, _, anchor = address.partition("#")
            target = (page.parent / unquote(place)).resolve() if place else page
            assert target.is_file(), f"{page.name} links to {address}"
            assert site.resolve() in target.parents
            assert target.suffix != ".html" or anchor in {"", *Links(target.read_text(encoding="utf-8")).ids}
            if target.suffix == ".html" and target not in followed:
                waiting.append(target)
    pages = {str(path.relative_to(site)) for path in followed}
    days = {f"COAST_1/2022-06-{day}.html" for day in (14, 15, 16, 17)}
    reports = {f"COAST_1/2022-06-{run}/report.html" for run in ("14/morning", "14/evening", "15/morning", "17/morning")}
    assert pages == {"index.html", *days, *reports}
    assert (site / "COAST_1/2022-06-14/morning/plan.json").read_bytes()


def test_a_refresh_without_news_draws_nothing_and_everything_draws_all(nights: Path, site: Path) -> None:
    store = Store(nights / "store" / "synthetic")
    assert (refresh_site(store, site).drawn, refresh_site(store, site).settled) == (0, 0)
    copy = site.parent / "again"
    shutil.copytree(site, copy)
    (copy / "COAST_1/2022-06-14.html").unlink()
    (copy / "COAST_1/2022-06-14/morning/plan.json").write_text("spoiled")
    assert refresh_site(store, copy).drawn == 1
    for path in (p for p in site.rglob("*") if p.is_file()):
        assert (copy / path.relative_to(site)).read_bytes() == path.read_bytes()


def test_a_rerun_takes_the_place_of_its_own_record_and_a_failed_one_is_told_beside_it(
    nights: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(nights, folder)
    before = len(Ledger(folder / "store" / "synthetic").entries())
    settle_ledger(Ledger(folder / "store" / "synthetic"), Store(folder / "store" / "synthetic"))
    settled = entry_of(folder, "2022-06-14").settled
    assert run_night(folder, "model.name=lier", name="broken", as_of=NIGHTS["first"]).code == 2
    kept = entry_of(folder, "2022-06-14")
    assert (kept.status, kept.settled) == ("ok", settled)
    assert kept.reasons[0].startswith("a later run of this night failed: ")
    assert run_night(folder, "variant=no_subsidy", name="rerun", as_of=NIGHTS["first"]).code == 0
    changed = entry_of(folder, "2022-06-14")
    assert changed.reasons == []
    assert changed.settled is None, "the settlement was that of the plan before"
    assert len(Ledger(folder / "store" / "synthetic").entries()) == before
    assert settle_ledger(Ledger(folder / "store" / "synthetic"), Store(folder / "store" / "synthetic")) == 1
    again = entry_of(folder, "2022-06-14").settled
    assert again is not None
    assert settled is not None
    assert again["errors"] == settled["errors"]
    assert again["money"]["subsidy_cost"] == 0.0 != settled["money"]["subsidy_cost"]


def test_a_day_whose_series_are_revised_is_settled_again(nights: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    shutil.copytree(nights / "store" / "synthetic", root)
    ledger, store = Ledger(root), Store(root)
    settle_ledger(ledger, store)
    rows = store.read("price", "COAST_1", pd.Timestamp("2022-06-14T00:00Z"), pd.Timestamp("2022-06-14T06:00Z"))
    store.write(
        rows.assign(value=rows["value"] + 50.0),
        series="price",
        zone="COAST_1",
        seen_at=pd.Timestamp("2022-06-18T00:00Z"),
    )
    assert settle_ledger(ledger, store) == 2, "both runs of that day"
    assert settle_ledger(ledger, store) == 0


def test_a_site_or_ledger_that_fails_is_a_warning_and_never_fails_the_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise FolderError("cannot write the site: the disk is full")

    monkeypatch.setattr(books, "refresh_site", broken)
    monkeypatch.setattr(books.Ledger, "book", lambda *_: 1 / 0)
    night = run_night(tmp_path, "site.refresh=true")
    assert (night.code, night.published, night.summary["status"]) == (0, True, "ok")
    said = ["the record for the ledger could not be written: division by zero"]
    said.append("the site could not be written: cannot write the site: the disk is full")
    assert night.summary["warnings"] == said
    status = json.loads((night.folder / "status.json").read_text(encoding="utf-8"))
    assert status["warnings"] == said
    assert status == json.loads((tmp_path / "store/synthetic/monitoring/status.json").read_text(encoding="utf-8"))


def test_the_night_refreshes_the_site_and_the_command_finds_nothing_left_to_do(tmp_path: Path) -> None:
    night = run_night(tmp_path, "site.refresh=true", source=FaultySource(nothing))
    assert night.code == 0
    site = tmp_path / "store" / "synthetic" / "site"
    assert (site / "index.html").is_file()
    done = run_shell("report", tmp_path, f"store={tmp_path / 'store'}")
    assert done.returncode == 0, done.stderr
    assert f"1 days, 0 nights newly settled, 0 pages drawn: {site / 'index.html'}" in done.stdout
    empty = run_shell("report", tmp_path, f"store={tmp_path / 'nothing'}")
    assert empty.returncode == 2
    assert "holds no night; run pipelines.nightly first" in empty.stderr
    assert empty.stderr.count("\n") == 1


def values(hours: str, periods: int, freq: str) -> pd.Series:
    return pd.Series(np.arange(periods, dtype=float), pd.date_range(hours, periods=periods, freq=freq, tz="UTC"))


def test_what_came_is_put_on_the_steps_of_the_night() -> None:
    quarters = pd.date_range("2025-09-30T20:00Z", periods=16, freq="15min")
    hourly, finer = values("2025-09-30T20:00", 2, "h"), values("2025-09-30T22:00", 8, "15min") + 10
    both = pd.concat([hourly, finer])
    expected = [0.0] * 4 + [1.0] * 4 + [10.0 + k for k in range(8)]
    np.testing.assert_array_equal(on_steps(both, quarters, pd.Timedelta(minutes=15)), expected)
    hours = quarters[::4]
    np.testing.assert_array_equal(on_steps(both, hours, pd.Timedelta(hours=1)), [0.0, 1.0, 11.5, 15.5])
    torn = both.drop(pd.Timestamp("2025-09-30T22:15Z"))
    assert np.isnan(on_steps(torn, hours, pd.Timedelta(hours=1))[2])
    assert np.isnan(on_steps(torn, quarters, pd.Timedelta(minutes=15))[8:12]).all()
    absent = on_steps(hourly.iloc[1:], hours, pd.Timedelta(hours=1))
    np.testing.assert_array_equal(absent, [np.nan, 1.0, np.nan, np.nan])


def hostile(zone: str, reason: str) -> Entry:
    failed = {"as_of": "2022-06-13T09:30:00+00:00", "reasons": [reason]}
    return Entry(Path("nowhere"), zone, "2022-06-14", "morning", None, None, failed, "", "x")


def test_markup_in_names_and_reasons_is_shown_as_text() -> None:
    zone, reason = 'A"><script>alert(1)</script>', "<img src=x onerror=alert(2)>"
    entry = hostile(zone, reason)
    for page in (
        index_page(zone, [entry], "A/"),
        day_page(zone, entry.day, [entry], [(zone, "x.html")], {}),
        zones_page({zone: [entry]}, {zone: "A%22%3E"}),
    ):
        text = render(page)
        assert "<script" not in text
        assert "<img" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1280, 500])
def test_in_a_browser_the_pages_are_silent_and_fit(site: Path, tmp_path: Path, width: int) -> None:
    for name in ("index.html", "COAST_1/2022-06-14.html"):
        text = (site / name).read_text(encoding="utf-8")
        drawn = text.count("<figure")
        assert drawn >= 4
        unlocked = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", text)
        page = tmp_path / "page.html"
        page.write_text(unlocked.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
        ran = browse(page, tmp_path / "profile", f"--window-size={width},900", "--dump-dom")
        match = re.search(r'data-measured="([^"]*)"', ran.stdout)
        assert match is not None
        found = json.loads(match[1].replace("&quot;", '"'))
        assert len(found["figures"]) == drawn
        assert all(w > 300 and h > 100 for w, h in found["figures"])
        assert found["page"] <= found["window"] + 1, "no sideways scrolling of the page itself"
        silent = browse(site / name, tmp_path / "profile", f"--screenshot={tmp_path / 'shot.png'}")
        assert [line for line in silent.stderr.splitlines() if "CONSOLE" in line] == []
