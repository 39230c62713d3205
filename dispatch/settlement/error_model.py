"""Days around a forecast: price, wind and load errors that move together, where no forecaster is there to say so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.errors import OptionError
from dispatch.settlement.problem import FloatArray, Realisations

#: Order of the errors in the correlation matrix.
PRICE, WIND, LOAD = range(3)


@dataclass(frozen=True)
class ErrorModel:
    """Joint Gaussian errors with memory from step to step.

    Each error follows ``z_t = phi z_{t-1} + sqrt(1 - phi^2) e_t`` with ``e_t`` correlated between price, wind and load; ``z`` has
    unit variance at every step. Then::

        price_t = forecast_t + price_std mean|forecast| z^price_t
        wind_t  = clip(forecast_t + wind_std capacity z^wind_t, 0, capacity)
        load_t  = forecast_t exp(load_std z^load_t - load_std^2 / 2)

    So price errors are as large in cheap hours as in dear ones and may turn a price negative, wind stays within what the
    farms can do (the clipping pulls its mean towards the middle), and load is right on average. Shi et al. 2023 report a
    correlation below -0.5 between wind power and price at lag zero, which is the default here.

    Attributes
    ----------
    price_std: share of the day's mean absolute price. wind_std: share of capacity. load_std: relative.
    persistence: ``phi`` per hour.
    price_wind, price_load, wind_load: correlations of the errors.
    """

    price_std: float = 0.20
    wind_std: float = 0.12
    load_std: float = 0.04
    persistence: float = 0.9
    price_wind: float = -0.5
    price_load: float = 0.3
    wind_load: float = 0.0

    def __post_init__(self) -> None:
        for name in ("price_std", "wind_std", "load_std"):
            if getattr(self, name) < 0:
                raise OptionError(
                    f"error model: {name} is {getattr(self, name):g}; a standard deviation is not negative"
                )
        if not 0 <= self.persistence < 1:
            raise OptionError(f"error model: persistence is {self.persistence:g}; it must be at least 0 and below 1")
        if np.linalg.eigvalsh(self.correlation).min() < -1e-12:
            raise OptionError(
                f"error model: correlations price_wind={self.price_wind:g}, price_load={self.price_load:g} and "
                f"wind_load={self.wind_load:g} cannot hold at once; bring them nearer to zero"
            )

    @property
    def correlation(self) -> FloatArray:
        """Correlation of the errors of one step, ``[3, 3]``."""
        matrix = np.eye(3)
        for a, b, value in (
            (PRICE, WIND, self.price_wind),
            (PRICE, LOAD, self.price_load),
            (WIND, LOAD, self.wind_load),
        ):
            matrix[a, b] = matrix[b, a] = value
        return matrix

    def sample(
        self,
        forecast: Realisations,
        count: int,
        seed: int | np.random.SeedSequence,
        *,
        wind_capacity_mw: float,
        step_hours: float = 1.0,
    ) -> Realisations:
        """``count`` days around the one day of ``forecast``; ``persistence`` is per hour."""
        rng, steps = np.random.default_rng(seed), forecast.steps
        values, vectors = np.linalg.eigh(self.correlation)
        root = vectors * np.sqrt(np.clip(values, 0.0, None))  # [3, 3], also of a singular correlation
        shock = rng.standard_normal((count, steps, 3)) @ root.T
        phi = self.persistence**step_hours
        error = np.empty_like(shock)
        error[:, 0] = shock[:, 0]
        for t in range(1, steps):
            error[:, t] = phi * error[:, t - 1] + np.sqrt(1.0 - phi**2) * shock[:, t]
        level = np.abs(forecast.price_per_mwh).mean()
        wind = forecast.wind_mw + self.wind_std * wind_capacity_mw * error[..., WIND]
        return Realisations(
            price_per_mwh=forecast.price_per_mwh + self.price_std * level * error[..., PRICE],
            wind_mw=np.clip(wind, 0.0, max(wind_capacity_mw, float(forecast.wind_mw.max()))),
            load_mw=forecast.load_mw * np.exp(self.load_std * error[..., LOAD] - 0.5 * self.load_std**2),
        )
