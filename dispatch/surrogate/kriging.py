"""Kriging of answers to tariffs: one model per follower and step, close to the tariffs of interest.

Ordinary Kriging with a Matern 5/2 covariance on scikit-learn. A step's exchange depends strongly on its own tariffs and
weakly, through storage, on the others: the model of a step measures distance with a short length scale along its own two
coordinates and a long one along all others. The two scales are chosen by marginal likelihood.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

FloatArray = NDArray[np.float64]

#: Length scales that are tried, in units of the cube: along a step's own tariffs, and along those of other steps.
OWN_SCALES = (0.3, 0.6, 1.2)
OTHER_SCALES = (1.5, 3.0, 6.0, 12.0)
#: Variance of what the model cannot explain (kinks of the response), relative to that of the sample.
NUGGET = 1e-4


class TariffKriging:
    """Predicts exchanges ``[n, J, T]`` at points ``[n, 2 T]``."""

    def __init__(self, points: FloatArray, answers: FloatArray, scales: tuple[float, float]) -> None:
        """points: ``[n, 2 T]``; answers: ``[n, J, T]``; scales: own and other length scale."""
        self.points, self.scales = points, scales
        self.steps = points.shape[1] // 2
        self._mean = answers.mean(axis=0)
        self._spread = np.maximum(answers.std(axis=0), 1e-9)
        standard = (answers - self._mean) / self._spread
        self._weights: list[FloatArray] = []
        self.log_likelihood = 0.0
        for t in range(self.steps):
            model = GaussianProcessRegressor(Matern(1.0, "fixed", nu=2.5), alpha=NUGGET, optimizer=None)
            model.fit(self._scaled(t), standard[:, :, t])
            self._weights.append(np.asarray(model.alpha_).reshape(len(points), -1))
            self.log_likelihood += float(model.log_marginal_likelihood_value_)

    @classmethod
    def fitted(cls, points: FloatArray, answers: FloatArray) -> TariffKriging:
        """The model with the most likely of the tried length scales."""
        models = (cls(points, answers, scales) for scales in product(OWN_SCALES, OTHER_SCALES))
        return max(models, key=lambda model: model.log_likelihood)

    def _scaled(self, t: int) -> FloatArray:
        own, other = self.scales
        length = np.full(2 * self.steps, other)
        length[[t, self.steps + t]] = own
        scaled: FloatArray = self.points / length
        return scaled

    def predict(self, z: FloatArray) -> FloatArray:
        """Kriging mean at points ``[n, 2 T]``; distances along the other steps are shared by all models."""
        own_scale, other_scale = self.scales
        everything = cdist(z, self.points, "sqeuclidean")
        mean = np.empty((len(z), *self._mean.shape))
        for t in range(self.steps):
            own = cdist(z[:, [t, self.steps + t]], self.points[:, [t, self.steps + t]], "sqeuclidean")
            squared = own / own_scale**2 + np.clip(everything - own, 0.0, None) / other_scale**2
            mean[:, :, t] = _matern(np.sqrt(5.0 * squared)) @ self._weights[t]
        predicted: FloatArray = self._mean + self._spread * mean
        return predicted


def _matern(distance: FloatArray) -> FloatArray:
    """Matern 5/2 covariance at ``sqrt(5)`` times the scaled distance."""
    covariance: FloatArray = (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
    return covariance
