"""What a regional forecast and a description of the source are worth to the forecast of single wind farms.

The experiment of Shi et al. 2023, Table 5 (with and without condition, with and without embedding), on real farms, with
the controls that the paper lacks: an identity table, plain statistics, the embeddings of other farms or none in a network
fitted with the true ones, and farms that training never saw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.backtesting import known_before
from forecasting.benchmarks.wind import WindFarms
from forecasting.benchmarks.wind_samples import REGIONAL, Condition, wind_samples
from forecasting.benchmarks.wind_statistics import pair_statistics
from forecasting.embedding import SourceEncoder
from forecasting.encoding import SourceContext
from forecasting.models.base import Forecaster, Prediction
from forecasting.models.neural import NeuralForecaster
from forecasting.samples import DayAheadSamples

FloatArray = NDArray[np.float64]
Vectors = Mapping[str, NDArray[np.float32]]


class Source(StrEnum):
    """What a forecaster is told about the farm of a row."""

    NONE = "none"
    IDENTITY = "identity"
    POWER_EMBEDDING = "power_embedding"  # the paper's: encoder of the power alone, the last weeks
    JOINT_EMBEDDING = "joint_embedding"  # encoder of power and regional forecast, the last half year
    STATISTICS = "statistics"  # plain statistics of the same pair over the same time

    @property
    def described(self) -> bool:
        """Whether a vector describes the farm, which a farm that never trained can have as well."""
        return self not in (Source.NONE, Source.IDENTITY)

    @property
    def context(self) -> SourceContext:
        """What the forecaster is set to."""
        return SourceContext.GIVEN if self.described else SourceContext(self.value)


@dataclass(frozen=True)
class Arm:
    """One variant of the experiment."""

    condition: Condition
    source: Source

    @property
    def label(self) -> str:
        """Short name for tables."""
        return f"{self.condition} + {self.source}" if self.source is not Source.NONE else str(self.condition)


@dataclass(frozen=True)
class Fold:
    """Farms that train and farms that are tested; the same ones, or farms that training never sees."""

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]


def known_fold(sites: Sequence[str]) -> Fold:
    """Every farm trains and is tested."""
    return Fold("known", tuple(sites), tuple(sites))


def unseen_folds(sites: Sequence[str], held_out: int = 2) -> list[Fold]:
    """Groups of ``held_out`` farms are left out one after the other, so each farm is tested once by strangers."""
    groups = [tuple(sites[start : start + held_out]) for start in range(0, len(sites), held_out)]
    return [
        Fold(f"without {' and '.join(group)}", tuple(site for site in sites if site not in group), group)
        for group in groups
    ]


def encoder_samples(
    farms: WindFarms, regional: FloatArray, sites: Sequence[str], first: np.datetime64
) -> DayAheadSamples:
    """Days of ``sites`` that were known when ``first`` was forecast, with the regional forecast beside the power."""
    known = farms.known_days(first)
    samples = wind_samples(farms, regional, Condition.REGIONAL, sites, history_days=1)
    return samples.select(np.isin(samples.day, farms.day[known]))


def embeddings(
    farms: WindFarms,
    regional: FloatArray,
    fold: Fold,
    source: Source,
    first: np.datetime64,
    settings: Mapping[str, Any],
    *,
    seed: int = 0,
) -> dict[str, NDArray[np.float32]]:
    """One vector per farm of the fold from the days before ``first``; only the training farms teach encoder and scale."""
    everyone = tuple(dict.fromkeys((*fold.train, *fold.test)))
    past = encoder_samples(farms, regional, everyone, first)
    if source is Source.STATISTICS:
        return pair_statistics(past, fold.train, **settings)
    channels = ("target",) if source is Source.POWER_EMBEDDING else ("target", REGIONAL)
    encoder = SourceEncoder(channels=channels, **settings)
    encoder.fit(past.select(np.isin(past.zone, fold.train)), seed=seed)
    return encoder.describe(past)


def controls(vectors: Vectors, seed: int) -> dict[str, dict[str, NDArray[np.float32]]]:
    """What a fitted network is told in place of the true vectors: those of other farms, and nothing."""
    return {
        "shuffled": shuffled(vectors, seed),
        "zero": {site: np.zeros_like(vector) for site, vector in vectors.items()},
    }


def shuffled(vectors: Vectors, seed: int) -> dict[str, NDArray[np.float32]]:
    """The same vectors, each given to another farm."""
    order = np.random.default_rng(seed).permutation(sorted(vectors)).tolist()
    return {site: vectors[other] for site, other in zip(order, [*order[1:], order[0]], strict=True)}


@dataclass(frozen=True, eq=False)
class ArmForecast:
    """Forecasts of one fitted arm in order of site and day, and what they cost.

    ``site``, ``day`` ``[N]``; ``y`` ``[N, S]``, NaN where power was not published. ``controls``: the same network told
    something else, see :func:`controls`; empty where no vector describes the farm.
    """

    site: NDArray[np.str_]
    day: NDArray[np.datetime64]
    y: FloatArray
    true: Prediction
    controls: Mapping[str, Prediction]
    refits: int
    fit_seconds: float

    def __len__(self) -> int:
        return len(self.day)

    @staticmethod
    def joined(parts: Sequence[ArmForecast]) -> ArmForecast:
        """Parts of different days or farms as one."""
        site, day = np.concatenate([part.site for part in parts]), np.concatenate([part.day for part in parts])
        order = np.lexsort((day, site))
        return ArmForecast(
            site=site[order],
            day=day[order],
            y=np.concatenate([part.y for part in parts])[order],
            true=_stacked([part.true for part in parts], order),
            controls={name: _stacked([part.controls[name] for part in parts], order) for name in parts[0].controls},
            refits=sum(part.refits for part in parts),
            fit_seconds=sum(part.fit_seconds for part in parts),
        )

    def to_arrays(self) -> dict[str, Any]:
        """Plain arrays that say everything."""
        arrays = {name: getattr(self, name) for name in ("site", "day", "y", "refits", "fit_seconds")}
        for name, prediction in {"true": self.true, **self.controls}.items():
            arrays |= {f"{name}_{part}": getattr(prediction, part) for part in _PARTS}
        arrays["levels"] = self.true.levels
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> ArmForecast:
        """Inverse of :meth:`to_arrays`."""
        levels = tuple(float(level) for level in arrays["levels"])

        def prediction(name: str) -> Prediction:
            mean, std, quantiles = (arrays[f"{name}_{part}"] for part in _PARTS)
            return Prediction(mean, std, quantiles, levels)

        return cls(
            site=arrays["site"],
            day=arrays["day"],
            y=arrays["y"],
            true=prediction("true"),
            controls={name: prediction(name) for name in ("shuffled", "zero") if f"{name}_mean" in arrays},
            refits=int(arrays["refits"]),
            fit_seconds=float(arrays["fit_seconds"]),
        )


_PARTS = ("mean", "std", "quantiles")


def _stacked(parts: Sequence[Prediction], order: NDArray[np.intp]) -> Prediction:
    mean, std, quantiles = (np.concatenate([getattr(part, name) for part in parts])[order] for name in _PARTS)
    return Prediction(mean, std, quantiles, parts[0].levels)


def forecast_arm(
    farms: WindFarms,
    regional: FloatArray,
    fold: Fold,
    arm: Arm,
    first: np.datetime64,
    last: np.datetime64,
    factory: Callable[..., Forecaster],
    vectors: Vectors | None = None,
    *,
    refit_days: int | None = None,
    history_days: int = 28,
    seed: int = 0,
) -> ArmForecast:
    """Fit ``factory(source_context=...)`` on the training farms, forecast the test farms from ``first`` to ``last``.

    Training takes the days that were known before ``first``, and again every ``refit_days`` days if given. The controls
    change the vectors in the forecast alone: the fitted network is the same.
    """
    samples = wind_samples(
        farms, regional, arm.condition, tuple(dict.fromkeys((*fold.train, *fold.test))), history_days
    )
    training = samples.select(np.isin(samples.zone, fold.train))
    asked = samples.select(np.isin(samples.zone, fold.test)).between(first, last)
    days = np.unique(asked.day)
    every = refit_days or len(days)
    parts = []
    for start in range(0, len(days), every):
        block = days[start : start + every]
        rows = asked.select(np.isin(asked.day, block))
        model = factory(source_context=str(arm.source.context))
        if vectors is not None and isinstance(model, NeuralForecaster):
            model.set_context(vectors)
        report = model.fit(known_before(training, block[0]), seed=seed)
        true, told = model.predict(rows), {}
        if vectors is not None and isinstance(model, NeuralForecaster):
            told = {name: model.set_context(other).predict(rows) for name, other in controls(vectors, seed).items()}
        y = rows.y.astype(np.float64)
        parts.append(ArmForecast(rows.zone, rows.day, y, true, told, refits=1, fit_seconds=report.seconds))
    return ArmForecast.joined(parts)
