"""``python -m pipelines.report``: the static site of a store, with every night that has come true settled."""

from __future__ import annotations

from pathlib import Path

from forecasting.store import Store
from pipelines.app import Outcome, Run, command
from pipelines.errors import ConfigError
from pipelines.stages.ledger import FOLDER
from pipelines.stages.site import refresh_site
from pipelines.store_lock import store_lock


def run(run: Run) -> Outcome:
    """Settle the nights of the store and bring its site up to date."""
    root = store_root(Path(str(run.config["store"])))
    folder = Path(str(run.config["site"])) if run.config["site"] else root / "site"
    with store_lock(root), run.phases.phase("site", f"settling the nights of {root} and drawing their pages"):
        done = refresh_site(Store(root), folder, everything=bool(run.config["everything"]))
    record = {"index": str(done.index), "days": done.days, "settled": done.settled, "pages_drawn": done.drawn}
    headline = f"{done.days} days, {done.settled} nights newly settled, {done.drawn} pages drawn: {done.index}"
    return Outcome(record=record, headline=headline)


def store_root(named: Path) -> Path:
    """The store that ``named`` is, or the only one inside it. Raises ``ConfigError`` if there is none or several."""
    if (named / FOLDER).is_dir():
        return named
    inside = sorted(path.parent for path in named.glob(f"*/{FOLDER}") if path.is_dir())
    if len(inside) == 1:
        return inside[0]
    if inside:
        raise ConfigError(
            f"store={named} holds several stores; name one: {', '.join(f'store={path}' for path in inside)}"
        )
    raise ConfigError(f"store={named} holds no night; run pipelines.nightly first, or name another folder: store=PATH")


main = command("report", run)

if __name__ == "__main__":
    main()
