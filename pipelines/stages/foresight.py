"""Forecasters on the same days: who captures how much of what perfect foresight is worth."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dispatch.settlement.efficiency import bootstrap_ratio, mean_estimate, paired_difference


def foresight_table(rows: pd.DataFrame, folder: Path, name_columns: list[str], baseline: str) -> pd.DataFrame | None:
    """A row per job and one for perfect foresight, settled on the days that all jobs share; ``None`` if they share none.

    ``share_of_foresight`` is what a job earns above the baseline, over what perfect foresight earns above it; the
    difference is paired by day, and the share's interval is that of a bootstrap over the days. Jobs of other variants than
    the baseline's are measured against the baseline of their own variant.
    """
    settled = {}
    for _, row in rows[rows["status"] != "failed"].iterrows():
        path = folder / str(row["job"]) / "realisations.parquet"
        if path.exists():
            frame = pd.read_parquet(path)
            if "day" in frame.columns and "best_profit" in frame.columns:
                settled[tuple(str(row[name]) for name in name_columns)] = frame.set_index("day")
    if not settled:
        return None
    days = sorted(set.intersection(*(set(frame.index) for frame in settled.values())))
    if not days:
        return None
    records = []
    for key, frame in settled.items():
        own = frame.loc[days]
        base = settled.get((baseline, *key[1:]))
        record: dict[str, object] = dict(zip(name_columns, key, strict=True))
        record |= _scores(own, "profit", "income", "cost")
        if base is not None:
            against = base.loc[days]
            worth = (against["best_profit"] - against["profit"]).to_numpy()
            gain, p_value = paired_difference(own["profit"].to_numpy(), against["profit"].to_numpy())
            record |= {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high, "p_value": p_value}
            if worth.mean() > 0:
                share = bootstrap_ratio(own["profit"].to_numpy() - against["profit"].to_numpy(), worth)
                record |= {"share_of_foresight": share.value, "share_low": share.low, "share_high": share.high}
        records.append(record)
        if key[0] == baseline:
            best: dict[str, object] = dict(zip(name_columns, ("perfect foresight", *key[1:]), strict=True))
            best |= _scores(own, "best_profit", "best_income", "best_cost")
            worth_days = mean_estimate((own["best_profit"] - own["profit"]).to_numpy())
            best |= {"gain": worth_days.value, "gain_low": worth_days.low, "gain_high": worth_days.high}
            records.append({**best, "share_of_foresight": 1.0})
    return pd.DataFrame(records).assign(days=len(days))


def _scores(frame: pd.DataFrame, profit: str, income: str, cost: str) -> dict[str, object]:
    return {"efficiency": frame[income].sum() / frame[cost].sum(), "profit_mean": frame[profit].mean()}
