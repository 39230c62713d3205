"""The open benchmark for day-ahead electricity prices of Lago et al., Applied Energy 293 (2021) 116983.

Five markets, six years of hours, two day-ahead forecasts each, and the published forecasts of the DNN and LEAR
ensembles for the last 728 days, which are the test set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.errors import DataError, NoDataError, UnknownNameError
from forecasting.samples import DayAheadSamples

TEST_DAYS = 728
HOURS = 24


@dataclass(frozen=True)
class EpfMarket:
    """One market: the unit of its price, the columns of its two published forecasts (MW), and which one is its load."""

    unit: str
    exogenous: tuple[str, str]
    load: str


EPF_MARKETS: Mapping[str, EpfMarket] = {
    "NP": EpfMarket("EUR/MWh", ("load_forecast", "wind_forecast"), "load_forecast"),
    "PJM": EpfMarket("USD/MWh", ("system_load_forecast", "comed_load_forecast"), "system_load_forecast"),
    "BE": EpfMarket("EUR/MWh", ("fr_generation_forecast", "fr_load_forecast"), "fr_load_forecast"),
    "FR": EpfMarket("EUR/MWh", ("generation_forecast", "load_forecast"), "load_forecast"),
    "DE": EpfMarket("EUR/MWh", ("amprion_load_forecast", "pv_wind_forecast"), "amprion_load_forecast"),
}


@dataclass(frozen=True, eq=False)
class PeerForecasts:
    """Published forecasts: ``day`` ``[N]``, ``y`` ``[N, 24]`` and one ``[N, 24]`` array per model."""

    day: NDArray[np.datetime64]
    y: NDArray[np.float64]
    forecasts: Mapping[str, NDArray[np.float64]]


def epf_market(name: str) -> EpfMarket:
    """The market called ``name``. Raises ``UnknownNameError`` naming the nearest one."""
    if name not in EPF_MARKETS:
        nearest = get_close_matches(name.upper(), EPF_MARKETS, n=1, cutoff=0.0)[0]
        raise UnknownNameError(f"no EPF market {name!r}; did you mean {nearest}? Known: {', '.join(EPF_MARKETS)}")
    return EPF_MARKETS[name]


def load_epf(root: Path, market: str, history_days: int = 14) -> DayAheadSamples:
    """Day-ahead samples of one market, with the inputs that the published peers had.

    ``root`` holds ``<market>.parquet``: index of local hours without zone (24 rows every day; the missing spring hour
    and the doubled autumn hour were repaired by the data's authors), the price and the two forecasts. History channels
    are the price and both forecasts; future channels are both forecasts. Since the clock has no zone, ``issued_at`` is
    nominal: 11:00 of the day before, read as UTC.

    Raises ``NoDataError`` if the file is absent, ``DataError`` if hours or values are missing.
    """
    spec = epf_market(market)
    frame = _read(root / f"{market}.parquet")
    columns = ("price", *spec.exogenous)
    absent = [column for column in columns if column not in frame]
    if absent:
        raise DataError(f"{market}.parquet has no column {', '.join(absent)}")
    day, cube = _whole_days(frame, columns, f"{market}.parquet")  # [D], [D, 24, C]
    if len(day) <= history_days:
        raise DataError(f"{market}.parquet has {len(day)} days; history of {history_days} days leaves none to forecast")
    windows = np.lib.stride_tricks.sliding_window_view(cube, history_days, axis=0)  # [D - H + 1, 24, C, H]
    history = np.ascontiguousarray(np.moveaxis(windows[:-1], -1, 1), dtype=np.float32)
    delivery = day[history_days:]
    return DayAheadSamples(
        target="price",
        unit=spec.unit,
        step_minutes=60,
        zone=np.full(len(delivery), market),
        day=delivery,
        issued_at=(delivery - np.timedelta64(13, "h")).astype("datetime64[ns]"),
        history=history,
        history_channels=columns,
        future=np.ascontiguousarray(cube[history_days:, :, 1:], dtype=np.float32),
        future_channels=spec.exogenous,
        y=np.ascontiguousarray(cube[history_days:, :, 0], dtype=np.float32),
    )


def pooled_epf(root: Path, history_days: int = 14) -> DayAheadSamples:
    """Samples of every market whose file lies in ``root``, under common channel names, for training across markets.

    ``load`` is the load forecast of each market, ``other`` its second forecast. The test days of one market are training
    days of another by their place in the files, so whoever trains on the pool must cut it by calendar at the test of
    the market to be forecast, as :func:`forecasting.backtesting.known_before` does.
    """
    parts = []
    for name, spec in EPF_MARKETS.items():
        if not (root / f"{name}.parquet").is_file():
            continue
        samples = load_epf(root, name, history_days)
        load = spec.exogenous.index(spec.load)
        order = [load, 1 - load]
        parts.append(
            replace(
                samples,
                unit="per MWh",
                history=np.ascontiguousarray(samples.history[..., [0, *(1 + k for k in order)]]),
                history_channels=("price", "load", "other"),
                future=np.ascontiguousarray(samples.future[..., order]),
                future_channels=("load", "other"),
            )
        )
    return DayAheadSamples.concat(parts)


def epf_test_start(samples: DayAheadSamples) -> np.datetime64:
    """First day of the standard test set, the last 728 days. Raises ``DataError`` if the data is not longer than that."""
    if len(samples) <= TEST_DAYS:
        raise DataError(f"{len(samples)} days leave nothing to train on before the standard {TEST_DAYS} test days")
    return np.datetime64(np.sort(samples.day)[-TEST_DAYS])


def load_peers(root: Path, market: str) -> PeerForecasts:
    """Published forecasts of one market: ``dnn_1..4``, ``dnn_ensemble``, ``lear_<window>``, ``lear_ensemble``.

    ``dnn_lear_mean`` is added: the plain mean of the two ensembles. Raises ``NoDataError`` if the file is absent.
    """
    epf_market(market)
    frame = _read(root / f"peer_forecasts_{market}.parquet")
    names = [name for name in frame.columns if name != "real_price"]
    day, cube = _whole_days(frame, ("real_price", *names), f"peer_forecasts_{market}.parquet")
    forecasts = {name: cube[:, :, 1 + k] for k, name in enumerate(names)}
    if {"dnn_ensemble", "lear_ensemble"} <= forecasts.keys():
        forecasts["dnn_lear_mean"] = (forecasts["dnn_ensemble"] + forecasts["lear_ensemble"]) / 2.0
    return PeerForecasts(day=day, y=cube[:, :, 0], forecasts=forecasts)


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise NoDataError(f"{path} does not exist; set the folder of the EPF files (benchmark.root)")
    return pd.read_parquet(path)


def _whole_days(
    frame: pd.DataFrame, columns: tuple[str, ...], where: str
) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Days ``[D]`` and values ``[D, 24, C]`` of a frame that must hold every hour from its first day to its last."""
    first = frame.index[0].normalize()
    expected = pd.date_range(first, periods=len(frame), freq="h")
    if len(frame) % HOURS or not frame.index.equals(expected):
        wrong = [str(got) for got, want in zip(frame.index, expected, strict=True) if got != want]
        raise DataError(f"{where}: a day has not its 24 hours; first hour out of place: {(wrong or ['the end'])[0]}")
    values = frame.loc[:, list(columns)].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        gaps = frame.index[~np.isfinite(values).all(axis=1)]
        raise DataError(f"{where}: {len(gaps)} hours have missing values, the first at {gaps[0]}")
    day = expected[::HOURS].to_numpy().astype("datetime64[D]")
    return day, values.reshape(len(day), HOURS, len(columns))
