"""Forecasters by name. A model's file is imported when the model is asked for, not before.

A forecaster of your own joins by :func:`register`, or from an installed package by an entry point of the group
``adno.forecasters`` (``my_model = "my_package.my_model:MyForecaster"``).
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Any

from forecasting.errors import SettingError, UnknownNameError
from forecasting.models.base import QUANTILE_LEVELS, FitReport, Forecaster, Prediction, setting_names
from forecasting.names import unknown

_MODELS: dict[str, str] = {
    "conditional_transformer": "forecasting.models.conditional_transformer:ConditionalTransformer",
    "paper_transformer": "forecasting.models.paper_transformer:PaperTransformer",
    "feed_forward": "forecasting.models.feed_forward:FeedForwardForecaster",
    "power_curve": "forecasting.models.power_curve:PowerCurve",
    "lstm": "forecasting.models.lstm:LSTMForecaster",
    "cnn": "forecasting.models.cnn:CNNForecaster",
    "seq2seq": "forecasting.models.seq2seq:Seq2SeqForecaster",
    "lear": "forecasting.models.lear:Lear",
    "gradient_boosting": "forecasting.models.gradient_boosting:GradientBoosting",
    "ensemble": "forecasting.models.ensemble:EnsembleForecaster",
    "naive": "forecasting.models.naive:Naive",
    "naive_weekly": "forecasting.models.naive:NaiveWeekly",
}


def available() -> tuple[str, ...]:
    """Names that :func:`create` knows: the built-in ones, registered ones, and those of installed packages."""
    return tuple(_all_models())


def register(name: str, location: str) -> None:
    """Add a forecaster of your own: ``location`` is ``package.module:Class``, imported on first use."""
    _MODELS[name] = location


def create(name: str, **settings: Any) -> Forecaster:
    """A fresh forecaster.

    Raises ``UnknownNameError`` for a model or setting that does not exist, with the nearest right one, and
    ``SettingError`` for a value that cannot be used.

    >>> create("conditional_transformer", width=32, heads=2).name
    'conditional_transformer'
    """
    location = _MODELS.get(name) or _all_models().get(name)  # reading the entry points takes a while
    if location is None:
        raise UnknownNameError(unknown("model", name, _all_models()))
    module, _, class_name = location.partition(":")
    model_class = getattr(importlib.import_module(module), class_name)
    known = setting_names(model_class)
    for key in settings:
        if key not in known:
            raise UnknownNameError(unknown(f"setting of model {name}", key, known))
    try:
        model = model_class(**settings)
    except (TypeError, ValueError) as error:
        raise SettingError(f"model {name} cannot be built with these settings: {error}") from error
    assert isinstance(model, Forecaster)
    return model


def _all_models() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group="adno.forecasters")} | _MODELS


__all__ = ["QUANTILE_LEVELS", "FitReport", "Forecaster", "Prediction", "available", "create", "register"]
