"""After a night: its record in the ledger, and the site. Neither can fail a night that is published already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from forecasting.store import Store
from pipelines.errors import StoppedError
from pipelines.stages.ledger import Ledger
from pipelines.stages.monitoring import words_of
from pipelines.stages.night import Night
from pipelines.stages.site import refresh_site

log = logging.getLogger("adno")


def keep_books(
    store: Store, night: Night, record: Callable[[], Mapping[str, Any]], run_folder: Path, site: Mapping[str, Any]
) -> list[str]:
    """Book a published night and refresh the site; returns what could not be done, in words.

    record: makes the night's record; site: ``refresh`` and ``folder`` of the configuration.
    """
    return [
        *_attempt("the record for the ledger", lambda: Ledger(store.root).book(night, record(), run_folder)),
        *_refreshed(store, site),
    ]


def book_failure(store: Store, night: Night, error: BaseException, site: Mapping[str, Any]) -> None:
    """Book a night that failed; a night that was stopped leaves the site to the next one."""
    _attempt("the record for the ledger", lambda: Ledger(store.root).book_failure(night, [words_of(error)]))
    if isinstance(error, Exception) and not isinstance(error, StoppedError):
        _refreshed(store, site)


def _refreshed(store: Store, site: Mapping[str, Any]) -> list[str]:
    if not site["refresh"]:
        return []
    folder = Path(str(site["folder"])) if site["folder"] else store.root / "site"
    return _attempt("the site", lambda: refresh_site(store, folder))


def _attempt(what: str, do: Callable[[], object]) -> list[str]:
    try:
        do()
    except Exception as error:  # whatever it is: the plan is out, and its record or page must not take it back
        log.warning("%s failed", what, exc_info=True)
        return [f"{what} could not be written: {words_of(error)}"]
    return []
