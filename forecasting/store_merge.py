"""What happens when rows meet stored rows: the same again, a new value, a revision, a repair that is superseded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.quality import Origin
from forecasting.store_files import SCHEMA

_KEYS = ["delivery_utc", "available_at"]
_MENDED = (str(Origin.REPAIRED), str(Origin.FALLBACK))


@dataclass(frozen=True)
class Merged:
    """All rows after a write, sorted; which of them are new or replaced (mask ``[row]``); and the counts by kind."""

    rows: pd.DataFrame
    changed: NDArray[np.bool_]
    counts: dict[str, int]


def merge_versions(stored: pd.DataFrame, incoming: pd.DataFrame, where: str) -> Merged:
    """Merge ``incoming`` rows (unique by delivery and ``available_at``) into ``stored`` ones.

    - same key, same value: unchanged;
    - same key, other value: the published value replaces a repaired one, never the other way round; a repair may be
      replaced by a newer repair; two published values are a contradiction;
    - a later ``available_at`` adds a version, unless it repeats the newest published value before it (so versions are
      to be written in the order in which they became known).

    Raises ``DataError`` naming ``where`` and the dates of a contradiction.
    """
    both = incoming.reset_index(drop=True).merge(
        stored[[*_KEYS, "value", "origin"]], on=_KEYS, how="left", suffixes=("", "_stored")
    )
    known = both["value_stored"].notna().to_numpy()
    same = known & np.isclose(both["value"], both["value_stored"].fillna(np.inf), rtol=1e-12, atol=1e-9)
    mended = both["origin"].isin(_MENDED).to_numpy()
    mended_stored = both["origin_stored"].isin(_MENDED).to_numpy()
    conflict = known & ~same & ~mended & ~mended_stored
    if conflict.any():
        stamps = both.loc[conflict, "delivery_utc"]
        raise DataError(
            f"{where}: {int(conflict.sum())} values contradict stored ones known at the same time, from "
            f"{stamps.min():%Y-%m-%d %H:%M} to {stamps.max():%Y-%m-%d %H:%M} UTC; a revision needs a later available_at "
            "(another seed or another source needs another store)"
        )
    replaces = mended_stored & known & np.where(mended, ~same, True)
    fresh = ~known
    if fresh.any():
        fresh[fresh] = ~_repeats_newest(stored, both[fresh])
    revised = fresh & (both["delivery_utc"].isin(stored["delivery_utc"]) | both["delivery_utc"].duplicated()).to_numpy()
    counts = {
        "added": int((fresh & ~revised).sum()),
        "revised": int(revised.sum()),
        "replaced": int(replaces.sum()),
        "unchanged": int((~fresh & ~replaces).sum()),
    }
    if not (fresh.any() or replaces.any()):
        return Merged(stored, np.zeros(len(stored), dtype=bool), counts)
    old = stored.assign(_new=False)
    new = both.loc[fresh | replaces, list(SCHEMA.names)].assign(_new=True)
    rows = pd.concat([old, new], ignore_index=True) if len(old) else new
    rows = rows.drop_duplicates(_KEYS, keep="last").sort_values(_KEYS, kind="stable", ignore_index=True)
    return Merged(rows[list(SCHEMA.names)], rows["_new"].to_numpy(dtype=bool), counts)


def dated_as_seen(stored: pd.DataFrame, incoming: pd.DataFrame, seen_at: pd.Timestamp) -> pd.DataFrame:
    """``incoming`` rows with the instants at which they can have been known to this store.

    A value that differs from the newest stored version of its delivery is a revision: whatever the publication rule says of
    it, it is known here since ``seen_at``, so that reads as of an earlier moment give what they gave before. A value that
    equals the newest version is that version again. A repair of what has been published is left out.
    """
    newest = stored.drop_duplicates("delivery_utc", keep="last").set_index("delivery_utc")
    before = newest.reindex(incoming["delivery_utc"]).set_axis(incoming.index)
    known = before["value"].notna()
    same = known & np.isclose(incoming["value"], before["value"].fillna(np.inf), rtol=1e-12, atol=1e-9)
    late = same & (before["available_at"] > incoming["available_at"])
    dates = incoming["available_at"].mask(late, before["available_at"]).mask(known & ~same, seen_at)
    useless = known & incoming["origin"].isin(_MENDED) & ~before["origin"].isin(_MENDED)
    return incoming.assign(available_at=dates.astype(incoming["available_at"].dtype))[~useless]


def _repeats_newest(stored: pd.DataFrame, rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows whose value is that of the newest published version before them: storing them would change no read."""
    if stored.empty:
        return np.zeros(len(rows), dtype=bool)
    left = rows[[*_KEYS, "value"]].assign(_row=np.arange(len(rows))).sort_values("available_at")
    right = stored[[*_KEYS, "value", "origin"]].sort_values("available_at")
    near = pd.merge_asof(left, right, on="available_at", by="delivery_utc", suffixes=("", "_before")).sort_values(
        "_row"
    )
    equal = (near["value"] == near["value_before"]) & ~near["origin"].isin(_MENDED)
    return np.asarray(equal, dtype=np.bool_)
