"""Day-ahead forecasts of prices, wind and load, as distributions.

>>> import forecasting
>>> model = forecasting.create("conditional_transformer", width=32, heads=2)

``forecasting.load(path)`` reads a trained forecaster, ``forecasting.backtest(...)`` scores one on a rolling origin.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from forecasting.errors import (
    ArtefactError,
    DataError,
    ForecastingError,
    NoDataError,
    SettingError,
    SourceUnavailableError,
    UnknownNameError,
)
from forecasting.forecast import Forecast, InputOrigin, InputRecord
from forecasting.samples import DayAheadSamples

if TYPE_CHECKING:
    from forecasting.artefact import TrainedForecaster, load, load_source_encoder, save
    from forecasting.backtesting import backtest
    from forecasting.embedding import SourceEncoder
    from forecasting.models import FitReport, Forecaster, Prediction, available, create

_LAZY: dict[str, str] = {
    "load": "forecasting.artefact",
    "load_source_encoder": "forecasting.artefact",
    "SourceEncoder": "forecasting.embedding",
    "save": "forecasting.artefact",
    "TrainedForecaster": "forecasting.artefact",
    "available": "forecasting.models",
    "create": "forecasting.models",
    "Forecaster": "forecasting.models",
    "FitReport": "forecasting.models",
    "Prediction": "forecasting.models",
    "backtest": "forecasting.backtesting",
}

__all__ = [
    "ArtefactError",
    "DataError",
    "DayAheadSamples",
    "FitReport",
    "Forecast",
    "Forecaster",
    "ForecastingError",
    "InputOrigin",
    "InputRecord",
    "NoDataError",
    "Prediction",
    "SettingError",
    "SourceEncoder",
    "SourceUnavailableError",
    "TrainedForecaster",
    "UnknownNameError",
    "available",
    "backtest",
    "create",
    "load",
    "load_source_encoder",
    "save",
]


def __getattr__(name: str) -> Any:
    """Names that need PyTorch are imported on first use, so that reading a ``Forecast`` stays cheap."""
    if name not in _LAZY:
        raise AttributeError(f"module 'forecasting' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
