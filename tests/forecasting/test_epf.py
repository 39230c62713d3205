"""The EPF benchmark: what a sample may know, and the published forecasts scored to the published digits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.benchmarks.epf import EPF_MARKETS, epf_test_start, load_epf, load_peers, pooled_epf
from forecasting.errors import DataError, NoDataError, UnknownNameError
from forecasting.metrics import mean_absolute_error

#: MAE of the DNN and LEAR ensembles, Lago et al. 2021 (test sets of two years, recalibrated daily).
PUBLISHED_MAE = {
    "NP": (1.683, 1.738),
    "PJM": (2.862, 3.013),
    "BE": (5.870, 6.140),
    "FR": (3.866, 3.980),
    "DE": (3.413, 3.609),
}


def _write_market(root: Path, days: int, drop: int | None = None) -> None:
    index = pd.date_range("2020-01-01", periods=24 * days, freq="h", name="time_local_naive")
    values = np.arange(24.0 * days)
    frame = pd.DataFrame({"price": values, "load_forecast": values + 0.5, "wind_forecast": -values}, index=index)
    (frame if drop is None else frame.drop(index[drop])).to_parquet(root / "NP.parquet")


def test_sample_holds_the_days_before_and_the_forecasts_of_the_day(tmp_path: Path) -> None:
    _write_market(tmp_path, days=10)
    samples = load_epf(tmp_path, "NP", history_days=7)
    assert len(samples) == 3
    assert samples.day[0] == np.datetime64("2020-01-08")
    assert samples.issued_at[0] == np.datetime64("2020-01-07T11:00")
    assert samples.history[0, 6, :, 0] == pytest.approx(np.arange(6 * 24, 7 * 24))
    assert samples.history[0, 0, 5] == pytest.approx([5.0, 5.5, -5.0])
    assert samples.future[0, :, 1] == pytest.approx(-np.arange(7 * 24, 8 * 24))
    assert samples.y[0] == pytest.approx(np.arange(7 * 24, 8 * 24))


def test_missing_hour_is_refused_with_its_place(tmp_path: Path) -> None:
    _write_market(tmp_path, days=10, drop=30)
    with pytest.raises(DataError, match="2020-01-02 07:00"):
        load_epf(tmp_path, "NP", history_days=7)


def test_unknown_market_and_absent_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean NP"):
        load_epf(tmp_path, "NPP")
    with pytest.raises(NoDataError, match=r"BE\.parquet"):
        load_epf(tmp_path, "BE")


@pytest.mark.data
@pytest.mark.parametrize("market", list(EPF_MARKETS))
def test_published_ensembles_score_their_published_mae(market: str, public_data: Callable[[str], Path]) -> None:
    root = public_data("epf")
    samples, peers = load_epf(root, market), load_peers(root, market)
    test = samples.between(epf_test_start(samples), samples.day.max())
    assert len(test) == 728
    assert (test.day == peers.day).all()
    scores = [mean_absolute_error(test.y, peers.forecasts[f"{name}_ensemble"]) for name in ("dnn", "lear")]
    assert [round(score, 3) for score in scores] == list(PUBLISHED_MAE[market])


@pytest.mark.data
def test_mean_of_the_two_ensembles_scores_as_known(public_data: Callable[[str], Path]) -> None:
    peers = load_peers(public_data("epf"), "NP")
    assert round(mean_absolute_error(peers.y, peers.forecasts["dnn_lear_mean"]), 3) == 1.631


def test_pool_puts_the_load_of_every_market_in_one_channel(tmp_path: Path) -> None:
    index = pd.date_range("2020-01-01", periods=24 * 10, freq="h", name="time_local_naive")
    hours = np.arange(240.0)
    np_columns = {"price": hours, "load_forecast": hours + 1000, "wind_forecast": hours + 5000}
    fr_columns = {"price": hours, "generation_forecast": hours + 6000, "load_forecast": hours + 2000}
    pd.DataFrame(np_columns, index).to_parquet(tmp_path / "NP.parquet")
    pd.DataFrame(fr_columns, index).to_parquet(tmp_path / "FR.parquet")
    pool = pooled_epf(tmp_path, history_days=7)
    assert pool.zone.tolist() == ["NP"] * 3 + ["FR"] * 3
    assert pool.history_channels == ("price", "load", "other") and pool.future_channels == ("load", "other")
    first = pool.day == pool.day[0]
    noon = 7 * 24 + 12.0
    assert pool.future[first, 12].tolist() == [[noon + 1000, noon + 5000], [noon + 2000, noon + 6000]]
    assert pool.history[first, -1, 12].tolist() == [
        [noon - 24, noon + 976, noon + 4976],
        [noon - 24, noon + 1976, noon + 5976],
    ]
