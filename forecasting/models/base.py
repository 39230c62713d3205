"""What every forecaster is: fit on samples, predict a distribution per step, save as plain tensors."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from forecasting.samples import DayAheadSamples

FloatArray = NDArray[np.float64]

#: Levels reported by every forecaster: the 90% and 50% intervals, the deciles and the median.
QUANTILE_LEVELS: tuple[float, ...] = (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95)


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictive distribution for ``N`` days of ``S`` steps, in the unit of the target.

    ``mean`` and ``std`` have shape ``[N, S]``, ``quantiles`` ``[N, S, Q]`` in the order of ``levels``.
    """

    mean: FloatArray
    std: FloatArray
    quantiles: FloatArray
    levels: tuple[float, ...] = QUANTILE_LEVELS


@dataclass(frozen=True)
class FitReport:
    """What training did: rows of the learning curve (dictionaries of plain numbers), seconds, and samples used.

    ``samples_per_second`` is the training throughput (rows through the optimiser), 0 where there is no such loop.
    """

    seconds: float
    samples: int
    parameters: int
    curve: tuple[Mapping[str, float], ...] = field(default_factory=tuple)
    samples_per_second: float = 0.0


def setting_names(model_class: type) -> tuple[str, ...]:
    """Names of the constructor's arguments; one that ends in ``**shared`` hands the rest to the next base class.

    >>> class Base:
    ...     def __init__(self, *, width: int = 8) -> None: ...
    >>> class Model(Base):
    ...     def __init__(self, *, layers: int = 1, **shared: int) -> None: ...
    >>> setting_names(Model)
    ('layers', 'width')
    """
    names: dict[str, None] = {}
    for owner in model_class.__mro__:
        if "__init__" not in vars(owner):
            continue
        own = list(inspect.signature(vars(owner)["__init__"]).parameters.values())[1:]
        kinds = {parameter.kind for parameter in own}
        names |= dict.fromkeys(p.name for p in own if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return tuple(names)


class Forecaster(ABC):
    """A day-ahead forecaster.

    Class attributes are promises that the tests prove: ``uses_future_condition`` means that changing ``future`` changes
    the prediction, ``uses_history`` the same for ``history``.
    """

    name: ClassVar[str]
    uses_future_condition: ClassVar[bool]
    uses_history: ClassVar[bool] = True

    @abstractmethod
    def fit(
        self, train: DayAheadSamples, valid: DayAheadSamples | None = None, *, seed: int = 0, progress: bool = False
    ) -> FitReport:
        """Train from nothing. Raises ``DataError`` naming the dates if the target has a NaN."""

    @abstractmethod
    def predict(self, samples: DayAheadSamples) -> Prediction:
        """Predict every row of ``samples``; ``samples.y`` is never read."""

    def describe_sources(self, past: DayAheadSamples) -> None:
        """Tell the forecaster how the zones or sites of ``past`` behaved lately; one without source embedding ignores it.

        ``past`` must hold no day whose outcome was not known when the forecast is made.
        """
        return

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Constructor arguments as plain JSON values."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything learned, as named tensors."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Tensor]) -> Self:
        """Restore what ``state`` returned."""
