"""How fast forecasters train and predict: Lightning beside a plain PyTorch loop, and 70 series at once.

Run ``python -m benchmarks.forecasting`` on an idle machine; it prints Markdown tables and ends with 1 if a limit is broken.
Training figures are processor time of one thread: the cost of a step is the difference of a long and a short training, so
that setting up is not in it. The samples are noise; their sizes are those of a market with two published forecasts.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import forecasting
from forecasting.encoding import Batch
from forecasting.models import create
from forecasting.models.neural import NeuralForecaster
from forecasting.samples import DayAheadSamples
from forecasting.training import TensorBatches, make_optimizer, plain_steps, train_network

#: Lightning may cost this much more than the plain loop; 70 series may take this long.
MOST_RATIO = 1.3
MOST_SECONDS = 2.0
SERIES = 70
MODELS = ("conditional_transformer", "feed_forward", "paper_transformer", "lstm")


def noise(zones: int, days: int, history_days: int = 14, seed: int = 0) -> DayAheadSamples:
    """Samples of ``zones`` zones and ``days`` days with two published forecasts, all of it noise."""
    rng = np.random.default_rng(seed)
    rows = zones * days
    day = np.tile(np.datetime64("2022-01-01") + np.arange(days), zones)
    channels = ("load_forecast", "wind_forecast")
    return DayAheadSamples(
        target="price",
        unit="EUR/MWh",
        step_minutes=60,
        zone=np.repeat([f"Z{k:02d}" for k in range(zones)], days),
        day=day,
        issued_at=(day - np.timedelta64(13, "h")).astype("datetime64[ns]"),
        history=rng.normal(50, 10, (rows, history_days, 24, 3)).astype(np.float32),
        history_channels=("price", *channels),
        future=rng.normal(50, 10, (rows, 24, 2)).astype(np.float32),
        future_channels=channels,
        y=rng.normal(50, 10, (rows, 24)).astype(np.float32),
    )


def trained(name: str, samples: DayAheadSamples, steps: int) -> NeuralForecaster:
    """The forecaster called ``name`` after ``steps`` steps without validation."""
    model = create(name, training={"steps": steps, "checks": 1, "patience": 0})
    assert isinstance(model, NeuralForecaster)
    model.fit(samples)
    return model


def processor_seconds(work: Callable[[], object]) -> float:
    """Processor time of ``work``."""
    started = time.process_time()
    work()
    return time.process_time() - started


def step_seconds(name: str, samples: DayAheadSamples, short: int, long: int, repeats: int) -> tuple[float, float, int]:
    """Processor seconds of one optimiser step by Lightning and by the plain loop, and rows per step.

    Of ``repeats`` trainings of each length the quickest counts: other work on the machine can only add.
    """
    model = trained(name, samples, 1)
    encoder, network = model._trained()
    data: Batch = encoder.encode(samples, with_target=True)

    def lightning(steps: int) -> float:
        settings = replace(model.training, steps=steps)
        return processor_seconds(lambda: train_network(network, model.loss, data, None, settings, seed=0))

    def plain(steps: int) -> float:
        optimizer = make_optimizer(network, model.training, model.training.learning_rate)
        batches = TensorBatches(data, model.training.batch_size, steps, seed=0)
        return processor_seconds(
            lambda: plain_steps(network, model.loss, iter(batches), optimizer, model.training.gradient_clip)
        )

    kinds = [(way, steps) for way in (lightning, plain) for steps in (short, long)]
    quickest = dict.fromkeys(kinds, math.inf)
    for _ in range(repeats):  # in turns, so that a change of the machine's load meets all of them
        for way, steps in kinds:
            quickest[way, steps] = min(quickest[way, steps], way(steps))
    ours, floor = ((quickest[way, long] - quickest[way, short]) / (long - short) for way in (lightning, plain))
    return ours, floor, min(model.training.batch_size, len(samples))


def seventy_series() -> tuple[float, float]:
    """Wall and processor seconds to load one artefact and forecast a day of 70 series with it."""
    samples = noise(SERIES, 8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "price.pt"
        forecasting.save(path, trained("conditional_transformer", samples, 2), samples, seed=0)
        today = samples.select(np.flatnonzero(samples.day == samples.day.max()))
        assert len(today) == SERIES
        started, processor = time.perf_counter(), time.process_time()
        prediction = forecasting.load(path).predict(today)
        took = time.perf_counter() - started, time.process_time() - processor
        assert prediction.quantiles.shape[0] == SERIES
    return took


def main() -> None:
    """Measure, print, and exit with 1 if a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="trainings of each length, of which the quickest counts")
    parser.add_argument("--steps", type=int, default=60, help="steps of the long training; the short one has a quarter")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="forecasters to train")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.machine()}, one thread, Python {platform.python_version()}, torch {torch.__version__}\n")
    print("| forecaster | Lightning, samples/s | plain loop, samples/s | ratio | limit |\n|---|---|---|---|---|")
    samples, broken = noise(1, 728), False
    for name in options.models:
        ours, floor, rows = step_seconds(name, samples, max(1, options.steps // 4), options.steps, options.repeats)
        print(f"| {name} | {rows / ours:,.0f} | {rows / floor:,.0f} | {ours / floor:.2f} | {MOST_RATIO} |", flush=True)
        broken |= ours / floor > MOST_RATIO
    wall, processor = seventy_series()
    print(
        f"\n{SERIES} series in one batch, artefact read included: {wall:.2f} s ({processor:.2f} s of processor time), ",
        end="",
    )
    print(f"limit {MOST_SECONDS:g} s")
    if broken or wall > MOST_SECONDS:
        sys.exit(1)


if __name__ == "__main__":
    main()
