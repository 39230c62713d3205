"""Writes the frozen artefacts beside this file: ``python -m tests.forecasting.data.freeze``.

A frozen artefact stands for one that a user trained long ago and goes on using: it is written once and kept. Write it anew
only with a new ``FORMAT_VERSION``, and keep the old one as the file that must be refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from forecasting.artefact import FORMAT_VERSION, save
from forecasting.models import create
from forecasting.samples import DayAheadSamples
from tests.forecasting.neural_samples import make_samples

FOLDER = Path(__file__).parent
TRAINING = {"steps": 60, "checks": 2}
MODELS: dict[str, dict[str, Any]] = {
    "conditional_transformer": {
        "width": 16, "heads": 2, "encoder_blocks": 1, "decoder_blocks": 1, "hidden": 16, "flat_hidden": 16,
        "history_days": 7, "training": TRAINING,
    },
    "paper_transformer": {
        "width": 16, "heads": 2, "encoder_blocks": 1, "decoder_blocks": 1, "hidden": 16, "autoregressive": True,
        "training": TRAINING,
    },
    "lear": {"windows": [56]},
}  # fmt: skip
CHANNELS = ("zone", "day", "issued_at", "history", "future", "y")


def artefact_path(model: str) -> Path:
    """The frozen artefact of ``model``."""
    return FOLDER / f"{model}_format_{FORMAT_VERSION}.pt"


def forecast_path() -> Path:
    """Samples and the forecasts that the frozen artefacts made of them when they were written."""
    return FOLDER / f"forecasts_format_{FORMAT_VERSION}.npz"


def frozen_samples() -> DayAheadSamples:
    """The four delivery days that every frozen artefact forecasts, as stored."""
    with np.load(forecast_path()) as stored:
        arrays = {name: stored[name] for name in CHANNELS}
    return DayAheadSamples(
        target="price",
        unit="EUR/MWh",
        step_minutes=60,
        history_channels=("price", "wind_forecast"),
        future_channels=("wind_forecast",),
        **arrays,
    )


def main() -> None:
    """Train each model on a few made-up days, save it, and store what it forecasts."""
    samples = make_samples(84, history_days=7, seed=11)
    train, test = samples.select(slice(0, 80)), samples.select(slice(80, 84))
    arrays = {name: getattr(test, name) for name in CHANNELS}
    for name, settings in MODELS.items():
        model = create(name, **settings)
        model.fit(train, seed=7)
        save(artefact_path(name), model, train, seed=7)
        prediction = model.predict(test)
        for part in ("mean", "std", "quantiles"):
            arrays[f"{name}.{part}"] = getattr(prediction, part)
    np.savez_compressed(forecast_path(), **arrays)


if __name__ == "__main__":
    main()
