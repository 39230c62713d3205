"""Write the static site of a store: what has changed since the last time, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from forecasting.store import Store
from pipelines import __version__
from pipelines.errors import FolderError
from pipelines.report.page import Page, write_page
from pipelines.report.site import by_day, day_page, index_page, zones_page
from pipelines.run_folder import write_atomically
from pipelines.stages.ledger import Entry, Ledger
from pipelines.stages.ledger_settlement import missing_series, settle_ledger

#: Fingerprints of what each page was made from, so that only pages with news are drawn again.
MADE_FROM = "made-from.json"


@dataclass(frozen=True)
class SiteReport:
    """What one refresh did: nights that were settled, days in all, pages drawn, and the first page."""

    index: Path
    days: int
    settled: int
    drawn: int


def refresh_site(store: Store, folder: Path, *, everything: bool = False) -> SiteReport:
    """Settle what has come true, and bring the site in ``folder`` up to the ledger of ``store``.

    ``everything`` settles and draws every night again.

    Raises ``DataError`` for a damaged store, ``FolderError`` if a file cannot be written or the store has no night.
    """
    ledger = Ledger(store.root)
    settled = settle_ledger(ledger, store, everything=everything)
    zones: dict[str, list[Entry]] = {}
    for entry in ledger.entries():
        zones.setdefault(entry.zone, []).append(entry)
    if not zones:
        raise FolderError(f"the store {store.root} has no night yet; run pipelines.nightly on it first")
    drawing = _Drawing(folder, {} if everything else _made_from(folder))
    for zone, entries in zones.items():
        _draw_zone(drawing, store, zone, entries, alone=len(zones) == 1)
    if len(zones) > 1:
        folders = {zone: quote(_folder_of(zone)) for zone in zones}
        drawing.page("index.html", [e.digest for es in zones.values() for e in es], lambda: zones_page(zones, folders))
    drawing.close()
    days = sum(len(by_day(entries)) for entries in zones.values())
    return SiteReport(folder / "index.html", days, settled, drawing.drawn)


def _folder_of(zone: str) -> str:
    return quote(zone, safe="")


def _draw_zone(drawing: _Drawing, store: Store, zone: str, entries: Sequence[Entry], *, alone: bool) -> None:
    home = _folder_of(zone)
    days = by_day(entries)
    names = sorted(days)
    for position, day in enumerate(names):
        runs = days[day]
        before, after = (
            names[position - 1] if position else "",
            names[position + 1] if position + 1 < len(names) else "",
        )
        trail = [("All nights", "../index.html" if alone else "index.html")]
        trail += [(f"Day before, {before}", f"{before}.html")] if before else []
        trail += [(f"Day after, {after}", f"{after}.html")] if after else []
        for entry in runs:
            for name in entry.files:
                drawing.file(f"{home}/{day}/{entry.mode}/{name}", entry.folder / name)
        waiting = {entry.mode: missing_series(store, entry) for entry in runs if entry.settled is None}
        made_from = [*(entry.digest for entry in runs), str(trail), str(waiting)]
        drawing.page(f"{home}/{day}.html", made_from, _later(day_page, zone, day, runs, trail, waiting))
    digests = [entry.digest for entry in entries]
    if alone:
        drawing.page("index.html", digests, _later(index_page, zone, entries, f"{quote(home)}/"))
    else:
        drawing.page(f"{home}/index.html", digests, _later(index_page, zone, entries, "", [("Zones", "../index.html")]))


def _later(make: Callable[..., Page], *arguments: object) -> Callable[[], Page]:
    return lambda: make(*arguments)


@dataclass
class _Drawing:
    """A site being written: draws a page only if what it is made from differs from ``known``."""

    folder: Path
    known: Mapping[str, str]
    made: dict[str, str] = field(default_factory=dict)
    drawn: int = 0

    def page(self, place: str, made_from: Sequence[str], make: Callable[[], Page]) -> None:
        digest = hashlib.sha256("\n".join([__version__, *made_from]).encode()).hexdigest()[:24]
        path = self.folder / place
        if self.known.get(place) != digest or not path.exists():
            write_page(path, make())
            self.drawn += 1
        self.made[place] = digest

    def file(self, place: str, source: Path) -> None:
        """The same file in the site: a second name for it where the disk allows, else a copy."""
        path = self.folder / place
        if path.exists() and (path.samefile(source) or path.read_bytes() == source.read_bytes()):
            return
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            os.link(source, path)
            return
        write_atomically(path, lambda part: shutil.copyfile(source, part))

    def close(self) -> None:
        """Remember what the pages were made from."""
        write_atomically(self.folder / MADE_FROM, lambda part: part.write_text(json.dumps(self.made), encoding="utf-8"))


def _made_from(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / MADE_FROM).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}  # never written, or damaged: every page is drawn again
